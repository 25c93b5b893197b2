//! What a policy shows of a column.

use anyhow::{Result, ensure};

use super::{people, protect};
use crate::ask::{expect, refused, rows, run};

#[test]
fn what_nobody_has_classified_reads_as_null() -> Result<()> {
    let (_pair, mut client) = people("unclassified")?;
    expect(
        &mut client,
        "SELECT name, email, notes, born, ip, data, tags, city, phone FROM people WHERE id = 7",
        "~|~|~|~|~|~|~|~|~",
    )?;
    // Numbers, truth values, enums and moments hold nobody.
    expect(
        &mut client,
        "SELECT id, score, mood, active, seen FROM people WHERE id = 7",
        "7|8.75|ok|f|2024-01-01 07:00:00+00",
    )?;
    // What is not shown is not fetched either.
    let plan = rows(&mut client, "EXPLAIN (VERBOSE, COSTS OFF) SELECT * FROM people")?;
    ensure!(plan.contains("Remote SQL: SELECT id, score, mood, active, seen FROM"), "{plan}");
    expect(&mut client, "SELECT count(*), count(name), count(phone) FROM people", "501|0|0")
}

#[test]
fn an_unclassified_column_may_be_an_error() -> Result<()> {
    let (_pair, mut client) = people("unclassifiederror")?;
    run(&mut client, "ALTER SERVER src OPTIONS (SET unclassified 'error')")?;
    for sql in [
        "SELECT city FROM people",
        "SELECT * FROM people",
        "SELECT people FROM people",
        "SELECT id FROM people WHERE city = 'x'",
        "SELECT count(*) FROM people GROUP BY city",
        "SELECT p.id FROM people p JOIN people q ON q.city = p.city",
    ] {
        refused(&mut client, sql)?.says("42501", &["d.people", "no class"])?;
    }
    expect(&mut client, "SELECT count(*) FROM people WHERE mood = 'ok'", "250")?;
    run(&mut client, "ALTER SERVER src OPTIONS (SET unclassified 'clear')")?;
    expect(&mut client, "SELECT city FROM people WHERE id = 7", "CANARYcity0")
}

#[test]
fn masks_are_what_is_shown() -> Result<()> {
    let (_pair, mut client) = people("masks")?;
    protect(&mut client)?;
    expect(
        &mut client,
        "SELECT name, born, ip, data, tags, score, city FROM people WHERE id = 7",
        "C. S.|2010-01-01|10.77.0.0/16|{\"plan\": \"pro1\"}|{C*,NULL,s*}|8.75|~",
    )?;
    let found = rows(&mut client, "SELECT email, notes FROM people WHERE id = 7")?;
    ensure!(!found.contains("CANARY") && !found.contains("canary7"), "{found}");
    ensure!(found.contains('@'), "{found}");
    // NULL stays NULL.
    expect(
        &mut client,
        "SELECT name, email, born, ip, data, tags FROM people WHERE id = 0",
        "~|~|~|~|~|~",
    )?;
    // The columns that a mask needs are fetched and not shown.
    let found = rows(&mut client, "SELECT notes FROM people WHERE id = 7")?;
    ensure!(!found.contains("CANARYname7"), "{found}");
    let plan = rows(&mut client, "EXPLAIN (VERBOSE, COSTS OFF) SELECT notes FROM people")?;
    ensure!(plan.contains("Remote SQL: SELECT notes, name FROM"), "{plan}");
    Ok(())
}

