//! The server processes this process started: spawned here, signalled here, reaped here.
//!
//! Every postmaster is a child held in one table, so that the end of this process, for whatever
//! reason, can end them all. Three things see to it: [`end_all`] (called at exit and on SIGINT,
//! SIGTERM and SIGHUP), the kernel's parent-death signal when this process is killed outright,
//! and for a stopped (paused) server in that last case the script `scripts/stop-clusters`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How long servers get for an immediate shutdown before they are killed.
const END_PATIENCE: Duration = Duration::from_secs(6);

/// How often an exit is looked for.
const POLL: Duration = Duration::from_millis(5);

/// Set when everything ends, so that no other thread starts one more server.
static ENDING: AtomicBool = AtomicBool::new(false);
static CHILDREN: Mutex<BTreeMap<u32, Child>> = Mutex::new(BTreeMap::new());

fn children() -> MutexGuard<'static, BTreeMap<u32, Child>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a postmaster and returns its process id.
///
/// `tied` ones get an immediate shutdown from the kernel when this process dies.
pub(crate) fn spawn(mut command: Command, tied: bool) -> Result<u32> {
    if ENDING.load(Ordering::SeqCst) {
        bail!("this process is ending");
    }
    // SAFETY: getpid takes nothing and cannot fail.
    let parent = unsafe { libc::getpid() };
    let prepare = move || {
        // SAFETY: between fork and exec only async-signal-safe calls are made. The session of its
        // own keeps a terminal's Ctrl-C away from the server.
        unsafe {
            if libc::setsid() < 0 {
                return Err(io::Error::last_os_error());
            }
            if tied {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT) < 0 {
                    return Err(io::Error::last_os_error());
                }
                if libc::getppid() != parent {
                    libc::_exit(1);
                }
            }
        }
        Ok(())
    };
    // SAFETY: see `prepare`.
    unsafe { command.pre_exec(prepare) };
    let (reply, answer) = channel();
    spawner()
        .send((command, reply))
        .map_err(|_| anyhow!("the thread that starts servers is gone"))?;
    let pid = answer.recv().context("the thread that starts servers is gone")??;
    Ok(pid)
}

type Order = (Command, Sender<io::Result<u32>>);

/// The thread that forks. The parent-death signal fires when the forking *thread* ends, and a
/// test's thread ends long before the clusters it shares.
fn spawner() -> Sender<Order> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    SPAWNER
        .get_or_init(|| {
            let (orders, queue) = channel::<Order>();
            thread::spawn(move || {
                for (mut command, reply) in queue {
                    // Entered into the table before anybody is told, so that no child is missed.
                    let mut table = children();
                    let started = command.spawn().map(|child| {
                        let pid = child.id();
                        table.insert(pid, child);
                        pid
                    });
                    drop(table);
                    // The asker may have gone; the child stays in the table.
                    let _ = reply.send(started);
                }
            });
            orders
        })
        .clone()
}

/// Whether the child `pid` still runs; one that has ended is reaped.
pub(crate) fn is_running(pid: u32) -> bool {
    reap(&mut children(), pid)
}

fn reap(table: &mut BTreeMap<u32, Child>, pid: u32) -> bool {
    let Some(child) = table.get_mut(&pid) else {
        return false;
    };
    match child.try_wait() {
        Ok(None) => true,
        Ok(Some(_)) | Err(_) => {
            table.remove(&pid);
            false
        }
    }
}

/// Waits until the child `pid` has ended; false if it has not within `patience`.
pub(crate) fn wait_for_exit(pid: u32, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while is_running(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(POLL);
    }
    true
}

/// Sends `signal` to the child `pid`, if it still runs.
pub(crate) fn signal(pid: u32, signal: i32) {
    let mut table = children();
    if reap(&mut table, pid) {
        kill(pid, signal);
    }
}

/// Sends `signal` to the postmaster `pid`, then to all its processes.
pub(crate) fn signal_tree(pid: u32, signal: i32) {
    let mut table = children();
    if reap(&mut table, pid) {
        tree(pid, signal);
    }
}

fn tree(pid: u32, signal: i32) {
    kill(pid, signal);
    for process in processes_of(pid) {
        kill(process, signal);
    }
}

/// Kills the postmaster `pid` and all its processes outright and waits until they are gone.
pub(crate) fn kill_tree(pid: u32) {
    // A server works in its data directory.
    let data = fs::read_link(format!("/proc/{pid}/cwd")).ok();
    let processes = {
        let mut table = children();
        if !reap(&mut table, pid) {
            return;
        }
        // Stopped first, so that it starts no process that would be missed.
        kill(pid, libc::SIGSTOP);
        let processes = processes_of(pid);
        kill(pid, libc::SIGKILL);
        for process in &processes {
            kill(*process, libc::SIGKILL);
        }
        processes
    };
    wait_for_exit(pid, END_PATIENCE);
    let deadline = Instant::now() + END_PATIENCE;
    while processes.iter().any(|process| is_alive(*process)) && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    if let Some(data) = data {
        remove_shared_memory(&data);
    }
}

/// Removes the System V segment that a killed server left behind. Nothing else would, unless the
/// server is started again; and then it does not mind the loss.
fn remove_shared_memory(data: &Path) {
    // The seventh line of the pid file has the segment's key and id.
    let text = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let ids = text.lines().nth(6).unwrap_or_default();
    if let Some(id) = ids.split_whitespace().nth(1).and_then(|id| id.parse().ok()) {
        // SAFETY: a plain system call; the segment is nobody's since its processes are gone.
        unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
    }
}

/// Ends every server: an immediate shutdown, and after some seconds a kill.
pub(crate) fn end_all() {
    ENDING.store(true, Ordering::SeqCst);
    let pids: Vec<u32> = children().keys().copied().collect();
    for pid in &pids {
        let mut table = children();
        if reap(&mut table, *pid) {
            kill(*pid, libc::SIGQUIT);
            tree(*pid, libc::SIGCONT);
        }
    }
    let deadline = Instant::now() + END_PATIENCE;
    for pid in pids {
        let left = deadline.saturating_duration_since(Instant::now());
        if !wait_for_exit(pid, left) {
            kill_tree(pid);
        }
    }
}

fn kill(pid: u32, signal: i32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: a plain system call. A process that has just ended gives ESRCH, which is fine.
        unsafe { libc::kill(pid, signal) };
    }
}

/// The direct children of `parent`: for a postmaster, all its server processes.
pub(crate) fn processes_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// Whether the process exists and is not just waiting to be reaped.
pub(crate) fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// State letter and parent, from `/proc/PID/stat`; the name before them may hold anything but is
/// closed by the last parenthesis.
pub(crate) fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
