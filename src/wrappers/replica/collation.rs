//! Whether text sorts and folds there as it does here.
//!
//! A comparison that depends on the database's default collation may be sent only if both databases
//! collate alike: same provider, same locale, same version of its library. Each side is described by
//! a *signature* (locales such as C.UTF-8 have no version, as they sort by code point); a foreign table remembers the source's at import (option `remote_collation`), so
//! that planning needs no connection, and the scan checks that it still holds.

use crate::pg::sql;
use std::cell::RefCell;
use std::rc::Rc;

/// The signature of a database whose text sorts by bytes.
pub const BYTEWISE: &str = "C";

/// SQL that yields the signature of the database it runs in: one row, one text column, NULL when it
/// cannot be told.
pub fn signature_sql(server_version: i32) -> String {
    let locale = match server_version {
        170_000.. => "d.datlocale",
        150_000.. => "d.daticulocale",
        _ => "NULL",
    };
    let (provider, version) = if server_version >= 150_000 {
        (
            "d.datlocprovider::pg_catalog.text",
            "pg_catalog.pg_database_collation_actual_version(d.oid)",
        )
    } else {
        ("'c'", "NULL")
    };
    format!(
        "SELECT CASE WHEN {provider} = 'c' AND d.datcollate IN ('C', 'POSIX') AND d.datctype IN ('C', 'POSIX') \
         THEN '{BYTEWISE}' \
         ELSE {provider} || '/' || d.datcollate || '/' || d.datctype || '/' || COALESCE({locale}, '') || '/' || \
         COALESCE({version}, CASE WHEN {provider} = 'c' AND d.datcollate LIKE 'C.%' AND d.datctype = d.datcollate THEN 'code points' END) END \
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
    )
}

thread_local! {
    static LOCAL: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// The signature of this database; empty when it cannot be told.
pub fn local_signature() -> Rc<str> {
    if let Some(known) = LOCAL.with_borrow(Clone::clone) {
        return known;
    }
    let version = pgrx::pg_sys::PG_VERSION_NUM as i32;
    let found = sql::value::<String>(&signature_sql(version), &[]).ok().flatten();
    let found: Rc<str> = found.unwrap_or_default().into();
    LOCAL.with_borrow_mut(|known| *known = Some(Rc::clone(&found)));
    found
}

/// Whether a table whose source has this signature collates as this database does.
pub fn proven(remote: Option<&str>) -> bool {
    remote.is_some_and(|remote| !remote.is_empty() && *remote == *local_signature())
}
