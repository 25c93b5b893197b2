//! Taking a person out of the materialized tables.

use std::fs;

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;

use super::keys::warehouse;
use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

const BY_MOOD: &str = "SELECT mood, count(*) AS n, count(email) AS mails, min(email) AS first FROM mart.people GROUP BY mood";

/// `mart.people` by key, `mart.moods` that follows it, `mart.copy` made of it, `mart.mails` as a whole, and
/// `mart.lists` with many people in a row.
fn kept(test: &str) -> Result<(Pair, Cluster, Client)> {
    let (pair, warehouse, mut client) = warehouse(test)?;
    run(
        &mut client,
        "SELECT warehouse.create_key(), warehouse.register_domain('person'); SET client_min_messages = warning; \
         SELECT warehouse.classify('d.people', 'email', 'identifier', 'pseudonym(person)'); \
         SELECT warehouse.classify('d.people', 'name', 'identifier', 'token(person)'); \
         SELECT warehouse.classify('d.people', 'phone', 'identifier', 'fpe(person)'); \
         SELECT warehouse.classify('d.people', 'city', 'quasi', 'pseudonym(place)'); CREATE SCHEMA mart",
    )?;
    for (name, query, arguments) in [
        (
            "people",
            "SELECT id, email, name, phone, city, mood FROM d.people WHERE id > 0",
            "unique_key => '{id}', capture => 'diff'",
        ),
        ("moods", BY_MOOD, "capture => 'change'"),
        ("copy", "SELECT id, email, lower(email) AS small FROM mart.people", "strategy => 'full'"),
        ("mails", "SELECT email, id FROM d.people", "strategy => 'full'"),
        (
            "lists",
            "SELECT mood, array_agg(email) AS mails, jsonb_agg(jsonb_build_object('phone', phone)) AS phones \
             FROM d.people WHERE id BETWEEN 1 AND 20 GROUP BY mood",
            "strategy => 'full'",
        ),
    ] {
        run(
            &mut client,
            &format!("SELECT warehouse.materialize('mart.{name}', $q${query}$q$, {arguments})"),
        )?;
    }
    Ok((pair, warehouse, client))
}

/// What was found beside the groups, whose least pseudonym may be anybody's.
fn forget(client: &mut Client, arguments: &str) -> Result<String> {
    rows(
        client,
        &format!(
            "SELECT relation, column_name, action, rows FROM warehouse.forget({arguments}) WHERE rows > 0 \
               AND action <> 'follow' ORDER BY relation::text, column_name"
        ),
    )
}

/// Whether tables that follow another agree with it.
fn agrees(client: &mut Client) -> Result<()> {
    expect(
        client,
        &format!(
            "SELECT count(*) FROM ((TABLE mart.moods EXCEPT ALL ({BY_MOOD})) UNION ALL \
             (({BY_MOOD}) EXCEPT ALL TABLE mart.moods)) d"
        ),
        "0",
    )
}

