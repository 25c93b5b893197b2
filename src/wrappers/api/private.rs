//! What a plan carries from the planner to the executor, as text: plans are copied, cached and
//! executed again, so nothing in here is a pointer. It holds no credential.

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
    /// Which of the columns that are read its mask needs, in the order of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// The columns to read.
    pub fetched: Vec<Fetched>,
    /// The columns that are the same in every row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constants: Vec<Constant>,
    /// No more rows are needed than so many that satisfy the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What the scan takes of a batch of keys: the number of each key, and that of the parameter that is
    /// the array of its values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batched: Vec<(usize, usize)>,
    /// The protected columns that are read in clear, for who has the right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<Clear>,
}

impl ScanPlan {
    /// The text that goes into the plan.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("invariant: strings and numbers are always JSON")
    }

    /// The scan that a plan's text describes.
    pub fn from_text(text: &str) -> Result<ScanPlan, serde_json::Error> {
        serde_json::from_str(text)
    }
}
