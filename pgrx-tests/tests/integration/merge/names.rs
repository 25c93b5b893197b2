//! Names that would break what is not quoted.

use anyhow::{Context, Result, ensure};
use postgres::Client;

use super::Sites;
use crate::ask::{declare, expect, rows, run};
use crate::support::Pair;

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a\"b",
        "a'b",
        "a.b",
        "a b",
        "A",
        "Ümläut",
        "日本語",
        "🎉",
        "select",
        "user",
        "order",
        "$1",
        "%s",
        "a\\b",
        "a;DROP TABLE x;--",
        "{a}",
        "a,b",
        "(a)",
        "null",
        "1a",
        "a\tb",
        "a\nb",
        "/*",
        "\u{200b}x",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(63));
    names.push(format!("{}é", "y".repeat(61)));
    names
}

fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    format!("{escape}'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

fn json(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if u32::from(c) < 32 => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Tables, columns and labels of these names in the schema of that name.
fn fill(client: &mut Client, schema: &str) -> Result<()> {
    run(client, &format!("CREATE SCHEMA {}", ident(schema)))?;
    let labels: Vec<String> = names().iter().map(|name| literal(name)).collect();
    run(
        client,
        &format!(
            "CREATE TYPE {}.{} AS ENUM ({})",
            ident(schema),
            ident("the \"type\""),
            labels.join(", ")
        ),
    )?;
    let columns: Vec<String> = names().iter().map(|name| format!("{} text", ident(name))).collect();
    let values: Vec<String> = names().iter().map(|name| literal(name)).collect();
    for name in names() {
        let table = format!("{}.{}", ident(schema), ident(&name));
        run(
            client,
            &format!(
                "CREATE TABLE {table} (id int, label {}.{}, {}); INSERT INTO {table} VALUES (1, {}, {}); \
                 COMMENT ON TABLE {table} IS {}; COMMENT ON COLUMN {table}.id IS {}",
                ident(schema),
                ident("the \"type\""),
                columns.join(", "),
                literal(&name),
                values.join(", "),
                literal(&name),
                literal(&name)
            ),
        )?;
    }
    Ok(())
}

#[test]
fn schemas_tables_columns_sites_and_labels() -> Result<()> {
    let pair = Pair::new("hostile")?;
    let mut source = pair.source()?;
    let mut client = pair.warehouse()?;
    let schema = "We're \"the\" schéma; --";
    fill(&mut source, schema)?;
    run(&mut source, "ANALYZE")?;
    let server = "ser\"ver's.name";
    declare(&mut client, &ident(server), pair.source_cluster.port(), &pair.source_database, "")?;
    // Three sites whose names are hostile as well, from the same source.
    let sites = ["it's \"a\" site", "site two\\", &"s".repeat(80)];
    let list: Vec<String> = sites
        .iter()
        .map(|site| {
            format!(
                "{{\"server\": {}, \"schema\": {}, \"site\": {}}}",
                json(server),
                json(schema),
                json(site)
            )
        })
        .collect();
    let local = "Lócal \"schema\".x'y";
    let call = format!(
        "SELECT * FROM warehouse.merge_schema({}, {}, {})",
        literal(local),
        literal(&format!("[{}]", list.join(", "))),
        literal("the \"site\"")
    );
    run(&mut client, &call)?;
    ensure!(rows(&mut client, &call)?.is_empty(), "{}", rows(&mut client, &call)?);
    for table in names() {
        let name = format!("{}.{}", ident(local), ident(&table));
        let conditions: Vec<String> = names()
            .iter()
            .map(|column| format!("{} = {}", ident(column), literal(column)))
            .collect();
        let found = rows(
            &mut client,
            &format!(
                "SELECT count(*), count(DISTINCT {}), count(DISTINCT label) FROM {name} WHERE {} AND label = {}",
                ident("the \"site\""),
                conditions.join(" AND "),
                literal(&table)
            ),
        )
        .with_context(|| table.clone())?;
        ensure!(found == "3|3|1", "{table}: {found}");
        for site in sites {
            expect(
                &mut client,
                &format!(
                    "SELECT count(*) FROM {name} WHERE {} = {}",
                    ident("the \"site\""),
                    literal(site)
                ),
                "1",
            )?;
        }
        let comment = rows(
            &mut client,
            &format!("SELECT obj_description({}::regclass) = {}", literal(&name), literal(&table)),
        )?;
        ensure!(comment == "t", "the comment of {table}: {comment}");
    }
    run(
        &mut client,
        &format!("SELECT * FROM warehouse.drop_site({}, {})", literal(local), literal(sites[0])),
    )?;
    expect(&mut client, &format!("SELECT count(*) FROM {}.\"A\"", ident(local)), "2")?;
    // The same by IMPORT.
    run(
        &mut client,
        &format!(
            "CREATE SCHEMA {0}; IMPORT FOREIGN SCHEMA {1} FROM SERVER {2} INTO {0}",
            ident("Imp'ort"),
            ident(schema),
            ident(server)
        ),
    )?;
    for table in names() {
        expect(
            &mut client,
            &format!(
                "SELECT count(*) FROM {}.{} WHERE {} = {}",
                ident("Imp'ort"),
                ident(&table),
                ident("🎉"),
                literal("🎉")
            ),
            "1",
        )?;
    }
    Ok(())
}

/// Two long names that begin alike must not meet in one partition's name.
#[test]
fn long_names_that_begin_alike() -> Result<()> {
    let long = "l".repeat(62);
    let script = format!(
        "CREATE TABLE app.{long}a AS SELECT 1 AS id; CREATE TABLE app.{long}b AS SELECT 2 AS id"
    );
    let mut sites = Sites::new("longnames", &[("ai", &script)])?;
    let (q, r) = ("q".repeat(70), "q".repeat(71));
    let call = Sites::call(&[("ai", "c"), ("ai", &q), ("ai", &r)]);
    run(&mut sites.client, &format!("SELECT * FROM {call}"))?;
    expect(
        &mut sites.client,
        &format!("SELECT (SELECT sum(id) FROM main.{long}a), (SELECT sum(id) FROM main.{long}b)"),
        "3|6",
    )?;
    expect(&mut sites.client, &format!("SELECT * FROM {call}"), "")
}

/// The table a_b of the site c and the table a of the site b_c would both be a_b_c.
#[test]
fn names_that_meet_when_they_are_put_together() -> Result<()> {
    let script = "CREATE TABLE app.a_b AS SELECT 3 AS id; CREATE TABLE app.a AS SELECT 4 AS id";
    let mut sites = Sites::new("meeting", &[("ai", script)])?;
    let call = Sites::call(&[("ai", "b_c"), ("ai", "c")]);
    run(&mut sites.client, &format!("SELECT * FROM {call}"))?;
    expect(
        &mut sites.client,
        "SELECT (SELECT sum(id) FROM main.a), (SELECT sum(id) FROM main.a_b)",
        "8|6",
    )?;
    expect(&mut sites.client, &format!("SELECT * FROM {call}"), "")
}
