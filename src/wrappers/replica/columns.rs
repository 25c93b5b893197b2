//! The columns of a replica table: what each one is here and where its values come from.

use super::collation;
use super::decode::{Travel, travel};
use super::keys::Index;
use super::options::{ColumnSource, TableOptions, policy};
use crate::pg::catalog::Attribute;
use crate::pg::{catalog, keywords, types};
use crate::privacy::policy::{self, Shown, Unclassified};
use crate::wrappers::convert::{Columns, Converted};
use pgrx::pg_sys::{Oid, TypeRelationId};
use std::cell::Cell;
use std::rc::Rc;
use warehouse_core::masks::Mask;
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
    /// Where its values come from, as far as they are shown.
    pub source: ColumnSource,
    /// Where they would come from.
    pub raw: ColumnSource,
    /// What is shown of it.
    pub shown: Shown,
    /// The policy hides it from those without the right to clear text.
    pub is_protected: bool,
    /// How it travels.
    pub travel: Travel,
}

/// To whom a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Eyes {
    /// As the policy says.
    Anybody,
    /// In clear: to who has the right.
    Trusted,
    /// As the policy says, and columns under `shuffle` in another order: to full refreshes.
    Shuffling,
}

impl TableColumn {
    fn new(relation: Oid, attribute: Attribute, eyes: Eyes, unclassified: Unclassified) -> Self {
        let options = catalog::column_options(relation, attribute.number);
        let raw = ColumnSource::parse(&options, &attribute.name);
        let told = match raw {
            ColumnSource::Remote { .. } => {
                policy::shown(&policy(&options), &attribute.name, attribute.of, unclassified)
            }
            ColumnSource::Constant(_) | ColumnSource::Missing => Shown::Clear,
        };
        let is_protected = told != Shown::Clear;
        let shown = match eyes {
            Eyes::Trusted => Shown::Clear,
            Eyes::Shuffling if policy::is_shuffled(&policy(&options)) => {
                Shown::Masked(Rc::new(Mask::Shuffle))
            }
            Eyes::Shuffling | Eyes::Anybody => told,
        };
        let source = match &shown {
            Shown::Clear | Shown::Masked(_) => raw.clone(),
            Shown::Null | Shown::Refused(_) => ColumnSource::Missing,
            Shown::Constant(text) => ColumnSource::Constant(text.clone()),
        };
        TableColumn {
            number: attribute.number,
            name: attribute.name,
            of: attribute.of,
            typmod: attribute.typmod,
            source,
            raw,
            shown,
            is_protected,
            travel: travel(attribute.of),
        }
    }

    /// The raw column as it travels; `None` if it does not exist at the source.
    pub fn raw_output(&self, relation: u32) -> Option<Expr> {
        let ColumnSource::Remote { name, .. } = &self.raw else { return None };
        match self.travel {
            Travel::Text => Some(Expr::Cast {
                arg: Box::new(Expr::Column(ColumnRef {
                    relation,
                    name: name.clone(),
                    cast_to: None,
                })),
                to: TypeName("text".to_owned()),
            }),
            Travel::Binary => self.plain(relation),
        }
    }

    /// The column at the source, cast where its type there is another.
    fn plain(&self, relation: u32) -> Option<Expr> {
        let ColumnSource::Remote { name, remote_type, .. } = &self.raw else { return None };
        let cast_to = remote_type.is_some().then(|| TypeName(self.wire_type_name()));
        Some(Expr::Column(ColumnRef { relation, name: name.clone(), cast_to }))
    }

    /// The name of the type that its bytes have: under a domain, its base type.
    pub fn wire_type_name(&self) -> String {
        let base = types::base_type(self.of);
        // An enum travels as its label, and its name here means nothing there.
        if types::is_enum(base) { "text".to_owned() } else { types::type_name(base, self.typmod) }
    }
}

/// A replica table as the planner sees it.
#[derive(Debug, Clone)]
pub struct ReplicaTable {
    /// Its OID here.
    pub relation: Oid,
    /// Its server.
    pub server: Oid,
    /// Its columns, in order.
    pub columns: Vec<TableColumn>,
    /// The source's collation signature at import.
    pub remote_collation: Option<String>,
    /// The source's indexes at import.
    pub indexes: Vec<Index>,
    /// The extensions that the source has too, as the server's options say.
    pub extensions: Vec<Oid>,
    /// Its qualified name at the source.
    remote_name: String,
    /// What people call it: its name here, and the site if a constant column says one.
    label: String,
}

