//! Standbys run nothing; promoted, they do.

use anyhow::{Result, ensure};
use std::thread;
use std::time::Duration;
use warehouse_tests::Standby;
use warehouse_tests::timing::eventually;

use super::{Ground, PATIENCE};
use crate::ask::{rows, run};

#[test]
fn a_standby_runs_when_it_is_promoted() -> Result<()> {
    let mut ground = Ground::with("promoted", &[("hot_standby", "on"), ("max_wal_senders", "4")])?;
    ground.materialize(
        "people",
        "SELECT * FROM app.people",
        "unique_key => '{id}', capture => 'xmin', schedule => 'every 1 second'",
    )?;
    let standby = Standby::of(&ground.warehouse, "promotedstandby")
        .setting("shared_preload_libraries", "warehouse")
        .start()?;
    standby.wait_for_replay()?;
    let mut client = standby.connect("mart")?;
    thread::sleep(Duration::from_secs(1));
    ensure!(
        rows(
            &mut client,
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'warehouse%'"
        )? == "0"
    );
    ground.warehouse.kill9();
    run(&mut client, "SELECT pg_promote()")?;
    let mut client = standby.connect("mart")?;
    run(&mut ground.source, "UPDATE people SET name = 'promoted'")?;
    eventually(PATIENCE, "the promoted standby refreshes", || {
        Ok(rows(&mut client, "SELECT count(*) FROM mart.people WHERE name = 'promoted'")? == "100")
    })
}
