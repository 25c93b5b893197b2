//! Who connects: the user mapping of the role that reads.

use anyhow::Result;
use postgres::Client;

use crate::ask::{declare, expect, quiet_pair, refused, run};
use crate::support::Pair;

/// A source that shows who asks, roles at both sides, and the server `mapped` with one mapping a role.
fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = quiet_pair(test)?;
    let mut source = pair.source()?;
    let role = |name: &str| {
        format!(
            "DO $$ BEGIN CREATE ROLE {name} LOGIN PASSWORD '{name}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        )
    };
    run(
        &mut source,
        &format!(
            "{}{} CREATE VIEW who AS SELECT session_user::text AS name; GRANT SELECT ON who TO PUBLIC",
            role("there_one"),
            role("there_two")
        ),
    )?;
    let mut client = pair.warehouse()?;
    declare(&mut client, "mapped", pair.source_cluster.port(), &pair.source_database, "")?;
    run(
        &mut client,
        &format!(
            "{}{}{} CREATE USER MAPPING FOR one SERVER mapped OPTIONS (user 'there_one', password 'there_one'); \
             CREATE USER MAPPING FOR two SERVER mapped OPTIONS (user 'there_two', password 'there_two'); \
             CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER mapped INTO app; \
             GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT SELECT ON app.who TO PUBLIC",
            role("one"),
            role("two"),
            role("three")
        ),
    )?;
    Ok((pair, client))
}

const WHO: &str = "SELECT name FROM app.who";

#[test]
fn set_role_changes_the_mapping() -> Result<()> {
    let (_pair, mut client) = start("setrole")?;
    expect(&mut client, WHO, "reader")?;
    for (role, there) in [("one", "there_one"), ("two", "there_two"), ("three", "reader")] {
        run(&mut client, &format!("SET ROLE {role}"))?;
        expect(&mut client, WHO, there)?;
        expect(&mut client, "SELECT name FROM app.who WHERE name <> 'x'", there)?;
        run(&mut client, "RESET ROLE")?;
        expect(&mut client, WHO, "reader")?;
    }
    run(&mut client, "BEGIN; SET LOCAL ROLE one")?;
    expect(&mut client, WHO, "there_one")?;
    run(&mut client, "SET LOCAL ROLE two")?;
    expect(&mut client, WHO, "there_two")?;
    run(&mut client, "COMMIT")?;
    expect(
        &mut client,
        "SELECT server, role FROM warehouse.replica_connections() WHERE role IS NOT NULL ORDER BY 2",
        "mapped|one\nmapped|two",
    )
}

/// A prepared statement was planned for one role and runs for another.
#[test]
fn prepared_statements_follow_the_role() -> Result<()> {
    let (_pair, mut client) = start("preparedrole")?;
    run(
        &mut client,
        "SET plan_cache_mode = force_generic_plan; PREPARE w AS SELECT name FROM app.who",
    )?;
    for _ in 0..4 {
        expect(&mut client, "EXECUTE w", "reader")?;
        run(&mut client, "SET ROLE one")?;
        expect(&mut client, "EXECUTE w", "there_one")?;
        run(&mut client, "SET ROLE two")?;
        expect(&mut client, "EXECUTE w", "there_two")?;
        run(&mut client, "RESET ROLE")?;
    }
    Ok(())
}

/// As with ordinary tables, a view reads with the rights of its owner.
#[test]
fn views_and_functions_read_as_their_owner() -> Result<()> {
    let (_pair, mut client) = start("owners")?;
    run(
        &mut client,
        "CREATE VIEW app.as_one AS SELECT name FROM app.who; ALTER VIEW app.as_one OWNER TO one; \
         CREATE VIEW app.as_reader WITH (security_invoker) AS SELECT name FROM app.who; \
         ALTER VIEW app.as_reader OWNER TO one; \
         CREATE FUNCTION app.as_two() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT name FROM app.who'; \
         ALTER FUNCTION app.as_two() OWNER TO two; \
         GRANT SELECT ON app.as_one, app.as_reader TO PUBLIC",
    )?;
    for (role, there) in [("RESET ROLE", "reader"), ("SET ROLE two", "there_two")] {
        run(&mut client, role)?;
        expect(&mut client, "SELECT name FROM app.as_one", "there_one")?;
        expect(&mut client, "SELECT name FROM app.as_reader", there)?;
        expect(&mut client, "SELECT app.as_two()", "there_two")?;
        expect(
            &mut client,
            "SELECT a.name, b.name FROM app.as_one a, app.who b",
            &format!("there_one|{there}"),
        )?;
    }
    Ok(())
}

