//! Nothing that depends on raw values is asked of the source: an answer would be an oracle.

use anyhow::{Result, ensure};

use super::{people, protect};
use crate::ask::{expect, refused, rows, run};

/// Each of these would tell something of raw values if the source evaluated it.
const QUESTIONS: [&str; 16] = [
    "SELECT id FROM people WHERE name = 'CANARYname7 Surname'",
    "SELECT id FROM people WHERE name LIKE 'CANARY%'",
    "SELECT id FROM people WHERE lower(email) LIKE '%canary7@%'",
    "SELECT id FROM people WHERE length(name) > 12",
    "SELECT id FROM people WHERE name IS NOT NULL AND length(name) = 7",
    "SELECT id FROM people WHERE born < '2010-06-01' AND born > '2010-01-01'",
    "SELECT id FROM people WHERE CASE WHEN name LIKE 'CANARYname7 %' THEN 1 / (id - id) > 0 ELSE true END AND name IS NULL AND id > 0",
    "SELECT id FROM people WHERE data->>'secret' IS NOT NULL",
    "SELECT id FROM people WHERE 'CANARYtag7' = ANY (tags)",
    "SELECT id FROM people WHERE ip = '10.77.0.7'",
    "SELECT id FROM people WHERE name || email LIKE '%CANARY%'",
    "SELECT id FROM people WHERE (name, id) = ('CANARYname7 Surname', 7)",
    "SELECT p.id FROM people p JOIN people q ON q.name = p.name AND q.id <> p.id AND length(q.name) > 9",
    "SELECT p.id FROM people p WHERE EXISTS (SELECT FROM people q WHERE q.email = 'canary7@CANARY.example' AND q.id = p.id)",
    "SELECT max(length(name)) FROM people HAVING max(length(name)) > 9",
    "SELECT count(DISTINCT name) FROM people HAVING count(DISTINCT name) > 1",
];

#[test]
fn conditions_see_what_is_shown() -> Result<()> {
    let (_pair, mut client) = people("oracle")?;
    protect(&mut client)?;
    for question in QUESTIONS {
        let plan = rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {question}"))?;
        for line in plan.lines().filter(|line| line.contains("Remote SQL")) {
            let asked = line.split_once(" WHERE ").map_or("", |(_, asked)| asked);
            for column in ["name", "email", "born", "data", "tags", "ip", "CANARY"] {
                ensure!(!asked.contains(column), "{question}\n{line}");
            }
            ensure!(!line.contains("GROUP BY") && !line.contains("count("), "{question}\n{line}");
        }
        expect(&mut client, question, "")?;
    }
    // On masked values the same conditions hold.
    expect(&mut client, "SELECT count(*) FROM people WHERE name = 'C. S.'", "500")?;
    expect(
        &mut client,
        "SELECT born, count(*) FROM people WHERE id < 400 GROUP BY 1 ORDER BY 1 NULLS FIRST",
        "~|1\n2010-01-01|364\n2011-01-01|35",
    )?;
    expect(&mut client, "SELECT name FROM people ORDER BY name NULLS LAST LIMIT 1", "C. S.")
}

/// What does not touch them is sent as before.
#[test]
fn the_rest_is_still_sent() -> Result<()> {
    let (_pair, mut client) = people("stillsent")?;
    protect(&mut client)?;
    for (sql, sent) in [
        ("SELECT name FROM people WHERE id = 7", "WHERE (id = 7)"),
        ("SELECT mood, count(*) FROM people GROUP BY mood", "GROUP BY"),
        ("SELECT name FROM people ORDER BY seen LIMIT 3", "ORDER BY seen ASC NULLS LAST LIMIT"),
        ("SELECT p.name, q.score FROM people p JOIN people q ON q.id = p.id", "INNER JOIN"),
        ("SELECT sum(score) FROM people WHERE active", "sum(score)"),
    ] {
        let plan = rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
        ensure!(plan.contains(sent), "{sql}\n{plan}");
    }
    expect(
        &mut client,
        "SELECT p.name, q.name, q.notes IS NULL FROM people p LEFT JOIN people q ON q.id = p.id + 1 AND p.id < 2 \
         WHERE p.id IN (1, 2) ORDER BY p.id",
        "C. S.|C. S.|f\nC. S.|~|t",
    )?;
    let told = rows(
        &mut client,
        "SELECT reason FROM warehouse.explain_pushdown($$SELECT id FROM people WHERE name = 'x'$$) WHERE NOT pushed",
    )?;
    ensure!(told.contains("column name is masked"), "{told}");
    Ok(())
}

/// Errors of the source could quote what is masked.
#[test]
fn errors_quote_nothing() -> Result<()> {
    let (_pair, mut client) = people("quotes")?;
    run(
        &mut client,
        "CREATE FOREIGN TABLE cast_there (id bigint, city integer OPTIONS (remote_type 'text', mask 'generalize(10)')) \
           SERVER src OPTIONS (schema_name 'public', table_name 'people')",
    )?;
    let told = refused(&mut client, "SELECT city FROM cast_there")?;
    ensure!(!format!("{told:?}").contains("CANARY"), "{told:?}");
    told.says("22P02", &["withheld"])?;
    // A value that a mask refuses.
    run(
        &mut client,
        "CREATE FOREIGN TABLE refusing (id bigint, name text OPTIONS (mask 'constant(''x'')'), born date) \
           SERVER src OPTIONS (schema_name 'public', table_name 'people')",
    )?;
    expect(&mut client, "SELECT name FROM refusing WHERE id = 7", "x")
}
