//! Tables as data: what a table's columns are, where they lie in the answer, which conditions the API
//! takes on them, and what they say of a person.
//!
//! Both a fixed catalogue (Braintree) and one found at import (Airtable) are made of these. A
//! connector reads them; it has no code for a column.

use super::tree::Tree;
use crate::masks::{IntWidth, TypeFamily};
use crate::privacy::{Class, Kind};

/// A column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnType {
    /// text
    Text,
    /// numeric
    Numeric,
    /// integer
    Integer,
    /// bigint
    BigInt,
    /// boolean
    Bool,
    /// timestamp with time zone
    Timestamp,
    /// date
    Date,
    /// jsonb
    Json,
    /// An array of these.
    Array(Box<ColumnType>),
}

impl ColumnType {
    /// The type in SQL.
    pub fn sql(&self) -> String {
        match self {
            ColumnType::Text => "text".to_owned(),
            ColumnType::Numeric => "numeric".to_owned(),
            ColumnType::Integer => "integer".to_owned(),
            ColumnType::BigInt => "bigint".to_owned(),
            ColumnType::Bool => "boolean".to_owned(),
            ColumnType::Timestamp => "timestamp with time zone".to_owned(),
            ColumnType::Date => "date".to_owned(),
            ColumnType::Json => "jsonb".to_owned(),
            ColumnType::Array(element) => format!("{}[]", element.sql()),
        }
    }

    /// The type of a name in SQL.
    pub fn of_sql(name: &str) -> Option<ColumnType> {
        if let Some(element) = name.strip_suffix("[]") {
            return Some(ColumnType::Array(Box::new(ColumnType::of_sql(element)?)));
        }
        Some(match name {
            "text" | "character varying" => ColumnType::Text,
            "numeric" => ColumnType::Numeric,
            "integer" => ColumnType::Integer,
            "bigint" => ColumnType::BigInt,
            "boolean" => ColumnType::Bool,
            "timestamp with time zone" | "timestamptz" => ColumnType::Timestamp,
            "date" => ColumnType::Date,
            "jsonb" => ColumnType::Json,
            _ => return None,
        })
    }

    /// The family that masks know it as.
    pub fn family(&self) -> TypeFamily {
        match self {
            ColumnType::Text => TypeFamily::Text,
            ColumnType::Numeric => TypeFamily::Numeric,
            ColumnType::Integer => TypeFamily::Integer(IntWidth::Four),
            ColumnType::BigInt => TypeFamily::Integer(IntWidth::Eight),
            ColumnType::Bool => TypeFamily::Bool,
            ColumnType::Timestamp => TypeFamily::TimestampTz,
            ColumnType::Date => TypeFamily::Date,
            ColumnType::Json => TypeFamily::Json,
            ColumnType::Array(element) => TypeFamily::Array(Box::new(element.family())),
        }
    }
}

/// Where a column's value comes from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The value at the end of a path of member names in the record.
    Path(Vec<String>),
    /// The whole record.
    Whole,
    /// What the connector says of the record: its parent's id, its number.
    Context(&'static str),
    /// Computed of the record.
    Computed(fn(&Tree) -> Tree),
}

/// How a value is read beyond its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As it stands; what is absent is NULL.
    Plain,
    /// An absent value is false.
    AbsentIsFalse,
    /// Where an API computes, an object such as `{"error": "#ERROR!"}` may stand in place of the value.
    Computed(OnError),
    /// The member `value` of an object.
    ValueOf,
}

/// What an error object of a computed field becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// NULL.
    #[default]
    Null,
    /// An error of the query.
    Error,
}

/// Which conditions on a column the API takes. What it takes may be wider than the condition, never
/// narrower; `exact` kinds are exactly as wide.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Filter {
    /// None.
    #[default]
    None,
    /// The key: single objects and lists of keys. Exact.
    Key,
    /// Text search: `=`, `LIKE` with one wildcard at an end or both ends.
    Text(String),
    /// Text search without "contains".
    PartialText(String),
    /// Text search for equality alone.
    Equal(String),
    /// A list of values. Exact. With members, others match nothing.
    OneOf(String, &'static [&'static str]),
    /// A number's range.
    Number(String),
    /// A time's range.
    Time(String),
    /// A date's range.
    Date(String),
    /// A truth value whose truth the API can search.
    Flag(String),
    /// Not NULL exactly where the API's flag is set.
    Presence(String),
    /// An array that the API can search for an element.
    Element(String),
    /// A key of another object, by which alone the table is read. Exact.
    Parent,
}

