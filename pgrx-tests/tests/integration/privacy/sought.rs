//! Rows that are sought by the masked value of a column: the source finds them by the clear one, which
//! nobody here is shown.

use std::fs;

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;

use super::canary::search;
use super::keys::warehouse;
use crate::ask::{expect, refused, rows, run};
use crate::support::Pair;

/// A table with indexes at the source, imported as `d.cards`; `mail` under a token, the others encrypted.
fn cards(test: &str) -> Result<(Pair, Cluster, Client)> {
    let (pair, warehouse, mut client) = warehouse(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE cards (id bigint PRIMARY KEY, mail varchar(60), card text, pin int, tel bigint, kind text); \
         INSERT INTO cards SELECT i, 'user' || i || '@CANARY.example', lpad((i * 7919)::text, 12, '4'), i * 13, \
           880000000 + i, 'kind ' || i % 5 FROM generate_series(1, 2000) i; \
         INSERT INTO cards (id, kind) VALUES (0, NULL); UPDATE cards SET mail = '' WHERE id = 2000; \
         CREATE INDEX ON cards (mail); CREATE INDEX ON cards (card); CREATE INDEX ON cards (tel); ANALYZE cards; \
         CREATE VIEW broken AS SELECT id, mail, 1 / (id - 7) AS x FROM cards",
    )?;
    run(
        &mut client,
        "SELECT warehouse.create_key(), warehouse.register_domain('person'); \
         IMPORT FOREIGN SCHEMA public LIMIT TO (cards, broken) FROM SERVER src INTO d; \
         SELECT warehouse.classify('d.cards', 'mail', 'identifier', 'token(person)'), \
           warehouse.classify('d.cards', 'card', 'identifier', 'fpe(person)'), \
           warehouse.classify('d.cards', 'pin', 'identifier', 'fpe(person)'), \
           warehouse.classify('d.cards', 'tel', 'identifier', 'fpe(person)'), \
           warehouse.classify('d.cards', 'kind', 'public'), \
           warehouse.classify('d.broken', 'mail', 'identifier', 'token(person)')",
    )?;
    Ok((pair, warehouse, client))
}

fn value(client: &mut Client, column: &str, id: i64) -> Result<String> {
    rows(client, &format!("SELECT {column} FROM d.cards WHERE id = {id}"))
}

#[test]
fn the_source_finds_the_row_and_nobody_sees_how() -> Result<()> {
    let (pair, warehouse, mut client) = cards("sought")?;
    for setting in [
        "log_statement = 'all'",
        "log_min_messages = debug1",
        "log_parameter_max_length_on_error = -1",
    ] {
        run(&mut client, &format!("ALTER SYSTEM SET {setting}"))?;
    }
    run(&mut client, "SELECT pg_reload_conf()")?;
    for (column, of) in [("mail", "text"), ("card", "text"), ("pin", "integer"), ("tel", "bigint")]
    {
        let (one, other) = (value(&mut client, column, 7)?, value(&mut client, column, 8)?);
        for (condition, sent, found) in [
            (format!("{column} = '{one}'"), format!("({column} = $1::{of})"), 1),
            (format!("'{one}' = {column}"), format!("({column} = $1::{of})"), 1),
            (
                format!("{column} IN ('{one}', '{other}')"),
                format!("({column} = ANY ($1::{of}[]))"),
                2,
            ),
        ] {
            let sql = format!("SELECT id, mail FROM d.cards WHERE {condition}");
            let plan = rows(
                &mut client,
                &format!("EXPLAIN (VERBOSE, ANALYZE, COSTS OFF, TIMING OFF) {sql}"),
            )?;
            ensure!(plan.contains(&sent), "{sql}\n{plan}");
            ensure!(plan.contains(&format!("Rows Received: {found}")), "{sql}\n{plan}");
            ensure!(plan.contains("Filter:") && plan.contains(&one), "{sql}\n{plan}");
            ensure!(!plan.contains("CANARY"), "{sql}\n{plan}");
            ensure!(rows(&mut client, &sql)?.lines().count() == found, "{sql}");
            let told = rows(
                &mut client,
                &format!(
                    "SELECT clause, pushed, reason FROM warehouse.explain_pushdown($q${sql}$q$)"
                ),
            )?;
            ensure!(told.contains(&sent) && told.contains("what it finds is checked"), "{told}");
            ensure!(!told.contains("CANARY"), "{told}");
        }
    }
    // What is sent can use the index.
    expect(
        &mut pair.source()?,
        "SET enable_seqscan = off; EXPLAIN (COSTS OFF) SELECT id FROM cards WHERE mail = 'x'::text",
        "Index Scan using cards_mail_idx on cards\n  Index Cond: ((mail)::text = 'x'::text)",
    )?;
    // While a cursor is open, and in an error of the source.
    let token = value(&mut client, "mail", 7)?;
    run(
        &mut client,
        &format!("BEGIN; DECLARE c CURSOR FOR SELECT * FROM d.cards WHERE mail = '{token}'"),
    )?;
    ensure!(rows(&mut client, "FETCH 1 FROM c")?.starts_with("7|"));
    let mut other = warehouse.connect("postgres")?;
    let seen = rows(&mut other, "SELECT query FROM pg_stat_activity")?;
    ensure!(seen.contains("FETCH 1") && !seen.contains("CANARY"), "{seen}");
    run(&mut client, "COMMIT")?;
    refused(&mut client, &format!("SELECT x FROM d.broken WHERE mail = '{token}'"))?
        .says("22012", &["withheld"])?
        .hides("CANARY")?;
    let log = fs::read_to_string(warehouse.socket_dir().join("log"))?;
    ensure!(log.contains(&token) && !log.contains("CANARY"), "the log tells");
    // Nor does anything else that the warehouse keeps.
    run(&mut client, "CHECKPOINT")?;
    let mut searched = 0;
    search(warehouse.socket_dir(), &mut searched)?;
    ensure!(searched > 900, "only {searched} files were searched");
    Ok(())
}

