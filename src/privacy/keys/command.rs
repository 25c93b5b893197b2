//! The key as a command prints it.
//!
//! The command runs under a shell, as `archive_command` does. What it writes to its standard error is
//! thrown away: it might be the key. A cancel ends it.

use crate::pg::error::{Error, Result};
use crate::pg::wait::{self, For};
use pgrx::PgSqlErrorCode as Code;
use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use warehouse_core::privacy::Keyring;
use zeroize::Zeroizing;

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// More than any key has, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Ends the command if it still runs when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            // What the shell started as well. The id is not given away before the wait.
            if let Ok(group) = i32::try_from(self.0.id()) {
                // SAFETY: signals the group that was made for the command.
                unsafe { libc::kill(-group, libc::SIGKILL) };
            }
            let _ = self.0.wait();
        }
    }
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::new(Code::ERRCODE_CONFIG_FILE_ERROR, format!("warehouse.key_command failed: {why}"))
        .hint("Run it by hand as the server's user; its output has to be the key.")
}

fn slow() -> Error {
    failed(format_args!("it took longer than {} seconds", PATIENCE.as_secs()))
}

/// Runs the command and reads its output.
///
/// # Errors
/// SQLSTATE F0000 if it fails, takes too long or prints no key. A cancel is raised.
pub fn read(command: &OsStr) -> Result<Keyring> {
    let spawned = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    let mut running = Running(spawned.map_err(failed)?);
    let deadline = Instant::now() + PATIENCE;
    let Some(mut output) = running.0.stdout.take() else {
        return Err(Error::bug("the output of warehouse.key_command is not open"));
    };
    // As large as it gets, so that no copy is left behind by growing.
    let mut contents = Zeroizing::new(vec![0; MAX_BYTES]);
    let mut length = 0;
    loop {
        if !wait::socket(output.as_raw_fd(), For::Read, Some(deadline)) {
            return Err(slow());
        }
        let room = contents.get_mut(length..).unwrap_or_default();
        if room.is_empty() {
            return Err(failed("its output is too long for a key"));
        }
        match output.read(room).map_err(failed)? {
            0 => break,
            more => length += more,
        }
    }
    let status = end(&mut running.0, deadline)?;
    if !status.success() {
        return Err(failed(status));
    }
    Ok(Keyring::parse(contents.get(..length).unwrap_or_default())?)
}

/// Waits for the command to end.
fn end(child: &mut Child, deadline: Instant) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            return Err(slow());
        }
        wait::sleep(Duration::from_millis(5));
    }
}
