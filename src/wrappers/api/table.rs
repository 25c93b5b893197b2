//! A foreign table of an API: its columns here, what is shown of them, and the connector's table.

use super::error;
use super::options::{self, BraintreeTable};
use super::source::Source;
use super::vendor::Vendor;
use crate::pg::catalog::{self, Attribute};
use crate::pg::error::{Error, Result};
use crate::pg::types;
use crate::privacy::policy::{self, Shown};
use crate::wrappers::convert::{Columns, Converted};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::Oid;
use std::rc::Rc;
use std::time::Duration;
use warehouse_core::connectors::airtable::{self, BoundColumn};
use warehouse_core::connectors::{ColumnType, Table, braintree};
use warehouse_core::predicate::{ColumnRef, Expr, Literal, Reason, TypeName};

/// A column.
#[derive(Debug, Clone)]
pub struct ApiColumn {
    /// Its number here, from 1.
    pub number: i16,
    /// Its name.
    pub name: String,
    /// Its type here.
    pub of: Oid,
    /// Its type modifier here.
    pub typmod: i32,
    /// Its number among the connector's columns.
    pub place: usize,
    /// What is shown of it.
    pub shown: Shown,
    /// The policy hides it from those without the right to clear text.
    pub is_protected: bool,
}

/// A foreign table.
#[derive(Debug, Clone)]
pub struct ApiTable {
    /// Its OID.
    pub relation: Oid,
    /// What an error calls it.
    pub label: String,
    /// The same without quotes.
    pub plain_label: String,
    /// Its columns.
    pub columns: Vec<ApiColumn>,
    /// The connector's table.
    pub table: Rc<Table>,
    /// How long its answers may be reused.
    pub cache_ttl: Duration,
}

impl ApiTable {
    /// Reads the catalog. In clear for who `sees_clear`.
    pub fn load(relation: Oid, source: &Source, sees_clear: bool) -> Result<ApiTable> {
        let declared = catalog::table(relation);
        let attributes = catalog::relation_attributes(relation);
        let vendor = Vendor::of_server(declared.server)?;
        let label = types::relation_label(relation);
        let named = |error: Error| error.within(&label);
        let server = &source.server.options;
        let column_options: Vec<_> = attributes
            .iter()
            .map(|attribute| catalog::column_options(relation, attribute.number))
            .collect();
        let (table, ttl) = match vendor {
            Vendor::Braintree => {
                let options = BraintreeTable::parse(&declared.options).map_err(named)?;
                let name = options.table_name.unwrap_or_else(|| types::relation_name(relation));
                let found = braintree::tables().into_iter().find(|table| table.name == name);
                let table = found.ok_or_else(|| {
                    Error::new(
                        Code::ERRCODE_FDW_TABLE_NOT_FOUND,
                        format!("{label}: Braintree has no table \"{name}\""),
                    )
                    .hint("The table option table_name says which it is.")
                })?;
                (table, options.cache_ttl)
            }
            Vendor::Airtable => {
                let options = options::airtable_table(&declared.options).map_err(named)?;
                let ttl = options.cache_ttl;
                let mut bound = Vec::with_capacity(attributes.len());
                for (attribute, options) in attributes.iter().zip(&column_options) {
                    bound.push(BoundColumn {
                        name: &attribute.name,
                        of: column_type(attribute).ok_or_else(|| unfit(&label, attribute, None))?,
                        options: options
                            .iter()
                            .map(|option| (option.name.as_str(), option.value.as_str()))
                            .collect(),
                    });
                }
                let name = types::relation_name(relation);
                let server = options::airtable_server(server).map_err(named)?;
                let table = airtable::bind(&name, &options, &bound, &server)
                    .map_err(|error| named(error::option(error)))?;
                (table, ttl)
            }
        };
        let unclassified = options::of_unclassified(server);
        let mut columns = Vec::with_capacity(attributes.len());
        for (attribute, options) in attributes.into_iter().zip(&column_options) {
            let Some((place, known)) = table.column(&attribute.name) else {
                return Err(Error::new(
                    Code::ERRCODE_FDW_COLUMN_NAME_NOT_FOUND,
                    format!(
                        "{label}: {} has no column \"{}\" in this table",
                        vendor.name(),
                        attribute.name
                    ),
                )
                .hint("Import the table again."));
            };
            if column_type(&attribute).as_ref() != Some(&known.of) {
                return Err(unfit(&label, &attribute, Some(&known.of)));
            }
            let policy = options::policy(options);
            let told = policy::shown(&policy, &attribute.name, attribute.of, unclassified);
            columns.push(ApiColumn {
                number: attribute.number,
                name: attribute.name,
                of: attribute.of,
                typmod: attribute.typmod,
                place,
                is_protected: told != Shown::Clear,
                shown: if sees_clear { Shown::Clear } else { told },
            });
        }
        let cache_ttl = match ttl {
            Some(ttl) => ttl,
            None => options::cache_ttl(vendor, server)?,
        };
        Ok(ApiTable {
            relation,
            plain_label: types::relation_plain_label(relation),
            label,
            columns,
            table: Rc::new(table),
            cache_ttl,
        })
    }

