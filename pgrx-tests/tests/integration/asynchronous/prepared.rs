//! A plan that is kept, over sites that come and go.

use anyhow::{Context, Result};

use super::ground::site;
use super::{Scene, add_site};
use crate::ask::{expect, own_source, run};

#[test]
fn a_site_restarts_between_executions() -> Result<()> {
    let source = own_source("async-restarts")?;
    source.execute("postgres", &site("z", 50_000))?;
    let mut scene = Scene::new("prepared")?;
    add_site(&mut scene.client, "s4", &source, "{t,u}")?;
    for mode in ["auto", "force_generic_plan"] {
        run(
            &mut scene.client,
            &format!(
                "SET plan_cache_mode = {mode}; \
                 PREPARE scan(int) AS SELECT count(*), sum(id) FROM (SELECT id FROM main.t WHERE v = $1 AND random() < 2 OFFSET 0) x; \
                 PREPARE part(int) AS SELECT v, count(*) FROM main.t WHERE v >= $1 GROUP BY v ORDER BY v; \
                 PREPARE few(int) AS SELECT count(*) FROM (SELECT id FROM main.t WHERE random() < 2 LIMIT $1) x; \
                 PREPARE one(text) AS SELECT count(*) FROM (SELECT FROM main.t WHERE site >= $1 AND random() < 2 OFFSET 0) x"
            ),
        )?;
        for round in 0..12 {
            if round == 5 {
                source.restart()?;
            }
            if round == 8 {
                scene.sources.kill("s2", false)?;
                scene.sources.terminate("s1")?;
            }
            let v = round % 10;
            // Five bases, 100 rows each; 1000 instead of 0 among the numbers within a site.
            let within: u32 = (1..=1000).filter(|g| g % 10 == v).sum();
            let sum = (10_000 + 20_000 + 30_000 + 40_000 + 50_000) * 100 + 5 * within;
            let context = || format!("{mode}, round {round}");
            let client = &mut scene.client;
            expect(client, &format!("EXECUTE scan({v})"), &format!("500|{sum}"))
                .with_context(context)?;
            expect(client, "EXECUTE part(8)", "8|500\n9|500").with_context(context)?;
            let limit = 1 + round * 400;
            expect(client, &format!("EXECUTE few({limit})"), &limit.to_string())
                .with_context(context)?;
            expect(client, "EXECUTE one('b')", "4000").with_context(context)?;
            expect(client, "EXECUTE one('d')", "2000").with_context(context)?;
        }
        run(&mut scene.client, "DEALLOCATE ALL")?;
    }
    scene.sources.nothing_runs()?;
    expect(&mut scene.client, "SELECT count(*) FROM main.t WHERE random() < 2", "5000")
}
