//! postgres_fdw at its best: the same table with every fetch_size, with and without remote
//! estimates, and the choice among them for one job.

use std::time::Duration;

use anyhow::{Context, Result};

/// The fetch sizes that are tried.
const FETCH_SIZES: [u32; 3] = [100, 1_000, 10_000];

/// How often each is tried; the shortest time counts.
const TRIES: usize = 2;

/// One way to set postgres_fdw up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    fetch_size: u32,
    remote_estimate: bool,
}

impl Setup {
    /// Every setup.
    pub fn all() -> impl DoubleEndedIterator<Item = Setup> {
        FETCH_SIZES.into_iter().flat_map(|fetch_size| {
            [false, true].map(|remote_estimate| Setup { fetch_size, remote_estimate })
        })
    }

    /// The schema that holds its foreign tables.
    pub fn schema(self) -> String {
        let estimate = if self.remote_estimate { "_estimate" } else { "" };
        format!("theirs_{}{estimate}", self.fetch_size)
    }

    /// The options of its foreign tables.
    pub fn table_options(self) -> String {
        format!("fetch_size '{}', use_remote_estimate '{}'", self.fetch_size, self.remote_estimate)
    }

    /// Whether its plans rest on statistics here, which ANALYZE has to collect.
    pub fn needs_statistics(self) -> bool {
        !self.remote_estimate
    }

    /// How results call it.
    pub fn name(self) -> String {
        let estimate = if self.remote_estimate { ", remote estimates" } else { "" };
        format!("postgres_fdw (fetch_size {}{estimate})", self.fetch_size)
    }
}

/// The setup that does the job fastest: the best fetch size, and that one with remote estimates if
/// they help.
pub fn best(mut run: impl FnMut(Setup) -> Result<Duration>) -> Result<Setup> {
    let plain = FETCH_SIZES.map(|fetch_size| Setup { fetch_size, remote_estimate: false });
    let (sized, without) = fastest(&plain, Setup::name, &mut run)?;
    let estimating = Setup { remote_estimate: true, ..sized };
    let (_, with) = fastest(&[estimating], Setup::name, &mut run)?;
    Ok(if with < without { estimating } else { sized })
}

/// The way that does a job fastest, and its shortest time. Who is far behind at first is not tried
/// again.
pub fn fastest<S: Copy>(
    ways: &[S],
    name: impl Fn(S) -> String,
    mut run: impl FnMut(S) -> Result<Duration>,
) -> Result<(S, Duration)> {
    let mut tried: Vec<(S, Duration)> = Vec::new();
    for way in ways {
        tried.push((*way, run(*way).with_context(|| name(*way))?));
    }
    let least = tried.iter().map(|(_, took)| *took).min().context("no setup to try")?;
    for (way, shortest) in tried.iter_mut().filter(|(_, took)| *took < least * 2) {
        for _ in 1..TRIES {
            *shortest = run(*way).with_context(|| name(*way))?.min(*shortest);
        }
    }
    tried.into_iter().min_by_key(|(_, took)| *took).context("no setup to try")
}
