//! Who may read: rights are those of any scan.

use anyhow::{Result, ensure};
use postgres::Client;

use super::{FORCED, NODE};
use crate::ask::{expect, quiet_pair, refused, rows, run};
use crate::support::Pair;

/// Roles with a mapping each, at a source where a row is seen only by the role that it names.
fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = quiet_pair(test)?;
    let role = |name: &str| {
        format!(
            "DO $$ BEGIN CREATE ROLE {name} LOGIN PASSWORD '{name}'; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;"
        )
    };
    run(
        &mut pair.source()?,
        &format!(
            "{}{} CREATE TABLE i AS SELECT g AS id, g % 10 AS k, \
               (ARRAY['keys_one', 'keys_two', 'reader'])[g % 3 + 1] AS owner FROM generate_series(1, 90) g; \
             ALTER TABLE i ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON i USING (owner = current_user); \
             GRANT SELECT ON i TO PUBLIC",
            role("keys_one"),
            role("keys_two")
        ),
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        &format!(
            "{}{} CREATE USER MAPPING FOR keys_one SERVER src OPTIONS (user 'keys_one', password 'keys_one'); \
             CREATE USER MAPPING FOR keys_two SERVER src OPTIONS (user 'keys_two', password 'keys_two'); \
             CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
             CREATE TABLE o AS SELECT g AS id, g AS k FROM generate_series(0, 9) g; \
             GRANT USAGE ON SCHEMA app TO PUBLIC; GRANT SELECT ON app.i, o TO PUBLIC",
            role("keys_one"),
            role("keys_two")
        ),
    )?;
    run(&mut client, FORCED)?;
    Ok((pair, client))
}

const WHOSE: &str =
    "SELECT string_agg(DISTINCT i.owner, ' '), count(*) FROM o JOIN app.i ON i.k = o.k";

#[test]
fn the_mapping_is_that_of_who_reads() -> Result<()> {
    let (_pair, mut client) = start("keyroles")?;
    let plan = rows(&mut client, &format!("EXPLAIN {WHOSE}"))?;
    ensure!(plan.contains(NODE), "{plan}");
    run(
        &mut client,
        &format!(
            "CREATE VIEW as_one AS SELECT i.owner, o.id FROM o JOIN app.i ON i.k = o.k; \
             ALTER VIEW as_one OWNER TO keys_one; \
             CREATE VIEW invoker WITH (security_invoker) AS TABLE as_one; \
             CREATE VIEW barrier WITH (security_barrier) AS SELECT i.owner, o.id, o.k FROM o JOIN app.i ON i.k = o.k; \
             CREATE FUNCTION as_two() RETURNS text LANGUAGE sql SECURITY DEFINER SET enable_hashjoin = off \
               SET enable_mergejoin = off SET enable_nestloop = off AS $f${}$f$; ALTER FUNCTION as_two() OWNER TO keys_two; \
             GRANT SELECT ON as_one, invoker, barrier TO PUBLIC; PREPARE p AS {WHOSE}",
            WHOSE.replace(", count(*)", "")
        ),
    )?;
    for (role, whose) in [
        ("RESET ROLE", "reader"),
        ("SET ROLE keys_one", "keys_one"),
        ("SET ROLE keys_two", "keys_two"),
    ] {
        run(&mut client, role)?;
        expect(&mut client, WHOSE, &format!("{whose}|30"))?;
        expect(&mut client, "EXECUTE p", &format!("{whose}|30"))?;
        for (sql, answer) in [
            ("SELECT DISTINCT owner FROM as_one", "keys_one"),
            ("SELECT DISTINCT owner FROM invoker", "keys_one"),
            ("SELECT DISTINCT owner FROM barrier WHERE id + k >= 0", "reader"),
            ("SELECT as_two()", "keys_two"),
        ] {
            expect(&mut client, sql, answer)?;
        }
        // Its own rows, and those of the view's owner, in one query.
        expect(
            &mut client,
            "SELECT DISTINCT i.owner, v.owner FROM as_one v JOIN app.i ON i.k = v.id",
            &format!("{whose}|keys_one"),
        )?;
    }
    Ok(())
}

#[test]
fn what_may_not_be_read_is_not_read_by_keys() -> Result<()> {
    let (_pair, mut client) = start("keyrights")?;
    run(
        &mut client,
        "REVOKE SELECT ON app.i FROM PUBLIC; GRANT SELECT (id, k) ON app.i TO keys_one; SET ROLE keys_one",
    )?;
    refused(&mut client, WHOSE)?.says("42501", &["permission denied"])?;
    expect(&mut client, "SELECT count(i.id) FROM o JOIN app.i ON i.k = o.k", "30")?;
    refused(&mut client, "SELECT count(*) FROM o JOIN app.i ON i.k = o.k WHERE i.owner > ''")?
        .says("42501", &[])?;
    refused(&mut client, "SELECT count(*) FROM o JOIN app.i ON i.owner = o.k::text")?
        .says("42501", &[])?;
    run(&mut client, "RESET ROLE; REVOKE SELECT ON o FROM PUBLIC; SET ROLE keys_one")?;
    refused(&mut client, "SELECT count(i.id) FROM o JOIN app.i ON i.k = o.k")?
        .says("42501", &[])?;
    // A role without a mapping is told so.
    run(
        &mut client,
        "RESET ROLE; GRANT SELECT ON o, app.i TO PUBLIC; DROP USER MAPPING FOR PUBLIC SERVER src; \
         DO $$ BEGIN CREATE ROLE keys_none; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
         SET ROLE keys_none",
    )?;
    refused(&mut client, WHOSE)?.says("42704", &["keys_none", "\"src\""])?;
    Ok(())
}
