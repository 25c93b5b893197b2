//! Temporary files that any backend may read.
//!
//! They lie where Postgres keeps its own (`base/pgsql_tmp`): removed when the server starts, left out of
//! base backups, shown by `pg_ls_tmpdir()`. Who has one open reads it to the end, also when it has been
//! removed meanwhile.

use super::error::{Error, Result};
use pgrx::{PgSqlErrorCode as Code, pg_sys};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::PathBuf;

/// Relative to the data directory, where every backend is.
const FOLDER: &str = "base/pgsql_tmp";
/// What Postgres removes at its start begins with this.
const PREFIX: &str = "pgsql_tmp_warehouse_";

/// An open file.
#[derive(Debug)]
pub struct TempFile {
    file: File,
    name: String,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(FOLDER).join(format!("{PREFIX}{name}"))
}

fn failed(what: &str, name: &str, error: &io::Error) -> Error {
    let code = match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Code::ERRCODE_DISK_FULL,
        Some(libc::EMFILE | libc::ENFILE) => Code::ERRCODE_INSUFFICIENT_RESOURCES,
        _ => Code::ERRCODE_IO_ERROR,
    };
    Error::new(
        code,
        format!("could not {what} the temporary file \"{}\": {error}", path(name).display()),
    )
}

impl TempFile {
    /// Makes an empty file, for the server's user alone.
    pub fn create(name: &str) -> Result<TempFile> {
        if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(FOLDER) {
            return Err(failed("make the directory of", name, &error));
        }
        let mut how = OpenOptions::new();
        how.read(true).write(true).create(true).truncate(true).mode(0o600);
        TempFile::with(&how, name).map_err(|error| failed("create", name, &error))
    }

    /// Opens a file; `None` if there is none.
    pub fn open(name: &str) -> Result<Option<TempFile>> {
        match TempFile::with(OpenOptions::new().read(true), name) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open", name, &error)),
        }
    }

    fn with(how: &OpenOptions, name: &str) -> io::Result<TempFile> {
        // SAFETY: counts a descriptor that Postgres's own bookkeeping is to leave room for.
        if !unsafe { pg_sys::AcquireExternalFD() } {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        let file = how.open(path(name));
        if file.is_err() {
            // SAFETY: counted above.
            unsafe { pg_sys::ReleaseExternalFD() };
        }
        Ok(TempFile { file: file?, name: name.to_owned() })
    }

    /// Writes at a place.
    pub fn write_at(&self, at: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, at).map_err(|error| failed("write", &self.name, &error))
    }

    /// Reads so many bytes at a place.
    pub fn read_at(&self, at: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(failed("read", &self.name, &error)),
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // SAFETY: counted when it was opened.
        unsafe { pg_sys::ReleaseExternalFD() };
    }
}

/// Removes a file; one that is gone already is no error, and nothing else is worth one.
pub fn remove(name: &str) {
    let _ = fs::remove_file(path(name));
}

/// Removes all files of a kind whose names begin otherwise than with `kept`.
pub fn remove_others(kind: &str, kept: &str) {
    let Ok(folder) = fs::read_dir(FOLDER) else { return };
    for file in folder.flatten() {
        let name = file.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if rest.is_some_and(|name| name.starts_with(kind) && !name.starts_with(kept)) {
            let _ = fs::remove_file(file.path());
        }
    }
}
