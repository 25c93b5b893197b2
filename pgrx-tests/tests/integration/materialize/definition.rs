//! What a definition makes, what it refuses, and what changes when it is made anew.

use anyhow::{Result, ensure};

use super::Ground;
use crate::ask::{expect, refused, rows, run};

#[test]
fn it_makes_an_ordinary_table() -> Result<()> {
    let mut ground = Ground::new("ordinary")?;
    ground.people("unique_key => '{id}', capture => 'xmin', indexes => '{\"plan, changed\"}', description => 'Our people'")?;
    expect(
        &mut ground.client,
        "SELECT relkind, obj_description(oid) FROM pg_class WHERE oid = 'mart.people'::regclass; \
         SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mart.people'::regclass; \
         SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'mart.people'::regclass AND NOT indisprimary; \
         SELECT col_description('mart.people'::regclass, 3); \
         SELECT reltuples FROM pg_class WHERE oid = 'mart.people'::regclass",
        "r|Our people\nPRIMARY KEY (id)\n\
         CREATE INDEX people_plan_changed_idx ON mart.people USING btree (plan, changed)\nWhat they pay for\n1000",
    )?;
    expect(
        &mut ground.client,
        "SELECT strategy, capture, unique_key, state FROM warehouse.materializations",
        "merge|xmin|{id}|idle",
    )
}

#[test]
fn defaults_follow_from_what_is_given() -> Result<()> {
    let mut ground = Ground::new("defaults")?;
    for (name, query, arguments, chosen) in [
        ("a", "SELECT * FROM app.people", "", "full|none"),
        ("b", "SELECT * FROM app.people", ", unique_key => '{id}'", "full|none"),
        (
            "c",
            "SELECT * FROM app.people",
            ", unique_key => '{id}', cursor_column => 'changed'",
            "merge|cursor",
        ),
        ("d", "SELECT * FROM app.people", ", cursor_column => 'id'", "append|cursor"),
        (
            "e",
            "SELECT * FROM app.people",
            ", unique_key => '{id}', strategy => 'merge'",
            "merge|xmin",
        ),
        (
            "f",
            "SELECT id, count(*) FROM app.people GROUP BY id",
            ", unique_key => '{id}', strategy => 'merge'",
            "merge|diff",
        ),
        (
            "g",
            "SELECT changed::date AS day, count(*) FROM app.people GROUP BY 1",
            ", event_time => 'day'",
            "microbatch|none",
        ),
    ] {
        run(
            &mut ground.client,
            &format!("SELECT warehouse.materialize('mart.{name}', '{query}'{arguments})"),
        )?;
        expect(
            &mut ground.client,
            &format!(
                "SELECT strategy, capture FROM warehouse.materializations WHERE relation_name = '{name}'"
            ),
            chosen,
        )?;
    }
    Ok(())
}

