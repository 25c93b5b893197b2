//! What changed at Airtable since a table was imported.

use super::fields::nature;
use super::options::Options;
use super::schema::TableSchema;
use crate::connectors::catalogue::Table;
use std::collections::HashMap;
use std::fmt;

/// One difference between what was imported and what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// A table is there that was not imported.
    NewTable {
        /// Its id.
        table: String,
        /// Its name at Airtable.
        name: String,
    },
    /// A table that was imported is gone.
    TableGone {
        /// Its name here.
        table: String,
    },
    /// A field is there that was not imported.
    NewField {
        /// The table's name here.
        table: String,
        /// The field's id.
        field: String,
        /// The field's name at Airtable.
        name: String,
    },
    /// A field that was imported is gone; queries that read its column fail.
    FieldGone {
        /// The table's name here.
        table: String,
        /// The column.
        column: String,
    },
    /// A field has another name; its column works as before.
    Renamed {
        /// The table's name here.
        table: String,
        /// The column.
        column: String,
        /// The new name at Airtable.
        name: String,
    },
    /// A field has another type.
    Retyped {
        /// The table's name here.
        table: String,
        /// The column.
        column: String,
        /// The type of the column.
        was: String,
        /// The type it would have.
        now: String,
    },
}

impl Drift {
    /// The table it is about, by its name here or its name at Airtable.
    pub fn table(&self) -> &str {
        match self {
            Drift::NewTable { name, .. } => name,
            Drift::TableGone { table }
            | Drift::NewField { table, .. }
            | Drift::FieldGone { table, .. }
            | Drift::Renamed { table, .. }
            | Drift::Retyped { table, .. } => table,
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::NewTable { name, .. } => write!(f, "table \"{name}\" is new"),
            Drift::TableGone { table } => write!(f, "table {table} is gone"),
            Drift::NewField { table, name, .. } => write!(f, "field \"{name}\" of {table} is new"),
            Drift::FieldGone { table, column } => write!(f, "field of {table}.{column} is gone"),
            Drift::Renamed { table, column, name } => {
                write!(f, "field of {table}.{column} is now called \"{name}\"")
            }
            Drift::Retyped { table, column, was, now } => {
                write!(f, "field of {table}.{column} was {was} and is now {now}")
            }
        }
    }
}

fn option<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
    options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The differences, table by table; none if nothing changed. `imported` holds the tables of one base
/// as they are bound here.
pub fn drift(imported: &[Table], now: &[TableSchema], options: &Options) -> Vec<Drift> {
    let mut out = Vec::new();
    let mut known: HashMap<&str, &Table> = HashMap::new();
    for table in imported {
        if let Some(id) = option(&table.options, "table_id") {
            known.insert(id, table);
        }
    }
    for schema in now {
        let Some(table) = known.remove(schema.id.as_str()) else {
            out.push(Drift::NewTable { table: schema.id.clone(), name: schema.name.clone() });
            continue;
        };
        of_table(table, schema, options, &mut out);
    }
    let mut gone: Vec<_> = known.values().map(|table| table.name.clone()).collect();
    gone.sort_unstable();
    out.extend(gone.into_iter().map(|table| Drift::TableGone { table }));
    out
}

fn of_table(table: &Table, schema: &TableSchema, options: &Options, out: &mut Vec<Drift>) {
    let name = || table.name.clone();
    for column in &table.columns {
        let Some(id) = option(&column.options, "field_id") else { continue };
        let Some(field) = schema.fields.iter().find(|field| field.id == id) else {
            out.push(Drift::FieldGone { table: name(), column: column.name.clone() });
            continue;
        };
        if option(&column.options, "field_name").is_some_and(|known| known != field.name) {
            out.push(Drift::Renamed {
                table: name(),
                column: column.name.clone(),
                name: field.name.clone(),
            });
        }
        let now = nature(field, options).of.sql();
        let other_field = option(&column.options, "field_type").is_some_and(|of| of != field.of);
        // A column that somebody declared otherwise is no drift while its field stays what it was.
        if other_field && now != column.of.sql() {
            out.push(Drift::Retyped {
                table: name(),
                column: column.name.clone(),
                was: column.of.sql(),
                now,
            });
        }
    }
    for field in &schema.fields {
        let is_known = |id: Option<&str>| id == Some(field.id.as_str());
        if !table.columns.iter().any(|column| is_known(option(&column.options, "field_id"))) {
            out.push(Drift::NewField {
                table: name(),
                field: field.id.clone(),
                name: field.name.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::import;
    use super::super::schema::Field;
    use super::*;

    fn field(id: &str, name: &str, of: &str) -> Field {
        Field { id: id.into(), name: name.into(), of: of.into(), options: None, description: None }
    }

    fn schema(id: &str, fields: Vec<Field>) -> TableSchema {
        TableSchema {
            id: id.into(),
            name: id.to_uppercase(),
            description: None,
            primary_field: "fld1".into(),
            fields,
            views: Vec::new(),
        }
    }

    #[test]
    fn each_difference_is_told() {
        let options = Options::parse([]).expect("options");
        let before = schema(
            "tbl1",
            vec![
                field("fld1", "Name", "singleLineText"),
                field("fld2", "Count", "singleLineText"),
                field("fld3", "Old", "date"),
            ],
        );
        let gone = schema("tbl2", vec![field("fld9", "X", "date")]);
        let import = |schema: &TableSchema| {
            import::table("app1", schema, &schema.id, &options, &HashMap::new())
        };
        let imported = [import(&before), import(&gone)];
        assert_eq!(drift(&imported, &[before.clone(), gone], &options), []);
        let after = schema(
            "tbl1",
            vec![
                field("fld1", "Full name", "singleLineText"),
                field("fld2", "Count", "percent"),
                field("fld4", "New", "date"),
            ],
        );
        let now = [after, schema("tbl3", vec![])];
        let told: Vec<String> =
            drift(&imported, &now, &options).iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "field of tbl1.name is now called \"Full name\"",
                "field of tbl1.count was text and is now numeric",
                "field of tbl1.old is gone",
                "field \"New\" of tbl1 is new",
                "table \"TBL3\" is new",
                "table tbl2 is gone",
            ]
        );
    }
}
