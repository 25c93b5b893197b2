//! An Append that is left early: the sites that nobody reads any more stop.

use anyhow::{Context, Result, ensure};

use super::{EVERYTHING, EVERYTHING_IS, Scene};
use crate::ask::{expect, rows, run};

/// What leaves all sites in mid-stream.
const EARLY: [(&str, usize); 6] = [
    ("SELECT id FROM main.trickle WHERE length(pad) > random() LIMIT 3", 3),
    ("SELECT id, length(pad) FROM main.trickle LIMIT 1", 1),
    ("SELECT id FROM main.flood WHERE random() < 2 LIMIT 1000", 1000),
    ("SELECT id FROM main.flood WHERE random() < 2 OFFSET 5000 LIMIT 10", 10),
    ("SELECT 1 WHERE EXISTS (SELECT FROM main.trickle WHERE length(pad) > random())", 1),
    ("SELECT id FROM main.t WHERE random() < 2 LIMIT 1", 1),
];

#[test]
fn the_others_stop() -> Result<()> {
    let mut scene = Scene::new("early")?;
    for (sql, count) in EARLY {
        let found = rows(&mut scene.client, sql).context(sql)?;
        ensure!(found.lines().count() == count, "{sql}: {found}");
        scene.works().context(sql)?;
    }
    Ok(())
}

/// The transaction goes on with the snapshots it has, on the connections it has.
#[test]
fn a_transaction_goes_on_behind_it() -> Result<()> {
    let mut scene = Scene::new("earlyblock")?;
    run(&mut scene.client, "BEGIN")?;
    expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)?;
    for (sql, count) in EARLY {
        let found = rows(&mut scene.client, sql).context(sql)?;
        ensure!(found.lines().count() == count, "{sql}: {found}");
        scene.works().context(sql)?;
    }
    run(&mut scene.client, "COMMIT")?;
    scene.works()
}

/// One site has all the rows that are wanted while the others have none yet, nor the answer to their
/// question.
#[test]
fn rows_that_are_there_do_not_wait_for_those_that_are_not() -> Result<()> {
    let mut scene = Scene::new("there")?;
    for block in [false, true] {
        if block {
            run(&mut scene.client, "BEGIN")?;
            expect(&mut scene.client, EVERYTHING, EVERYTHING_IS)?;
        }
        for (free, wanted) in [("s1", 1500), ("s2", 700), ("s3", 1000)] {
            let mut holders = Vec::new();
            for server in ["s1", "s2", "s3"].iter().filter(|server| **server != free) {
                holders.push(scene.sources.hold(server)?);
            }
            // The first server has two sites that take turns.
            let found = rows(
                &mut scene.client,
                &format!("SELECT id FROM main.held WHERE random() < 2 LIMIT {wanted}"),
            )
            .with_context(|| format!("{free} has rows, in a block: {block}"))?;
            ensure!(found.lines().count() == wanted, "{found}");
            drop(holders);
            scene.works().with_context(|| format!("behind {free}, in a block: {block}"))?;
        }
        if block {
            run(&mut scene.client, "COMMIT")?;
        }
    }
    scene.works()
}
