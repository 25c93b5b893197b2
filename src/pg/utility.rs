//! Statements that background workers have to make way for.

use super::list;
use super::sql::borrowed;
use pgrx::pg_sys::{self, NodeTag, Oid};
use std::cell::Cell;
use std::ffi::{CString, c_char};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// A database is dropped, renamed, moved or copied.
    Database(Oid),
    /// The extension of this database is dropped or updated.
    Extension,
}

/// Is told before such a statement (`true`) and after it, unless it failed (`false`).
type Watcher = fn(About, bool);

thread_local! {
    // A backend is one thread; both are set once.
    static WATCHER: Cell<Option<Watcher>> = const { Cell::new(None) };
    static NEXT: Cell<pg_sys::ProcessUtility_hook_type> = const { Cell::new(None) };
}

/// Installs the hook. Called once, by `_PG_init`.
pub fn on_statement(watcher: Watcher) {
    WATCHER.set(Some(watcher));
    // SAFETY: the hook variable belongs to this backend; the former hook is called by ours.
    unsafe {
        NEXT.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(utility);
    }
}

#[pgrx::pg_guard]
#[allow(clippy::too_many_arguments)]
unsafe extern "C-unwind" fn utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    dest: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the statement that Postgres is about to run.
    let about = unsafe { about((*statement).utilityStmt) };
    let watcher = WATCHER.get();
    if let (Some(about), Some(watcher)) = (about, watcher) {
        watcher(about, true);
    }
    // SAFETY: as Postgres calls it.
    unsafe {
        match NEXT.get() {
            Some(next) => pg_sys::ffi::pg_guard_ffi_boundary(|| {
                next(statement, text, read_only, context, params, environment, dest, completion);
            }),
            None => pg_sys::standard_ProcessUtility(
                statement,
                text,
                read_only,
                context,
                params,
                environment,
                dest,
                completion,
            ),
        }
    }
    if let (Some(about), Some(watcher)) = (about, watcher) {
        watcher(about, false);
    }
}

/// # Safety
/// `statement` is a utility statement.
unsafe fn about(statement: *mut pg_sys::Node) -> Option<About> {
    // SAFETY: the tag says what it is.
    unsafe {
        if statement.is_null() {
            return None;
        }
        match (*statement).type_ {
            NodeTag::T_DropdbStmt => database((*statement.cast::<pg_sys::DropdbStmt>()).dbname),
            NodeTag::T_RenameStmt => {
                let rename = &*statement.cast::<pg_sys::RenameStmt>();
                (rename.renameType == pg_sys::ObjectType::OBJECT_DATABASE)
                    .then(|| database(rename.subname))
                    .flatten()
            }
            NodeTag::T_AlterDatabaseStmt => {
                let alter = &*statement.cast::<pg_sys::AlterDatabaseStmt>();
                let moves = list::pointers::<pg_sys::DefElem>(alter.options)
                    .any(|option| borrowed((*option).defname) == "tablespace");
                if moves { database(alter.dbname) } else { None }
            }
            NodeTag::T_CreatedbStmt => {
                let create = &*statement.cast::<pg_sys::CreatedbStmt>();
                if !pg_sys::have_createdb_privilege() {
                    return None;
                }
                let template = list::pointers::<pg_sys::DefElem>(create.options)
                    .find(|option| borrowed((**option).defname) == "template")
                    .filter(|template| !(**template).arg.is_null());
                match template {
                    Some(template) => named(pg_sys::defGetString(template)),
                    None => named(c"template1".as_ptr()),
                }
            }
            NodeTag::T_DropStmt => {
                let drop = &*statement.cast::<pg_sys::DropStmt>();
                let ours = drop.removeType == pg_sys::ObjectType::OBJECT_EXTENSION
                    && list::pointers::<pg_sys::String>(drop.objects)
                        .any(|name| borrowed((*name).sval) == "warehouse");
                (ours && owns_extension()).then_some(About::Extension)
            }
            NodeTag::T_AlterExtensionStmt => {
                let alter = &*statement.cast::<pg_sys::AlterExtensionStmt>();
                (borrowed(alter.extname) == "warehouse" && owns_extension())
                    .then_some(About::Extension)
            }
            _ => None,
        }
    }
}

/// Whether the caller may drop or update the extension: who may not stops nothing.
fn owns_extension() -> bool {
    // SAFETY: plain lookups; missing is allowed.
    unsafe {
        let extension = pg_sys::get_extension_oid(c"warehouse".as_ptr(), true);
        extension != Oid::INVALID && pg_sys::pg_extension_ownercheck(extension, pg_sys::GetUserId())
    }
}

/// The database of this name, if the caller owns it.
///
/// # Safety
/// `name` is NULL or a string.
unsafe fn database(name: *const c_char) -> Option<About> {
    // SAFETY: the caller's promise; a plain question.
    unsafe {
        named(name).filter(|about| match about {
            About::Database(oid) => pg_sys::pg_database_ownercheck(*oid, pg_sys::GetUserId()),
            About::Extension => false,
        })
    }
}

/// # Safety
/// `name` is NULL or a string.
unsafe fn named(name: *const c_char) -> Option<About> {
    let name = CString::new(borrowed(name)).ok()?;
    // SAFETY: a plain lookup; missing is allowed.
    let oid = unsafe { pg_sys::get_database_oid(name.as_ptr(), true) };
    (oid != Oid::INVALID).then_some(About::Database(oid))
}
