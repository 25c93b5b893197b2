//! A hot standby of a cluster, by real streaming replication through a physical slot.

use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres::NoTls;

use crate::RunDir;
use crate::cluster::{self, Cluster};
use crate::install::{Install, run};

/// The role a standby replicates as.
const REPLICATOR: &str = "replicator";

/// Its password.
const REPLICATOR_PASSWORD: &str = "replicator password";

/// How long the standby may lag behind before a test gives up.
const REPLAY_PATIENCE: Duration = Duration::from_secs(60);

/// A standby. It can do what a [`Cluster`] can: connect, stop, start, pause.
#[derive(Debug)]
pub struct Standby {
    cluster: Cluster,
    /// How to ask the primary for its position.
    primary: postgres::Config,
    slot: String,
}

/// A standby to be created.
#[derive(Debug)]
pub struct Builder<'a> {
    primary: &'a Cluster,
    name: String,
    settings: Vec<(String, String)>,
    upstream: Option<u16>,
}

impl Standby {
    /// Describes a standby of `primary`.
    pub fn of<'a>(primary: &'a Cluster, name: &str) -> Builder<'a> {
        Builder { primary, name: name.to_owned(), settings: Vec::new(), upstream: None }
    }

    /// The replication slot it holds at the primary.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// Waits until everything the primary has committed so far can be seen here.
    pub fn wait_for_replay(&self) -> Result<()> {
        let mut primary = self.primary.connect(NoTls).context("primary")?;
        let written: String = primary.query_one("SELECT pg_current_wal_lsn()::text", &[])?.get(0);
        let mut here = self.cluster.connect("postgres")?;
        let deadline = Instant::now() + REPLAY_PATIENCE;
        loop {
            let row = here.query_one(
                "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn, pg_last_wal_replay_lsn()::text",
                &[&written],
            )?;
            if row.get::<_, Option<bool>>(0) == Some(true) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "standby {} has replayed up to {:?}, not yet {written}",
                    self.cluster.name(),
                    row.get::<_, Option<String>>(1)
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Makes it a primary, which has all that it has received; returns when it takes writes.
    pub fn promote(self) -> Result<Cluster> {
        let mut here = self.cluster.connect("postgres")?;
        let promoted: bool = here.query_one("SELECT pg_promote(true, 60)", &[])?.get(0);
        ensure!(promoted, "standby {} was not promoted", self.cluster.name());
        Ok(self.cluster)
    }
}

impl Deref for Standby {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.cluster
    }
}

impl Builder<'_> {
    /// A setting of the standby, such as `max_standby_streaming_delay`.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Streams through this local port, a proxy in front of the primary, instead of directly.
    pub fn upstream_port(mut self, port: u16) -> Self {
        self.upstream = Some(port);
        self
    }

    /// Copies the primary and starts following it; returns when the standby takes queries.
    pub fn start(self) -> Result<Standby> {
        let install = Install::get()?;
        let primary = self.primary;
        let slot = cluster::unique_name("standby");
        primary.execute(
            "postgres",
            &format!(
                "DO $$ BEGIN \
                   CREATE ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD '{REPLICATOR_PASSWORD}'; \
                 EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
                 SELECT pg_create_physical_replication_slot('{slot}', true)"
            ),
        )?;
        let dir = RunDir::get()?.folder(&self.name)?;
        let mut copy = install.server("pg_basebackup", &dir);
        copy.arg("--dbname").arg(format!(
            "host={} port={} user={REPLICATOR} password='{REPLICATOR_PASSWORD}' \
             application_name={slot} sslmode=disable",
            primary.host(),
            self.upstream.unwrap_or(primary.port())
        ));
        copy.arg("--pgdata").arg(dir.join("data"));
        copy.args(["--write-recovery-conf", "--wal-method=stream", "--slot"]);
        copy.arg(&slot);
        copy.args(["--checkpoint=fast", "--no-sync"]);
        run(&mut copy).with_context(|| format!("cannot copy the primary to {}", self.name))?;
        let mut settings = primary_settings(primary)?;
        settings.push(("hot_standby".to_owned(), "on".to_owned()));
        settings.extend(self.settings);
        Ok(Standby {
            cluster: cluster::start_in(self.name, dir, &settings, install)?,
            primary: primary.config("postgres"),
            slot,
        })
    }
}

/// The settings a standby must not have lower than its primary.
fn primary_settings(primary: &Cluster) -> Result<Vec<(String, String)>> {
    let rows = primary.connect("postgres")?.query(
        "SELECT name, setting FROM pg_settings WHERE name IN ('max_connections', \
         'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', \
         'max_locks_per_transaction', 'shared_preload_libraries')",
        &[],
    )?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
