//! The areas that the mask `zip3` hides: those of the table `warehouse.zip3_population`, or the list that is
//! built in while that is empty.
//!
//! A command reads the table once. What it has itself changed, and what others have committed since the
//! statement began, is seen as by any query of the same moment.

use crate::pg::error::{Error, Result};
use crate::pg::{sql, subtransaction};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::rc::Rc;
use warehouse_core::masks::postal::Restricted;

/// What a command has found, and which it was.
#[derive(Default)]
struct Found {
    moment: (i64, u32, u32),
    restricted: Option<Rc<Restricted>>,
}

thread_local! {
    static FOUND: RefCell<Found> = RefCell::default();
}

/// What tells commands apart: the client's statement, the subtransaction, and the writes before it.
fn moment() -> (i64, u32, u32) {
    // SAFETY: plain questions; no command id is used up.
    unsafe {
        (
            pg_sys::GetCurrentStatementStartTimestamp(),
            subtransaction::current(),
            pg_sys::GetCurrentCommandId(false),
        )
    }
}

/// The areas of the table; `None` for those that are built in. The same list is the same pointer.
///
/// # Errors
/// The table cannot be read (whatever is wrong with it), or is gone (42P01).
pub fn restricted() -> Result<Option<Rc<Restricted>>> {
    let moment = moment();
    let known = FOUND.with_borrow(|found| {
        (found.moment == moment && moment.0 != 0).then(|| found.restricted.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let listed = sql::value::<Vec<String>>(
        "SELECT CASE WHEN EXISTS (SELECT FROM warehouse.zip3_population) THEN ARRAY( \
           SELECT p.zip3 FROM warehouse.zip3_population p WHERE p.population <= 20000) END",
        &[],
    )
    .map_err(|e| Error::bug(format!("warehouse.zip3_population cannot be read: {e}")))?;
    let now = match &listed {
        None => None,
        Some(prefixes) => {
            let list = Restricted::from_prefixes(prefixes.iter().map(String::as_str));
            Some(Rc::new(list.ok_or_else(|| {
                Error::new(
                    Code::ERRCODE_DATA_EXCEPTION,
                    "warehouse.zip3_population has a prefix that is not of three digits",
                )
            })?))
        }
    };
    Ok(FOUND.with_borrow_mut(|found| {
        if found.restricted != now {
            found.restricted = now;
        }
        found.moment = moment;
        found.restricted.clone()
    }))
}

/// The same for a mask that asks for it; others are not kept from working by a table that cannot be read.
pub fn wanted_by(mask: &warehouse_core::masks::Mask) -> Result<Option<Rc<Restricted>>> {
    if mask.reads_zip3() { restricted() } else { Ok(None) }
}
