//! Timing contenders that take turns, so that whatever else the machine does hits all of them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Somebody who does the job once and says how long it took. What it needs before and after stays
/// outside the time.
pub struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() -> Result<Duration> + 'a>,
}

impl<'a> Contender<'a> {
    /// A contender called `name`.
    pub fn new(
        name: impl Into<String>,
        run: impl FnMut() -> Result<Duration> + 'a,
    ) -> Contender<'a> {
        Contender { name: name.into(), run: Box::new(run) }
    }
}

/// How long a contender took.
#[derive(Debug, Clone)]
pub struct Times {
    /// The contender's name.
    pub name: String,
    /// Round by round.
    pub rounds: Vec<Duration>,
}

impl Times {
    /// The middle one, in milliseconds.
    pub fn median(&self) -> f64 {
        let mut sorted: Vec<f64> = self.millis().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            (sorted[middle - 1] + sorted[middle]) / 2.0
        }
    }

    /// The shortest one, in milliseconds.
    pub fn min(&self) -> f64 {
        self.millis().fold(f64::INFINITY, f64::min)
    }

    /// All of them, in milliseconds.
    pub fn millis(&self) -> impl Iterator<Item = f64> {
        self.rounds.iter().map(|time| time.as_secs_f64() * 1000.0)
    }
}

/// Lets everybody run once a round, one after the other, after one round that does not count.
pub fn interleave(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Result<Vec<Times>> {
    let mut times: Vec<Times> = contenders
        .iter()
        .map(|contender| Times { name: contender.name.clone(), rounds: Vec::new() })
        .collect();
    for round in 0..=rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let took = (contender.run)().with_context(|| contender.name.clone())?;
            if round > 0 {
                times.rounds.push(took);
            }
        }
    }
    Ok(times)
}

/// Runs `work` and returns how long it took, or its error.
pub fn time<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}
