//! What a plan carries from the planner to the executor, as bytes.
//!
//! Plans are copied, cached and executed again, so nothing in here is a pointer.

use super::columns::TableColumn;
use super::decode::Travel;
use super::masked;
use super::probe::Probe;
use super::sought::SoughtNote;
use crate::pg::packed;
use crate::privacy::right::Clear;
use serde::{Deserialize, Serialize};
use warehouse_core::predicate::postgres::Template;

/// A note on a path: what the source does beyond filtering.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathNote {
    /// It sorts in the order the query wants.
    pub sorted: bool,
    /// It applies LIMIT and OFFSET.
    pub limited: bool,
    /// It sends no more rows than the query takes: it is one of several parts of the query's relation.
    pub at_most: bool,
    /// It sends each row once.
    pub distinct: bool,
    /// It reads the rows of a batch of keys (see [`crate::wrappers::batch`]).
    pub keyed: Option<Keyed>,
}

/// What a scan takes from the batch of keys that it is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyed {
    /// The keys whose values are sent. In a plan, one for each of [`ScanPlan::batched`].
    pub keys: Vec<usize>,
    /// Only rows of the batch whose key (by its number) has this text belong to this scan.
    pub only: Vec<(usize, String)>,
}

/// A column of the remote SELECT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// Its name here, for messages.
    pub name: String,
    /// Its position in the row, from 0.
    pub target: usize,
    /// Its type here.
    pub of: u32,
    /// Its type modifier here.
    pub typmod: i32,
    /// It arrives as text.
    pub text: bool,
    /// It is a transition state, put together from several columns of the SELECT.
    pub state: Option<State>,
    /// What is made of its values before anybody sees them.
    pub mask: Option<MaskNote>,
    /// It is fetched for the mask of another column, and not shown.
    pub hidden: bool,
}

impl Fetched {
    /// A column of a table, whose values go to this position.
    pub fn of(column: &TableColumn, target: usize) -> Fetched {
        Fetched {
            name: column.name.clone(),
            target,
            of: column.of.to_u32(),
            typmod: column.typmod,
            text: column.travel == Travel::Text,
            state: None,
            mask: masked::note(column),
            hidden: false,
        }
    }
}

/// A mask in a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaskNote {
    /// Its text.
    pub text: String,
    /// Which columns of the SELECT it needs, in the order of its own.
    pub others: Vec<Option<usize>>,
}

/// Transition states that Postgres keeps in memory of its own: how their serialized form is put
/// together here, from which columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// `int8_avg_serialize`: count and sum.
    IntegerSum,
    /// `numeric_avg_serialize`: count and sum.
    NumericSum,
    /// `numeric_poly_serialize`: count, sum and sum of squares.
    IntegerSquares,
    /// `numeric_serialize`: count, sum and sum of squares.
    NumericSquares,
}

impl State {
    /// How many columns it is made of.
    pub fn parts(self) -> usize {
        match self {
            State::IntegerSum | State::NumericSum => 2,
            State::IntegerSquares | State::NumericSquares => 3,
        }
    }
}

/// A column that is not fetched because its value is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constant {
    /// Its position in the row, from 0.
    pub target: usize,
    /// Its type here.
    pub of: u32,
    /// Its type modifier here.
    pub typmod: i32,
    /// The value, for the type's input function.
    pub text: String,
}

/// A condition that stayed here, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// Position among the plan's own conditions.
    pub at: usize,
    /// Why.
    pub reason: String,
}

/// What was not built on a relation at the source, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What: join, GROUP BY, DISTINCT, ORDER BY or LIMIT.
    pub what: String,
    /// Why.
    pub reason: String,
}

/// A condition that decides here, before the source is asked, whether there can be any row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// The run-time value, by its number.
    pub param: usize,
    /// What it has to be.
    pub text: String,
}

/// A scan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanPlan {
    /// The foreign server.
    pub server: u32,
    /// What errors call the relation.
    pub label: String,
    /// The SELECT.
    pub sql: Template,
    /// What must be true of the columns it touches.
    pub probe: Probe,
    /// The collation signature that the SELECT relies on, if it relies on one.
    pub collation: Option<String>,
    /// The columns of the SELECT, in order.
    pub fetched: Vec<Fetched>,
    /// The columns whose values are known.
    pub constants: Vec<Constant>,
    /// Without these the source is not asked.
    pub gates: Vec<Gate>,
    /// The run-time values that are made clear before they are sent.
    pub sought: Vec<SoughtNote>,
    /// What it takes from a batch of keys, if it is asked for one.
    pub keyed: Option<Keyed>,
    /// The run-time values that hold the batch's keys, by their numbers.
    pub batched: Vec<usize>,
    /// Bytes expected of a row.
    pub row_size: i32,
    /// Other scans of the plan may take turns with it on the same connection.
    pub interleaved: bool,
    /// More is expected to come than should go through a spool if something else needs the wire.
    pub large: bool,
    /// Why conditions stayed here.
    pub local: Vec<Local>,
    /// The protected columns that it reads in clear, for who has the right.
    pub clear: Vec<Clear>,
    /// Text forms in it are made by this session's DateStyle and IntervalStyle.
    pub styled: bool,
    /// Why what is above it stayed here.
    pub refused: Vec<Refusal>,
    /// The relations; only for `warehouse.explain_pushdown()`.
    pub relations: Vec<String>,
    /// What the source does, part by part; only for `warehouse.explain_pushdown()`.
    pub pushed: Vec<String>,
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
