//! Ids by criteria, then records by ids.
//!
//! A search that lists as many ids as its cap is not the newest of all, but some of all: its window of
//! `created_at` is halved, the later half first, until a search lists fewer. The service adds a minute
//! to the upper bound of a window, so that records at its seam come with both halves; each is taken
//! from the half it belongs to by its own `created_at`.
//!
//! A sample lists all ids in the same way and asks for some of the records.
//!
//! Records that are gone between the two steps are silently missing from the second, as the service
//! documents; anything else that is missing is an error.

use super::criteria::{Criteria, Node, Window};
use super::resource::Shape;
use super::unexpected;
use crate::connectors::error::{ApiError, Endpoint};
use crate::connectors::paging::Seen;
use crate::connectors::tree::Tree;
use crate::connectors::{Answer, Cursor, Record, Request, mixed, time};
use std::collections::VecDeque;

/// A search; several are united.
#[derive(Debug, Clone)]
pub struct Arm {
    /// The criteria.
    pub criteria: Criteria,
    /// The window of `created_at`.
    pub window: Window,
}

/// The most ids of one request for records; the service says how many it likes.
pub const SLICE: usize = 50;
/// How often a request that can be made smaller is sent before it is.
const ATTEMPTS: u32 = 3;
/// So many failures without a success in between are no matter of size: fifty records have been halved
/// down to one by then, and ten years to two weeks.
const FAILURES: u32 = 8;

#[derive(Debug, Clone)]
struct Part {
    criteria: Criteria,
    window: Window,
    /// Records outside the window belong to another part.
    is_split: bool,
}

enum Work {
    Ids(Part),
    Records { ids: Vec<String>, part: Part },
}

/// The state of a search.
pub struct Search {
    shape: Shape,
    cap: usize,
    /// Seconds since 2000-01-01.
    now: i64,
    parts: VecDeque<Part>,
    slices: VecDeque<Work>,
    underway: VecDeque<Work>,
    /// How many records the first slice should have, where few are wanted.
    first: usize,
    seen: Option<Seen>,
    /// Answers that failed since the last one that did not.
    failures: u32,
    sample: Option<Sample>,
}

/// Ids of some of the records, each as likely as any other.
struct Sample {
    criteria: Criteria,
    most: usize,
    listed: usize,
    chosen: Vec<String>,
    /// How many of them were asked for.
    drawn: usize,
    chance: u64,
}

impl Sample {
    /// Vitter's algorithm R.
    fn offer(&mut self, id: String) {
        self.listed += 1;
        if self.chosen.len() < self.most {
            self.chosen.push(id);
            return;
        }
        self.chance = mixed(self.chance);
        let place = (self.chance % self.listed as u64) as usize;
        if let Some(known) = self.chosen.get_mut(place) {
            *known = id;
        }
    }
}

impl Search {
    /// A search by criteria. `limit` is how many records are wanted.
    pub fn new(shape: Shape, cap: usize, now: i64, arms: Vec<Arm>, limit: Option<u64>) -> Search {
        let united = arms.len() > 1;
        let part = |arm: Arm| Part { criteria: arm.criteria, window: arm.window, is_split: false };
        Search {
            shape,
            cap,
            now,
            parts: arms.into_iter().filter(|arm| !arm.window.is_empty()).map(part).collect(),
            slices: VecDeque::new(),
            underway: VecDeque::new(),
            first: limit.map_or(SLICE, |limit| (limit as usize).clamp(1, SLICE)),
            seen: united.then(Seen::default),
            failures: 0,
            sample: None,
        }
    }

    /// About so many of all records that fulfil the criteria.
    pub fn sampled(shape: Shape, cap: usize, now: i64, criteria: Criteria, most: usize) -> Search {
        let arm = Arm { criteria: criteria.clone(), window: Window::default() };
        let sample = Sample {
            criteria,
            most: most.max(1),
            listed: 0,
            chosen: Vec::new(),
            drawn: 0,
            chance: mixed(now as u64),
        };
        Search { sample: Some(sample), ..Search::new(shape, cap, now, vec![arm], None) }
    }