    /// A column by its number.
    pub fn column(&self, number: i16) -> Option<&ApiColumn> {
        self.columns.iter().find(|column| column.number == number)
    }
}

/// The connectors' name of a column's type; none for a type that no connector fills.
fn column_type(attribute: &Attribute) -> Option<ColumnType> {
    ColumnType::of_sql(&types::type_name(types::base_type(attribute.of), -1))
}

fn unfit(label: &str, attribute: &Attribute, wanted: Option<&ColumnType>) -> Error {
    let error = Error::new(
        Code::ERRCODE_FDW_INVALID_DATA_TYPE,
        format!(
            "{label}: column \"{}\" cannot be of type {}",
            attribute.name,
            types::type_name(attribute.of, attribute.typmod)
        ),
    );
    error.hint(match wanted {
        Some(of) => format!("Declare it as {}.", of.sql()),
        None => "text, numeric, integer, bigint, boolean, timestamptz, date, jsonb and arrays of them can be filled.".to_owned(),
    })
}

/// The table in a query, for the conversion of conditions.
pub struct Scope<'t> {
    /// Its range table index.
    pub relation: u32,
    /// The table.
    pub table: &'t ApiTable,
}

impl Scope<'_> {
    fn find(&self, relation: u32, attribute: i16) -> Option<&ApiColumn> {
        if relation == self.relation { self.table.column(attribute) } else { None }
    }
}

impl Columns for Scope<'_> {
    fn owns(&self, relation: u32) -> bool {
        relation == self.relation
    }

    fn column(&self, relation: u32, attribute: i16) -> Converted {
        let column = self.find(relation, attribute).ok_or(Reason::WholeRow)?;
        let literal = |text: Option<String>| {
            let of = TypeName(types::type_name(column.of, column.typmod));
            Ok(Expr::Literal(Literal { text, of }))
        };
        match &column.shown {
            Shown::Clear => Ok(Expr::Column(ColumnRef {
                relation,
                name: self.table.table.columns[column.place].name.clone(),
                cast_to: None,
            })),
            Shown::Null | Shown::Refused(_) => literal(None),
            Shown::Constant(text) => literal(Some(text.clone())),
            // What is asked about the raw value would tell of it.
            Shown::Masked(_) => Err(Reason::Masked(column.name.clone())),
        }
    }

    fn presence(&self, relation: u32, attribute: i16) -> Converted {
        self.column(relation, attribute)
    }

    fn enum_there(&self, _: u32, _: i16) -> Option<TypeName> {
        None
    }

    fn collation_proven(&self) -> bool {
        false
    }

    fn has_extension_of(&self, _: Oid, _: Oid) -> bool {
        false
    }

    fn rely_on_styles(&self) {}

    fn rely_on_collation(&self) {}
}
