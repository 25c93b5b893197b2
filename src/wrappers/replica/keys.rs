//! What a foreign table remembers of its source's indexes and foreign keys: the table options
//! `indexes` and `foreign_keys`, JSON that import writes and pg_dump keeps.
//!
//! The planner needs the indexes to tell a lookup from a scan of everything; `warehouse.relationships`
//! shows the keys, which foreign tables cannot carry.

use serde::{Deserialize, Serialize};

/// A B-tree index of a source's table, with column names as at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// No two rows agree in all columns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unique: bool,
    /// It is the primary key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

/// A foreign key of a source's table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The schema at the source of the table referred to.
    pub schema: String,
    /// The table referred to.
    pub table: String,
    /// The columns referred to.
    pub references: Vec<String>,
}

/// The value of the option `indexes`.
pub fn parse_indexes(text: &str) -> Result<Vec<Index>, serde_json::Error> {
    serde_json::from_str(text)
}

/// The value of the option `foreign_keys`.
pub fn parse_foreign_keys(text: &str) -> Result<Vec<ForeignKey>, serde_json::Error> {
    serde_json::from_str(text)
}