    /// Asks for the records that were chosen, when all ids have been listed.
    fn draw(&mut self) {
        let Some(sample) = &mut self.sample else { return };
        let mut ids = std::mem::take(&mut sample.chosen);
        // Those at a seam were listed twice.
        ids.sort_unstable();
        ids.dedup();
        sample.drawn += ids.len();
        let criteria = sample.criteria.clone();
        let part = Part { criteria, window: Window::default(), is_split: false };
        self.slice(ids, SLICE, &part);
    }

    /// The records of these ids.
    pub fn of_ids(shape: Shape, criteria: Criteria, ids: Vec<String>) -> Search {
        let mut search = Search::new(shape, usize::MAX, 0, Vec::new(), None);
        let part = Part { criteria, window: Window::default(), is_split: false };
        search.slice(ids, SLICE, &part);
        search
    }

    fn slice(&mut self, ids: Vec<String>, size: usize, part: &Part) {
        let size = size.clamp(1, SLICE);
        let first = std::mem::replace(&mut self.first, SLICE).min(size).min(ids.len());
        let (head, rest) = ids.split_at(first);
        for ids in std::iter::once(head).chain(rest.chunks(size)).filter(|ids| !ids.is_empty()) {
            self.slices.push_back(Work::Records { ids: ids.to_vec(), part: part.clone() });
        }
    }

    fn request(&self, work: &Work) -> Request {
        let path = self.shape.resource.path;
        let (path, criteria, is_divisible) = match work {
            Work::Ids(part) => {
                let is_divisible = part.window.halves(self.now).is_some();
                (format!("{path}/advanced_search_ids"), windowed(part), is_divisible)
            }
            Work::Records { ids, part } => {
                let criteria = windowed(part).with("ids", Node::List(ids.clone()));
                (format!("{path}/advanced_search"), criteria, ids.len() > 1)
            }
        };
        let request = Request::post(path.clone(), path, criteria.body());
        Request { attempts: if is_divisible { ATTEMPTS } else { u32::MAX }, ..request }
    }

    fn endpoint(&self, step: &str) -> Endpoint {
        Endpoint { method: "POST", path: format!("{}/{step}", self.shape.resource.path) }
    }

    fn listed(&mut self, answer: &Answer, part: Part) -> Result<(), ApiError> {
        let endpoint = self.endpoint("advanced_search_ids");
        if answer.root != "search_results" {
            return Err(unexpected(endpoint, "it is not a list of ids"));
        }
        let Some(Tree::List(items)) = answer.tree.get("ids") else {
            return Err(unexpected(endpoint, "it has no list of ids"));
        };
        let ids: Option<Vec<String>> =
            items.iter().map(|item| item.as_text().map(str::to_owned)).collect();
        let Some(ids) = ids else { return Err(unexpected(endpoint, "an id is not text")) };
        if ids.len() >= self.cap {
            let Some(halves) = part.window.halves(self.now) else {
                let what = "more records in a minute than the search lists";
                return Err(ApiError::Incomplete { endpoint, what });
            };
            self.divide(part, halves);
            return Ok(());
        }
        if let Some(sample) = &mut self.sample {
            ids.into_iter().for_each(|id| sample.offer(id));
            return Ok(());
        }
        let size = answer.tree.text_of("page_size").and_then(|size| size.parse().ok());
        self.slice(ids, size.unwrap_or(SLICE), &part);
        Ok(())
    }

    fn divide(&mut self, part: Part, [later, earlier]: [Window; 2]) {
        for window in [earlier, later] {
            self.parts.push_front(Part { window, is_split: true, ..part.clone() });
        }
    }

