//! Fields of tables, as the schema describes them.

use serde_json::{Value, json};

/// A field.
#[derive(Debug, Clone)]
pub(in crate::apis::airtable) struct Field {
    pub(in crate::apis::airtable) id: String,
    pub(in crate::apis::airtable) name: String,
    pub(in crate::apis::airtable) description: Option<&'static str>,
    pub(in crate::apis::airtable) kind: &'static str,
    pub(in crate::apis::airtable) options: Value,
}

impl Field {
    pub(super) fn new(id: String, name: &str, kind: &'static str, options: Value) -> Field {
        Field { id, name: name.to_owned(), description: None, kind, options }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut shown = json!({"id": self.id, "name": self.name, "type": self.kind});
        if !self.options.is_null() {
            shown["options"] = self.options.clone();
        }
        if let Some(description) = self.description {
            shown["description"] = json!(description);
        }
        shown
    }

    /// The type that its values have: of a formula, a rollup or a lookup that of the result.
    pub(in crate::apis::airtable) fn value_kind(&self) -> &str {
        self.options["result"]["type"].as_str().unwrap_or(self.kind)
    }
}

/// Whether nobody can write to fields of a kind.
pub(in crate::apis::airtable) fn is_computed(kind: &str) -> bool {
    matches!(
        kind,
        "autoNumber"
            | "button"
            | "count"
            | "createdBy"
            | "createdTime"
            | "externalSyncSource"
            | "formula"
            | "lastModifiedBy"
            | "lastModifiedTime"
            | "manualSort"
            | "multipleLookupValues"
            | "rollup"
            | "aiText"
    )
}

/// Options of a number with so many digits after the point.
pub(super) fn precision(digits: u32) -> Value {
    json!({"precision": digits})
}

/// Options of a date.
pub(super) fn date() -> Value {
    json!({"dateFormat": {"name": "iso", "format": "YYYY-MM-DD"}})
}

/// Options of a date with a time.
pub(super) fn date_time() -> Value {
    json!({
        "dateFormat": {"name": "iso", "format": "YYYY-MM-DD"},
        "timeFormat": {"name": "24hour", "format": "HH:mm"},
        "timeZone": "utc",
    })
}

/// Options of a select.
pub(super) fn choices(names: &[&str]) -> Value {
    let choices: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(number, name)| {
            json!({"id": format!("sel{number:014}"), "name": name, "color": "blueLight2"})
        })
        .collect();
    json!({"choices": choices})
}
