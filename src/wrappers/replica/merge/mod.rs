//! `warehouse.merge_schema`: one partitioned table over the tables of the same name at several sites.
//!
//! The parent is an ordinary partitioned table; each site is a foreign partition in the schema
//! `<local_schema>_sites`, whose site column is a constant. A run reads what every source has
//! ([`super::introspect`]), decides what the merged table should be ([`desired`]), reads what it is
//! ([`current`]) and changes only what differs ([`apply`]), so that grants, views and column options
//! stay. Everything happens in the caller's transaction.

mod apply;
mod current;
mod desired;

use super::enums::{self, LocalEnums};
use super::introspect::{self, ColumnStatistics, Schema};
use super::{query, registry};
use crate::pg::catalog::{self, Server};
use crate::pg::error::{Error, Result};
use crate::pg::{keywords, sql};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys;
use serde::Deserialize;
use std::collections::{BTreeSet, HashMap};

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The merged table or type.
    pub relation: String,
    /// The site, if it is about one.
    pub site: Option<String>,
    /// The column, if it is about one.
    pub column: Option<String>,
    /// What was found or done.
    pub what: String,
    /// More about it.
    pub detail: Option<String>,
}

impl Change {
    fn new(relation: &str, what: &str) -> Change {
        Change {
            relation: relation.to_owned(),
            site: None,
            column: None,
            what: what.to_owned(),
            detail: None,
        }
    }

    fn at(mut self, site: &str) -> Change {
        self.site = Some(site.to_owned());
        self
    }

    fn of(mut self, column: &str) -> Change {
        self.column = Some(column.to_owned());
        self
    }

    fn saying(mut self, detail: impl Into<String>) -> Change {
        self.detail = Some(detail.into());
        self
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Request {
    local_schema: String,
    sources: Vec<SourceName>,
    site_column: String,
    tables: Option<BTreeSet<String>>,
}

/// A source as it is named.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceName {
    server: String,
    schema: String,
    site: String,
}

/// A source and what it has.
struct Source {
    site: String,
    server: Server,
    schema_name: String,
    schema: Schema,
    statistics: HashMap<String, Vec<ColumnStatistics>>,
    collation: String,
    enums: LocalEnums,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::ERRCODE_INVALID_PARAMETER_VALUE, message)
}

impl Request {
    /// Checks the arguments.
    pub fn new(
        local_schema: &str,
        sources: serde_json::Value,
        site_column: &str,
        tables: Option<Vec<String>>,
    ) -> Result<Request> {
        const SHAPE: &str = r#"sources is a list such as [{"server": "shop_main", "schema": "public", "site": "shop"}, …]."#;
        let sources: Vec<SourceName> = serde_json::from_value(sources)
            .map_err(|error| invalid(format!("sources cannot be read: {error}")).hint(SHAPE))?;
        if sources.is_empty() {
            return Err(invalid("sources is empty").hint(SHAPE));
        }
        let mut seen = BTreeSet::new();
        for source in &sources {
            if source.site.is_empty() {
                return Err(invalid("a site has no name").hint(SHAPE));
            }
            if !seen.insert(&source.site) {
                return Err(invalid(format!("site \"{}\" is named twice", source.site))
                    .hint("Each source needs a site of its own."));
            }
        }
        if local_schema.is_empty() || site_column.is_empty() {
            return Err(invalid("local_schema and site_column need a name"));
        }
        if local_schema.contains("pg_") {
            return Err(invalid("the name of local_schema contains \"pg_\"")
                .hint("BI tools hide such schemas."));
        }
        Ok(Request {
            local_schema: local_schema.to_owned(),
            sources,
            site_column: site_column.to_owned(),
            tables: tables.map(|names| names.into_iter().collect()),
        })
    }
}

/// The schema of the partitions.
fn sites_schema(local_schema: &str) -> String {
    format!("{local_schema}_sites")
}