impl Filter {
    /// Whether what the API takes of it is exactly the condition.
    pub fn is_exact(&self) -> bool {
        matches!(self, Filter::Key | Filter::OneOf(..) | Filter::Parent)
    }
}

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name; [`ColumnRef::name`](crate::predicate::ColumnRef::name) in conditions.
    pub name: String,
    /// Its type.
    pub of: ColumnType,
    /// Where its value is.
    pub origin: Origin,
    /// How it is read.
    pub reading: Reading,
    /// What the API takes.
    pub filter: Filter,
    /// What it holds, for COMMENT.
    pub comment: Option<String>,
    /// Its class by default.
    pub class: Option<Class>,
    /// Its mask by default, as the column option's text.
    pub mask: Option<String>,
    /// Options of the column that import writes, such as `field_id`.
    pub options: Vec<(String, String)>,
}

impl Column {
    /// A column whose value is the record's member of its name. It says nothing of a person if it is
    /// neither text nor JSON.
    pub fn new(name: impl Into<String>, of: ColumnType) -> Column {
        let name = name.into();
        let closed = match &of {
            ColumnType::Json | ColumnType::Text => true,
            ColumnType::Array(element) => matches!(**element, ColumnType::Text | ColumnType::Json),
            _ => false,
        };
        Column {
            origin: Origin::Path(vec![name.clone()]),
            name,
            of,
            reading: Reading::Plain,
            filter: Filter::None,
            comment: None,
            class: (!closed).then_some(Class::Public),
            mask: None,
            options: Vec::new(),
        }
    }

    /// The path in the record.
    pub fn at(mut self, path: &[&str]) -> Column {
        self.origin = Origin::Path(path.iter().map(|&name| name.to_owned()).collect());
        self
    }

    /// Another origin.
    pub fn from(mut self, origin: Origin) -> Column {
        self.origin = origin;
        self
    }

    /// What the API takes on it.
    pub fn takes(mut self, filter: Filter) -> Column {
        self.filter = filter;
        self
    }

    /// Says nothing of a person.
    pub fn public(mut self) -> Column {
        self.class = Some(Class::Public);
        self.mask = None;
        self
    }

    /// Says who somebody is; reads as NULL until somebody chooses a gentler mask.
    pub fn personal(mut self) -> Column {
        self.class = Some(Class::Identifier);
        self.mask = Some("null".to_owned());
        self
    }

    /// Holds what its kind says; the people may be children.
    pub fn kind(mut self, kind: Kind) -> Column {
        self.class = Some(kind.class(true));
        self.mask = Some(kind.default_mask(&self.of.family(), true).to_string());
        self
    }

    /// Its comment.
    pub fn comment(mut self, comment: &str) -> Column {
        self.comment = Some(comment.to_owned());
        self
    }
}

/// How changes of a table are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// The API tells no changes: read everything, compare.
    None,
    /// New records by this column; changed ones only by reading everything.
    Created(String),
    /// New and changed records by the API's own rule, through [`Query::changes`](super::Query).
    Changes {
        /// How far before now the upper end of a window stays, in seconds.
        settle: u32,
    },
}

/// A table.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it holds, for COMMENT.
    pub comment: Option<String>,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The columns whose values tell rows apart.
    pub key: Vec<String>,
    /// How its changes are found.
    pub cursor: Cursor,
    /// The column without a condition on which it cannot be read.
    pub needs: Option<&'static str>,
    /// Options of the table that import writes.
    pub options: Vec<(String, String)>,
}

impl Table {
    /// The column of this name and its index.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_come_back() {
        for name in ["text", "numeric", "integer", "bigint", "boolean", "date", "jsonb", "text[]"] {
            assert_eq!(ColumnType::of_sql(name).map(|of| of.sql()).as_deref(), Some(name));
        }
        assert_eq!(ColumnType::of_sql("point"), None);
    }

    #[test]
    fn what_is_not_classified_stays_closed() {
        assert_eq!(Column::new("note", ColumnType::Text).class, None);
        assert_eq!(Column::new("raw", ColumnType::Json).class, None);
        assert_eq!(Column::new("amount", ColumnType::Numeric).class, Some(Class::Public));
        let email = Column::new("email", ColumnType::Text).kind(Kind::Email);
        assert_eq!(email.class, Some(Class::Identifier));
        assert_eq!(email.mask.as_deref(), Some("pseudonym(person)"));
    }
}
