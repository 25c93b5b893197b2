//! Foreign servers, user mappings and the options of foreign tables and their columns.

use super::error::{Error, Result};
use super::list;
use super::sql::borrowed;
use pgrx::{PgSqlErrorCode, pg_sys};
use pgrx::pg_sys::Oid;
use std::ffi::CString;

/// An option as the catalog stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawOption {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// The options of a list of DefElem.
///
/// # Safety
/// `options` is NULL or a valid list of `DefElem`.
pub unsafe fn raw_options(options: *mut pg_sys::List) -> Vec<RawOption> {
    // SAFETY: the caller's promise; defGetString returns a string for every DefElem.
    unsafe {
        list::pointers::<pg_sys::DefElem>(options)
            .map(|element| RawOption {
                name: borrowed((*element).defname),
                value: borrowed(pg_sys::defGetString(element)),
            })
            .collect()
    }
}

/// The options of a text[] as the catalogs keep them.
pub fn untransform(options: pg_sys::Datum) -> Vec<RawOption> {
    // SAFETY: the datum is the options array of a catalog row or of a validator call.
    unsafe { raw_options(pg_sys::untransformRelOptions(options)) }
}

/// A foreign server.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// Its wrapper.
    pub wrapper: Oid,
    /// Its options.
    pub options: Vec<RawOption>,
}

/// A server by OID.
pub fn server(oid: Oid) -> Server {
    // SAFETY: GetForeignServer raises when there is none; everything is copied.
    unsafe {
        let server = pg_sys::GetForeignServer(oid);
        Server {
            oid,
            name: borrowed((*server).servername),
            wrapper: (*server).fdwid,
            options: raw_options((*server).options),
        }
    }
}

/// A server by name, if there is one.
pub fn server_by_name(name: &str) -> Result<Server> {
    let missing = || {
        Error::new(
            PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
            format!("server \"{name}\" does not exist"),
        )
        .hint("CREATE SERVER … FOREIGN DATA WRAPPER replica_fdw makes one; \\des lists them.")
    };
    let text = CString::new(name).map_err(|_| missing())?;
    // SAFETY: NUL-terminated name; missing is allowed.
    let found = unsafe { pg_sys::get_foreign_server_oid(text.as_ptr(), true) };
    if found == Oid::INVALID { Err(missing()) } else { Ok(server(found)) }
}

/// A user mapping.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Its OID: the key of a connection.
    pub oid: Oid,
    /// The role it is for (invalid for PUBLIC).
    pub user: Oid,
    /// Its options, secrets among them.
    pub options: Vec<RawOption>,
}

/// The mapping `user` has on `server`: its own or PUBLIC's. Raises when there is neither.
pub fn mapping(user: Oid, server: Oid) -> Mapping {
    // SAFETY: GetUserMapping raises when there is none; everything is copied.
    unsafe {
        let mapping = pg_sys::GetUserMapping(user, server);
        Mapping {
            oid: (*mapping).umid,
            user: (*mapping).userid,
            options: raw_options((*mapping).options),
        }
    }
}

/// A foreign table's server and options.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its OID.
    pub relation: Oid,
    /// Its server.
    pub server: Oid,
    /// Its options.
    pub options: Vec<RawOption>,
}

/// A foreign table by OID.
pub fn table(relation: Oid) -> Table {
    // SAFETY: raises when it is no foreign table; everything is copied.
    unsafe {
        let table = pg_sys::GetForeignTable(relation);
        Table {
            relation,
            server: (*table).serverid,
            options: raw_options((*table).options),
        }
    }
}

/// The options of one column.
pub fn column_options(relation: Oid, attribute: i16) -> Vec<RawOption> {
    // SAFETY: a plain lookup that returns a list of DefElem.
    unsafe { raw_options(pg_sys::GetForeignColumnOptions(relation, attribute)) }
}

/// A column of a local relation.
#[derive(Debug, Clone)]
pub struct Attribute {
    /// Its number, from 1.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    pub of: Oid,
    /// Its type modifier.
    pub typmod: i32,
    /// Its collation.
    pub collation: Oid,
    /// Whether it is declared NOT NULL.
    pub not_null: bool,
}

/// The columns of a tuple descriptor that are not dropped.
///
/// # Safety
/// `desc` is a valid descriptor.
pub unsafe fn attributes(desc: pg_sys::TupleDesc) -> Vec<Attribute> {
    // SAFETY: the descriptor holds `natts` attributes.
    unsafe {
        let attrs = std::slice::from_raw_parts((*desc).attrs.as_ptr(), (*desc).natts as usize);
        attrs
            .iter()
            .filter(|a| !a.attisdropped)
            .map(|a| Attribute {
                number: a.attnum,
                name: borrowed(a.attname.data.as_ptr()),
                of: a.atttypid,
                typmod: a.atttypmod,
                collation: a.attcollation,
                not_null: a.attnotnull,
            })
            .collect()
    }
}

/// The columns of a relation that some lock already protects.
pub fn relation_attributes(relation: Oid) -> Vec<Attribute> {
    // SAFETY: the relation is opened without a lock of its own and closed again; callers hold one
    // (the planner and the executor lock every relation of a query first).
    unsafe {
        let opened = pg_sys::RelationIdGetRelation(relation);
        if opened.is_null() {
            return Vec::new();
        }
        let out = attributes((*opened).rd_att);
        pg_sys::RelationClose(opened);
        out
    }
}
