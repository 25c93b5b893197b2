//! Failures: retries, suspension, limits, and what people are told.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Ground, PATIENCE};
use crate::ask::{refused, run};

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

#[test]
fn failures_are_posted_to_a_url() -> Result<()> {
    let mut ground = Ground::new("webhook")?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    // Postgres logs settings that change: what is secret lies in a file.
    let file = ground.warehouse.data_dir().join("webhook.url");
    std::fs::write(&file, format!("http://{}/hooks/s3cr3t\n", listener.local_addr()?))?;
    let (told, posted) = mpsc::channel();
    thread::spawn(move || {
        // The first answer says to come again; the last one never comes.
        for status in ["503 Busy", "204 No Content", "204 No Content", ""] {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut text = String::new();
            let mut bytes = [0; 4096];
            while !text.ends_with('}') {
                match stream.read(&mut bytes) {
                    Ok(read) if read > 0 => text.push_str(&String::from_utf8_lossy(&bytes[..read])),
                    _ => break,
                }
            }
            if status.is_empty() {
                thread::sleep(PATIENCE);
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            // Whoever has gone away needs no answer.
            let _ = stream.write_all(answer.as_bytes());
            if told.send(text).is_err() {
                return;
            }
        }
    });
    let refused = ground.warehouse.execute(
        "postgres",
        "ALTER SYSTEM SET warehouse.on_failure = 'http://hooks.example.com/x'",
    );
    let refused = format!("{:?}", refused.err());
    ensure!(refused.contains("https://host/"), "{refused}");
    ground.warehouse.execute(
        "postgres",
        &format!("ALTER SYSTEM SET warehouse.on_failure = '{}'", file.display()),
    )?;
    ground.warehouse.execute("postgres", "SELECT pg_reload_conf()")?;
    ground.materialize(
        "people",
        "SELECT id / (id - 7) AS x FROM app.people",
        "schedule => 'every 1 second', max_failures => 2, with_data => false",
    )?;
    let mut events = Vec::new();
    for _ in 0..3 {
        let text = posted.recv_timeout(PATIENCE)?;
        ensure!(text.starts_with("POST /hooks/s3cr3t "), "{text}");
        let body = text.split_once("\r\n\r\n").context("no body")?.1;
        let body: serde_json::Value = serde_json::from_str(body)?;
        ensure!(body["relation"] == "mart.people" && body["error"] == "division by zero", "{body}");
        events.push(body["event"].as_str().unwrap_or_default().to_owned());
    }
    events.sort_unstable();
    ensure!(events == ["failure", "failure", "suspended"], "{events:?}");
    // One who does not answer holds no job up.
    ground.client.batch_execute("SELECT warehouse.resume('mart.people')")?;
    ground.materialize("others", "SELECT id FROM app.people", "schedule => 'every 1 second'")?;
    ground.becomes(
        "SELECT count(*) > 2 FROM warehouse.runs WHERE relation = 'mart.others' AND status = 'succeeded'",
        "t",
    )?;
    ensure!(!ground.warehouse.log()?.contains("s3cr3t"), "the log tells the secret");
    Ok(())
}

/// Its transaction is rolled back, and yet somebody will ask what happened.
#[test]
fn a_refresh_by_hand_that_fails_is_in_the_history() -> Result<()> {
    let mut ground = Ground::new("byhand")?;
    ground.materialize(
        "people",
        "SELECT id / (id - 7) AS x FROM app.people",
        "with_data => false",
    )?;
    let told = refused(&mut ground.client, "SELECT warehouse.refresh('mart.people')")?;
    told.says("22012", &["division by zero"])?;
    let history =
        "SELECT cause, status, sqlstate, error, finished_at >= started_at FROM warehouse.runs";
    ground.becomes(history, "hand|failed|22012|division by zero|t")?;
    // Also where the transaction goes on.
    run(
        &mut ground.client,
        "DO $$ BEGIN PERFORM warehouse.refresh('mart.people', reconcile => true); EXCEPTION WHEN OTHERS THEN END $$",
    )?;
    ground.becomes("SELECT count(*) FROM warehouse.runs WHERE status = 'failed'", "2")?;
    // One that is cancelled.
    ground.materialize("slow", "SELECT id, s FROM app.slow", "with_data => false")?;
    let told = refused(
        &mut ground.client,
        "SET statement_timeout = '500ms'; SELECT warehouse.refresh('mart.slow')",
    )?;
    told.says("57014", &[])?;
    ground.becomes(
        "SELECT count(*) FROM warehouse.runs WHERE relation = 'mart.slow' AND status = 'cancelled'",
        "1",
    )
}
