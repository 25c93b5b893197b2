//! What reading from the source is expected to cost.
//!
//! The source's own planner will choose; this only has to rank the ways we can ask. Costs are in the
//! planner's units, with Postgres's own defaults for a page and a row at the source.

use super::keys::Index;
use warehouse_core::predicate::Bound;

/// Cost of a page read in order (`seq_page_cost`).
const SEQ_PAGE: f64 = 1.0;
/// Cost of a page that an index led to; replicas keep the inner pages of their indexes in memory.
const INDEX_PAGE: f64 = 2.0;
/// Cost of processing a row (`cpu_tuple_cost`).
const ROW: f64 = 0.01;
/// Cost of one comparison (`cpu_operator_cost`).
const COMPARE: f64 = 0.0025;

/// What is known of the table and asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// Rows of the table.
    pub tuples: f64,
    /// Its pages.
    pub pages: f64,
    /// Its indexes.
    pub indexes: &'a [Index],
    /// The columns narrowed by pushed conditions: name, how, and the fraction of rows it leaves.
    pub bounds: &'a [(String, Bound, f64)],
    /// How many conditions are pushed.
    pub conditions: usize,
}

/// Finding the rows at the source.
pub fn access(ask: Ask<'_>) -> f64 {
    let sequential = ask.pages * SEQ_PAGE + ask.tuples * (ROW + COMPARE * ask.conditions as f64);
    ask.indexes.iter().filter_map(|index| by_index(ask, index)).fold(sequential, f64::min)
}

fn by_index(ask: Ask<'_>, index: &Index) -> Option<f64> {
    let mut fraction = 1.0;
    let mut equal = 0;
    for column in &index.columns {
        let mut range = false;
        let mut found = false;
        for (_, kind, part) in ask.bounds.iter().filter(|(name, ..)| name == column) {
            found = true;
            fraction *= part;
            range |= *kind == Bound::Range;
        }
        if !found {
            break;
        }
        if range {
            equal += 1;
            break;
        }
        equal += 1;
    }
    if equal == 0 {
        return None;
    }
    let mut rows = (ask.tuples * fraction).max(1.0);
    if index.unique && equal == index.columns.len() && fraction * ask.tuples < 2.0 {
        rows = 1.0;
    }
    let descent = 2.0 * INDEX_PAGE + ask.tuples.max(2.0).log2().ceil() * COMPARE;
    Some(descent + rows * (INDEX_PAGE.min(ask.pages * INDEX_PAGE / rows) + ROW + COMPARE))
}

/// Sorting rows at the source; only the first `bound` of them if that is known.
pub fn sort(rows: f64, bound: Option<f64>) -> f64 {
    let rows = rows.max(2.0);
    let kept = bound.map_or(rows, |bound| (2.0 * bound).clamp(2.0, rows));
    2.0 * COMPARE * rows * kept.log2().max(1.0)
}

/// Whether an index yields rows in the order of these columns.
pub fn is_indexed(indexes: &[Index], columns: &[&str]) -> bool {
    !columns.is_empty()
        && indexes.iter().any(|index| {
            index.columns.len() >= columns.len()
                && index.columns.iter().zip(columns).all(|(have, want)| have == want)
        })
}

/// Joining two sets of rows by hash.
pub fn hash(left: f64, right: f64) -> f64 {
    (left + right) * (ROW + COMPARE) + left.min(right) * COMPARE
}

/// Passing rows on.
pub fn rows(rows: f64) -> f64 {
    rows * ROW
}

/// Grouping rows with this many aggregates and keys.
pub fn group(rows: f64, groups: f64, expressions: usize) -> f64 {
    rows * COMPARE * (expressions.max(1)) as f64 + groups * ROW
}
