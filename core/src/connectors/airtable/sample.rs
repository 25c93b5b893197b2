//! A sample of a table.
//!
//! Listings have no total and cannot be entered in the middle. But ids of records end in a letter or
//! digit by chance: a formula that asks for some of these endings gives as large a part of the
//! records, and what one of them finds tells how many there are.

use super::listing::{Listing, Wanted};
use super::planner::{everything, option};
use super::{Airtable, is_code};
use crate::connectors::plan::{Plan, Query, Strategy};
use crate::connectors::{Answer, ApiError, Connector, Cursor, Notice, Record, Request, mixed};
use std::rc::Rc;

/// What ids are made of.
const ENDINGS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Plans a sample of about so many records.
pub fn plan(airtable: &Airtable, query: &Query<'_>, records: usize) -> Result<Plan, ApiError> {
    let mut plan = airtable.plan(query)?;
    plan.cacheable = false;
    let table = query.table;
    if let (Some(base), Some(id)) = (option(table, "base_id"), option(table, "table_id"))
        && option(table, "catalogue").is_none()
    {
        let wanted = everything(table, query.columns, base, id);
        plan.strategy = Rc::new(Sampling { wanted, records });
    }
    Ok(plan)
}

struct Sampling {
    wanted: Wanted,
    records: usize,
}

impl Strategy for Sampling {
    fn start(&self, now: u64) -> Box<dyn Cursor> {
        let first = (mixed(now) % ENDINGS.len() as u64) as usize;
        let mut endings = ENDINGS.to_vec();
        endings.rotate_left(first);
        let rest = endings.split_off(1);
        let listing = Listing::new(ending(&self.wanted, &endings, false));
        Box::new(Sample {
            wanted: self.wanted.clone(),
            records: self.records,
            listing,
            stage: Stage::First,
            first: endings,
            rest,
            got: 0,
            share: 1.0 / ENDINGS.len() as f64,
        })
    }
}

/// The records whose ids end so, or do not.
fn ending(wanted: &Wanted, endings: &[u8], not: bool) -> Wanted {
    let one = |ending: &u8| format!("RIGHT(RECORD_ID(),1)='{}'", char::from(*ending));
    let all: Vec<String> = endings.iter().map(one).collect();
    let formula = match all.as_slice() {
        [only] => only.clone(),
        several => format!("OR({})", several.join(",")),
    };
    let formula = if not { format!("NOT({formula})") } else { formula };
    Wanted { fixed: Some(formula), ..wanted.clone() }
}

#[derive(PartialEq)]
enum Stage {
    /// The records of one ending.
    First,
    /// What is read after them.
    Last,
}

struct Sample {
    wanted: Wanted,
    records: usize,
    listing: Listing,
    stage: Stage,
    first: Vec<u8>,
    rest: Vec<u8>,
    got: usize,
    share: f64,
}

impl Sample {
    /// What to read after the records of one ending; `None` if they are enough.
    fn more(&mut self) -> Option<Wanted> {
        let all = self.got * ENDINGS.len();
        if all <= self.records + self.records / 2 {
            self.share = 1.0;
            return Some(ending(&self.wanted, &self.first, true));
        }
        let wanted = self.records.saturating_sub(self.got).div_ceil(self.got.max(1));
        let wanted = &self.rest[..wanted.min(self.rest.len())];
        if wanted.is_empty() {
            return None;
        }
        self.share = (1 + wanted.len()) as f64 / ENDINGS.len() as f64;
        Some(ending(&self.wanted, wanted, false))
    }
}

impl Cursor for Sample {
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError> {
        let requests = self.listing.next(room)?;
        if !requests.is_empty() || self.stage == Stage::Last || self.listing.is_underway() {
            return Ok(requests);
        }
        self.stage = Stage::Last;
        match self.more() {
            None => Ok(Vec::new()),
            Some(wanted) => {
                self.listing = Listing::new(wanted);
                self.listing.next(room)
            }
        }
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        let records = self.listing.answered(answer)?;
        self.got += records.len();
        Ok(records)
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        // Then all of it has to be read.
        if is_code(&error, &["INVALID_FILTER_BY_FORMULA"]) && self.got == 0 {
            (self.stage, self.share) = (Stage::Last, 1.0);
            self.listing = Listing::new(self.wanted.clone());
            return Ok(Vec::new());
        }
        self.listing.failed(error)
    }

    fn share(&self) -> f64 {
        self.share
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.listing.notices()
    }
}
