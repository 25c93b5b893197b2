//! What a plan carries from the planner to the executor, as bytes: plans are copied, cached and
//! executed again, so nothing in here is a pointer. It holds no credential.

use crate::pg::packed;
use crate::privacy::right::Clear;
use serde::{Deserialize, Serialize};
use warehouse_core::predicate::Expr;

/// A column that is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Its name here.
    pub name: String,
    /// Its number among the connector's columns.
    pub place: usize,
    /// Its position in the row; none if it is read for the mask of another.
    pub target: Option<usize>,
    /// Its type here.
    pub of: u32,
    /// Its type modifier here.
    pub typmod: i32,
    /// Its mask.
    pub mask: Option<String>,
    /// Which of the columns that are read its mask needs, in the order of its own.
    pub others: Vec<Option<usize>>,
}

/// A column whose value is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// Its position in the row.
    pub target: usize,
    /// Its type here.
    pub of: u32,
    /// Its type modifier here.
    pub typmod: i32,
    /// Its text.
    pub text: String,
}

/// A condition that the API is not asked about, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Position among the plan's own conditions.
    pub at: usize,
    /// Why.
    pub reason: String,
}

/// A scan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanPlan {
    /// The foreign table.
    pub relation: u32,
    /// What errors call it.
    pub label: String,
    /// The conditions, joined by AND. All of them are checked here again.
    pub conditions: Vec<Expr>,
    /// Where each of them stands among the plan's own.
    pub places: Vec<usize>,
    /// What the connector is not told.
    pub kept: Vec<Kept>,
    /// The columns to read.
    pub fetched: Vec<Fetched>,
    /// The columns that are the same in every row.
    pub constants: Vec<Constant>,
    /// No more rows are needed than so many that satisfy the conditions.
    pub limit: Option<u64>,
    /// What the scan takes of a batch of keys: the number of each key, and that of the parameter that is
    /// the array of its values.
    pub batched: Vec<(usize, usize)>,
    /// The protected columns that are read in clear, for who has the right.
    pub clear: Vec<Clear>,
}

impl ScanPlan {
    /// What goes into the plan.
    pub fn pack(&self) -> Vec<u8> {
        packed::write(self)
    }

    /// The scan that a plan's note describes.
    pub fn unpack(note: &[u8]) -> Result<ScanPlan, postcard::Error> {
        packed::read(note)
    }
}