/// The same condition on an expression, which the source is not asked for.
fn here(condition: &str) -> String {
    condition
        .replace("mail ", "(mail || '') ")
        .replace("card ", "(card || '') ")
        .replace("tel ", "(tel + 0) ")
        .replace("pin ", "(pin + 0) ")
}

#[test]
fn it_finds_what_a_comparison_here_finds() -> Result<()> {
    let (_pair, _warehouse, mut client) = cards("soughtsame")?;
    let old = value(&mut client, "mail", 9)?;
    let old_card = value(&mut client, "card", 9)?;
    run(&mut client, "SELECT warehouse.rotate_key('person')")?;
    let mut of = |column: &str, id| value(&mut client, column, id);
    let (mail, other, empty) = (of("mail", 7)?, of("mail", 8)?, of("mail", 2000)?);
    let (card, tel, pin) = (of("card", 7)?, of("tel", 7)?, of("pin", 7)?);
    ensure!(old != of("mail", 9)?);
    let foreign = rows(&mut client, "SELECT warehouse.token('user7@CANARY.example', 'order')")?;
    let mut conditions = Vec::new();
    for value in [&mail, &empty, &old, &foreign, "", "t2_", "user7@CANARY.example", "t2_ä'\\"] {
        let quoted = value.replace('\'', "''");
        conditions.push(format!("mail = '{quoted}'"));
        conditions.push(format!("mail = '{quoted}' AND kind = 'kind 2'"));
        conditions.push(format!("mail IN ('{quoted}', '{other}', 'x')"));
        conditions.push(format!("mail = ANY (ARRAY['{quoted}', NULL, '{mail}'])"));
        conditions.push(format!("mail = ANY (ARRAY[ARRAY['{quoted}'], ARRAY['{mail}']])"));
        conditions.push(format!("mail = ALL (ARRAY['{quoted}', '{mail}'])"));
        conditions.push(format!("mail = '{quoted}' OR id = 3"));
        conditions.push(format!("NOT mail = '{quoted}'"));
        conditions.push(format!("mail <> '{quoted}' AND id < 20"));
        conditions.push(format!("mail = upper(lower('{quoted}'))"));
        conditions.push(format!("mail = (SELECT '{quoted}' || '')"));
        conditions.push(format!("mail COLLATE \"C\" = '{quoted}'"));
        conditions.push(format!("mail ::varchar(10) = '{quoted}'"));
    }
    for value in [&card, &old_card, "123", "4444-4444", "abcdefgh", ""] {
        conditions.push(format!("card = '{value}'"));
        conditions.push(format!("card IN ('{value}', '{card}')"));
    }
    for value in [
        tel.as_str(),
        "0",
        "-1",
        "9223372036854775807",
        "5::int",
        "5::smallint",
        "NULL::bigint",
        "5.5",
    ] {
        conditions.push(format!("tel = {value}"));
        conditions.push(format!("tel IN ({value}, {tel}, 4)"));
    }
    for value in [pin.as_str(), "0", "-1", "9223372036854775807", "5::smallint", "NULL"] {
        conditions.push(format!("pin = {value}"));
        conditions.push(format!("pin = ANY (ARRAY[{value}, {pin}])"));
    }
    conditions.push("mail = ANY ('{}')".to_owned());
    conditions.push("mail = ANY (NULL::text[])".to_owned());
    conditions.push("mail = NULL".to_owned());
    let selects = [
        "SELECT id, mail, card, tel, pin FROM d.cards WHERE @ ORDER BY id",
        "SELECT count(*), min(id) FROM d.cards WHERE @",
        "SELECT id FROM d.cards WHERE @ ORDER BY id DESC LIMIT 3",
        "SELECT c.id, p.id FROM d.people p LEFT JOIN d.cards c ON c.id = p.id AND @ WHERE p.id IN (7, 8, 9) ORDER BY 2",
    ];
    for (at, condition) in conditions.iter().enumerate() {
        for select in [selects[0], selects[1 + at % 3]] {
            // The name would be ambiguous.
            if select.contains("d.people") && condition.contains("id ") {
                continue;
            }
            let asked = rows(&mut client, &select.replace('@', &format!("({condition})")))?;
            let kept = rows(&mut client, &select.replace('@', &format!("({})", here(condition))))?;
            ensure!(asked == kept, "{condition}\n{select}\nasked:\n{asked}\nhere:\n{kept}");
        }
    }
    // Most of these find something, and some nothing.
    expect(&mut client, &format!("SELECT id FROM d.cards WHERE mail = '{mail}'"), "7")?;
    expect(&mut client, &format!("SELECT count(*) FROM d.cards WHERE mail = '{old}'"), "0")?;
    expect(&mut client, &format!("SELECT id FROM d.cards WHERE mail = '{empty}'"), "2000")
}

