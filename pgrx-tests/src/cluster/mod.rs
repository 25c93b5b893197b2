//! A throwaway cluster: created, reached, stopped, broken, and gone with its value.
//!
//! Over its Unix socket `postgres` needs no password; over TCP (loopback) everybody does, with
//! SCRAM, so that roles and user mappings are tested for what they are. All methods take `&self`:
//! a cluster may be shared by the tests of a binary.

mod builder;
mod port;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use postgres::{Client, NoTls};

pub use builder::Builder;
pub(crate) use builder::start as start_in;
pub(crate) use port::free_port;

use crate::install::Install;
use crate::psql::Psql;
use crate::{RunDir, process};

/// The superuser of every cluster.
pub const SUPERUSER: &str = "postgres";

/// The superuser's password, for TCP.
pub const SUPERUSER_PASSWORD: &str = "postgres password";

/// How long a server may take to start, including recovery after a crash.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long a server may take to stop before it is killed.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions are ended, then a checkpoint is written (SIGINT).
    Fast,
    /// Everything ends at once, the next start recovers (SIGQUIT).
    Immediate,
}

/// A running (or stopped, or paused) cluster. Dropping it stops it and removes its directory.
#[derive(Debug)]
pub struct Cluster {
    name: String,
    /// Holds `data`, the log and the socket.
    dir: PathBuf,
    port: u16,
    install: &'static Install,
    /// The postmaster, while it runs.
    postmaster: Mutex<Option<u32>>,
}

