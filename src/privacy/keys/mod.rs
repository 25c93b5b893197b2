//! The keyring of this server: from the file of `warehouse.key_file`, or from the output of
//! `warehouse.key_command`.
//!
//! Masks of SQL functions and of the wrappers ask here. What always holds:
//! - Nothing but the file's or the command's bytes holds the key: no setting, table, log or error.
//! - Without a key, keyed masks fail.
//! - A statement looks once whether the file changed and then works with what it found, so that it
//!   sees one version of every domain (parallel workers look for themselves).

mod command;
mod file;
mod functions;

use crate::pg::error::{Error, Result};
use crate::settings;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::ffi::OsString;
use std::path::PathBuf;
use std::rc::Rc;
use warehouse_core::masks::MaskError;
use warehouse_core::privacy::Keyring;

/// Where a keyring came from, and what would make it another.
#[derive(Debug, PartialEq)]
enum Source {
    File(PathBuf, file::Identity),
    /// With the time of the last reload of the configuration.
    Command(OsString, i64),
}

impl Source {
    /// What the settings name now.
    fn look() -> Result<Option<Source>> {
        if let Some(path) = settings::key_file() {
            let identity = file::identify(&path)?;
            return Ok(Some(Source::File(path, identity)));
        }
        // SAFETY: a plain variable.
        let reloaded = unsafe { pg_sys::PgReloadTime };
        Ok(settings::key_command().map(|command| Source::Command(command, reloaded)))
    }
}

/// What this backend works with.
#[derive(Debug, Default)]
struct Held {
    /// Start of the statement that looked last, 0 if none did.
    statement: i64,
    loaded: Option<(Source, Rc<Keyring>)>,
    /// Counts the keyrings that were loaded.
    generation: u64,
}

thread_local! {
    static HELD: RefCell<Held> = RefCell::default();
}

/// The keyring; nothing if neither setting names one.
///
/// # Errors
/// The file cannot be read, is open to others, or holds no key; the command failed. SQLSTATE F0000 and
/// 58P01, and no detail of the key.
pub fn keyring() -> Result<Option<Rc<Keyring>>> {
    look()?;
    Ok(HELD.with_borrow(|held| held.loaded.as_ref().map(|(_, keyring)| Rc::clone(keyring))))
}

/// The keyring, for a mask that cannot do without.
///
/// # Errors
/// Those of [`keyring`], and SQLSTATE 55000 if there is none.
pub fn required(mask: &'static str) -> Result<Rc<Keyring>> {
    keyring()?.ok_or_else(|| MaskError::NoKey { mask }.into())
}

/// A number that is another one whenever the keyring is. What was prepared with keys is good for as long
/// as it stays; to ask costs some nanoseconds.
///
/// # Errors
/// Those of [`keyring`].
pub fn generation() -> Result<u64> {
    look()?;
    Ok(HELD.with_borrow(|held| held.generation))
}

/// Makes the next question look again, within the same statement too.
pub fn forget() {
    HELD.with_borrow_mut(|held| held.statement = 0);
}

fn look() -> Result<()> {
    // SAFETY: reads a plain variable.
    let statement = unsafe { pg_sys::GetCurrentStatementStartTimestamp() };
    if statement != 0 && HELD.with_borrow(|held| held.statement == statement) {
        return Ok(());
    }
    let source = Source::look()?;
    let same =
        HELD.with_borrow(|held| source.as_ref() == held.loaded.as_ref().map(|(source, _)| source));
    if !same {
        // Until it is read there is none: a key that was taken away is not used any longer.
        HELD.with_borrow_mut(|held| {
            held.loaded = None;
            held.generation += 1;
        });
        let loaded = match source {
            None => None,
            Some(Source::File(path, _)) => {
                let (keyring, identity) = file::read(&path)?;
                Some((Source::File(path, identity), Rc::new(keyring)))
            }
            Some(Source::Command(command, reloaded)) => {
                let keyring = command::read(&command)?;
                Some((Source::Command(command, reloaded), Rc::new(keyring)))
            }
        };
        HELD.with_borrow_mut(|held| {
            held.loaded = loaded;
            held.generation += 1;
        });
    }
    HELD.with_borrow_mut(|held| held.statement = statement);
    Ok(())
}

/// The file that the functions which change keys write.
fn changeable() -> Result<PathBuf> {
    use pgrx::PgSqlErrorCode as Code;
    settings::key_file().ok_or_else(|| match settings::key_command() {
        Some(_) => Error::new(
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "the key comes from warehouse.key_command, which only gives it",
        )
        .hint("Whoever runs the service behind the command changes the key there."),
        None => Error::new(
            Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            "warehouse.key_file is not set",
        )
        .hint("Set it to an absolute path in postgresql.conf and reload the configuration."),
    })
}
