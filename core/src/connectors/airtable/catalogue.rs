//! Tables about bases: what there is, and comments on records. `records` reads any table as JSON.

use super::bind::is_id;
use super::listing::{Listing, Wanted};
use super::planner::{conjuncts, empty, line, option, texts};
use super::{Airtable, id_segment, schema};
use crate::connectors::catalogue::{
    Column, ColumnType, Cursor as ChangeCursor, Filter, Origin, Table,
};
use crate::connectors::condition::{Condition, convert};
use crate::connectors::error::{ApiError, Endpoint};
use crate::connectors::http::segment;
use crate::connectors::paging::{TokenPage, Tokens};
use crate::connectors::plan::{Extent, Plan, Query, Strategy, Taken, Unknown};
use crate::connectors::tree::Tree;
use crate::connectors::{Answer, Cursor, Record, Request};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

/// The tables, of one base or of all that the credential sees.
pub fn catalogue(base: Option<&str>) -> Vec<Table> {
    let text = |name: &str| Column::new(name, ColumnType::Text).public();
    let json = |name: &str| Column::new(name, ColumnType::Json);
    let time = |name: &str| Column::new(name, ColumnType::Timestamp);
    let given = |name: &'static str| text(name).from(Origin::Context(name)).takes(Filter::Parent);
    let table = |name: &str, comment: &str, needs, key: &[&str], columns: Vec<Column>| Table {
        name: name.to_owned(),
        comment: Some(comment.to_owned()),
        columns,
        key: key.iter().map(|&name| name.to_owned()).collect(),
        cursor: ChangeCursor::None,
        needs,
        options: [("catalogue", Some(name)), ("base_id", base)]
            .into_iter()
            .filter_map(|(option, value)| Some((option.to_owned(), value?.to_owned())))
            .collect(),
    };
    vec![
        table(
            "bases",
            "The bases that the token sees",
            None,
            &["id"],
            vec![text("id"), text("name"), text("permission_level").at(&["permissionLevel"])],
        ),
        table(
            "tables",
            "The tables of the bases",
            None,
            &["base_id", "id"],
            vec![
                given("base_id"),
                text("id"),
                text("name"),
                text("description"),
                text("primary_field_id").at(&["primaryFieldId"]),
            ],
        ),
        table(
            "fields",
            "The fields of the tables",
            None,
            &["base_id", "id"],
            vec![
                given("base_id"),
                given("table_id"),
                text("id"),
                text("name"),
                text("type"),
                text("description"),
                json("options").public(),
                Column::new("is_primary", ColumnType::Bool).from(Origin::Context("is_primary")),
            ],
        ),
        table(
            "views",
            "The views of the tables",
            None,
            &["base_id", "id"],
            vec![
                given("base_id"),
                given("table_id"),
                text("id"),
                text("name"),
                text("type"),
                Column::new("visible_field_ids", ColumnType::Array(Box::new(ColumnType::Text)))
                    .public()
                    .at(&["visibleFieldIds"]),
            ],
        ),
        table(
            "comments",
            "Comments on records; read with base_id, table_id and record_id",
            Some("record_id"),
            &["record_id", "id"],
            vec![
                given("base_id"),
                given("table_id"),
                given("record_id"),
                text("id"),
                json("author").personal(),
                Column::new("text", ColumnType::Text).personal(),
                time("created_time").at(&["createdTime"]),
                time("last_updated_time").at(&["lastUpdatedTime"]),
                json("mentioned").personal(),
                json("reactions").personal(),
                text("parent_comment_id").at(&["parentCommentId"]),
            ],
        ),
        table(
            "records",
            "The records of any table; read with base_id and table_id",
            Some("table_id"),
            &["table_id", "_id"],
            vec![
                given("base_id"),
                given("table_id"),
                text("_id").from(Origin::Context("_id")),
                time("_created_time").from(Origin::Context("_created_time")),
                json("fields").from(Origin::Whole).personal().comment("By the fields' names"),
            ],
        ),
    ]
}

