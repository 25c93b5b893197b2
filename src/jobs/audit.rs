//! Reads in clear from shared memory into `warehouse.audit`.
//!
//! The scheduler of a database does it, whether jobs run or not: a read calls for it. A record leaves the
//! shared memory when it has been committed.

use super::failure;
use crate::materialize::as_extension_owner;
use crate::pg::error::{Error, Result};
use crate::pg::guc::Level;
use crate::pg::{catalog, types, worker};
use crate::privacy::reads::{self, Read};
use pgrx::Spi;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::Oid;
use std::time::{Duration, Instant};

/// Records that are written in a transaction.
const BATCH: usize = 256;

/// How long to stay after something was written: longer than backends wait before they call again.
const LINGER: Duration = Duration::from_secs(1);
/// How soon to try again what could not be written.
const AGAIN: Duration = Duration::from_secs(5);

/// When to look for records without being called.
#[derive(Debug, Default)]
pub struct Drain {
    due: Option<Instant>,
}

impl Drain {
    /// Writes down what waits. What cannot be written stays.
    pub fn run(&mut self) {
        match drain() {
            Some(soon) => self.due = Some(Instant::now() + soon),
            // A latch may have ended the sleep too early.
            None => self.due = self.due.filter(|due| *due > Instant::now()),
        }
    }

    /// How long to sleep at most; `None` if nothing is expected to come uncalled for.
    pub fn pause(&self) -> Option<Duration> {
        self.due.map(|due| due.saturating_duration_since(Instant::now()))
    }
}

/// Writes down what waits; says how soon to look again, if soon.
fn drain() -> Option<Duration> {
    let mut next = None;
    loop {
        let waiting = reads::waiting(BATCH);
        let lost = reads::take_lost();
        if lost > 0 {
            failure::log(&format!(
                "{lost} reads in clear did not come into warehouse.audit in time; this log has them"
            ));
        }
        if waiting.is_empty() {
            return next;
        }
        let written = worker::transaction(c"writing the audit", || write(&waiting));
        if let Err(error) = written {
            failure::log(&format!(
                "reads in clear could not be written to warehouse.audit: {}",
                error.message()
            ));
            return Some(AGAIN);
        }
        reads::done(&waiting.iter().map(|read| read.number).collect::<Vec<_>>());
        next = Some(LINGER);
    }
}

fn write(waiting: &[Read]) -> Result<()> {
    if !worker::has_extension(c"warehouse") {
        // Of a time when it was there.
        return Ok(());
    }
    // Whoever has locked the table must not hold up the jobs.
    let level = Level::enter();
    level.set(c"lock_timeout", c"1s");
    for read in waiting {
        one(read)?;
    }
    drop(level);
    Ok(())
}

fn one(read: &Read) -> Result<()> {
    let relation = Oid::from(read.relation);
    let columns: Vec<String> = read
        .columns()
        .into_iter()
        .map(|number| {
            catalog::column_name(relation, number).unwrap_or_else(|| format!("column {number}"))
        })
        .collect();
    // Roles and tables may be gone by now.
    let role = |oid: u32| {
        let name = catalog::role_name(Oid::from(oid)).filter(|name| !name.is_empty());
        name.unwrap_or_else(|| oid.to_string())
    };
    let table = match catalog::relation_owner(relation) {
        Some(_) => types::relation_plain_label(relation),
        None => format!("table {}", read.relation),
    };
    let at =
        TimestampWithTimeZone::try_from(read.at).map_err(|_| Error::bug("a read has no time"))?;
    let action = if read.rows < 0 { "reads in clear" } else { "has read in clear" };
    let args = [
        at.into(),
        role(read.role).into(),
        role(read.session).into(),
        action.into(),
        table.into(),
        columns.into(),
        (read.rows >= 0).then_some(read.rows).into(),
        (read.query != 0).then_some(read.query).into(),
    ];
    as_extension_owner(|| {
        Spi::run_with_args(
            "INSERT INTO warehouse.audit (at, role, session_role, action, relation, columns, rows, query_id) \
             VALUES ($1, $2::pg_catalog.name, $3::pg_catalog.name, $4, $5, $6, $7, $8)",
            &args,
        )
    })?
    .map_err(|e| Error::bug(format!("the audit could not be written: {e}")))
}
