//! A definition: what `warehouse.materialize()` was told, with defaults filled in.

use super::book;
use crate::pg::error::{Error, Result};
use crate::pg::{catalog, types};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How changes are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// All rows anew.
    #[serde(rename = "full")]
    Full,
    /// New rows are added.
    #[serde(rename = "append")]
    Append,
    /// Rows are inserted or updated by key.
    #[serde(rename = "merge")]
    Merge,
    /// Rows of the keys that were fetched are deleted, then inserted.
    #[serde(rename = "delete+insert")]
    DeleteInsert,
    /// Buckets of time are computed anew.
    #[serde(rename = "microbatch")]
    Microbatch,
}

/// How changes are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capture {
    /// They are not: everything is fetched.
    None,
    /// By a column that grows.
    Cursor,
    /// By the transaction that wrote a row.
    Xmin,
    /// By comparing ranges of keys.
    Diff,
    /// By the changes of the materialized table that it groups.
    Change,
}

/// What happens when a definition's columns change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSchemaChange {
    /// It is an error.
    #[default]
    Fail,
    /// New columns are left out; ones that are gone read NULL.
    Ignore,
    /// New columns are added; ones that are gone read NULL.
    AppendNewColumns,
    /// Columns are added, dropped and retyped.
    SyncAllColumns,
}

/// All arguments but name and query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Options {
    pub strategy: Strategy,
    pub capture: Capture,
    #[serde(default)]
    pub unique_key: Vec<String>,
    pub cursor_column: Option<String>,
    pub lookback: Option<String>,
    pub event_time: Option<String>,
    pub batch_size: Option<String>,
    /// The output column that says the site, where sources are refreshed one by one.
    pub site_column: Option<String>,
    #[serde(default)]
    pub indexes: Vec<Vec<String>>,
    #[serde(default)]
    pub on_schema_change: OnSchemaChange,
    pub tests: Option<Value>,
    pub require: Option<Value>,
    pub schedule: Option<String>,
    pub reconcile: Option<String>,
    /// In which the query and cron expressions are evaluated.
    pub time_zone: String,
    pub jitter: Option<String>,
    #[serde(default)]
    /// The numbers of the definitions after which it runs.
    pub after: Vec<i32>,
    pub warn_after: Option<String>,
    pub error_after: Option<String>,
    pub time_limit: Option<String>,
    pub max_failures: i32,
    #[serde(default)]
    pub clear: bool,
    pub description: Option<String>,
}

impl Options {
    /// Whether changes are found by the rule of the API whose table the query reads.
    pub fn follows_api(&self) -> bool {
        self.capture == Capture::Cursor && self.cursor_column.is_none()
    }
}

/// A definition.
#[derive(Debug, Clone, Deserialize)]
pub struct Definition {
    /// Its number.
    pub id: i32,
    relation: u32,
    owner: u32,
    /// The query as it is run.
    pub resolved: String,
    /// Everything else.
    pub options: Options,
}

impl Definition {
    /// The table.
    pub fn relation(&self) -> Oid {
        Oid::from(self.relation)
    }

    /// The role whose rights its runs have.
    pub fn owner(&self) -> Oid {
        catalog::relation_owner(self.relation()).unwrap_or(Oid::from(self.owner))
    }

    /// Its name in messages, quoted.
    pub fn label(&self) -> String {
        types::relation_label(self.relation())
    }

    /// Schema and name.
    pub fn name(&self) -> String {
        types::relation_plain_label(self.relation())
    }

    /// The definition of a table.
    ///
    /// # Errors
    /// 42704 if it has none.
    pub fn of(relation: Oid) -> Result<Definition> {
        Self::read("m.relation = $1::pg_catalog.oid", relation.to_u32().into(), "")?.ok_or_else(|| {
            Error::new(
                Code::ERRCODE_UNDEFINED_OBJECT,
                format!("{} is not materialized", types::relation_label(relation)),
            )
            .hint("warehouse.materialize() makes such tables; warehouse.materializations lists them.")
        })
    }

    /// A definition by number, locked against other refreshes until the transaction ends.
    ///
    /// # Errors
    /// 55P03 if it is being refreshed.
    pub fn locked(id: i32, wait: bool) -> Result<Option<Definition>> {
        let clause = if wait { "FOR NO KEY UPDATE" } else { "FOR NO KEY UPDATE SKIP LOCKED" };
        let found = Self::read("m.id = $1::pg_catalog.int4", i64::from(id), clause)?;
        if found.is_none()
            && !wait
            && Self::read("m.id = $1::pg_catalog.int4", i64::from(id), "")?.is_some()
        {
            return Err(Error::new(
                Code::ERRCODE_LOCK_NOT_AVAILABLE,
                "the table is being refreshed or redefined by another session",
            )
            .hint("warehouse.progress shows it. Try again when it has ended."));
        }
        Ok(found)
    }

    fn read(condition: &str, value: i64, lock: &str) -> Result<Option<Definition>> {
        book::json(
            &format!(
                "SELECT pg_catalog.jsonb_build_object('id', m.id, 'relation', m.relation::pg_catalog.oid::pg_catalog.int8, \
                   'owner', m.owner::pg_catalog.oid::pg_catalog.int8, 'resolved', m.resolved, 'options', m.options) \
                 FROM warehouse.materialization m WHERE {condition} {lock}"
            ),
            &[value.into()],
        )
    }
}
