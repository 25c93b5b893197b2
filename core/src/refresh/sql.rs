//! The statements of a refresh.
//!
//! A target is an ordinary table; new rows are in a relation that only the statements of the refresh see
//! ([`DELTA`]). All names come quoted, all values as literals.

use crate::quote;

/// The new rows.
pub const DELTA: &str = "warehouse_delta";

/// How the text of a value is made that is the same at the source and here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Its cast to text depends on no setting.
    Plain,
    /// Its cast to text may round; its bytes do not.
    Float,
    /// A point in time, with or without a time zone.
    Timestamp,
    /// Bytes.
    Bytes,
}

/// A column of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How it is compared with the source.
    pub family: Family,
}

/// A table that is refreshed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its quoted, qualified name.
    pub name: String,
    /// The columns that the query fills.
    pub columns: Vec<Column>,
    /// Its unique key; may be empty.
    pub key: Vec<String>,
    /// The relation with the new rows: [`DELTA`], or the name of a table.
    pub new: String,
    /// A column in which rows that have changed mostly differ: one that says when. Its type's `<>` finds no
    /// two values different that are of the same bytes.
    pub telling: Option<String>,
}

fn list(names: impl Iterator<Item = impl AsRef<str>>, prefix: &str) -> String {
    let names: Vec<String> =
        names.map(|name| format!("{prefix}{}", quote::identifier(name.as_ref()))).collect();
    names.join(", ")
}

/// A query with conditions on its columns, which it calls `q`.
pub fn filtered(query: &str, columns: &[Column], conditions: &[String]) -> String {
    let columns = list(columns.iter().map(|column| &column.name), "q.");
    let mut text = format!("SELECT {columns} FROM ({query}) q");
    for (at, condition) in conditions.iter().enumerate() {
        text.push_str(if at == 0 { " WHERE " } else { " AND " });
        text.push_str(condition);
    }
    text
}

/// A number made of a row's values, 64 bits, NULLs told from everything else. `alias` is the row's.
///
/// The number of each value is the seed of the next one's, so that what one column lost another cannot have
/// gained, and each value is written once.
pub fn fingerprint(columns: &[Column], alias: &str) -> String {
    columns.iter().fold("'0'::bigint".to_owned(), |seed, column| {
        let name = format!("{alias}.{}", quote::identifier(&column.name));
        let text = match column.family {
            Family::Plain => format!("({name})::text"),
            Family::Float => format!("encode(float8send(({name})::float8), 'hex')"),
            Family::Timestamp => format!("(extract(epoch FROM {name}))::text"),
            Family::Bytes => format!("encode({name}, 'hex')"),
        };
        format!("hashtextextended(COALESCE('v' || {text}, 'n') COLLATE \"C\", {seed})")
    })
}

