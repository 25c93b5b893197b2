//! What a merged table is now, read from the local catalogs.

use crate::pg::error::{Error, Result};
use pgrx::{JsonB, Spi};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Options by name.
pub type Options = BTreeMap<String, String>;

/// A relation that has the name of a merged table.
#[derive(Debug, Deserialize)]
pub struct Table {
    /// `relkind`.
    pub kind: char,
    /// Its comment.
    pub comment: Option<String>,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its partitions.
    pub partitions: Vec<Partition>,
}

/// A column of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in SQL.
    #[serde(rename = "type")]
    pub of: String,
    /// NOT NULL.
    pub not_null: bool,
    /// Its comment.
    pub comment: Option<String>,
}

/// A foreign partition of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Partition {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its server.
    pub server: String,
    /// The constant that stands in its site column.
    pub site: Option<String>,
    /// Its options.
    pub options: Options,
    /// The options of its columns.
    pub columns: BTreeMap<String, Options>,
}

fn json<T: DeserializeOwned>(sql: &str, args: &[&str]) -> Result<Option<T>> {
    let args: Vec<_> = args.iter().map(|arg| (*arg).into()).collect();
    let found = Spi::get_one_with_args::<JsonB>(sql, &args)
        .map_err(|error| Error::bug(format!("the local catalog cannot be read: {error}")))?;
    found
        .map(|found| {
            serde_json::from_value(found.0)
                .map_err(|error| Error::bug(format!("the local catalog cannot be read: {error}")))
        })
        .transpose()
}

/// The relation of this name, if there is one.
pub fn load(schema: &str, name: &str) -> Result<Option<Table>> {
    json(
        "SELECT (SELECT pg_catalog.jsonb_build_object(
             'kind', c.relkind, 'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
             'columns', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                 'name', a.attname, 'not_null', a.attnotnull,
                 'comment', pg_catalog.col_description(a.attrelid, a.attnum),
                 'type', warehouse.type_name(a.atttypid, a.atttypmod)) ORDER BY a.attnum), '[]')
               FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
             'partitions', (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                 'schema', pn.nspname, 'name', p.relname, 'server', s.srvname,
                 'site', (SELECT o.option_value FROM pg_catalog.pg_partitioned_table k
                    JOIN pg_catalog.pg_attribute ka ON ka.attrelid = c.oid AND ka.attnum = k.partattrs[0]
                    JOIN pg_catalog.pg_attribute sa ON sa.attrelid = p.oid AND sa.attname = ka.attname
                    CROSS JOIN LATERAL pg_catalog.pg_options_to_table(sa.attfdwoptions) o
                    WHERE k.partrelid = c.oid AND o.option_name = 'constant'),
                 'options', (SELECT COALESCE(pg_catalog.jsonb_object_agg(o.option_name, o.option_value), '{}')
                    FROM pg_catalog.pg_options_to_table(f.ftoptions) o),
                 'columns', (SELECT pg_catalog.jsonb_object_agg(a.attname,
                      (SELECT COALESCE(pg_catalog.jsonb_object_agg(o.option_name, o.option_value), '{}')
                       FROM pg_catalog.pg_options_to_table(a.attfdwoptions) o))
                    FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = p.oid AND a.attnum > 0 AND NOT a.attisdropped)
               ) ORDER BY p.relname), '[]')
               FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
                 JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
                 JOIN pg_catalog.pg_foreign_table f ON f.ftrelid = p.oid
                 JOIN pg_catalog.pg_foreign_server s ON s.oid = f.ftserver
               WHERE i.inhparent = c.oid))
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = $1 AND c.relname = $2)",
        &[schema, name],
    )
}

/// The partitioned tables of a schema that have foreign partitions of this wrapper.
pub fn merged_tables(schema: &str) -> Result<Vec<String>> {
    let found = json(
        "SELECT COALESCE(pg_catalog.jsonb_agg(DISTINCT s.relation_name), '[]')
         FROM warehouse.sites s WHERE s.relation_schema = $1",
        &[schema],
    )?;
    Ok(found.unwrap_or_default())
}
