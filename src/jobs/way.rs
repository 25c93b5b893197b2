//! Making way for those who want a database, or the extension, for themselves.

use super::board;
use crate::pg::process;
use crate::pg::utility::{self, About};
use crate::pg::wait;
use std::time::{Duration, Instant};

/// How long a scheduler stays away, should the statement fail without telling.
const HELD: i64 = 15_000_000;
/// How long is waited for processes to end; then the statement says itself who is in the way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Installs it. Called once, by `_PG_init`.
pub fn install() {
    utility::on_statement(|about, before| {
        let database = match about {
            About::Database(oid) => oid,
            About::Extension => process::database(),
        };
        if !before {
            board::hold(database, 0);
            board::wake_launcher();
            return;
        }
        let began = Instant::now();
        loop {
            let mine = process::id();
            let others: Vec<i32> =
                board::hold(database, HELD).into_iter().filter(|pid| *pid != mine).collect();
            if others.is_empty() || began.elapsed() >= PATIENCE {
                break;
            }
            for pid in others {
                process::terminate(pid);
            }
            wait::sleep(Duration::from_millis(20));
        }
    });
}
