//! What merge_schema() refuses, and whom.

use anyhow::Result;

use super::two;
use crate::ask::{expect, refused, run};

#[test]
fn arguments_that_make_no_sense() -> Result<()> {
    let mut sites = two("arguments")?;
    let client = &mut sites.client;
    for (call, code, part) in [
        ("'x', '[]'", "22023", "empty"),
        ("'x', '{}'", "22023", "sources"),
        ("'x', '[{\"server\": \"ai\"}]'", "22023", "schema"),
        (
            "'x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\", \"more\": 1}]'",
            "22023",
            "more",
        ),
        ("'x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"\"}]'", "22023", "site"),
        (
            "'', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}]'",
            "22023",
            "local_schema",
        ),
        ("'pg_x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}]'", "22023", "pg_"),
        (
            "'x', '[{\"server\": \"nope\", \"schema\": \"app\", \"site\": \"a\"}]'",
            "42704",
            "\"nope\"",
        ),
        (
            "'x', '[{\"server\": \"ai\", \"schema\": \"nope\", \"site\": \"a\"}]'",
            "HV00Q",
            "\"nope\"",
        ),
        (
            "'x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}, {\"server\": \"cd\", \"schema\": \"app\", \"site\": \"a\"}]'",
            "22023",
            "twice",
        ),
        (
            "'x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}]', 'id'",
            "42701",
            "\"id\"",
        ),
        (
            "'x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}]', 'site', '{nope}'",
            "42P01",
            "\"nope\"",
        ),
    ] {
        let told = refused(client, &format!("SELECT * FROM warehouse.merge_schema({call})"))?;
        told.says(code, &[part])?;
        anyhow::ensure!(!told.hint.is_empty() || call.starts_with("''"), "no hint: {told:?}");
    }
    expect(client, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'x%'", "0")?;
    // What is there and no merged table is left alone.
    run(client, "CREATE SCHEMA x; CREATE TABLE x.users AS SELECT 1 AS mine")?;
    let call = "SELECT * FROM warehouse.merge_schema('x', '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}]'";
    refused(client, &format!("{call})"))?.says("42P07", &["x.users"])?.hints(&["tables"])?;
    expect(client, "TABLE x.users", "1")?;
    run(client, &format!("{call}, tables => '{{logins}}')"))?;
    expect(client, "SELECT count(*) FROM x.logins", "3")?;
    expect(client, "TABLE x.users", "1")
}

/// A role that owns its schemas and may use the servers can merge.
#[test]
fn a_role_that_is_no_superuser() -> Result<()> {
    let mut sites = two("mergerole")?;
    let client = &mut sites.client;
    run(
        client,
        &format!(
            "DO $$ BEGIN CREATE ROLE merger LOGIN PASSWORD 'merger'; \
             EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             GRANT CREATE ON DATABASE \"{}\" TO merger; GRANT USAGE ON FOREIGN SERVER ai, cd TO merger; \
             GRANT EXECUTE ON FUNCTION warehouse.merge_schema TO merger",
            sites.pair.warehouse_database
        ),
    )?;
    let mut merger = sites.pair.warehouse_cluster.connect_as(
        "merger",
        "merger",
        &sites.pair.warehouse_database,
    )?;
    let call = "SELECT * FROM warehouse.merge_schema('mine', \
        '[{\"server\": \"ai\", \"schema\": \"app\", \"site\": \"a\"}, {\"server\": \"cd\", \"schema\": \"app\", \"site\": \"c\"}]')";
    run(&mut merger, call)?;
    expect(&mut merger, "SELECT count(*) FROM mine.users", "6")?;
    expect(&mut merger, call, "")?;
    // Functions of a schema that it could fill do not run with more rights than its own.
    refused(&mut merger, "SELECT * FROM warehouse.drop_site('mine', 'a')")?.says("42501", &[])?;
    Ok(())
}
