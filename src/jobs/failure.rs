//! What people are told when a job fails or a table grows stale, and the trimming of history.

use super::webhook;
use crate::materialize::{as_extension_owner, json, run};
use crate::pg::error::Result;
use crate::pg::subtransaction::attempt;
use crate::pg::{log as server, sql};
use crate::settings;
use serde::Deserialize;
use serde_json::{Value, json as object};
use warehouse_core::quote;
use warehouse_core::webhook::is_url;

/// A line of the server log.
pub fn log(text: &str) {
    server::server_log(format!("warehouse: {text}"));
}

/// Tells that a job failed.
pub fn tell(
    name: &str,
    status: &str,
    failures: u32,
    suspended: bool,
    error: Option<&str>,
) -> Result<()> {
    let told = if suspended { ", it is suspended until warehouse.resume()" } else { "" };
    log(&format!(
        "refresh of {name} {status} ({failures} in a row{told}): {}",
        error.unwrap_or("no error was told")
    ));
    let text = format!("warehouse: refresh of {name} {status} ({failures} in a row{told})");
    call(&object!({
        "event": if suspended { "suspended" } else { "failure" }, "text": text,
        "relation": name, "status": status, "failures": failures, "error": error,
    }))
}

/// Tells whom the setting `warehouse.on_failure` names: a function now, a URL after the commit.
fn call(message: &Value) -> Result<()> {
    let Some(target) = settings::on_failure() else { return Ok(()) };
    if is_url(&target) || target.starts_with('/') {
        webhook::enclose(message);
        return Ok(());
    }
    let outcome = as_extension_owner(|| {
        attempt(|| {
            let name = sql::value_now::<Vec<String>>(
                "SELECT pg_catalog.parse_ident($1)",
                &[target.as_str().into()],
            )
            .ok()
            .flatten()
            .unwrap_or_default();
            let name: Vec<String> = name.iter().map(|part| quote::identifier(part)).collect();
            sql::execute(&format!(
                "SELECT {}({}::pg_catalog.jsonb)",
                name.join("."),
                quote::literal(&message.to_string())
            ))
        })
    })?;
    if let Err(error) = outcome {
        log(&format!("warehouse.on_failure: {target}() failed: {}", error.message()));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Stale {
    id: i32,
    name: String,
    status: String,
    age: Option<String>,
}

/// Tells of tables that have grown stale, and trims the history.
pub fn care() -> Result<()> {
    let found: Option<Vec<Stale>> = json(
        "SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('id', s.id, 'name', s.name, 'status', s.status, 'age', s.age::pg_catalog.text)) \
         FROM (SELECT m.id, f.relation_schema || '.' || f.relation_name AS name, max(f.age) AS age, \
             CASE WHEN bool_or(f.status = 'error') THEN 'error' ELSE 'warn' END AS status \
           FROM warehouse.freshness f \
             JOIN pg_catalog.pg_namespace n ON n.nspname = f.relation_schema \
             JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = f.relation_name \
             JOIN warehouse.materialization m ON m.relation = c.oid \
           WHERE (m.options ->> 'warn_after')::pg_catalog.interval < f.age OR (m.options ->> 'error_after')::pg_catalog.interval < f.age \
           GROUP BY 1, 2) s JOIN warehouse.materialization_job j ON j.materialization = s.id \
         WHERE j.stale_told IS DISTINCT FROM s.status",
        &[],
    )?;
    for stale in found.unwrap_or_default() {
        run(
            "UPDATE warehouse.materialization_job SET stale_told = $2 WHERE materialization = $1::pg_catalog.int4",
            &[i64::from(stale.id).into(), stale.status.as_str().into()],
        )?;
        let (name, status, age) = (&stale.name, &stale.status, stale.age.as_deref().unwrap_or("?"));
        let text = format!("warehouse: {name} is stale ({status}): its data are {age} old");
        call(&object!({
            "event": "stale", "text": text, "relation": name, "status": status, "age": stale.age,
        }))?;
    }
    run(
        "DELETE FROM warehouse.materialization_run r \
         WHERE r.started_at < pg_catalog.now() - $1 * '1 day'::pg_catalog.interval AND r.finished_at IS NOT NULL",
        &[settings::run_history_days().into()],
    )
}