/// `prefix` made unique within this process: for databases, schemas and roles of one test.
pub fn unique_name(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!("{prefix}_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Cluster {
    /// Describes a cluster to be created; see [`Builder`].
    pub fn builder(name: &str) -> Builder {
        Builder::new(name)
    }

    /// The name it was created with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address it listens on.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The port it listens on; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// `host '…', port '…', dbname '…', unclassified 'clear'`: the options of a `CREATE SERVER` that
    /// reaches it and shows what nobody has classified, as tests of the wrapper want it.
    pub fn server_options(&self, database: &str) -> String {
        format!(
            "host '{}', port '{}', dbname '{}', unclassified 'clear'",
            self.host(),
            self.port,
            database.replace('\'', "''")
        )
    }

    /// Connection parameters for the superuser over the Unix socket.
    pub fn config(&self, database: &str) -> postgres::Config {
        let mut config = Client::configure();
        config
            .host_path(&self.dir)
            .port(self.port)
            .user(SUPERUSER)
            .dbname(database)
            .application_name("harness")
            .connect_timeout(Duration::from_secs(20));
        config
    }

    /// Connects as the superuser over the Unix socket.
    pub fn connect(&self, database: &str) -> Result<Client> {
        self.config(database)
            .connect(NoTls)
            .with_context(|| format!("cannot connect to {database} of cluster {}", self.name))
    }

    /// Connects as `user` over TCP, with a password.
    pub fn connect_as(&self, user: &str, password: &str, database: &str) -> Result<Client> {
        Client::configure()
            .host(self.host())
            .port(self.port)
            .user(user)
            .password(password)
            .dbname(database)
            .connect_timeout(Duration::from_secs(20))
            .connect(NoTls)
            .with_context(|| {
                format!("cannot connect to {database} of cluster {} as {user}", self.name)
            })
    }

    /// Runs statements as the superuser, on a connection of their own.
    pub fn execute(&self, database: &str, sql: &str) -> Result<()> {
        self.connect(database)?
            .batch_execute(sql)
            .with_context(|| format!("cluster {}, database {database}: {sql}", self.name))
    }

    /// Runs a query whose answer is one text value, as the superuser.
    pub fn value(&self, database: &str, sql: &str) -> Result<String> {
        let row = self
            .connect(database)?
            .query_one(sql, &[])
            .with_context(|| format!("cluster {}, database {database}: {sql}", self.name))?;
        row.try_get(0).with_context(|| format!("not one text value: {sql}"))
    }

    /// The real psql on a database, as the superuser unless told otherwise.
    pub fn psql(&self, database: &str) -> Psql {
        Psql::new(self.install, self, database)
    }

    /// Creates a database with a new name that begins with `prefix`, and returns the name.
    pub fn create_database(&self, prefix: &str) -> Result<String> {
        let name = unique_name(prefix);
        self.execute("postgres", &format!("CREATE DATABASE \"{name}\""))?;
        Ok(name)
    }

    /// Creates a role that may log in.
    pub fn create_role(&self, name: &str, password: &str) -> Result<()> {
        let password = password.replace('\'', "''");
        self.execute("postgres", &format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'"))
    }

    /// What the server has written to its log so far.
    pub fn log(&self) -> Result<String> {
        let path = self.log_path();
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Whether its postmaster runs (paused or not).
    pub fn is_running(&self) -> bool {
        self.postmaster().is_some_and(process::is_running)
    }

    /// Starts a stopped cluster and waits until it takes connections. No effect if it runs.
    pub fn start(&self) -> Result<()> {
        let mut postmaster = self.postmaster();
        if postmaster.is_some_and(process::is_running) {
            return Ok(());
        }
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .context("cannot open the server's log")?;
        let mut command = self.install.server("postgres", &self.dir);
        command.arg("-D").arg(self.data_dir());
        command.stdout(log.try_clone()?).stderr(log);
        let pid = process::spawn(command, !RunDir::is_detached())?;
        *postmaster = Some(pid);
        let deadline = Instant::now() + START_PATIENCE;
        while !self.is_ready(pid) {
            if !process::is_running(pid) {
                *postmaster = None;
                bail!("cluster {} did not start:\n{}", self.name, self.log_tail());
            }
            if Instant::now() > deadline {
                bail!(
                    "cluster {} did not get ready within {START_PATIENCE:?}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The postmaster writes its state into the eighth line of its pid file.
    fn is_ready(&self, pid: u32) -> bool {
        let Ok(text) = fs::read_to_string(self.data_dir().join("postmaster.pid")) else {
            return false;
        };
        let mut lines = text.lines();
        lines.next() == Some(pid.to_string().as_str())
            && lines.nth(6).map(str::trim_end) == Some("ready")
    }

    fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Stops it and waits until it is gone. No effect if it does not run.
    pub fn stop(&self, how: Stop) -> Result<()> {
        let mut postmaster = self.postmaster();
        let Some(pid) = *postmaster else {
            return Ok(());
        };
        process::signal(
            pid,
            match how {
                Stop::Fast => libc::SIGINT,
                Stop::Immediate => libc::SIGQUIT,
            },
        );
        process::signal_tree(pid, libc::SIGCONT);
        *postmaster = None;
        if !process::wait_for_exit(pid, STOP_PATIENCE) {
            process::kill_tree(pid);
            bail!("cluster {} did not stop within {STOP_PATIENCE:?} and was killed", self.name);
        }
        Ok(())
    }

    /// Stops it (fast) and starts it again, on the same port.
    pub fn restart(&self) -> Result<()> {
        self.stop(Stop::Fast)?;
        self.start()
    }

    /// Kills all its processes with SIGKILL: a crash. [`Cluster::start`] recovers it.
    pub fn kill9(&self) {
        if let Some(pid) = self.postmaster().take() {
            process::kill_tree(pid);
        }
    }

    /// Stops all its processes with SIGSTOP: the host is there but nothing answers.
    ///
    /// The kernel still accepts TCP connections into the listen queue, as with a hung host.
    pub fn pause(&self) {
        if let Some(pid) = *self.postmaster() {
            process::signal_tree(pid, libc::SIGSTOP);
        }
    }

    /// Lets the processes stopped by [`Cluster::pause`] go on.
    pub fn resume(&self) {
        if let Some(pid) = *self.postmaster() {
            process::signal_tree(pid, libc::SIGCONT);
        }
    }

    /// The process ids of its postmaster and all its processes; empty if it does not run.
    pub fn processes(&self) -> Vec<u32> {
        match *self.postmaster() {
            Some(pid) => std::iter::once(pid).chain(process::processes_of(pid)).collect(),
            None => Vec::new(),
        }
    }

    fn postmaster(&self) -> MutexGuard<'_, Option<u32>> {
        self.postmaster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if RunDir::is_kept() {
            return;
        }
        // The end of the process tries again, so errors may pass here.
        let _ = self.stop(Stop::Immediate);
        let _ = fs::remove_dir_all(&self.dir);
    }
}
