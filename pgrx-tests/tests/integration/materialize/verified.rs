//! Data tests and gates: checked before readers see the rows.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{expect, refused, rows, run};

#[test]
fn a_test_that_fails_keeps_the_former_rows() -> Result<()> {
    for (strategy, broken) in [
        ("unique_key => '{id}', capture => 'xmin'", "changed"),
        ("unique_key => '{id}', capture => 'diff'", "changed"),
        ("unique_key => '{id}'", "anew"),
        ("strategy => 'full'", "anew"),
    ] {
        for (tests, breaks, mends, named) in [
            (
                r#"{"not_null": ["name"]}"#,
                "UPDATE people SET name = NULL WHERE id = 7",
                "UPDATE people SET name = 'x7' WHERE id = 7",
                "not_null(name)",
            ),
            (
                r#"{"unique": ["name", ["id", "plan"]]}"#,
                "UPDATE people SET name = 'x' WHERE id IN (7, 8)",
                "UPDATE people SET name = 'y' || id WHERE id IN (7, 8)",
                "unique(name)",
            ),
            (
                r#"{"accepted_values": {"plan": ["free", "paid"]}}"#,
                "UPDATE people SET plan = 'other' WHERE id = 9",
                "UPDATE people SET plan = 'free' WHERE id = 9",
                "accepted_values(plan)",
            ),
            (
                r#"{"relationships": {"id": {"to": "mart.known", "field": "id"}}}"#,
                "INSERT INTO people (id, plan) VALUES (1001, 'free')",
                "DELETE FROM people WHERE id = 1001",
                "relationships(id)",
            ),
            (
                r#"{"sql": ["SELECT id FROM {this} WHERE amount < 0"]}"#,
                "UPDATE people SET amount = -1 WHERE id = 3",
                "UPDATE people SET amount = 1 WHERE id = 3",
                "sql[0]",
            ),
        ] {
            let mut ground = Ground::new("verified")?;
            run(
                &mut ground.client,
                "CREATE TABLE mart.known AS SELECT i AS id FROM generate_series(1, 1000) i",
            )?;
            ground.people(&format!("{strategy}, tests => '{tests}'"))?;
            ground.at_source(breaks)?;
            refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
                .says("23514", &[named, "\"mart.people\""])?
                .hints(&["keeps the rows"])?;
            expect(
                &mut ground.client,
                "SELECT count(*), count(*) FILTER (WHERE plan = 'other' OR amount < 0 OR name IS NULL) FROM mart.people",
                "1000|0",
            )?;
            ground.at_source(mends)?;
            ensure!(
                ground.refresh("'mart.people'")?.starts_with("succeeded"),
                "{strategy} {broken} {named}"
            );
            ground.refresh("'mart.people', full_refresh => true")?;
            ground.agrees("mart.people", "SELECT * FROM app.people")?;
        }
    }
    Ok(())
}

#[test]
fn a_test_may_only_warn() -> Result<()> {
    let mut ground = Ground::new("warns")?;
    ground.people(
        r#"strategy => 'full', tests => '{"not_null": ["id"], "warn": {"not_null": ["name"]}}'"#,
    )?;
    ground.at_source("UPDATE people SET name = NULL WHERE id = 7")?;
    ensure!(ground.refresh("'mart.people'")?.starts_with("succeeded"));
    expect(&mut ground.client, "SELECT count(*) FROM mart.people WHERE name IS NULL", "1")
}

#[test]
fn a_gate_keeps_what_is_not_anonymous_out() -> Result<()> {
    let mut ground = Ground::new("gate")?;
    ground.people(
        r#"strategy => 'full', require => '{"k_anonymity": {"k": 5, "columns": ["plan"]}}'"#,
    )?;
    ground.at_source("UPDATE people SET plan = 'rare' WHERE id < 4")?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("23514", &["\"mart.people\"", "anonym"])?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people WHERE plan = 'rare'", "0")?;
    refused(
        &mut ground.client,
        r#"SELECT warehouse.materialize('mart.q', 'SELECT plan FROM app.people', require => '{"k_anonymity": {"k": 5, "columns": ["plan"]}}')"#,
    )?
    .says("23514", &["\"mart.q\""])?;
    ensure!(rows(&mut ground.client, "SELECT to_regclass('mart.q') IS NULL")? == "t");
    Ok(())
}

/// What is kept is masked, whoever defines it and whoever refreshes it; clear text takes a member.
#[test]
fn masked_values_are_kept() -> Result<()> {
    let mut ground = Ground::new("maskedmart")?;
    let officer = format!("officer_{}", ground.pair.warehouse_database);
    run(
        &mut ground.client,
        &format!(
            "SELECT warehouse.classify('app.people', 'name', class => 'identifier', mask => 'partial(1, ''***'', 0)'); \
             CREATE ROLE {officer}; GRANT warehouse_clear, warehouse_admin TO {officer}; GRANT USAGE ON SCHEMA app TO {officer}; \
             GRANT SELECT ON app.people TO {officer}; GRANT CREATE, USAGE ON SCHEMA mart TO {officer}"
        ),
    )?;
    let mut client = ground.pair.warehouse()?;
    run(
        &mut client,
        &format!(
            "SET SESSION AUTHORIZATION {officer}; SET warehouse.clear = on; SET client_min_messages = warning"
        ),
    )?;
    for capture in ["xmin", "diff"] {
        run(
            &mut client,
            &format!(
                "SELECT warehouse.materialize('mart.{capture}', 'SELECT id, name FROM app.people', unique_key => '{{id}}', capture => '{capture}')"
            ),
        )?;
        expect(&mut client, &format!("SELECT DISTINCT name FROM mart.{capture}"), "n***")?;
        ground.at_source("UPDATE people SET name = 'another ' || id WHERE id < 10")?;
        run(&mut client, &format!("SELECT warehouse.refresh('mart.{capture}')"))?;
        expect(
            &mut client,
            &format!("SELECT name, count(*) FROM mart.{capture} GROUP BY 1 ORDER BY 1"),
            "a***|9\nn***|991",
        )?;
        ground.at_source("UPDATE people SET name = 'name ' || id WHERE id < 10")?;
    }
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.clear', 'SELECT id, name FROM app.people', unique_key => '{id}', capture => 'xmin', clear => true)",
    )?;
    expect(&mut ground.client, "SELECT name FROM mart.clear WHERE id = 7", "name 7")?;
    run(&mut ground.client, &format!("REVOKE warehouse_clear FROM {officer}"))?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.clear')")?
        .says("42501", &["warehouse_clear"])?;
    Ok(())
}
