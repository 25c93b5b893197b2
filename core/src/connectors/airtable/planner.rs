//! From conditions to listings.

use super::bind::is_id;
use super::formula::{self, Formula};
use super::listing::{Listing, Wanted, record};
use super::{Airtable, catalogue, id_segment};
use crate::connectors::catalogue::{Filter, Origin, Table};
use crate::connectors::condition::{Comparison, Condition, Operand, convert};
use crate::connectors::paging::{Chain, Each};
use crate::connectors::plan::{
    Changes, Extent, Line, Nothing, Plan, Query, Strategy, Taken, Unknown,
};
use crate::connectors::time::UNIX_TO_POSTGRES;
use crate::connectors::{Answer, ApiError, Cursor, Request};
use std::rc::Rc;

/// Records of one request by ids. Fewer than a page, so that one answer has them all.
const BATCH: usize = 50;
/// How far back a window of changes begins before the end of the last one, in microseconds.
const LOOK_BACK: i64 = 60_000_000;

enum Reading {
    Listing(Wanted),
    /// By ids, in batches.
    Records(Wanted, Vec<String>),
    /// A single one.
    Record(Request),
}

/// An option of a table.
pub fn option<'a>(table: &'a Table, name: &str) -> Option<&'a str> {
    table.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The values of an equality or a list of texts; `None` if it is another condition.
pub fn texts(condition: &Condition) -> Option<Vec<&Operand>> {
    let operands = match condition {
        Condition::Compare { comparison: Comparison::Equal, operand, .. } => vec![operand],
        Condition::OneOf { operands, .. } => operands.iter().collect(),
        _ => return None,
    };
    let is_text = |operand: &&Operand| matches!(operand.of.as_str(), "text" | "character varying");
    operands.iter().all(is_text).then_some(operands)
}

/// The parts of a condition at its top.
pub fn conjuncts(condition: &Condition) -> &[Condition] {
    match condition {
        Condition::All(parts) => parts,
        single => std::slice::from_ref(single),
    }
}

#[derive(Default)]
struct Found {
    filter: Vec<Formula>,
    keys: Option<Vec<String>>,
    unknown_key: Option<String>,
    never: bool,
}

impl Found {
    fn take(&mut self, table: &Table, condition: &Condition) -> Taken {
        if *condition == Condition::Never {
            self.never = true;
            return Taken::Exactly;
        }
        let column = condition.column().and_then(|name| table.column(name));
        if column.is_some_and(|(_, column)| column.filter == Filter::Key)
            && let Some(how) = self.key(condition)
        {
            return how;
        }
        match formula::formula(table, condition) {
            Some(formula) => {
                self.filter.push(formula);
                Taken::Wider
            }
            None => Taken::No,
        }
    }

    fn key(&mut self, condition: &Condition) -> Option<Taken> {
        if let Condition::OneOfParam { param, .. } = condition {
            self.unknown_key = Some(format!("${}", param + 1));
            return Some(Taken::Exactly);
        }
        let operands = texts(condition)?;
        if let Some(unknown) = operands.iter().find(|operand| operand.known().is_none()) {
            self.unknown_key = Some(unknown.shown());
            return Some(Taken::Exactly);
        }
        // What has not the form of an id is no record's.
        let keys = operands.iter().filter_map(|operand| operand.known());
        let keys = keys.filter(|key| key.starts_with("rec") && is_id(key)).map(str::to_owned);
        match &mut self.keys {
            None => self.keys = Some(keys.collect()),
            Some(kept) => {
                let keys: Vec<String> = keys.collect();
                kept.retain(|key| keys.contains(key));
            }
        }
        Some(Taken::Exactly)
    }
}

/// Plans a query.
pub fn plan(airtable: &Airtable, query: &Query<'_>) -> Result<Plan, ApiError> {
    let table = query.table;
    if option(table, "catalogue").is_some() {
        return catalogue::plan(airtable, query);
    }
    let (Some(base), Some(id)) = (option(table, "base_id"), option(table, "table_id")) else {
        return Err(ApiError::Unknown(format!("table {} has no base_id and table_id", table.name)));
    };
    let mut found = Found::default();
    let mut pushed = Vec::new();
    let mut taken = Vec::with_capacity(query.conditions.len());
    for expr in query.conditions {
        let Some(converted) = convert(expr, query.params) else {
            taken.push(Taken::No);
            continue;
        };
        let mut hows = Vec::new();
        for part in conjuncts(&converted.condition) {
            let how = found.take(table, part);
            if how != Taken::No {
                pushed.push(part.clone());
            }
            hows.push(how);
        }
        let all = |wanted: Taken| hows.iter().all(|how| *how == wanted);
        taken.push(match (all(Taken::Exactly), all(Taken::No)) {
            (true, _) if converted.exact => Taken::Exactly,
            (_, true) => Taken::No,
            _ => Taken::Wider,
        });
    }
    let all_exact = taken.iter().all(|how| *how == Taken::Exactly);
    let limit = query.limit.filter(|_| all_exact && query.changes.is_none());
    let wanted = Wanted { limit, ..everything(table, query.columns, base, id) };
    let mut plan = empty(airtable, query, Some(base));
    (plan.limit, plan.taken, plan.pushed) = (limit, taken, pushed);
    if found.never || limit == Some(0) {
        return Ok(plan);
    }
    if let Some(key) = found.unknown_key {
        plan.requests = vec![line("GET", format!("{base}/{id}/{key}"), String::new())];
        plan.extent = Extent::Keys(1);
        plan.strategy = Rc::new(Unknown);
        return Ok(plan);
    }
    if let Some(keys) = found.keys {
        by_keys(&mut plan, wanted, keys);
        return Ok(plan);
    }
    let mut filter = found.filter;
    if let Some(changes) = query.changes {
        filter.push(changed(option(table, "cursor_field_id"), changes));
    }
    let has_filter = !filter.is_empty();
    let unknown = filter.iter().any(|part| part.unknown);
    let shown = shown(table, &wanted, &filter);
    plan.requests = vec![line("POST", wanted.path(), shown)];
    plan.extent = if has_filter { Extent::Part } else { Extent::All };
    plan.strategy = if unknown {
        Rc::new(Unknown)
    } else {
        Rc::new(Reading::Listing(Wanted { filter, ..wanted }))
    };
    Ok(plan)
}

