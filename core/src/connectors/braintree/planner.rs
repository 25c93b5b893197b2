//! From what was found in the conditions to requests.

use super::criteria::{Criteria, Window, second_of};
use super::pushdown::Found;
use super::resource::{Listing, Resource, Shape, shape};
use super::search::{Arm, SLICE, Search};
use super::{Braintree, changes, derive, unexpected};
use crate::connectors::condition::Condition;
use crate::connectors::paging::{Ask, Each, Numbered, NumberedPage, ReadPage, SomePages};
use crate::connectors::plan::{Extent, Line, Nothing, Plan, Query, Strategy, Taken, Unknown};
use crate::connectors::tree::Tree;
use crate::connectors::{Answer, ApiError, Cursor, Endpoint, Record, Request, is_segment, segment};
use std::rc::Rc;

/// What a plan will do.
enum Way {
    /// Searches, united.
    Search { arms: Vec<Arm>, cap: usize, limit: Option<u64> },
    /// Records by ids.
    Ids { criteria: Criteria, ids: Vec<String> },
    /// Single records, or single answers, by key.
    Single { requests: Vec<Request>, keys: Vec<String> },
    /// Numbered pages of these criteria.
    Pages { criteria: Vec<Criteria> },
    /// A parameter has no value.
    Unknown,
}

struct Reading {
    shape: Shape,
    way: Way,
}

/// A sample of a table of so many records.
struct Sampling {
    shape: Shape,
    criteria: Criteria,
    cap: usize,
    records: usize,
}

/// Plans a sample.
pub fn sample(braintree: &Braintree, query: &Query<'_>, records: usize) -> Result<Plan, ApiError> {
    let name = &query.table.name;
    let mut plan = super::pushdown::plan(braintree, query)?;
    let Some(shape) = shape(name) else { return Ok(plan) };
    plan.cacheable = false;
    if let Listing::Search | Listing::SearchedPages | Listing::Pages = shape.resource.listing {
        let (cap, criteria) = (cap(braintree, &shape), super::resource::fixed(name));
        plan.strategy = Rc::new(Sampling { shape, criteria, cap, records });
    }
    Ok(plan)
}

/// The most ids that a search lists.
fn cap(braintree: &Braintree, shape: &Shape) -> usize {
    if shape.resource.is_transactions { braintree.caps.transactions } else { braintree.caps.others }
}

/// Makes the plan.
pub fn assemble(
    braintree: &Braintree,
    query: &Query<'_>,
    found: Found,
    mut taken: Vec<Taken>,
    pushed: Vec<Condition>,
) -> Result<Plan, ApiError> {
    let table = query.table;
    let shape = shape(&table.name)
        .ok_or_else(|| ApiError::Unknown(format!("Braintree has no table {}", table.name)))?;
    if found.keys.is_some() || found.unknown_key.is_some() {
        // Records by key come whatever else is asked: the other conditions are checked here.
        for (how, is_key) in taken.iter_mut().zip(&found.are_keys) {
            if !is_key {
                *how = Taken::No;
            }
        }
    }
    let mut plan = Plan {
        table: table.clone(),
        columns: query.columns.to_vec(),
        limit: query.limit.filter(|_| taken.iter().all(|how| *how == Taken::Exactly)),
        taken,
        requests: Vec::new(),
        pushed,
        extent: Extent::Nothing,
        cacheable: query.changes.is_none(),
        service: braintree.service.clone(),
        limits: braintree.limits.clone(),
        concurrency: braintree.concurrency.min(shape.resource.concurrency),
        strategy: Rc::new(Nothing),
    };
    if found.never
        || found.criteria.is_contradiction()
        || found.window.is_empty()
        || plan.limit == Some(0)
    {
        return Ok(plan);
    }
    let (way, lines, extent) = way(braintree, query, &shape, found, plan.limit)?;
    plan.requests = lines;
    plan.extent = extent;
    if extent != Extent::Nothing {
        plan.strategy = Rc::new(Reading { shape, way });
    }
    Ok(plan)
}

