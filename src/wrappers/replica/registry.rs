//! The connections of this session, by user mapping, apart for roles that have to use a password and
//! roles that do not.

use super::connection::Connection;
use super::options::MappingOptions;
use super::transaction;
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

thread_local! {
    // A backend is one thread; nothing else ever touches this.
    static CONNECTIONS: RefCell<BTreeMap<(u32, bool), Rc<Connection>>> =
        const { RefCell::new(BTreeMap::new()) };
}

/// The connection `user` has to `server`, opened when it is first used.
pub fn connection(server: Oid, user: Oid) -> Result<Rc<Connection>> {
    transaction::install();
    let mapping = catalog::mapping(user, server).ok_or_else(|| {
        let role = catalog::role_name(user).unwrap_or_default();
        let server = catalog::server(server).name;
        Error::new(
            Code::ERRCODE_UNDEFINED_OBJECT,
            format!("role \"{role}\" has no user mapping for server \"{server}\""),
        )
        .hint("CREATE USER MAPPING FOR the role or FOR PUBLIC says as whom to connect.")
    })?;
    let trusted = is_trusted(user, &MappingOptions::parse(&mapping.options));
    let key = (mapping.oid.to_u32(), trusted);
    let known = CONNECTIONS.with_borrow(|all| all.get(&key).cloned());
    match known {
        Some(known) if known.in_transaction() || known.is_lost() || !known.stale.get() => Ok(known),
        _ => {
            let new = Rc::new(Connection::new(catalog::server(server), mapping, trusted));
            CONNECTIONS.with_borrow_mut(|all| all.insert(key, Rc::clone(&new)));
            Ok(new)
        }
    }
}

/// Whether a role may connect without proving a password of the mapping.
pub fn is_trusted(user: Oid, mapping: &MappingOptions) -> bool {
    // SAFETY: a plain question about a role.
    !mapping.password_required || unsafe { pg_sys::superuser_arg(user) }
}

/// All of them.
pub fn all() -> Vec<Rc<Connection>> {
    CONNECTIONS.with_borrow(|all| all.values().cloned().collect())
}

/// Closes those of one server, or of all; says how many. Those in use by the transaction stay.
pub fn disconnect(server: Option<Oid>) -> usize {
    let mut closed = 0;
    for connection in all() {
        let meant = server.is_none_or(|oid| connection.server.oid == oid);
        if meant && connection.is_open() && !connection.in_transaction() {
            connection.close();
            closed += 1;
        }
    }
    closed
}

/// Closes the connections that no transaction uses and another session waits for.
pub fn give_back_wanted() {
    for connection in all() {
        if connection.is_open() && !connection.in_transaction() && connection.is_wanted() {
            connection.close();
        }
    }
}

/// Closes the connections to a server that no transaction uses; says how many.
pub fn give_back(server: Oid) -> usize {
    disconnect(Some(server))
}

/// A server or mapping changed (`hash` 0: any of them): connect anew after this transaction.
pub fn invalidate(cache: i32, hash: u32) {
    let hash_of = |cache: i32, oid: Oid| {
        // SAFETY: computing a hash touches no catalog.
        unsafe { pg_sys::GetSysCacheHashValue(cache, oid.into(), 0.into(), 0.into(), 0.into()) }
    };
    for connection in all() {
        let oid = if cache == pg_sys::SysCacheIdentifier::FOREIGNSERVEROID as i32 {
            connection.server.oid
        } else {
            connection.mapping.oid
        };
        if hash == 0 || hash == hash_of(cache, oid) {
            connection.stale.set(true);
            if !connection.in_transaction() {
                connection.close();
            }
        }
    }
}
