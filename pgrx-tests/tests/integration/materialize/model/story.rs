//! What the threads of the model test share: whether to go on, what has happened, and what is wrong.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use crate::ask::told;

use super::marts::may_be_kept_out;

/// What happened last, of which so much is told.
const TOLD: usize = 120;

/// SQLSTATEs with which a refresh may fail while servers stop, sessions are killed and others refresh the
/// same table: connections, cancels, locks, conflicts with replay and between transactions.
const EXPECTED: [&str; 9] =
    ["57P01", "57P02", "57P03", "57014", "55P03", "40001", "55000", "08", "HV00"];

/// The same while the extension is dropped and created again: what a statement needs is not there.
const HOMELESS: [&str; 6] = ["42883", "42P01", "42704", "3F000", "40P01", "42P07"];

/// A test or a gate does not hold.
const KEPT_OUT: &str = "23514";

/// Whether a failure is one of those that the stream of events provokes.
/// `what` names the tables.
pub fn is_expected(what: &str, sqlstate: &str) -> bool {
    EXPECTED.iter().any(|known| sqlstate.starts_with(known))
        || (sqlstate == KEPT_OUT && may_be_kept_out(what))
}

/// The one story of a test.
pub struct Story {
    began: Instant,
    /// `WAREHOUSE_TOLD`: everything is printed as it happens.
    aloud: bool,
    over: AtomicBool,
    /// Odd while the warehouse crashes or restarts.
    crashes: AtomicUsize,
    /// Odd while the extension is dropped and created again.
    turns: AtomicUsize,
    /// Read while somebody refreshes, written to while nobody may.
    quiet: RwLock<()>,
    events: Mutex<VecDeque<String>>,
    wrong: Mutex<Vec<String>>,
    counts: Mutex<BTreeMap<String, usize>>,
    longest: Mutex<(Duration, &'static str)>,
}

fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Story {
    /// Nothing has happened yet.
    pub fn new() -> Story {
        Story {
            began: Instant::now(),
            aloud: std::env::var_os("WAREHOUSE_TOLD").is_some(),
            over: AtomicBool::new(false),
            crashes: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
            quiet: RwLock::new(()),
            events: Mutex::new(VecDeque::new()),
            wrong: Mutex::new(Vec::new()),
            counts: Mutex::new(BTreeMap::new()),
            longest: Mutex::new((Duration::ZERO, "")),
        }
    }

    /// Threads end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether they do, because all has been told or something is wrong.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || !open(&self.wrong).is_empty()
    }

    /// The warehouse is about to crash or to restart, or it is there again.
    pub fn crash(&self) {
        self.crashes.fetch_add(1, Ordering::SeqCst);
    }

    /// How often that was so.
    pub fn crashes(&self) -> usize {
        self.crashes.load(Ordering::SeqCst)
    }

    /// Whether sessions may have been lost since that was so for the `crashes`th time.
    pub fn has_crashed(&self, crashes: usize) -> bool {
        crashes % 2 == 1 || crashes != self.crashes()
    }

    /// The extension is about to be dropped, or is there again.
    pub fn turn(&self) {
        self.turns.fetch_add(1, Ordering::SeqCst);
    }

    /// How often that was so.
    pub fn turns(&self) -> usize {
        self.turns.load(Ordering::SeqCst)
    }

    /// Whether the extension may have been missing since that was so for the `turns`th time.
    pub fn has_turned(&self, turns: usize) -> bool {
        turns % 2 == 1 || turns != self.turns()
    }

    /// Notes an event, which `kind` counts.
    pub fn tell(&self, kind: &str, what: impl AsRef<str>) {
        *open(&self.counts).entry(kind.to_owned()).or_default() += 1;
        let mut events = open(&self.events);
        if events.len() == TOLD {
            events.pop_front();
        }
        let line = format!("{:9.3} {kind} {}", self.began.elapsed().as_secs_f64(), what.as_ref());
        if self.aloud {
            println!("{line}");
        }
        events.push_back(line);
    }

    /// Something is wrong: the test fails.
    pub fn fail(&self, what: impl AsRef<str>) {
        self.tell("WRONG", what.as_ref());
        open(&self.wrong).push(what.as_ref().to_owned());
    }

    /// Judges the error of a statement that was begun after so many turns; what it told.
    pub fn judge(&self, what: &str, error: &postgres::Error, turns: usize) -> String {
        if error.is_closed() {
            return "closed".to_owned();
        }
        match told(error) {
            Err(_) => "closed".to_owned(),
            Ok(told) => {
                let hung = told.code == "57014" && told.message.contains("statement timeout");
                let homeless = self.has_turned(turns) && HOMELESS.contains(&told.code.as_str());
                if hung || !(homeless || is_expected(what, &told.code)) {
                    self.fail(format!("{what}: {told:?}"));
                }
                format!("{} {}", told.code, told.message)
            }
        }
    }

    /// Notes how long a reader waited.
    pub fn waited(&self, time: Duration, what: &'static str) {
        let mut longest = open(&self.longest);
        if time > longest.0 {
            *longest = (time, what);
        }
    }

    /// The longest wait of a reader.
    pub fn longest_wait(&self) -> (Duration, &'static str) {
        *open(&self.longest)
    }

    /// Held while somebody refreshes by hand.
    pub fn busy(&self) -> RwLockReadGuard<'_, ()> {
        self.quiet.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held while nobody may refresh by hand; waits until nobody does.
    pub fn quiet(&self) -> RwLockWriteGuard<'_, ()> {
        self.quiet.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often what has happened.
    pub fn summary(&self) -> String {
        let counts = open(&self.counts);
        counts.iter().map(|(kind, n)| format!("{kind} {n}")).collect::<Vec<_>>().join(", ")
    }

    /// What is wrong, with what happened before; `None` if all is well.
    pub fn verdict(&self) -> Option<String> {
        let wrong = open(&self.wrong);
        if wrong.is_empty() {
            return None;
        }
        let events: Vec<String> = open(&self.events).iter().cloned().collect();
        Some(format!("{}\n\nbefore that:\n{}", wrong.join("\n"), events.join("\n")))
    }
}
