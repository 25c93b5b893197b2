//! How listings come to their end.
//!
//! Cursors that connectors fill in: independent requests ([`Each`]), numbered pages with a total
//! ([`Numbered`]), some of them for a sample ([`SomePages`]), and tokens for the next page ([`Tokens`]).
//! Each ends by what the API says, never by
//! an empty page; a listing that repeats itself, or ends before it should, is an error.

use super::error::{ApiError, Endpoint};
use super::host::Notice;
use super::http::Request;
use super::record::Record;
use super::scan::Cursor;
use super::service::Answer;
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;

/// Ids that were seen, in 16 bytes each.
#[derive(Debug, Clone, Default)]
pub struct Seen(HashSet<[u8; 16]>);

impl Seen {
    /// Notes an id; whether it is new.
    pub fn insert(&mut self, id: &str) -> bool {
        let digest = Sha256::digest(id.as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest[..16]);
        self.0.insert(short)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What an answer of [`Each`] means.
pub type Read = Rc<dyn Fn(usize, Answer) -> Result<Vec<Record>, ApiError>>;

/// Requests that do not depend on each other, such as lookups by key. One that finds nothing gives no
/// records.
pub struct Each {
    waiting: VecDeque<(usize, Request)>,
    underway: VecDeque<usize>,
    read: Read,
}

impl Each {
    /// These requests; `read` is given the number of the request, from 0.
    pub fn new(requests: Vec<Request>, read: Read) -> Each {
        Each {
            waiting: requests.into_iter().enumerate().collect(),
            underway: VecDeque::new(),
            read,
        }
    }
}

impl Cursor for Each {
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError> {
        let count = room.min(self.waiting.len());
        let (numbers, requests): (Vec<_>, Vec<_>) = self.waiting.drain(..count).unzip();
        self.underway.extend(numbers);
        Ok(requests)
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        let number = self.underway.pop_front().ok_or(ApiError::Bug("an answer to nothing"))?;
        (self.read)(number, answer)
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        self.underway.pop_front();
        match error {
            ApiError::NotFound { .. } => Ok(Vec::new()),
            error => Err(error),
        }
    }
}

/// A numbered page.
#[derive(Debug, Clone)]
pub struct NumberedPage {
    /// Its records and their ids.
    pub records: Vec<(String, Record)>,
    /// Its number, if the answer says it.
    pub number: Option<u64>,
    /// How many records the listing has.
    pub total: u64,
}

/// Makes the request for a page of one of several listings, both counted: listings from 0, pages
/// from 1.
pub type Ask = Rc<dyn Fn(usize, u64) -> Request>;
/// Reads a numbered page.
pub type ReadPage = Rc<dyn Fn(Answer) -> Result<NumberedPage, ApiError>>;

/// Listings by numbered pages, one after the other; each id comes once.
pub struct Numbered {
    ask: Ask,
    read: ReadPage,
    listings: usize,
    listing: usize,
    page: u64,
    got: u64,
    most: u64,
    passes: u32,
    seen: Seen,
    underway: bool,
}

/// How often a listing that shrinks while it is read is begun again.
const PASSES: u32 = 4;

impl Numbered {
    /// So many listings.
    pub fn new(listings: usize, ask: Ask, read: ReadPage) -> Numbered {
        Numbered {
            ask,
            read,
            listings,
            listing: 0,
            page: 1,
            got: 0,
            most: 0,
            passes: 1,
            seen: Seen::default(),
            underway: false,
        }
    }

    fn endpoint(&self) -> Endpoint {
        (self.ask)(self.listing, self.page).endpoint()
    }

    fn begin(&mut self) {
        (self.page, self.got, self.most) = (1, 0, 0);
    }
}

impl Cursor for Numbered {
    fn next(&mut self, _room: usize) -> Result<Vec<Request>, ApiError> {
        if self.underway || self.listing >= self.listings {
            return Ok(Vec::new());
        }
        self.underway = true;
        Ok(vec![(self.ask)(self.listing, self.page)])
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        self.underway = false;
        let page = (self.read)(answer)?;
        if page.number.is_some_and(|number| number != self.page) {
            let what = "the answer is another page than was asked for";
            return Err(ApiError::Paging { endpoint: self.endpoint(), what });
        }
        self.most = self.most.max(page.total);
        self.got += page.records.len() as u64;
        let is_last = self.got >= page.total;
        if page.records.is_empty() && !is_last {
            let what = "a page is empty before the end of the listing";
            return Err(ApiError::Incomplete { endpoint: self.endpoint(), what });
        }
        let mut fresh = Vec::new();
        for (id, record) in page.records {
            if self.seen.insert(&id) {
                fresh.push(record);
            }
        }
        // In a first listing every page but one that moved has something new.
        if fresh.is_empty() && !is_last && self.listing == 0 && self.passes == 1 && self.page > 2 {
            let what = "a page repeats the records of others";
            return Err(ApiError::Paging { endpoint: self.endpoint(), what });
        }
        if !is_last {
            self.page += 1;
        } else if page.total < self.most {
            // Records left while pages were read, so that others moved to pages that were read before.
            self.passes += 1;
            if self.passes > PASSES {
                let what = "the listing keeps changing while it is read";
                return Err(ApiError::Incomplete { endpoint: self.endpoint(), what });
            }
            self.begin();
        } else {
            self.listing += 1;
            self.passes = 1;
            self.begin();
        }
        Ok(fresh)
    }
}

/// Some numbered pages of one listing, evenly spread over it.
pub struct SomePages {
    ask: Ask,
    read: ReadPage,
    /// About so many records are wanted.
    records: usize,
    /// Pages that are still to be asked for; not known before the first one has come.
    waiting: Option<VecDeque<u64>>,
    underway: VecDeque<u64>,
    got: u64,
    total: u64,
}

impl SomePages {
    /// Pages with about so many records.
    pub fn new(ask: Ask, read: ReadPage, records: usize) -> SomePages {
        let (waiting, underway) = (None, VecDeque::new());
        SomePages { ask, read, records, waiting, underway, got: 0, total: 0 }
    }

    /// The pages besides the first, once it is known how many there are.
    fn choose(&self, size: usize) -> VecDeque<u64> {
        let size = size.max(1) as u64;
        let pages = self.total.div_ceil(size).max(1);
        let wanted = (self.records as u64).div_ceil(size).clamp(1, pages);
        (1..wanted).map(|place| 1 + place * pages / wanted).collect()
    }
}

impl Cursor for SomePages {
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError> {
        let pages: Vec<u64> = match &mut self.waiting {
            Some(waiting) => waiting.drain(..room.min(waiting.len())).collect(),
            None if self.underway.is_empty() => vec![1],
            None => Vec::new(),
        };
        self.underway.extend(&pages);
        Ok(pages.into_iter().map(|page| (self.ask)(0, page)).collect())
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        let asked = self.underway.pop_front().ok_or(ApiError::Bug("an answer to nothing"))?;
        let page = (self.read)(answer)?;
        if page.number.is_some_and(|number| number != asked) {
            let endpoint = (self.ask)(0, asked).endpoint();
            let what = "the answer is another page than was asked for";
            return Err(ApiError::Paging { endpoint, what });
        }
        self.got += page.records.len() as u64;
        self.total = page.total;
        if self.waiting.is_none() {
            self.waiting = Some(self.choose(page.records.len()));
        }
        Ok(page.records.into_iter().map(|(_, record)| record).collect())
    }

    fn share(&self) -> f64 {
        if self.got == 0 { 1.0 } else { (self.got as f64 / self.total.max(1) as f64).min(1.0) }
    }
}

/// A page with a token for the next.
#[derive(Debug, Clone)]
pub struct TokenPage {
    /// Its records and their ids.
    pub records: Vec<(String, Record)>,
    /// The token; none at the end.
    pub next: Option<String>,
}

/// Makes the request for the page of a token.
pub type AskToken = Rc<dyn Fn(Option<&str>) -> Request>;
/// Reads a page with a token.
pub type ReadToken = Rc<dyn Fn(Answer) -> Result<TokenPage, ApiError>>;

/// A listing by tokens. Tokens may expire: then it begins again, and each id comes once.
pub struct Tokens {
    ask: AskToken,
    read: ReadToken,
    expired: fn(&ApiError) -> bool,
    token: Option<String>,
    tokens: Seen,
    records: Seen,
    restarts: u32,
    at_restart: usize,
    underway: bool,
    done: bool,
    notices: Vec<Notice>,
}

/// How often a listing begins again without a new record in between.
const RESTARTS: u32 = 3;

impl Tokens {
    /// A listing; `expired` knows the error of a stale token.
    pub fn new(ask: AskToken, read: ReadToken, expired: fn(&ApiError) -> bool) -> Tokens {
        Tokens {
            ask,
            read,
            expired,
            token: None,
            tokens: Seen::default(),
            records: Seen::default(),
            restarts: 0,
            at_restart: 0,
            underway: false,
            done: false,
            notices: Vec::new(),
        }
    }
}

impl Tokens {
    /// Whether an answer has to come before it goes on.
    pub fn is_underway(&self) -> bool {
        self.underway
    }

    /// Begins again with other requests; what came does not come again.
    pub fn restart(&mut self, ask: AskToken) {
        self.ask = ask;
        (self.token, self.tokens) = (None, Seen::default());
        (self.underway, self.done) = (false, false);
    }
}

impl Cursor for Tokens {
    fn next(&mut self, _room: usize) -> Result<Vec<Request>, ApiError> {
        if self.underway || self.done {
            return Ok(Vec::new());
        }
        self.underway = true;
        Ok(vec![(self.ask)(self.token.as_deref())])
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        self.underway = false;
        let page = (self.read)(answer)?;
        match page.next {
            Some(token) if !self.tokens.insert(&token) => {
                let endpoint = (self.ask)(None).endpoint();
                return Err(ApiError::Paging {
                    endpoint,
                    what: "a token for the next page came twice",
                });
            }
            next => {
                self.done = next.is_none();
                self.token = next;
            }
        }
        let records = page.records.into_iter();
        Ok(records.filter(|(id, _)| self.records.insert(id)).map(|(_, record)| record).collect())
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        self.underway = false;
        if self.token.is_none() || !(self.expired)(&error) {
            return Err(error);
        }
        if self.records.len() > self.at_restart {
            self.restarts = 0;
        }
        self.restarts += 1;
        if self.restarts > RESTARTS {
            return Err(error);
        }
        self.at_restart = self.records.len();
        let endpoint = (self.ask)(None).endpoint().to_string();
        self.notices.push(Notice::Restarted { endpoint });
        (self.token, self.tokens) = (None, Seen::default());
        Ok(Vec::new())
    }

    fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }
}

/// Cursors one after the other.
pub struct Chain {
    cursors: VecDeque<Box<dyn Cursor>>,
    underway: bool,
}

impl Chain {
    /// These.
    pub fn new(cursors: impl IntoIterator<Item = Box<dyn Cursor>>) -> Chain {
        Chain { cursors: cursors.into_iter().collect(), underway: false }
    }

    fn first(&mut self) -> Result<&mut Box<dyn Cursor>, ApiError> {
        self.cursors.front_mut().ok_or(ApiError::Bug("an answer to nothing"))
    }
}

impl Cursor for Chain {
    /// Never asks for more than one at a time, so that what is asked is the first one's.
    fn next(&mut self, _room: usize) -> Result<Vec<Request>, ApiError> {
        while let (Some(cursor), false) = (self.cursors.front_mut(), self.underway) {
            let requests = cursor.next(1)?;
            if !requests.is_empty() {
                self.underway = true;
                return Ok(requests);
            }
            self.cursors.pop_front();
        }
        Ok(Vec::new())
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        self.underway = false;
        self.first()?.answered(answer)
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        let instead = self.first()?.failed(error)?;
        self.underway = !instead.is_empty();
        Ok(instead)
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.cursors.iter_mut().flat_map(|cursor| cursor.notices()).collect()
    }
}
