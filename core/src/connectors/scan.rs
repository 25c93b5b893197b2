//! Driving a plan: requests in order, a few at once, rows page by page.
//!
//! - Nothing is sent before the first call of [`Scan::next_page`], and the second page is not asked for
//!   before the first one's rows are out. From then on twice as many requests may be in flight after
//!   each page, up to the plan's concurrency, so that a query that stops early has asked for little.
//! - At most that many pages are in memory.
//! - Requests that a cursor has in the place of one that failed share its deadline, `retry_timeout`.
//! - A page that fails is an error, which every later call gives again; rows that came out before are
//!   not the whole result.
//! - The future of `next_page` may be dropped at any moment and called again: what is in flight stays
//!   with the scan. Dropping the scan cuts it off.

use super::error::{ApiError, ErrorKind};
use super::host::{Host, Notice};
use super::http::Request;
use super::plan::Plan;
use super::record::{Extractor, Record};
use super::service::Answer;
use super::statistics::{Counts, Statistics};
use super::value::Row;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

/// A connector's place in a listing: what to ask next, and what an answer means. A pure state machine;
/// answers come in the order of the requests.
pub trait Cursor {
    /// At most `room` further requests. None while an answer has to come first, and at the end.
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError>;

    /// Takes the answer to the oldest request.
    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError>;

    /// The oldest request failed for good. The cursor may have other requests in its place, none for
    /// "that means no records", or give the error back.
    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        Err(error)
    }

    /// Which part of the table's records was read once it has come to its end: above 0, 1 for all of
    /// them. Less only where a sample was asked for.
    fn share(&self) -> f64 {
        1.0
    }

    /// What is worth telling since the last call.
    fn notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }
}

/// So few rows are not asked for in advance.
const FEW: u64 = 50;

/// Some rows, in the API's order.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The rows, never none.
    pub rows: Vec<Row>,
}

type Flight = Pin<Box<dyn Future<Output = Result<Answer, ApiError>>>>;

enum Flying {
    Underway(Flight),
    Landed(Result<Answer, ApiError>),
}

/// A plan being read.
pub struct Scan {
    plan: Plan,
    host: Rc<dyn Host>,
    statistics: Rc<Statistics>,
    extractor: Extractor,
    cursor: Box<dyn Cursor>,
    flying: VecDeque<Flying>,
    /// Requests that take the place of one that failed, before any other.
    instead: VecDeque<Request>,
    window: usize,
    left: Option<u64>,
    ended: Option<Result<(), ApiError>>,
}

impl Scan {
    /// Begins to read. Nothing is sent yet.
    pub fn open(plan: &Plan, host: Rc<dyn Host>) -> Scan {
        Scan {
            extractor: Extractor::new(&plan.table, &plan.columns),
            cursor: plan.strategy.start(host.now()),
            plan: plan.clone(),
            host,
            statistics: Rc::new(Statistics::default()),
            flying: VecDeque::new(),
            instead: VecDeque::new(),
            window: 1,
            left: plan.limit,
            ended: None,
        }
    }

    /// Which part of the table's records was read, at the end.
    pub fn share(&self) -> f64 {
        self.cursor.share()
    }

    /// What was done so far.
    pub fn counts(&self) -> Counts {
        self.statistics.counts()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The next page; `None` at the end.
    pub async fn next_page(&mut self) -> Result<Option<Page>, ApiError> {
        if let Some(ended) = &self.ended {
            return ended.clone().map(|()| None);
        }
        let result = self.advance().await;
        match &result {
            Ok(Some(_)) => {}
            Ok(None) => self.end(Ok(())),
            Err(error) => self.end(Err(error.clone())),
        }
        result
    }

    fn end(&mut self, how: Result<(), ApiError>) {
        self.ended = Some(how);
        self.flying.clear();
        self.instead.clear();
    }

    async fn advance(&mut self) -> Result<Option<Page>, ApiError> {
        while self.left != Some(0) {
            self.launch()?;
            let Some(result) = self.land().await else { return Ok(None) };
            let records = match result {
                Ok(answer) => self.cursor.answered(answer)?,
                Err(error) => {
                    let failing = self.statistics.failing(self.host.now());
                    let is_over = failing >= self.plan.service.retry_timeout;
                    // What is not there or not allowed is no matter of time.
                    if is_over && error.kind() == ErrorKind::Retryable {
                        return Err(error);
                    }
                    self.instead.extend(self.cursor.failed(error)?);
                    Vec::new()
                }
            };
            for notice in self.cursor.notices() {
                self.host.notice(&notice);
            }
            if records.is_empty() {
                continue;
            }
            let mut rows = Vec::with_capacity(records.len());
            for record in &records {
                rows.push(self.extractor.row(record)?);
            }
            if let Some(left) = &mut self.left {
                rows.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= rows.len() as u64;
            }
            self.window = (self.window * 2).min(self.plan.concurrency.max(1));
            self.statistics.page(rows.len());
            return Ok(Some(Page { rows }));
        }
        Ok(None)
    }

    /// Sends as many requests as may be in flight.
    fn launch(&mut self) -> Result<(), ApiError> {
        // In the place of the one that failed: in front.
        while let Some(request) = self.instead.pop_back() {
            let flight = self.flight(request);
            self.flying.push_front(Flying::Underway(flight));
        }
        // Where few rows are left to find, one more page will mostly do.
        let window = if self.left.is_some_and(|left| left <= FEW) { 1 } else { self.window };
        let room = window.saturating_sub(self.flying.len());
        if room > 0 {
            let requests = self.cursor.next(room)?;
            if requests.len() > room {
                return Err(ApiError::Bug("a cursor asks for more than there is room for"));
            }
            for request in requests {
                let flight = self.flight(request);
                self.flying.push_back(Flying::Underway(flight));
            }
        }
        Ok(())
    }

    fn flight(&self, request: Request) -> Flight {
        let (service, limits) = (self.plan.service.clone(), self.plan.limits.clone());
        let (host, statistics) = (self.host.clone(), self.statistics.clone());
        Box::pin(
            async move { service.exchange(host.as_ref(), &limits, &statistics, &request).await },
        )
    }

    /// Waits for the oldest request while the others go on.
    async fn land(&mut self) -> Option<Result<Answer, ApiError>> {
        let flying = &mut self.flying;
        poll_fn(|context| {
            for one in flying.iter_mut() {
                if let Flying::Underway(flight) = one
                    && let Poll::Ready(result) = flight.as_mut().poll(context)
                {
                    *one = Flying::Landed(result);
                }
            }
            match flying.front() {
                Some(Flying::Underway(_)) => Poll::Pending,
                _ => Poll::Ready(()),
            }
        })
        .await;
        match self.flying.pop_front()? {
            Flying::Landed(result) => Some(result),
            Flying::Underway(_) => Some(Err(ApiError::Bug("a request landed before it ended"))),
        }
    }
}
