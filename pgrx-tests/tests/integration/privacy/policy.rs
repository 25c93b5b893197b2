//! The policy of columns: how it is written, kept and explained; rights, sites and the audit.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

/// Two sites of one source, merged into `main`, with names that need quoting.
fn merged(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    for schema in ["one", "two"] {
        pair.source_cluster.execute(
            &pair.source_database,
            &format!(
                r#"CREATE SCHEMA {schema};
                   CREATE TABLE {schema}."Pu.pils" (id int PRIMARY KEY, "E ""Mail" text, born date, note text, seen timestamptz);
                   COMMENT ON COLUMN {schema}."Pu.pils".note IS 'what the teacher says';
                   INSERT INTO {schema}."Pu.pils" SELECT g, 'canary' || g || '@x.org', '2015-01-01', 'n', now()
                     FROM generate_series(1, 100) g;
                   ANALYZE {schema}."Pu.pils""#
            ),
        )?;
    }
    let mut client = pair.warehouse()?;
    run(&mut client, "ALTER SERVER src OPTIONS (SET unclassified 'null')")?;
    run(
        &mut client,
        r#"SELECT * FROM warehouse.merge_schema('main',
             '[{"server": "src", "schema": "one", "site": "one"}, {"server": "src", "schema": "two", "site": "two"}]')"#,
    )?;
    Ok((pair, client))
}

/// Creates a role with a name of its own, as the cluster is shared.
fn role(client: &mut Client, pair: &Pair, name: &str) -> Result<String> {
    let name = format!("{name} {}", pair.warehouse_database);
    run(client, &format!("CREATE ROLE \"{name}\""))?;
    Ok(name)
}

const POLICY: &str = "SELECT c.column_name, c.class, c.mask FROM warehouse.columns c \
    WHERE c.relation_schema = 'main' AND c.column_name <> 'site'";

#[test]
fn a_schema_is_classified_and_stays_so() -> Result<()> {
    let (pair, mut client) = merged("classified")?;
    expect(
        &mut client,
        "SELECT column_name, type, reads_as FROM warehouse.unclassified",
        "E \"Mail|text|null\nborn|date|null\nnote|text|null",
    )?;
    let report = "SELECT relation, column_name, class, mask, certainty, applied FROM warehouse.classify_schema('main'";
    let found = rows(&mut client, &format!("{report}, apply => false)"))?;
    ensure!(
        found.contains(r#"main."Pu.pils"|E "Mail|identifier|pseudonym(person)|sure|f"#),
        "{found}"
    );
    ensure!(!found.contains("canary"), "{found}");
    run(&mut client, "SELECT * FROM warehouse.classify_schema('main')")?;
    let policy = rows(&mut client, POLICY)?;
    ensure!(policy.contains("E \"Mail|identifier|pseudonym(person)"), "{policy}");
    ensure!(policy.contains("born|quasi|generalize('year')"), "{policy}");
    ensure!(policy.contains("seen|public|keep"), "{policy}");
    // What a merge changes is not the policy.
    run(
        &mut client,
        r#"SELECT * FROM warehouse.merge_schema('main',
             '[{"server": "src", "schema": "one", "site": "one"}, {"server": "src", "schema": "two", "site": "two"}]')"#,
    )?;
    expect(&mut client, POLICY, &policy)?;
    drop(pair);
    Ok(())
}

#[test]
fn statistics_of_a_closed_column_go() -> Result<()> {
    let (_pair, mut client) = merged("closedstats")?;
    // As somebody might have made them before the column was closed.
    run(
        &mut client,
        r#"CREATE STATISTICS main.pairs (mcv) ON born, seen FROM main_sites."Pu.pils_one""#,
    )?;
    run(
        &mut client,
        r#"SELECT warehouse.classify('main."Pu.pils"', 'E "Mail', 'identifier', 'null')"#,
    )?;
    expect(
        &mut client,
        r#"SELECT count(*) FROM pg_stats WHERE attname = 'E "Mail' AND schemaname IN ('main', 'main_sites')"#,
        "0",
    )?;
    expect(&mut client, "SELECT count(*) FROM pg_statistic s WHERE s::text LIKE '%canary%'", "0")
}

