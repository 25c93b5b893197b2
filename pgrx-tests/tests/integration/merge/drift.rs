//! Running merge_schema() again: nothing to do is nothing done, and what changed is applied and told.

use anyhow::{Result, ensure};

use super::{Sites, reports, two};
use crate::ask::{expect, refused, rows, run};

#[test]
fn a_second_run_finds_nothing_to_do() -> Result<()> {
    let mut sites = two("idempotent")?;
    for _ in 0..2 {
        reports(&sites.merge()?, &[])?;
    }
    sites.at("ai", "INSERT INTO app.users VALUES (4, 'u4', now()); ANALYZE")?;
    reports(&sites.merge()?, &[])?;
    expect(&mut sites.client, "SELECT count(*) FROM main.users", "7")
}

#[test]
fn new_tables_columns_and_sites() -> Result<()> {
    let mut sites = two("newthings")?;
    sites.at(
        "ai",
        "CREATE TABLE app.plans (id int, name text); INSERT INTO app.plans VALUES (1, 'free'); \
         ALTER TABLE app.users ADD COLUMN email text DEFAULT 'e'",
    )?;
    reports(
        &sites.merge()?,
        &[
            "plans|~|~|created table|~",
            "plans|ai|~|added site|~",
            "users|~|email|added column|text",
            "users|ai|email|column found|~",
            "users|cd|email|column missing|reads NULL",
        ],
    )?;
    expect(
        &mut sites.client,
        "SELECT site, count(*), max(email) FROM main.users GROUP BY 1 ORDER BY 1",
        "ai|3|e\ncd|3|~",
    )?;
    // The other site follows.
    sites.at(
        "cd",
        "ALTER TABLE app.users ADD COLUMN email text DEFAULT 'f'; CREATE TABLE app.plans (id int)",
    )?;
    reports(&sites.merge()?, &["plans|cd|~|added site|~", "users|cd|email|column found|~"])?;
    expect(
        &mut sites.client,
        "SELECT site, count(*), max(email) FROM main.users GROUP BY 1 ORDER BY 1",
        "ai|3|e\ncd|3|f",
    )?;
    // A third site, which is another database of the same kind.
    let more = Sites::call(&[("ai", "ai"), ("cd", "cd"), ("ai", "ai two")]);
    let report = rows(&mut sites.client, &format!("SELECT * FROM {more}"))?;
    reports(
        &report,
        &[
            "logins|ai two|~|added site|~",
            "plans|ai two|~|added site|~",
            "users|ai two|~|added site|~",
        ],
    )?;
    expect(&mut sites.client, "SELECT count(*), count(DISTINCT site) FROM main.users", "9|3")?;
    // Left out of a later run, it stays and is named.
    let report = sites.merge()?;
    ensure!(report.lines().count() == 3, "{report}");
    ensure!(
        report.lines().all(|l| l.contains("|ai two|~|site not among the sources|")),
        "{report}"
    );
    expect(&mut sites.client, "SELECT count(*) FROM main.users", "9")
}

#[test]
fn dropped_and_renamed_columns() -> Result<()> {
    let mut sites = two("dropped")?;
    run(&mut sites.client, "CREATE VIEW public.names AS SELECT site, id, name FROM main.users")?;
    sites.at("ai", "ALTER TABLE app.users DROP COLUMN name")?;
    refused(&mut sites.client, "SELECT name FROM main.users")?.says("42703", &["site ai"])?;
    let report = sites.merge()?;
    ensure!(report.contains("users|~|name|dropped not null"), "{report}");
    ensure!(report.contains("users|ai|name|column gone|reads NULL"), "{report}");
    ensure!(report.lines().count() == 2, "{report}");
    expect(
        &mut sites.client,
        "SELECT site, name FROM public.names WHERE id = 1 ORDER BY site",
        "ai|~\ncd|u1",
    )?;
    reports(&sites.merge()?, &[])?;

    sites.at("cd", "ALTER TABLE app.users RENAME COLUMN name TO full_name")?;
    let report = sites.merge()?;
    ensure!(report.contains("users|~|full_name|added column|text"), "{report}");
    ensure!(report.contains("users|cd|name|column gone"), "{report}");
    ensure!(report.contains("users|~|name|column gone|no source has it any more"), "{report}");
    expect(
        &mut sites.client,
        "SELECT site, name, full_name FROM main.users WHERE id = 1 ORDER BY site",
        "ai|~|~\ncd|~|u1",
    )?;
    expect(&mut sites.client, "SELECT count(*), count(name) FROM public.names", "6|0")?;
    reports(&sites.merge()?, &[])?;
    // It comes back.
    sites.at("ai", "ALTER TABLE app.users ADD COLUMN name text DEFAULT 'again'")?;
    reports(&sites.merge()?, &["users|ai|name|column found|~"])?;
    expect(&mut sites.client, "SELECT count(name) FROM public.names", "3")
}

