//! The meta API: bases, tables, fields and views.

use super::id_segment;
use crate::connectors::error::{ApiError, Endpoint};
use crate::connectors::http::{Request, segment};
use crate::connectors::tree::Tree;

/// A base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// `app…`
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// `tbl…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// What somebody wrote of it.
    pub description: Option<String>,
    /// The field that names records.
    pub primary_field: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// Its views.
    pub views: Vec<View>,
}

/// A field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// `fld…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its type's name at the API.
    pub of: String,
    /// The type's options.
    pub options: Option<Tree>,
    /// What somebody wrote of it.
    pub description: Option<String>,
}

/// A view.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// `viw…`
    pub id: String,
    /// Its name.
    pub name: String,
    /// `grid`, `form`, …
    pub of: String,
}

/// The request for a page of bases.
pub fn bases_request(token: Option<&str>) -> Request {
    let path = match token {
        Some(token) => format!("meta/bases?offset={}", segment(token)),
        None => "meta/bases".to_owned(),
    };
    Request::get(path, "meta/bases")
}

/// The request for the tables of a base.
pub fn tables_request(base: &str) -> Request {
    let path = format!("meta/bases/{}/tables?include=visibleFieldIds", id_segment(base));
    Request::get(path, "meta/bases/:id/tables")
}

fn missing(endpoint: &Endpoint) -> ApiError {
    let what = "a member that the documentation names is missing";
    ApiError::Malformed { endpoint: endpoint.clone(), what, cut: false }
}

fn text(tree: &Tree, name: &str, endpoint: &Endpoint) -> Result<String, ApiError> {
    tree.text_of(name).map(str::to_owned).ok_or_else(|| missing(endpoint))
}

fn optional(tree: &Tree, name: &str) -> Option<String> {
    tree.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn list<'a>(tree: &'a Tree, name: &str, endpoint: &Endpoint) -> Result<&'a [Tree], ApiError> {
    match tree.get(name) {
        Some(Tree::List(items)) => Ok(items),
        _ => Err(missing(endpoint)),
    }
}

/// A page of bases and the token for the next.
pub fn bases(tree: &Tree, endpoint: &Endpoint) -> Result<(Vec<Base>, Option<String>), ApiError> {
    let bases = list(tree, "bases", endpoint)?.iter().map(|base| {
        Ok(Base { id: text(base, "id", endpoint)?, name: text(base, "name", endpoint)? })
    });
    Ok((bases.collect::<Result<_, ApiError>>()?, optional(tree, "offset")))
}

/// The tables of a base.
pub fn tables(tree: &Tree, endpoint: &Endpoint) -> Result<Vec<TableSchema>, ApiError> {
    list(tree, "tables", endpoint)?
        .iter()
        .map(|table| {
            let fields = list(table, "fields", endpoint)?.iter().map(|field| {
                Ok(Field {
                    id: text(field, "id", endpoint)?,
                    name: text(field, "name", endpoint)?,
                    of: text(field, "type", endpoint)?,
                    options: field.get("options").cloned(),
                    description: optional(field, "description"),
                })
            });
            let views = table.get("views").map(Tree::items).unwrap_or_default();
            let views = views.iter().map(|view| {
                Ok(View {
                    id: text(view, "id", endpoint)?,
                    name: text(view, "name", endpoint)?,
                    of: text(view, "type", endpoint)?,
                })
            });
            Ok(TableSchema {
                id: text(table, "id", endpoint)?,
                name: text(table, "name", endpoint)?,
                description: optional(table, "description"),
                primary_field: text(table, "primaryFieldId", endpoint)?,
                fields: fields.collect::<Result<_, ApiError>>()?,
                views: views.collect::<Result<_, ApiError>>()?,
            })
        })
        .collect()
}
