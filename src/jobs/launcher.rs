//! The launcher: one for the server. It starts a scheduler in every database that has the extension.

use super::board;
use crate::pg::worker::{self, Handle, Kind, Running};
use crate::pg::{process, wait};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How soon the postmaster starts it again.
const RESTART: Duration = Duration::from_secs(5);
/// How often it looks for databases without being told.
const LOOK: Duration = Duration::from_secs(60);
/// How soon a scheduler that has ended is started again, growing while it ends at once.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_AT_MOST: Duration = Duration::from_secs(60);

/// Registers it while the library is being preloaded.
pub fn register() {
    worker::register(
        Kind { label: "warehouse launcher", function: "warehouse_launcher_main" },
        RESTART,
    );
}

struct Child {
    handle: Handle,
    started: Instant,
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
extern "C-unwind" fn warehouse_launcher_main(_argument: pgrx::pg_sys::Datum) {
    worker::begin(None);
    board::enter_launcher();
    process::at_exit(|| ());
    let mut children: HashMap<u32, Child> = HashMap::new();
    let mut pauses: HashMap<u32, (Instant, Duration)> = HashMap::new();
    loop {
        worker::reload_if_asked();
        children.retain(|oid, child| {
            if child.handle.running() != Running::Ended {
                return true;
            }
            if board::is_without(*oid) {
                // It has ended because nothing was wanted.
                pauses.remove(oid);
                return false;
            }
            let pause = match pauses.get(oid) {
                Some((_, before)) if child.started.elapsed() < Duration::from_secs(10) => {
                    (*before * 2).min(AGAIN_AT_MOST)
                }
                _ => AGAIN,
            };
            pauses.insert(*oid, (Instant::now(), pause));
            false
        });
        let databases = worker::transaction(c"looking for databases", || Ok(worker::databases()))
            .unwrap_or_default();
        let mut next = LOOK;
        for oid in board::without_scheduler(&databases) {
            let key = oid.to_u32();
            if children.contains_key(&key) {
                continue;
            }
            if let Some((ended, pause)) = pauses.get(&key) {
                let left = pause.saturating_sub(ended.elapsed());
                if !left.is_zero() {
                    next = next.min(left);
                    continue;
                }
            }
            match worker::start(super::scheduler::KIND, "warehouse scheduler", oid, 0) {
                Some(handle) => {
                    children.insert(key, Child { handle, started: Instant::now() });
                }
                // All worker processes are taken; look again soon.
                None => next = next.min(Duration::from_secs(5)),
            }
        }
        wait::sleep_until_woken(next);
    }
}