/// A listing of all records of a table, with these columns.
pub fn everything(table: &Table, columns: &[usize], base: &str, id: &str) -> Wanted {
    Wanted {
        base: base.to_owned(),
        table: id.to_owned(),
        fields: Some(fields(table, columns)),
        filter: Vec::new(),
        fixed: None,
        limit: None,
    }
}

/// A plan that asks nothing yet.
pub fn empty(airtable: &Airtable, query: &Query<'_>, base: Option<&str>) -> Plan {
    Plan {
        table: query.table.clone(),
        columns: query.columns.to_vec(),
        taken: Vec::new(),
        requests: Vec::new(),
        pushed: Vec::new(),
        limit: None,
        extent: Extent::Nothing,
        cacheable: query.changes.is_none(),
        service: airtable.service.clone(),
        limits: airtable.limits(base),
        concurrency: usize::from(
            airtable.options.network.concurrency.unwrap_or(super::CONCURRENCY),
        ),
        strategy: Rc::new(Nothing),
    }
}

/// A request as people read it.
pub fn line(method: &'static str, path: String, criteria: String) -> Line {
    Line { method, path, criteria }
}

fn changed(cursor: Option<&str>, changes: Changes) -> Formula {
    let micros = |unix: u64| unix as i64 - UNIX_TO_POSTGRES * 1_000_000;
    formula::changed(cursor, micros(changes.since) - LOOK_BACK, micros(changes.until))
}

/// The ids of the fields wanted. Of none, one: no list means all of them.
fn fields(table: &Table, columns: &[usize]) -> Vec<String> {
    let field = |column: &crate::connectors::Column| match &column.origin {
        Origin::Path(path) => path.first().cloned(),
        _ => None,
    };
    let mut out: Vec<String> =
        columns.iter().filter_map(|&i| table.columns.get(i)).filter_map(field).collect();
    out.sort_unstable();
    out.dedup();
    if out.is_empty() {
        out.extend(table.columns.iter().find_map(field));
    }
    out
}

/// The filter with the names known here, and the number of fields.
fn shown(table: &Table, wanted: &Wanted, filter: &[Formula]) -> String {
    let name = |id: &str| {
        let column = table.columns.iter().find(
            |column| matches!(&column.origin, Origin::Path(path) if path.first().is_some_and(|of| of == id)),
        )?;
        let imported = column.options.iter().find(|(option, _)| option == "field_name");
        Some(imported.map_or(column.name.as_str(), |(_, name)| name.as_str()))
    };
    let written: Vec<String> = filter.iter().filter_map(|part| part.write(name)).collect();
    let fields = wanted.fields.as_ref().map_or(0, Vec::len);
    let limit = wanted.limit.map(|limit| format!(", maxRecords {limit}")).unwrap_or_default();
    match written.as_slice() {
        [] => format!("{fields} fields{limit}"),
        [only] => format!("filterByFormula {only}, {fields} fields{limit}"),
        several => format!("filterByFormula AND({}), {fields} fields{limit}", several.join(",")),
    }
}

fn by_keys(plan: &mut Plan, wanted: Wanted, keys: Vec<String>) {
    let wanted = Wanted { limit: None, ..wanted };
    match keys.as_slice() {
        [] => {}
        [key] => {
            let (base, table) = (id_segment(&wanted.base), id_segment(&wanted.table));
            let path = format!("{base}/{table}/{key}");
            plan.extent = Extent::Keys(1);
            plan.requests = vec![line("GET", path.clone(), String::new())];
            let request =
                Request::get(format!("{path}?returnFieldsByFieldId=true"), ":base/:table/:record");
            plan.strategy = Rc::new(Reading::Record(request));
        }
        several => {
            let batches = several.len().div_ceil(BATCH);
            plan.extent = Extent::Keys(several.len() as u64);
            let criteria = format!("{} record ids in {batches} requests", several.len());
            plan.requests = vec![line("POST", wanted.path(), criteria)];
            plan.strategy = Rc::new(Reading::Records(wanted, keys));
        }
    }
}

impl Strategy for Reading {
    fn start(&self, _now: u64) -> Box<dyn Cursor> {
        match self {
            Reading::Listing(wanted) => Box::new(Listing::new(wanted.clone())),
            Reading::Records(wanted, keys) => {
                let batch = |ids: &[String]| -> Box<dyn Cursor> {
                    let fixed = Some(formula::of_records(ids));
                    Box::new(Listing::new(Wanted { fixed, ..wanted.clone() }))
                };
                Box::new(Chain::new(keys.chunks(BATCH).map(batch)))
            }
            Reading::Record(request) => {
                let endpoint = request.endpoint();
                let read =
                    move |_: usize, answer: Answer| Ok(vec![record(answer.tree, &endpoint)?.1]);
                Box::new(Each::new(vec![request.clone()], Rc::new(read)))
            }
        }
    }
}
