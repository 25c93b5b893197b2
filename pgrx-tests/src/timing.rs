//! Measuring how long something took, waiting for something to become true, and cancelling.
//!
//! Tests assert that an operation was cancelled or gave up, and bounds generous enough for a busy
//! machine; tight limits belong to benchmarks.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::error::SqlState;
use postgres::{Client, NoTls};

/// Runs `work` and tells how long it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

/// Runs `work` and fails if it took longer than `limit`.
pub fn within<T>(limit: Duration, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (result, took) = timed(work);
    if took > limit {
        bail!("{what} took {took:?}, longer than {limit:?}");
    }
    result
}

/// Asks `condition` again and again until it holds; an error after `limit`.
pub fn eventually(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let deadline = Instant::now() + limit;
    while !condition()? {
        if Instant::now() > deadline {
            bail!("not within {limit:?}: {what}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How a statement that was cancelled from outside ended.
#[derive(Debug)]
pub struct Cancelled {
    /// The statement's error; `None` if it ended well before the cancel could reach it.
    pub error: Option<postgres::Error>,
    /// From the moment the cancel was sent to the end of the statement.
    pub took: Duration,
}

impl Cancelled {
    /// Whether the statement ended with `query_canceled`.
    pub fn is_cancelled(&self) -> bool {
        let code = self.error.as_ref().and_then(postgres::Error::code);
        code == Some(&SqlState::QUERY_CANCELED)
    }
}

/// Runs `sql` and cancels it after `delay`, as Ctrl-C in psql does.
pub fn cancel_after(client: &mut Client, delay: Duration, sql: &str) -> Result<Cancelled> {
    let token = client.cancel_token();
    let canceller = thread::spawn(move || {
        thread::sleep(delay);
        let sent = Instant::now();
        token.cancel_query(NoTls).map(|()| sent)
    });
    let result = client.simple_query(sql);
    let ended = Instant::now();
    let sent = match canceller.join() {
        Ok(sent) => sent.context("cannot send the cancel request")?,
        Err(_) => bail!("the cancelling thread panicked"),
    };
    Ok(Cancelled { error: result.err(), took: ended.saturating_duration_since(sent) })
}