#[test]
fn a_person_is_found_everywhere() -> Result<()> {
    let (_pair, warehouse, mut client) = kept("forget")?;
    let combined = "SELECT count(*) FROM pg_statistic_ext_data WHERE stxdmcv IS NOT NULL";
    run(
        &mut client,
        "CREATE STATISTICS mart.pairs (mcv) ON mood, mails FROM mart.lists; ANALYZE mart.lists",
    )?;
    expect(&mut client, combined, "1")?;
    // However the address is written.
    let found = forget(&mut client, "'person', ' CaNaRy7@canary.EXAMPLE '")?;
    ensure!(
        found
            == "mart.copy|email|delete|1\nmart.copy|small|delete|1\nmart.lists|mails|delete|1\nmart.mails|email|delete|1\nmart.people|email|delete|1",
        "{found}"
    );
    expect(
        &mut client,
        "SELECT (SELECT count(*) FROM mart.people), (SELECT count(*) FROM mart.people WHERE id = 7), \
           (SELECT count(*) FROM mart.mails WHERE id = 7), (SELECT count(*) FROM mart.copy WHERE id = 7), \
           (SELECT count(*) FROM mart.lists)",
        "499|0|0|0|1",
    )?;
    agrees(&mut client)?;
    // By another column, where numbers are encrypted: also within JSON, and where a table follows.
    let found = forget(&mut client, "'person', '7000000008'")?;
    ensure!(found == "mart.lists|phones|delete|1\nmart.people|phone|delete|1", "{found}");
    let found = forget(&mut client, "'person', 'CANARYname9 Surname'")?;
    ensure!(found == "mart.people|name|delete|1", "{found}");
    agrees(&mut client)?;
    // The first of its group: the aggregate has another one now.
    let first = rows(
        &mut client,
        "SELECT m.first, p.id FROM mart.moods m JOIN mart.people p ON p.email = m.first LIMIT 1",
    )?;
    let (pseudonym, id) = first.split_once('|').unwrap_or_default();
    expect(
        &mut client,
        &format!(
            "SELECT relation, column_name, rows FROM warehouse.forget('person', 'canary{id}@CANARY.example') \
             WHERE action = 'follow' AND rows > 0"
        ),
        "mart.moods|first|1",
    )?;
    expect(
        &mut client,
        &format!("SELECT count(*) FROM mart.moods WHERE first = '{pseudonym}'"),
        "0",
    )?;
    agrees(&mut client)?;
    // Another domain is somebody else; nobody is found twice.
    for arguments in ["'place', 'canary10@CANARY.example'", "'person', 'canary7@CANARY.example'"] {
        let found = forget(&mut client, arguments)?;
        ensure!(found.is_empty(), "{arguments}: {found}");
    }
    // The audit and the log say what was done and not to whom.
    let audit = rows(&mut client, "SELECT * FROM warehouse.audit WHERE action LIKE 'forget%'")?;
    ensure!(audit.contains("forget in domain person (delete)|mart.people|{email}|1"), "{audit}");
    ensure!(audit.contains("nothing found"), "{audit}");
    let log = fs::read_to_string(warehouse.socket_dir().join("log"))?;
    for told in [&audit, &log] {
        ensure!(
            !told.to_lowercase().contains("canary7@") && !told.contains("7000000008"),
            "{told}"
        );
    }
    // Statistics have forgotten, too, also those of a table that has no rows any more.
    expect(&mut client, "SELECT count(*) FROM mart.lists", "0")?;
    expect(&mut client, combined, "0")?;
    expect(
        &mut client,
        &format!(
            "SELECT string_agg(tablename || '.' || attname, ', ') FROM pg_stats WHERE schemaname = 'mart' AND pg_stats::text LIKE '%{pseudonym}%'"
        ),
        "~",
    )
}

#[test]
fn every_key_version_is_looked_for() -> Result<()> {
    let (_pair, _warehouse, mut client) = kept("forgetold")?;
    run(
        &mut client,
        "SELECT warehouse.rotate_key('person'); SELECT FROM warehouse.refresh('mart.people')",
    )?;
    expect(&mut client, "SELECT count(*) FROM mart.people p JOIN mart.mails m USING (email)", "0")?;
    let found = forget(&mut client, "'person', 'canary7@CANARY.example'")?;
    ensure!(
        found
            == "mart.copy|email|delete|1\nmart.copy|small|delete|1\nmart.lists|mails|delete|1\nmart.mails|email|delete|1\nmart.people|email|delete|1",
        "{found}"
    );
    // A version that was shredded finds nobody any more.
    run(&mut client, "SELECT warehouse.shred_key('person', 1)")?;
    let found = forget(&mut client, "'person', 'canary8@CANARY.example'")?;
    ensure!(found == "mart.people|email|delete|1", "{found}");
    // What the source still has comes back.
    run(&mut client, "SELECT FROM warehouse.refresh('mart.people')")?;
    expect(&mut client, "SELECT count(*) FROM mart.people WHERE id IN (7, 8)", "2")?;
    agrees(&mut client)
}

