//! What Postgres knows about a type, an operator, a function or a collation.

use super::sql::owned;
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

thread_local! {
    // What comes with the server does not change: it is looked up once a session.
    static TYPE_NAMES: RefCell<HashMap<u32, String>> = RefCell::default();
    static FUNCTIONS: RefCell<HashMap<u32, Rc<Function>>> = RefCell::default();
    static OPERATORS: RefCell<HashMap<u32, String>> = RefCell::default();
    static FACTS: RefCell<HashMap<u32, TypeFacts>> = RefCell::default();
    static FINAL_FUNCTIONS: RefCell<HashMap<u32, bool>> = RefCell::default();
}

/// What a built-in object is known for.
fn once<T: Clone>(
    known: &'static std::thread::LocalKey<RefCell<HashMap<u32, T>>>,
    oid: Oid,
    find: impl FnOnce() -> Option<T>,
) -> Option<T> {
    if !is_builtin(oid) {
        return find();
    }
    if let Some(found) = known.with_borrow(|known| known.get(&oid.to_u32()).cloned()) {
        return Some(found);
    }
    let found = find()?;
    known.with_borrow_mut(|known| known.insert(oid.to_u32(), found.clone()));
    Some(found)
}

/// Objects below this OID come with the server and are the same everywhere
/// (`FirstGenbkiObjectId` in access/transam.h).
const FIRST_UNPINNED: u32 = 10_000;

/// Whether an object is part of every server.
pub fn is_builtin(oid: Oid) -> bool {
    oid.to_u32() < FIRST_UNPINNED
}

/// The name of a type in SQL, qualified unless it is built in.
pub fn type_name(oid: Oid, typmod: i32) -> String {
    let name = || {
        let mut flags = pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN as u16;
        if !is_builtin(oid) {
            flags |= pg_sys::FORMAT_TYPE_FORCE_QUALIFY as u16;
        }
        // SAFETY: format_type_extended returns a palloc'd string for any OID.
        owned(unsafe { pg_sys::format_type_extended(oid, typmod, flags) })
    };
    if typmod != -1 {
        return name();
    }
    once(&TYPE_NAMES, oid, || Some(name())).unwrap_or_default()
}

/// A pg_proc row as far as shipping needs it.
#[derive(Debug, Clone)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `i`, `s` or `v`.
    pub volatility: u8,
}

/// Looks a function up.
pub fn function(oid: Oid) -> Option<Rc<Function>> {
    once(&FUNCTIONS, oid, || look_up(oid).map(Rc::new))
}

fn look_up(oid: Oid) -> Option<Function> {
    // SAFETY: the tuple is released before its memory could go; the struct is the catalog's row.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::PROCOID as i32, oid.into());
        if tuple.is_null() {
            return None;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>();
        let name = name_data(&(*form).proname);
        let volatility = (*form).provolatile as u8;
        pg_sys::ReleaseSysCache(tuple);
        Some(Function { name, volatility })
    }
}

/// An operator's symbol.
pub fn operator(oid: Oid) -> Option<String> {
    once(&OPERATORS, oid, || look_operator_up(oid))
}

fn look_operator_up(oid: Oid) -> Option<String> {
    // SAFETY: as above.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, oid.into());
        if tuple.is_null() {
            return None;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let name = name_data(&(*form).oprname);
        pg_sys::ReleaseSysCache(tuple);
        Some(name)
    }
}

/// The function of an operator.
pub fn operator_function(oid: Oid) -> Oid {
    // SAFETY: a plain lookup.
    unsafe { pg_sys::get_opcode(oid) }
}

/// The schema of a function.
pub fn function_schema(oid: Oid) -> String {
    // SAFETY: a plain lookup.
    namespace_name(unsafe { pg_sys::get_func_namespace(oid) })
}

/// The schema of an operator.
pub fn operator_schema(oid: Oid) -> String {
    // SAFETY: the tuple is released before its memory could go; the struct is the catalog's row.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, oid.into());
        if tuple.is_null() {
            return String::new();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let namespace = (*form).oprnamespace;
        pg_sys::ReleaseSysCache(tuple);
        namespace_name(namespace)
    }
}

