//! Waiting for a socket the backend's way: the latch wakes it, interrupts are served, a postmaster
//! that dies ends it.

use super::error::{Error, Result};
use pgrx::pg_sys;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// Input.
    Read,
    /// Room for output.
    Write,
    /// Either.
    ReadOrWrite,
}

impl For {
    fn events(self) -> u32 {
        match self {
            For::Read => pg_sys::WL_SOCKET_READABLE,
            For::Write => pg_sys::WL_SOCKET_WRITEABLE,
            For::ReadOrWrite => pg_sys::WL_SOCKET_READABLE | pg_sys::WL_SOCKET_WRITEABLE,
        }
    }
}

/// Serves a pending cancel, terminate or configuration reload; raises it if there is one.
pub fn check_interrupts() {
    pgrx::check_for_interrupts!();
}

/// Waits until the socket is ready (`true`) or the deadline has passed (`false`). Raises what
/// interrupts it.
pub fn socket(fd: c_int, what: For, deadline: Option<Instant>) -> bool {
    loop {
        let timeout = match deadline {
            None => -1,
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return false;
                }
                left.as_millis().clamp(1, i32::MAX as u128) as i64
            }
        };
        let mut events = what.events() | pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
        if timeout >= 0 {
            events |= pg_sys::WL_TIMEOUT;
        }
        // SAFETY: MyLatch is this backend's latch; the descriptor is open.
        let happened = unsafe {
            pg_sys::WaitLatchOrSocket(
                pg_sys::MyLatch,
                events as c_int,
                fd,
                timeout,
                pg_sys::PG_WAIT_EXTENSION,
            )
        } as u32;
        if happened & pg_sys::WL_LATCH_SET != 0 {
            // SAFETY: our own latch.
            unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
            check_interrupts();
        }
        if happened & what.events() != 0 {
            return true;
        }
    }
}

/// Waits until there is input on a socket or the time has passed, uninterruptibly: for short times.
pub fn readable_within(fd: c_int, time: Duration) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let millis = time.as_millis().clamp(0, 1000) as c_int;
    // SAFETY: one valid descriptor.
    unsafe { libc::poll(&mut poll, 1, millis) > 0 }
}

/// Sleeps, interruptibly.
pub fn sleep(time: Duration) {
    let deadline = Instant::now() + time;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        // SAFETY: MyLatch is this backend's latch.
        let happened = unsafe {
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as c_int,
                left.as_millis().clamp(1, i32::MAX as u128) as i64,
                pg_sys::PG_WAIT_EXTENSION,
            )
        } as u32;
        if happened & pg_sys::WL_LATCH_SET != 0 {
            // SAFETY: our own latch.
            unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
            check_interrupts();
        }
    }
}

/// Sleeps until the latch is set or the time has passed. Raises what interrupts it.
pub fn sleep_until_woken(time: Duration) {
    // SAFETY: MyLatch is this backend's latch.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as c_int,
            time.as_millis().clamp(1, i32::MAX as u128) as i64,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    check_interrupts();
}

/// A wait set that stays with one socket, so that a long stream does not build one for every wait.
#[derive(Debug)]
pub struct ReadWaiter(*mut pg_sys::WaitEventSet);

