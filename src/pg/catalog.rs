//! Foreign servers, user mappings and the options of foreign tables and their columns.

use super::error::{Error, Result};
use super::list;
use super::sql::{borrowed, owned};
use pgrx::pg_sys::Oid;
use pgrx::{PgSqlErrorCode, pg_sys};
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

/// A user mapping of one role or of PUBLIC.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Its OID: the key of a connection.
    pub oid: Oid,
    /// The role it is for; invalid for PUBLIC.
    pub user: Oid,
    /// Its options, secrets among them.
    pub options: Vec<RawOption>,
}

/// The mapping `user` has on `server`, its own or PUBLIC's; `None` where there is neither.
pub fn mapping(user: Oid, server: Oid) -> Option<Mapping> {
    // SAFETY: plain lookups whose tuple is released at once; GetUserMapping finds what they found.
    unsafe {
        let owner = [user, Oid::INVALID].into_iter().find(|user| {
            let tuple = pg_sys::SearchSysCache2(
                pg_sys::SysCacheIdentifier::USERMAPPINGUSERSERVER as i32,
                (*user).into(),
                server.into(),
            );
            let found = !tuple.is_null();
            if found {
                pg_sys::ReleaseSysCache(tuple);
            }
            found
        })?;
        let mapping = pg_sys::GetUserMapping(user, server);
        Some(Mapping {
            oid: (*mapping).umid,
            user: owner,
            options: raw_options((*mapping).options),
        })
    }
}

/// A foreign table's server and options.
#[derive(Debug, Clone)]
pub struct Table {
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
        Table { server: (*table).serverid, options: raw_options((*table).options) }
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

/// Which tables IMPORT FOREIGN SCHEMA asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportScope {
    /// All of them.
    All,
    /// LIMIT TO.
    Only(Vec<String>),
    /// EXCEPT.
    Except(Vec<String>),
}

/// An IMPORT FOREIGN SCHEMA statement.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// The schema there.
    pub remote_schema: String,
    /// The schema here.
    pub local_schema: String,
    /// Which tables.
    pub scope: ImportScope,
    /// Its options.
    pub options: Vec<RawOption>,
}

impl ImportRequest {
    /// # Safety
    /// `statement` is valid.
    pub unsafe fn new(statement: *mut pg_sys::ImportForeignSchemaStmt) -> Self {
        use pg_sys::ImportForeignSchemaType as T;
        // SAFETY: the statement's own parts.
        unsafe {
            let s = &*statement;
            let names = || {
                list::pointers::<pg_sys::RangeVar>(s.table_list)
                    .map(|range| borrowed((*range).relname))
                    .collect()
            };
            ImportRequest {
                remote_schema: borrowed(s.remote_schema),
                local_schema: borrowed(s.local_schema),
                scope: match s.list_type {
                    T::FDW_IMPORT_SCHEMA_LIMIT_TO => ImportScope::Only(names()),
                    T::FDW_IMPORT_SCHEMA_EXCEPT => ImportScope::Except(names()),
                    _ => ImportScope::All,
                },
                options: raw_options(s.options),
            }
        }
    }

    /// The tables that LIMIT TO names.
    pub fn named(&self) -> &[String] {
        match &self.scope {
            ImportScope::Only(names) => names,
            ImportScope::All | ImportScope::Except(_) => &[],
        }
    }

    /// Whether a table is asked for.
    pub fn wants(&self, table: &str) -> bool {
        match &self.scope {
            ImportScope::All => true,
            ImportScope::Only(names) => names.iter().any(|name| name == table),
            ImportScope::Except(names) => !names.iter().any(|name| name == table),
        }
    }
}

/// A relation by schema and name, if there is one.
pub fn relation_by_name(schema: &str, name: &str) -> Option<Oid> {
    let (schema, name) = (CString::new(schema).ok()?, CString::new(name).ok()?);
    // SAFETY: NUL-terminated names; missing is allowed.
    let found = unsafe {
        let namespace = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        if namespace == Oid::INVALID {
            return None;
        }
        pg_sys::get_relname_relid(name.as_ptr(), namespace)
    };
    (found != Oid::INVALID).then_some(found)
}

/// The number of columns of a tuple descriptor, dropped ones too.
///
/// # Safety
/// `desc` is a valid descriptor.
pub unsafe fn descriptor_width(desc: pg_sys::TupleDesc) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*desc).natts as usize }
}

/// The name of a role, `None` for PUBLIC.
pub fn role_name(role: Oid) -> Option<String> {
    if role == Oid::INVALID {
        return None;
    }
    // SAFETY: missing is allowed; the name is palloc'd.
    Some(super::sql::owned(unsafe { pg_sys::GetUserNameFromId(role, true) }))
}

