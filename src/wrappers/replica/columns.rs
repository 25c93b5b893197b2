//! The columns of a replica table: what each one is here and where its values come from.

use super::collation;
use super::decode::{Travel, travel};
use super::keys::Index;
use super::options::{ColumnSource, TableOptions};
use crate::pg::{catalog, keywords, types};
use crate::wrappers::convert::{Columns, Converted};
use pgrx::pg_sys::Oid;
use std::cell::Cell;
use warehouse_core::predicate::{ColumnRef, Expr, Literal, Reason, TypeName};

/// A column.
#[derive(Debug, Clone)]
pub struct TableColumn {
    /// Its number here, from 1.
    pub number: i16,
    /// Its name here.
    pub name: String,
    /// Its type here.
    pub of: Oid,
    /// Its type modifier here.
    pub typmod: i32,
    /// Where its values come from.
    pub source: ColumnSource,
    /// How it travels.
    pub travel: Travel,
}

impl TableColumn {
    /// The SQL that selects it at the source, `None` if it does not exist there.
    pub fn select(&self, qualifier: &str) -> Option<String> {
        let ColumnSource::Remote { name, remote_type } = &self.source else { return None };
        let column = format!("{qualifier}{}", keywords::ident(name));
        Some(match (self.travel, remote_type) {
            (Travel::Text, _) => format!("{column}::text"),
            (Travel::Binary, Some(_)) => {
                format!("{column}::{}", types::type_name(types::base_type(self.of), self.typmod))
            }
            (Travel::Binary, None) => column,
        })
    }
}

/// A replica table as the planner sees it.
#[derive(Debug, Clone)]
pub struct ReplicaTable {
    /// Its OID here.
    pub relation: Oid,
    /// Its server.
    pub server: Oid,
    /// Its schema at the source.
    pub schema: String,
    /// Its name at the source.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<TableColumn>,
    /// The source's collation signature at import.
    pub remote_collation: Option<String>,
    /// The source's indexes at import.
    pub indexes: Vec<Index>,
}

impl ReplicaTable {
    /// Reads the catalog.
    pub fn load(relation: Oid) -> ReplicaTable {
        let table = catalog::table(relation);
        let options = TableOptions::parse(&table.options);
        let columns = catalog::relation_attributes(relation)
            .into_iter()
            .map(|a| {
                let source =
                    ColumnSource::parse(&catalog::column_options(relation, a.number), &a.name);
                TableColumn {
                    number: a.number,
                    name: a.name,
                    of: a.of,
                    typmod: a.typmod,
                    source,
                    travel: travel(a.of),
                }
            })
            .collect();
        // SAFETY: a plain lookup.
        let namespace = unsafe { pgrx::pg_sys::get_rel_namespace(relation) };
        ReplicaTable {
            relation,
            server: table.server,
            schema: options.schema_name.unwrap_or_else(|| types::namespace_name(namespace)),
            name: options.table_name.unwrap_or_else(|| types::relation_name(relation)),
            columns,
            remote_collation: options.remote_collation,
            indexes: options.indexes,
        }
    }

    /// A column by its number.
    pub fn column(&self, number: i16) -> Option<&TableColumn> {
        self.columns.iter().find(|c| c.number == number)
    }

    /// The table's qualified name at the source.
    pub fn remote_name(&self) -> String {
        keywords::qualified(&self.schema, &self.name)
    }

    /// What an error calls it: its name here, and the site if a constant column says one.
    pub fn label(&self) -> String {
        let site = self.columns.iter().find_map(|c| match &c.source {
            ColumnSource::Constant(value) => Some(format!(" ({} {})", c.name, value)),
            _ => None,
        });
        format!("{}{}", types::relation_label(self.relation), site.unwrap_or_default())
    }
}

/// One table's columns for the conversion of its clauses.
pub struct BaseColumns<'a> {
    /// Its range table index.
    pub relation: u32,
    /// The table.
    pub table: &'a ReplicaTable,
    /// Whether a decision has relied on the source collating as this database does.
    pub relied: Cell<bool>,
}

impl<'a> BaseColumns<'a> {
    /// The columns of the table that stands at `relation` in the query's range table.
    pub fn new(relation: u32, table: &'a ReplicaTable) -> Self {
        BaseColumns { relation, table, relied: Cell::new(false) }
    }
}

impl Columns for BaseColumns<'_> {
    fn owns(&self, relation: u32) -> bool {
        relation == self.relation
    }

    fn column(&self, relation: u32, attribute: i16) -> Converted {
        let column = self.table.column(attribute).ok_or(Reason::WholeRow)?;
        let of = TypeName(types::type_name(column.of, column.typmod));
        match &column.source {
            ColumnSource::Constant(text) => {
                Ok(Expr::Literal(Literal { text: Some(text.clone()), of }))
            }
            ColumnSource::Missing => Ok(Expr::Literal(Literal { text: None, of })),
            ColumnSource::Remote { name, remote_type } => {
                if column.travel == Travel::Text {
                    return Err(Reason::Column(column.name.clone()));
                }
                Ok(Expr::Column(ColumnRef {
                    relation,
                    name: name.clone(),
                    cast_to: remote_type.is_some().then_some(of),
                }))
            }
        }
    }

    fn collation_proven(&self) -> bool {
        let proven = collation::proven(self.table.remote_collation.as_deref());
        self.relied.set(self.relied.get() | proven);
        proven
    }
}