#[test]
fn rights_on_tables_and_servers_count_first() -> Result<()> {
    let (_pair, mut client) = start("rights")?;
    run(&mut client, "REVOKE SELECT ON app.who FROM PUBLIC; SET ROLE one")?;
    refused(&mut client, WHO)?.says("42501", &["permission denied"])?;
    refused(&mut client, "IMPORT FOREIGN SCHEMA public FROM SERVER mapped INTO app")?
        .says("42501", &["permission denied"])?;
    refused(&mut client, "SELECT warehouse.merge_schema('x', '[]')")?.says("42501", &[])?;
    run(&mut client, "RESET ROLE; GRANT SELECT ON app.who TO one; SET ROLE one")?;
    expect(&mut client, WHO, "there_one")
}

#[test]
fn a_changed_mapping_counts_from_the_next_statement() -> Result<()> {
    let (pair, mut client) = start("changed")?;
    let mut other = pair.warehouse()?;
    expect(&mut client, WHO, "reader")?;
    // Told by another session, in the middle of a transaction: that one keeps its snapshot.
    run(&mut client, "BEGIN")?;
    expect(&mut client, WHO, "reader")?;
    run(
        &mut other,
        "ALTER USER MAPPING FOR PUBLIC SERVER mapped OPTIONS (SET user 'there_one', SET password 'there_one')",
    )?;
    expect(&mut client, WHO, "reader")?;
    run(&mut client, "COMMIT")?;
    expect(&mut client, WHO, "there_one")?;
    run(
        &mut other,
        "CREATE USER MAPPING FOR postgres SERVER mapped OPTIONS (user 'there_two', password 'there_two')",
    )?;
    expect(&mut client, WHO, "there_two")?;
    run(&mut other, "DROP USER MAPPING FOR postgres SERVER mapped")?;
    expect(&mut client, WHO, "there_one")?;
    // Its own session's changes count at once as well.
    run(
        &mut client,
        "ALTER USER MAPPING FOR PUBLIC SERVER mapped OPTIONS (SET user 'there_two', SET password 'there_two')",
    )?;
    expect(&mut client, WHO, "there_two")
}

#[test]
fn a_changed_server_counts_from_the_next_statement() -> Result<()> {
    let (pair, mut client) = start("changedserver")?;
    expect(&mut client, WHO, "reader")?;
    let elsewhere = pair.source_cluster.create_database("elsewhere")?;
    let sql = "CREATE VIEW who AS SELECT 'elsewhere'::text AS name";
    pair.source_cluster.execute(&elsewhere, sql)?;
    run(
        &mut pair.warehouse()?,
        &format!("ALTER SERVER mapped OPTIONS (SET dbname '{elsewhere}')"),
    )?;
    expect(&mut client, WHO, "elsewhere")?;
    let back = format!("ALTER SERVER mapped OPTIONS (SET dbname '{}')", pair.source_database);
    run(&mut client, &back)?;
    expect(&mut client, WHO, "reader")?;
    run(&mut client, "ALTER SERVER mapped RENAME TO renamed")?;
    expect(&mut client, WHO, "reader")?;
    expect(&mut client, "SELECT DISTINCT server FROM warehouse.replica_connections()", "renamed")?;
    run(&mut client, "DROP SERVER renamed CASCADE")?;
    expect(&mut client, "SELECT count(*) FROM warehouse.replica_connections()", "0")
}
