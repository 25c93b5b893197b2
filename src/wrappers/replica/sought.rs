//! Rows that are sought by the masked value of a column: `email = 'token'`.
//!
//! Of a mask that can be inverted (token, fpe) the value is made clear when the scan is executed, and the
//! source is asked for the rows that have it. The condition itself is still checked here, on what is shown:
//! the source may find more than it. So nothing is learned that reading all rows would not tell, and the
//! clear value is in no plan, only in what is sent to the source.

use super::columns::{Scope, TableColumn};
use super::decode::Travel;
use super::options::ColumnSource;
use crate::pg::datum;
use crate::pg::error::{Error, Result};
use crate::pg::node::{Kind, Node};
use crate::pg::types;
use crate::privacy::family::family;
use crate::privacy::keys;
use crate::privacy::policy::Shown;
use pgrx::pg_sys::{self, Oid};
use serde::{Deserialize, Serialize};
use std::fmt;
use warehouse_core::masks::{Context, Inverter, Mask, MaskError, Masked, TypeFamily, Value};
use warehouse_core::predicate::{Expr, OperatorName, TypeName};
use warehouse_core::{arrays, quote};

/// A condition that names a masked column by its value.
#[derive(Debug)]
pub struct Sought<'p> {
    /// The masked value, or the array of them. No column is in it.
    pub value: Node<'p>,
    column: Expr,
    of: TypeName,
    note: SoughtNote,
}

/// What a plan says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoughtNote {
    /// The run-time value, by its number.
    pub param: usize,
    /// The column's name here.
    pub column: String,
    /// Its type here.
    pub of: u32,
    /// Its mask.
    pub mask: String,
    /// The value is an array: any of its elements is sought.
    pub array: bool,
}

impl Sought<'_> {
    /// The condition at the source, with the clear value as this run-time value.
    pub fn condition(&self, param: usize) -> Expr {
        let (op, left) = (OperatorName::builtin("="), self.column.clone());
        let right = Expr::Param { index: param, of: self.of.clone() };
        match self.note.array {
            true => Expr::AnyAll { op, all: false, left: Box::new(left), right: Box::new(right) },
            false => Expr::Operator { op, args: vec![left, right] },
        }
    }

    /// The note for the plan.
    pub fn note(&self, param: usize) -> SoughtNote {
        SoughtNote { param, ..self.note.clone() }
    }
}

/// What a whole condition seeks, if it is the equality of a column under an invertible mask with a value
/// that is known when the scan is executed.
pub fn find<'p>(scope: &Scope<'_>, condition: Node<'p>) -> Option<Sought<'p>> {
    let (args, collation, array) = match condition.kind() {
        Kind::Op { opfuncid, inputcollid, args, .. } if is_equality(opfuncid) => {
            (args, inputcollid, false)
        }
        Kind::ScalarArrayOp { opfuncid, use_or: true, inputcollid, args, .. }
            if is_equality(opfuncid) =>
        {
            (args, inputcollid, true)
        }
        _ => return None,
    };
    // Another masked value may be equal here otherwise, which the source would not be asked for.
    // SAFETY: a plain lookup.
    if collation != Oid::INVALID && !unsafe { pg_sys::get_collation_isdeterministic(collation) } {
        return None;
    }
    let [left, right] = args[..] else { return None };
    let (relation, column, value) = match (masked(scope, left), masked(scope, right)) {
        (Some((relation, column)), None) => (relation, column, right),
        (None, Some((relation, column))) if !array => (relation, column, left),
        _ => return None,
    };
    if value.is_volatile() || !value.parts(false).is_empty() {
        return None;
    }
    let Shown::Masked(mask) = &column.shown else { return None };
    let element = match types::base_type(column.of) {
        pg_sys::INT4OID => "integer",
        pg_sys::INT8OID => "bigint",
        _ => "text",
    };
    Some(Sought {
        value,
        column: column.raw_output(relation)?,
        of: TypeName(if array { format!("{element}[]") } else { element.to_owned() }),
        note: SoughtNote {
            param: 0,
            column: column.name.clone(),
            of: column.of.to_u32(),
            mask: mask.to_string(),
            array,
        },
    })
}

