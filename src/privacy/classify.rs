//! `warehouse.classify()`: the policy of one column, checked before it is written.

use super::audit::{self, Entry};
use super::columns::{self, Column, Policy};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::subtransaction::attempt;
use crate::pg::{catalog, identity, sql, types};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use pgrx::prelude::*;
use warehouse_core::masks::{Mask, TypeFamily};
use warehouse_core::privacy::{Class, detect};
use warehouse_core::quote;

/// Sets the class and the mask of a column of a foreign table, or of every site of a merged table.
#[pg_extern(
    volatile,
    parallel_unsafe,
    sql = r#"
CREATE FUNCTION warehouse.classify(relation regclass, column_name text, class text DEFAULT NULL, mask text DEFAULT NULL)
  RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
  AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';
"#
)]
fn classify(
    relation: Option<Oid>,
    column_name: Option<&str>,
    class: Option<&str>,
    mask: Option<&str>,
) {
    let (Some(relation), Some(column_name)) = (relation, column_name) else {
        Error::new(
            Code::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "relation and column_name must not be NULL",
        )
        .raise()
    };
    run(relation, column_name, class, mask).or_raise();
}

fn run(relation: Oid, name: &str, class: Option<&str>, mask: Option<&str>) -> Result<()> {
    let all = columns::of_relation(relation)?;
    if all.is_empty() {
        return Err(Error::new(
            Code::ERRCODE_WRONG_OBJECT_TYPE,
            format!("{} is neither a foreign table of this extension nor a merged table", types::relation_label(relation)),
        )
        .hint("The policy belongs to tables that read from a source; warehouse.columns lists their columns."));
    }
    let found: Vec<&Column> = all.iter().filter(|column| column.name == name).collect();
    let Some(first) = found.first() else {
        return Err(Error::new(
            Code::ERRCODE_UNDEFINED_COLUMN,
            format!("column \"{name}\" of {} does not exist", types::relation_label(relation)),
        ));
    };
    columns::require_right(&all)?;
    let found: Vec<&Column> = found.iter().copied().filter(|column| !column.is_constant).collect();
    if found.is_empty() {
        return Err(Error::new(
            Code::ERRCODE_INVALID_PARAMETER_VALUE,
            format!(
                "column \"{name}\" of {} is a constant and has no policy",
                types::relation_label(relation)
            ),
        ));
    }
    let policy = choose(first, &all, class, mask)?;
    for column in &found {
        columns::set(&[(column, policy.clone())])?;
    }
    let action = match &policy {
        // The mask's name alone: an argument may be a literal.
        Some((class, mask)) => format!("classify as {class}, mask {}", mask.name()),
        None => "remove classification".to_owned(),
    };
    audit::record(&Entry {
        role: identity::current(),
        action: &action,
        relation: Some(&types::relation_plain_label(relation)),
        columns: &[name.to_owned()],
        rows: None,
        query_id: None,
    })
}

/// The policy that is meant, if it is possible.
fn choose(
    column: &Column,
    all: &[Column],
    class: Option<&str>,
    mask: Option<&str>,
) -> Result<Option<Policy>> {
    if class.is_none() && mask.is_none() {
        return Ok(None);
    }
    let family = column.family();
    let class: Class = match class.or(column.class.as_deref()) {
        Some(class) => class.parse().map_err(|e| {
            Error::new(
                Code::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("unknown class for column \"{}\"", column.name),
            )
            .hint(capitalized(&e))
        })?,
        None => {
            return Err(Error::new(
                Code::ERRCODE_INVALID_PARAMETER_VALUE,
                format!("column \"{}\" has no class, and a mask alone is no policy", column.name),
            )
            .hint("Say what the column is: classify(…, class => 'identifier', mask => …)."));
        }
    };
    let mask = match mask {
        Some(text) => {
            let mask = text.parse().map_err(|e| {
                Error::new(
                    Code::ERRCODE_INVALID_PARAMETER_VALUE,
                    format!("invalid mask for column \"{}\": {e}", column.name),
                )
                .hint(fitting(column, &family))
            })?;
            check(column, all, &mask, &family)?;
            mask
        }
        None => default_mask(column, class, &family),
    };
    Ok(Some((class, mask)))
}

/// The mask of a class for what the column's name says it holds. A kind whose own class is weaker says
/// too little: then all is hidden.
fn default_mask(column: &Column, class: Class, family: &TypeFamily) -> Mask {
    let kind = detect::detect(&detect::Column {
        table: &column.relation_name,
        name: &column.name,
        family,
        is_enum: column.is_enum(),
        comment: column.comment.as_deref(),
        samples: &[],
        minors: true,
    })
    .kind;
    match kind {
        Some(kind) if class != Class::Public && kind.class(true) >= class => {
            kind.default_mask(family, true)
        }
        _ => class.default_mask(),
    }
}

/// Whether a mask can be applied to a column while it is read.
fn check(column: &Column, all: &[Column], mask: &Mask, family: &TypeFamily) -> Result<()> {
    let invalid = |message: String| Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message);
    if mask.needs_whole_column() {
        // Full refreshes read such columns of replica_fdw; nothing else reads them.
        let server = catalog::table(column.table()).server;
        if catalog::handler_name(server) == "replica_fdw_handler" {
            return Ok(());
        }
        return Err(invalid(format!(
            "mask {} of column \"{}\" is for tables of replica_fdw",
            mask.name(),
            column.name
        ))
        .hint(fitting(column, family)));
    }
    match mask.result(family) {
        Ok(result) if result == *family => {}
        Ok(result) => {
            return Err(invalid(format!(
                "mask {} makes {result} of column \"{}\", which is {}",
                mask.name(),
                column.name,
                column.type_name
            ))
            .hint(fitting(column, family)));
        }
        Err(_) => {
            return Err(invalid(format!(
                "mask {} does not fit column \"{}\" of type {}",
                mask.name(),
                column.name,
                column.type_name
            ))
            .hint(fitting(column, family)));
        }
    }
    for other in mask.columns() {
        let has = |table: Oid| all.iter().any(|c| c.table() == table && c.name == other);
        if !all.iter().all(|c| has(c.table())) {
            return Err(Error::new(
                Code::ERRCODE_UNDEFINED_COLUMN,
                format!(
                    "mask {} of column \"{}\" reads column \"{other}\", which does not exist",
                    mask.name(),
                    column.name
                ),
            ));
        }
    }
    if let Mask::Constant(text) = mask {
        let value = format!("SELECT CAST({} AS {})", quote::literal(text), column.type_name);
        // What a type or the checks of a domain run is run as the owner of the table, who chose it.
        let owner = catalog::relation_owner(column.table()).unwrap_or_else(identity::current);
        attempt(|| identity::acting_as(owner, || sql::execute(&value))).map_err(|_| {
            invalid(format!(
                "the constant is no value of column \"{}\" of type {}",
                column.name, column.type_name
            ))
        })?;
    }
    Ok(())
}

fn fitting(column: &Column, family: &TypeFamily) -> String {
    let same = |text: &&str| {
        let mask = text.parse::<Mask>();
        mask.is_ok_and(|m| !m.needs_whole_column() && m.result(family).as_ref() == Ok(family))
    };
    let masks: Vec<&str> = Mask::fitting(family).into_iter().filter(same).collect();
    format!("Masks that fit {}: {}.", column.type_name, masks.join(", "))
}

fn capitalized(text: &impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), chars.as_str()),
        None => text,
    }
}
