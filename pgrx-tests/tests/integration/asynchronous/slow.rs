//! A slow site does not change what the others give, nor how often.

use std::time::Duration;

use anyhow::{Context, Result};
use warehouse_tests::faults::Mode;

use super::{EVERYTHING, EVERYTHING_IS, Scene};
use crate::ask::expect;

/// Rows that come slowly at one site and at once at the others, through every way of slowness.
#[test]
fn every_row_comes_once() -> Result<()> {
    let mut scene = Scene::new("once")?;
    for server in ["s1", "s2", "s3"] {
        let proxy = scene.sources.proxy(server)?;
        for delay in [1, 20] {
            proxy.set(Mode::Delay(Duration::from_millis(delay)))?;
            expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)
                .with_context(|| format!("{server} {delay} ms late"))?;
            expect(
                &mut scene.client,
                "SELECT count(*), count(DISTINCT id), sum(length(pad)) \
                 FROM (SELECT id, pad FROM main.wide WHERE random() < 2 OFFSET 0) x",
                "4000|4000|12000000",
            )?;
        }
        proxy.set(Mode::Pass)?;
    }
    expect(
        &mut scene.client,
        "SELECT site, count(*), count(DISTINCT id), sum(length(pad)) \
         FROM (SELECT * FROM main.drip WHERE random() < 2 OFFSET 0) x GROUP BY site ORDER BY site",
        "a|20|20|180000\nb|20|20|180000\nc|20|20|180000\nd|20|20|180000",
    )?;
    // Slow rows here, quick ones there: a filter that differs by site.
    for site in ["a", "b", "c", "d"] {
        expect(
            &mut scene.client,
            &format!(
                "SELECT count(*), count(DISTINCT (site, id)) FROM \
                 (SELECT site, id FROM main.drip WHERE site = '{site}' AND length(pad) > random() \
                  UNION ALL SELECT site, id FROM main.t WHERE site <> '{site}' AND random() < 2) x"
            ),
            "3020|3020",
        )?;
    }
    scene.works()
}

/// The slow site's own server has another site, which waits for its turn.
#[test]
fn a_site_behind_a_slow_one() -> Result<()> {
    let mut scene = Scene::new("behind")?;
    for (condition, sites) in [
        ("random() < 2", 4),
        ("site <> 'c' AND random() < 2", 3),
        ("site IN ('a', 'b') AND v + random() >= 0", 2),
    ] {
        expect(
            &mut scene.client,
            &format!(
                "SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM main.late WHERE {condition} OFFSET 0) x"
            ),
            &format!("{0}|{0}", sites * 1000),
        )?;
    }
    scene.works()
}