/// Equality of texts and of integers of all widths, which is the same at the source.
fn is_equality(function: Oid) -> bool {
    types::is_builtin(function)
        && types::function(function).is_some_and(|function| {
            matches!(
                function.name.as_str(),
                "texteq"
                    | "int4eq"
                    | "int8eq"
                    | "int48eq"
                    | "int84eq"
                    | "int24eq"
                    | "int42eq"
                    | "int28eq"
                    | "int82eq"
            )
        })
}

/// The column that a node is, if its mask can be inverted and its raw values are compared there as they are
/// here.
fn masked<'s>(scope: &'s Scope<'_>, node: Node<'_>) -> Option<(u32, &'s TableColumn)> {
    let Kind::Var { varno, varattno, varlevelsup: 0, .. } = node.unlabeled().kind() else {
        return None;
    };
    let (table, column) = scope.find(varno, varattno)?;
    let Shown::Masked(mask) = &column.shown else { return None };
    let invertible = matches!(**mask, Mask::Token { .. } | Mask::Fpe { .. });
    let comparable = matches!(
        types::base_type(column.of),
        pg_sys::TEXTOID | pg_sys::VARCHAROID | pg_sys::INT4OID | pg_sys::INT8OID
    );
    let as_stored = matches!(column.raw, ColumnSource::Remote { remote_type: None, .. })
        && column.travel == Travel::Binary;
    (invertible && comparable && as_stored && !table.nullable).then_some((varno, column))
}

/// Makes the values of a scan clear.
pub struct Seeker {
    note: SoughtNote,
    family: TypeFamily,
    inverter: Inverter,
    room: String,
}

impl fmt::Debug for Seeker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeker").field("note", &self.note).finish_non_exhaustive()
    }
}

impl Seeker {
    /// With the keys that the scan masks with.
    ///
    /// # Errors
    /// 55000 where there is no key.
    pub fn new(note: &SoughtNote) -> Result<Seeker> {
        let told =
            |error: MaskError| Error::from(error).within(&format!("column \"{}\"", note.column));
        let mask: Mask = note.mask.parse().map_err(told)?;
        let keyring = keys::required(mask.name())?;
        let context = Context { keys: Some(&keyring), today: datum::today(), ..Context::default() };
        let family = family(Oid::from(note.of));
        let inverter = mask.inverter(&family, &context).map_err(told)?;
        let inverter =
            inverter.ok_or_else(|| Error::bug("a mask was sought that has no inverse"))?;
        Ok(Seeker { note: note.clone(), family, inverter, room: String::new() })
    }

    /// Which run-time value it is for.
    pub fn param(&self) -> usize {
        self.note.param
    }

    /// The literal to send in place of a masked value, given as text; `None` if no row can have it.
    pub fn literal(&mut self, masked: Option<&str>) -> Option<String> {
        let masked = masked?;
        if !self.note.array {
            return self.clear(masked).map(|clear| quote::literal(&clear));
        }
        let clear: Vec<String> = arrays::elements(masked)?
            .iter()
            .flatten()
            .filter_map(|element| self.clear(element))
            .collect();
        let all = arrays::text(clear.iter().map(String::as_str));
        (!clear.is_empty()).then(|| quote::literal(&all))
    }

    fn clear(&mut self, masked: &str) -> Option<String> {
        let value = match self.family {
            TypeFamily::Integer(_) => Value::Integer(masked.parse().ok()?),
            _ => Value::Text(masked),
        };
        match self.inverter.clear(value, &mut self.room)? {
            Masked::Text(text) => Some(text.to_owned()),
            Masked::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }
}