fn line(method: &'static str, path: impl Into<String>, criteria: impl Into<String>) -> Line {
    Line { method, path: path.into(), criteria: criteria.into() }
}

fn way(
    braintree: &Braintree,
    query: &Query<'_>,
    shape: &Shape,
    found: Found,
    limit: Option<u64>,
) -> Result<(Way, Vec<Line>, Extent), ApiError> {
    let resource = shape.resource;
    if let Some((column, keys)) = &found.unknown_key {
        return Ok((Way::Unknown, vec![by_key(shape, column, keys)], Extent::Keys(1)));
    }
    if let Some((column, keys)) = found.keys {
        return Ok(keyed(shape, &column, keys, &found.criteria));
    }
    if let Some(column) = query.table.needs {
        return Err(ApiError::NeedsKey { table: query.table.name.clone(), column });
    }
    let extent =
        if found.criteria.is_empty() && found.window == Window::default() && found.arms.is_none() {
            Extent::All
        } else {
            Extent::Part
        };
    let criteria = found.criteria;
    let (way, lines) = match resource.listing {
        Listing::Search => {
            let arms = match (query.changes, found.arms) {
                (Some(window), _) if resource.is_transactions => {
                    changes::transactions(&criteria, window)
                }
                (Some(window), _) => vec![changes::created(&criteria, window)],
                (None, Some((field, values))) => values
                    .into_iter()
                    .map(|value| Arm {
                        criteria: criteria.with(&field, super::criteria::Node::Text("is", value)),
                        window: found.window,
                    })
                    .collect(),
                (None, None) => vec![Arm { criteria, window: found.window }],
            };
            let ids = format!("{}/advanced_search_ids", resource.path);
            let mut lines: Vec<Line> = arms
                .iter()
                .map(|arm| {
                    let shown = match arm.window.node() {
                        Some(node) => arm.criteria.with("created_at", node),
                        None => arm.criteria.clone(),
                    };
                    line("POST", ids.clone(), shown.shown())
                })
                .collect();
            lines.push(line(
                "POST",
                format!("{}/advanced_search", resource.path),
                "the same and ids",
            ));
            (Way::Search { arms, cap: cap(braintree, shape), limit }, lines)
        }
        Listing::SearchedPages => {
            let criteria = match query.changes {
                Some(window) => changes::disputes(&criteria, window),
                None => vec![criteria],
            };
            let lines =
                criteria.iter().map(|one| line("POST", resource.path, one.shown())).collect();
            (Way::Pages { criteria }, lines)
        }
        Listing::Pages => {
            (Way::Pages { criteria: vec![criteria] }, vec![line("GET", resource.path, "")])
        }
        Listing::Whole => {
            let request = Request::get(resource.path, resource.path);
            let way = Way::Single { requests: vec![request], keys: vec![String::new()] };
            (way, vec![line("GET", resource.path, "")])
        }
        Listing::Summary | Listing::Lines => {
            return Err(ApiError::Bug("a table that needs a key has none"));
        }
    };
    let way = if found.unknown { Way::Unknown } else { way };
    Ok((way, lines, extent))
}

/// The request for one key, as people read it.
fn by_key(shape: &Shape, column: &str, key: &str) -> Line {
    let resource = shape.resource;
    if shape.by_token && column == "token" {
        return line("GET", format!("payment_methods/any/{key}"), "");
    }
    match (resource.listing, resource.single) {
        (Listing::Summary, _) => line("POST", resource.path, format!("settlement_date {key}")),
        (Listing::Lines, _) => line("GET", format!("transactions/{key}/line_items"), ""),
        (_, Some(path)) => line("GET", format!("{path}/{key}"), ""),
        (_, None) => {
            line("POST", format!("{}/advanced_search", resource.path), format!("ids {key}"))
        }
    }
}

