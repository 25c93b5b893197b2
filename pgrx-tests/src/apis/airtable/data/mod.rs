//! What is in the bases: tables, fields, views and records; and where they come from.

mod contacts;
mod everything;
mod field;
mod generate;
mod odd;

use std::collections::HashMap;

use serde_json::{Value, json};

pub(super) use field::{Field, is_computed};
pub(super) use generate::{BASES, bases};

use crate::apis::calendar::to_millisecond;

/// A base. One without tables is only a name.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) permission: &'static str,
    pub(super) tables: Vec<Table>,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    /// The first is the primary one.
    pub(super) fields: Vec<Field>,
    pub(super) views: Vec<View>,
    /// In their order in the table. Removed ones leave a hole, so that numbers stay.
    pub(super) records: Vec<Option<Record>>,
    pub(super) index: HashMap<String, usize>,
    /// Counts what was created, for new ids.
    pub(super) created: u64,
}

/// A view: all records, or those whose field at a place has a value.
#[derive(Debug)]
pub(super) struct View {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) filled: Option<usize>,
    /// Places of the fields that it shows.
    pub(super) visible: Vec<usize>,
}

/// A record. Its cells are in the order of the fields; a blank one is `None`.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) modified: i64,
    pub(super) cells: Vec<Option<Value>>,
    pub(super) comments: Vec<Value>,
}

impl Table {
    /// The place of the field with this name or id.
    pub(super) fn field(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name == name || field.id == name)
    }

    /// The record with this id.
    pub(super) fn record(&self, id: &str) -> Option<&Record> {
        self.records.get(*self.index.get(id)?)?.as_ref()
    }

    /// The same, to be changed.
    pub(super) fn record_mut(&mut self, id: &str) -> Option<&mut Record> {
        self.records.get_mut(*self.index.get(id)?)?.as_mut()
    }

    /// Adds a record at the end.
    pub(super) fn push(&mut self, record: Record) {
        self.index.insert(record.id.clone(), self.records.len());
        self.records.push(Some(record));
    }

    /// Removes a record; false if there is none.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let number = self.index.remove(id);
        number.and_then(|number| self.records.get_mut(number)).and_then(Option::take).is_some()
    }

    /// As the schema shows it.
    pub(super) fn to_json(&self, with_visible: bool) -> Value {
        let views: Vec<Value> = self
            .views
            .iter()
            .map(|view| {
                let mut shown = json!({"id": view.id, "name": view.name, "type": view.kind});
                if with_visible && view.kind == "grid" {
                    let ids = view.visible.iter().map(|place| json!(self.fields[*place].id));
                    shown["visibleFieldIds"] = ids.collect();
                }
                shown
            })
            .collect();
        let mut shown = json!({
            "id": self.id,
            "name": self.name,
            "primaryFieldId": self.fields[0].id,
            "fields": self.fields.iter().map(Field::to_json).collect::<Vec<_>>(),
            "views": views,
        });
        if let Some(description) = &self.description {
            shown["description"] = json!(description);
        }
        shown
    }
}

impl Record {
    /// The value of a cell, also of those that come from the record itself.
    pub(super) fn cell(&self, field: &Field, place: usize) -> Option<Value> {
        match field.kind {
            "createdTime" => Some(json!(to_millisecond(self.created))),
            "lastModifiedTime" => Some(json!(to_millisecond(self.modified))),
            _ => self.cells.get(place)?.clone(),
        }
    }
}