impl ReplicaTable {
    /// Reads the catalog.
    pub fn load(relation: Oid, eyes: Eyes, unclassified: Unclassified) -> ReplicaTable {
        let table = catalog::table(relation);
        let options = TableOptions::parse(&table.options);
        let columns: Vec<TableColumn> = catalog::relation_attributes(relation)
            .into_iter()
            .map(|attribute| TableColumn::new(relation, attribute, eyes, unclassified))
            .collect();
        // SAFETY: a plain lookup.
        let namespace = unsafe { pgrx::pg_sys::get_rel_namespace(relation) };
        let schema = options.schema_name.unwrap_or_else(|| types::namespace_name(namespace));
        let name = options.table_name.unwrap_or_else(|| types::relation_name(relation));
        ReplicaTable {
            relation,
            server: table.server,
            remote_name: keywords::qualified(&schema, &name),
            label: format!("{}{}", types::relation_label(relation), site_label(&columns)),
            columns,
            remote_collation: options.remote_collation,
            indexes: options.indexes,
            extensions: Vec::new(),
        }
    }

    /// A column by its number.
    pub fn column(&self, number: i16) -> Option<&TableColumn> {
        self.columns.iter().find(|c| c.number == number)
    }

    /// The table's qualified name at the source.
    pub fn remote_name(&self) -> &str {
        &self.remote_name
    }

    /// What an error calls it: its name here, and the site if a constant column says one.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The site whose rows it holds: the value of a constant column.
    pub fn site(&self) -> Option<&str> {
        self.columns.iter().find_map(|column| match &column.raw {
            ColumnSource::Constant(value) => Some(value.as_str()),
            _ => None,
        })
    }

    /// The same without quotes.
    pub fn plain_label(&self) -> String {
        format!("{}{}", types::relation_plain_label(self.relation), site_label(&self.columns))
    }
}

fn site_label(columns: &[TableColumn]) -> String {
    let site = columns.iter().find_map(|c| match &c.raw {
        ColumnSource::Constant(value) => Some(format!(" ({} {})", c.name, value)),
        _ => None,
    });
    site.unwrap_or_default()
}

/// A table in a query.
#[derive(Debug, Clone)]
pub struct TableRef {
    /// Its range table index.
    pub relation: u32,
    /// The table.
    pub table: Rc<ReplicaTable>,
    /// It stands on the side of an outer join that may have no row.
    pub nullable: bool,
    /// It stands behind EXISTS: nothing outside can name its columns.
    pub hidden: bool,
}

impl TableRef {
    /// The columns that do not exist at the source and still read NULL where there is no row: name and
    /// value in the derived table that stands for it.
    pub fn computed(&self) -> Vec<(String, Expr)> {
        if !self.nullable {
            return Vec::new();
        }
        let constants = self.table.columns.iter().filter_map(|column| match &column.source {
            ColumnSource::Constant(text) => {
                Some((computed_name(column), literal(column, Some(text.clone()))))
            }
            _ => None,
        });
        constants.collect()
    }
}

/// The name of a constant column in a derived table; no column at the source is called like this.
fn computed_name(column: &TableColumn) -> String {
    format!("{} (constant)", column.name)
}

fn literal(column: &TableColumn, text: Option<String>) -> Expr {
    Expr::Literal(Literal { text, of: TypeName(types::type_name(column.of, column.typmod)) })
}

/// The tables whose columns an expression may name.
pub struct Scope<'a> {
    /// The tables.
    pub tables: &'a [TableRef],
    /// Whether a decision has relied on the source collating as this database does.
    pub relied: Cell<bool>,
    /// Whether a text form is made at the source by this session's styles.
    pub styled: Cell<bool>,
}

impl<'a> Scope<'a> {
    /// These tables, all of one server.
    pub fn new(tables: &'a [TableRef]) -> Self {
        Scope { tables, relied: Cell::new(false), styled: Cell::new(false) }
    }

