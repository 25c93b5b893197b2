//! IMPORT FOREIGN SCHEMA.
//!
//! Of Braintree the remote schema is `braintree`; of Airtable the base, by name or id, with the tables of
//! its catalogue if the option `catalogue` is true. Postgres takes nothing but CREATE FOREIGN TABLE from
//! the callback: comments wait in this session until the event trigger at the end of the statement calls
//! [`complete`].

use super::error;
use super::options::Api;
use super::session;
use super::source;
use crate::pg::catalog::{self, ImportRequest};
use crate::pg::error::{Error, Result};
use crate::pg::{identity, sql};
use crate::wrappers::replica::local::{self, Declared};
use crate::wrappers::replica::options::parse_bool;
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use std::cell::RefCell;
use std::collections::HashMap;
use warehouse_core::connectors::{Column, Table, airtable, braintree};

thread_local! {
    /// The local schema and the tables whose comments are to be written.
    static PENDING: RefCell<Vec<(String, Table)>> = const { RefCell::new(Vec::new()) };
}

/// ImportForeignSchema: the statements that create the tables.
pub fn commands(request: &ImportRequest, server: Oid) -> Result<Vec<String>> {
    PENDING.with_borrow_mut(Vec::clear);
    let source = source::asked(server, identity::current())?;
    let with_catalogue = options(request, &source.api)?;
    let tables = match &*source.api {
        Api::Braintree(_) => {
            if request.remote_schema != "braintree" {
                return Err(no_schema(request)
                    .hint("Braintree has one: IMPORT FOREIGN SCHEMA braintree FROM SERVER …"));
            }
            braintree::tables().into_iter().map(named).collect()
        }
        Api::Airtable(airtable) => {
            let session = session::session()?;
            let host = session.host.clone();
            let known = known_names(server, &request.local_schema);
            let found = session.wait(async {
                let base = airtable.find_base(host.as_ref(), &request.remote_schema).await?;
                let mut tables = airtable.import(host.as_ref(), &base, &known).await?;
                if with_catalogue {
                    tables.extend(airtable::catalogue(Some(&base.id)));
                }
                Ok(tables)
            });
            found.map_err(|error| {
                error::of(error).within(&format!("server \"{}\"", source.server.name))
            })?
        }
    };
    let mut out = Vec::new();
    for table in tables.into_iter().filter(|table| request.wants(&table.name)) {
        let columns: Vec<Declared> = table.columns.iter().map(declared).collect();
        out.push(local::create_table(
            &request.local_schema,
            &table.name,
            &columns,
            &source.server.name,
            &table.options,
        ));
        PENDING.with_borrow_mut(|pending| pending.push((request.local_schema.clone(), table)));
    }
    Ok(out)
}

/// A column as it is declared.
pub fn declared(column: &Column) -> Declared {
    let mut options = column.options.clone();
    options.extend(column.class.map(|class| ("class".to_owned(), class.to_string())));
    options.extend(column.mask.clone().map(|mask| ("mask".to_owned(), mask)));
    Declared { name: column.name.clone(), of: column.of.sql(), not_null: false, options }
}

/// A table of Braintree says which it is, so that it may be renamed.
fn named(mut table: Table) -> Table {
    table.options.push(("table_name".to_owned(), table.name.clone()));
    table
}

fn no_schema(request: &ImportRequest) -> Error {
    Error::new(
        Code::ERRCODE_FDW_SCHEMA_NOT_FOUND,
        format!("there is no schema \"{}\" at the source", request.remote_schema),
    )
}

/// Whether the tables of Airtable's catalogue are wanted.
fn options(request: &ImportRequest, api: &Api) -> Result<bool> {
    let mut catalogue = false;
    for option in &request.options {
        match (option.name.as_str(), api) {
            ("catalogue", Api::Airtable(_)) => {
                catalogue = parse_bool(&option.value).ok_or_else(|| {
                    Error::new(
                        Code::ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
                        "invalid value for option \"catalogue\": true or false is needed",
                    )
                })?;
            }
            (name, api) => {
                let error = Error::new(
                    Code::ERRCODE_FDW_INVALID_OPTION_NAME,
                    format!("invalid option \"{name}\" for IMPORT FOREIGN SCHEMA"),
                );
                return Err(error.hint(match api {
                    Api::Airtable(_) => "Valid options here are: catalogue.",
                    Api::Braintree(_) => "There are no valid options here.",
                }));
            }
        }
    }
    Ok(catalogue)
}

/// The names that tables and fields of Airtable have in a schema already, by their ids.
pub fn known_names(server: Oid, schema: &str) -> HashMap<String, String> {
    let found = sql::value::<pgrx::JsonB>(
        "SELECT pg_catalog.jsonb_object_agg(k.id, k.name) FROM ( \
           SELECT o.option_value AS id, c.relname::text AS name \
           FROM pg_catalog.pg_foreign_table f \
             JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             CROSS JOIN LATERAL pg_catalog.pg_options_to_table(f.ftoptions) o \
           WHERE f.ftserver = $1 AND n.nspname = $2 AND o.option_name = 'table_id' \
           UNION ALL \
           SELECT o.option_value, a.attname::text \
           FROM pg_catalog.pg_foreign_table f \
             JOIN pg_catalog.pg_class c ON c.oid = f.ftrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
             CROSS JOIN LATERAL pg_catalog.pg_options_to_table(a.attfdwoptions) o \
           WHERE f.ftserver = $1 AND n.nspname = $2 AND o.option_name = 'field_id') k",
        &[server.into(), schema.into()],
    );
    let json = found.ok().flatten().map(|json| json.0);
    json.and_then(|json| serde_json::from_value(json).ok()).unwrap_or_default()
}

/// The end of the statement: comments of the tables it made.
pub fn complete() -> Result<()> {
    for (schema, table) in PENDING.take() {
        if catalog::relation_by_name(&schema, &table.name).is_some() {
            comment(&schema, &table)?;
        }
    }
    Ok(())
}

/// Writes the comments of a table.
pub fn comment(schema: &str, table: &Table) -> Result<()> {
    let write = |column: Option<&str>, text: &str| {
        let kind = "FOREIGN TABLE";
        sql::execute(&local::comment(kind, schema, &table.name, column, Some(text)))
    };
    if let Some(text) = &table.comment {
        write(None, text)?;
    }
    for column in &table.columns {
        if let Some(text) = &column.comment {
            write(Some(&column.name), text)?;
        }
    }
    Ok(())
}
