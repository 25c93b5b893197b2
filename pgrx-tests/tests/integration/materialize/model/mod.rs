//! The model test: whatever happens at the sources and to those who refresh, after quiet every
//! materialized table is its query, and readers never see anything in between.
//!
//! [`ground`] has three primaries with standbys and a warehouse, [`marts`] the tables, each refreshed in
//! another way. [`writer`] makes the stream of changes of `source.sql`, [`disturb`] stops standbys and ends
//! processes, [`turns`] promotes standbys and drops the extension, [`hand`] refreshes and redefines by hand beside the schedules, [`reader`] looks all the time.
//! Now and then all but schedules and readers come to rest, and [`quiet`] compares; [`gate`] sees that a
//! table keeps its rows while its source has some that it must not show. [`story`] is what they
//! share.
//!
//! `WAREHOUSE_STEPS` sets how many steps the stream has, `WAREHOUSE_SEED` repeats the choices of one; what
//! the clocks of several processes make of them differs from run to run.

mod disturb;
mod gate;
mod ground;
mod hand;
mod marts;
mod quiet;
mod reader;
mod story;
mod turns;
mod writer;

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};

use crate::differential::Random;
use disturb::Disturber;
use ground::Ground;
use story::{Story, is_expected};
use turns::Turns;
use writer::Writer;

/// Steps of the stream, unless told otherwise, and those between two comparisons.
const STEPS: usize = 300;
const STEPS_PER_ROUND: usize = 150;

/// The longest pause between two steps, in milliseconds.
const PAUSE: usize = 120;

/// How long a reader may wait on a busy machine.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[test]
fn after_quiet_every_table_is_its_query() -> Result<()> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock")?;
    let seed = number("WAREHOUSE_SEED").unwrap_or(clock.as_micros() as u64);
    let steps = number("WAREHOUSE_STEPS").map_or(STEPS, |steps| steps as usize);
    println!("model: {steps} steps, seed {seed}");
    let ground = Ground::new()?;
    let story = Story::new();
    let outcome = thread::scope(|scope| {
        for person in 1..=2 {
            let (ground, story) = (&ground, &story);
            scope.spawn(move || {
                if let Err(error) = hand::refresh_now_and_then(ground, story, seed + person) {
                    story.fail(format!("by hand: {error:#}"));
                }
            });
            scope.spawn(move || {
                if let Err(error) = reader::read_all_the_time(ground, story, seed + 10 + person) {
                    story.fail(format!("a reader: {error:#}"));
                }
            });
        }
        let outcome = stream(&ground, &story, seed, steps);
        story.end();
        outcome
    });
    let (wait, whose) = story.longest_wait();
    println!("model: {}; longest wait of a reader {wait:?}, for {whose}", story.summary());
    if let Err(error) = outcome {
        story.fail(format!("{error:#}"));
    }
    if let Some(verdict) = story.verdict() {
        bail!("seed {seed}: {verdict}\n\n{}", ground.complaints()?);
    }
    ensure!(wait < LONGEST_WAIT, "seed {seed}: a reader of {whose} waited {wait:?}");
    Ok(())
}

/// The stream of steps, with a comparison after each round.
fn stream(ground: &Ground, story: &Story, seed: u64, steps: usize) -> Result<()> {
    let mut random = Random::new(seed);
    let mut writer = Writer::new(ground, story)?;
    let mut disturber = Disturber::new(ground, story)?;
    let mut turns = Turns::new(ground, story, &mut random, steps);
    for step in 1..=steps {
        if story.is_over() {
            return Ok(());
        }
        writer.step(&mut random)?;
        disturber.step(&mut random)?;
        turns.step(step, &mut random, &mut writer, &mut disturber)?;
        thread::sleep(Duration::from_millis(random.below(PAUSE) as u64));
        if step % STEPS_PER_ROUND == 0 || step == steps {
            writer.close_all(&mut random)?;
            disturber.revive()?;
            let _quiet = story.quiet();
            story.tell("quiet", format!("after step {step}"));
            ground.wait_for_replay()?;
            quiet::compare_all(ground, story, &mut writer, &mut random)?;
            judge_runs(ground, story)?;
        }
    }
    Ok(())
}

/// What workers were told is judged as what people are told.
pub fn judge_runs(ground: &Ground, story: &Story) -> Result<()> {
    let mut client = ground.client()?;
    let found = client.query(
        "SELECT relation, status, COALESCE(sqlstate, ''), COALESCE(error, ''), count(*) FROM warehouse.runs \
         WHERE sqlstate IS NOT NULL GROUP BY 1, 2, 3, 4",
        &[],
    )?;
    for row in found {
        let (relation, status, sqlstate): (String, String, String) =
            (row.get(0), row.get(1), row.get(2));
        if !is_expected(&relation, &sqlstate) {
            let (error, n): (String, i64) = (row.get(3), row.get(4));
            story.fail(format!("{n} runs of {relation} {status}: {sqlstate} {error}"));
        }
    }
    Ok(())
}