    fn fetched(
        &mut self,
        answer: Answer,
        ids: &[String],
        part: &Part,
    ) -> Result<Vec<Record>, ApiError> {
        let endpoint = self.endpoint("advanced_search");
        let resource = self.shape.resource;
        if answer.root != resource.root {
            return Err(unexpected(endpoint, "it is a list of something else"));
        }
        let Tree::Object(members) = answer.tree else {
            return Err(unexpected(endpoint, "it is not a collection"));
        };
        let (mut listed, mut total) = (0_u64, None);
        let mut records = Vec::with_capacity(ids.len());
        for (name, tree) in members {
            match (name.as_str(), tree) {
                ("total_items", total_items) => {
                    total = total_items.as_text().and_then(|text| text.parse::<u64>().ok());
                }
                ("current_page_number" | "page_size", _) => {}
                (name, tree @ Tree::Object(_)) => {
                    listed += 1;
                    if name == resource.tag {
                        records.push(tree);
                    }
                }
                _ => {}
            }
        }
        if total.is_some_and(|total| total > listed) {
            let what = "the answer has fewer records than it says";
            return Err(ApiError::Incomplete { endpoint, what });
        }
        let mut out = Vec::new();
        for record in records {
            let id = record.text_of("id").unwrap_or_default();
            if !ids.iter().any(|asked| asked == id) {
                return Err(unexpected(endpoint, "it has a record that was not asked for"));
            }
            if part.is_split {
                let created = record.text_of("created_at").and_then(time::timestamp);
                let created = created
                    .ok_or_else(|| unexpected(endpoint.clone(), "a record has no created-at"))?;
                if !part.window.holds(created.div_euclid(1_000_000)) {
                    continue;
                }
            }
            if self.seen.as_mut().is_some_and(|seen| !seen.insert(id))
                || !(self.shape.keep)(&record)
            {
                continue;
            }
            out.extend((self.shape.rows)(record));
        }
        Ok(out)
    }
}

/// The criteria with the window.
fn windowed(part: &Part) -> Criteria {
    match part.window.node() {
        Some(node) => part.criteria.with("created_at", node),
        None => part.criteria.clone(),
    }
}

impl Cursor for Search {
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError> {
        if self.slices.is_empty() && self.underway.is_empty() {
            match self.parts.pop_front() {
                Some(part) => self.slices.push_back(Work::Ids(part)),
                None => self.draw(),
            }
        }
        let count = room.min(self.slices.len());
        let works: Vec<Work> = self.slices.drain(..count).collect();
        let requests = works.iter().map(|work| self.request(work)).collect();
        self.underway.extend(works);
        Ok(requests)
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        self.failures = 0;
        match self.underway.pop_front() {
            Some(Work::Ids(part)) => self.listed(&answer, part).map(|()| Vec::new()),
            Some(Work::Records { ids, part }) => self.fetched(answer, &ids, &part),
            None => Err(ApiError::Bug("an answer to nothing")),
        }
    }

    fn share(&self) -> f64 {
        let sample = self.sample.as_ref().filter(|sample| sample.drawn > 0);
        sample.map_or(1.0, |sample| (sample.drawn as f64 / sample.listed as f64).min(1.0))
    }

    /// Fifty heavy records may be too much for the service, and a long window too much to search:
    /// half of it may not.
    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        let work = self.underway.pop_front();
        self.failures += 1;
        if self.failures > FAILURES {
            return Err(error);
        }
        match (&error, work) {
            (
                ApiError::Service { .. } | ApiError::Timeout { .. },
                Some(Work::Records { ids, part }),
            ) if ids.len() > 1 => {
                let (left, right) = ids.split_at(ids.len() / 2);
                let halves = [left, right]
                    .map(|ids| Work::Records { ids: ids.to_vec(), part: part.clone() });
                let requests = halves.iter().map(|work| self.request(work)).collect();
                for work in halves.into_iter().rev() {
                    self.underway.push_front(work);
                }
                Ok(requests)
            }
            (ApiError::Service { .. } | ApiError::Timeout { .. }, Some(Work::Ids(part))) => {
                match part.window.halves(self.now) {
                    Some(halves) => {
                        self.divide(part, halves);
                        Ok(Vec::new())
                    }
                    None => Err(error),
                }
            }
            _ => Err(error),
        }
    }
}
