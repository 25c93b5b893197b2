//! From records to rows.

use super::catalogue::{Column, ColumnType, OnError, Origin, Reading, Table};
use super::error::ApiError;
use super::tree::Tree;
use super::value::{Misfit, Row, Value, decode};
use std::collections::HashMap;

/// A record of an answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The record as it came.
    pub tree: Tree,
    /// What the connector knows of it besides.
    pub context: Vec<(&'static str, Tree)>,
}

impl Record {
    /// A record that stands for itself.
    pub fn of(tree: Tree) -> Record {
        Record { tree, context: Vec::new() }
    }
}

/// Where a value goes.
struct Slot {
    place: usize,
    rest: Vec<String>,
}

/// Makes rows of records. Members are looked up once a record, whatever the number of columns.
pub struct Extractor {
    table: String,
    columns: Vec<Column>,
    by_member: HashMap<String, Vec<Slot>>,
    others: Vec<usize>,
}

impl Extractor {
    /// For these columns of a table, by index.
    pub fn new(table: &Table, wanted: &[usize]) -> Extractor {
        let columns: Vec<Column> = wanted.iter().map(|&i| table.columns[i].clone()).collect();
        let mut by_member: HashMap<String, Vec<Slot>> = HashMap::new();
        let mut others = Vec::new();
        for (place, column) in columns.iter().enumerate() {
            match &column.origin {
                Origin::Path(path) if !path.is_empty() => {
                    let slot = Slot { place, rest: path[1..].to_vec() };
                    by_member.entry(path[0].clone()).or_default().push(slot);
                }
                _ => others.push(place),
            }
        }
        Extractor { table: table.name.clone(), columns, by_member, others }
    }

    /// The row of a record.
    pub fn row(&self, record: &Record) -> Result<Row, ApiError> {
        let mut row: Row = self
            .columns
            .iter()
            .map(|column| match column.reading {
                Reading::AbsentIsFalse => Value::Bool(false),
                _ => Value::Null,
            })
            .collect();
        if let Tree::Object(members) = &record.tree {
            for (name, value) in members {
                for slot in self.by_member.get(name).into_iter().flatten() {
                    self.fill(&mut row, slot, value)?;
                }
            }
        }
        for &place in &self.others {
            let column = &self.columns[place];
            row[place] = match &column.origin {
                Origin::Whole => self.read(column, &record.tree)?,
                Origin::Computed(compute) => self.read(column, &compute(&record.tree))?,
                Origin::Context(name) => {
                    match record.context.iter().find(|(known, _)| known == name) {
                        Some((_, value)) => self.read(column, value)?,
                        None => Value::Null,
                    }
                }
                Origin::Path(_) => Value::Null,
            };
        }
        Ok(row)
    }

    fn fill(&self, row: &mut Row, slot: &Slot, value: &Tree) -> Result<(), ApiError> {
        let found = slot.rest.iter().try_fold(value, |tree, name| tree.get(name));
        if let Some(found) = found {
            row[slot.place] = self.read(&self.columns[slot.place], found)?;
        }
        Ok(())
    }

    fn read(&self, column: &Column, value: &Tree) -> Result<Value, ApiError> {
        read(column, value).map_err(|Misfit| ApiError::Value {
            table: self.table.clone(),
            column: column.name.clone(),
            of: column.of.sql(),
        })
    }
}

fn read(column: &Column, value: &Tree) -> Result<Value, Misfit> {
    match column.reading {
        Reading::Plain => decode(value, &column.of),
        Reading::AbsentIsFalse => match decode(value, &column.of)? {
            Value::Null => Ok(Value::Bool(false)),
            value => Ok(value),
        },
        Reading::ValueOf => match value {
            Tree::Object(_) => decode(value.get("value").unwrap_or(&Tree::Null), &column.of),
            other => decode(other, &column.of),
        },
        Reading::Computed(on_error) => computed(column, value, on_error),
    }
}

/// A member that stands where a computed value should.
fn is_error(value: &Tree) -> bool {
    matches!(value, Tree::Object(_))
        && (value.get("error").is_some() || value.get("specialValue").is_some())
}

fn computed(column: &Column, value: &Tree, on_error: OnError) -> Result<Value, Misfit> {
    if column.of == ColumnType::Json {
        return decode(value, &column.of);
    }
    let fallen = |value: &Tree| match (is_error(value), on_error) {
        (true, OnError::Error) => Err(Misfit),
        (is_error, _) => Ok(is_error),
    };
    match (value, &column.of) {
        (Tree::List(items), ColumnType::Array(element)) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                out.push(if fallen(item)? { Value::Null } else { decode(item, element)? });
            }
            Ok(Value::Array(out))
        }
        // A formula over a lookup answers an array where its result type is a scalar.
        (Tree::List(items), of) => match items.as_slice() {
            [] => Ok(Value::Null),
            [only] => {
                if fallen(only)? {
                    Ok(Value::Null)
                } else {
                    decode(only, of)
                }
            }
            _ if *of == ColumnType::Text => Ok(Value::Text(value.to_json())),
            _ => Err(Misfit),
        },
        _ => {
            if fallen(value)? {
                Ok(Value::Null)
            } else {
                decode(value, &column.of)
            }
        }
    }
}
