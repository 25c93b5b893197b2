//! Numbers in bins and times in days of the reader's zone: grouped at the sources.

use anyhow::{Result, ensure};

use super::Scene;
use crate::ask::{rows, run};

const QUESTIONS: &[&str] = &[
    "SELECT FLOOR((score - 1.0) / 2.5) * 2.5 + 1.0 AS bin, count(*) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT FLOOR((\"amount\" - 0.5) / 12.5) * 12.5 + 0.5, sum(amount), avg(amount), count(*) FROM main.orders \
     GROUP BY FLOOR((\"amount\" - 0.5) / 12.5) * 12.5 + 0.5 ORDER BY 1",
    "SELECT FLOOR((id - 1) / 50) * 50 AS bin, kind, sum(score) FROM main.orders GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT DATE_TRUNC('week', at), count(*) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT CAST(DATE_TRUNC('month', CAST(at AS timestamp)) AS date), sum(amount) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT CAST(at AS date), count(*) FROM main.orders WHERE at >= CAST('2024-02-01' AS date) GROUP BY 1 ORDER BY 1",
    "SELECT CAST(extract(dow from at) AS integer) + 1, count(*) FROM main.orders GROUP BY 1 ORDER BY 1",
    "SELECT kind, count(*) FROM main.orders WHERE at >= NOW() + INTERVAL '-30 year' GROUP BY 1 ORDER BY 1",
    "SELECT u.active, DATE_TRUNC('day', o.at), count(*) FROM main.orders o \
     LEFT JOIN main.users u ON o.user_id = u.id AND o.site = u.site GROUP BY 1, 2 ORDER BY 1, 2",
];

#[test]
fn groups_are_made_at_the_sources() -> Result<()> {
    let scene = Scene::new("bins")?;
    let mut tool = scene.tool()?;
    for zone in ["America/New_York", "Asia/Kathmandu", "UTC", "Pacific/Kiritimati"] {
        run(&mut tool, &format!("SET SESSION TIMEZONE TO '{zone}'"))?;
        for question in QUESTIONS {
            let plain = question.replace(" main.", " plain.");
            let expected = rows(&mut tool, &plain)?;
            ensure!(!expected.is_empty(), "no rows: {question}");
            let since = scene.now()?;
            let found = rows(&mut tool, question)?;
            ensure!(found == expected, "{zone}: {question}\nexpected\n{expected}\nfound\n{found}");
            for (site, _) in super::SITES {
                let asked = scene.asked(site, since)?.join("\n");
                ensure!(asked.contains("GROUP BY"), "{site}: {question}\n{asked}");
            }
        }
    }
    Ok(())
}
