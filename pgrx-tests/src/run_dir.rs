//! One private directory for everything a process starts, and the promise that nothing stays.
//!
//! The directory is created on first use: below `$TMPDIR`; if that is not set, in shared memory when
//! there is plenty of it (throwaway clusters live there three times as fast), else in `/tmp`. Servers are stopped and the directory
//! is removed when the process exits (also after a panic), and on SIGINT, SIGTERM and SIGHUP. A
//! process that is killed outright takes its servers with it; only the directory stays, and the
//! scripts of the project remove it.

use std::ffi::CString;
use std::fs::{self, DirBuilder, Permissions};
use std::mem::MaybeUninit;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::thread;

use anyhow::{Context, Result, anyhow, bail};

use crate::install::Install;
use crate::process;

/// A Unix socket's path must fit 107 bytes; this much is left for what comes below the run
/// directory: a cluster's folder and `/.s.PGSQL.65535`.
const LONGEST_PATH: usize = 60;

/// The file system in memory.
const SHARED_MEMORY: &str = "/dev/shm";

/// How much of it must be free to be used.
const ENOUGH_MEMORY: u64 = 4 << 30;

/// Whether servers outlive a process that ends well; see [`RunDir::detach`].
static DETACHED: AtomicBool = AtomicBool::new(false);
/// Whether everything is to be left alone at exit; see [`RunDir::keep`].
static KEPT: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU32 = AtomicU32::new(1);
static CURRENT: OnceLock<std::result::Result<RunDir, String>> = OnceLock::new();

/// The private directory of this process.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The directory of this process, created when first asked for.
    pub fn get() -> Result<&'static RunDir> {
        CURRENT
            .get_or_init(|| create().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|message| anyhow!("{message}"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates a folder for `name` in it, owned by the user that runs the servers.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let short: String = name.chars().take(20).collect();
        let path = self.path.join(format!("{short}-{number}"));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Install::get()?.give(&path)?;
        Ok(path)
    }

    /// Servers started from now on are not tied to the life of this process, so that
    /// [`RunDir::keep`] can leave them running. Until then they still end with it.
    pub fn detach() {
        DETACHED.store(true, Ordering::SeqCst);
    }

    /// Leaves servers and directory as they are when this process ends.
    pub fn keep() {
        KEPT.store(true, Ordering::SeqCst);
    }

    pub(crate) fn is_detached() -> bool {
        DETACHED.load(Ordering::SeqCst)
    }

    pub(crate) fn is_kept() -> bool {
        KEPT.load(Ordering::SeqCst)
    }
}

fn parent_dir() -> PathBuf {
    if std::env::var_os("TMPDIR").is_none() {
        let available = available_bytes(SHARED_MEMORY).unwrap_or(0);
        if available >= ENOUGH_MEMORY {
            return PathBuf::from(SHARED_MEMORY);
        }
    }
    std::env::temp_dir()
}

/// How much an ordinary user can still write to the file system of `path`.
fn available_bytes(path: &str) -> Option<u64> {
    let path = CString::new(path).ok()?;
    let mut space = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: a valid path, and room for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), space.as_mut_ptr()) } != 0 {
        return None;
    }
    // SAFETY: filled in by the call, which succeeded.
    let space = unsafe { space.assume_init() };
    Some(space.f_bavail * space.f_frsize)
}

fn create() -> Result<RunDir> {
    let parent = parent_dir();
    let path = parent.join(format!("wh-{}", std::process::id()));
    if path.as_os_str().len() > LONGEST_PATH {
        bail!("{} is too long for the sockets in it: set TMPDIR to a shorter path", path.display());
    }
    if path.exists() {
        fs::remove_dir_all(&path)
            .with_context(|| format!("cannot remove the old {}", path.display()))?;
    }
    DirBuilder::new()
        .mode(0o711)
        .create(&path)
        .with_context(|| format!("cannot create {}", path.display()))?;
    // Whatever the umask says: the servers' user has to pass through.
    fs::set_permissions(&path, Permissions::from_mode(0o711))
        .with_context(|| format!("cannot open {} to the servers", path.display()))?;
    watch_signals()?;
    static AT_EXIT: Once = Once::new();
    AT_EXIT.call_once(|| {
        // SAFETY: `at_exit` takes nothing, returns nothing and does not unwind.
        unsafe { libc::atexit(at_exit) };
    });
    Ok(RunDir { path })
}

extern "C" fn at_exit() {
    // A panic must not leave this function; there is nobody left to report it to.
    let _ = std::panic::catch_unwind(end);
}

/// Stops every server and removes the directory, unless they are to be kept.
fn end() {
    if RunDir::is_kept() {
        return;
    }
    process::end_all();
    if let Some(Ok(dir)) = CURRENT.get() {
        // What cannot be removed is left to the scripts.
        let _ = fs::remove_dir_all(&dir.path);
    }
}

/// The write end of the pipe the signal handler tells the watching thread through.
static WAKE: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_signal(signal: i32) {
    let byte = signal as u8;
    // SAFETY: write is async-signal-safe; the descriptor stays open for the process's life.
    unsafe { libc::write(WAKE.load(Ordering::SeqCst), (&raw const byte).cast(), 1) };
}

/// Ends everything on SIGINT, SIGTERM and SIGHUP, then dies of that same signal.
fn watch_signals() -> Result<()> {
    let (mut read, write) = std::io::pipe().context("cannot create a pipe")?;
    WAKE.store(write.into_raw_fd(), Ordering::SeqCst);
    thread::spawn(move || {
        let mut byte = [0u8; 1];
        if std::io::Read::read_exact(&mut read, &mut byte).is_err() {
            return;
        }
        let signal = i32::from(byte[0]);
        KEPT.store(false, Ordering::SeqCst);
        end();
        // SAFETY: plain system calls; the default action of the signal ends this process.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
            libc::_exit(128 + signal);
        }
    });
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let handler: extern "C" fn(i32) = on_signal;
        // SAFETY: the handler only writes to a pipe.
        if unsafe { libc::signal(signal, handler as libc::sighandler_t) } == libc::SIG_ERR {
            bail!("cannot handle signal {signal}: {}", std::io::Error::last_os_error());
        }
    }
    Ok(())
}