    fn table(&self, relation: u32) -> Option<&TableRef> {
        self.tables.iter().find(|table| table.relation == relation)
    }

    /// A column by its place in the query.
    pub fn find(&self, relation: u32, attribute: i16) -> Option<(&TableRef, &TableColumn)> {
        let table = self.table(relation)?;
        Some((table, table.table.column(attribute)?))
    }

    /// Whether a column of the query's result may be this one.
    pub fn sees(&self, relation: u32, attribute: i16) -> bool {
        self.find(relation, attribute).is_some_and(|(table, _)| !table.hidden)
    }

    /// What stands for the column in the select list: as it travels, before it is masked.
    pub fn output(&self, relation: u32, attribute: i16) -> Option<Expr> {
        let (_, column) = self.find(relation, attribute)?;
        match &column.source {
            ColumnSource::Remote { .. } => column.raw_output(relation),
            _ => self.column(relation, attribute).ok(),
        }
    }

    /// What the column that an expression names must be at the source, if it must be something.
    pub fn expected(&self, column: &ColumnRef) -> Option<&TableColumn> {
        if column.cast_to.is_some() {
            return None;
        }
        self.table(column.relation)?.table.columns.iter().find(|c| {
            c.travel == Travel::Binary
                && matches!(&c.raw, ColumnSource::Remote { name, .. } if *name == column.name)
        })
    }
}

impl Columns for Scope<'_> {
    fn owns(&self, relation: u32) -> bool {
        self.table(relation).is_some()
    }

    fn column(&self, relation: u32, attribute: i16) -> Converted {
        let (table, column) = self.find(relation, attribute).ok_or(Reason::WholeRow)?;
        if let Shown::Masked(_) = column.shown {
            return Err(Reason::Masked(column.name.clone()));
        }
        match &column.source {
            ColumnSource::Constant(_) if table.nullable => {
                Ok(Expr::Column(ColumnRef { relation, name: computed_name(column), cast_to: None }))
            }
            ColumnSource::Constant(text) => Ok(literal(column, Some(text.clone()))),
            ColumnSource::Missing => Ok(literal(column, None)),
            // What it gives when it is compared there is not what it gives here.
            ColumnSource::Remote { collates_otherwise: true, .. } => Err(Reason::Collation),
            ColumnSource::Remote { .. }
                if column.travel == Travel::Text
                    && !self.has_extension_of(TypeRelationId, types::base_type(column.of)) =>
            {
                Err(Reason::Column(column.name.clone()))
            }
            ColumnSource::Remote { .. } => column.plain(relation).ok_or(Reason::WholeRow),
        }
    }

    fn enum_there(&self, relation: u32, attribute: i16) -> Option<TypeName> {
        let (_, column) = self.find(relation, attribute)?;
        if column.shown != Shown::Clear {
            return None;
        }
        match &column.source {
            ColumnSource::Remote { remote_type: None, enum_type: Some(of), .. } => {
                Some(TypeName(of.clone()))
            }
            _ => None,
        }
    }

    fn presence(&self, relation: u32, attribute: i16) -> Converted {
        let (_, column) = self.find(relation, attribute).ok_or(Reason::WholeRow)?;
        if let Shown::Masked(_) = column.shown {
            return Err(Reason::Masked(column.name.clone()));
        }
        match &column.source {
            // As text, if it may be a row there: a row with a NULL in it is neither NULL nor not.
            ColumnSource::Remote { .. } => self.output(relation, attribute).ok_or(Reason::WholeRow),
            _ => self.column(relation, attribute),
        }
    }

    fn has_extension_of(&self, class: Oid, object: Oid) -> bool {
        let extensions = self.tables.first().map_or(&[][..], |table| &table.table.extensions);
        !extensions.is_empty()
            && types::extension_of(class, object).is_some_and(|found| extensions.contains(&found))
    }

    fn rely_on_styles(&self) {
        self.styled.set(true);
    }

    fn rely_on_collation(&self) {
        self.relied.set(true);
    }

    fn collation_proven(&self) -> bool {
        let proven = self
            .tables
            .iter()
            .all(|table| collation::proven(table.table.remote_collation.as_deref()));
        self.relied.set(self.relied.get() | proven);
        proven
    }
}
