//! Network faults on demand: a host that never answers, and a proxy that delays, stalls, cuts or
//! refuses. Both listen on a loopback port and are gone, threads and all, when dropped.

mod proxy;
mod silent;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

pub use proxy::{Mode, Proxy};
pub use silent::SilentHost;

/// How often a waiting thread looks whether it has to end or to behave differently.
const TICK: Duration = Duration::from_millis(10);

/// Waits up to one [`TICK`] for somebody to connect.
fn accept(listener: &TcpListener) -> io::Result<Option<TcpStream>> {
    if !is_readable(listener, TICK) {
        return Ok(None);
    }
    listener.accept().map(|(stream, _)| Some(stream))
}

/// Waits up to `patience` for something to read, which may be an end or an error. Exact to a tenth
/// of a millisecond, where a socket's own timeout is rounded up to the kernel's tick.
fn is_readable(socket: &impl AsRawFd, patience: Duration) -> bool {
    let mut waiting = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let limit = libc::timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: patience.subsec_nanos().into(),
    };
    // SAFETY: one valid pollfd, of a descriptor that is open as long as `socket`, and a valid limit.
    unsafe { libc::ppoll(&raw mut waiting, 1, &raw const limit, ptr::null()) > 0 }
}
