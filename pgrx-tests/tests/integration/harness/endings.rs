//! However the process ends, its servers and its directory end too.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use warehouse_tests::RunDir;
use warehouse_tests::timing::eventually;

/// A process of its own with one cluster, which runs until it is ended.
struct Victim {
    child: Child,
    /// The cluster's folder.
    cluster: PathBuf,
    postmaster: u32,
}

fn start() -> Result<Victim> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_throwaway"))
        .args(["--", "sh", "-c", "echo $PGHOST; exec sleep 600"])
        .env("TMPDIR", RunDir::get()?.path())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.as_mut().context("no stdout")?;
    BufReader::new(stdout).read_line(&mut line)?;
    let cluster = PathBuf::from(line.trim());
    let pid_file = fs::read_to_string(cluster.join("data/postmaster.pid"))?;
    let postmaster = pid_file.lines().next().context("empty")?.parse()?;
    ensure!(runs(postmaster));
    Ok(Victim { child, cluster, postmaster })
}

fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| stat.contains("(postgres)") && !stat.contains(") Z "))
}

fn send(pid: u32, signal: i32) -> Result<()> {
    // SAFETY: a plain system call.
    let sent = unsafe { libc::kill(i32::try_from(pid)?, signal) };
    ensure!(sent == 0);
    Ok(())
}

fn ends_with(signal: i32) -> Result<()> {
    let mut victim = start()?;
    send(victim.child.id(), signal)?;
    ensure!(!victim.child.wait()?.success());
    ensure!(!runs(victim.postmaster));
    ensure!(!victim.cluster.parent().is_some_and(Path::exists));
    Ok(())
}

#[test]
fn interrupted() -> Result<()> {
    ends_with(libc::SIGINT)
}

#[test]
fn terminated() -> Result<()> {
    ends_with(libc::SIGTERM)
}

#[test]
fn terminated_with_a_paused_cluster() -> Result<()> {
    let mut victim = start()?;
    send(victim.postmaster, libc::SIGSTOP)?;
    send(victim.child.id(), libc::SIGTERM)?;
    victim.child.wait()?;
    ensure!(!runs(victim.postmaster));
    Ok(())
}

#[test]
fn killed_outright() -> Result<()> {
    let mut victim = start()?;
    victim.child.kill()?;
    victim.child.wait()?;
    eventually(Duration::from_secs(10), "the server has ended", || Ok(!runs(victim.postmaster)))
}
