//! Aggregates over a merged table: in two steps they give what one step over the rows gives.

use anyhow::{Result, ensure};
use postgres::Client;

use crate::ask::{refused, rows, run};
use crate::support::Pair;

/// Two sites whose groups overlap, with NULLs, specials, large scales and a group without values.
const SCRIPT: &str = "
    CREATE SCHEMA one; CREATE SCHEMA two;
    CREATE TABLE one.t (g int, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 float8, b boolean, d date, iv interval);
    CREATE TABLE two.t (LIKE one.t);
    INSERT INTO one.t SELECT i % 4, i, i * 1000, i::bigint * 4000000000000000, i * 1.00000000000000000000001 + 1e25,
      i, i, i % 3 = 0, date '2020-01-01' + i, i * interval '1 hour' FROM generate_series(1, 50) i;
    INSERT INTO two.t SELECT i % 5, -i, i, 9000000000000000000 - i, i / 7.0, i * 2, i * 4, true,
      date '1990-01-01' + i, i * interval '1 day' FROM generate_series(1, 30) i;
    INSERT INTO one.t (g, n) VALUES (10, 'NaN'), (10, 1), (11, 'Infinity'), (11, 5), (12, '-Infinity'), (13, 'Infinity'), (17, 'NaN'), (17, 1), (17, 2);
    INSERT INTO two.t (g, n) VALUES (10, 2), (11, 'Infinity'), (12, 7), (13, '-Infinity'), (14, NULL), (15, 1.5);
    INSERT INTO one.t (g) VALUES (14), (16)";

/// Every aggregate that is split, over every type that it is split for. Floats hold whole numbers, so
/// that their sums do not depend on the order.
const AGGREGATES: [(&str, &[&str]); 8] = [
    ("count", &["i2", "n", "b", "d"]),
    ("sum", &["i2", "i4", "i8", "n", "f4", "f8", "iv"]),
    ("avg", &["i2", "i4", "i8", "n", "f4", "f8"]),
    ("min", &["i2", "i8", "n", "f8", "d", "iv"]),
    ("max", &["i4", "i8", "n", "f4", "d", "iv"]),
    ("stddev", &["i2", "i4", "i8", "n"]),
    ("var_pop", &["i2", "i4", "i8", "n"]),
    ("bool_and", &["b"]),
];

#[test]
fn in_two_steps_as_in_one() -> Result<()> {
    let pair = Pair::new("twosteps")?;
    run(&mut pair.source()?, SCRIPT)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "SELECT * FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"one\", \"site\": \"one\"}, \
             {\"server\": \"src\", \"schema\": \"two\", \"site\": \"two\"}]')",
    )?;
    for (function, columns) in AGGREGATES {
        for column in columns {
            let call = format!("{function}({column})");
            let filtered = format!("{call} FILTER (WHERE g <> 3)");
            for (sql, splits) in [
                (format!("SELECT g, {call}, count(*) FROM main.t GROUP BY g ORDER BY g"), true),
                (format!("SELECT g, {filtered} FROM main.t GROUP BY g ORDER BY g"), true),
                (format!("SELECT {call}, {filtered} FROM main.t"), true),
                (format!("SELECT {call} FROM main.t WHERE g > 1000"), true),
                (format!("SELECT site, g, {call} FROM main.t GROUP BY 1, 2 ORDER BY 1, 2"), false),
            ] {
                run(&mut client, "SET warehouse.partitionwise = on")?;
                let plan = rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
                ensure!(plan.contains("PARTIAL") == splits, "{sql}:\n{plan}");
                let sites = rows(&mut client, &sql)?;
                run(&mut client, "SET warehouse.partitionwise = off")?;
                let plan = rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
                ensure!(
                    !plan.contains("Remote SQL: SELECT count") && !plan.contains("PARTIAL"),
                    "{plan}"
                );
                let plain = rows(&mut client, &sql)?;
                ensure!(sites == plain, "{sql}\nsite by site:\n{sites}\nplain:\n{plain}");
            }
        }
    }
    Ok(())
}

/// Values of xid have a hash and no order: nothing that sorts them may be planned.
#[test]
fn keys_that_have_no_order() -> Result<()> {
    let pair = Pair::new("noorder")?;
    let mut source = pair.source()?;
    run(
        &mut source,
        "CREATE SCHEMA one; CREATE SCHEMA two;
         CREATE TABLE one.h AS SELECT i AS id, NULLIF((i % 7)::text, '3')::xid AS stamp, i % 5 AS few, i % 11 AS points
           FROM generate_series(1, 400) i;
         CREATE TABLE two.h AS SELECT id, (id % 9)::text::xid AS stamp, few + 2 AS few, points FROM one.h; ANALYZE",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"one\", \"site\": \"one\"}, \
             {\"server\": \"src\", \"schema\": \"two\", \"site\": \"two\"}]')",
    )?;
    let all = "(SELECT 'one' AS site, * FROM one.h UNION ALL SELECT 'two', * FROM two.h)";
    for sql in [
        "SELECT DISTINCT stamp FROM @h h",
        "SELECT DISTINCT stamp, few FROM @h h WHERE id > 50",
        "SELECT stamp, count(*), sum(points) FROM @h h GROUP BY stamp",
        "SELECT stamp, few, avg(points) FROM @h h GROUP BY stamp, few",
        "SELECT site, stamp, count(*) FROM @h h GROUP BY site, stamp",
        "SELECT few, count(DISTINCT points), sum(id) FROM @h h WHERE stamp = '5' GROUP BY few",
        "SELECT a.stamp, count(*) FROM @h h JOIN @h a USING (site, id) GROUP BY a.stamp",
    ] {
        let sorted = |client: &mut Client, table: &str| -> Result<Vec<String>> {
            let found = rows(client, &sql.replace("@h", table))?;
            let mut found: Vec<String> = found.lines().map(str::to_owned).collect();
            found.sort_unstable();
            Ok(found)
        };
        let expected = sorted(&mut source, all)?;
        ensure!(!expected.is_empty(), "{sql}: no rows");
        for setting in ["RESET enable_hashagg", "SET enable_hashagg = off"] {
            run(&mut client, setting)?;
            let found = sorted(&mut client, "main.h")?;
            ensure!(found == expected, "{setting}: {sql}\n{found:?}\nplain:\n{expected:?}");
        }
    }
    // A DISTINCT in an aggregate takes a sort by the keys, in Postgres itself too.
    for sql in [
        "SELECT stamp, count(DISTINCT few), sum(points) FROM @h h GROUP BY stamp",
        "SELECT site, few, count(DISTINCT points) FROM @h h WHERE few = 1 GROUP BY site, few, stamp",
    ] {
        refused(&mut source, &sql.replace("@h", all))?
            .says("0A000", &["could not implement GROUP BY"])?;
        refused(&mut client, &sql.replace("@h", "main.h"))?
            .says("0A000", &["could not implement GROUP BY"])?;
    }
    Ok(())
}