/// Prepared statements, with a plan for any value, over a change of the key; rescans with other values.
#[test]
fn values_are_bound_when_the_statement_runs() -> Result<()> {
    let (_pair, _warehouse, mut client) = cards("soughtbound")?;
    for mode in ["auto", "force_generic_plan", "force_custom_plan"] {
        run(&mut client, &format!("SET plan_cache_mode = {mode}"))?;
        let one = client.prepare("SELECT id FROM d.cards WHERE mail = $1")?;
        let many = client.prepare("SELECT id FROM d.cards WHERE tel = ANY ($1) ORDER BY id")?;
        for id in 1..=12i64 {
            let token = value(&mut client, "mail", id)?;
            let tel: i64 = value(&mut client, "tel", id)?.parse()?;
            let next: i64 = value(&mut client, "tel", id + 1)?.parse()?;
            let found: Vec<i64> =
                client.query(&one, &[&token])?.iter().map(|row| row.get(0)).collect();
            ensure!(found == [id], "{mode}: {found:?}");
            let found: Vec<i64> =
                client.query(&many, &[&vec![tel, next, 1]])?.iter().map(|row| row.get(0)).collect();
            ensure!(found.len() >= 2 && found.contains(&id), "{mode}: {found:?}");
            ensure!(client.query(&one, &[&None::<String>])?.is_empty());
        }
    }
    run(&mut client, "SET plan_cache_mode = force_generic_plan")?;
    let token = value(&mut client, "mail", 7)?;
    run(&mut client, &format!("PREPARE fixed AS SELECT id FROM d.cards WHERE mail = '{token}'"))?;
    expect(&mut client, "EXECUTE fixed", "7")?;
    run(&mut client, "SELECT warehouse.rotate_key('person')")?;
    expect(&mut client, "EXECUTE fixed", "")?;
    // Row after row another value.
    run(
        &mut client,
        "CREATE TABLE wanted AS SELECT id, mail FROM d.cards WHERE id IN (3, 4, 5, 2000, 0); \
         INSERT INTO wanted VALUES (-1, 'none')",
    )?;
    expect(
        &mut client,
        "SELECT w.id, (SELECT c.id FROM d.cards c WHERE c.mail = w.mail) FROM wanted w ORDER BY 1",
        "-1|~\n0|~\n3|3\n4|4\n5|5\n2000|2000",
    )?;
    // The same parameter elsewhere stays what it is.
    run(
        &mut client,
        "PREPARE twice AS SELECT count(*) FROM d.cards WHERE mail = $1 AND kind <> $1",
    )?;
    let token = value(&mut client, "mail", 7)?;
    expect(&mut client, &format!("EXECUTE twice('{token}')"), "1")?;
    expect(&mut client, "EXECUTE twice('kind 2')", "0")?;
    let plan =
        rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) EXECUTE twice('{token}')"))?;
    ensure!(plan.contains("(mail = $2::text)") && plan.contains("(kind <> $1::text)"), "{plan}");
    Ok(())
}

