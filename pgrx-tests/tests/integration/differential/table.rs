//! Random tables and their rows.

use std::rc::Rc;

use anyhow::{Context, Result};
use postgres::Client;

use super::expression::Column as InReach;
use super::kinds::{KINDS, Kind, MOOD, OWN_TYPES, find};
use super::random::Random;
use super::rules::Rule;
use super::strings::quote;

/// The schema of everything random, on both sides.
pub const SCHEMA: &str = "d";

/// A column.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: &'static Kind,
    declared: String,
}

/// A table with its rows. The first two columns are `id`, unique, and `k`, which joins.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: &'static str,
    pub columns: Vec<Column>,
    /// Values in their text form.
    pub rows: Vec<Vec<Option<String>>>,
    index: Option<String>,
    analyzed: bool,
}

impl Table {
    /// A random table with columns for the rules of `focus`, and others. With `bytewise` its texts are
    /// collated so.
    pub fn random(
        name: &'static str,
        focus: &[&Rule],
        random: &mut Random,
        rows: usize,
        bytewise: bool,
    ) -> Table {
        let column = |name: String, kind: &'static Kind, declared: &str| {
            let text = matches!(kind.name, "text" | "varchar" | "bpchar" | "label" | "text[]");
            let plain = declared.split(" COLLATE").next().unwrap_or(declared);
            let collate = if text && bytewise { " COLLATE \"C\"" } else { "" };
            Column { name, kind, declared: format!("{plain}{collate}") }
        };
        let mut columns = vec![
            column("id".to_owned(), find("int4"), "int4 PRIMARY KEY"),
            column("k".to_owned(), find("int4"), "int4"),
        ];
        let storable: Vec<&Kind> = KINDS.iter().filter(|kind| kind.is_storable()).collect();
        let mut kinds: Vec<&Kind> = Vec::new();
        for kind in focus.iter().flat_map(|rule| &rule.takes).map(|take| find(take)) {
            if kind.is_storable() && !kinds.iter().any(|other| other.name == kind.name) {
                kinds.push(kind);
            }
        }
        for _ in 0..random.between(1, 3) {
            kinds.push(random.pick(&storable));
        }
        for (at, kind) in kinds.into_iter().enumerate() {
            let declared = random.pick(kind.declared);
            columns.push(column(format!("{}{at}", &name[..1]), kind, declared));
        }
        let rows: Vec<Vec<Option<String>>> = (1..=rows)
            .map(|id| {
                let mut row = vec![Some(id.to_string())];
                row.push((!random.percent(10)).then(|| random.below(6).to_string()));
                for column in &columns[2..] {
                    row.push((!random.percent(15)).then(|| column.kind.value(random)));
                }
                row
            })
            .collect();
        let indexable = !matches!(columns[2].kind.name, "json" | "xml" | "point" | "box" | "text");
        let index = (indexable && random.percent(50)).then(|| columns[2].name.clone());
        Table { name, columns, rows, index, analyzed: random.percent(50) }
    }

    /// Its columns for expressions, under the table's name.
    pub fn in_reach(&self) -> Vec<InReach> {
        self.columns
            .iter()
            .enumerate()
            .map(|(at, c)| InReach {
                sql: format!("{}.{}", self.name, c.name),
                kind: c.kind,
                values: Rc::new(self.rows.iter().filter_map(|row| row[at].clone()).collect()),
            })
            .collect()
    }

    /// CREATE TABLE with those of its columns that `wanted` takes.
    pub fn create(&self, wanted: impl Fn(&Column) -> bool) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .filter(|column| wanted(column))
            .map(|column| format!("{} {}", column.name, column.declared))
            .collect();
        format!("CREATE TABLE {SCHEMA}.{} ({})", self.name, columns.join(", "))
    }

    /// INSERT of some rows, in those of its columns that `wanted` takes.
    pub fn insert(
        &self,
        rows: &[Vec<Option<String>>],
        wanted: impl Fn(&Column) -> bool,
    ) -> Option<String> {
        let lists: Vec<String> = rows
            .iter()
            .map(|row| {
                let values: Vec<String> = row
                    .iter()
                    .zip(&self.columns)
                    .filter(|(_, column)| wanted(column))
                    .map(|(value, _)| value.as_deref().map_or("NULL".to_owned(), quote))
                    .collect();
                format!("({})", values.join(", "))
            })
            .collect();
        let names: Vec<&str> =
            self.columns.iter().filter(|c| wanted(c)).map(|c| c.name.as_str()).collect();
        (!lists.is_empty()).then(|| {
            format!(
                "INSERT INTO {SCHEMA}.{} ({}) VALUES\n  {}",
                self.name,
                names.join(", "),
                lists.join(",\n  ")
            )
        })
    }

    /// Creates and fills it.
    pub fn fill(&self, client: &mut Client) -> Result<()> {
        let mut sql = self.create(|_| true);
        if let Some(insert) = self.insert(&self.rows, |_| true) {
            sql.push_str(&format!("; {insert}"));
        }
        if let Some(column) = &self.index {
            sql.push_str(&format!("; CREATE INDEX ON {SCHEMA}.{} ({column})", self.name));
        }
        if self.analyzed {
            sql.push_str(&format!("; ANALYZE {SCHEMA}.{}", self.name));
        }
        client.batch_execute(&sql).with_context(|| sql.clone())
    }
}

/// Empties the schema and creates the types of our own in it.
pub fn prepare(client: &mut Client, with_enum: bool) -> Result<()> {
    let mood = if with_enum { MOOD } else { "" };
    let sql = format!(
        "SET client_min_messages = warning; DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; \
         CREATE SCHEMA {SCHEMA}; SET search_path = {SCHEMA}, public; {OWN_TYPES}; {mood}"
    );
    client.batch_execute(&sql).with_context(|| sql.clone())
}

/// Imports the source's tables and declares their columns with the types they have there, so that a
/// query means the same on both sides: an import shows a domain as its base type and a composite type
/// as text.
pub fn import(source: &mut Client, warehouse: &mut Client) -> Result<()> {
    warehouse.batch_execute(&format!(
        "IMPORT FOREIGN SCHEMA {SCHEMA} FROM SERVER src INTO {SCHEMA}; \
         DO $$ BEGIN IF to_regtype('mood') IS NULL THEN {MOOD}; END IF; END $$",
    ))?;
    let declared = "SELECT c.relname::text, a.attname::text, \
           format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attcollation = 950 AND a.atttypid <> 19 \
             THEN ' COLLATE \"C\"' ELSE '' END, \
           to_jsonb(a) ->> 'attfdwoptions' LIKE '%remote_type=%' \
         FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
         WHERE c.relnamespace = 'd'::regnamespace AND c.relkind IN ('r', 'f') AND a.attnum > 0 \
         ORDER BY 1, a.attnum";
    let here = warehouse.query(declared, &[])?;
    let there = source.query(declared, &[])?;
    for (here, there) in here.iter().zip(&there) {
        let (table, column): (String, String) = (there.get(0), there.get(1));
        let (of, wanted): (String, String) = (here.get(2), there.get(2));
        if of == wanted {
            continue;
        }
        let mut sql =
            format!("ALTER FOREIGN TABLE {SCHEMA}.{table} ALTER COLUMN {column} TYPE {wanted}");
        if here.get::<_, Option<bool>>(3) == Some(true) {
            sql.push_str(&format!(", ALTER COLUMN {column} OPTIONS (DROP remote_type)"));
        }
        warehouse.batch_execute(&sql).with_context(|| sql.clone())?;
    }
    Ok(())
}
