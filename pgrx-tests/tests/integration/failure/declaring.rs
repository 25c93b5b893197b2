//! What is refused when it is declared, before any source is asked.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{Told, expect, refused, rows, run};
use crate::support::Pair;

fn server(client: &mut Client, options: &str) -> Result<Told> {
    refused(
        client,
        &format!("CREATE SERVER s FOREIGN DATA WRAPPER replica_fdw OPTIONS ({options})"),
    )
}

#[test]
fn options_that_do_not_exist_are_answered_with_those_that_do() -> Result<()> {
    let pair = Pair::new("options")?;
    let mut client = pair.warehouse()?;
    for name in
        ["uri", "url", "conninfo", "connection_string", "hosts", "replication", "fetch_size"]
    {
        server(&mut client, &format!("{name} 'postgresql://u:hush@h/d'"))?
            .says("HV00D", &[name, "a server"])?
            .hints(&["host", "port", "dbname", "sslmode", "connect_timeout", "application_name"])?
            .hides("hush")?;
    }
    refused(&mut client, "ALTER USER MAPPING FOR PUBLIC SERVER src OPTIONS (ADD host 'h')")?
        .says("HV00D", &["host", "a user mapping"])?
        .hints(&["user", "password"])?;
    refused(&mut client, "CREATE FOREIGN TABLE f (a int) SERVER src OPTIONS (table 't')")?
        .says("HV00D", &["table", "a foreign table"])?
        .hints(&["schema_name", "table_name"])?;
    refused(&mut client, "CREATE FOREIGN TABLE f (a int OPTIONS (name 'a')) SERVER src")?
        .says("HV00D", &["name", "a column"])?
        .hints(&["column_name", "constant"])?;
    refused(
        &mut client,
        "IMPORT FOREIGN SCHEMA public FROM SERVER src INTO public OPTIONS (x '1')",
    )?
    .says("HV00D", &["\"x\""])?
    .hints(&["import_not_null"])?;
    run(&mut pair.source()?, "CREATE TABLE t AS SELECT 1 AS id")?;
    run(&mut client, "IMPORT FOREIGN SCHEMA public FROM SERVER src INTO public")?;
    expect(&mut client, "TABLE t", "1")
}

#[test]
fn secrets_do_not_belong_to_servers() -> Result<()> {
    let pair = Pair::new("secrets")?;
    let mut client = pair.warehouse()?;
    for name in ["user", "password", "passfile", "sslpassword", "sslkey", "sslcert"] {
        server(&mut client, &format!("host 'h', {name} 'hush'"))?
            .says("HV00D", &[name, "a server"])?
            .hints(&["user mapping"])?
            .hides("hush")?;
    }
    // A database name that is a connection string would smuggle one in, and libpq's errors repeat it.
    for dbname in ["postgresql://u:hush@h/d", "postgres://u:hush@h/d", "host=h password=hush"] {
        server(&mut client, &format!("host 'h', dbname '{dbname}'"))?
            .says("HV024", &["dbname"])?
            .hides("hush")?;
    }
    ensure!(rows(&mut client, "SELECT srvname FROM pg_foreign_server")? == "src");
    Ok(())
}

#[test]
fn values_that_cannot_be_are_refused() -> Result<()> {
    let pair = Pair::new("values")?;
    let mut client = pair.warehouse()?;
    for (option, value) in [
        ("connect_timeout", "0"),
        ("connect_timeout", "-1"),
        ("connect_timeout", "soon"),
        ("connect_timeout", "99999"),
        ("fdw_startup_cost", "much"),
        ("fdw_tuple_cost", "-1"),
        ("fdw_tuple_cost", "NaN"),
    ] {
        server(&mut client, &format!("{option} '{value}'"))?.says("HV024", &[option])?;
    }
    for column in [
        "column_name ''",
        "constant 'a', column_name 'b'",
        "missing 'perhaps'",
        "remote_type 'int); DROP TABLE x; --'",
        "remote_type 'a''b'",
    ] {
        let sql = format!("CREATE FOREIGN TABLE f (a text OPTIONS ({column})) SERVER src");
        refused(&mut client, &sql)?.says("HV024", &[])?;
    }
    refused(
        &mut client,
        "ALTER USER MAPPING FOR PUBLIC SERVER src OPTIONS (ADD password_required 'maybe')",
    )?
    .says("HV024", &["password_required"])?;
    Ok(())
}

/// Who may not see a mapping's secrets does not see them through the extension either.
#[test]
fn secrets_stay_in_the_mapping() -> Result<()> {
    let pair = Pair::new("stay")?;
    let mut client = pair.warehouse()?;
    run(&mut pair.source()?, "CREATE TABLE t AS SELECT 1 AS id")?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA public FROM SERVER src INTO public; \
         DO $$ BEGIN CREATE ROLE curious LOGIN PASSWORD 'curious'; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         GRANT SELECT ON t TO curious",
    )?;
    let warehouse = pair.warehouse_cluster;
    let mut curious = warehouse.connect_as("curious", "curious", &pair.warehouse_database)?;
    expect(&mut curious, "TABLE t", "1")?;
    for sql in [
        "EXPLAIN (ANALYZE, VERBOSE) TABLE t",
        "SELECT * FROM warehouse.replica_connections()",
        "SELECT * FROM warehouse.replica_status()",
        "SELECT umoptions FROM pg_user_mappings",
        "SELECT * FROM warehouse.sites",
        "SELECT name, setting FROM pg_settings WHERE name LIKE 'warehouse%'",
    ] {
        let told = rows(&mut curious, sql)?;
        ensure!(!told.contains("reader password"), "{sql} tells the password: {told}");
    }
    // What defines things is not for everybody.
    refused(&mut curious, "SELECT warehouse.merge_schema('x', '[]')")?.says("42501", &[])?;
    refused(&mut curious, "SELECT warehouse.drop_site('x', 'y')")?.says("42501", &[])?;
    Ok(())
}