/// The servers of a wrapper that the current role may use, by name.
pub fn usable_servers(wrapper: &str) -> Vec<Oid> {
    super::sql::value::<Vec<Oid>>(
        "SELECT COALESCE(pg_catalog.array_agg(s.oid ORDER BY s.srvname), '{}') \
         FROM pg_catalog.pg_foreign_server s JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE w.fdwname = $1 AND pg_catalog.has_server_privilege(s.oid, 'USAGE')",
        &[wrapper.into()],
    )
    .ok()
    .flatten()
    .unwrap_or_default()
}

/// Whether there is a schema of this name.
pub fn schema_exists(name: &str) -> bool {
    let Ok(name) = CString::new(name) else { return false };
    // SAFETY: NUL-terminated name; missing is allowed.
    unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) != Oid::INVALID }
}

/// Whether the current role owns a relation, or may act as its owner.
pub fn owns_relation(relation: Oid) -> bool {
    // SAFETY: plain questions.
    unsafe { pg_sys::pg_class_ownercheck(relation, pg_sys::GetUserId()) }
}

/// Whether the current role may read a relation, or some of its columns.
pub fn may_select(relation: Oid) -> bool {
    let kind = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: plain questions.
    unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(relation, user, kind) == pg_sys::AclResult::ACLCHECK_OK
            || pg_sys::pg_attribute_aclcheck_all(
                relation,
                user,
                kind,
                pg_sys::AclMaskHow::ACLMASK_ANY,
            ) == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Whether a table of this database has any pages: one without has no rows.
pub fn has_pages(table: Oid) -> bool {
    // SAFETY: the relation is opened for reading and closed again.
    unsafe {
        let lock = pg_sys::AccessShareLock as i32;
        let opened = pg_sys::relation_open(table, lock);
        let fork = pg_sys::ForkNumber::MAIN_FORKNUM;
        let pages = pg_sys::RelationGetNumberOfBlocksInFork(opened, fork);
        pg_sys::relation_close(opened, lock);
        pages > 0
    }
}

/// The partitions of a partitioned table on which the caller holds a lock.
pub fn partitions(table: Oid) -> Vec<Oid> {
    // SAFETY: the relation is opened without a lock of its own and closed again; the descriptor lives
    // as long as it is open.
    unsafe {
        let opened = pg_sys::RelationIdGetRelation(table);
        if opened.is_null() {
            return Vec::new();
        }
        let parts = pg_sys::RelationGetPartitionDesc(opened, true);
        let found = (0..(*parts).nparts as usize).map(|i| *(*parts).oids.add(i)).collect();
        pg_sys::RelationClose(opened);
        found
    }
}

/// Whether a partitioned table has a partition that is a foreign table of this wrapper.
pub fn has_foreign_partition(table: Oid, wrapper: &str) -> bool {
    partitions(table).into_iter().any(|child| is_foreign_of(child, wrapper))
}

/// Whether a relation on which the caller holds a lock is a foreign table of this wrapper.
pub fn is_foreign_of(relation: Oid, wrapper: &str) -> bool {
    // SAFETY: plain lookups.
    unsafe {
        pg_sys::get_rel_relkind(relation) as u8 == pg_sys::RELKIND_FOREIGN_TABLE && {
            let server = pg_sys::GetForeignServer(pg_sys::GetForeignServerIdByRelId(relation));
            let found = pg_sys::GetForeignDataWrapper((*server).fdwid);
            borrowed((*found).fdwname) == wrapper
        }
    }
}

/// The owner of a relation.
pub fn relation_owner(relation: Oid) -> Option<Oid> {
    // SAFETY: the tuple is released before its memory could go; the struct is the catalog's row.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::RELOID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, relation.into());
        if tuple.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(tuple);
        Some(owner)
    }
}

/// The number of a relation's column, if there is one of this name.
pub fn column_number(relation: Oid, name: &str) -> Option<i16> {
    let name = CString::new(name).ok()?;
    // SAFETY: NUL-terminated name; 0 for none.
    let number = unsafe { pg_sys::get_attnum(relation, name.as_ptr()) };
    (number > 0).then_some(number)
}

/// The name of a relation's column, if there is one of this number.
pub fn column_name(relation: Oid, number: i16) -> Option<String> {
    // SAFETY: a missing one is allowed; the name is palloc'd.
    let name = unsafe { pg_sys::get_attname(relation, number, true) };
    (!name.is_null()).then(|| owned(name))
}

/// The name of the handler function of a server's wrapper.
pub fn handler_name(server: Oid) -> String {
    // SAFETY: plain lookups, which raise where there is no such server; the name is palloc'd.
    unsafe {
        let server = pg_sys::GetForeignServer(server);
        let wrapper = pg_sys::GetForeignDataWrapper((*server).fdwid);
        owned(pg_sys::get_func_name((*wrapper).fdwhandler))
    }
}
