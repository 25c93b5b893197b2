//! Answers that are read more than once.
//!
//! A [`Crawl`] is a plan being read, with the pages that came so far; any number of [`Reader`]s of the
//! session read it, each from its beginning, and whoever is first at its end asks for the next page. So
//! fifty arms of a statement over one table are one crawl. One that is whole serves later statements
//! until it is older than `cache_ttl`, or has to make room: of all sessions where the [`shelf`] is
//! shared, else of this one. One that its last reader left early is given up.
//!
//! Within a statement (and within a transaction that keeps its snapshot) what was read once is what is
//! read again, whatever `cache_ttl` says.

use super::activity::{self, Doing, State};
use super::error;
use super::limits;
use super::session::Session;
use super::shelf::{self, Taken};
use super::store::Store;
use crate::pg::error::Result;
use crate::pg::process;
use crate::settings;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::cache::Question;
use warehouse_core::connectors::{ApiError, Counts, Extent, Plan, Row, Scan};

/// A wider answer of more rows than this is no shortcut to a few keys.
const FEW: u64 = 10_000;

/// A plan being read, or an answer.
struct Crawl {
    server: u32,
    question: Option<Question>,
    scan: Option<Scan>,
    store: Store,
    /// Its pages are not kept: it is too large, and has one reader.
    is_fleeting: bool,
    is_whole: bool,
    failed: Option<ApiError>,
    rows: u64,
    begun: u64,
    /// The moment whose statements it serves.
    moment: i64,
    used: u64,
    counts: Counts,
    /// What `warehouse.api_activity` shows while rows are to come.
    doing: Option<Doing>,
}

thread_local! {
    // Not dropped at the end of the process: temporary files are gone by then.
    static CRAWLS: ManuallyDrop<RefCell<Vec<Rc<RefCell<Crawl>>>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
    static ANEW: Cell<bool> = const { Cell::new(false) };
}

fn crawls<T>(f: impl FnOnce(&mut Vec<Rc<RefCell<Crawl>>>) -> T) -> T {
    CRAWLS.with(|crawls| f(&mut crawls.borrow_mut()))
}

/// How a reader came to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// It was the first to ask.
    Api,
    /// Another one had asked, and had its answer.
    Cache,
    /// Another one was asking.
    Shared,
}

/// A reader of a crawl.
pub struct Reader {
    crawl: Rc<RefCell<Crawl>>,
    at: usize,
    /// Where its columns stand in the crawl's rows.
    places: Option<Vec<usize>>,
    /// How it came to its rows.
    pub from: From,
    before: Counts,
}

/// What is read, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The foreign server.
    pub server: u32,
    /// The foreign table.
    pub relation: u32,
    /// The connector's fingerprint.
    pub source: [u8; 16],
    /// What to ask.
    pub plan: &'a Plan,
    /// How long an answer is good for.
    pub ttl: Duration,
}

/// Has statements that `run` executes ask the API, whatever answers there are; theirs serve others.
pub fn anew<T>(run: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            ANEW.set(self.0);
        }
    }
    let _before = Before(ANEW.replace(true));
    run()
}

/// Begins to read a plan: what is known already, or the API.
pub fn read(session: &Session, asked: Asked<'_>) -> Result<Reader> {
    let Asked { server, relation, source, plan, ttl } = asked;
    let (now, moment) = (limits::now(), process::moment());
    let question = Question::of(source, plan);
    let mut crawl = Crawl {
        server,
        is_fleeting: question.is_none(),
        question: None,
        scan: None,
        store: Store::default(),
        is_whole: false,
        failed: None,
        rows: 0,
        begun: now,
        moment,
        used: now,
        counts: Counts::default(),
        doing: None,
    };
    let (mut places, mut from) = (None, From::Api);
    if let Some(question) = question {
        forget(now, moment, ttl);
        if let Some(reader) = known(&question, asked, now, moment) {
            return Ok(reader);
        }
        let most_rows = is_few(plan).then_some(FEW);
        let taken = match ANEW.get() {
            true => shelf::renew(&question, server, ttl)?,
            false => shelf::take(&question, server, relation, most_rows, ttl)?,
        };
        match taken {
            None => crawl.question = Some(question),
            Some(Taken::ToFetch(pages)) => {
                crawl.store = Store::Shared(pages);
                crawl.question = Some(question);
            }
            Some(Taken::Answer(answer)) => {
                places = answer.question.places(&question);
                from = if answer.was_waited_for { From::Shared } else { From::Cache };
                (crawl.is_whole, crawl.rows, crawl.begun) = (true, answer.rows, answer.begun);
                crawl.question = Some(answer.question);
                crawl.store = Store::Shared(answer.pages);
            }
        }
    }
    if !crawl.is_whole {
        crawl.scan = Some(Scan::open(plan, session.host.clone()));
        crawl.doing = Some(activity::begin(server, relation, State::Fetching));
    }
    let is_fleeting = crawl.is_fleeting;
    let crawl = Rc::new(RefCell::new(crawl));
    if !is_fleeting {
        crawls(|crawls| crawls.push(Rc::clone(&crawl)));
    }
    Ok(Reader { crawl, at: 0, places, from, before: Counts::default() })
}