/// The extension that an object of a catalog belongs to, if it belongs to one.
pub fn extension_of(class: Oid, object: Oid) -> Option<Oid> {
    // SAFETY: a plain lookup in pg_depend.
    let extension = unsafe { pg_sys::getExtensionOfObject(class, object) };
    (extension != Oid::INVALID).then_some(extension)
}

/// An extension by its name.
pub fn extension(name: &str) -> Option<Oid> {
    let name = std::ffi::CString::new(name).ok()?;
    // SAFETY: a plain lookup.
    let oid = unsafe { pg_sys::get_extension_oid(name.as_ptr(), true) };
    (oid != Oid::INVALID).then_some(oid)
}

fn name_data(name: &pg_sys::NameData) -> String {
    // SAFETY: a NameData is NUL-padded.
    unsafe { std::ffi::CStr::from_ptr(name.data.as_ptr()) }.to_string_lossy().into_owned()
}

/// A schema's name.
pub fn namespace_name(oid: Oid) -> String {
    // SAFETY: returns NULL or a palloc'd string.
    owned(unsafe { pg_sys::get_namespace_name(oid) })
}

/// A relation's name.
pub fn relation_name(oid: Oid) -> String {
    // SAFETY: returns NULL or a palloc'd string.
    owned(unsafe { pg_sys::get_rel_name(oid) })
}

/// A relation's schema and name, quoted, for messages.
pub fn relation_label(oid: Oid) -> String {
    format!("\"{}\"", relation_plain_label(oid))
}

/// A relation's schema and name.
pub fn relation_plain_label(oid: Oid) -> String {
    // SAFETY: a plain lookup.
    let schema = namespace_name(unsafe { pg_sys::get_rel_namespace(oid) });
    format!("{schema}.{}", relation_name(oid))
}

/// A collation's qualified, quoted name.
pub fn collation_name(oid: Oid) -> String {
    // SAFETY: returns a palloc'd string.
    owned(unsafe { pg_sys::generate_collation_name(oid) })
}

/// The facts of a type that decide how it travels.
#[derive(Debug, Clone, Copy)]
pub struct TypeFacts {
    /// `b`ase, `c`omposite, `d`omain, `e`num, `p`seudo, `r`ange, `m`ultirange.
    pub kind: u8,
    /// Element type if it is a true array.
    pub element: Oid,
    /// Whether it has a receive function.
    pub receives: bool,
}

/// Looks a type up.
pub fn facts(oid: Oid) -> Option<TypeFacts> {
    once(&FACTS, oid, || look_type_up(oid))
}

fn look_type_up(oid: Oid) -> Option<TypeFacts> {
    // SAFETY: as above.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, oid.into());
        if tuple.is_null() {
            return None;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let facts = TypeFacts {
            kind: (*form).typtype as u8,
            element: if (*form).typsubscript.to_u32() == pg_sys::F_ARRAY_SUBSCRIPT_HANDLER {
                (*form).typelem
            } else {
                Oid::INVALID
            },
            receives: (*form).typreceive != Oid::INVALID,
        };
        pg_sys::ReleaseSysCache(tuple);
        Some(facts)
    }
}

/// The base type under any number of domains.
pub fn base_type(oid: Oid) -> Oid {
    // None of the types that are the same everywhere is a domain.
    if is_builtin(oid) {
        return oid;
    }
    // SAFETY: a plain lookup.
    unsafe { pg_sys::getBaseType(oid) }
}

/// What a range type is made of.
pub fn range_subtype(range: Oid) -> Oid {
    // SAFETY: a plain lookup.
    unsafe { pg_sys::get_range_subtype(range) }
}

/// Whether an aggregate makes its result from its transition value by a function.
pub fn has_final_function(aggregate: Oid) -> bool {
    once(&FINAL_FUNCTIONS, aggregate, || Some(look_final_function_up(aggregate))).unwrap_or(true)
}

