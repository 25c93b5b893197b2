//! The SQL functions about keys. They are for superusers, show no key and are not undone by a rollback:
//! what is erased is gone at once.

use super::{changeable, file, forget, keyring};
use crate::pg::error::{Error, OrRaise, Result};
use crate::pg::membership;
use pgrx::PgSqlErrorCode as Code;
use pgrx::prelude::*;
use warehouse_core::privacy::{Domain, KeyError, KeyState, Shredded};

fn superusers_only() -> Result<()> {
    match membership::is_superuser() {
        true => Ok(()),
        false => {
            Err(Error::new(Code::ERRCODE_INSUFFICIENT_PRIVILEGE, "only superusers may manage keys"))
        }
    }
}

fn domain(name: &str) -> Result<Domain> {
    Ok(name.parse::<Domain>()?)
}

/// Changes the key file and lets this session see it at once; the log says what was done.
fn change<T>(
    what: impl FnOnce(&mut warehouse_core::privacy::Keyring) -> std::result::Result<T, KeyError>,
    say: impl FnOnce(&T) -> Option<String>,
) -> Result<T> {
    let done = file::change(&changeable()?, what)?;
    forget();
    if let Some(message) = say(&done) {
        pgrx::log!("warehouse: {message}");
    }
    Ok(done)
}

/// Makes the file of `warehouse.key_file` with a new random key; returns its fingerprint.
#[pg_extern(volatile, strict, parallel_unsafe)]
fn create_key() -> String {
    let create = || {
        superusers_only()?;
        let keyring = file::create(&changeable()?)?;
        forget();
        let fingerprint = keyring.fingerprint();
        pgrx::log!("warehouse: key {fingerprint} was created");
        Ok(fingerprint)
    };
    create().or_raise()
}

/// Gives a domain a new key version, which masks from now on; returns its number.
#[pg_extern(volatile, strict, parallel_unsafe)]
fn rotate_key(domain: &str) -> i32 {
    let rotate = || {
        superusers_only()?;
        let domain = self::domain(domain)?;
        let version = change(
            |keys| keys.rotate(&domain),
            |version| Some(format!("domain {domain} has key version {version} from now on")),
        )?;
        i32::try_from(version).map_err(|_| Error::bug("a key version is out of range"))
    };
    rotate().or_raise()
}

/// Makes an old key version unusable: `erased` if nobody can derive it again, `refused` if it still
/// follows from the root key, because the domain was not registered when it was first used.
#[pg_extern(volatile, strict, parallel_unsafe)]
fn shred_key(domain: &str, version: i32) -> &'static str {
    let shred = || {
        superusers_only()?;
        let domain = self::domain(domain)?;
        let number = u32::try_from(version).unwrap_or(0);
        let said = |shredded: &Shredded| match shredded {
            Shredded::Erased => "erased",
            Shredded::Refused => "refused",
        };
        let done = change(
            |keys| keys.shred(&domain, number),
            |done| Some(format!("key version {number} of domain {domain} is {}", said(done))),
        )?;
        Ok(said(&done))
    };
    shred().or_raise()
}

/// Gives a domain a first key version that can be erased. Returns whether it did: a domain that is known
/// stays as it is. To be called before the first value of the domain is masked.
#[pg_extern(volatile, strict, parallel_unsafe)]
fn register_domain(domain: &str) -> bool {
    let register = || {
        superusers_only()?;
        let domain = self::domain(domain)?;
        change(
            |keys| keys.register(&domain),
            |new| new.then(|| format!("domain {domain} was registered")),
        )
    };
    register().or_raise()
}

/// The key versions of all domains that have any of their own, without the keys.
#[pg_extern(volatile, strict, parallel_restricted)]
fn keys()
-> TableIterator<'static, (name!(domain, String), name!(version, i32), name!(state, String))> {
    let list = || {
        superusers_only()?;
        let Some(keyring) = keyring()? else { return Ok(Vec::new()) };
        let rows = keyring.domains().flat_map(|domain| {
            keyring.versions(domain).into_iter().map(|version| {
                let state = match version.state {
                    KeyState::Current => "current",
                    KeyState::Readable => "readable",
                    KeyState::Shredded => "shredded",
                };
                let number = i32::try_from(version.number).unwrap_or(i32::MAX);
                (domain.as_str().to_owned(), number, state.to_owned())
            })
        });
        Ok(rows.collect::<Vec<_>>())
    };
    TableIterator::new(list().or_raise())
}