#[test]
fn what_cannot_work_is_refused() -> Result<()> {
    let mut ground = Ground::new("refuseddef")?;
    let all = "SELECT * FROM app.people";
    for (query, arguments, code, part) in [
        (all, "strategy => 'merge'", "22023", "need a unique_key"),
        (all, "strategy => 'upsert'", "22023", "unknown strategy"),
        (all, "capture => 'log'", "22023", "unknown capture"),
        (all, "unique_key => '{nothing}'", "42703", "\"nothing\" is no column"),
        (
            all,
            "strategy => 'merge', capture => 'cursor', unique_key => '{id}'",
            "22023",
            "needs a cursor_column",
        ),
        (all, "strategy => 'microbatch'", "22023", "needs event_time"),
        (all, "event_time => 'name'", "22023", "neither a date nor a timestamp"),
        (all, "cursor_column => 'changed', lookback => 'soon'", "22023", "no span of time"),
        (all, "cursor_column => 'id', lookback => '1 hour'", "22023", "no number"),
        (all, "schedule => '61 * * * *'", "22023", "schedule"),
        (all, "schedule => '* * * * *', time_zone => 'Mars/Olympus'", "22023", "Mars/Olympus"),
        (all, "reconcile => '1 day'", "22023", "needs a unique_key"),
        (all, "tests => '{\"not_nul\": []}'", "22023", "not_nul"),
        (all, "warn_after => 'later'", "22023", "warn_after"),
        (all, "clear => true", "42501", "warehouse_clear"),
        (all, "after => '{mart.nothing}'", "42P01", "does not exist"),
        (
            "SELECT p.id FROM app.people p JOIN app.people q USING (id)",
            "unique_key => '{id}', capture => 'xmin'",
            "22023",
            "row by row",
        ),
        ("SELECT id, id FROM app.people", "strategy => 'full'", "42701", "given twice"),
        (
            "SELECT random() AS r, id FROM app.people",
            "unique_key => '{id}', capture => 'diff'",
            "22023",
            "volatile",
        ),
        ("SELECT 1; SELECT 2", "strategy => 'full'", "42601", "one SELECT"),
        ("DELETE FROM app.people RETURNING 1", "strategy => 'full'", "0A000", "SELECT"),
        (
            "WITH gone AS (DELETE FROM pg_class RETURNING 1) SELECT * FROM gone",
            "strategy => 'full'",
            "0A000",
            "neither write",
        ),
        ("SELECT id FROM app.people FOR UPDATE", "strategy => 'full'", "0A000", "lock"),
        ("SELECT id INTO x FROM app.people", "strategy => 'full'", "0A000", "SELECT"),
    ] {
        let call = format!("SELECT warehouse.materialize('mart.x', $q${query}$q$, {arguments})");
        refused(&mut ground.client, &call)?.says(code, &[part])?;
    }
    expect(
        &mut ground.client,
        "SELECT to_regclass('mart.x') IS NULL, (SELECT count(*) FROM warehouse.materializations)",
        "t|0",
    )?;
    run(&mut ground.client, "CREATE TABLE mart.mine (id int)")?;
    refused(&mut ground.client, "SELECT warehouse.materialize('mart.mine', 'SELECT 1 AS id')")?
        .says("42P07", &["already exists and is not materialized"])?;
    Ok(())
}

