//! The sources of a definition: its query as it stands now, the sites that are refreshed one by one, and
//! the moment of which each shows its rows.

use super::book;
use super::definition::Definition;
use crate::pg::error::{Error, Result};
use crate::pg::query::{self, Query};
use crate::pg::subtransaction::attempt;
use crate::pg::{sql, types};
use crate::wrappers::replica::capture::{self, Moment};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use serde::Deserialize;
use warehouse_core::quote;
use warehouse_core::refresh::{Mark, is_older};

/// A site of the merged table that says the definition's sites; or the query as a whole, without a name.
#[derive(Debug, Clone, Deserialize)]
pub struct Site {
    /// The value of the site column.
    pub name: String,
    partition: u32,
    /// Foreign servers that its rows come from.
    pub servers: Vec<String>,
    /// Those of replica_fdw among them.
    server_oids: Vec<u32>,
    /// Whether there are others, APIs, which are asked when they are read.
    #[serde(default)]
    has_api: bool,
}

impl Site {
    /// The foreign table whose rows belong to it.
    pub fn partition(&self) -> Option<Oid> {
        (self.partition != 0).then(|| Oid::from(self.partition))
    }
}

/// A definition's query and sources.
#[derive(Debug)]
pub struct Sources {
    /// The query.
    pub query: Query,
    /// The quoted site column, if sources are refreshed one by one.
    pub column: Option<String>,
    /// The sites; one without a name for the query as a whole.
    pub sites: Vec<Site>,
}

/// The moment of a source.
#[derive(Debug, Clone)]
pub struct AsOf {
    /// What can be remembered of the snapshot of a single server.
    pub mark: Option<Mark>,
    /// The earliest moment of all its servers.
    pub time: Option<String>,
}

/// The servers of tables, or of a merged table's partitions.
const SERVERS: &str = "SELECT pg_catalog.jsonb_build_object('name', '', 'partition', 0, \
    'servers', COALESCE(pg_catalog.jsonb_agg(f.srvname), '[]'), \
    'has_api', COALESCE(pg_catalog.bool_or(f.fdwname <> 'replica_fdw'), false), \
    'server_oids', COALESCE(pg_catalog.jsonb_agg(f.oid::pg_catalog.int8) FILTER (WHERE f.fdwname = 'replica_fdw'), '[]')) \
  FROM (SELECT DISTINCT s.srvname, s.oid, w.fdwname FROM pg_catalog.unnest($1::pg_catalog.oid[]) r(oid) \
      CROSS JOIN LATERAL (SELECT r.oid AS relid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree(r.oid) t) p \
      JOIN pg_catalog.pg_foreign_table t ON t.ftrelid = p.relid \
      JOIN pg_catalog.pg_foreign_server s ON s.oid = t.ftserver \
      JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
        AND w.fdwname IN ('replica_fdw', 'braintree_fdw', 'airtable_fdw')) f";

/// The sites of a merged table.
const SITES: &str = "SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', s.site, \
    'partition', s.partition::pg_catalog.oid::pg_catalog.int8, 'servers', pg_catalog.jsonb_build_array(s.server), \
    'server_oids', pg_catalog.jsonb_build_array(f.oid::pg_catalog.int8)) ORDER BY s.site) \
  FROM warehouse.sites s JOIN pg_catalog.pg_foreign_server f ON f.srvname = s.server \
  WHERE s.relation_schema = $1 AND s.relation_name = $2";

impl Sources {
    /// The query as it stands now and its sources.
    ///
    /// # Errors
    /// What is wrong with the query by now, with what to do about it.
    pub fn of(definition: &Definition) -> Result<Sources> {
        let query = attempt(|| query::look(&definition.resolved))
            .map_err(|error| drifted(definition, error))?;
        let Some(column) = &definition.options.site_column else {
            let whole = whole(&query.tables)?;
            return Ok(Sources { query, column: None, sites: vec![whole] });
        };
        let origin = query.columns.iter().find(|output| output.name == *column);
        let merged = origin.and_then(|output| output.origin).map(|(oid, _)| oid);
        let sites = merged.map(sites_of).transpose()?.unwrap_or_default();
        if sites.is_empty() {
            return Err(Error::new(
                Code::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!(
                    "column \"{column}\" of {} does not say a site any more",
                    definition.label()
                ),
            )
            .hint(AGAIN));
        }
        Ok(Sources { query, column: Some(quote::identifier(column)), sites })
    }

