//! Failures: retries, suspension, limits, and what people are told.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Ground, PATIENCE};
use crate::ask::run;

/// Fails as long as the source has no table; it is tried again, suspended, and goes on when it is resumed.
#[test]
fn a_job_that_fails_is_suspended() -> Result<()> {
    let mut ground = Ground::new("suspended")?;
    run(
        &mut ground.client,
        "CREATE TABLE public.told (what jsonb); \
         CREATE FUNCTION public.tell(what jsonb) RETURNS void LANGUAGE sql AS 'INSERT INTO public.told VALUES (what)'",
    )?;
    ground
        .warehouse
        .execute("postgres", "ALTER SYSTEM SET warehouse.on_failure = 'public.tell'")?;
    ground.warehouse.execute("postgres", "SELECT pg_reload_conf()")?;
    let mut listener = ground.warehouse.connect("mart")?;
    run(&mut listener, "LISTEN warehouse_refresh")?;
    ground.materialize(
        "people",
        "SELECT id / (id - 7) AS x FROM app.people",
        "schedule => 'every 1 second', max_failures => 2, with_data => false",
    )?;
    ground.becomes("SELECT state, failures FROM warehouse.materializations", "suspended|2")?;
    ensure!(
        ground.rows("SELECT status, sqlstate, error FROM warehouse.runs ORDER BY id LIMIT 1")?
            == "failed|22012|division by zero"
    );
    ensure!(
        ground.rows("SELECT status, state, last_error FROM warehouse.freshness")?
            == "error|suspended|division by zero"
    );
    ground.becomes(
        "SELECT string_agg(what->>'event', ',' ORDER BY what->>'failures') FROM public.told",
        "failure,suspended",
    )?;
    let mut told = Vec::new();
    let began = Instant::now();
    while told.len() < 2 && began.elapsed() < PATIENCE {
        let mut notifications = listener.notifications();
        let mut next = notifications.timeout_iter(Duration::from_secs(1));
        while let Ok(Some(notification)) =
            postgres::fallible_iterator::FallibleIterator::next(&mut next)
        {
            told.push(notification.payload().to_owned());
        }
    }
    let first: serde_json::Value =
        serde_json::from_str(told.first().map_or("null", String::as_str))?;
    ensure!(first["relation"] == "mart.people" && first["status"] == "failed", "{told:?}");
    // Mended and resumed.
    run(&mut ground.source, "DELETE FROM people WHERE id = 7")?;
    run(&mut ground.client, "SELECT warehouse.resume('mart.people')")?;
    ground.becomes("SELECT state, failures FROM warehouse.materializations WHERE failures = 0 AND state = 'idle'", "idle|0")?;
    ground.becomes("SELECT count(*) FROM mart.people", "99")?;
    ground.becomes("SELECT status FROM warehouse.freshness", "ok")
}

#[test]
fn a_refresh_by_hand_lifts_a_suspension() -> Result<()> {
    let mut ground = Ground::new("lifted")?;
    ground.materialize(
        "people",
        "SELECT id / (id - 7) AS x FROM app.people",
        "schedule => 'every 1 second', max_failures => 1, with_data => false",
    )?;
    ground.becomes("SELECT state FROM warehouse.materializations", "suspended")?;
    run(&mut ground.source, "DELETE FROM people WHERE id = 7")?;
    run(&mut ground.client, "SELECT warehouse.refresh('mart.people')")?;
    ground.becomes(
        "SELECT count(*) > 0 FROM warehouse.runs WHERE cause = 'schedule' AND status = 'succeeded'",
        "t",
    )
}

#[test]
fn what_takes_too_long_is_ended() -> Result<()> {
    let mut ground = Ground::new("toolong")?;
    ground.materialize(
        "slow",
        "SELECT id, s FROM app.slow",
        "schedule => '1 hour', time_limit => '1 second', with_data => false",
    )?;
    ground.becomes("SELECT status, error FROM warehouse.runs WHERE finished_at IS NOT NULL ORDER BY id LIMIT 1", "timed out|it took longer than its time_limit")?;
    ground.becomes("SELECT state, failures > 0 FROM warehouse.materializations", "retrying|t")
}

#[test]
fn a_run_is_cancelled_and_terminated_at_once() -> Result<()> {
    let mut ground = Ground::new("cancelrun")?;
    ground.materialize(
        "slow",
        "SELECT id, s FROM app.slow",
        "schedule => '1 hour', with_data => false",
    )?;
    for (call, status) in [("pg_cancel_backend", "cancelled"), ("pg_terminate_backend", "crashed")]
    {
        ground.becomes("SELECT count(*) FROM warehouse.progress WHERE phase = 'fetching'", "1")?;
        let began = Instant::now();
        ground.rows(&format!("SELECT {call}(pid) FROM warehouse.progress"))?;
        ground.becomes(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'warehouse refresh'",
            "0",
        )?;
        ensure!(began.elapsed() < Duration::from_secs(5), "{call} took {:?}", began.elapsed());
        ground.becomes("SELECT status FROM warehouse.runs ORDER BY id DESC LIMIT 1", status)?;
        run(
            &mut ground.client,
            "SELECT warehouse.request_refresh('mart.slow', full_refresh => true)",
        )?;
    }
    Ok(())
}

/// The history is kept short.
#[test]
fn history_is_trimmed() -> Result<()> {
    let mut ground = Ground::with("trimmed", &[("warehouse.run_history_rows", "5")])?;
    ground.materialize("people", "SELECT * FROM app.people", "schedule => '1 hour'")?;
    for _ in 0..12 {
        run(&mut ground.client, "SELECT warehouse.refresh('mart.people')")?;
    }
    ground.becomes("SELECT count(*) FROM warehouse.runs WHERE relation = 'mart.people'", "5")
}
