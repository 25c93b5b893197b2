//! What happens on the wire, and the control of an emulator from outside.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::braintree::Options;
use warehouse_tests::apis::{Braintree, Emulator, Fault, What};

use super::plain::{Reply, send};

const KEY: &str = "authorization: Basic cHVibGljX2tleTpwcml2YXRlX2tleQ==";
const PLANS: &str = "GET /merchants/merchant7/plans";

fn emulator() -> Result<Emulator<Braintree>> {
    Emulator::start(Braintree::new(Options::sized(50, 3)))
}

fn plans(emulator: &Emulator<Braintree>) -> Result<Reply> {
    send(emulator.port(), PLANS, &[KEY], "")
}

#[test]
fn answers_are_compressed_when_that_is_taken() -> Result<()> {
    let emulator = emulator()?;
    let plain = plans(&emulator)?;
    ensure!(!plain.head.contains("content-encoding"), "{}", plain.head);
    ensure!(plain.head.contains("content-type: application/xml; charset=utf-8"), "{}", plain.head);
    let packed = send(emulator.port(), PLANS, &[KEY, "accept-encoding: gzip"], "")?;
    ensure!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    ensure!(packed.body.len() < plain.body.len() && packed.unzipped()? == plain.text());
    Ok(())
}

#[test]
fn answers_break_where_they_are_told_to() -> Result<()> {
    let emulator = emulator()?;
    emulator.arm(Fault::new(What::Cut(100)));
    let cut = plans(&emulator)?;
    ensure!(cut.status == 200 && cut.body.len() == 100 && !cut.whole, "{cut:?}");
    emulator.arm(Fault::new(What::TruncatedGzip(30)));
    let short = send(emulator.port(), PLANS, &[KEY, "accept-encoding: gzip"], "")?;
    ensure!(short.whole && short.body.len() == 30 && short.unzipped().is_err(), "{short:?}");
    emulator.arm(Fault::new(What::Html(503)));
    let page = plans(&emulator)?;
    ensure!(page.status == 503 && page.text().contains("<html>"), "{page:?}");
    emulator.arm(Fault::new(What::Status(429, Some(30))));
    let refused = plans(&emulator)?;
    ensure!(refused.status == 429 && refused.head.contains("retry-after: 30"), "{refused:?}");
    emulator.arm(Fault::new(What::Delay(Duration::from_millis(200))));
    let start = Instant::now();
    ensure!(plans(&emulator)?.status == 200 && start.elapsed() >= Duration::from_millis(200));
    ensure!(plans(&emulator)?.whole && emulator.faults().armed() == 0);
    Ok(())
}

#[test]
fn a_stalled_request_ends_with_the_emulator() -> Result<()> {
    let emulator = emulator()?;
    emulator.arm(Fault::new(What::Stall).on("/plans"));
    let port = emulator.port();
    let waiting = std::thread::spawn(move || send(port, PLANS, &[KEY], ""));
    while emulator.log().count("/plans") == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(100));
    ensure!(emulator.log().entries()[0].took.is_none());
    let start = Instant::now();
    drop(emulator);
    ensure!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let answer = waiting.join().map_err(|_| anyhow::anyhow!("the client panicked"))?;
    ensure!(answer.is_err(), "{answer:?}");
    Ok(())
}

#[test]
fn faults_are_for_the_requests_they_name() -> Result<()> {
    let emulator = emulator()?;
    emulator.arm(Fault::new(What::Status(500, None)).on("/plans").after(1).times(2));
    let statuses: Vec<u16> =
        (0..5).map(|_| plans(&emulator).map(|it| it.status)).collect::<Result<_>>()?;
    ensure!(statuses == [200, 500, 500, 200, 200], "{statuses:?}");
    emulator.arm(Fault::new(What::Status(500, None)).on("/add_ons").always());
    ensure!(plans(&emulator)?.status == 200);
    emulator.faults().clear();
    let other = send(emulator.port(), "GET /merchants/merchant7/add_ons/", &[KEY], "")?;
    ensure!(other.status == 200);
    Ok(())
}

#[test]
fn requests_are_counted() -> Result<()> {
    let emulator = emulator()?;
    emulator.set_delay(Duration::from_millis(100));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| plans(&emulator));
        }
    });
    let log = emulator.log();
    ensure!(log.most_at_once("/plans") == 3, "{}", log.figures(""));
    ensure!(log.most_in_a_second("/plans") == 3 && log.most_in_a_second("/disputes") == 0);
    log.clear();
    ensure!(log.entries().is_empty());
    Ok(())
}

#[test]
fn a_rate_limit_is_kept() -> Result<()> {
    let emulator = emulator()?;
    emulator.change(&json!({"settings": {"requests_per_second": 3, "penalty_ms": 400}}))?;
    let ask = || plans(&emulator).map(|it| it.status);
    let statuses: Vec<u16> = (0..5).map(|_| ask()).collect::<Result<_>>()?;
    ensure!(statuses == [200, 200, 200, 429, 429], "{statuses:?}");
    std::thread::sleep(Duration::from_millis(1_100));
    ensure!(ask()? == 200);
    ensure!(emulator.log().figures("")["refused"] == 2);
    Ok(())
}

/// Everything that a test does in the process can be done from outside.
#[test]
fn control_from_outside() -> Result<()> {
    let emulator = emulator()?;
    let control = |method: &str, path: &str, body: Value| -> Result<Reply> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(emulator.port(), &format!("{method} /__control/{path}"), &[], &body)
    };
    let fault = json!({"fault": "status", "status": 503, "on": "/plans"});
    ensure!(control("POST", "faults", fault)?.status == 200);
    ensure!(control("GET", "faults", Value::Null)?.json()?[0]["fault"] == "status");
    ensure!(plans(&emulator)?.status == 503);
    let log = control("GET", "log", Value::Null)?.json()?;
    ensure!(log[0]["status"] == 503 && log[0]["fault"] == "status", "{log}");
    ensure!(control("GET", "figures?part=plans", Value::Null)?.json()?["requests"] == 1);
    ensure!(control("DELETE", "log", Value::Null)?.status == 200);
    ensure!(control("GET", "log", Value::Null)?.json()? == json!([]));
    let truth = emulator.truth("transactions")?;
    let lines = control("GET", "truth/transactions?offset=10&limit=5", Value::Null)?.text();
    let lines: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(lines == truth[10..15]);
    let gone = json!({"remove": "transactions", "id": truth[3]["id"]});
    ensure!(control("POST", "change", gone)?.status == 200);
    ensure!(emulator.truth("transactions")?.len() == truth.len() - 1);
    ensure!(control("POST", "change", json!({"settings": {"colour": 1}}))?.status == 400);
    ensure!(control("POST", "faults", json!({"fault": "rain"}))?.status == 400);
    ensure!(control("GET", "nothing", Value::Null)?.status == 400);
    Ok(())
}
