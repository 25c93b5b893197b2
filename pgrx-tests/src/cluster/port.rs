//! Finding a free port.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, bail};

/// The lowest port ever used.
const LOWEST: u32 = 10_240;

/// Where the kernel's own choice for outgoing connections begins, if the system does not say.
const USUAL_EPHEMERAL_START: u32 = 32_768;

/// A port nobody listens on now, below the range the kernel takes for outgoing connections.
///
/// A port of that range would be free just as often, but could be gone when a stopped server is
/// started again, and a client that keeps trying a closed port of it may connect to itself.
/// Somebody else may still take the port before its use: callers try again with another one.
pub(crate) fn free_port() -> Result<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let end = ephemeral_start().unwrap_or(USUAL_EPHEMERAL_START);
    let count = end.saturating_sub(LOWEST).max(1);
    // Processes that run side by side begin at different places.
    let start = std::process::id().wrapping_mul(7919);
    for _ in 0..count {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(LOWEST + start.wrapping_add(step) % count)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between {LOWEST} and {end}")
}

fn ephemeral_start() -> Option<u32> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let start = range.split_whitespace().next()?.parse().ok()?;
    (LOWEST + 1_000..65_535).contains(&start).then_some(start)
}