#[test]
fn hostile_names_are_names() -> Result<()> {
    let mut ground = Ground::new("hostilemart")?;
    ground.at_source(
        r#"CREATE TABLE "x; DROP" ("i""d" int PRIMARY KEY, "a'b" text, "Größe $1" text);
           INSERT INTO "x; DROP" VALUES (1, 'it''s', '\'), (2, NULL, '{"}')"#,
    )?;
    run(
        &mut ground.client,
        r#"IMPORT FOREIGN SCHEMA public LIMIT TO ("x; DROP") FROM SERVER src INTO app; CREATE SCHEMA "M'art ""x";
           SELECT warehouse.materialize('"M''art ""x"."T; --"', 'SELECT * FROM app."x; DROP"', unique_key => ARRAY['i"d'],
             capture => 'diff', tests => '{"unique": ["a''b"], "not_null": ["i\"d"]}')"#,
    )?;
    ground.at_source(
        r#"UPDATE "x; DROP" SET "a'b" = 'o''new'; INSERT INTO "x; DROP" VALUES (3, '"', '')"#,
    )?;
    refused(&mut ground.client, r#"SELECT * FROM warehouse.refresh('"M''art ""x"."T; --"')"#)?
        .says("23514", &["unique(a'b)"])?;
    ground.at_source(r#"UPDATE "x; DROP" SET "a'b" = "i""d"::text"#)?;
    run(&mut ground.client, r#"SELECT * FROM warehouse.refresh('"M''art ""x"."T; --"')"#)?;
    ground.agrees(r#""M'art ""x"."T; --""#, r#"SELECT * FROM app."x; DROP""#)
}

#[test]
fn another_definition_migrates_as_it_is_told() -> Result<()> {
    let mut ground = Ground::new("migrates")?;
    let define = |query: &str, more: &str| {
        format!("SELECT warehouse.materialize('mart.p', '{query}', unique_key => '{{id}}'{more})")
    };
    run(&mut ground.client, &define("SELECT id, name FROM app.people", ""))?;
    run(&mut ground.client, "CREATE VIEW mart.v AS SELECT id FROM mart.p")?;
    let oid = rows(&mut ground.client, "SELECT 'mart.p'::regclass::oid")?;
    refused(&mut ground.client, &define("SELECT id, plan FROM app.people", ""))?
        .says("42P16", &["new: plan; gone: name"])?
        .hints(&["sync_all_columns"])?;
    run(
        &mut ground.client,
        &define(
            "SELECT id, plan FROM app.people",
            ", on_schema_change => ''append_new_columns''".replace("''", "'").as_str(),
        ),
    )?;
    expect(
        &mut ground.client,
        "SELECT count(name), count(plan), count(*) FROM mart.p",
        "0|1000|1000",
    )?;
    run(
        &mut ground.client,
        &define("SELECT id, plan, amount FROM app.people", ", on_schema_change => 'ignore'"),
    )?;
    expect(
        &mut ground.client,
        "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'mart.p'::regclass AND attnum > 0 AND NOT attisdropped",
        "id,name,plan",
    )?;
    run(
        &mut ground.client,
        &define(
            "SELECT id, amount::text AS plan, changed FROM app.people",
            ", on_schema_change => 'sync_all_columns'",
        ),
    )?;
    ground.agrees("mart.p", "SELECT id, amount::text, changed FROM app.people")?;
    run(
        &mut ground.client,
        &define(
            "SELECT id, amount AS plan, changed FROM app.people",
            ", on_schema_change => 'sync_all_columns'",
        ),
    )?;
    ground.agrees("mart.p", "SELECT id, amount, changed FROM app.people")?;
    expect(
        &mut ground.client,
        "SELECT count(*) FROM mart.v; SELECT 'mart.p'::regclass::oid",
        &format!("1000\n{oid}"),
    )?;
    // The same once more changes nothing and fetches nothing.
    let runs = rows(&mut ground.client, "SELECT count(*) FROM warehouse.runs")?;
    run(
        &mut ground.client,
        &define(
            "SELECT id, amount AS plan, changed FROM app.people",
            ", on_schema_change => 'sync_all_columns'",
        ),
    )?;
    expect(&mut ground.client, "SELECT count(*) FROM warehouse.runs", &runs)?;
    // Another key.
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.p', 'SELECT id, amount AS plan, changed FROM app.people', unique_key => '{changed,id}')",
    )?;
    expect(
        &mut ground.client,
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'mart.p'::regclass",
        "PRIMARY KEY (changed, id)",
    )?;
    ground.agrees("mart.p", "SELECT id, amount, changed FROM app.people")
}

#[test]
fn drift_at_the_source_is_named() -> Result<()> {
    let mut ground = Ground::new("driftmart")?;
    ground.people("unique_key => '{id}', capture => 'xmin'")?;
    ground.at_source("ALTER TABLE people RENAME COLUMN plan TO tariff")?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("42703", &["plan"])?;
    // The foreign table has followed; the definition has not.
    run(
        &mut ground.client,
        "DROP FOREIGN TABLE app.people; IMPORT FOREIGN SCHEMA public LIMIT TO (people) FROM SERVER src INTO app",
    )?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("42703", &["\"mart.people\" does not fit its sources any more", "plan"])?
        .hints(&["warehouse.materialize() again"])?;
    ground.at_source("ALTER TABLE people RENAME COLUMN tariff TO plan; ALTER TABLE people ALTER amount TYPE float8")?;
    run(
        &mut ground.client,
        "DROP FOREIGN TABLE app.people; IMPORT FOREIGN SCHEMA public LIMIT TO (people) FROM SERVER src INTO app",
    )?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("42804", &["\"amount\"", "double precision", "numeric"])?
        .hints(&["sync_all_columns"])?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "1000")
}

#[test]
fn keys_of_the_source_become_keys_here() -> Result<()> {
    let mut ground = Ground::new("foreignkeys")?;
    ground.at_source(
        "CREATE TABLE orders (id int PRIMARY KEY, person bigint REFERENCES people); \
         INSERT INTO orders SELECT i, i FROM generate_series(1, 100) i",
    )?;
    run(
        &mut ground.client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (orders) FROM SERVER src INTO app; \
         SELECT warehouse.materialize('mart.orders', 'SELECT id AS order_id, person AS who FROM app.orders', unique_key => '{order_id}', capture => 'xmin')",
    )?;
    ground.people("unique_key => '{id}', capture => 'diff'")?;
    expect(
        &mut ground.client,
        "SELECT conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'mart'::regnamespace",
        "mart.orders|FOREIGN KEY (who) REFERENCES mart.people(id) NOT VALID",
    )?;
    // Each table is refreshed at its own time, whatever the other has by then.
    ground.at_source("INSERT INTO people (id, plan) VALUES (5000, 'free'); INSERT INTO orders VALUES (101, 5000); DELETE FROM orders WHERE id = 1; DELETE FROM people WHERE id = 1")?;
    ground.refresh("'mart.orders', reconcile => true")?;
    ground.refresh("'mart.people'")?;
    ground.refresh("'mart.people', full_refresh => true")?;
    ground.agrees("mart.people", "SELECT * FROM app.people")?;
    run(&mut ground.client, "SELECT warehouse.drop_materialization('mart.people')")?;
    expect(&mut ground.client, "SELECT count(*) FROM mart.orders", "100")
}

#[test]
fn it_runs_with_the_rights_of_the_owner() -> Result<()> {
    let mut ground = Ground::new("ownersrights")?;
    let owner = format!("owner_{}", ground.pair.warehouse_database);
    let other = format!("other_{}", ground.pair.warehouse_database);
    run(
        &mut ground.client,
        &format!(
            "CREATE ROLE {owner}; CREATE ROLE {other}; GRANT warehouse_admin TO {owner}; GRANT USAGE ON SCHEMA app TO {owner}; \
             GRANT SELECT ON app.people TO {owner}; GRANT CREATE, USAGE ON SCHEMA mart TO {owner}; GRANT USAGE ON SCHEMA mart TO {other}; \
             CREATE TABLE public.secret (s text); INSERT INTO public.secret VALUES ('hidden'); CREATE TABLE public.loot (who text); \
             CREATE FUNCTION mart.steal() RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
               RETURN current_user || session_user || (SELECT s FROM public.secret LIMIT 1); END $$"
        ),
    )?;
    let mut client = ground.pair.warehouse()?;
    run(
        &mut client,
        &format!("SET SESSION AUTHORIZATION {owner}; SET client_min_messages = warning"),
    )?;
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.people', 'SELECT * FROM app.people', unique_key => '{id}', capture => 'xmin')",
    )?;
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.who', 'SELECT current_user::text AS who')",
    )?;
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.loot', 'SELECT mart.steal() AS s', with_data => false)",
    )?;
    // Run by a superuser, and still the owner's.
    run(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.who')")?;
    expect(&mut ground.client, "SELECT who FROM mart.who", &owner)?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.loot')")?
        .says("42501", &["secret"])?;
    // Whoever is neither owner nor administrator may ask for a run only.
    run(&mut client, &format!("GRANT SELECT ON mart.people TO {other}"))?;
    let mut stranger = ground.pair.warehouse()?;
    run(&mut stranger, &format!("SET SESSION AUTHORIZATION {other}"))?;
    for call in
        ["refresh('mart.people')", "pause('mart.people')", "drop_materialization('mart.people')"]
    {
        refused(&mut stranger, &format!("SELECT warehouse.{call}"))?
            .says("42501", &["must be owner"])?;
    }
    refused(&mut stranger, "SELECT warehouse.materialize('mart.x', 'SELECT 1 AS a')")?
        .says("42501", &["materialize"])?;
    run(&mut stranger, "BEGIN READ ONLY; SELECT warehouse.request_refresh('mart.people'); COMMIT")?;
    refused(&mut stranger, "SELECT warehouse.request_refresh('mart.who')")?
        .says("42501", &["mart.who"])?;
    // A right that was taken away is a failed run, no escalation.
    run(&mut ground.client, &format!("REVOKE SELECT ON app.people FROM {owner}"))?;
    refused(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.people')")?
        .says("42501", &["people"])?;
    ensure!(rows(&mut ground.client, "SELECT count(*) FROM mart.people")? == "1000");
    // What a trigger or a default of the owner's table does is his.
    run(
        &mut client,
        "CREATE FUNCTION mart.grab() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET ROLE postgres; RETURN NEW; END $$; \
         CREATE TRIGGER grab AFTER INSERT ON mart.who FOR EACH ROW EXECUTE FUNCTION mart.grab()",
    )?;
    run(&mut ground.client, "SELECT * FROM warehouse.refresh('mart.who')")?;
    expect(&mut ground.client, "SELECT current_user", "postgres")
}
