//! The SQL functions about replicas, and the entry points that Postgres calls by name.

use super::options::ServerOptions;
use super::{handler, import, merge, pool, pushdown, registry, status};
use crate::pg::catalog;
use crate::pg::error::OrRaise;
use pgrx::prelude::*;
use pgrx::{JsonB, pg_sys};

/// The connections of this session.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn replica_connections() -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(role, Option<String>),
        name!(remote_pid, i32),
        name!(remote_version, i32),
        name!(in_transaction, bool),
        name!(seconds_open, f64),
    ),
> {
    let rows: Vec<_> = registry::all()
        .into_iter()
        .filter_map(|connection| {
            let (pid, version, open) = connection.facts()?;
            let role = catalog::role_name(connection.mapping.user);
            let server = connection.server.name.clone();
            Some((server, role, pid, version, connection.in_transaction(), open))
        })
        .collect();
    TableIterator::new(rows)
}

/// Closes this session's connections to a server, or to all; returns how many. Those that the running
/// transaction uses stay open.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn disconnect(server: default!(Option<&str>, "NULL")) -> i32 {
    let server = server.map(|name| catalog::server_by_name(name).or_raise());
    registry::disconnect(server.map(|server| server.oid)) as i32
}

/// The connections that all sessions of this database have to each server. No rows unless the library
/// is in `shared_preload_libraries`.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn replica_usage() -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(connections, i32),
        name!(in_use, i32),
        name!(waiting, i32),
        name!(max_connections, Option<i32>),
    ),
> {
    let rows: Vec<_> = catalog::usable_servers("replica_fdw")
        .into_iter()
        .filter_map(|oid| {
            let (server, usage) = (catalog::server(oid), pool::usage(oid)?);
            let of_server = ServerOptions::parse(&server.options).max_connections;
            let bound = Some(pool::bound(of_server) as i32).filter(|bound| *bound > 0);
            let (connections, in_use) = (usage.connections as i32, usage.in_use as i32);
            Some((server.name, connections, in_use, usage.waiting as i32, bound))
        })
        .collect();
    TableIterator::new(rows)
}

/// How every source is, asked of all of them at once.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn replica_status() -> TableIterator<
    'static,
    (
        name!(server, String),
        name!(reachable, bool),
        name!(in_recovery, Option<bool>),
        name!(replay_lag_seconds, Option<f64>),
        name!(version, Option<String>),
        name!(latency_ms, Option<f64>),
        name!(error, Option<String>),
    ),
> {
    let rows: Vec<_> = status::ask(&catalog::usable_servers("replica_fdw"))
        .into_iter()
        .map(|s| {
            (s.server, s.reachable, s.in_recovery, s.replay_lag, s.version, s.latency, s.error)
        })
        .collect();
    TableIterator::new(rows)
}

/// Which parts of a query the sources do, which stay here, and why. Its names are looked up as in the
/// query itself: by the search_path of the caller.
#[pg_extern(volatile, parallel_restricted)]
#[allow(clippy::type_complexity)]
fn explain_pushdown(
    query: &str,
) -> TableIterator<
    'static,
    (
        name!(relation, String),
        name!(clause, String),
        name!(pushed, bool),
        name!(reason, Option<String>),
    ),
> {
    let rows = pushdown::explain(query).or_raise();
    let rows = rows.into_iter().map(|row| (row.relation, row.clause, row.pushed, row.reason));
    TableIterator::new(rows)
}

type DriftRow = (String, Option<String>, Option<String>, String, Option<String>);

/// Merges the tables of several sources into partitioned tables with a site column; run again it
/// brings them up to date. Returns what it found and did.
#[pg_extern(volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn merge_schema(
    local_schema: &str,
    sources: JsonB,
    site_column: default!(&str, "'site'"),
    tables: default!(Option<Vec<String>>, "NULL"),
) -> TableIterator<
    'static,
    (
        name!(relation, String),
        name!(site, Option<String>),
        name!(column_name, Option<String>),
        name!(change, String),
        name!(detail, Option<String>),
    ),
> {
    let request = merge::Request::new(local_schema, sources.0, site_column, tables).or_raise();
    report(merge::run(&request).or_raise())
}

/// Takes a site out of the merged tables of a schema.
#[pg_extern(volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn drop_site(
    local_schema: &str,
    site: &str,
) -> TableIterator<
    'static,
    (
        name!(relation, String),
        name!(site, Option<String>),
        name!(column_name, Option<String>),
        name!(change, String),
        name!(detail, Option<String>),
    ),
> {
    report(merge::drop_site(local_schema, site).or_raise())
}

fn report(changes: Vec<merge::Change>) -> TableIterator<'static, DriftRow> {
    TableIterator::new(
        changes.into_iter().map(|change| {
            (change.relation, change.site, change.column, change.what, change.detail)
        }),
    )
}

/// The version-1 calling convention.
static FUNCTION_INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

macro_rules! entry_point {
    ($name:ident, $info:ident, $body:path) => {
        #[unsafe(no_mangle)]
        #[doc(hidden)]
        pub extern "C" fn $info() -> &'static pg_sys::Pg_finfo_record {
            &FUNCTION_INFO
        }

        #[unsafe(no_mangle)]
        #[doc(hidden)]
        pub extern "C-unwind" fn $name(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
            // SAFETY: the guard turns a panic into the ERROR that it stands for.
            unsafe { pg_sys::panic::pgrx_extern_c_guard(|| $body(call)) }
        }
    };
}

entry_point!(warehouse_replica_fdw_handler, pg_finfo_warehouse_replica_fdw_handler, fdw_handler);
entry_point!(
    warehouse_replica_fdw_validator,
    pg_finfo_warehouse_replica_fdw_validator,
    fdw_validator
);
entry_point!(warehouse_complete_import, pg_finfo_warehouse_complete_import, complete_import);

fn fdw_handler(_: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    pg_sys::Datum::from(handler::routine())
}

fn fdw_validator(call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: declared with two arguments, text[] and oid, and STRICT.
    let (options, catalog) = unsafe {
        let args = (*call).args.as_slice(2);
        (args[0].value, args[1].value)
    };
    handler::validator(options, pg_sys::Oid::from(catalog.value() as u32));
    pg_sys::Datum::from(0)
}

fn complete_import(_: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    import::complete().or_raise();
    crate::wrappers::api::import::complete().or_raise();
    pg_sys::Datum::from(0)
}
