//! Field values: one statement of many arms, each of which groups one column of one table.

use anyhow::{Result, ensure};

use super::Scene;
use crate::ask::{rows, run};

const ARMS: usize = 50;

/// So many rows has the table; so many values has a column.
const ROWS: usize = 3000;
const VALUES: usize = 400;

/// A table of many columns, for site a.
pub fn wide_table() -> String {
    let columns: Vec<String> =
        (1..=ARMS).map(|at| format!("'v' || (g * {at}) % {VALUES} AS c{at}")).collect();
    format!(
        "CREATE TABLE wide AS SELECT g AS id, {} FROM generate_series(1, {ROWS}) g; ANALYZE wide",
        columns.join(", ")
    )
}

/// The scene with that table imported into `app` and copied into `plain`.
fn wide(test: &str) -> Result<Scene> {
    let mut scene = Scene::new(test)?;
    let role = scene.role.clone();
    run(
        &mut scene.admin,
        &format!(
            "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public LIMIT TO (wide) FROM SERVER server_a INTO app; \
             CREATE TABLE plain.wide AS TABLE app.wide; ANALYZE plain.wide; \
             GRANT USAGE ON SCHEMA app TO {role}; GRANT SELECT ON app.wide, plain.wide TO {role}; \
             SELECT warehouse.disconnect()"
        ),
    )?;
    Ok(scene)
}

fn arms(schema: &str, order: bool) -> String {
    let arms: Vec<String> = (1..=ARMS)
        .map(|at| {
            let order = if order { format!(" ORDER BY c{at}") } else { String::new() };
            format!(
                "(SELECT {at} AS field, CAST(c{at} AS text) AS value FROM {schema}.wide \
                 WHERE c{at} IS NOT NULL GROUP BY c{at}{order} LIMIT 1000)"
            )
        })
        .collect();
    arms.join(" UNION ALL ")
}

/// So many of what the source was asked read the table.
fn reads(asked: &[String]) -> usize {
    asked.iter().map(|message| message.matches(" FROM public.wide").count()).sum()
}

#[test]
fn fifty_arms_over_one_connection() -> Result<()> {
    let scene = wide("arms")?;
    let mut tool = scene.tool()?;
    let before = scene.site("a")?.proxy.accepted();
    for order in [true, false] {
        let sort = |text: String| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let expected = sort(rows(&mut tool, &arms("plain", order))?);
        let since = scene.now()?;
        let found = sort(rows(&mut tool, &arms("app", order))?);
        ensure!(found == expected, "{} rows instead of {}", found.len(), expected.len());
        let asked = scene.asked("a", since)?;
        let all = asked.join("\n");
        ensure!(all.matches("GROUP BY").count() >= ARMS, "arms are not grouped there: {all}");
        ensure!(all.matches("LIMIT '1000'").count() >= ARMS, "arms are not limited there: {all}");
    }
    let opened = scene.site("a")?.proxy.accepted() - before;
    ensure!(opened == 1, "{opened} connections");
    Ok(())
}

/// The first arms fill the limit: the others cost nothing.
#[test]
fn a_limit_spares_the_last_arms() -> Result<()> {
    let scene = wide("spared")?;
    let mut tool = scene.tool()?;
    rows(&mut tool, "SELECT id FROM app.wide WHERE id = 1")?;
    let since = scene.now()?;
    let sql = format!("SELECT field, value FROM ({}) q LIMIT 1000", arms("app", true));
    let found = rows(&mut tool, &sql)?;
    ensure!(found.lines().count() == 1000, "{} rows", found.lines().count());
    // Each arm yields so many rows that three are enough.
    let asked = scene.asked("a", since)?;
    let read = reads(&asked);
    println!("{read} reads of the table for 1000 rows");
    ensure!(read <= 10, "{read} of {ARMS} arms were read:\n{}", asked.join("\n"));
    Ok(())
}