    /// Rows that all of the query gives, about; 0 if nobody can tell. As many as the only table has that it
    /// reads plainly, or as many as it gave before.
    pub fn expected(&self, definition: &Definition) -> u64 {
        let table = self.query.plain.unwrap_or(definition.relation());
        let found = book::json::<f64>(
            "SELECT pg_catalog.to_jsonb(sum(GREATEST(c.reltuples, 0))) FROM ( \
               SELECT $1::pg_catalog.oid AS relid UNION SELECT t.relid FROM pg_catalog.pg_partition_tree($1) t WHERE t.isleaf) r \
             JOIN pg_catalog.pg_class c ON c.oid = r.relid AND c.relkind <> 'p'",
            &[table.into()],
        );
        found.ok().flatten().map_or(0, |rows| rows.max(0.0) as u64)
    }

    /// The condition on the query's rows (or the table's, by alias) that belong to some sites.
    pub fn only(&self, alias: &str, sites: &[&Site]) -> Vec<String> {
        let Some(column) = &self.column else { return Vec::new() };
        let names: Vec<String> = sites.iter().map(|site| quote::literal(&site.name)).collect();
        match &names[..] {
            [one] => vec![format!("{alias}.{column} = {one}")],
            _ if sites.len() == self.sites.len() => Vec::new(),
            _ => vec![format!("{alias}.{column} = ANY (ARRAY[{}])", names.join(", "))],
        }
    }
}

/// The sites of a merged table; none if it is no merged table.
pub fn sites_of(relation: Oid) -> Result<Vec<Site>> {
    // SAFETY: a plain lookup.
    let schema = types::namespace_name(unsafe { pgrx::pg_sys::get_rel_namespace(relation) });
    let name = types::relation_name(relation);
    Ok(book::json(SITES, &[schema.as_str().into(), name.as_str().into()])?.unwrap_or_default())
}

fn whole(tables: &[Oid]) -> Result<Site> {
    book::json(SERVERS, &[tables.to_vec().into()])?
        .ok_or_else(|| Error::bug("the sources of a query could not be found"))
}

const AGAIN: &str = "Look at what has changed (warehouse.merge_schema() reports it), then call \
                     warehouse.materialize() again with a query that fits.";

fn drifted(definition: &Definition, error: Error) -> Error {
    let missing = matches!(
        error.code(),
        Code::ERRCODE_UNDEFINED_COLUMN
            | Code::ERRCODE_UNDEFINED_TABLE
            | Code::ERRCODE_UNDEFINED_FUNCTION
            | Code::ERRCODE_UNDEFINED_OBJECT
            | Code::ERRCODE_INVALID_SCHEMA_NAME
            | Code::ERRCODE_DATATYPE_MISMATCH
    );
    if !missing {
        return error;
    }
    error
        .within(&format!("the query of {} does not fit its sources any more", definition.label()))
        .hint(AGAIN)
}

/// The moment of a site's servers, in this transaction. A source that does not answer is an error.
pub fn as_of(site: &Site) -> Result<AsOf> {
    let moments: Vec<Moment> = site
        .server_oids
        .iter()
        .map(|server| capture::moment(Oid::from(*server)))
        .collect::<Result<_>>()?;
    // Times of JSON have one form, but zones may differ between sources: the server compares them.
    let mut times: Vec<String> = moments.iter().filter_map(|moment| moment.as_of.clone()).collect();
    if site.has_api {
        let now = sql::value_now::<String>("SELECT pg_catalog.clock_timestamp()::text", &[]);
        times.extend(now.ok().flatten());
    }
    let time = match &times[..] {
        [] => None,
        [one] => Some(one.clone()),
        _ => book::json(
            "SELECT pg_catalog.to_jsonb(min(t)) FROM pg_catalog.unnest($1::pg_catalog.timestamptz[]) t",
            &[times.into()],
        )?,
    };
    let mark = match &moments[..] {
        [one] => Some(Mark {
            xmin: number(&one.xmin)?,
            xmax: number(&one.xmax)?,
            system: one.system.clone(),
        }),
        _ => None,
    };
    Ok(AsOf { mark, time })
}

fn number(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::bug(format!("a source's transaction id is \"{text}\"")))
}

/// What was remembered of a source.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Remembered {
    /// Greatest value of the cursor column.
    pub watermark: Option<String>,
    snapshot_xmin: Option<String>,
    snapshot_xmax: Option<String>,
    system: Option<String>,
}

/// What becomes of the greatest value of the cursor column that is remembered.
#[derive(Debug, Clone)]
pub enum Watermark {
    /// It stays.
    Keep,
    /// It is this one by now; none if there are no rows.
    Set(Option<String>),
}

impl Remembered {
    /// The snapshot, if one was.
    pub fn mark(&self) -> Option<Mark> {
        Some(Mark {
            xmin: self.snapshot_xmin.as_ref()?.parse().ok()?,
            xmax: self.snapshot_xmax.as_ref()?.parse().ok()?,
            system: self.system.clone(),
        })
    }
}

