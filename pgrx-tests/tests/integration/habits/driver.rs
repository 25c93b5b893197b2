//! Prepared statements with bound parameters: their values reach the sources, under custom and under
//! generic plans.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use postgres::types::{ToSql, Type};
use postgres::{Client, Statement};

use super::Scene;
use crate::ask::{rows, run};

/// Executions after which a plan is a generic one, if it ever is, and some more.
const TIMES: usize = 12;

type Values = Vec<Box<dyn ToSql + Sync>>;

/// A statement: its SQL, the types its parameters are sent with, their values in the nth execution, and
/// what has to be in what the sources are asked then.
struct Habit {
    sql: &'static str,
    types: &'static [Type],
    values: fn(usize) -> Values,
    sent: fn(usize) -> Vec<String>,
}

fn kind(n: usize) -> &'static str {
    ["open", "paid", "sent"][n % 3]
}

fn at(n: usize) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_704_067_200 + 86_400 * n as u64)
}

const HABITS: &[Habit] = &[
    Habit {
        sql: "SELECT site, id::text FROM main.orders WHERE kind = CAST($1 AS main.kind) AND id < 30",
        types: &[Type::VARCHAR],
        values: |n| vec![Box::new(kind(n))],
        sent: |n| vec![format!("'{}'", kind(n)), "id < 30".to_owned()],
    },
    Habit {
        sql: "SELECT kind::text, count(*)::text FROM main.orders WHERE kind IN ($1::main.kind, 'sent') GROUP BY kind",
        types: &[Type::TEXT],
        values: |n| vec![Box::new(kind(n))],
        sent: |n| vec![format!("'{}'", kind(n)), "GROUP BY".to_owned()],
    },
    Habit {
        sql: "SELECT site, name FROM main.orders WHERE LOWER(name) LIKE $1",
        types: &[Type::VARCHAR],
        values: |n| vec![Box::new(format!("%order {n}0%"))],
        sent: |n| vec![format!("%order {n}0%"), "lower(".to_owned()],
    },
    Habit {
        sql: "SELECT site, id::text, name FROM main.orders ORDER BY at DESC, site LIMIT $1",
        types: &[Type::INT8],
        values: |n| vec![Box::new(n as i64 + 1)],
        sent: |n| vec![format!("LIMIT '{}'", n + 1)],
    },
    Habit {
        sql: "SELECT id::text FROM main.orders WHERE site = 'b' ORDER BY id LIMIT $1 OFFSET $2",
        types: &[Type::INT8, Type::INT8],
        values: |n| vec![Box::new(3i64), Box::new(n as i64)],
        // The source may be told both, or the rows of both.
        sent: |_| vec!["LIMIT ".to_owned()],
    },
    Habit {
        sql: "SELECT site, count(*)::text FROM main.orders WHERE at >= $1 AND at < $1 + interval '3 days' GROUP BY site",
        types: &[Type::TIMESTAMPTZ],
        values: |n| vec![Box::new(at(n))],
        sent: |n| {
            vec![
                if n == 0 {
                    "2023-12-31 19:00:00-05".to_owned()
                } else {
                    format!("2024-01-{n:02} 19:00:00-05")
                },
                "GROUP BY".to_owned(),
            ]
        },
    },
    Habit {
        sql: "SELECT site, id::text FROM main.orders WHERE amount BETWEEN CAST($1 AS numeric) AND CAST($2 AS numeric)",
        types: &[Type::VARCHAR, Type::VARCHAR],
        values: |n| vec![Box::new(format!("{n}.25")), Box::new(format!("{}.75", n + 5))],
        sent: |n| vec![format!("'{n}.25'"), format!("'{}.75'", n + 5)],
    },
    Habit {
        sql: "SELECT site, id::text FROM main.orders WHERE id = ANY ($1)",
        types: &[Type::INT4_ARRAY],
        values: |n| vec![Box::new(vec![n as i32 + 1, 17, -1])],
        sent: |n| vec![format!("{{{},17,-1}}", n + 1)],
    },
    Habit {
        sql: "SELECT site, count(*)::text FROM main.orders WHERE (note #>> array['by']::text[])::text = $1 GROUP BY site",
        types: &[Type::VARCHAR],
        values: |n| vec![Box::new(format!("u{}", n % 6))],
        sent: |n| vec![format!("'u{}'", n % 6), "#>>".to_owned()],
    },
    Habit {
        sql: "SELECT o.site, o.id::text, u.email FROM main.orders o \
              LEFT JOIN main.users u ON u.site = o.site AND u.id = o.user_id WHERE u.email = $1",
        types: &[Type::VARCHAR],
        values: |n| vec![Box::new(format!("b{}@example.org", n + 1))],
        sent: |n| vec![format!("'b{}@example.org'", n + 1)],
    },
    Habit {
        sql: "SELECT count(*)::text FROM main.orders WHERE ($1 IS NULL OR name = $1)",
        types: &[Type::TEXT],
        values: |n| vec![Box::new((n % 4 > 0).then(|| format!("Order {n} of a")))],
        sent: |_| vec![],
    },
];

