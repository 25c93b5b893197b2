//! Aggregates over a merged table: in two steps they give what one step over the rows gives.

use anyhow::{Result, ensure};

use crate::ask::{rows, run};
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
