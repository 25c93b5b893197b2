//! The PostgreSQL installation under test and the operating system user its servers run as.
//!
//! `PG_CONFIG` names the installation, as in the Makefile; without it `pg_config` is looked up in
//! the path.

use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, bail};

/// The operating system user that runs the servers when the harness itself runs as root.
const SERVER_USER: &str = "postgres";

/// Where the programs of one PostgreSQL installation are, and whom they run as.
#[derive(Debug)]
pub struct Install {
    bin: PathBuf,
    /// Whom the servers run as, if that is another user than this process.
    run_as: Option<Owner>,
}

/// A user and group id.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
}

impl Install {
    /// The installation this process uses; found once.
    pub fn get() -> Result<&'static Install> {
        static FOUND: OnceLock<std::result::Result<Install, String>> = OnceLock::new();
        FOUND
            .get_or_init(|| find().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|message| anyhow!("{message}"))
    }

    /// The folder that holds `postgres`, `psql` and the others.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// One of the installation's programs, run as this process's user.
    ///
    /// Connection settings of the caller's environment (`PGHOST` and so on) do not reach it, and
    /// its messages are in English.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C.UTF-8").env_remove("LANGUAGE");
        command.stdin(Stdio::null());
        command
    }

    /// One of the installation's programs, run as the user that owns the clusters.
    ///
    /// `home` becomes its working directory and its home: those of root are closed to `postgres`,
    /// and libpq reads certificates and passwords below the home directory.
    pub(crate) fn server(&self, program: &str, home: &Path) -> Command {
        let mut command = self.client(program);
        command.current_dir(home).env("HOME", home);
        if let Some(owner) = self.run_as {
            command.uid(owner.uid).gid(owner.gid);
        }
        command
    }

    /// Gives `path` to the user that owns the clusters.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        match self.run_as {
            Some(owner) => std::os::unix::fs::chown(path, Some(owner.uid), Some(owner.gid))
                .with_context(|| format!("cannot give {} to {SERVER_USER}", path.display())),
            None => Ok(()),
        }
    }
}

/// Runs `command` to its end; what it wrote to stderr is part of the error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn find() -> Result<Install> {
    let pg_config = std::env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
    let bin = run(Command::new(&pg_config).arg("--bindir"))
        .context("no PostgreSQL installation found: set PG_CONFIG or run `make setup`")?;
    let bin = PathBuf::from(bin.trim());
    if !bin.join("postgres").exists() {
        bail!(
            "{} holds no postgres: the server package is missing, run `make setup`",
            bin.display()
        );
    }
    // SAFETY: geteuid takes nothing and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let run_as = if is_root { Some(account(SERVER_USER)?) } else { None };
    Ok(Install { bin, run_as })
}

fn account(name: &str) -> Result<Owner> {
    let c_name = CString::new(name)?;
    // SAFETY: `c_name` is a valid C string; the entry returned is static storage, read at once
    // and only from the one initialisation of `Install`.
    let entry = unsafe { libc::getpwnam(c_name.as_ptr()).as_ref() };
    entry.map(|entry| Owner { uid: entry.pw_uid, gid: entry.pw_gid }).with_context(|| {
        format!("running as root needs the operating system user {name}: run `make setup`")
    })
}
