//! Readers: what they see is never empty or torn, and they hardly wait.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::differential::Random;

use super::ground::Ground;
use super::marts::ALL;
use super::story::Story;

/// Reads until the story is over.
pub fn read_all_the_time(ground: &Ground, story: &Story, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let checks: Vec<String> = ALL.iter().map(|mart| mart.check()).collect();
    let mut reads = 0_usize;
    while !story.is_over() {
        let crashes = story.crashes();
        match read(ground, story, &checks, &mut random, &mut reads) {
            // Of a server that was made to crash.
            Err(_) if story.has_crashed(crashes) => thread::sleep(Duration::from_millis(100)),
            outcome => outcome?,
        }
    }
    story.tell("reader", format!("read {reads} times"));
    Ok(())
}

/// Reads in one session.
fn read(
    ground: &Ground,
    story: &Story,
    checks: &[String],
    random: &mut Random,
    reads: &mut usize,
) -> Result<()> {
    let mut client = ground.client()?;
    // Plans that are kept have to notice that the storage is another.
    let prepared = checks.iter().map(|sql| client.prepare(sql)).collect::<Result<Vec<_>, _>>()?;
    while !story.is_over() {
        let at = random.below(ALL.len());
        let (began, turns) = (Instant::now(), story.turns());
        let row = if random.percent(50) {
            client.query_one(&prepared[at], &[])?
        } else {
            client.query_one(&checks[at], &[])?
        };
        // Whoever drops a table and makes it anew in one transaction has its readers wait.
        if !story.has_turned(turns) {
            story.waited(began.elapsed(), ALL[at].name);
        }
        *reads += 1;
        if let Some(found) = row.get::<_, Option<String>>(0) {
            let short: String = found.chars().take(800).collect();
            story.fail(format!("a reader of {} saw: {short}", ALL[at].name));
        }
        thread::sleep(Duration::from_millis(random.below(30) as u64));
    }
    Ok(())
}
