//! From a foreign table's options back to a table.

use super::fields::nature;
use super::import::system_columns;
use super::options::Options;
use super::schema::Field;
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Reading, Table};
use crate::connectors::options::{OptionError, unknown};
use std::time::Duration;

/// Options of a foreign table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableOptions {
    /// The base's id.
    pub base_id: Option<String>,
    /// The table's id.
    pub table_id: Option<String>,
    /// The field that tells of every change.
    pub cursor_field_id: Option<String>,
    /// One of the catalogue's tables instead of a base's.
    pub catalogue: Option<String>,
    /// How long answers may be reused, where it differs from the server.
    pub cache_ttl: Option<Duration>,
}

const NAMES: [&str; 5] = ["base_id", "table_id", "cursor_field_id", "catalogue", "cache_ttl"];

impl TableOptions {
    /// Parses the options of CREATE FOREIGN TABLE.
    pub fn parse<'a>(
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<TableOptions, OptionError> {
        let mut out = TableOptions::default();
        for (name, value) in options {
            match name {
                "base_id" => out.base_id = Some(id("base_id", value)?),
                "table_id" => out.table_id = Some(id("table_id", value)?),
                "cursor_field_id" => out.cursor_field_id = Some(id("cursor_field_id", value)?),
                "catalogue" => out.catalogue = Some(value.to_owned()),
                "cache_ttl" => {
                    out.cache_ttl = Some(crate::connectors::duration("cache_ttl", value)?);
                }
                name => return Err(unknown(name, &[&NAMES])),
            }
        }
        if out.catalogue.is_none() {
            out.base_id.as_ref().ok_or(OptionError::Missing { name: "base_id" })?;
            out.table_id.as_ref().ok_or(OptionError::Missing { name: "table_id" })?;
        }
        Ok(out)
    }
}

fn id(name: &'static str, value: &str) -> Result<String, OptionError> {
    if is_id(value) {
        Ok(value.to_owned())
    } else {
        Err(OptionError::Malformed { name, expected: "an id of letters and digits" })
    }
}

/// Whether a text has the form of an id.
pub fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// A column of a foreign table: its name, its type here, and its options.
#[derive(Debug, Clone)]
pub struct BoundColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type.
    pub of: ColumnType,
    /// Its options; those of other parts (class, mask) are passed over.
    pub options: Vec<(&'a str, &'a str)>,
}

/// The table that a foreign table stands for. Its type here counts: a column may be declared as text
/// or jsonb whatever its field is.
pub fn bind(
    name: &str,
    options: &TableOptions,
    columns: &[BoundColumn<'_>],
    server: &Options,
) -> Result<Table, OptionError> {
    if let Some(catalogue) = &options.catalogue {
        let known = super::catalogue(options.base_id.as_deref());
        let found = known.into_iter().find(|table| table.name == *catalogue);
        let mut table = found.ok_or(OptionError::Malformed {
            name: "catalogue",
            expected: "bases, tables, fields, views, comments or records",
        })?;
        table.name = name.to_owned();
        return Ok(table);
    }
    let mut out = Vec::with_capacity(columns.len());
    for bound in columns {
        out.push(column(bound, server)?);
    }
    let mut written = Vec::new();
    for (option, value) in [
        ("base_id", &options.base_id),
        ("table_id", &options.table_id),
        ("cursor_field_id", &options.cursor_field_id),
    ] {
        written.extend(value.iter().map(|value| (option.to_owned(), value.clone())));
    }
    Ok(Table {
        name: name.to_owned(),
        comment: None,
        columns: out,
        key: vec!["_id".to_owned()],
        cursor: Cursor::Changes { settle: 30 },
        needs: None,
        options: written,
    })
}

fn column(bound: &BoundColumn<'_>, server: &Options) -> Result<Column, OptionError> {
    let option = |wanted: &str| {
        bound.options.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value)
    };
    let Some(field_id) = option("field_id") else {
        let system = system_columns().into_iter().find(|column| column.name == bound.name);
        return system.ok_or(OptionError::Missing { name: "field_id" });
    };
    let field = Field {
        id: id("field_id", field_id)?,
        name: option("field_name").unwrap_or(bound.name).to_owned(),
        of: option("field_type").unwrap_or_default().to_owned(),
        options: None,
        description: None,
    };
    let nature = nature(&field, server);
    let mut column = Column::new(bound.name, bound.of.clone()).at(&[&field.id]);
    column.reading = match (field.of.as_str(), &bound.of) {
        ("formula" | "rollup" | "multipleLookupValues", _) => {
            Reading::Computed(server.on_formula_error)
        }
        // Someone may want all of it.
        ("aiText", ColumnType::Json) => Reading::Plain,
        _ => nature.reading,
    };
    // Formulas compare what the field holds, so that the column has to hold the same.
    let fits = match (&nature.filter, &bound.of) {
        (Filter::Text(_), of) => *of == ColumnType::Text,
        (Filter::Number(_), of) => {
            matches!(of, ColumnType::Numeric | ColumnType::BigInt | ColumnType::Integer)
        }
        (Filter::Flag(_), of) => *of == ColumnType::Bool,
        // Whether the time of day counts stands in the field's options, which are not kept.
        (Filter::Time(_), of) => *of == ColumnType::Timestamp && field.of == "dateTime",
        (Filter::Date(_), of) => *of == ColumnType::Date,
        (Filter::Element(_), of) => matches!(of, ColumnType::Array(_)),
        _ => true,
    };
    if fits {
        column.filter = nature.filter;
    }
    column.options = bound
        .options
        .iter()
        .filter(|(name, _)| matches!(*name, "field_id" | "field_type" | "field_name"))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Ok(column)
}
