//! Why a clause stays here instead of going to the source.

use std::fmt;

/// The first thing found in a clause that keeps it local. Shown by EXPLAIN (VERBOSE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The result depends on a collation that is not proven to be the same at the source.
    Collation,
    /// The function or operator named may give another result in another session or moment.
    NotImmutable(String),
    /// The function, operator or type named is not built in, so the source may not have it.
    NotBuiltIn(String),
    /// The text form of the type named depends on settings of the session.
    SessionDependentText(String),
    /// The column named does not exist at the source or is not stored there as this type.
    Column(String),
    /// The column named is masked: nothing that depends on its values is sent.
    Masked(String),
    /// A whole-row reference or a system column.
    WholeRow,
    /// A value without columns that the query may never compute, and that may fail when it is computed.
    Unreached,
    /// What is said.
    Here(&'static str),
    /// A sub-query, which runs here.
    SubQuery,
    /// An expression node that no dialect writes; names the node.
    Unsupported(&'static str),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Collation => f.write_str("collation"),
            Reason::NotImmutable(name) => write!(f, "{name} is not immutable"),
            Reason::NotBuiltIn(name) => write!(f, "{name} is not built in"),
            Reason::SessionDependentText(name) => {
                write!(f, "text form of {name} depends on the session")
            }
            Reason::Column(name) => write!(f, "column {name} is not readable at the source"),
            Reason::Masked(name) => write!(f, "column {name} is masked"),
            Reason::WholeRow => f.write_str("whole row or system column"),
            Reason::Unreached => f.write_str("a value that may never be computed"),
            Reason::Here(why) => f.write_str(why),
            Reason::SubQuery => f.write_str("sub-query"),
            Reason::Unsupported(node) => write!(f, "{node} is not sent"),
        }
    }
}
