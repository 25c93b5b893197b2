//! Answers that are read more than once.
//!
//! A [`Crawl`] is a plan being read, with the pages that came so far; any number of [`Reader`]s read it,
//! each from its beginning, and whoever is first at its end asks for the next page. So fifty arms of a
//! statement over one table are one crawl. One that is whole serves later statements of the session until
//! it is older than `cache_ttl`, or has to make room; one that its last reader left early is given up.
//!
//! Within a statement (and within a transaction that keeps its snapshot) what was read once is what is
//! read again, whatever `cache_ttl` says.

use super::error;
use super::limits;
use super::session::Session;
use super::store::Store;
use crate::pg::error::Result;
use crate::pg::process;
use crate::settings;
use std::cell::RefCell;
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
}

thread_local! {
    // Not dropped at the end of the process: temporary files are gone by then.
    static CRAWLS: ManuallyDrop<RefCell<Vec<Rc<RefCell<Crawl>>>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
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

/// Begins to read a plan: what is known already, or the API.
pub fn read(
    session: &Session,
    server: u32,
    source: [u8; 16],
    plan: &Plan,
    ttl: Duration,
) -> Reader {
    let (now, moment) = (limits::now(), process::moment());
    let question = Question::of(source, plan);
    if let Some(question) = &question {
        let cleared = limits::cleared(server);
        forget(now, moment, ttl);
        let found = crawls(|crawls| {
            let usable = crawls.iter().filter(|crawl| {
                let Ok(crawl) = crawl.try_borrow() else { return false };
                let fresh = crawl.moment == moment
                    || now.saturating_sub(crawl.begun) < ttl.as_micros() as u64;
                fresh && crawl.begun > cleared && crawl.serves(question, plan)
            });
            usable
                .min_by_key(|crawl| {
                    let crawl = crawl.borrow();
                    (!crawl.is_whole, crawl.store.bytes())
                })
                .cloned()
        });
        if let Some(crawl) = found {
            let (places, from) = {
                let mut crawl = crawl.borrow_mut();
                crawl.used = now;
                let places = crawl.question.as_ref().and_then(|wider| wider.places(question));
                (places, if crawl.is_whole { From::Cache } else { From::Shared })
            };
            if places.is_some() {
                let before = crawl.borrow().counts();
                return Reader { crawl, at: 0, places, from, before };
            }
        }
    }
    let crawl = Rc::new(RefCell::new(Crawl {
        server,
        is_fleeting: question.is_none(),
        question,
        scan: Some(Scan::open(plan, session.host.clone())),
        store: Store::default(),
        is_whole: false,
        failed: None,
        rows: 0,
        begun: now,
        moment,
        used: now,
        counts: Counts::default(),
    }));
    if !crawl.borrow().is_fleeting {
        crawls(|crawls| crawls.push(Rc::clone(&crawl)));
    }
    Reader { crawl, at: 0, places: None, from: From::Api, before: Counts::default() }
}

/// Throws away what nobody can use any more.
fn forget(now: u64, moment: i64, ttl: Duration) {
    // Another table's answers may be good for longer; a day is more than anybody wants.
    let oldest = ttl.as_micros().max(24 * 3600 * 1_000_000) as u64;
    crawls(|crawls| {
        crawls.retain(|crawl| {
            Rc::strong_count(crawl) > 1 || {
                let crawl = crawl.borrow();
                crawl.moment == moment || now.saturating_sub(crawl.begun) < oldest
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
            let size = |crawl: &Rc<RefCell<Crawl>>| {
                crawl.try_borrow().map_or(0, |crawl| crawl.store.bytes())
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

/// Throws away what this session has of a server, or of all; says how many answers that were.
pub fn clear(server: Option<u32>) -> usize {
    let gone = crawls(|crawls| {
        let is_gone = |crawl: &Rc<RefCell<Crawl>>| {
            server.is_none_or(|server| crawl.try_borrow().is_ok_and(|crawl| crawl.server == server))
        };
        let (gone, stay) = std::mem::take(crawls).into_iter().partition(is_gone);
        *crawls = stay;
        let gone: Vec<_> = gone;
        gone
    });
    gone.len()
}

impl Crawl {
    fn counts(&self) -> Counts {
        self.scan.as_ref().map_or(self.counts, Scan::counts)
    }

    /// Whether its rows contain those of a plan, and are a good way to them.
    fn serves(&self, question: &Question, plan: &Plan) -> bool {
        let Some(own) = &self.question else { return false };
        if self.failed.is_some() || self.is_fleeting || !own.serves(question) {
            return false;
        }
        let is_same = own.pushed.len() == question.pushed.len() && question.serves_filter(own);
        let few = matches!(plan.extent, Extent::Keys(_) | Extent::Nothing);
        is_same || self.is_whole && (!few || self.rows <= FEW)
    }
}

/// Whether two questions have the same conditions.
trait SameFilter {
    fn serves_filter(&self, other: &Question) -> bool;
}

impl SameFilter for Question {
    fn serves_filter(&self, other: &Question) -> bool {
        self.pushed.iter().all(|one| other.pushed.contains(one))
    }
}

impl Reader {
    /// The next page; `None` at the end.
    pub fn next_page(&mut self, session: &Session) -> Result<Option<Vec<Row>>> {
        let mut crawl = self.crawl.borrow_mut();
        let rows = if self.at < crawl.store.len() {
            crawl.store.get(self.at)?
        } else {
            if let Some(failed) = &crawl.failed {
                return Err(error::of(failed.clone()));
            }
            if crawl.is_whole {
                return Ok(None);
            }
            let Some(scan) = crawl.scan.as_mut() else { return Ok(None) };
            let page = session.wait(scan.next_page());
            crawl.counts = crawl.counts();
            match page {
                Err(error) => {
                    crawl.failed = Some(error.clone());
                    crawl.scan = None;
                    drop(crawl);
                    self.unlist();
                    return Err(error::of(error));
                }
                Ok(None) => {
                    crawl.is_whole = true;
                    crawl.scan = None;
                    return Ok(None);
                }
                Ok(Some(page)) => {
                    crawl.rows += page.rows.len() as u64;
                    let is_shared = Rc::strong_count(&self.crawl) > 2;
                    if !crawl.is_fleeting {
                        crawl.store.put(&page.rows)?;
                        if crawl.store.bytes() > settings::api_cache_size() && !is_shared {
                            crawl.is_fleeting = true;
                            crawl.store = Store::default();
                            drop(crawl);
                            self.unlist();
                            self.at = 0;
                            return Ok(Some(self.placed(page.rows)));
                        }
                        self.at += 1;
                        drop(crawl);
                        make_room();
                    }
                    return Ok(Some(self.placed(page.rows)));
                }
            }
        };
        drop(crawl);
        self.at += 1;
        Ok(Some(self.placed(rows)))
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