/// Only on the scan of the table itself, and never as part of something else.
#[test]
fn nothing_is_built_upon_it() -> Result<()> {
    let (_pair, warehouse, mut client) = cards("soughtalone")?;
    let token = value(&mut client, "mail", 7)?;
    for sql in [
        "SELECT c.id FROM d.cards c JOIN d.people p ON p.id = c.id WHERE c.mail = '@'",
        "SELECT count(*) FROM d.cards WHERE mail = '@'",
        "SELECT id FROM d.cards WHERE mail = '@' LIMIT 1",
        "SELECT mail FROM d.cards WHERE mail = '@' GROUP BY mail",
        "SELECT p.id FROM d.people p WHERE EXISTS (SELECT FROM d.cards c WHERE c.id = p.id AND c.mail = '@')",
    ] {
        let plan = rows(
            &mut client,
            &format!("EXPLAIN (VERBOSE, COSTS OFF) {}", sql.replace('@', &token)),
        )?;
        for line in
            plan.lines().filter(|line| line.contains("Remote SQL") && line.contains("mail ="))
        {
            for part in ["JOIN", "count(", "LIMIT", "GROUP", "EXISTS"] {
                ensure!(!line.contains(part), "{sql}\n{line}");
            }
        }
        ensure!(plan.contains("(mail = $"), "{sql}\n{plan}");
    }
    // Other masks and other comparisons are not sent.
    for sql in [
        "SELECT id FROM d.cards WHERE mail LIKE 't%'",
        "SELECT id FROM d.cards WHERE mail > 't'",
        "SELECT id FROM d.cards WHERE mail <> '@'",
        "SELECT id FROM d.cards WHERE mail IS NOT NULL",
        "SELECT id FROM d.cards WHERE lower(mail) = '@'",
        "SELECT id FROM d.cards WHERE mail = card",
        "SELECT id FROM d.cards WHERE mail = (random() || '@')",
        "SELECT id FROM d.cards WHERE mail = '@' OR id > 5",
        "SELECT id FROM d.cards WHERE tel > 5",
    ] {
        let plan = rows(
            &mut client,
            &format!("EXPLAIN (VERBOSE, COSTS OFF) {}", sql.replace('@', &token)),
        )?;
        let sent = plan.lines().find(|line| line.contains("Remote SQL")).unwrap_or_default();
        ensure!(!sent.contains("WHERE"), "{sql}\n{plan}");
    }
    // Who has the right to clear text asks in clear, as ever.
    run(
        &mut client,
        "CREATE ROLE officer; GRANT warehouse_clear TO officer; GRANT USAGE ON SCHEMA d TO officer; \
         GRANT SELECT ON d.cards TO officer",
    )?;
    let mut officer = warehouse.connect("postgres")?;
    run(&mut officer, "SET SESSION AUTHORIZATION officer; SET warehouse.clear = on")?;
    expect(&mut officer, "SELECT id FROM d.cards WHERE mail = 'user7@CANARY.example'", "7")?;
    expect(&mut officer, &format!("SELECT id FROM d.cards WHERE mail = '{token}'"), "")
}