#[test]
fn a_column_is_blanked() -> Result<()> {
    let (_pair, _warehouse, mut client) = kept("forgetblank")?;
    let found = forget(&mut client, "'person', 'canary7@CANARY.example', action => 'blank'")?;
    ensure!(found.contains("mart.people|email|blank|1"), "{found}");
    expect(
        &mut client,
        "SELECT id, email, name IS NULL, phone IS NULL FROM mart.people WHERE id = 7; \
         SELECT count(*) FROM mart.lists WHERE mails IS NULL; SELECT count(*) FROM mart.lists",
        "7|~|f|f\n1\n2",
    )?;
    agrees(&mut client)?;
    // What a row cannot be without.
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.keyed', 'SELECT email, id FROM d.people WHERE id > 0', unique_key => '{email}')",
    )?;
    refused(&mut client, "SELECT warehouse.forget('person', 'canary8@CANARY.example', 'blank')")?
        .says("23502", &["email", "mart.keyed", "unique_key"])?
        .hints(&["'delete'"])?
        .hides("canary8")?;
    // All or nothing.
    expect(
        &mut client,
        "SELECT count(*) FROM mart.people WHERE id = 8 AND email IS NOT NULL",
        "1",
    )?;
    let found = forget(&mut client, "'person', 'canary8@CANARY.example'")?;
    ensure!(found.contains("mart.keyed|email|delete|1"), "{found}");
    Ok(())
}

/// A table that a member of `warehouse_clear` keeps in clear is searched for the value itself.
#[test]
fn clear_tables_are_searched_in_clear() -> Result<()> {
    let (_pair, warehouse, mut client) = kept("forgetclear")?;
    run(
        &mut client,
        "CREATE ROLE officer LOGIN; GRANT warehouse_clear, warehouse_admin TO officer; GRANT USAGE ON SCHEMA d TO officer; \
         GRANT SELECT ON d.people TO officer; GRANT CREATE, USAGE ON SCHEMA mart TO officer",
    )?;
    let mut officer = warehouse.connect("postgres")?;
    run(
        &mut officer,
        "SET SESSION AUTHORIZATION officer; SET client_min_messages = warning; SET warehouse.clear = on; \
         SELECT warehouse.materialize('mart.open', 'SELECT id, email, phone FROM d.people', strategy => 'full', clear => true)",
    )?;
    expect(&mut officer, "SELECT email FROM mart.open WHERE id = 7", "canary7@CANARY.example")?;
    let found = forget(&mut client, "'person', 'CANARY7@canary.example'")?;
    ensure!(found.contains("mart.open|email|delete|1"), "{found}");
    let found = forget(&mut client, "'person', '7000000008'")?;
    ensure!(found.contains("mart.open|phone|delete|1"), "{found}");
    expect(&mut officer, "SELECT count(*) FROM mart.open WHERE id IN (7, 8)", "0")
}

#[test]
fn it_is_for_admins() -> Result<()> {
    let (_pair, warehouse, mut client) = kept("forgetright")?;
    run(
        &mut client,
        "CREATE ROLE boss; GRANT warehouse_admin TO boss; CREATE ROLE somebody; GRANT USAGE ON SCHEMA mart TO somebody",
    )?;
    let call = "SELECT warehouse.forget('person', 'canary7@CANARY.example')";
    let mut other = warehouse.connect("postgres")?;
    run(&mut other, "SET client_min_messages = warning; SET SESSION AUTHORIZATION somebody")?;
    refused(&mut other, call)?.says("42501", &[])?;
    run(
        &mut client,
        "GRANT EXECUTE ON FUNCTION warehouse.run_forget(text, text, text) TO somebody",
    )?;
    refused(&mut other, "SELECT warehouse.run_forget('person', 'x', 'delete')")?
        .says("42501", &["warehouse_admin"])?;
    for (call, code) in [
        ("SELECT warehouse.forget('person', NULL)", "22004"),
        ("SELECT warehouse.forget('No Domain', 'x')", "22023"),
        ("SELECT warehouse.forget('person', 'x', 'burn')", "22023"),
    ] {
        refused(&mut client, call)?.says(code, &[])?;
    }
    // With the rights of the tables' owners, who may be others.
    run(&mut other, "RESET SESSION AUTHORIZATION; SET SESSION AUTHORIZATION boss")?;
    run(&mut other, call)?;
    expect(&mut client, "SELECT count(*) FROM mart.people WHERE id = 7", "0")?;
    expect(
        &mut client,
        "SELECT DISTINCT role FROM warehouse.audit WHERE action LIKE 'forget in domain person%'",
        "boss",
    )?;
    // Nothing of it is done where it is rolled back, and without a key nobody can be found.
    fs::remove_file(warehouse.socket_dir().join("warehouse.key"))?;
    refused(&mut client, "SELECT warehouse.forget('person', 'canary8@CANARY.example')")?
        .says("58P01", &["warehouse.key_file"])?
        .hides("canary8")?;
    Ok(())
}
