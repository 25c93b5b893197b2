//! What a schema at the source holds, read from its catalogs in one query.

use super::connection::Connection;
use super::keys::{ForeignKey, Index};
use super::query;
use crate::pg::error::{Error, Result};
use pgrx::PgSqlErrorCode as Code;
use serde::Deserialize;
use std::collections::HashMap;
use warehouse_core::quote;

/// A schema at the source.
#[derive(Debug, Deserialize)]
pub struct Schema {
    /// Its relations that can be read, by name; partitions of a table are not listed beside it.
    pub tables: Vec<Table>,
    /// The enum types that their columns use.
    pub enums: Vec<Enum>,
}

/// A relation at the source.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Rows, -1 if nobody has analyzed it.
    pub tuples: f64,
    /// Pages.
    pub pages: f64,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its valid B-tree indexes over plain columns without a predicate.
    pub indexes: Vec<Index>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
}

/// A column at the source.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type there, in SQL; of a domain, the type under it.
    #[serde(rename = "type")]
    pub of: String,
    /// The name of the type alone, for types that are not built in.
    pub type_name: String,
    /// Its schema.
    pub type_schema: String,
    /// `typtype` of the type.
    pub kind: char,
    /// Whether the type comes with every server.
    pub builtin: bool,
    /// The enum type it is an array of, if it is one: its schema.
    pub element_enum_schema: Option<String>,
    /// That enum's name.
    pub element_enum: Option<String>,
    /// Its collation there, if it is not the database's.
    pub collation: Option<String>,
    /// NOT NULL there.
    pub not_null: bool,
    /// Its comment.
    pub comment: Option<String>,
}

impl Column {
    /// Whether its type is this enum, or an array of it.
    pub fn uses(&self, found: &Enum) -> bool {
        let is = |schema: Option<&String>, name: Option<&String>| {
            schema == Some(&found.schema) && name == Some(&found.name)
        };
        is(Some(&self.type_schema), Some(&self.type_name))
            || is(self.element_enum_schema.as_ref(), self.element_enum.as_ref())
    }
}

/// An enum type at the source.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Enum {
    /// Its schema there.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its labels, in order.
    pub labels: Vec<String>,
}

/// A column's statistics, as pg_stats has them.
#[derive(Debug, Clone, Deserialize)]
pub struct ColumnStatistics {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Fraction of NULLs.
    pub null_fraction: f32,
    /// Mean width in bytes.
    pub width: i32,
    /// Distinct values, negative as a fraction of the rows.
    pub distinct: f32,
    /// Most common values as an array literal.
    pub common: Option<String>,
    /// Their frequencies.
    pub frequencies: Option<Vec<f32>>,
    /// Histogram bounds as an array literal.
    pub histogram: Option<String>,
    /// Correlation of the physical with the logical order.
    pub correlation: Option<f32>,
}

/// Reads a schema. An error if it does not exist.
/// Partitions are listed only if they are among `named`.
pub fn schema(connection: &Connection, name: &str, named: &[String]) -> Result<Schema> {
    let found: Option<Schema> = query::json(connection, &schema_sql(name, named))?;
    found.ok_or_else(|| {
        Error::new(
            Code::ERRCODE_FDW_SCHEMA_NOT_FOUND,
            format!("schema \"{name}\" does not exist on server \"{}\"", connection.server.name),
        )
        .hint("Schemas are matched exactly, in upper and lower case.")
    })
}

/// Reads the statistics of all columns of a schema's tables.
pub fn statistics(
    connection: &Connection,
    schema: &str,
) -> Result<HashMap<String, Vec<ColumnStatistics>>> {
    let sql = format!(
        "SELECT COALESCE(pg_catalog.json_agg(s), '[]') FROM (\
         SELECT DISTINCT ON (tablename, attname) tablename AS \"table\", attname AS \"column\", \
           null_frac AS null_fraction, avg_width AS width, n_distinct AS \"distinct\", \
           most_common_vals::text AS common, most_common_freqs AS frequencies, \
           histogram_bounds::text AS histogram, correlation \
         FROM pg_catalog.pg_stats WHERE schemaname = {} ORDER BY tablename, attname, inherited DESC) s",
        quote::literal(schema)
    );
    let all: Vec<ColumnStatistics> = query::json(connection, &sql)?;
    let mut out: HashMap<String, Vec<ColumnStatistics>> = HashMap::new();
    for column in all {
        out.entry(column.table.clone()).or_default().push(column);
    }
    Ok(out)
}

fn schema_sql(name: &str, named: &[String]) -> String {
    let named: Vec<String> = named.iter().map(|name| quote::literal(name)).collect();
    SCHEMA_SQL
        .replace("$named::text[]", &format!("ARRAY[{}]::text[]", named.join(", ")))
        .replace("$schema", &quote::literal(name))
}