impl Target {
    fn others(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !self.key.contains(&column.name))
    }

    fn all(&self, prefix: &str) -> String {
        list(self.columns.iter().map(|column| &column.name), prefix)
    }

    fn keys(&self, prefix: &str) -> String {
        list(self.key.iter(), prefix)
    }

    fn same_key(&self, left: &str, right: &str) -> String {
        let pairs: Vec<String> = self
            .key
            .iter()
            .map(|name| {
                let name = quote::identifier(name);
                format!("{left}.{name} = {right}.{name}")
            })
            .collect();
        pairs.join(" AND ")
    }

    /// Inserts what is new and updates what differs. Rows that are as they were are not even locked, as ON
    /// CONFLICT would.
    pub fn merge(&self) -> String {
        let (name, all, keys) = (&self.name, self.all(""), self.keys(""));
        let others: Vec<&str> = self.others().map(|column| column.name.as_str()).collect();
        let (new, update) = if others.is_empty() {
            (format!("(SELECT DISTINCT {keys} FROM {})", self.new), String::new())
        } else {
            let set: Vec<String> =
                others.iter().map(|name| format!("{0} = d.{0}", quote::identifier(name))).collect();
            // Whole rows are compared where that column does not tell.
            let first = others.iter().find(|name| self.telling.as_deref() == Some(**name));
            let first = first.map_or(String::new(), |name| {
                format!("t.{0} <> d.{0} OR ", quote::identifier(name))
            });
            let update = format!(
                "WHEN MATCHED AND ({first}pg_catalog.record_image_ne(ROW({}), ROW({}))) \
                 THEN UPDATE SET {} ",
                list(others.iter(), "t."),
                list(others.iter(), "d."),
                set.join(", "),
            );
            (self.new.clone(), update)
        };
        format!(
            "MERGE INTO {name} t USING {new} d ON {} {update}\
             WHEN NOT MATCHED THEN INSERT ({all}) VALUES ({})",
            self.same_key("t", "d"),
            self.all("d.")
        )
    }

    /// Inserts the new rows.
    pub fn insert(&self) -> String {
        let all = self.all("");
        format!("INSERT INTO {} ({all}) SELECT {all} FROM {}", self.name, self.new)
    }

    /// Inserts the rows whose key is not there yet.
    pub fn insert_missing(&self) -> String {
        format!("{} ON CONFLICT ({}) DO NOTHING", self.insert(), self.keys(""))
    }

    /// Deletes the rows whose key is among the new ones.
    pub fn delete_matching(&self) -> String {
        let keys = self.keys("");
        format!(
            "DELETE FROM {} t USING (SELECT DISTINCT {keys} FROM {}) d WHERE {}",
            self.name,
            self.new,
            self.same_key("t", "d")
        )
    }

    /// Deletes rows that a condition on `t` finds and that are not among the new ones.
    pub fn delete_missing(&self, conditions: &[String]) -> String {
        let mut text = format!(
            "DELETE FROM {} t WHERE NOT EXISTS (SELECT FROM {} d WHERE {})",
            self.name,
            self.new,
            self.same_key("t", "d")
        );
        for condition in conditions {
            text.push_str(" AND ");
            text.push_str(condition);
        }
        text
    }

    /// Deletes rows that a condition on `t` finds.
    pub fn delete_where(&self, conditions: &[String]) -> String {
        let mut text = format!("DELETE FROM {} t", self.name);
        for (at, condition) in conditions.iter().enumerate() {
            text.push_str(if at == 0 { " WHERE " } else { " AND " });
            text.push_str(condition);
        }
        text
    }

    /// The rows whose key is among the new ones, as they are now.
    pub fn before(&self) -> String {
        format!(
            "SELECT {} FROM {} t JOIN (SELECT DISTINCT {} FROM {}) d ON {}",
            self.all("t."),
            self.name,
            self.keys(""),
            self.new,
            self.same_key("t", "d")
        )
    }

    /// The rows of the table that are not among the new ones, and the other way round.
    pub fn changed(&self) -> String {
        let all = self.all("");
        let (ours, new) =
            (format!("SELECT {all} FROM {}", self.name), format!("SELECT {all} FROM {}", self.new));
        format!("({ours} EXCEPT ALL {new}) UNION ALL ({new} EXCEPT ALL {ours})")
    }

    /// The rows of the table and the new ones.
    pub fn everything(&self) -> String {
        let all = self.all("");
        format!("SELECT {all} FROM {} UNION ALL SELECT {all} FROM {}", self.name, self.new)
    }

    /// The rows that a condition on `t` finds and whose key is not among the new ones.
    pub fn vanishing(&self, conditions: &[String]) -> String {
        let mut text = format!(
            "SELECT {} FROM {} t WHERE NOT EXISTS (SELECT FROM {} d WHERE {})",
            self.all("t."),
            self.name,
            self.new,
            self.same_key("t", "d")
        );
        for condition in conditions {
            text.push_str(" AND ");
            text.push_str(condition);
        }
        text
    }
}

/// Ranges of a key column that are compared with the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    /// The column.
    pub column: String,
    /// The type of an array of it.
    pub array_type: String,
    /// The first values of all ranges but the first, ascending, as a literal of an array.
    pub bounds: String,
}