/// Plans a query of one of these.
pub fn plan(airtable: &Airtable, query: &Query<'_>) -> Result<Plan, ApiError> {
    let table = query.table;
    let mut keys: HashMap<String, Vec<String>> = HashMap::new();
    let (mut unknown, mut never) = (false, false);
    let mut taken = Vec::new();
    let mut pushed = Vec::new();
    for expr in query.conditions {
        let converted = convert(expr, query.params);
        let mut how = Taken::No;
        for part in converted.iter().flat_map(|converted| conjuncts(&converted.condition)) {
            never |= *part == Condition::Never;
            let column = part.column().and_then(|name| table.column(name));
            let is_key = column.is_some_and(|(_, column)| column.filter == Filter::Parent);
            let (Some(name), true) = (part.column(), is_key) else { continue };
            let Some(operands) = texts(part) else {
                unknown |= matches!(part, Condition::OneOfParam { .. });
                continue;
            };
            unknown |= operands.iter().any(|operand| operand.known().is_none());
            let values = operands.iter().filter_map(|operand| operand.known());
            let values = values.filter(|id| is_id(id)).map(str::to_owned);
            keys.entry(name.to_owned()).or_insert_with(|| values.collect());
            pushed.push(part.clone());
            how = Taken::Wider;
        }
        taken.push(how);
    }
    let fixed = option(table, "base_id").map(str::to_owned);
    let bases = match (&fixed, keys.remove("base_id")) {
        (Some(base), _) => Some(vec![base.clone()]),
        (None, asked) => asked,
    };
    let what = option(table, "catalogue").unwrap_or_default().to_owned();
    let mut plan = empty(airtable, query, fixed.as_deref());
    (plan.taken, plan.pushed) = (taken, pushed);
    let (path, extent) = match what.as_str() {
        "bases" => ("meta/bases", Extent::All),
        "comments" => (":base/:table/:record/comments", Extent::Part),
        "records" => (":base/:table/listRecords", Extent::Part),
        _ => ("meta/bases/:id/tables", Extent::All),
    };
    let method = if what == "records" { "POST" } else { "GET" };
    plan.requests = vec![line(method, path.to_owned(), String::new())];
    plan.extent = extent;
    if never {
        (plan.requests, plan.extent) = (Vec::new(), Extent::Nothing);
        return Ok(plan);
    }
    if unknown {
        plan.strategy = Rc::new(Unknown);
        return Ok(plan);
    }
    let mut need = |column: &'static str| {
        keys.remove(column).ok_or(ApiError::NeedsKey { table: table.name.clone(), column })
    };
    let (mut tables, mut records) = (Vec::new(), Vec::new());
    if matches!(what.as_str(), "comments" | "records") {
        if bases.is_none() {
            return Err(ApiError::NeedsKey { table: table.name.clone(), column: "base_id" });
        }
        tables = need("table_id")?;
        if what == "comments" {
            records = need("record_id")?;
        }
    }
    plan.strategy = Rc::new(Reading { what, bases, tables, records });
    Ok(plan)
}

struct Reading {
    what: String,
    bases: Option<Vec<String>>,
    tables: Vec<String>,
    records: Vec<String>,
}

impl Strategy for Reading {
    fn start(&self, _now: u64) -> Box<dyn Cursor> {
        let mut steps: VecDeque<Step> = VecDeque::new();
        let places =
            self.bases.iter().flatten().flat_map(|base| {
                self.tables.iter().map(move |table| (base.clone(), table.clone()))
            });
        match self.what.as_str() {
            "bases" => steps.push_back(Step::Bases { list: true }),
            "records" => steps.extend(places.map(|(base, table)| Step::Records { base, table })),
            "comments" => steps.extend(places.flat_map(|(base, table)| {
                self.records.iter().map(move |record| Step::Comments {
                    base: base.clone(),
                    table: table.clone(),
                    record: record.clone(),
                })
            })),
            _ => match &self.bases {
                Some(bases) => steps.extend(bases.iter().cloned().map(Step::Schema)),
                None => steps.push_back(Step::Bases { list: false }),
            },
        }
        Box::new(Walk { what: self.what.clone(), steps, current: None, underway: false })
    }
}

#[derive(Clone)]
enum Step {
    /// The bases: rows, or only where to look.
    Bases {
        list: bool,
    },
    Schema(String),
    Records {
        base: String,
        table: String,
    },
    Comments {
        base: String,
        table: String,
        record: String,
    },
}

/// Steps one after the other.
struct Walk {
    what: String,
    steps: VecDeque<Step>,
    current: Option<(Step, Box<dyn Cursor>)>,
    underway: bool,
}

/// A listing by tokens whose records stand under `member`.
fn listed(member: &'static str, path: String, shown: &'static str) -> Box<dyn Cursor> {
    let ask = move |token: Option<&str>| {
        let join = if path.contains('?') { '&' } else { '?' };
        match token {
            Some(token) => Request::get(format!("{path}{join}offset={}", segment(token)), shown),
            None => Request::get(path.clone(), shown),
        }
    };
    let endpoint = ask(None).endpoint();
    let read = move |answer: Answer| page(member, answer, &endpoint);
    Box::new(Tokens::new(Rc::new(ask), Rc::new(read), |_| false))
}

