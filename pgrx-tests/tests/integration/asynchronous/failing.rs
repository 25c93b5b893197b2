//! A row that fails at one source: its error arrives as it is, and the others stop.

use anyhow::{Context, Result};

use super::Scene;
use crate::ask::{expect, refused, run};

#[test]
fn an_error_of_a_row_is_that_error() -> Result<()> {
    let mut scene = Scene::new("broken")?;
    for sql in [
        // In mid-stream, before any row, in an aggregate, while another site never ends.
        "SELECT sum(length(pad)) FROM (SELECT pad FROM main.broken WHERE q + random() > 0 OFFSET 0) x",
        "SELECT count(*) FROM (SELECT FROM main.t WHERE 1 / d + v >= 0 AND random() < 2 OFFSET 0) x",
        "SELECT sum(q) FROM main.broken",
        "SELECT site, sum(q) FROM main.broken GROUP BY site",
        "SELECT count(*) FROM (SELECT q FROM main.broken WHERE site = 'c' AND q + random() > 0 \
           UNION ALL SELECT id FROM main.flood WHERE random() < 2) x",
    ] {
        for block in [false, true] {
            if block {
                run(&mut scene.client, "BEGIN; SELECT count(*) FROM main.t; SAVEPOINT s")?;
            }
            refused(&mut scene.client, sql)
                .with_context(|| sql.to_owned())?
                .says("22012", &["\"s2\"", "division by zero"])
                .with_context(|| sql.to_owned())?;
            if block {
                run(&mut scene.client, "ROLLBACK TO s")?;
                expect(&mut scene.client, "SELECT count(*) FROM main.t WHERE random() < 2", "4000")
                    .with_context(|| format!("behind {sql}"))?;
                run(&mut scene.client, "COMMIT")?;
            }
            scene.works().with_context(|| sql.to_owned())?;
        }
    }
    // Without the row all is well.
    expect(
        &mut scene.client,
        "SELECT count(*), sum(q) FROM main.broken WHERE id <> 30700 AND q + random() > 0",
        "3999|3999",
    )
}
