//! Reading the records of a table.
//!
//! Where there is a filter, the names of fields are asked for first, so that a rename between import
//! and query does not make the formula speak of another field. A formula that the service does not
//! take after all is left out: the conditions are checked on the rows in any case.

use super::formula::Formula;
use super::{id_segment, is_code, schema};
use crate::connectors::error::{ApiError, Endpoint};
use crate::connectors::host::Notice;
use crate::connectors::paging::{AskToken, ReadToken, TokenPage, Tokens};
use crate::connectors::tree::Tree;
use crate::connectors::{Answer, Cursor, Record, Request};
use std::collections::HashMap;
use std::rc::Rc;

/// The most records of a page.
const PAGE: u64 = 100;

/// What is read.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The base.
    pub base: String,
    /// The table.
    pub table: String,
    /// Ids of the fields; none for all, by their names.
    pub fields: Option<Vec<String>>,
    /// Conjuncts of the filter.
    pub filter: Vec<Formula>,
    /// A filter that names no field.
    pub fixed: Option<String>,
    /// So many records are enough.
    pub limit: Option<u64>,
}

impl Wanted {
    /// The path of its listing.
    pub fn path(&self) -> String {
        format!("{}/{}/listRecords", id_segment(&self.base), id_segment(&self.table))
    }

    /// The body of a page's request.
    pub fn body(&self, formula: Option<&str>, offset: Option<&str>) -> String {
        let mut members = Vec::new();
        if let Some(fields) = &self.fields {
            let fields = fields.iter().map(Tree::text).collect();
            members.push(("fields".to_owned(), Tree::List(fields)));
            members.push(("returnFieldsByFieldId".to_owned(), Tree::Bool(true)));
        }
        if let Some(formula) = formula {
            members.push(("filterByFormula".to_owned(), Tree::text(formula)));
        }
        let size = self.limit.map_or(PAGE, |limit| limit.clamp(1, PAGE));
        members.push(("pageSize".to_owned(), Tree::Number(size.to_string())));
        if let Some(limit) = self.limit {
            members.push(("maxRecords".to_owned(), Tree::Number(limit.max(1).to_string())));
        }
        if let Some(offset) = offset {
            members.push(("offset".to_owned(), Tree::text(offset)));
        }
        Tree::Object(members).to_json()
    }

    fn ask(&self, formula: Option<String>) -> AskToken {
        let wanted = self.clone();
        Rc::new(move |offset| {
            let body = wanted.body(formula.as_deref(), offset);
            Request::post(wanted.path(), ":base/:table/listRecords", body)
        })
    }
}

/// A record and its id.
pub fn record(mut tree: Tree, endpoint: &Endpoint) -> Result<(String, Record), ApiError> {
    let malformed = |what| ApiError::Malformed { endpoint: endpoint.clone(), what, cut: false };
    let id = tree.text_of("id").ok_or_else(|| malformed("a record has no id"))?.to_owned();
    let created = tree.take("createdTime").unwrap_or(Tree::Null);
    let fields = tree.take("fields").ok_or_else(|| malformed("a record has no fields"))?;
    let context = vec![("_id", Tree::text(&id)), ("_created_time", created)];
    Ok((id, Record { tree: fields, context }))
}

fn read(endpoint: Endpoint) -> ReadToken {
    Rc::new(move |answer: Answer| {
        let Answer { mut tree, .. } = answer;
        let Some(Tree::List(records)) = tree.take("records") else {
            let what = "it has no list of records";
            return Err(ApiError::Malformed { endpoint: endpoint.clone(), what, cut: false });
        };
        let records = records.into_iter().map(|tree| record(tree, &endpoint));
        let next = tree.text_of("offset").filter(|token| !token.is_empty()).map(str::to_owned);
        Ok(TokenPage { records: records.collect::<Result<_, _>>()?, next })
    })
}

fn is_expired(error: &ApiError) -> bool {
    is_code(error, &["LIST_RECORDS_ITERATOR_NOT_AVAILABLE"])
}

/// A listing.
pub struct Listing {
    wanted: Wanted,
    tokens: Tokens,
    has_formula: bool,
    stage: Stage,
    notices: Vec<Notice>,
}

#[derive(PartialEq)]
enum Stage {
    /// The names are to be asked for.
    Names,
    /// They were.
    Named,
    Records,
}

impl Listing {
    /// Begins.
    pub fn new(wanted: Wanted) -> Listing {
        let ask = wanted.ask(wanted.fixed.clone());
        let endpoint = ask(None).endpoint();
        Listing {
            tokens: Tokens::new(ask, read(endpoint), is_expired),
            has_formula: wanted.fixed.is_some(),
            stage: if wanted.filter.is_empty() { Stage::Records } else { Stage::Names },
            wanted,
            notices: Vec::new(),
        }
    }

    /// Writes the filter with the names of the fields, as far as it can be written.
    fn filter(&mut self, names: &HashMap<String, String>) {
        let name = |id: &str| names.get(id).map(String::as_str);
        let mut written: Vec<String> =
            self.wanted.filter.iter().filter_map(|part| part.write(name)).collect();
        let formula = match written.len() {
            0 => None,
            1 => Some(written.remove(0)),
            _ => Some(format!("AND({})", written.join(","))),
        };
        self.has_formula = formula.is_some();
        self.tokens.restart(self.wanted.ask(formula));
        self.stage = Stage::Records;
    }

    /// Whether an answer has to come before it goes on.
    pub fn is_underway(&self) -> bool {
        self.stage == Stage::Named || self.tokens.is_underway()
    }

    fn refused(&mut self) {
        let endpoint = self.wanted.ask(None)(None).endpoint().to_string();
        self.notices.push(Notice::ConditionRefused { endpoint });
    }
}

impl Cursor for Listing {
    fn next(&mut self, room: usize) -> Result<Vec<Request>, ApiError> {
        match self.stage {
            Stage::Names => {
                self.stage = Stage::Named;
                Ok(vec![schema::tables_request(&self.wanted.base)])
            }
            Stage::Named => Ok(Vec::new()),
            Stage::Records => self.tokens.next(room),
        }
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        if self.stage == Stage::Records {
            return self.tokens.answered(answer);
        }
        let endpoint = schema::tables_request(&self.wanted.base).endpoint();
        let tables = schema::tables(&answer.tree, &endpoint)?;
        let names = tables
            .into_iter()
            .filter(|table| table.id == self.wanted.table)
            .flat_map(|table| table.fields)
            .map(|field| (field.id, field.name))
            .collect();
        self.filter(&names);
        Ok(Vec::new())
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        if self.stage != Stage::Records {
            return match error {
                // The token may read records and not the schema.
                ApiError::Refused { status: 403, .. } | ApiError::NotFound { .. } => {
                    self.refused();
                    self.filter(&HashMap::new());
                    Ok(Vec::new())
                }
                error => Err(error),
            };
        }
        let is_formula = is_code(&error, &["INVALID_FILTER_BY_FORMULA"]);
        if is_formula && self.has_formula && self.wanted.fixed.is_none() {
            self.refused();
            self.has_formula = false;
            self.tokens.restart(self.wanted.ask(None));
            return Ok(Vec::new());
        }
        self.tokens.failed(error)
    }

    fn notices(&mut self) -> Vec<Notice> {
        let mut all = std::mem::take(&mut self.notices);
        all.extend(self.tokens.notices());
        all
    }
}
