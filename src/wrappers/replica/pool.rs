//! The bound on connections per server over all sessions.
//!
//! The book lies in shared memory ([`warehouse_core::pool`]), so it takes
//! `shared_preload_libraries = 'warehouse'`; without, every session connects as it needs. A session
//! that wants a connection beyond the bound waits in line. Sessions that keep an unused connection to
//! that server are asked to close it: those in a transaction do at its end, idle ones at once.

use super::registry;
use crate::pg::catalog::Server;
use crate::pg::error::{Error, Result};
use crate::pg::{process, shared, wait};
use crate::settings;
use pgrx::{PGRXSharedMemory, PgLwLock, PgSqlErrorCode as Code, pg_sys};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use warehouse_core::pool::{Answer, Key, Member, Pool, Usage};

/// Connections and waiting sessions that the book has room for.
#[derive(Debug, Default)]
struct Book(Pool<4096, 1024>);

// SAFETY: plain numbers without pointers.
unsafe impl PGRXSharedMemory for Book {}

// SAFETY: the only lock of this name.
static BOOK: PgLwLock<Book> = unsafe { PgLwLock::new(c"warehouse connections") };

thread_local! {
    // A backend is one thread. The postmaster sets it before it forks the others.
    static SHARED: Cell<bool> = const { Cell::new(false) };
    static LEAVES_AT_EXIT: Cell<bool> = const { Cell::new(false) };
}

/// The session has left the book at its end: a lock cannot be taken any more.
static HAS_LEFT: AtomicBool = AtomicBool::new(false);

/// How often one who waits looks again, should a waking have been lost.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Asks for the shared memory, if the library is being preloaded. Called once, by `_PG_init`.
pub fn install() {
    SHARED.set(shared::share(&BOOK));
}

fn is_shared() -> bool {
    SHARED.get()
}

/// The right to have one connection to a server, given back on drop.
#[derive(Debug)]
pub struct Permit(Option<usize>);

impl Permit {
    /// Notes whether a transaction uses the connection; returns whether another session waits for one.
    pub fn set_idle(&self, idle: bool) -> bool {
        let at = self.0.filter(|_| !HAS_LEFT.load(Ordering::Relaxed));
        at.is_some_and(|at| BOOK.exclusive().0.set_idle(at, idle))
    }
}

impl Permit {
    /// Whether another session waits for a connection like this.
    pub fn is_wanted(&self) -> bool {
        let at = self.0.filter(|_| !HAS_LEFT.load(Ordering::Relaxed));
        at.is_some_and(|at| BOOK.share().0.is_wanted(at))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // What is left when the process ends is dropped after its place among the backends is gone.
        if let Some(at) = self.0.take().filter(|_| !HAS_LEFT.load(Ordering::Relaxed)) {
            let next = BOOK.exclusive().0.release(at);
            wake(next);
        }
    }
}

fn wake(members: impl IntoIterator<Item = Member>) {
    for member in members {
        process::wake(member.latch);
    }
}

/// A place in the line, given up on drop.
struct Ticket(u64);

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.0 != 0 {
            let mut book = BOOK.exclusive();
            book.0.leave(self.0);
        }
    }
}

/// How many connections to a server there may be; 0 for any number.
pub fn bound(of_server: Option<u32>) -> u32 {
    of_server.unwrap_or_else(settings::max_connections_per_server)
}

fn key(server: pg_sys::Oid) -> Key {
    Key { database: process::database().to_u32(), server: server.to_u32() }
}

/// Waits for the right to connect. Raises what interrupts it.
pub fn acquire(server: &Server, of_server: Option<u32>) -> Result<Permit> {
    if !is_shared() {
        return Ok(Permit(None));
    }
    if !LEAVES_AT_EXIT.replace(true) {
        process::at_exit(|| {
            registry::all().iter().for_each(|connection| connection.close());
            HAS_LEFT.store(true, Ordering::Relaxed);
            let woken = BOOK.exclusive().0.forget(process::id());
            wake(woken);
        });
    }
    let (key, bound) = (key(server.oid), bound(of_server));
    let me = Member { pid: process::id(), backend: process::backend(), latch: process::latch() };
    let mut ticket = Ticket(0);
    let since = Instant::now();
    loop {
        let (answer, holders) = {
            let mut book = BOOK.exclusive();
            let answer = book.0.ask(key, me, bound, ticket.0);
            let holders = match answer {
                Answer::Wait(_) => book.0.idle_holders(key),
                _ => Vec::new(),
            };
            (answer, holders)
        };
        match answer {
            Answer::Granted(at) => {
                ticket.0 = 0;
                // Whoever comes next may be served as well.
                let next = BOOK.share().0.next(key);
                wake(next);
                return Ok(Permit(Some(at)));
            }
            Answer::Full => {
                return Err(Error::new(
                    Code::ERRCODE_TOO_MANY_CONNECTIONS,
                    format!("too many sessions wait for connections to server \"{}\"", server.name),
                )
                .hint("SELECT * FROM warehouse.replica_usage() shows which servers are asked for most."));
            }
            Answer::Wait(number) if ticket.0 == 0 => {
                ticket.0 = number;
                // The bound may have been raised since those before came.
                let next = BOOK.share().0.next(key);
                wake(next);
            }
            Answer::Wait(_) => {}
        }
        registry::give_back_wanted();
        // Our own unused connections to the server, of another user mapping.
        if holders.iter().any(|holder| holder.pid == me.pid) && registry::give_back(server.oid) > 0
        {
            continue;
        }
        for holder in holders {
            process::nudge(holder.pid, holder.backend);
        }
        if since.elapsed() >= process::deadlock_timeout() {
            let blocked = process::blocked();
            if BOOK.share().0.is_stuck(ticket.0, &blocked) {
                return Err(stuck(server, bound));
            }
        }
        wait::sleep_until_woken(LOOK_AGAIN);
    }
}

fn stuck(server: &Server, bound: u32) -> Error {
    Error::new(
        Code::ERRCODE_T_R_DEADLOCK_DETECTED,
        format!(
            "deadlock: this session waits for one of the {bound} connections to server \"{}\", and those who have them wait for what it has",
            server.name
        ),
    )
    .hint("Run the query again, or raise warehouse.max_connections_per_server or the server's option max_connections.")
}

/// How a server is used by all sessions; `None` without shared memory.
pub fn usage(server: pg_sys::Oid) -> Option<Usage> {
    is_shared().then(|| BOOK.share().0.usage(key(server)))
}
