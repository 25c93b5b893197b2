//! Clusters: created, reached, stopped, crashed, paused, removed.

use std::time::Duration;

use anyhow::{Result, ensure};
use warehouse_tests::timing::{cancel_after, timed, within};
use warehouse_tests::{Cluster, Stop};

#[test]
fn settings_locale_and_log_are_as_asked() -> Result<()> {
    let cluster = Cluster::builder("settings")
        .setting("work_mem", "7MB")
        .setting("log_min_messages", "notice")
        .locale("C")
        .start()?;
    ensure!(cluster.value("postgres", "SHOW work_mem")? == "7MB");
    ensure!(cluster.value("postgres", "SHOW lc_collate")? == "C");
    cluster.execute("postgres", "DO $$ BEGIN RAISE LOG 'here I am'; END $$")?;
    ensure!(cluster.log()?.contains("here I am"));
    Ok(())
}

#[test]
fn passwords_count_over_tcp() -> Result<()> {
    let cluster =
        Cluster::builder("passwords").hba("host all nobody 127.0.0.1/32 reject").start()?;
    cluster.create_role("reader", "it's secret")?;
    cluster.create_role("nobody", "x")?;
    let mut reader = cluster.connect_as("reader", "it's secret", "postgres")?;
    let user: String = reader.query_one("SELECT current_user::text", &[])?.get(0);
    ensure!(user == "reader");
    ensure!(cluster.connect_as("reader", "wrong", "postgres").is_err());
    ensure!(cluster.connect_as("nobody", "x", "postgres").is_err());
    Ok(())
}

#[test]
fn psql_gives_output_errors_and_status() -> Result<()> {
    let cluster = Cluster::builder("psql").start()?;
    let good = cluster.psql("postgres").var("word", "it's").arg("-At").sql("SELECT 1")?;
    ensure!(good.status.success() && good.stdout == "1\n");
    let bad = cluster.psql("postgres").sql("SELECT nonsense")?;
    ensure!(!bad.status.success() && bad.stderr.contains("nonsense"));

    let script = cluster.socket_dir().join("script.sql");
    std::fs::write(&script, "SELECT :'word' AS word \\gset\n\\echo :word\nSELECT 1/0;\n")?;
    cluster.create_role("reader", "secret")?;
    let failed =
        cluster.psql("postgres").user("reader", "secret").var("word", "it's").file(&script)?;
    ensure!(failed.stdout == "it's\n" && failed.status.code() == Some(3));
    Ok(())
}

#[test]
fn stops_starts_and_recovers_with_its_data() -> Result<()> {
    let cluster = Cluster::builder("cycle").start()?;
    cluster.execute("postgres", "CREATE TABLE t AS SELECT 1 AS a")?;
    let port = cluster.port();
    cluster.restart()?;
    cluster.execute("postgres", "INSERT INTO t VALUES (2)")?;
    cluster.stop(Stop::Immediate)?;
    ensure!(!cluster.is_running() && cluster.connect("postgres").is_err());
    cluster.start()?;
    cluster.execute("postgres", "INSERT INTO t VALUES (3)")?;
    let processes = cluster.processes();
    ensure!(processes.len() > 3);
    cluster.kill9();
    ensure!(!cluster.is_running() && cluster.processes().is_empty());
    cluster.start()?;
    ensure!(cluster.port() == port);
    ensure!(cluster.value("postgres", "SELECT count(*)::text FROM t")? == "3");
    ensure!(cluster.log()?.contains("not properly shut down"));
    Ok(())
}

#[test]
fn a_paused_cluster_answers_when_it_is_resumed() -> Result<()> {
    let cluster = Cluster::builder("pause").start()?;
    let mut client = cluster.connect("postgres")?;
    cluster.pause();
    let (answer, took) = timed(|| {
        std::thread::scope(|scope| {
            let query = scope.spawn(|| client.query_one("SELECT 1", &[]));
            std::thread::sleep(Duration::from_millis(400));
            cluster.resume();
            query.join()
        })
    });
    ensure!(answer.is_ok_and(|row| row.is_ok()) && took >= Duration::from_millis(400));
    // A paused one can be dropped as well.
    cluster.pause();
    within(Duration::from_secs(10), "dropping", || {
        drop(cluster);
        Ok(())
    })
}

#[test]
fn dropping_leaves_no_process_and_no_directory() -> Result<()> {
    let cluster = Cluster::builder("drop").start()?;
    let (processes, dir) = (cluster.processes(), cluster.socket_dir().to_owned());
    drop(cluster);
    ensure!(!dir.exists());
    for process in processes {
        let name = std::fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
        let state = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        ensure!(!name.starts_with("postgres") || state.contains(") Z "));
    }
    Ok(())
}

#[test]
fn databases_have_names_of_their_own() -> Result<()> {
    let cluster = Cluster::builder("databases").start()?;
    let (one, two) = (cluster.create_database("d")?, cluster.create_database("d")?);
    ensure!(one != two);
    ensure!(cluster.value(&two, "SELECT current_database()::text")? == two);
    Ok(())
}

#[test]
fn a_statement_can_be_cancelled() -> Result<()> {
    let cluster = Cluster::builder("cancel").start()?;
    let mut client = cluster.connect("postgres")?;
    let ended = cancel_after(&mut client, Duration::from_millis(100), "SELECT pg_sleep(30)")?;
    ensure!(ended.is_cancelled() && ended.took < Duration::from_secs(5));
    Ok(())
}