impl ReadWaiter {
    /// A set for input on `fd`. The descriptor must stay open as long as the waiter lives.
    pub fn new(fd: c_int) -> ReadWaiter {
        // SAFETY: the set lives in TopMemoryContext until it is freed on drop; the latch and the
        // descriptor are valid.
        unsafe {
            let set = pg_sys::CreateWaitEventSet(pg_sys::TopMemoryContext, 3);
            pg_sys::AddWaitEventToSet(
                set,
                pg_sys::WL_LATCH_SET,
                pg_sys::PGINVALID_SOCKET,
                pg_sys::MyLatch,
                std::ptr::null_mut(),
            );
            pg_sys::AddWaitEventToSet(
                set,
                pg_sys::WL_EXIT_ON_PM_DEATH,
                pg_sys::PGINVALID_SOCKET,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
            pg_sys::AddWaitEventToSet(
                set,
                pg_sys::WL_SOCKET_READABLE,
                fd,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            );
            ReadWaiter(set)
        }
    }

    /// Waits for input. Raises what interrupts it.
    pub fn wait(&self) {
        loop {
            let mut event = pg_sys::WaitEvent::default();
            // SAFETY: the set is valid, and there is room for one event.
            let count = unsafe {
                pg_sys::WaitEventSetWait(self.0, -1, &mut event, 1, pg_sys::PG_WAIT_EXTENSION)
            };
            if count > 0 && event.events & pg_sys::WL_LATCH_SET != 0 {
                // SAFETY: our own latch.
                unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
                check_interrupts();
            } else if count > 0 {
                return;
            }
        }
    }
}

impl Drop for ReadWaiter {
    fn drop(&mut self) {
        // SAFETY: the set is valid and not used again.
        unsafe { pg_sys::FreeWaitEventSet(self.0) }
    }
}

/// Waits until one of the sockets is ready or `timeout` has passed. Raises what interrupts it.
pub fn any(sockets: &[(c_int, For)], timeout: Duration) {
    // SAFETY: the set is freed on every way out but an ERROR, whose transaction frees its memory; its
    // descriptors are open while it lives.
    unsafe {
        let set =
            pg_sys::CreateWaitEventSet(pg_sys::CurrentMemoryContext, sockets.len() as c_int + 2);
        let nothing = std::ptr::null_mut();
        pg_sys::AddWaitEventToSet(
            set,
            pg_sys::WL_LATCH_SET,
            pg_sys::PGINVALID_SOCKET,
            pg_sys::MyLatch,
            nothing,
        );
        pg_sys::AddWaitEventToSet(
            set,
            pg_sys::WL_EXIT_ON_PM_DEATH,
            pg_sys::PGINVALID_SOCKET,
            std::ptr::null_mut(),
            nothing,
        );
        for (fd, what) in sockets {
            pg_sys::AddWaitEventToSet(set, what.events(), *fd, std::ptr::null_mut(), nothing);
        }
        let mut event = pg_sys::WaitEvent::default();
        let millis = timeout.as_millis().clamp(1, i32::MAX as u128) as i64;
        let count = pg_sys::WaitEventSetWait(set, millis, &mut event, 1, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::FreeWaitEventSet(set);
        if count > 0 && event.events & pg_sys::WL_LATCH_SET != 0 {
            pg_sys::ResetLatch(pg_sys::MyLatch);
            check_interrupts();
        }
    }
}

/// The end of a connection whose own descriptor will be gone by then.
#[derive(Debug)]
pub struct End(OwnedFd);

impl End {
    /// Of the connection with this descriptor, which is open.
    pub fn of(fd: c_int) -> Option<End> {
        // SAFETY: a copy of an open descriptor, which nobody else owns.
        unsafe {
            let copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0);
            (copy >= 0).then(|| End(OwnedFd::from_raw_fd(copy)))
        }
    }

    /// Waits until the other side has closed it, or the time has passed, uninterruptibly.
    pub fn wait(self, time: Duration) {
        let deadline = Instant::now() + time;
        let mut rest = [0_u8; 4096];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !readable_within(self.0.as_raw_fd(), left) {
                return;
            }
            // SAFETY: a buffer of the length given; it does not wait.
            let got = unsafe {
                let (to, len) = (rest.as_mut_ptr().cast(), rest.len());
                libc::recv(self.0.as_raw_fd(), to, len, libc::MSG_DONTWAIT)
            };
            if got <= 0 {
                return;
            }
        }
    }
}

/// A descriptor that is always ready: a wait that includes it ends at once.
#[derive(Debug)]
pub struct AlwaysReady(OwnedFd);

impl AlwaysReady {
    /// A new one.
    pub fn new() -> Result<AlwaysReady> {
        // SAFETY: a new descriptor that nobody else owns.
        unsafe {
            let fd = libc::eventfd(1, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                let error = std::io::Error::last_os_error();
                return Err(Error::new(
                    pgrx::PgSqlErrorCode::ERRCODE_INSUFFICIENT_RESOURCES,
                    format!("could not create a descriptor: {error}"),
                ));
            }
            Ok(AlwaysReady(OwnedFd::from_raw_fd(fd)))
        }
    }

    /// The descriptor.
    pub fn fd(&self) -> c_int {
        self.0.as_raw_fd()
    }
}

/// Whether a socket is ready this moment.
pub fn is_ready(fd: c_int, what: For) -> bool {
    let events = match what {
        For::Read => libc::POLLIN,
        For::Write => libc::POLLOUT,
        For::ReadOrWrite => libc::POLLIN | libc::POLLOUT,
    };
    let mut poll = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: one valid descriptor and no waiting.
    unsafe { libc::poll(&mut poll, 1, 0) > 0 }
}

/// Shows in `pg_stat_activity` that the backend waits, while it lives.
#[derive(Debug)]
pub struct Shown(u32);

impl Shown {
    /// Begins to show it.
    pub fn begin() -> Shown {
        // SAFETY: what pgstat_report_wait_start() does, an inline function; the place is this backend's.
        unsafe {
            let place = pg_sys::my_wait_event_info;
            let before = *place;
            *place = pg_sys::PG_WAIT_EXTENSION;
            Shown(before)
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { *pg_sys::my_wait_event_info = self.0 };
    }
}
