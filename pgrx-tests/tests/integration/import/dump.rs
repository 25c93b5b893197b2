//! A warehouse can be dumped and restored, its sources up or not.

use anyhow::{Context, Result, ensure};
use warehouse_tests::Cluster;
use warehouse_tests::faults::Mode;
use warehouse_tests::install::Install;

use crate::ask::{Proxied, expect, rows, run};

const SCRIPT: &str = "CREATE SCHEMA shop; SET search_path = shop; \
    CREATE TYPE mood AS ENUM ('sad', 'ok'); \
    CREATE TABLE t (id int PRIMARY KEY, m mood, note text); COMMENT ON TABLE t IS 'a table'; \
    INSERT INTO t VALUES (1, 'ok', 'it''s'); \
    CREATE TABLE u (id int, t_id int REFERENCES t); INSERT INTO u VALUES (1, 1); ANALYZE";

pub fn pg_dump(cluster: &Cluster, database: &str, arguments: &[&str]) -> Result<String> {
    let output = Install::get()?
        .client("pg_dump")
        .args(arguments)
        .arg(database)
        .env("PGHOST", cluster.socket_dir())
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", "postgres")
        .output()
        .context("cannot run pg_dump")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[test]
fn a_dump_without_its_sources_gives_the_same_warehouse() -> Result<()> {
    let proxied = Proxied::new("dump", SCRIPT)?;
    let mut client = proxied.pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA here; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO here; \
         SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"shop\", \"site\": \"a\"}, {\"server\": \"src\", \"schema\": \"shop\", \"site\": \"it''s \\\"b\\\"\"}]'); \
         CREATE VIEW main.v AS SELECT site, id, m FROM main.t; \
         CREATE MATERIALIZED VIEW main.mv AS SELECT count(*) AS n FROM main.t; \
         CREATE TABLE public.own AS TABLE main.t",
    )?;
    run(
        &mut client,
        "SELECT warehouse.classify('main.t', 'note', 'identifier', 'partial(1, ''*'', 0)')",
    )?;
    proxied.proxy.set(Mode::Refuse)?;
    proxied.proxy.drop_connections()?;

    let warehouse = proxied.pair.warehouse_cluster;
    for arguments in [&["--schema-only"][..], &[]] {
        let dump = pg_dump(warehouse, &proxied.pair.warehouse_database, arguments)?;
        ensure!(dump.contains("CREATE EXTENSION IF NOT EXISTS warehouse"), "{dump}");
        // It holds what the catalog holds: that of user mappings is for superusers.
        let restored = warehouse.create_database("restored")?;
        let file = warehouse.socket_dir().join(format!("{restored}.sql"));
        // The materialized view of a complete dump is filled again, for which its source is needed.
        let refreshes = dump.contains("REFRESH MATERIALIZED VIEW");
        std::fs::write(&file, dump.replace("REFRESH MATERIALIZED VIEW", "-- REFRESH"))?;
        ensure!(refreshes == arguments.is_empty());
        warehouse.psql(&restored).arg("--quiet").file(&file)?.ok()?;
        let mut client = warehouse.connect(&restored)?;
        proxied.proxy.set(Mode::Pass)?;
        expect(&mut client, "SELECT * FROM main.v ORDER BY site", "a|1|ok\nit's \"b\"|1|ok")?;
        expect(&mut client, "SELECT id, m, note FROM here.t", "1|ok|it's")?;
        // The policy comes along, and with the data who has changed it.
        expect(&mut client, "SELECT DISTINCT note FROM main.t", "i*")?;
        let recorded = if arguments.is_empty() { "1" } else { "0" };
        expect(
            &mut client,
            "SELECT count(*) FROM warehouse.audit WHERE action LIKE 'classify%'",
            recorded,
        )?;
        let own = if arguments.is_empty() { "2" } else { "0" };
        expect(&mut client, "SELECT count(*) FROM public.own", own)?;
        expect(&mut client, "SELECT obj_description('here.t'::regclass)", "a table")?;
        expect(
            &mut client,
            "SELECT count(*) FROM warehouse.relationships WHERE relation_schema = 'main' AND kind = 'foreign key'",
            "2",
        )?;
        // The restored one goes on as the first: nothing to do.
        let again = "SELECT * FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"shop\", \"site\": \"a\"}, {\"server\": \"src\", \"schema\": \"shop\", \"site\": \"it''s \\\"b\\\"\"}]')";
        let report = rows(&mut client, again)?;
        ensure!(report.is_empty(), "{report}");
        run(
            &mut client,
            "CREATE SCHEMA anew; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO anew",
        )?;
        expect(&mut client, "SELECT id FROM anew.t", "1")?;
        drop(client);
        proxied.proxy.set(Mode::Refuse)?;
        proxied.proxy.drop_connections()?;
    }
    Ok(())
}
