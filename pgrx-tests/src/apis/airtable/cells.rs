//! Cells as formulas see them, as text, and as records show them.

use serde_json::{Map, Value, json};

use super::data::{Field, Record, Table};
use super::formula::{Computed, Scope, Ways};
use crate::apis::calendar::parse;

/// A record within its base, for a formula.
pub(super) struct Row<'a> {
    pub(super) tables: &'a [Table],
    pub(super) table: &'a Table,
    pub(super) record: &'a Record,
    pub(super) ways: Ways,
}

impl Scope for Row<'_> {
    fn field(&self, place: usize) -> Computed {
        let field = &self.table.fields[place];
        computed(self.tables, field, self.record.cell(field, place).as_ref())
    }

    fn id(&self) -> &str {
        &self.record.id
    }

    fn created(&self) -> i64 {
        self.record.created
    }

    fn modified(&self) -> i64 {
        self.record.modified
    }

    fn ways(&self) -> Ways {
        self.ways
    }
}

/// What a formula takes a cell for.
pub(super) fn computed(tables: &[Table], field: &Field, value: Option<&Value>) -> Computed {
    let kind = field.value_kind();
    match value {
        None | Some(Value::Null) if kind == "checkbox" => Computed::Bool(false),
        None | Some(Value::Null) => Computed::Blank,
        Some(Value::Array(items)) => Computed::List(
            items
                .iter()
                .map(|item| match (kind, item) {
                    ("multipleRecordLinks", Value::String(id)) => linked(tables, field, id),
                    _ => single(kind, item),
                })
                .collect(),
        ),
        Some(value) => single(kind, value),
    }
}

fn single(kind: &str, value: &Value) -> Computed {
    match value {
        Value::Null | Value::Array(_) => Computed::Blank,
        Value::Bool(flag) => Computed::Bool(*flag),
        Value::Number(number) => number.as_f64().map_or(Computed::Error, Computed::Number),
        Value::String(text) => match kind {
            "date" => parse(text).map_or(Computed::Error, Computed::Date),
            "dateTime" | "createdTime" | "lastModifiedTime" => {
                parse(text).map_or(Computed::Error, Computed::Time)
            }
            _ => Computed::Text(text.clone()),
        },
        Value::Object(members) => {
            if members.contains_key("error") {
                return Computed::Error;
            }
            match members.get("specialValue").and_then(Value::as_str) {
                Some("NaN") => return Computed::Number(f64::NAN),
                Some("Infinity") => return Computed::Number(f64::INFINITY),
                Some(_) => return Computed::Number(f64::NEG_INFINITY),
                None => {}
            }
            // A file, a code, a button, a person, or what a machine has written.
            let names = ["filename", "text", "label", "name", "email", "value"];
            let text = names.iter().find_map(|name| members.get(*name)?.as_str());
            text.map_or(Computed::Blank, |text| Computed::Text(text.to_owned()))
        }
    }
}

/// A linked record by its name.
fn linked(tables: &[Table], field: &Field, id: &str) -> Computed {
    let to = field.options["linkedTableId"].as_str();
    let table = tables.iter().find(|table| Some(table.id.as_str()) == to);
    let record = table.and_then(|table| Some((table, table.record(id)?)));
    match record {
        Some((table, record)) => computed(tables, &table.fields[0], record.cells[0].as_ref()),
        None => Computed::Blank,
    }
}

/// How records are shown.
#[derive(Debug, Default, Clone)]
pub(super) struct Showing {
    /// Places of the fields; `None` shows all.
    pub(super) fields: Option<Vec<usize>>,
    pub(super) by_id: bool,
    pub(super) as_text: bool,
    pub(super) with_comment_count: bool,
}

impl Showing {
    /// A record as it is answered. Blank cells are left out.
    pub(super) fn record(&self, tables: &[Table], table: &Table, record: &Record) -> Value {
        let mut fields = Map::new();
        let all: Vec<usize>;
        let places = match &self.fields {
            Some(places) => places,
            None => {
                all = (0..table.fields.len()).collect();
                &all
            }
        };
        for place in places {
            let field = &table.fields[*place];
            let Some(value) = record.cell(field, *place) else { continue };
            let value = if self.as_text { text(tables, field, &value) } else { value };
            let name = if self.by_id { &field.id } else { &field.name };
            fields.insert(name.clone(), value);
        }
        let mut shown = json!({
            "id": record.id,
            "createdTime": crate::apis::calendar::to_millisecond(record.created),
            "fields": fields,
        });
        if self.with_comment_count {
            shown["commentCount"] = json!(record.comments.len());
        }
        shown
    }
}

/// A cell as `cellFormat=string` shows it.
fn text(tables: &[Table], field: &Field, value: &Value) -> Value {
    use super::formula::Computed as C;
    let computed = computed(tables, field, Some(value));
    let digits = field.options["precision"].as_u64().and_then(|it| usize::try_from(it).ok());
    Value::from(match (computed, field.kind) {
        (C::Bool(true), _) => "checked".to_owned(),
        (C::Error, _) => "#ERROR!".to_owned(),
        (C::Number(number), "percent") => {
            format!("{:.digits$}%", number * 100.0, digits = digits.unwrap_or(0))
        }
        (C::Number(number), "currency") => format!(
            "{}{number:.digits$}",
            field.options["symbol"].as_str().unwrap_or_default(),
            digits = digits.unwrap_or(2)
        ),
        (C::Number(number), _) => match digits {
            Some(digits) => format!("{number:.digits$}"),
            None => number.to_string(),
        },
        (other, _) => super::formula::text_of(&other),
    })
}
