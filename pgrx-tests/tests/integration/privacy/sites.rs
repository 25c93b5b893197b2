//! Roles that see some sites only.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{expect, rows, run};
use crate::support::Pair;

fn merged(test: &str) -> Result<(Pair, Client, String)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE SCHEMA one; CREATE TABLE one.t AS SELECT i AS id FROM generate_series(1, 10) i; \
         CREATE SCHEMA two; CREATE TABLE two.t AS SELECT i AS id FROM generate_series(1, 30) i",
    )?;
    let mut client = pair.warehouse()?;
    let role = format!("only_{}", pair.warehouse_database);
    run(
        &mut client,
        &format!(
            "SELECT warehouse.merge_schema('m', '[{{\"server\": \"src\", \"schema\": \"one\", \"site\": \"one\"}}, \
               {{\"server\": \"src\", \"schema\": \"two\", \"site\": \"two\"}}]'); \
             CREATE ROLE {role}; GRANT USAGE ON SCHEMA m TO {role}; GRANT SELECT ON m.t TO {role}"
        ),
    )?;
    Ok((pair, client, role))
}

#[test]
fn a_restricted_role_sees_its_sites() -> Result<()> {
    let (pair, mut admin, role) = merged("restricted")?;
    let mut client = pair.warehouse()?;
    run(&mut client, &format!("SET SESSION AUTHORIZATION {role}"))?;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}"))?;
        run(
            &mut client,
            "PREPARE q AS SELECT site, count(*) FROM m.t GROUP BY site ORDER BY site",
        )?;
        expect(&mut client, "EXECUTE q", "one|10\ntwo|30")?;
        run(&mut admin, &format!("SELECT warehouse.restrict_sites('{role}', '{{one}}')"))?;
        expect(&mut client, "EXECUTE q", "one|10")?;
        expect(&mut client, "SELECT count(*) FROM m.t", "10")?;
        expect(&mut client, "SELECT count(*) FROM m.t WHERE site = 'two'", "0")?;
        expect(
            &mut client,
            "SELECT count(*), max(id) FROM m.t WHERE site = 'two' AND id > 5",
            "0|~",
        )?;
        expect(
            &mut client,
            "SELECT count(*) FROM m.t a LEFT JOIN m.t b ON b.site = 'two' AND b.id = a.id WHERE b.id IS NULL",
            "10",
        )?;
        let plan = rows(&mut client, "EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM m.t")?;
        ensure!(!plan.contains("two"), "{plan}");
        // Everybody else sees all.
        expect(&mut admin, "SELECT count(*) FROM m.t", "40")?;
        run(&mut admin, &format!("SELECT warehouse.restrict_sites('{role}', '{{two}}')"))?;
        expect(&mut client, "EXECUTE q", "two|30")?;
        run(&mut admin, &format!("SELECT warehouse.unrestrict_sites('{role}')"))?;
        expect(&mut client, "EXECUTE q", "one|10\ntwo|30")?;
        run(&mut client, "DEALLOCATE q")?;
    }
    Ok(())
}

/// The restriction follows the role, whoever it is reached by.
#[test]
fn the_stricter_role_counts() -> Result<()> {
    let (pair, mut admin, role) = merged("stricter")?;
    let lender = format!("lender_{}", pair.warehouse_database);
    run(
        &mut admin,
        &format!(
            "CREATE ROLE {lender}; GRANT USAGE ON SCHEMA m TO {lender}; GRANT SELECT ON m.t TO {lender}; \
             CREATE FUNCTION m.lend() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = m \
               AS 'SELECT count(*) FROM m.t'; ALTER FUNCTION m.lend() OWNER TO {lender}; \
             CREATE VIEW m.v AS SELECT * FROM m.t; GRANT SELECT ON m.v TO {role}; \
             SELECT warehouse.restrict_sites('{role}', '{{one}}')"
        ),
    )?;
    let mut client = pair.warehouse()?;
    run(&mut client, &format!("SET SESSION AUTHORIZATION {role}"))?;
    expect(&mut client, "SELECT m.lend(), (SELECT count(*) FROM m.v)", "10|10")?;
    // A session that takes the role on.
    expect(&mut admin, "SELECT count(*) FROM m.t", "40")?;
    run(&mut admin, &format!("SET ROLE {role}"))?;
    expect(&mut admin, "SELECT count(*) FROM m.t", "10")?;
    run(&mut admin, "RESET ROLE")?;
    expect(&mut admin, "SELECT count(*) FROM m.t", "40")
}
