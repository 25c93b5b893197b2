//! The SQL functions about APIs, and the entry points that Postgres calls by name.

use super::activity::{self, State};
use super::vendor::Vendor;
use super::{cache, drift, handler};
use crate::pg::catalog;
use crate::pg::error::OrRaise;
use pgrx::pg_sys;
use pgrx::prelude::*;

/// Lets no session use answers of a server that were asked for before now; returns how many are thrown
/// away.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
fn clear_cache(server: &str) -> i32 {
    let server = catalog::server_by_name(server).or_raise();
    Vendor::of_server(server.oid).or_raise();
    cache::clear(server.oid.to_u32()) as i32
}

/// What the sessions of this database ask of APIs now.
#[pg_extern(volatile, parallel_restricted)]
#[search_path(pg_catalog, pg_temp)]
#[allow(clippy::type_complexity)]
fn api_requests() -> TableIterator<
    'static,
    (
        name!(pid, i32),
        name!(server, pg_sys::Oid),
        name!(relation, pg_sys::Oid),
        name!(state, &'static str),
        name!(since, f64),
        name!(requests, i64),
        name!(pages, i64),
        name!(rows, i64),
        name!(bytes, i64),
        name!(retries, i64),
        name!(waiting, i32),
        name!(waited_ms, f64),
    ),
> {
    TableIterator::new(activity::all().into_iter().map(|one| {
        let state = match one.state {
            State::Fetching if one.waiting > 0 => "rate limit",
            State::Fetching => "fetching",
            State::OtherSession => "other session",
            State::Reading | State::Idle => "reading",
        };
        (
            one.pid,
            one.server.into(),
            one.relation.into(),
            state,
            one.since as f64 / 1e6,
            one.requests as i64,
            one.pages as i64,
            one.rows as i64,
            one.bytes as i64,
            one.retries as i64,
            one.waiting as i32,
            one.waited as f64 / 1000.0,
        )
    }))
}

/// What changed at Airtable since the tables of a schema were imported; followed where `apply`.
#[pg_extern(volatile, parallel_unsafe)]
#[search_path(pg_catalog, pg_temp)]
fn airtable_drift(
    local_schema: &str,
    server: &str,
    apply: default!(bool, "true"),
) -> TableIterator<
    'static,
    (name!(relation, String), name!(change, String), name!(done, Option<String>)),
> {
    let server = catalog::server_by_name(server).or_raise();
    let found = drift::follow(server.oid, local_schema, apply).or_raise();
    let rows = found.into_iter().map(|one| (one.relation, one.change, one.done.map(str::to_owned)));
    TableIterator::new(rows)
}

/// The version-1 calling convention.
static FUNCTION_INFO: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

macro_rules! entry_point {
    ($name:ident, $info:ident, $body:expr) => {
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

entry_point!(
    warehouse_api_fdw_handler,
    pg_finfo_warehouse_api_fdw_handler,
    |_: pg_sys::FunctionCallInfo| pg_sys::Datum::from(handler::routine())
);
entry_point!(
    warehouse_braintree_fdw_validator,
    pg_finfo_warehouse_braintree_fdw_validator,
    |call| validator(Vendor::Braintree, call)
);
entry_point!(warehouse_airtable_fdw_validator, pg_finfo_warehouse_airtable_fdw_validator, |call| {
    validator(Vendor::Airtable, call)
});

fn validator(vendor: Vendor, call: pg_sys::FunctionCallInfo) -> pg_sys::Datum {
    // SAFETY: declared with two arguments, text[] and oid, and STRICT.
    let (options, catalog) = unsafe {
        let args = (*call).args.as_slice(2);
        (args[0].value, args[1].value)
    };
    handler::validator(vendor, options, pg_sys::Oid::from(catalog.value() as u32));
    pg_sys::Datum::from(0)
}
