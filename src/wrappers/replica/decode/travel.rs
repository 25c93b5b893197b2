//! In which form the values of a type come from the source.

use crate::pg::types;
use pgrx::pg_sys::{self, Oid};

/// How a column travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Travel {
    /// In the type's binary form.
    Binary,
    /// Cast to text at the source, read by the input function here.
    Text,
}

/// How a type has to travel to arrive as what it is.
pub fn travel(of: Oid) -> Travel {
    let Some(facts) = types::facts(of) else { return Travel::Text };
    match facts.kind as char {
        'd' => travel(types::base_type(of)),
        'e' => Travel::Binary,
        'b' | 'r' | 'm' if types::is_builtin(of) && facts.receives && !names_objects(of) => {
            match facts.element {
                Oid::INVALID => Travel::Binary,
                element => travel(element),
            }
        }
        _ => Travel::Text,
    }
}

/// The types that name objects by OID: the same number means another object elsewhere.
fn names_objects(of: Oid) -> bool {
    matches!(
        of,
        pg_sys::REGPROCOID
            | pg_sys::REGPROCEDUREOID
            | pg_sys::REGOPEROID
            | pg_sys::REGOPERATOROID
            | pg_sys::REGCLASSOID
            | pg_sys::REGCOLLATIONOID
            | pg_sys::REGTYPEOID
            | pg_sys::REGROLEOID
            | pg_sys::REGNAMESPACEOID
            | pg_sys::REGCONFIGOID
            | pg_sys::REGDICTIONARYOID
            | pg_sys::REGPROCARRAYOID
            | pg_sys::REGPROCEDUREARRAYOID
            | pg_sys::REGOPERARRAYOID
            | pg_sys::REGOPERATORARRAYOID
            | pg_sys::REGCLASSARRAYOID
            | pg_sys::REGCOLLATIONARRAYOID
            | pg_sys::REGTYPEARRAYOID
            | pg_sys::REGROLEARRAYOID
            | pg_sys::REGNAMESPACEARRAYOID
            | pg_sys::REGCONFIGARRAYOID
            | pg_sys::REGDICTIONARYARRAYOID
            | pg_sys::XMLOID
            // Their receive functions refuse the empty ones that their input functions take.
            | pg_sys::INT2VECTOROID
            | pg_sys::OIDVECTOROID
    )
}
