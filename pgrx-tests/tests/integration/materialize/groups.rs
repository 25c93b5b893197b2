//! Aggregates of a materialized table that follow its changes.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{expect, refused, rows, run};

const BY_PLAN: &str = "SELECT plan, count(*) AS n, count(name) AS named, sum(amount) AS total, avg(amount) AS mean, \
    min(amount) AS low, max(amount) AS high FROM mart.people GROUP BY plan";

fn followed(test: &str, base: &str) -> Result<Ground> {
    let mut ground = Ground::new(test)?;
    ground.people(base)?;
    run(
        &mut ground.client,
        &format!("SELECT warehouse.materialize('mart.plans', '{BY_PLAN}', capture => 'change')"),
    )?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.sizes', 'SELECT n > 300 AS is_large, count(*) AS plans, sum(n) AS people \
           FROM mart.plans GROUP BY 1', capture => 'change')",
    )?;
    Ok(ground)
}

/// Right after every refresh, for every way in which the table is refreshed; a chain of them too.
#[test]
fn they_are_right_after_every_refresh() -> Result<()> {
    for base in [
        "unique_key => '{id}', capture => 'xmin', reconcile => '1 day'",
        "unique_key => '{id}', capture => 'diff'",
        "unique_key => '{id}', cursor_column => 'changed', lookback => '1 hour'",
        "unique_key => '{id}', strategy => 'delete+insert', cursor_column => 'changed', lookback => '1 hour'",
        "unique_key => '{id}'",
        "strategy => 'full'",
    ] {
        let mut ground = followed("follow", base)?;
        for change in [
            "UPDATE people SET amount = amount * 2, changed = clock_timestamp() WHERE id < 20",
            "UPDATE people SET plan = 'gold', changed = clock_timestamp() WHERE id % 50 = 0",
            "INSERT INTO people (id, name, plan) VALUES (2001, NULL, 'silver'), (2002, 'x', 'free')",
            "UPDATE people SET amount = NULL, changed = clock_timestamp() WHERE plan = 'gold'",
            "DELETE FROM people WHERE plan = 'silver' OR id IN (3, 4)",
        ] {
            ground.at_source(change)?;
            ground.refresh("'mart.people'")?;
            if change.starts_with("DELETE") && !base.contains("diff") && base.contains("unique_key")
            {
                ground.refresh("'mart.people', reconcile => true")?;
            }
            ground.agrees("mart.plans", BY_PLAN)?;
            ground.agrees(
                "mart.sizes",
                "SELECT n > 300, count(*), sum(n) FROM mart.plans GROUP BY 1",
            )?;
            ground.agrees("mart.people", "SELECT * FROM app.people")?;
        }
        ground.refresh("'mart.people', full_refresh => true")?;
        ground.agrees("mart.plans", BY_PLAN)?;
    }
    Ok(())
}

/// Groups that have not changed are not written.
#[test]
fn what_has_not_changed_is_left_alone() -> Result<()> {
    let mut ground = followed("alone", "unique_key => '{id}', capture => 'xmin'")?;
    let others =
        "SELECT string_agg(xmin::text, ',' ORDER BY plan) FROM mart.plans WHERE plan <> 'paid'";
    let before = rows(&mut ground.client, others)?;
    ground.at_source("UPDATE people SET amount = 0 WHERE id = 3")?;
    ground.refresh("'mart.people'")?;
    ensure!(rows(&mut ground.client, others)? == before);
    expect(
        &mut ground.client,
        "SELECT relation, capture, updated FROM warehouse.runs WHERE cause = 'change' ORDER BY id DESC LIMIT 1",
        "mart.plans|change|1",
    )?;
    // Groups are found by an index.
    expect(
        &mut ground.client,
        "SELECT pg_get_indexdef(indexrelid) LIKE '%(plan)%' FROM pg_index WHERE indrelid = 'mart.people'::regclass AND NOT indisprimary",
        "t",
    )
}

#[test]
fn what_cannot_be_followed_is_refused() -> Result<()> {
    let mut ground = Ground::new("nofollow")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    for (query, part) in [
        ("SELECT plan, count(*) FROM app.people GROUP BY 1", "is none"),
        ("SELECT id FROM mart.people", "groups one materialized table"),
        ("SELECT count(*) FROM mart.people", "the unique_key is the grouping"),
        ("SELECT plan, count(*) FROM mart.people GROUP BY 1 LIMIT 3", "groups one"),
    ] {
        refused(
            &mut ground.client,
            &format!("SELECT warehouse.materialize('mart.x', '{query}', capture => 'change')"),
        )?
        .says("22023", &[part])?;
    }
    Ok(())
}

/// Another key of the table that is followed, and rows that go with it.
#[test]
fn another_key_is_followed_too() -> Result<()> {
    let mut ground = followed("otherkey", "unique_key => '{id}', capture => 'diff'")?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.people', $$SELECT * FROM app.people WHERE plan = 'free'$$, \
           unique_key => '{id,plan}', capture => 'diff')",
    )?;
    ground.agrees("mart.plans", BY_PLAN)
}
