//! The form in which what two readers found is compared: null and absent are the same, and so are an
//! empty object and empty text, since XML does not tell them apart.

use serde_json::{Map, Value};

/// A record in that form.
pub fn canonical(value: &Value) -> Value {
    walk(value, &|name| name.to_owned())
}

/// The same with the names that SDKs for JavaScript give members: `three_d_secure` is
/// `threeDSecure`.
pub fn camel_case(value: &Value) -> Value {
    walk(value, &to_camel_case)
}

fn walk(value: &Value, rename: &dyn Fn(&str) -> String) -> Value {
    match value {
        Value::Object(members) => {
            let kept: Map<String, Value> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (rename(name), walk(value, rename)))
                .collect();
            // Of one with nothing but nulls, only the nulls tell that it is an object.
            if members.is_empty() { Value::from("") } else { Value::Object(kept) }
        }
        Value::Array(items) => items.iter().map(|item| walk(item, rename)).collect(),
        other => other.clone(),
    }
}

fn to_camel_case(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut letters = name.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next) if letter == '_' && (next.is_ascii_lowercase() || next.is_ascii_digit()) => {
                result.push(next.to_ascii_uppercase());
                letters.next();
            }
            _ => result.push(letter),
        }
    }
    result
}

/// Where `found` lacks or contradicts something of `wanted`; what it has beyond is no difference.
pub fn missing(wanted: &Value, found: &Value) -> Option<String> {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(name, value)| {
            let other = found.get(name).unwrap_or(&Value::Null);
            missing(value, other).map(|path| format!(".{name}{path}"))
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            wanted.iter().zip(found).enumerate().find_map(|(place, (wanted, found))| {
                missing(wanted, found).map(|path| format!("[{place}]{path}"))
            })
        }
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => None,
        (wanted, found) if wanted == found => None,
        (wanted, found) => Some(format!(": {found} instead of {wanted}")),
    }
}

/// Where the two differ, in either direction.
pub fn difference(wanted: &Value, found: &Value) -> Option<String> {
    missing(wanted, found)
        .or_else(|| missing(found, wanted).map(|path| format!("{path} (the other way round)")))
}