/// Brings the merged tables up to date.
pub fn run(request: &Request) -> Result<Vec<Change>> {
    let mut report = Vec::new();
    let mut sources = Vec::new();
    for name in &request.sources {
        sources.push(read(name)?);
    }
    for schema in [request.local_schema.clone(), sites_schema(&request.local_schema)] {
        if !catalog::schema_exists(&schema) {
            sql::execute(&format!("CREATE SCHEMA {}", keywords::ident(&schema)))?;
            report.push(Change::new(&schema, "created schema"));
        }
    }
    make_enums(request, &mut sources, &mut report)?;

    let mut names: BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| &source.schema.tables)
        .map(|table| table.name.as_str())
        .collect();
    if let Some(wanted) = &request.tables {
        if let Some(missing) = wanted.iter().find(|name| !names.contains(name.as_str())) {
            return Err(Error::new(
                Code::ERRCODE_UNDEFINED_TABLE,
                format!("no source has a table \"{missing}\""),
            )
            .hint("Names in tables are those at the sources, in upper and lower case."));
        }
        names.retain(|name| wanted.contains(*name));
    }
    for name in names {
        apply::table(request, &sources, name, &mut report)?;
    }
    apply::vanished_tables(request, &sources, &mut report)?;
    Ok(report)
}

fn read(name: &SourceName) -> Result<Source> {
    let server = catalog::server_by_name(&name.server)?;
    // SAFETY: a plain question.
    let connection = registry::connection(server.oid, unsafe { pg_sys::GetUserId() })?;
    let within = |error: Error| error.within(&format!("site \"{}\"", name.site));
    let schema = introspect::schema(&connection, &name.schema, &[]).map_err(within)?;
    let statistics = introspect::statistics(&connection, &name.schema).map_err(within)?;
    Ok(Source {
        site: name.site.clone(),
        server,
        schema_name: name.schema.clone(),
        schema,
        statistics,
        collation: query::collation(&connection)?,
        enums: LocalEnums::new(),
    })
}

fn make_enums(request: &Request, sources: &mut [Source], report: &mut Vec<Change>) -> Result<()> {
    for source in sources {
        for found in &source.schema.enums {
            let needed = source
                .schema
                .tables
                .iter()
                .filter(|table| request.tables.as_ref().is_none_or(|t| t.contains(&table.name)))
                .flat_map(|table| &table.columns)
                .any(|column| column.uses(found));
            if !needed {
                continue;
            }
            let (local, changes) = enums::ensure(&request.local_schema, found)?;
            for change in changes {
                report.push(match change {
                    enums::Change::Created => {
                        Change::new(&found.name, "created type").at(&source.site)
                    }
                    enums::Change::Added(label) => {
                        Change::new(&found.name, "added label").at(&source.site).saying(label)
                    }
                    enums::Change::NameTaken => Change::new(&found.name, "type conflict")
                        .at(&source.site)
                        .saying("another type has this name here: its columns read as text"),
                });
            }
            if let Some(local) = local {
                source.enums.insert((found.schema.clone(), found.name.clone()), local);
            }
        }
    }
    Ok(())
}

/// Takes a site out of all merged tables of a schema.
pub fn drop_site(local_schema: &str, site: &str) -> Result<Vec<Change>> {
    let mut report = Vec::new();
    for name in current::merged_tables(local_schema)? {
        let Some(table) = current::load(local_schema, &name)? else { continue };
        for partition in table.partitions.iter().filter(|p| p.site.as_deref() == Some(site)) {
            sql::execute(&format!(
                "DROP FOREIGN TABLE {}",
                keywords::qualified(&partition.schema, &partition.name)
            ))?;
            report.push(Change::new(&name, "dropped site").at(site));
        }
    }
    if report.is_empty() {
        return Err(Error::new(
            Code::ERRCODE_UNDEFINED_OBJECT,
            format!("no merged table of schema \"{local_schema}\" has a site \"{site}\""),
        )
        .hint("SELECT DISTINCT site FROM warehouse.sites; lists the sites."));
    }
    Ok(report)
}