impl Ranges {
    /// The number of a row's range.
    pub fn number(&self, alias: &str) -> String {
        format!(
            "width_bucket({alias}.{}, {}::{})",
            quote::identifier(&self.column),
            quote::literal(&self.bounds),
            self.array_type
        )
    }

    /// The condition that a row is in one of these ranges.
    pub fn among(&self, alias: &str, numbers: &[i32]) -> String {
        let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        format!("{} = ANY ('{{{}}}'::integer[])", self.number(alias), numbers.join(","))
    }

    /// Rows and the sum of their fingerprints by range; `from` is FROM and what follows.
    pub fn compare(&self, columns: &[Column], alias: &str, from: &str) -> String {
        let number = self.number(alias);
        format!(
            "SELECT {number} AS range, count(*) AS rows, sum({}) AS hash FROM {from} GROUP BY {number}",
            fingerprint(columns, alias)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, family: Family) -> Column {
        Column { name: name.to_owned(), family }
    }

    fn target() -> Target {
        Target {
            name: "mart.users".to_owned(),
            columns: vec![column("id", Family::Plain), column("the Plan", Family::Plain)],
            key: vec!["id".to_owned()],
            new: DELTA.to_owned(),
            telling: None,
        }
    }

    #[test]
    fn a_merge_leaves_equal_rows_alone() {
        assert_eq!(
            target().merge(),
            "MERGE INTO mart.users t USING warehouse_delta d ON t.\"id\" = d.\"id\" \
             WHEN MATCHED AND (pg_catalog.record_image_ne(ROW(t.\"the Plan\"), ROW(d.\"the Plan\"))) \
             THEN UPDATE SET \"the Plan\" = d.\"the Plan\" \
             WHEN NOT MATCHED THEN INSERT (\"id\", \"the Plan\") VALUES (d.\"id\", d.\"the Plan\")"
        );
        let told = Target { telling: Some("the Plan".to_owned()), ..target() }.merge();
        let quick = "AND (t.\"the Plan\" <> d.\"the Plan\" OR pg_catalog.record_image_ne(";
        assert!(told.contains(quick), "{told}");
        // A key never differs from itself.
        let key = Target { telling: Some("id".to_owned()), ..target() }.merge();
        assert_eq!(key, target().merge());
        let only_key = Target { columns: vec![column("id", Family::Plain)], ..target() };
        assert_eq!(
            only_key.merge(),
            "MERGE INTO mart.users t USING (SELECT DISTINCT \"id\" FROM warehouse_delta) d \
             ON t.\"id\" = d.\"id\" WHEN NOT MATCHED THEN INSERT (\"id\") VALUES (d.\"id\")"
        );
    }

    #[test]
    fn names_and_values_are_quoted() {
        let hostile = column("a\"; DROP TABLE x; --", Family::Plain);
        let query = filtered("SELECT 1", std::slice::from_ref(&hostile), &["q.b".to_owned()]);
        assert_eq!(query, "SELECT q.\"a\"\"; DROP TABLE x; --\" FROM (SELECT 1) q WHERE q.b");
        let ranges = Ranges {
            column: "k\"".to_owned(),
            array_type: "text[]".to_owned(),
            bounds: "{it's}".to_owned(),
        };
        assert_eq!(
            ranges.among("q", &[1, 4]),
            "width_bucket(q.\"k\"\"\", '{it''s}'::text[]) = ANY ('{1,4}'::integer[])"
        );
    }

    #[test]
    fn a_fingerprint_tells_null_from_text_and_columns_apart() {
        let text = fingerprint(&[column("a", Family::Plain), column("b", Family::Bytes)], "q");
        assert_eq!(
            text,
            "hashtextextended(COALESCE('v' || encode(q.\"b\", 'hex'), 'n') COLLATE \"C\", \
             hashtextextended(COALESCE('v' || (q.\"a\")::text, 'n') COLLATE \"C\", '0'::bigint))"
        );
    }
}