fn look_final_function_up(aggregate: Oid) -> bool {
    // SAFETY: the tuple is released before its memory could go; the struct is the catalog's row.
    unsafe {
        let tuple =
            pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::AGGFNOID as i32, aggregate.into());
        if tuple.is_null() {
            return true;
        }
        // The fifth column of pg_aggregate, aggfinalfn.
        let mut null = false;
        let cache = pg_sys::SysCacheIdentifier::AGGFNOID as i32;
        let value = pg_sys::SysCacheGetAttr(cache, tuple, 5, &mut null);
        let found = !null && value.value() != 0;
        pg_sys::ReleaseSysCache(tuple);
        found
    }
}

/// Whether values are equal under a collation exactly when their text forms are the same bytes.
pub fn compares_as_text(of: Oid, collation: Oid) -> bool {
    matches!(of, pg_sys::TEXTOID | pg_sys::VARCHAROID) && is_deterministic(collation)
}

/// Whether values are equal under a collation only if their bytes are the same.
pub fn is_deterministic(collation: Oid) -> bool {
    // "default", "C" and "POSIX" are.
    // SAFETY: a plain lookup.
    is_builtin(collation) || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// Whether a value may hold a moment with a time zone: the text form of one has an abbreviation of the
/// zone in it under some settings of DateStyle.
pub fn may_hold_instant(of: Oid) -> bool {
    // SAFETY: raises an ordinary ERROR when the stack is nearly full.
    unsafe { pg_sys::check_stack_depth() };
    let Some(facts) = facts(of) else { return true };
    match facts.kind {
        _ if facts.element != Oid::INVALID => may_hold_instant(facts.element),
        b'd' => may_hold_instant(base_type(of)),
        b'c' => super::catalog::relation_attributes(composite_relation(of))
            .into_iter()
            .any(|attribute| may_hold_instant(attribute.of)),
        b'r' => may_hold_instant(range_subtype(of)),
        // SAFETY: a plain lookup.
        b'm' => may_hold_instant(unsafe { pg_sys::get_multirange_range(of) }),
        _ => matches!(of, pg_sys::TIMESTAMPTZOID | pg_sys::TIMETZOID),
    }
}

/// The relation that holds the columns of a composite type.
fn composite_relation(of: Oid) -> Oid {
    // SAFETY: a plain lookup.
    unsafe { pg_sys::get_typ_typrelid(of) }
}

/// Whether a type is an enum.
pub fn is_enum(oid: Oid) -> bool {
    facts(oid).is_some_and(|facts| facts.kind == b'e')
}

/// The operators that sort a type upwards and downwards by default, invalid where there are none.
pub fn default_order(of: Oid) -> (Oid, Oid) {
    let wanted = (pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_GT_OPR) as i32;
    // SAFETY: the cache entry stays valid for the session.
    unsafe {
        let entry = pg_sys::lookup_type_cache(of, wanted);
        ((*entry).lt_opr, (*entry).gt_opr)
    }
}

/// The operator that compares values of a type for equality, invalid if there is none.
pub fn default_equality(of: Oid) -> Oid {
    // SAFETY: as above.
    unsafe { (*pg_sys::lookup_type_cache(of, pg_sys::TYPECACHE_EQ_OPR as i32)).eq_opr }
}

/// A type by its name in SQL, if there is one.
pub fn by_name(name: &str) -> Option<Oid> {
    let found = super::sql::value::<Oid>(
        "SELECT pg_catalog.to_regtype($1)::pg_catalog.oid",
        &[name.into()],
    );
    found.ok().flatten()
}

/// Whether a type belongs to an extension.
pub fn is_extension_type(oid: Oid) -> bool {
    extension_of(pg_sys::TypeRelationId, oid).is_some()
}

/// Whether a type is that of this name which the extension of the same name brings.
pub fn is_of_extension(oid: Oid, name: &str) -> bool {
    let owner = extension_of(pg_sys::TypeRelationId, oid);
    owner.is_some() && owner == extension(name) && bare_name(oid) == name
}

/// The name of a type without its schema.
fn bare_name(oid: Oid) -> String {
    // SAFETY: the tuple is released before its memory could go; the struct is the catalog's row.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, oid.into());
        if tuple.is_null() {
            return String::new();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let name = name_data(&(*form).typname);
        pg_sys::ReleaseSysCache(tuple);
        name
    }
}
