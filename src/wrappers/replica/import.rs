//! IMPORT FOREIGN SCHEMA.
//!
//! Postgres takes nothing but CREATE FOREIGN TABLE from the callback, so what else belongs to the
//! import (comments, statistics) waits in this session until the event trigger at the end of the
//! statement calls [`complete`].

use super::enums::{self, Change, LocalEnums};
use super::introspect::{self, Table};
use super::local::{self, Declared};
use super::statistics;
use super::{query, registry};
use crate::pg::catalog::{self, ImportRequest};
use crate::pg::error::{Error, Result};
use crate::pg::sql;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use std::cell::RefCell;
use std::collections::HashMap;

/// What an import leaves to be done once its tables exist.
struct Pending {
    schema: String,
    table: Table,
    statistics: Vec<introspect::ColumnStatistics>,
    collation: String,
}

thread_local! {
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
}

/// The options of the statement.
struct Options {
    not_null: bool,
    statistics: bool,
}

fn options(request: &ImportRequest) -> Result<Options> {
    let mut out = Options { not_null: true, statistics: true };
    for option in &request.options {
        let target = match option.name.as_str() {
            "import_not_null" => &mut out.not_null,
            "import_statistics" => &mut out.statistics,
            other => {
                return Err(Error::new(
                    Code::ERRCODE_FDW_INVALID_OPTION_NAME,
                    format!("invalid option \"{other}\" for IMPORT FOREIGN SCHEMA"),
                )
                .hint("Valid options here are: import_not_null, import_statistics."));
            }
        };
        *target = super::options::parse_bool(&option.value).ok_or_else(|| {
            Error::new(
                Code::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
                format!("invalid value for option \"{}\": true or false is needed", option.name),
            )
        })?;
    }
    Ok(out)
}

/// ImportForeignSchema: the statements that create the tables. Enum types are created at once.
pub fn commands(request: &ImportRequest, server: Oid) -> Result<Vec<String>> {
    PENDING.with_borrow_mut(Vec::clear);
    let options = options(request)?;
    // SAFETY: a plain question.
    let connection = registry::connection(server, unsafe { pg_sys::GetUserId() })?;
    let schema = introspect::schema(&connection, &request.remote_schema, request.named())?;
    let mut statistics = if options.statistics {
        introspect::statistics(&connection, &request.remote_schema)?
    } else {
        HashMap::new()
    };
    let collation = query::collation(&connection)?;
    let server = catalog::server(server);

    let wanted: Vec<Table> =
        schema.tables.into_iter().filter(|table| request.wants(&table.name)).collect();
    let mut enums = LocalEnums::new();
    for found in &schema.enums {
        let used = wanted.iter().flat_map(|table| &table.columns).any(|column| column.uses(found));
        if !used {
            continue;
        }
        let (local, changes) = enums::ensure(&request.local_schema, found)?;
        if changes.contains(&Change::NameTaken) {
            pgrx::notice!(
                "columns of the enum \"{}\" read as text: schema \"{}\" has another type of that name",
                found.name,
                request.local_schema
            );
        }
        if let Some(local) = local {
            enums.insert((found.schema.clone(), found.name.clone()), local);
        }
    }

    let mut out = Vec::new();
    for table in wanted {
        let columns: Vec<Declared> = table
            .columns
            .iter()
            .map(|column| {
                let of = local::local_type(column, &enums);
                let mut column_options = vec![("column_name".to_owned(), column.name.clone())];
                column_options.extend(match of.remote_type {
                    Some(remote) => Some(("remote_type".to_owned(), remote)),
                    None => local::enum_option(column),
                });
                column_options.extend(local::collation_option(column));
                Declared {
                    name: column.name.clone(),
                    of: of.sql,
                    not_null: options.not_null && column.not_null,
                    options: column_options,
                }
            })
            .collect();
        let table_options = local::table_options(&request.remote_schema, &table, &collation);
        out.push(local::create_table(
            &request.local_schema,
            &table.name,
            &columns,
            &server.name,
            &table_options,
        ));
        let statistics = statistics.remove(&table.name).unwrap_or_default();
        PENDING.with_borrow_mut(|pending| {
            pending.push(Pending {
                schema: request.local_schema.clone(),
                table,
                statistics,
                collation: collation.clone(),
            });
        });
    }
    Ok(out)
}

/// The end of the statement: comments and statistics of the tables it made.
pub fn complete() -> Result<()> {
    for pending in PENDING.take() {
        let Some(relation) = catalog::relation_by_name(&pending.schema, &pending.table.name) else {
            continue;
        };
        let (schema, table) = (&pending.schema, &pending.table);
        if let Some(text) = &table.comment {
            sql::execute(&local::comment("FOREIGN TABLE", schema, &table.name, None, Some(text)))?;
        }
        for column in &table.columns {
            if let Some(text) = &column.comment {
                let name = Some(column.name.as_str());
                sql::execute(&local::comment(
                    "FOREIGN TABLE",
                    schema,
                    &table.name,
                    name,
                    Some(text),
                ))?;
            }
        }
        statistics::apply(relation, table, &pending.statistics, &pending.collation);
    }
    Ok(())
}
