//! Listening on a loopback port until one decides to end it.

use std::io;
use std::net::TcpListener;
use std::ops::Deref;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};

use crate::cluster::free_port;

/// How often another port is tried when the one found free was taken meanwhile.
const PORT_ATTEMPTS: usize = 5;

/// A socket that listens on a port of 127.0.0.1, and refuses connections as soon as it is dropped.
///
/// Closing it would not be enough: a process that another thread starts at this moment holds a copy
/// of the descriptor until it executes its program, and the kernel listens as long as one is open.
#[derive(Debug)]
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// Listens on a free port.
    pub(crate) fn start() -> Result<Listener> {
        let mut attempt = 1;
        loop {
            match Listener::on(free_port()?) {
                Ok(listener) => return Ok(listener),
                Err(error) if attempt == PORT_ATTEMPTS => {
                    return Err(error).context("cannot listen");
                }
                Err(_) => attempt += 1,
            }
        }
    }

    /// Listens on this port.
    pub(crate) fn on(port: u16) -> io::Result<Listener> {
        TcpListener::bind(("127.0.0.1", port)).map(Listener)
    }
}

impl Deref for Listener {
    type Target = TcpListener;

    fn deref(&self) -> &TcpListener {
        &self.0
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // SAFETY: the descriptor is open as long as the listener in here.
        unsafe { libc::shutdown(self.0.as_raw_fd(), libc::SHUT_RDWR) };
    }
}
