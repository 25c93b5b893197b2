//! Refreshes by hand that failed, from shared memory into `warehouse.runs`.

use super::failure;
use crate::materialize::by_hand::{self, Failure};
use crate::materialize::refresh;
use crate::materialize::run;
use crate::pg::error::{Error, Result};
use crate::pg::worker;
use pgrx::datum::TimestampWithTimeZone;

/// Writes down what waits. What cannot be written is told in the log and given up.
pub fn drain() {
    let waiting = by_hand::waiting();
    if waiting.is_empty() {
        return;
    }
    let written = worker::transaction(c"noting failed refreshes", || {
        if worker::has_extension(c"warehouse") {
            waiting.iter().try_for_each(write)?;
        }
        Ok(())
    });
    if let Err(error) = written {
        failure::log(&format!("failed refreshes could not be noted: {}", error.message()));
    }
    by_hand::done(&waiting.iter().map(|one| one.number).collect::<Vec<_>>());
}

/// Whether anything waits.
pub fn any() -> bool {
    !by_hand::waiting().is_empty()
}

fn write(one: &Failure) -> Result<()> {
    let time = |micros: i64| {
        TimestampWithTimeZone::try_from(micros).map_err(|_| Error::bug("a run has no time"))
    };
    let (status, error) = match (one.sqlstate(), one.error()) {
        (None | Some("57014"), error) => ("cancelled", error.unwrap_or("it was interrupted")),
        (_, error) => ("failed", error.unwrap_or_default()),
    };
    run(
        "INSERT INTO warehouse.materialization_run \
           (materialization, relation, cause, status, pid, started_at, finished_at, sqlstate, error) \
         SELECT m.id, n.nspname || '.' || c.relname, $2, $3, $4::pg_catalog.int4, $5, $6, $7, $8 \
         FROM warehouse.materialization m JOIN pg_catalog.pg_class c ON c.oid = m.relation \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE m.id = $1::pg_catalog.int4",
        &[
            i64::from(one.materialization).into(),
            (if one.reconcile { "reconcile" } else { "hand" }).into(),
            status.into(),
            i64::from(one.pid).into(),
            time(one.started)?.into(),
            time(one.ended)?.into(),
            one.sqlstate().into(),
            error.into(),
        ],
    )?;
    refresh::trim(one.materialization)
}