#[test]
fn dropped_tables() -> Result<()> {
    let mut sites = two("droppedtable")?;
    sites.at("ai", "DROP TABLE app.logins")?;
    refused(&mut sites.client, "TABLE main.logins")?.says("42P01", &["site ai"])?;
    let report = sites.merge()?;
    ensure!(
        report.lines().count() == 1 && report.starts_with("logins|ai|~|dropped site|"),
        "{report}"
    );
    expect(&mut sites.client, "SELECT site, count(*) FROM main.logins GROUP BY 1", "cd|3")?;
    sites.at("cd", "DROP TABLE app.logins")?;
    let report = sites.merge()?;
    ensure!(
        report.lines().count() == 1 && report.starts_with("logins|~|~|table gone|"),
        "{report}"
    );
    expect(&mut sites.client, "SELECT count(*) FROM main.users", "6")?;
    // It comes back at the other site.
    sites.at("ai", "CREATE TABLE app.logins (id int, user_id int)")?;
    let report = sites.merge()?;
    ensure!(report.contains("logins|ai|~|added site"), "{report}");
    expect(&mut sites.client, "SELECT count(*) FROM main.logins", "0")
}

#[test]
fn retyped_columns() -> Result<()> {
    let mut sites = two("retyped")?;
    sites.at("ai", "ALTER TABLE app.users ALTER COLUMN id TYPE bigint; INSERT INTO app.users VALUES (9000000000, 'big', NULL)")?;
    refused(&mut sites.client, "SELECT id FROM main.users")?
        .says("HV004", &["site ai", "\"id\""])?;
    let report = sites.merge()?;
    ensure!(report.contains("users|~|id|changed type|integer to bigint"), "{report}");
    ensure!(report.contains("users|~|id|type conflict|"), "{report}");
    expect(&mut sites.client, "SELECT max(id), count(id) FROM main.users", "9000000000|7")?;
    sites.at("cd", "ALTER TABLE app.users ALTER COLUMN id TYPE bigint")?;
    let report = sites.merge()?;
    ensure!(
        report.starts_with("users|cd|id|column changed") && report.lines().count() == 1,
        "{report}"
    );
    expect(&mut sites.client, "SELECT max(id), count(id) FROM main.users", "9000000000|7")?;
    reports(&sites.merge()?, &[])?;

    // With a view in the way the type here stays, and the sources cast.
    run(&mut sites.client, "CREATE VIEW public.v AS SELECT site, id, name FROM main.users")?;
    for site in ["ai", "cd"] {
        sites.at(site, "ALTER TABLE app.users ALTER COLUMN name TYPE varchar(30), ALTER COLUMN id TYPE numeric")?;
    }
    let report = sites.merge()?;
    ensure!(report.contains("users|~|id|type kept|"), "{report}");
    expect(&mut sites.client, "SELECT max(id), max(name) FROM public.v", "9000000000|u3")?;
    expect(&mut sites.client, "SELECT name FROM public.v WHERE id = 9000000000", "big")?;
    // The same is found again and not done again.
    let again = sites.merge()?;
    ensure!(!again.contains("changed type"), "{again}");
    expect(&mut sites.client, "SELECT max(id), max(name) FROM public.v", "9000000000|u3")
}

#[test]
fn not_null_that_is_gone() -> Result<()> {
    let mut sites = two("nullable")?;
    sites.at("cd", "ALTER TABLE app.users ALTER COLUMN name DROP NOT NULL; INSERT INTO app.users VALUES (7, NULL, NULL)")?;
    reports(&sites.merge()?, &["users|~|name|dropped not null|~"])?;
    expect(&mut sites.client, "SELECT site, id FROM main.users WHERE name IS NULL", "cd|7")?;
    expect(&mut sites.client, "SELECT count(*) FROM main.users WHERE name IS NOT NULL", "6")?;
    reports(&sites.merge()?, &[])
}

