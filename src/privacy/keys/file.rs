//! The key file on disk.
//!
//! A regular file of the server's user (or root) that nobody else may read. It is only ever replaced
//! as a whole: written beside itself, synced and renamed, under a lock on `<file>.lock`, so that no
//! crash and no two sessions at once lose a key.

use crate::pg::error::{Error, Result};
use crate::pg::wait;
use pgrx::PgSqlErrorCode as Code;
use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use warehouse_core::privacy::{KeyError, Keyring};
use zeroize::Zeroizing;

/// More than any key file has, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;
const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What changes when a file does, its rights included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    size: u64,
}

impl Identity {
    fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            size: metadata.size(),
        }
    }
}

fn failed(what: &str, error: &io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound {
        return Error::new(
            Code::ERRCODE_UNDEFINED_FILE,
            "the file of warehouse.key_file does not exist",
        )
        .hint("A superuser makes it with SELECT warehouse.create_key().");
    }
    let message = format!("could not {what} the file of warehouse.key_file: {error}");
    Error::new(Code::ERRCODE_CONFIG_FILE_ERROR, message)
}

/// The file as it is now.
///
/// # Errors
/// It does not exist (58P01) or cannot be looked at (F0000).
pub fn identify(path: &Path) -> Result<Identity> {
    fs::metadata(path).map(|found| Identity::of(&found)).map_err(|error| failed("read", &error))
}

fn check(metadata: &Metadata) -> Result<()> {
    let refuse = |message: &str| Error::new(Code::ERRCODE_CONFIG_FILE_ERROR, message);
    if !metadata.is_file() {
        return Err(refuse("the file of warehouse.key_file is not a regular file"));
    }
    // SAFETY: asks the process for a number.
    let server = unsafe { libc::geteuid() };
    if metadata.uid() != server && metadata.uid() != 0 {
        return Err(refuse(
            "the file of warehouse.key_file belongs to another user than the server's",
        )
        .hint("chown it to the user that Postgres runs as."));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(refuse("the file of warehouse.key_file is open to other users")
            .hint("chmod 600 the file; if others may have read it, its key is known to them."));
    }
    if metadata.size() > MAX_BYTES {
        return Err(refuse("the file of warehouse.key_file is too large for a key file"));
    }
    Ok(())
}

/// Reads the file, after it was looked at through the same descriptor.
///
/// # Errors
/// As said above (F0000, 58P01), and those of [`KeyError`].
pub fn read(path: &Path) -> Result<(Keyring, Identity)> {
    // A pipe in its place must not hang the backend.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    let file = opened.map_err(|error| failed("open", &error))?;
    let metadata = file.metadata().map_err(|error| failed("read", &error))?;
    check(&metadata)?;
    // As large as it gets, so that no copy is left behind by growing.
    let room = usize::try_from(metadata.size()).unwrap_or(0) + 1;
    let mut contents = Zeroizing::new(Vec::with_capacity(room));
    let mut limited = file.take(metadata.size());
    limited.read_to_end(&mut contents).map_err(|error| failed("read", &error))?;
    Ok((Keyring::parse(&contents)?, Identity::of(&metadata)))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

/// Held until the file is closed, also by the end of the process.
fn lock(path: &Path) -> Result<File> {
    let options = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).clone();
    let file = options.open(beside(path, ".lock")).map_err(|error| failed("lock", &error))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed("lock", &error)),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => {
                return Err(Error::new(
                    Code::ERRCODE_LOCK_NOT_AVAILABLE,
                    "another session is changing the key file",
                ));
            }
            Err(TryLockError::WouldBlock) => wait::sleep(Duration::from_millis(20)),
        }
    }
}

/// Makes what was done in the file's directory last.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a file that must not exist yet. What fails half-way leaves none.
fn write_new(path: &Path, keyring: &Keyring) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file
        .write_all(keyring.to_text().as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_directory(path));
    if written.is_err() {
        // What was wrong at first is what is said.
        let _ = fs::remove_file(path);
    }
    written
}

/// Makes the file with a new key.
///
/// # Errors
/// SQLSTATE 58P02 if it exists.
pub fn create(path: &Path) -> Result<Keyring> {
    let _lock = lock_of_new(path)?;
    let keyring = Keyring::create()?;
    write_new(path, &keyring).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::new(
            Code::ERRCODE_DUPLICATE_FILE,
            "the file of warehouse.key_file exists already, and is not overwritten",
        )
        .hint(
            "Everything that was masked depends on it. warehouse.rotate_key(domain) gives a domain a \
             new key.",
        ),
        _ => missing_directory(&error),
    })?;
    Ok(keyring)
}

fn lock_of_new(path: &Path) -> Result<File> {
    let directory = path.parent().filter(|directory| directory.is_dir());
    directory.ok_or_else(|| missing_directory(&io::Error::from(ErrorKind::NotFound)))?;
    lock(path)
}

fn missing_directory(error: &io::Error) -> Error {
    let message = format!("could not create the file of warehouse.key_file: {error}");
    Error::new(Code::ERRCODE_IO_ERROR, message)
        .hint("Its directory has to exist and to belong to the server's user.")
}

/// Changes the keyring in the file. The old file stays until the new one is safe on disk.
///
/// # Errors
/// Those of [`read`], of the change and of writing.
pub fn change<T>(
    path: &Path,
    change: impl FnOnce(&mut Keyring) -> std::result::Result<T, KeyError>,
) -> Result<T> {
    // A link stays one: what it points to is replaced.
    let path = fs::canonicalize(path).map_err(|error| failed("open", &error))?;
    let _lock = lock(&path)?;
    let (mut keyring, _) = read(&path)?;
    let result = change(&mut keyring)?;
    let new = beside(&path, ".new");
    // Left by a crash: nobody else writes it while the lock is held.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("write", &error)),
        _ => {}
    }
    write_new(&new, &keyring).map_err(|error| failed("write", &error))?;
    fs::rename(&new, &path)
        .and_then(|()| sync_directory(&path))
        .map_err(|error| failed("replace", &error))?;
    Ok(result)
}