/// One row, one JSON document; no row if the schema does not exist. A partitioned table's size is that
/// of its leaves.
const SCHEMA_SQL: &str = r#"
WITH RECURSIVE base AS (
  SELECT t.oid AS domain, t.typbasetype AS oid, t.typtypmod AS typmod FROM pg_type t WHERE t.typtype = 'd'
  UNION ALL
  SELECT b.domain, t.typbasetype, t.typtypmod FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd'
), relation AS (
  SELECT c.oid, c.relname, c.relkind, c.reltuples, c.relpages FROM pg_class c
  WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $schema)
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (NOT c.relispartition OR c.relname = ANY ($named::text[]))
), field AS (
  SELECT a.attrelid, a.attnum, a.attname, a.attnotnull, t.oid AS typid, t.typname, t.typtype,
    tn.nspname AS typschema, e.typname AS element_enum, en.nspname AS element_enum_schema,
    format_type(t.oid, COALESCE(b.typmod, a.atttypmod)) AS typetext,
    CASE WHEN a.attcollation NOT IN (0, 100, t.typcollation) THEN cl.collname END AS collated
  FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN base b ON b.domain = a.atttypid
      AND NOT EXISTS (SELECT FROM pg_type d WHERE d.oid = b.oid AND d.typtype = 'd')
    JOIN pg_type t ON t.oid = COALESCE(b.oid, a.atttypid)
    JOIN pg_namespace tn ON tn.oid = t.typnamespace
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A' AND e.typtype = 'e'
    LEFT JOIN pg_namespace en ON en.oid = e.typnamespace
    LEFT JOIN pg_collation cl ON cl.oid = a.attcollation
), column_list AS (
  SELECT attrelid, json_agg(json_build_object('name', attname, 'type', typetext, 'type_name', typname,
      'type_schema', typschema, 'kind', typtype, 'builtin', typid < 10000, 'element_enum', element_enum,
      'element_enum_schema', element_enum_schema, 'collation', collated, 'not_null', attnotnull,
      'comment', col_description(attrelid, attnum)) ORDER BY attnum) AS columns
  FROM field GROUP BY attrelid
), index_list AS (
  SELECT i.indrelid, json_agg(json_build_object('columns', k.columns, 'unique', i.indisunique,
      'primary', i.indisprimary) ORDER BY i.indisprimary DESC, ic.relname) AS indexes
  FROM relation r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_am am ON am.oid = ic.relam AND am.amname = 'btree'
    CROSS JOIN LATERAL (
      SELECT json_agg(a.attname ORDER BY u.n) AS columns, count(a.attname) = i.indnkeyatts AS plain
      FROM unnest(i.indkey::int2[]) WITH ORDINALITY u(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = u.attnum AND u.attnum > 0
      WHERE u.n <= i.indnkeyatts) k
  WHERE i.indisvalid AND i.indpred IS NULL AND k.plain
  GROUP BY i.indrelid
), key_list AS (
  SELECT c.conrelid, json_agg(json_build_object(
      'columns', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(c.conkey) WITH ORDINALITY u(attnum, n)
                  JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = u.attnum),
      'schema', fn.nspname, 'table', f.relname,
      'references', (SELECT json_agg(a.attname ORDER BY u.n) FROM unnest(c.confkey) WITH ORDINALITY u(attnum, n)
                     JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = u.attnum)
    ) ORDER BY c.conname) AS keys
  FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid AND c.contype = 'f' AND c.conparentid = 0
    JOIN pg_class f ON f.oid = c.confrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace
  GROUP BY c.conrelid
), leaf AS (
  SELECT r.oid, sum(GREATEST(c.reltuples, 0)) AS tuples, sum(c.relpages) AS pages
  FROM relation r CROSS JOIN LATERAL pg_partition_tree(r.oid) p JOIN pg_class c ON c.oid = p.relid AND p.isleaf
  WHERE r.relkind = 'p' GROUP BY r.oid
), enum_used AS (
  SELECT typname AS name, typschema AS schema FROM field WHERE typtype = 'e'
  UNION SELECT element_enum, element_enum_schema FROM field WHERE element_enum IS NOT NULL
)
SELECT json_build_object(
  'tables', (SELECT COALESCE(json_agg(json_build_object('name', r.relname,
      'comment', obj_description(r.oid, 'pg_class'), 'tuples', COALESCE(l.tuples, r.reltuples),
      'pages', COALESCE(l.pages, r.relpages), 'columns', COALESCE(c.columns, '[]'),
      'indexes', COALESCE(i.indexes, '[]'), 'foreign_keys', COALESCE(k.keys, '[]')) ORDER BY r.relname), '[]')
    FROM relation r LEFT JOIN column_list c ON c.attrelid = r.oid LEFT JOIN index_list i ON i.indrelid = r.oid
      LEFT JOIN key_list k ON k.conrelid = r.oid LEFT JOIN leaf l ON l.oid = r.oid),
  'enums', (SELECT COALESCE(json_agg(json_build_object('schema', u.schema, 'name', u.name, 'labels',
      (SELECT json_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid
         JOIN pg_namespace n ON n.oid = t.typnamespace
       WHERE t.typname = u.name AND n.nspname = u.schema)) ORDER BY u.schema, u.name), '[]') FROM enum_used u))
FROM pg_namespace WHERE nspname = $schema"#;
