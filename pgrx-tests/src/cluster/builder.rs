//! Describing and creating a cluster.
//!
//! `initdb` runs once per locale and process; every cluster is a copy of its result, which takes
//! a tenth of the time. Clusters of one process therefore share their system identifier.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use super::{Cluster, SUPERUSER, SUPERUSER_PASSWORD, free_port};
use crate::RunDir;
use crate::install::{Install, run};

/// The file, included by `postgresql.conf`, that holds every setting of the harness.
const SETTINGS_FILE: &str = "harness.conf";

/// Settings of a cluster that need not survive a power failure and should not get in the way.
const SETTINGS: [(&str, &str); 14] = [
    ("listen_addresses", "127.0.0.1"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    // In files of the data directory, so that a killed server leaves none in /dev/shm.
    ("dynamic_shared_memory_type", "mmap"),
    ("shared_buffers", "64MB"),
    ("max_connections", "60"),
    ("max_worker_processes", "16"),
    ("max_wal_senders", "6"),
    ("max_replication_slots", "6"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("lc_messages", "C"),
    ("log_line_prefix", "%m [%p] %q%u@%d %a "),
    ("password_encryption", "scram-sha-256"),
];

/// How often another port is tried when the one found free was taken meanwhile.
const PORT_ATTEMPTS: usize = 5;

/// A cluster to be created.
#[derive(Debug, Clone)]
pub struct Builder {
    name: String,
    locale: String,
    settings: Vec<(String, String)>,
    hba: Vec<String>,
}

impl Builder {
    pub(super) fn new(name: &str) -> Builder {
        Builder {
            name: name.to_owned(),
            locale: "C.UTF-8".to_owned(),
            settings: Vec::new(),
            hba: Vec::new(),
        }
    }

    /// A line of `postgresql.conf`; the last one for a name counts.
    pub fn setting(mut self, name: &str, value: &str) -> Builder {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Libraries loaded at server start (`shared_preload_libraries`).
    pub fn preload(self, libraries: &str) -> Builder {
        self.setting("shared_preload_libraries", libraries)
    }

    /// A line of `pg_hba.conf`, put before the usual ones.
    pub fn hba(mut self, line: &str) -> Builder {
        self.hba.push(line.to_owned());
        self
    }

    /// The locale of its databases; `C.UTF-8` unless told otherwise.
    pub fn locale(mut self, locale: &str) -> Builder {
        self.locale = locale.to_owned();
        self
    }

    /// Creates the cluster and starts it.
    pub fn start(self) -> Result<Cluster> {
        let install = Install::get()?;
        let dir = RunDir::get()?.folder(&self.name)?;
        copy(install, &template(&self.locale)?, &dir)
            .with_context(|| format!("cannot create cluster {}", self.name))?;
        write_hba(&dir.join("data"), &self.hba)?;
        start(self.name, dir, &self.settings, install)
    }
}

/// Writes the settings into the data directory below `dir` and starts the server there.
pub(crate) fn start(
    name: String,
    dir: PathBuf,
    settings: &[(String, String)],
    install: &'static Install,
) -> Result<Cluster> {
    let mut cluster = Cluster { name, dir, port: 0, install, postmaster: Mutex::new(None) };
    let mut attempt = 1;
    loop {
        cluster.port = free_port()?;
        write_settings(&cluster, settings)?;
        match cluster.start() {
            Ok(()) => return Ok(cluster),
            Err(error) => {
                let taken = format!("{error:#}").contains("could not bind");
                if !taken || attempt == PORT_ATTEMPTS {
                    return Err(error);
                }
                attempt += 1;
            }
        }
    }
}

fn write_settings(cluster: &Cluster, settings: &[(String, String)]) -> Result<()> {
    let mut lines: BTreeMap<&str, String> =
        SETTINGS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    for (name, value) in settings {
        lines.insert(name, value.clone());
    }
    lines.insert("port", cluster.port.to_string());
    lines.insert("unix_socket_directories", cluster.socket_dir().to_string_lossy().into_owned());
    lines.insert("cluster_name", cluster.name.clone());
    let text: String = lines
        .iter()
        .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
        .collect();
    write(&cluster.data_dir().join(SETTINGS_FILE), &text)
}

fn write_hba(data: &Path, extra: &[String]) -> Result<()> {
    let mut text = String::new();
    for line in extra {
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(&format!(
        "local all         {SUPERUSER}          trust\n\
         local replication {SUPERUSER}          trust\n\
         local all         all               scram-sha-256\n\
         host  all         all 127.0.0.1/32  scram-sha-256\n\
         host  replication all 127.0.0.1/32  scram-sha-256\n"
    ));
    write(&data.join("pg_hba.conf"), &text)
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Install::get()?.give(path)
}

/// Copies the data directory below `from` to `to`, with owners and modes.
fn copy(install: &Install, from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.arg("-a").arg("--reflink=auto");
    cp.arg(from.join("data")).arg(to.join("data"));
    run(&mut cp)?;
    install.give(&to.join("data"))
}

/// The folder of a freshly initialised data directory with this locale.
fn template(locale: &str) -> Result<PathBuf> {
    static TEMPLATES: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut templates = TEMPLATES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = templates.get(locale) {
        return Ok(found.clone());
    }
    let install = Install::get()?;
    let dir = RunDir::get()?.folder("template")?;
    let password = dir.join("password");
    write(&password, SUPERUSER_PASSWORD)?;
    let mut initdb = install.server("initdb", &dir);
    initdb.args(["--no-sync", "--auth=scram-sha-256", "--encoding=UTF8"]);
    initdb.args(["--username", SUPERUSER, "--locale", locale]);
    initdb.arg("--pwfile").arg(&password);
    initdb.arg("--pgdata").arg(dir.join("data"));
    run(&mut initdb)?;
    fs::remove_file(&password).context("cannot remove the password file")?;
    let conf = dir.join("data/postgresql.conf");
    let text = fs::read_to_string(&conf).context("cannot read postgresql.conf")?;
    write(&conf, &format!("{text}\ninclude = '{SETTINGS_FILE}'\n"))?;
    templates.insert(locale.to_owned(), dir.clone());
    Ok(dir)
}