fn keyed(
    shape: &Shape,
    column: &str,
    mut keys: Vec<String>,
    criteria: &Criteria,
) -> (Way, Vec<Line>, Extent) {
    let resource = shape.resource;
    // No record has such a key.
    keys.retain(|key| is_segment(key) && key.len() <= 255 && !key.chars().any(char::is_control));
    let extent = match keys.len() {
        0 => Extent::Nothing,
        count => Extent::Keys(count as u64),
    };
    let by_token = shape.by_token && column == "token";
    let is_search = resource.listing == Listing::Search && !by_token;
    if is_search && (keys.len() > 1 || resource.single.is_none()) {
        let path = format!("{}/advanced_search", resource.path);
        let count = keys.len().div_ceil(SLICE);
        let note = format!("{} of {} ids in {count} requests", criteria.shown(), keys.len());
        let lines = vec![line("POST", path, note.trim_start())];
        return (Way::Ids { criteria: criteria.clone(), ids: keys }, lines, extent);
    }
    let lines = keys.iter().take(1).map(|key| by_key(shape, column, key));
    let mut lines: Vec<Line> = lines.collect();
    if let (Some(first), true) = (lines.first_mut(), keys.len() > 1) {
        first.criteria = format!("and {} more", keys.len() - 1);
    }
    let request = |key: &String| {
        let one = segment(key);
        if by_token {
            return Request::get(
                format!("payment_methods/any/{one}"),
                "payment_methods/any/:token",
            );
        }
        match (resource.listing, resource.single) {
            (Listing::Summary, _) => {
                let date = Tree::Object(vec![("settlement_date".to_owned(), Tree::text(key))]);
                let body = Tree::Object(vec![(resource.path.to_owned(), date)]);
                Request::post(resource.path, resource.path, body.to_json())
            }
            (Listing::Lines, _) => Request::get(
                format!("transactions/{one}/line_items"),
                "transactions/:id/line_items",
            ),
            (_, path) => {
                let path = path.unwrap_or(resource.path);
                Request::get(format!("{path}/{one}"), format!("{path}/:id"))
            }
        }
    };
    let requests = keys.iter().map(request).collect();
    (Way::Single { requests, keys }, lines, extent)
}

impl Strategy for Sampling {
    fn start(&self, now: u64) -> Box<dyn Cursor> {
        let Sampling { shape, criteria, cap, records } = self;
        match shape.resource.listing {
            Listing::Search => {
                Box::new(Search::sampled(*shape, *cap, second_of(now), criteria.clone(), *records))
            }
            _ => {
                let (ask, read) = page_requests(*shape, vec![criteria.clone()]);
                Box::new(SomePages::new(ask, read, *records))
            }
        }
    }
}

impl Strategy for Reading {
    fn start(&self, now: u64) -> Box<dyn Cursor> {
        let shape = self.shape;
        match &self.way {
            Way::Search { arms, cap, limit } => {
                Box::new(Search::new(shape, *cap, second_of(now), arms.clone(), *limit))
            }
            Way::Ids { criteria, ids } => {
                Box::new(Search::of_ids(shape, criteria.clone(), ids.clone()))
            }
            Way::Single { requests, keys } => {
                let (keys, endpoints) = (keys.clone(), requests.iter().map(Request::endpoint));
                let endpoints: Vec<Endpoint> = endpoints.collect();
                let read = move |number: usize, answer: Answer| {
                    single(&shape, &keys[number], &endpoints[number], answer)
                };
                Box::new(Each::new(requests.clone(), Rc::new(read)))
            }
            Way::Pages { criteria } => pages(shape, criteria.clone()),
            Way::Unknown => Unknown.start(now),
        }
    }
}