/// Whether a plan wants the rows of a few keys.
fn is_few(plan: &Plan) -> bool {
    matches!(plan.extent, Extent::Keys(_) | Extent::Nothing)
}

/// A reader of what this session has already, or is reading.
fn known(question: &Question, asked: Asked<'_>, now: u64, moment: i64) -> Option<Reader> {
    let cleared = limits::cleared(asked.server);
    let ttl = if ANEW.get() { 0 } else { asked.ttl.as_micros() as u64 };
    let crawl = crawls(|crawls| {
        let usable = crawls.iter().filter(|crawl| {
            let Ok(crawl) = crawl.try_borrow() else { return false };
            let is_fresh = crawl.moment == moment || now.saturating_sub(crawl.begun) < ttl;
            is_fresh && crawl.begun > cleared && crawl.serves(question, asked.plan)
        });
        let best = usable.min_by_key(|crawl| {
            let crawl = crawl.borrow();
            (!crawl.is_whole, crawl.store.bytes())
        });
        best.cloned()
    })?;
    let mut found = crawl.borrow_mut();
    found.used = now;
    let places = found.question.as_ref().and_then(|wider| wider.places(question))?;
    let from = if found.is_whole { From::Cache } else { From::Shared };
    let before = found.counts();
    drop(found);
    Some(Reader { crawl, at: 0, places: Some(places), from, before })
}

/// Throws away what nobody can use any more.
fn forget(now: u64, moment: i64, ttl: Duration) {
    // Another table's answers may be good for longer; a day is more than anybody wants.
    let oldest = ttl.as_micros().max(24 * 3600 * 1_000_000) as u64;
    crawls(|crawls| {
        crawls.retain(|crawl| {
            Rc::strong_count(crawl) > 1 || {
                let crawl = crawl.borrow();
                // What is on the shelf is found there.
                let is_young = now.saturating_sub(crawl.begun) < oldest && !crawl.store.is_shared();
                crawl.moment == moment || is_young
            }
        });
    });
}

/// Lets go of answers until the rest has room.
fn make_room() {
    let most = settings::api_cache_size();
    let gone = crawls(|crawls| {
        let mut gone = Vec::new();
        loop {
            let size = |crawl: &Rc<RefCell<Crawl>>| match crawl.try_borrow() {
                Ok(crawl) if !crawl.store.is_shared() => crawl.store.bytes(),
                _ => 0,
            };
            if crawls.iter().map(size).sum::<u64>() <= most {
                return gone;
            }
            let free = crawls.iter().enumerate().filter(|(_, one)| Rc::strong_count(one) == 1);
            let Some((at, _)) = free.min_by_key(|(_, one)| one.borrow().used) else { return gone };
            gone.push(crawls.swap_remove(at));
        }
    });
    drop(gone);
}

/// Throws away what there is of a server; says how many answers that were, of all sessions or, where they
/// are not shared, of this one.
pub fn clear(server: u32) -> usize {
    limits::clear(server);
    let gone = crawls(|crawls| {
        let is_gone = |crawl: &Rc<RefCell<Crawl>>| {
            crawl.try_borrow().is_ok_and(|crawl| crawl.server == server)
        };
        let (gone, stay) = std::mem::take(crawls).into_iter().partition(is_gone);
        *crawls = stay;
        let gone: Vec<_> = gone;
        gone
    });
    let own =
        gone.iter().filter(|crawl| crawl.try_borrow().is_ok_and(|one| !one.store.is_shared()));
    own.count() + shelf::clear(server)
}

impl Crawl {
    fn counts(&self) -> Counts {
        self.scan.as_ref().map_or(self.counts, Scan::counts)
    }

