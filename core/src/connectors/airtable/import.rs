//! From a base's schema to foreign tables.

use super::fields::{is_cursor, nature};
use super::names::unique;
use super::options::Options;
use super::schema::{Base, Field, TableSchema};
use crate::connectors::catalogue::{Column, ColumnType, Cursor, Filter, Origin, Table};
use crate::privacy::detect::{self, Certainty, detect};
use std::collections::HashMap;

/// The columns every table has besides its fields.
pub const SYSTEM: [&str; 2] = ["_id", "_created_time"];
/// How far before now the end of a window of changes stays, in seconds.
const SETTLE: u32 = 30;

/// The tables of a base. `known` holds names by table and field id that stay.
pub fn tables(
    base: &Base,
    schemas: &[TableSchema],
    options: &Options,
    known: &HashMap<String, String>,
) -> Vec<Table> {
    let items: Vec<(&str, &str)> =
        schemas.iter().map(|schema| (schema.id.as_str(), schema.name.as_str())).collect();
    let names = unique(&items, known, &[]);
    let named = schemas.iter().zip(names);
    named.map(|(schema, name)| table(&base.id, schema, &name, options, known)).collect()
}

/// One table under this name.
pub fn table(
    base: &str,
    schema: &TableSchema,
    name: &str,
    options: &Options,
    known: &HashMap<String, String>,
) -> Table {
    let items: Vec<(&str, &str)> =
        schema.fields.iter().map(|field| (field.id.as_str(), field.name.as_str())).collect();
    let names = unique(&items, known, &SYSTEM);
    let mut columns = system_columns();
    for (field, column) in schema.fields.iter().zip(names) {
        columns.push(self::column(schema, field, column, options));
    }
    let comment = match &schema.description {
        Some(description) => format!("{}: {description}", schema.name),
        None => schema.name.clone(),
    };
    let mut written =
        vec![("base_id".to_owned(), base.to_owned()), ("table_id".to_owned(), schema.id.clone())];
    let cursor = schema.fields.iter().find(|field| is_cursor(field));
    written.extend(cursor.map(|field| ("cursor_field_id".to_owned(), field.id.clone())));
    Table {
        name: name.to_owned(),
        comment: Some(comment),
        columns,
        key: vec!["_id".to_owned()],
        cursor: Cursor::Changes { settle: SETTLE },
        needs: None,
        options: written,
    }
}

/// `_id` and `_created_time`.
pub fn system_columns() -> Vec<Column> {
    vec![
        Column::new("_id", ColumnType::Text)
            .from(Origin::Context("_id"))
            .takes(Filter::Key)
            .public()
            .comment("The record's id"),
        Column::new("_created_time", ColumnType::Timestamp)
            .from(Origin::Context("_created_time"))
            .takes(Filter::Time(String::new()))
            .comment("When the record was created"),
    ]
}

fn column(schema: &TableSchema, field: &Field, name: String, options: &Options) -> Column {
    let nature = nature(field, options);
    let mut column = Column::new(name, nature.of).at(&[&field.id]).takes(nature.filter);
    column.reading = nature.reading;
    let comment = match &field.description {
        Some(description) => format!("{}: {description}", field.name),
        None => field.name.clone(),
    };
    column = column.comment(&comment);
    classify(&mut column, schema, field);
    column.options = vec![
        ("field_id".to_owned(), field.id.clone()),
        ("field_type".to_owned(), field.of.clone()),
        ("field_name".to_owned(), field.name.clone()),
    ];
    column
}

/// What the type, the name and the description say of a person. The people may be children; what
/// nobody can tell stays closed.
fn classify(column: &mut Column, schema: &TableSchema, field: &Field) {
    use crate::privacy::Kind;
    let kind = match field.of.as_str() {
        "email" => Some(Kind::Email),
        "phoneNumber" => Some(Kind::Phone),
        _ => None,
    };
    if let Some(kind) = kind {
        *column = column.clone().kind(kind);
        return;
    }
    if matches!(
        field.of.as_str(),
        "singleCollaborator" | "multipleCollaborators" | "createdBy" | "lastModifiedBy"
    ) {
        *column = column.clone().personal();
        return;
    }
    if field.of == "multipleRecordLinks" {
        *column = column.clone().public();
        return;
    }
    let family = column.of.family();
    let finding = detect(&detect::Column {
        table: &schema.name,
        name: &field.name,
        family: &family,
        is_enum: matches!(field.of.as_str(), "singleSelect" | "multipleSelects"),
        comment: field.description.as_deref(),
        samples: &[],
        minors: true,
    });
    if finding.certainty == Certainty::Sure {
        column.class = finding.class;
        column.mask = finding.mask.map(|mask| mask.to_string());
    } else if finding.kind.is_some() {
        // Somebody should look before it is open.
        column.class = None;
        column.mask = None;
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::tables as parse;
    use super::*;
    use crate::connectors::error::Endpoint;
    use crate::connectors::tree::parse_json;
    use crate::privacy::Class;

    #[test]
    fn a_base_becomes_tables() {
        let text = r#"{"tables":[{"id":"tbl1","name":"Leads","description":"All leads","primaryFieldId":"fld1",
            "fields":[{"id":"fldA1","name":"Name","type":"singleLineText","description":"Whole name"},
                      {"id":"fldA2","name":"name","type":"multilineText"},
                      {"id":"fldA3","name":"E-Mail","type":"email"},
                      {"id":"fldA4","name":"Changed","type":"lastModifiedTime","options":{"isValid":true,"referencedFieldIds":[],"result":{"type":"dateTime"}}},
                      {"id":"fldA5","name":"_id","type":"number","options":{"precision":0}}],
            "views":[]}]}"#;
        let endpoint = Endpoint { method: "GET", path: "x".into() };
        let schemas = parse(&parse_json(text).expect("JSON"), &endpoint).expect("a schema");
        let base = Base { id: "app1".into(), name: "Admissions".into() };
        let options = Options::parse([]).expect("options");
        let tables = tables(&base, &schemas, &options, &HashMap::new());
        let table = &tables[0];
        assert_eq!(table.name, "leads");
        assert_eq!(table.comment.as_deref(), Some("Leads: All leads"));
        let names: Vec<_> = table.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(
            names,
            ["_id", "_created_time", "name_lda1", "name_lda2", "e_mail", "changed", "id"]
        );
        assert_eq!(table.columns[4].class, Some(Class::Identifier));
        assert_eq!(table.columns[2].comment.as_deref(), Some("Name: Whole name"));
        assert!(table.options.contains(&("cursor_field_id".into(), "fldA4".into())));
    }
}
