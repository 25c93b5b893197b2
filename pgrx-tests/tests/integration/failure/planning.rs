//! What needs no source works without one: planning, EXPLAIN, and queries that contradict themselves.

use anyhow::{Result, ensure};
use warehouse_tests::faults::Mode;

use crate::ask::{Proxied, expect, rows, run};

const MERGE: &str = "SELECT count(*) FROM warehouse.merge_schema('main', \
    '[{\"server\": \"src\", \"schema\": \"public\", \"site\": \"a\"}]')";

#[test]
fn planning_asks_no_source() -> Result<()> {
    let proxied = Proxied::new(
        "planning",
        "CREATE TABLE t AS SELECT g AS id, 'x' || g AS name FROM generate_series(1, 100) g",
    )?;
    let mut client = proxied.pair.warehouse()?;
    run(&mut client, "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app")?;
    run(&mut client, MERGE)?;
    run(&mut client, "SELECT warehouse.disconnect()")?;
    proxied.proxy.set(Mode::Refuse)?;

    let mut client = proxied.pair.warehouse()?;
    for table in ["app.t", "main.t"] {
        expect(&mut client, &format!("SELECT * FROM {table} WHERE 1 <> 1"), "")?;
        expect(&mut client, &format!("SELECT TRUE FROM {table} WHERE 1 <> 1 LIMIT 0"), "")?;
        expect(&mut client, &format!("SELECT * FROM {table} LIMIT 0"), "")?;
        expect(&mut client, &format!("SELECT count(*) FROM {table} WHERE false"), "0")?;
        for options in ["", "(VERBOSE)", "(VERBOSE, COSTS OFF, SETTINGS)"] {
            let plan = rows(
                &mut client,
                &format!("EXPLAIN {options} SELECT name FROM {table} WHERE id = 7 ORDER BY name"),
            )?;
            ensure!(plan.contains("Foreign Scan"), "{plan}");
            ensure!(plan.contains("Remote SQL") == options.contains("VERBOSE"), "{plan}");
        }
    }
    expect(&mut client, "SELECT * FROM main.t WHERE site = 'nowhere'", "")?;
    run(&mut client, "PREPARE p(int) AS SELECT * FROM app.t WHERE id = $1 AND $1 < 0")?;
    run(&mut client, "CREATE VIEW v AS SELECT * FROM main.t; DROP VIEW v")?;
    ensure!(rows(&mut client, "SELECT server FROM warehouse.replica_connections()")?.is_empty());
    Ok(())
}