    /// Asks for the next page; `None` when there is none.
    fn fetch(&mut self, session: &Session) -> std::result::Result<Option<Vec<Row>>, ApiError> {
        let Some(scan) = self.scan.as_mut() else { return Ok(None) };
        let show = |doing: &Option<Doing>, state, counts| {
            if let Some(doing) = doing {
                doing.go_on(state, counts);
            }
        };
        show(&self.doing, State::Fetching, scan.counts());
        let page = session.wait(scan.next_page());
        self.counts = scan.counts();
        show(&self.doing, State::Reading, self.counts);
        match page {
            Ok(Some(page)) => {
                self.rows += page.rows.len() as u64;
                Ok(Some(page.rows))
            }
            Ok(None) => {
                self.is_whole = true;
                let rows = self.rows;
                // Before it is over: who finds it neither whole nor being fetched fetches it again.
                self.store.finish(rows);
                (self.scan, self.doing) = (None, None);
                Ok(None)
            }
            Err(error) => {
                self.failed = Some(error.clone());
                (self.scan, self.doing) = (None, None);
                Err(error)
            }
        }
    }

    /// Whether its rows contain those of a plan, and are a good way to them.
    fn serves(&self, question: &Question, plan: &Plan) -> bool {
        let Some(own) = &self.question else { return false };
        if self.failed.is_some() || self.is_fleeting || !own.serves(question) {
            return false;
        }
        own.is_same_filter(question) || self.is_whole && (!is_few(plan) || self.rows <= FEW)
    }
}

impl Reader {
    /// The next page; `None` at the end.
    pub fn next_page(&mut self, session: &Session) -> Result<Option<Vec<Row>>> {
        let mut crawl = self.crawl.borrow_mut();
        if let Some(rows) = crawl.store.get(self.at)? {
            drop(crawl);
            self.at += 1;
            return Ok(Some(self.placed(rows)));
        }
        if let Some(failed) = &crawl.failed {
            return Err(error::of(failed.clone()));
        }
        match crawl.fetch(session) {
            Err(error) => {
                drop(crawl);
                self.unlist();
                Err(error::of(error))
            }
            Ok(None) => Ok(None),
            Ok(Some(rows)) => {
                if !crawl.is_fleeting {
                    crawl.store.put(&rows)?;
                    let is_read_by_others = Rc::strong_count(&self.crawl) > 2;
                    if crawl.store.bytes() > settings::api_cache_size() && !is_read_by_others {
                        crawl.is_fleeting = true;
                        crawl.store = Store::default();
                        drop(crawl);
                        self.unlist();
                        self.at = 0;
                        return Ok(Some(self.placed(rows)));
                    }
                    self.at += 1;
                    drop(crawl);
                    make_room();
                }
                Ok(Some(self.placed(rows)))
            }
        }
    }

    /// The rows with this reader's columns alone.
    fn placed(&self, rows: Vec<Row>) -> Vec<Row> {
        let Some(places) = &self.places else { return rows };
        rows.into_iter()
            .map(|row| places.iter().map(|&place| row[place].clone()).collect())
            .collect()
    }

    /// Takes the crawl out of what others find.
    fn unlist(&self) {
        crawls(|crawls| crawls.retain(|one| !Rc::ptr_eq(one, &self.crawl)));
    }

    /// Whether it can begin again: nothing of what it read has been thrown away.
    pub fn rewind(&mut self) -> bool {
        let Ok(crawl) = self.crawl.try_borrow() else { return false };
        if crawl.is_fleeting || crawl.failed.is_some() {
            return false;
        }
        self.at = 0;
        true
    }

    /// What was asked of the API since this reader began.
    pub fn counts(&self) -> Counts {
        let Ok(crawl) = self.crawl.try_borrow() else { return Counts::default() };
        let (now, before) = (crawl.counts(), self.before);
        Counts {
            requests: now.requests - before.requests,
            pages: now.pages - before.pages,
            rows: now.rows - before.rows,
            bytes: now.bytes - before.bytes,
            retries: now.retries - before.retries,
            waited: now.waited.saturating_sub(before.waited),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // The list's and this one: what is not whole now will never be.
        let is_last = Rc::strong_count(&self.crawl) <= 2;
        let is_whole = self.crawl.try_borrow().is_ok_and(|crawl| crawl.is_whole);
        if is_last && !is_whole {
            self.unlist();
        }
    }
}