#[test]
fn what_does_not_fit_is_refused_with_what_does() -> Result<()> {
    let (_pair, mut client) = merged("misfits")?;
    let classify =
        |arguments: &str| format!(r#"SELECT warehouse.classify('main."Pu.pils"', {arguments})"#);
    refused(&mut client, &classify("'born', 'quasi', 'partial_email'"))?
        .says("22023", &["partial_email", "born", "date"])?
        .hints(&["null", "generalize('month')", "date_shift"])?;
    refused(&mut client, &classify("'born', 'quasi', 'age'"))?.says("22023", &["makes integer"])?;
    refused(&mut client, &classify("'born', 'quasi', 'date_shift(pupil, 30)'"))?
        .says("42703", &["pupil"])?;
    refused(&mut client, &classify("'note', 'open'"))?
        .says("22023", &["note"])?
        .hints(&["sensitive"])?;
    refused(&mut client, &classify("'note', 'quasi', 'constant(''secret'''"))?
        .says("22023", &["invalid mask"])?
        .hides("secret")?;
    refused(&mut client, &classify("'nothing', 'quasi'"))?.says("42703", &["nothing"])?;
    refused(&mut client, "SELECT warehouse.classify('pg_class', 'relname', 'quasi')")?
        .says("42809", &["pg_class"])?;
    Ok(())
}

#[test]
fn readers_see_tables_and_no_sites() -> Result<()> {
    let (pair, mut client) = merged("readers")?;
    let reader = role(&mut client, &pair, "re\"\"ader")?.replace("\"\"", "\"");
    expect(&mut client, &format!("SELECT warehouse.grant_read('{reader}', 'main')"), "1")?;
    expect(&mut client, &format!("SELECT warehouse.grant_read('{reader}', 'main')"), "1")?;
    run(&mut client, "CREATE TABLE main.later (id int)")?;
    let right =
        |table: &str| format!("SELECT has_table_privilege('{reader}', '{table}', 'SELECT')");
    expect(&mut client, &right(r#"main."Pu.pils""#), "t")?;
    expect(&mut client, &right("main.later"), "t")?;
    expect(&mut client, &right(r#"main_sites."Pu.pils_one""#), "f")?;
    refused(&mut client, &format!("SELECT warehouse.grant_read('{reader}', 'main_sites')"))?
        .says("22023", &["main_sites"])?;
    run(
        &mut client,
        r#"SELECT warehouse.classify('main."Pu.pils"', 'E "Mail', 'identifier', 'pseudonym(person)')"#,
    )?;
    expect(
        &mut client,
        &format!(
            "SELECT column_name, sees FROM warehouse.explain_policy('{reader}', 'main.\"Pu.pils\"')"
        ),
        "site|clear\nid|clear\nE \"Mail|masked: pseudonym(person)\nborn|null\nnote|null\nseen|clear",
    )
}

#[test]
fn a_role_is_restricted_to_sites() -> Result<()> {
    let pair = Pair::new("restricted")?;
    let mut client = pair.warehouse()?;
    let (one, group) = (role(&mut client, &pair, "one")?, role(&mut client, &pair, "group")?);
    run(
        &mut client,
        &format!(
            "GRANT \"{group}\" TO \"{one}\"; CREATE TABLE marks (site text, mark int); INSERT INTO marks VALUES ('a', 1), ('b', 2), ('c', 3);
             SELECT warehouse.restrict_table('marks'); CREATE VIEW seen AS SELECT * FROM marks; GRANT SELECT ON marks, seen TO \"{one}\";
             SELECT warehouse.restrict_sites('{one}', '{{a,b}}'), warehouse.restrict_sites('{group}', '{{b,c}}')"
        ),
    )?;
    expect(&mut client, "SELECT count(*) FROM marks", "3")?;
    // The stricter of both.
    run(&mut client, &format!("SET ROLE \"{one}\""))?;
    expect(&mut client, "SELECT site FROM marks", "b")?;
    expect(&mut client, "SELECT warehouse.sees_site('b'), warehouse.sees_site('a')", "t|f")?;
    refused(&mut client, &format!("SELECT warehouse.unrestrict_sites('{one}')"))?
        .says("42501", &[])?;
    // A new name is the same role.
    run(
        &mut client,
        &format!("RESET ROLE; ALTER ROLE \"{group}\" RENAME TO \"{group}2\"; SET ROLE \"{one}\""),
    )?;
    expect(&mut client, "SELECT site FROM marks", "b")?;
    run(
        &mut client,
        &format!("RESET ROLE; SELECT warehouse.unrestrict_sites('{group}2'); SET ROLE \"{one}\""),
    )?;
    expect(&mut client, "SELECT site FROM marks ORDER BY 1", "a\nb")
}

#[test]
fn changes_of_the_policy_are_on_record() -> Result<()> {
    let (pair, mut client) = merged("audited")?;
    let boss = role(&mut client, &pair, "boss")?;
    run(
        &mut client,
        &format!(
            "GRANT warehouse_admin TO \"{boss}\"; GRANT USAGE ON SCHEMA main TO \"{boss}\"; SET ROLE \"{boss}\";
             SELECT warehouse.classify('main.\"Pu.pils\"', 'note', 'sensitive', 'constant(''hush'')');"
        ),
    )?;
    expect(
        &mut client,
        "SELECT role, session_role = session_user, action, relation, columns FROM warehouse.audit",
        &format!("{boss}|t|classify as sensitive, mask constant|main.Pu.pils|{{note}}"),
    )?;
    refused(&mut client, "DELETE FROM warehouse.audit")?.says("42501", &[])?;
    let somebody = {
        run(&mut client, "RESET ROLE")?;
        role(&mut client, &pair, "somebody")?
    };
    run(&mut client, &format!("SET ROLE \"{somebody}\""))?;
    refused(&mut client, "SELECT * FROM warehouse.audit")?.says("42501", &[])?;
    refused(&mut client, "SELECT warehouse.record('x')")?.says("42501", &[])?;
    Ok(())
}
