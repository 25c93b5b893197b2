//! Types of fields: the column each becomes, how it is read, what formulas can ask of it. The
//! reference's section 3.2.

use super::options::Options;
use super::schema::Field;
use crate::connectors::catalogue::{ColumnType, Filter, Reading};
use crate::connectors::tree::Tree;

/// What a field becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nature {
    /// The column's type.
    pub of: ColumnType,
    /// How values are read.
    pub reading: Reading,
    /// What formulas can ask.
    pub filter: Filter,
}

/// Whether a number has no digits behind the point.
fn is_whole(options: Option<&Tree>) -> bool {
    options.and_then(|options| options.text_of("precision")) == Some("0")
}

/// The column type of values of this type, without what surrounds them.
fn scalar(of: &str, options: Option<&Tree>) -> ColumnType {
    match of {
        "singleLineText" | "multilineText" | "richText" | "email" | "url" | "phoneNumber"
        | "singleSelect" | "externalSyncSource" | "manualSort" | "aiText" => ColumnType::Text,
        "number" if is_whole(options) => ColumnType::BigInt,
        "rating" | "autoNumber" | "count" => ColumnType::BigInt,
        "number" | "currency" | "percent" | "duration" => ColumnType::Numeric,
        "checkbox" => ColumnType::Bool,
        "date" => ColumnType::Date,
        "dateTime" => ColumnType::Timestamp,
        "createdTime" | "lastModifiedTime" => ColumnType::Timestamp,
        "multipleSelects" | "multipleRecordLinks" => ColumnType::Array(Box::new(ColumnType::Text)),
        // Attachments, collaborators, barcodes, buttons, and what is new.
        _ => ColumnType::Json,
    }
}

/// The type of a computed field's result.
fn result(field: &Field) -> Option<ColumnType> {
    let options = field.options.as_ref()?;
    let result = options.get("result")?;
    let of = scalar(result.text_of("type")?, result.get("options"));
    match of {
        // The precision of a result is how it is shown, not what it holds.
        ColumnType::BigInt => Some(ColumnType::Numeric),
        of => Some(of),
    }
}

/// What a field becomes.
pub fn nature(field: &Field, options: &Options) -> Nature {
    let computed = Reading::Computed(options.on_formula_error);
    let id = || field.id.clone();
    let (of, reading) = match field.of.as_str() {
        "formula" | "rollup" => match result(field) {
            Some(of) => (of, computed),
            // Not valid: nobody knows what it would give.
            None => (ColumnType::Json, Reading::Plain),
        },
        "multipleLookupValues" => match result(field) {
            Some(ColumnType::Json | ColumnType::Array(_)) | None => {
                (ColumnType::Json, Reading::Plain)
            }
            Some(of) => (ColumnType::Array(Box::new(of)), computed),
        },
        "checkbox" if !options.unticked_is_null => (ColumnType::Bool, Reading::AbsentIsFalse),
        "aiText" => (ColumnType::Text, Reading::ValueOf),
        of => (scalar(of, field.options.as_ref()), Reading::Plain),
    };
    let filter = match field.of.as_str() {
        "singleLineText" | "multilineText" | "email" | "url" | "phoneNumber" | "singleSelect" => {
            Filter::Text(id())
        }
        "number" | "currency" | "percent" | "rating" | "autoNumber" | "count" | "duration" => {
            Filter::Number(id())
        }
        "checkbox" if !options.unticked_is_null => Filter::Flag(id()),
        "dateTime" => Filter::Time(id()),
        "createdTime" | "lastModifiedTime" if has_time(field) => Filter::Time(id()),
        "date" => Filter::Date(id()),
        "multipleSelects" => Filter::Element(id()),
        // An error of a computed field would take a whole OR down with it; linked records are called by
        // name in formulas, and rich text is another text there.
        _ => Filter::None,
    };
    Nature { of, reading, filter }
}

/// Whether a time's values are shown with their time of day.
pub fn has_time(field: &Field) -> bool {
    let result = field.options.as_ref().and_then(|options| options.get("result"));
    result.and_then(|result| result.text_of("type")) != Some("date")
}

/// Whether a field tells of every change of its record.
pub fn is_cursor(field: &Field) -> bool {
    let referenced = field.options.as_ref().and_then(|o| o.get("referencedFieldIds"));
    field.of == "lastModifiedTime"
        && has_time(field)
        && matches!(referenced, Some(Tree::List(ids)) if ids.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::tree::parse_json;

    fn nature_of(of: &str, options: &str) -> Nature {
        let field = Field {
            id: "fld1".into(),
            name: "F".into(),
            of: of.into(),
            options: Some(parse_json(options).expect("JSON")),
            description: None,
        };
        nature(&field, &Options::parse([]).expect("options"))
    }

    #[test]
    fn types() {
        let sql = |of: &str, options: &str| nature_of(of, options).of.sql();
        assert_eq!(sql("number", r#"{"precision":0}"#), "bigint");
        assert_eq!(sql("number", r#"{"precision":2}"#), "numeric");
        assert_eq!(sql("multipleSelects", "{}"), "text[]");
        assert_eq!(sql("multipleAttachments", "{}"), "jsonb");
        assert_eq!(sql("something new", "{}"), "jsonb");
        assert_eq!(sql("formula", r#"{"isValid":true,"result":{"type":"number"}}"#), "numeric");
        assert_eq!(sql("formula", r#"{"isValid":false,"result":null}"#), "jsonb");
        assert_eq!(sql("multipleLookupValues", r#"{"result":{"type":"date"}}"#), "date[]");
        assert_eq!(
            sql("multipleLookupValues", r#"{"result":{"type":"multipleAttachments"}}"#),
            "jsonb"
        );
    }

    #[test]
    fn computed_fields_are_not_asked() {
        assert_eq!(nature_of("formula", r#"{"result":{"type":"number"}}"#).filter, Filter::None);
        assert_eq!(nature_of("multipleRecordLinks", "{}").filter, Filter::None);
        assert_eq!(nature_of("createdTime", r#"{"result":{"type":"date"}}"#).filter, Filter::None);
    }
}