/// What was remembered of a source that has been refreshed before.
pub fn remembered(definition: &Definition, site: &Site) -> Result<Option<Remembered>> {
    book::json(
        "SELECT pg_catalog.to_jsonb(s) FROM warehouse.materialization_source s \
         WHERE s.materialization = $1::pg_catalog.int4 AND s.source = $2 AND s.succeeded_at IS NOT NULL",
        &[i64::from(definition.id).into(), site.name.as_str().into()],
    )
}

/// Remembers a source that was refreshed. A watermark or mark of `None` keeps the former.
pub fn remember(
    definition: &Definition,
    site: &Site,
    as_of: &AsOf,
    watermark: &Watermark,
    mark: Option<&Mark>,
) -> Result<()> {
    let servers = site.servers.join(", ");
    book::run(
        "INSERT INTO warehouse.materialization_source AS s \
           (materialization, source, server, watermark, snapshot_xmin, snapshot_xmax, system, data_as_of, succeeded_at) \
         VALUES ($1::pg_catalog.int4, $2, NULLIF($3, ''), $4, $5, $6, $7, $8::pg_catalog.timestamptz, pg_catalog.clock_timestamp()) \
         ON CONFLICT (materialization, source) DO UPDATE SET server = excluded.server, \
           watermark = CASE WHEN $9 THEN excluded.watermark ELSE s.watermark END, \
           snapshot_xmin = COALESCE(excluded.snapshot_xmin, s.snapshot_xmin), \
           snapshot_xmax = COALESCE(excluded.snapshot_xmax, s.snapshot_xmax), \
           system = CASE WHEN excluded.snapshot_xmin IS NULL THEN s.system ELSE excluded.system END, \
           data_as_of = excluded.data_as_of, succeeded_at = excluded.succeeded_at, failed_at = NULL, error = NULL",
        &[
            i64::from(definition.id).into(),
            site.name.as_str().into(),
            servers.as_str().into(),
            watermark.value().into(),
            mark.map(|mark| mark.xmin.to_string()).into(),
            mark.map(|mark| mark.xmax.to_string()).into(),
            mark.and_then(|mark| mark.system.clone()).into(),
            as_of.time.as_deref().into(),
            matches!(watermark, Watermark::Set(_)).into(),
        ],
    )
}

impl Watermark {
    fn value(&self) -> Option<&str> {
        match self {
            Watermark::Keep => None,
            Watermark::Set(value) => value.as_deref(),
        }
    }
}

/// Refuses a moment of a source that lies before the one whose rows the table has: it would show a state
/// that never was.
///
/// # Errors
/// 40001.
pub fn check_moment(site: &Site, remembered: &Remembered, as_of: &AsOf) -> Result<()> {
    let (Some(now), Some(then)) = (&as_of.mark, remembered.mark()) else { return Ok(()) };
    if !is_older(now, &then) {
        return Ok(());
    }
    let server = site.servers.join(", ");
    Err(Error::new(
        Code::ERRCODE_T_R_SERIALIZATION_FAILURE,
        format!("server \"{server}\" shows an older moment than the table has already"),
    )
    .hint("Refresh in a transaction of its own; a standby that has restarted has to catch up first. full_refresh => true starts anew from this moment."))
}

/// Notes that a source failed.
pub fn failed(definition: &Definition, site: &Site, error: &Error) -> Result<()> {
    let servers = site.servers.join(", ");
    book::run(
        "INSERT INTO warehouse.materialization_source AS s (materialization, source, server, failed_at, error) \
         VALUES ($1::pg_catalog.int4, $2, NULLIF($3, ''), pg_catalog.clock_timestamp(), $4) \
         ON CONFLICT (materialization, source) DO UPDATE SET failed_at = excluded.failed_at, error = excluded.error",
        &[
            i64::from(definition.id).into(),
            site.name.as_str().into(),
            servers.as_str().into(),
            error.told().into(),
        ],
    )
}

/// Forgets sources that are no more; which.
pub fn forget_others(definition: &Definition, sites: &[Site]) -> Result<Vec<String>> {
    let names: Vec<String> = sites.iter().map(|site| site.name.clone()).collect();
    let gone = book::json(
        "WITH gone AS (DELETE FROM warehouse.materialization_source s \
           WHERE s.materialization = $1::pg_catalog.int4 AND s.source <> ALL ($2) RETURNING s.source) \
         SELECT pg_catalog.jsonb_agg(gone.source) FROM gone",
        &[i64::from(definition.id).into(), names.into()],
    )?;
    Ok(gone.unwrap_or_default())
}