fn page(member: &str, answer: Answer, endpoint: &Endpoint) -> Result<TokenPage, ApiError> {
    let Answer { mut tree, .. } = answer;
    let malformed = |what| ApiError::Malformed { endpoint: endpoint.clone(), what, cut: false };
    let Some(Tree::List(items)) = tree.take(member) else {
        return Err(malformed("it has no list of what was asked for"));
    };
    let records = items.into_iter().map(|item| {
        let id = item.text_of("id").ok_or_else(|| malformed("an object has no id"))?.to_owned();
        Ok((id, Record::of(item)))
    });
    let next = tree.text_of("offset").filter(|token| !token.is_empty()).map(str::to_owned);
    Ok(TokenPage { records: records.collect::<Result<_, ApiError>>()?, next })
}

impl Walk {
    fn cursor(step: &Step) -> Box<dyn Cursor> {
        match step {
            Step::Bases { .. } => listed("bases", "meta/bases".to_owned(), "meta/bases"),
            Step::Schema(base) => {
                let request = schema::tables_request(base);
                listed("tables", request.path, "meta/bases/:id/tables")
            }
            Step::Records { base, table } => Box::new(Listing::new(Wanted {
                base: base.clone(),
                table: table.clone(),
                fields: None,
                filter: Vec::new(),
                fixed: None,
                limit: None,
            })),
            Step::Comments { base, table, record } => {
                let (base, table) = (id_segment(base), id_segment(table));
                let path = format!("{base}/{table}/{}/comments", id_segment(record));
                listed("comments", path, ":base/:table/:record/comments")
            }
        }
    }

    fn rows(&mut self, step: &Step, record: Record) -> Vec<Record> {
        let with = |tree: Tree, context: Vec<(&'static str, Tree)>| Record { tree, context };
        match step {
            Step::Bases { list: true } => vec![record],
            Step::Bases { list: false } => {
                let id = record.tree.text_of("id").map(str::to_owned);
                self.steps.extend(id.map(Step::Schema));
                Vec::new()
            }
            Step::Records { base, table } => {
                let mut context = record.context;
                context.push(("base_id", Tree::text(base)));
                context.push(("table_id", Tree::text(table)));
                vec![with(record.tree, context)]
            }
            Step::Comments { base, table, record: of } => vec![with(
                record.tree,
                vec![
                    ("base_id", Tree::text(base)),
                    ("table_id", Tree::text(table)),
                    ("record_id", Tree::text(of)),
                ],
            )],
            Step::Schema(base) => {
                let mut table = record.tree;
                if self.what == "tables" {
                    return vec![with(table, vec![("base_id", Tree::text(base))])];
                }
                let id = table.get("id").cloned().unwrap_or(Tree::Null);
                let primary = table.text_of("primaryFieldId").map(str::to_owned);
                let Some(Tree::List(parts)) = table.take(&self.what) else { return Vec::new() };
                let row = |part: Tree| {
                    let is_primary = part.text_of("id") == primary.as_deref();
                    let context = vec![
                        ("base_id", Tree::text(base)),
                        ("table_id", id.clone()),
                        ("is_primary", Tree::Bool(is_primary)),
                    ];
                    with(part, context)
                };
                parts.into_iter().map(row).collect()
            }
        }
    }
}

impl Cursor for Walk {
    fn next(&mut self, _room: usize) -> Result<Vec<Request>, ApiError> {
        while !self.underway {
            if self.current.is_none() {
                let Some(step) = self.steps.pop_front() else { return Ok(Vec::new()) };
                let cursor = Walk::cursor(&step);
                self.current = Some((step, cursor));
            }
            let Some((_, cursor)) = &mut self.current else { return Ok(Vec::new()) };
            let requests = cursor.next(1)?;
            if !requests.is_empty() {
                self.underway = true;
                return Ok(requests);
            }
            self.current = None;
        }
        Ok(Vec::new())
    }

    fn answered(&mut self, answer: Answer) -> Result<Vec<Record>, ApiError> {
        self.underway = false;
        let Some((step, cursor)) = &mut self.current else {
            return Err(ApiError::Bug("an answer to nothing"));
        };
        let (step, records) = (step.clone(), cursor.answered(answer)?);
        Ok(records.into_iter().flat_map(|record| self.rows(&step, record)).collect())
    }

    fn failed(&mut self, error: ApiError) -> Result<Vec<Request>, ApiError> {
        let instead = match &mut self.current {
            Some((_, cursor)) => cursor.failed(error)?,
            None => return Err(error),
        };
        self.underway = !instead.is_empty();
        Ok(instead)
    }
}