#[test]
fn null_and_constant_are_not_fetched() -> Result<()> {
    let (_pair, mut client) = people("constants")?;
    run(
        &mut client,
        "ALTER FOREIGN TABLE people ALTER COLUMN name OPTIONS (ADD class 'secret'); \
         ALTER FOREIGN TABLE people ALTER COLUMN city OPTIONS (ADD mask 'constant(''somewhere'')'); \
         ALTER FOREIGN TABLE people ALTER COLUMN score OPTIONS (ADD mask 'null')",
    )?;
    expect(&mut client, "SELECT name, city, score FROM people WHERE id = 7", "~|somewhere|~")?;
    let plan =
        rows(&mut client, "EXPLAIN (VERBOSE, COSTS OFF) SELECT id, name, city, score FROM people")?;
    ensure!(plan.contains("Remote SQL: SELECT id FROM"), "{plan}");
    expect(&mut client, "SELECT count(*) FROM people WHERE city = 'somewhere'", "501")?;
    expect(&mut client, "SELECT count(*) FROM people WHERE city = 'CANARYcity0'", "0")?;
    expect(&mut client, "SELECT count(*) FROM people WHERE name IS NULL", "501")
}

/// A policy that does not fit hides the column; what is no policy is refused when it is written.
#[test]
fn a_policy_that_does_not_fit_hides() -> Result<()> {
    let (_pair, mut client) = people("misfit")?;
    run(
        &mut client,
        "ALTER FOREIGN TABLE people ALTER COLUMN born OPTIONS (ADD class 'quasi', ADD mask 'partial_email')",
    )?;
    refused(&mut client, "SELECT born FROM people")?.says("42501", &["born", "does not fit"])?;
    expect(&mut client, "SELECT count(*) FROM people", "501")?;
    for (option, value) in [("mask", "nonsense"), ("mask", "partial(1)"), ("class", "private")] {
        refused(
            &mut client,
            &format!(
                "ALTER FOREIGN TABLE people ALTER COLUMN name OPTIONS (ADD {option} '{value}')"
            ),
        )?
        .says("HV024", &[option])?;
    }
    refused(&mut client, "ALTER SERVER src OPTIONS (SET unclassified 'open')")?
        .says("HV024", &["unclassified"])?;
    Ok(())
}

/// A change of the policy counts from the next statement, also of prepared ones.
#[test]
fn a_changed_policy_counts_at_once() -> Result<()> {
    let (_pair, mut client) = people("changed")?;
    for mode in ["force_custom_plan", "force_generic_plan"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}"))?;
        run(&mut client, "PREPARE q AS SELECT name FROM people WHERE id = 7")?;
        expect(&mut client, "EXECUTE q", "~")?;
        run(
            &mut client,
            "ALTER FOREIGN TABLE people ALTER COLUMN name OPTIONS (ADD mask 'initial')",
        )?;
        expect(&mut client, "EXECUTE q", "C. S.")?;
        run(&mut client, "ALTER FOREIGN TABLE people ALTER COLUMN name OPTIONS (SET mask 'null')")?;
        expect(&mut client, "EXECUTE q", "~")?;
        run(
            &mut client,
            "ALTER FOREIGN TABLE people ALTER COLUMN name OPTIONS (DROP mask); DEALLOCATE q",
        )?;
    }
    Ok(())
}

/// A new site and a new column of a site inherit the policy of the others.
#[test]
fn sites_inherit() -> Result<()> {
    let (pair, mut client) = people("inherit")?;
    run(
        &mut pair.source()?,
        "CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.p (id int, name text); \
         INSERT INTO one.p VALUES (1, 'Ann CANARY'); CREATE TABLE two.p (id int, name text); \
         INSERT INTO two.p VALUES (2, 'Bob CANARY')",
    )?;
    let site = |name: &str| {
        format!("{{\"server\": \"src\", \"schema\": \"{name}\", \"site\": \"{name}\"}}")
    };
    run(&mut client, &format!("SELECT warehouse.merge_schema('m', '[{}]')", site("one")))?;
    run(
        &mut client,
        "ALTER FOREIGN TABLE m_sites.p_one ALTER COLUMN name OPTIONS (ADD class 'identifier', ADD mask 'initial')",
    )?;
    run(
        &mut client,
        &format!("SELECT warehouse.merge_schema('m', '[{}, {}]')", site("one"), site("two")),
    )?;
    expect(&mut client, "SELECT site, name FROM m.p ORDER BY id", "one|A. C.\ntwo|B. C.")
}
