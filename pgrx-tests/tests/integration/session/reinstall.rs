//! The extension can be dropped and created again.

use anyhow::Result;

use crate::ask::{expect, refused, run};
use crate::support::{Pair, READER, READER_PASSWORD};

#[test]
fn drop_extension_and_create_it_again() -> Result<()> {
    let pair = Pair::new("reinstall")?;
    run(&mut pair.source()?, "CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 10) g")?;
    let mut client = pair.warehouse()?;
    let sources = r#"[{"server": "src", "schema": "public", "site": "a"}]"#;
    for _ in 0..3 {
        run(
            &mut client,
            &format!(
                "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
                 SELECT FROM warehouse.merge_schema('main', '{sources}')"
            ),
        )?;
        expect(
            &mut client,
            "SELECT (SELECT count(*) FROM app.t), (SELECT count(*) FROM main.t)",
            "10|10",
        )?;
        refused(&mut client, "DROP EXTENSION warehouse")?.says("2BP01", &[])?;
        run(
            &mut client,
            "BEGIN; SELECT count(*) FROM app.t; DROP EXTENSION warehouse CASCADE; ROLLBACK",
        )?;
        expect(&mut client, "SELECT count(*) FROM main.t", "10")?;
        run(&mut client, "DROP EXTENSION warehouse CASCADE")?;
        expect(
            &mut client,
            "SELECT (SELECT count(*) FROM pg_foreign_server), (SELECT count(*) FROM pg_foreign_table), \
               (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_foreign_data_wrapper), \
               (SELECT count(*) FROM pg_class WHERE relnamespace = 'warehouse'::regnamespace), \
               (SELECT count(*) FROM pg_proc WHERE pronamespace = 'warehouse'::regnamespace)",
            "0|0|0|0|0|0",
        )?;
        // Other people's imports do not miss the event trigger.
        run(
            &mut client,
            "DROP SCHEMA app; DROP SCHEMA main CASCADE; DROP SCHEMA main_sites CASCADE",
        )?;
        run(
            &mut client,
            &format!(
                "CREATE EXTENSION warehouse; \
                 CREATE SERVER src FOREIGN DATA WRAPPER replica_fdw OPTIONS ({}); \
                 CREATE USER MAPPING FOR PUBLIC SERVER src OPTIONS (user '{READER}', password '{READER_PASSWORD}')",
                pair.source_cluster.server_options(&pair.source_database)
            ),
        )?;
    }
    refused(&mut client, "CREATE EXTENSION warehouse SCHEMA public")?;
    Ok(())
}
