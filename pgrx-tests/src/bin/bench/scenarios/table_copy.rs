//! `CREATE TABLE AS` from the source, next to what the server itself can do at most: binary COPY from
//! one psql into another.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;
use warehouse_tests::cluster::SUPERUSER;
use warehouse_tests::install::Install;

use super::{Run, Scenario};
use crate::contest::{Contender, interleave, time};
use crate::finding::{Finding, Target};
use crate::source::{READER, READER_PASSWORD};
use crate::table::{DATABASE, OUR_TABLE, SOURCE_TABLE, Table};
use crate::{plan, theirs};

/// The scenario.
pub const SCENARIO: Scenario =
    Scenario { key: "b", title: "CREATE TABLE AS", run: Run::Table(run) };

/// The table that is made again and again: an ordinary, logged one.
pub const COPY: &str = "public.copy";

fn run(ground: &Table, rounds: usize) -> Result<Finding> {
    let mut source = ground.source.standby.connect(DATABASE)?;
    let expected = checksum(&mut source, SOURCE_TABLE)?;
    let (mut ours, mut others) = (ground.connect()?, ground.connect()?);
    let mut check = ground.connect()?;
    let mut same = |who: &str| -> Result<()> {
        ensure!(checksum(&mut check, COPY)? == expected, "{who}: the copy differs");
        Ok(())
    };
    create(&mut ours, OUR_TABLE)?;
    same("replica_fdw")?;
    let best = theirs::best(|setup| create(&mut others, &ground.their_table(setup)))?;
    same("postgres_fdw")?;
    pipe(ground, &mut check_client(ground)?)?;
    same("COPY")?;
    let mut preparing = check_client(ground)?;
    let their_table = ground.their_table(best);
    let times = interleave(
        rounds,
        vec![
            Contender::new("replica_fdw", || create(&mut ours, OUR_TABLE)),
            Contender::new(best.name(), || create(&mut others, &their_table)),
            Contender::new("COPY | COPY, the limit", || pipe(ground, &mut preparing)),
        ],
    )?;
    drop_copy(&mut preparing)?;
    let limit = times[0].median() / times[2].median();
    Ok(Finding::of_times(times, Target::Faster(1.6))
        .note(format!("{limit:.2} times as long as COPY | COPY")))
}

fn check_client(ground: &Table) -> Result<Client> {
    ground.connect()
}

/// A number that tells any difference in the rows but not in their order.
pub fn checksum(client: &mut Client, table: &str) -> Result<Vec<String>> {
    plan::rows(
        client,
        &format!("SELECT count(*), sum(hashtextextended(t::text, 0)) FROM {table} t"),
    )
}

/// Removes the copy and what it left to be written.
pub fn drop_copy(client: &mut Client) -> Result<()> {
    client.batch_execute(&format!("DROP TABLE IF EXISTS {COPY}"))?;
    // So that every round starts with the same work left behind: none.
    client.batch_execute("CHECKPOINT")?;
    Ok(())
}

/// Makes the copy from a table; how long it took.
pub fn create(client: &mut Client, table: &str) -> Result<Duration> {
    drop_copy(client)?;
    time(|| Ok(client.batch_execute(&format!("CREATE TABLE {COPY} AS SELECT * FROM {table}"))?))
}

/// Copies the table by `psql | psql` into an empty one.
pub fn pipe(ground: &Table, client: &mut Client) -> Result<Duration> {
    drop_copy(client)?;
    client
        .batch_execute(&format!("CREATE TABLE {COPY} AS SELECT * FROM {OUR_TABLE} WHERE false"))?;
    time(|| {
        // The reader takes the way the wrappers take: TCP, as their role.
        let mut reader = psql(&ground.source.standby, READER)?
            .env("PGHOST", ground.source.standby.host())
            .env("PGPORT", ground.source.port().to_string())
            .env("PGPASSWORD", READER_PASSWORD)
            .args(["--command", &format!("COPY {SOURCE_TABLE} TO STDOUT (FORMAT binary)")])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot run psql")?;
        let rows = reader.stdout.take().context("invariant: it is piped")?;
        let wrote = psql(&ground.warehouse, SUPERUSER)?
            .args(["--command", &format!("COPY {COPY} FROM STDIN (FORMAT binary)")])
            .stdin(rows)
            .stdout(Stdio::null())
            .status()
            .context("cannot run psql")?;
        let read = reader.wait().context("psql")?;
        ensure!(read.success() && wrote.success(), "COPY | COPY failed");
        Ok(())
    })
}

fn psql(cluster: &Cluster, user: &str) -> Result<Command> {
    let mut command = Install::get()?.client("psql");
    command.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]);
    command.env("PGHOST", cluster.socket_dir());
    command.env("PGPORT", cluster.port().to_string());
    command.env("PGUSER", user);
    command.env("PGDATABASE", DATABASE);
    Ok(command)
}