/// The records of an answer to a lookup or of a whole list.
fn single(
    shape: &Shape,
    key: &str,
    endpoint: &Endpoint,
    answer: Answer,
) -> Result<Vec<Record>, ApiError> {
    let resource = shape.resource;
    let Answer { root, mut tree } = answer;
    let wrong = || unexpected(endpoint.clone(), "it is something else than was asked for");
    match resource.listing {
        Listing::Summary => {
            if root != resource.root {
                return Err(wrong());
            }
            let records = tree.take("records").unwrap_or(Tree::Null);
            let Tree::List(records) = records else {
                return if matches!(records, Tree::Null | Tree::Text(_)) {
                    Ok(vec![])
                } else {
                    Err(wrong())
                };
            };
            let context = vec![("settlement_date", Tree::text(key))];
            Ok(records.into_iter().map(|tree| Record { tree, context: context.clone() }).collect())
        }
        Listing::Lines => {
            let lines = match (root == resource.root, tree) {
                (true, Tree::List(lines)) => lines,
                (true, Tree::Null | Tree::Text(_)) => Vec::new(),
                _ => return Err(wrong()),
            };
            let number = |n: usize| Tree::Number((n + 1).to_string());
            let with = |(n, tree)| Record {
                tree,
                context: vec![("transaction_id", Tree::text(key)), ("seq", number(n))],
            };
            Ok(lines.into_iter().enumerate().map(with).collect())
        }
        Listing::Whole => match (root == resource.root, tree) {
            (true, Tree::List(records)) => Ok(records.into_iter().flat_map(shape.rows).collect()),
            (true, Tree::Null | Tree::Text(_)) => Ok(Vec::new()),
            _ => Err(wrong()),
        },
        _ if shape.by_token && endpoint.path.ends_with(":token") => {
            Ok(vec![derive::payment_method(tree, &root, None)])
        }
        _ => {
            let id = match tree.text_of("id") {
                Some(id) if root == resource.tag => id,
                _ => return Err(wrong()),
            };
            // The service may find a record by its id in other letters.
            if id == key && (shape.keep)(&tree) { Ok((shape.rows)(tree)) } else { Ok(Vec::new()) }
        }
    }
}

fn pages(shape: Shape, criteria: Vec<Criteria>) -> Box<dyn Cursor> {
    let listings = criteria.len();
    let (ask, read) = page_requests(shape, criteria);
    Box::new(Numbered::new(listings, ask, read))
}

/// How numbered pages are asked for and read.
fn page_requests(shape: Shape, criteria: Vec<Criteria>) -> (Ask, ReadPage) {
    let resource: Resource = shape.resource;
    let is_search = resource.listing == Listing::SearchedPages;
    let ask = move |listing: usize, page: u64| {
        let path = format!("{}?page={page}", resource.path);
        if is_search {
            Request::post(path, resource.path, criteria[listing].body())
        } else {
            Request::get(path, resource.path)
        }
    };
    let endpoint = ask(0, 1).endpoint();
    let read = move |answer: Answer| {
        let wrong = |what| unexpected(endpoint.clone(), what);
        if answer.root != resource.root {
            return Err(wrong("it is a list of something else"));
        }
        let Tree::Object(members) = answer.tree else {
            return Err(wrong("it is not a collection"));
        };
        let number = |tree: &Tree| tree.as_text().and_then(|text| text.parse::<u64>().ok());
        let mut page = NumberedPage { records: Vec::new(), number: None, total: 0 };
        let mut has_total = false;
        for (name, tree) in members {
            match name.as_str() {
                "total_items" => {
                    page.total = number(&tree).ok_or_else(|| wrong("it has no total"))?;
                    has_total = true;
                }
                "current_page_number" => page.number = number(&tree),
                name if name == resource.tag => {
                    let id = tree.text_of("id").ok_or_else(|| wrong("a record has no id"))?;
                    page.records.push((id.to_owned(), Record::of(tree)));
                }
                _ => {}
            }
        }
        if has_total { Ok(page) } else { Err(wrong("it has no total")) }
    };
    (Rc::new(ask), Rc::new(read))
}
