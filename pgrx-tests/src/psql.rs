//! The real psql, run as a subprocess the way people run it.

use std::path::Path;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, bail};

use crate::cluster::{Cluster, SUPERUSER};
use crate::install::Install;

/// A psql call to be made. It reads no startup file and stops at the first error.
#[derive(Debug)]
pub struct Psql {
    command: Command,
}

/// What a psql call gave.
#[derive(Debug)]
pub struct Output {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error: errors, notices, `\warn`.
    pub stderr: String,
    /// 0 when all went well, 3 when a statement failed.
    pub status: ExitStatus,
}

impl Psql {
    pub(crate) fn new(install: &Install, cluster: &Cluster, database: &str) -> Psql {
        let mut command = install.client("psql");
        command.args(["--no-psqlrc", "--set", "ON_ERROR_STOP=1"]);
        command.env("PGHOST", cluster.socket_dir());
        command.env("PGPORT", cluster.port().to_string());
        command.env("PGUSER", SUPERUSER);
        command.env("PGDATABASE", database);
        Psql { command }
    }

    /// Connects over TCP as `user` instead.
    pub fn user(mut self, user: &str, password: &str) -> Psql {
        self.command.env("PGHOST", "127.0.0.1");
        self.command.env("PGUSER", user);
        self.command.env("PGPASSWORD", password);
        self
    }

    /// Sets a psql variable, `:name` or `:'name'` in the script.
    pub fn var(mut self, name: &str, value: &str) -> Psql {
        self.command.arg("--set").arg(format!("{name}={value}"));
        self
    }

    /// Another command line argument, such as `--tuples-only`.
    pub fn arg(mut self, argument: &str) -> Psql {
        self.command.arg(argument);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Psql {
        self.command.env(name, value);
        self
    }

    /// Runs one command string.
    pub fn sql(mut self, sql: &str) -> Result<Output> {
        self.command.arg("--command").arg(sql);
        self.output()
    }

    /// Runs a script.
    pub fn file(mut self, path: &Path) -> Result<Output> {
        self.command.arg("--file").arg(path);
        self.output()
    }

    /// Runs a script with its output going straight to ours.
    pub fn show(mut self, path: &Path) -> Result<()> {
        self.command.arg("--file").arg(path);
        let status = self.command.status().context("cannot run psql")?;
        if !status.success() {
            bail!("psql failed on {} ({status})", path.display());
        }
        Ok(())
    }

    fn output(mut self) -> Result<Output> {
        let output = self.command.output().context("cannot run psql")?;
        Ok(Output {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status,
        })
    }
}

impl Output {
    /// Its standard output if it succeeded, else an error with what it said.
    pub fn ok(self) -> Result<String> {
        if !self.status.success() {
            bail!("psql failed ({}): {}", self.status, self.stderr.trim());
        }
        Ok(self.stdout)
    }
}