/// The rows of an execution, as text and sorted.
fn answer(client: &mut Client, statement: &Statement, values: &Values) -> Result<Vec<String>> {
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value.as_ref() as _).collect();
    let mut out = Vec::new();
    for row in client.query(statement, &values)? {
        let texts: Vec<String> = (0..row.len())
            .map(|at| row.get::<_, Option<String>>(at).unwrap_or("~".to_owned()))
            .collect();
        out.push(texts.join("|"));
    }
    out.sort_unstable();
    Ok(out)
}

#[test]
fn values_reach_the_sources() -> Result<()> {
    let scene = Scene::new("driver")?;
    let mut tool = scene.tool()?;
    for mode in ["auto", "force_generic_plan"] {
        run(&mut tool, &format!("SET plan_cache_mode = {mode}"))?;
        for habit in HABITS {
            let plain = habit
                .sql
                .replace("main.orders", "plain.orders")
                .replace("main.users", "plain.users");
            let merged = tool.prepare_typed(habit.sql, habit.types)?;
            let plain = tool.prepare_typed(&plain, habit.types)?;
            for n in 0..TIMES {
                let values = (habit.values)(n);
                let expected = answer(&mut tool, &plain, &values)?;
                let since = scene.now()?;
                let found = answer(&mut tool, &merged, &values).context(habit.sql)?;
                ensure!(
                    found == expected,
                    "{mode}, execution {n}: {}\n{found:?}\n{expected:?}",
                    habit.sql
                );
                let asked = scene.asked_anywhere(since)?;
                for part in (habit.sent)(n) {
                    ensure!(
                        asked.contains(&part),
                        "{mode}, execution {n}: {}\n{part} is not in\n{asked}",
                        habit.sql
                    );
                }
            }
            let plans = rows(
                &mut tool,
                &format!(
                    "SELECT generic_plans >= {TIMES} FROM pg_prepared_statements \
                     WHERE statement = $habit${}$habit$",
                    habit.sql
                ),
            )?;
            ensure!(plans == "t" || mode == "auto", "{mode}: {} {plans}", habit.sql);
        }
    }
    Ok(())
}

/// A site that a parameter names is the only one that is asked.
#[test]
fn a_bound_site_is_the_only_one_asked() -> Result<()> {
    let scene = Scene::new("boundsite")?;
    let mut tool = scene.tool()?;
    let sql = "SELECT count(*)::text, max(id)::text FROM main.orders WHERE site = $1 AND id > $2";
    let statement = tool.prepare_typed(sql, &[Type::VARCHAR, Type::INT4])?;
    for n in 0..TIMES {
        let (site, count) = super::SITES[n % 3];
        let since = scene.now()?;
        let found = answer(&mut tool, &statement, &vec![Box::new(site), Box::new(10i32)])?;
        ensure!(found == [format!("{}|{count}", count - 10)], "{site}: {found:?}");
        for other in super::SITES.iter().filter(|(name, _)| *name != site) {
            let asked = scene.asked(other.0, since)?.join("\n");
            ensure!(!asked.contains("orders"), "{n}: {} was asked: {asked}", other.0);
        }
    }
    Ok(())
}