#[test]
fn a_site_that_moves_to_another_server() -> Result<()> {
    let mut sites = two("moved")?;
    sites.at("cd", "INSERT INTO app.users VALUES (8, 'moved', NULL)")?;
    sites.kill("ai")?;
    let moved = Sites::call(&[("cd", "ai"), ("cd", "cd")]);
    let report = rows(&mut sites.client, &format!("SELECT * FROM {moved}"))?;
    ensure!(report.contains("users|ai|~|changed server|ai to cd"), "{report}");
    ensure!(report.contains("logins|ai|~|changed server|ai to cd"), "{report}");
    expect(
        &mut sites.client,
        "SELECT site, count(*) FROM main.users GROUP BY 1 ORDER BY 1",
        "ai|4\ncd|4",
    )?;
    reports(&rows(&mut sites.client, &format!("SELECT * FROM {moved}"))?, &[])
}

#[test]
fn views_grants_comments_and_options_survive() -> Result<()> {
    let mut sites = two("survive")?;
    run(
        &mut sites.client,
        "DO $$ BEGIN CREATE ROLE survivor; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE VIEW public.v AS SELECT site, id, name FROM main.users; \
         CREATE MATERIALIZED VIEW public.m AS SELECT count(*) AS n FROM main.users; \
         GRANT USAGE ON SCHEMA main TO survivor; GRANT SELECT ON main.users TO survivor; \
         COMMENT ON TABLE main.users IS 'ours'; COMMENT ON COLUMN main.users.name IS 'our name'; \
         ALTER TABLE main.users ALTER COLUMN name SET STATISTICS 500",
    )?;
    sites.at(
        "ai",
        "ALTER TABLE app.users ADD COLUMN email text; COMMENT ON TABLE app.users IS 'theirs'; \
         COMMENT ON COLUMN app.users.email IS 'their mail'; COMMENT ON COLUMN app.users.name IS 'theirs'; \
         ALTER TABLE app.users DROP COLUMN at",
    )?;
    sites.merge()?;
    let client = &mut sites.client;
    expect(
        client,
        "SELECT obj_description('main.users'::regclass), col_description('main.users'::regclass, 3), \
           has_table_privilege('survivor', 'main.users', 'SELECT'), \
           has_table_privilege('survivor', 'main_sites.users_ai', 'SELECT'), \
           (SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'main.users'::regclass AND attname = 'email')",
        "ours|our name|t|f|their mail",
    )?;
    run(client, "REFRESH MATERIALIZED VIEW public.m")?;
    expect(client, "SELECT n FROM public.m", "6")?;
    expect(client, "SELECT count(name) FROM public.v", "6")?;
    run(client, "SET ROLE survivor")?;
    expect(client, "SELECT count(*), count(email) FROM main.users", "6|0")?;
    refused(client, "TABLE main_sites.users_ai")?.says("42501", &[])?;
    run(client, "RESET ROLE")
}

/// A run that fails leaves everything as it was.
#[test]
fn a_run_that_fails_changes_nothing() -> Result<()> {
    let mut sites = two("atomic")?;
    sites.at("ai", "CREATE TABLE app.first (id int)")?;
    sites.kill("cd")?;
    sites.reconnect()?;
    let call = format!("SELECT * FROM {}", Sites::call(&[("ai", "ai"), ("cd", "cd")]));
    refused(&mut sites.client, &call)?.says("08001", &["\"cd\""])?;
    expect(&mut sites.client, "SELECT count(*) FROM pg_class WHERE relname = 'first'", "0")?;
    sites.revive("cd")?;
    run(&mut sites.client, "BEGIN")?;
    run(&mut sites.client, &call)?;
    run(&mut sites.client, "ROLLBACK")?;
    expect(&mut sites.client, "SELECT count(*) FROM pg_class WHERE relname = 'first'", "0")?;
    reports(&sites.merge()?, &["first|~|~|created table|~", "first|ai|~|added site|~"])
}
