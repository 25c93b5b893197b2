//! Pseudonyms as a SQL function, next to pgcrypto.

use std::time::Duration;

use anyhow::{Result, ensure};
use postgres::Client;

use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::plan;
use crate::table::Table;

/// The scenario.
pub const SCENARIO: Scenario = Scenario {
    key: "pseudonym",
    title: "pseudonyms of a million e-mail addresses by SQL, next to pgcrypto's hmac and encode",
    run: Run::Table(run),
};

const VALUES: u32 = 1_000_000;
const OURS: &str = "warehouse.pseudonym(mail, 'person')";
const THEIRS: &str = "encode(hmac(mail, 'a key of thirty-two bytes or more', 'sha256'), 'hex')";
const FAKE: &str = "warehouse.fake_email(mail)";

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    ground.with_key()?;
    let mut client = ground.connect()?;
    client.batch_execute(&format!(
        "CREATE EXTENSION IF NOT EXISTS pgcrypto; \
         CREATE TABLE mails AS SELECT 'person' || i || '@example.com' AS mail FROM generate_series(1, {VALUES}) i"
    ))?;
    client.batch_execute("VACUUM (FREEZE, ANALYZE) mails")?;
    let distinct = plan::rows(&mut client, &format!("SELECT count(DISTINCT {OURS}) FROM mails"))?;
    ensure!(distinct == [VALUES.to_string()], "pseudonyms collide: {distinct:?}");
    let (mut ours, mut theirs, mut fakes, mut plain) =
        (ground.connect()?, ground.connect()?, ground.connect()?, ground.connect()?);
    let times = interleave(
        rounds,
        vec![
            Contender::new("warehouse.pseudonym", || all(&mut ours, OURS)),
            Contender::new("pgcrypto hmac and encode", || all(&mut theirs, THEIRS)),
            Contender::new("warehouse.fake_email", || all(&mut fakes, FAKE)),
            Contender::new("nothing", || all(&mut plain, "mail")),
        ],
    )?;
    // A fourth contender reads the table alone.
    let scan = times[3].median();
    let speed = |of: f64| f64::from(VALUES) / ((of - scan) / 1000.0).max(1e-3) / 1e6;
    let note = format!(
        "without the scan: {:.2} M pseudonyms a second, {:.2} M by pgcrypto, {:.2} M fakes",
        speed(times[0].median()),
        speed(times[1].median()),
        speed(times[2].median())
    );
    Ok(Finding::of_times(times, Target::Faster(2.0)).note(note))
}

fn all(client: &mut Client, expression: &str) -> Result<Duration> {
    let sql =
        format!("SET max_parallel_workers_per_gather = 0; SELECT count({expression}) FROM mails");
    time(|| plan::rows(client, &sql))
}
