//! Creating, changing and removing records and comments, ten at a time.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::cells::Showing;
use super::data::{Record, Table, is_computed};
use super::refusal;
use crate::apis::calendar::to_millisecond;
use crate::apis::exchange::{Answer, Request};

/// The most records in one request.
const MOST: usize = 10;

/// Milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// What a writing request asks for, beside its records.
struct Order {
    replace: bool,
    typecast: bool,
    showing: Showing,
}

/// The cells of an object of fields, by their places.
fn cells(
    table: &Table,
    fields: &Value,
    typecast: bool,
) -> Result<Vec<(usize, Option<Value>)>, Answer> {
    let none = Map::new();
    let mut cells = Vec::new();
    for (name, value) in fields.as_object().unwrap_or(&none) {
        let place = table.field(name).ok_or_else(|| refusal::unknown_field(name))?;
        let field = &table.fields[place];
        let wrong = || {
            let message = format!("Field \"{name}\" cannot accept the provided value");
            refusal::typed(422, "INVALID_VALUE_FOR_COLUMN", &message)
        };
        if is_computed(field.kind) {
            return Err(wrong());
        }
        cells.push((place, accepted(field.kind, value, typecast).map_err(|()| wrong())?));
    }
    Ok(cells)
}

/// The value that a cell gets; `None` clears it.
fn accepted(kind: &str, value: &Value, typecast: bool) -> Result<Option<Value>, ()> {
    let clears = match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    };
    if clears {
        return Ok(None);
    }
    let number = matches!(kind, "number" | "currency" | "percent" | "rating" | "duration");
    let fits = match kind {
        _ if number => value.is_number(),
        "checkbox" => value.is_boolean(),
        _ if kind.starts_with("multiple") => value.is_array(),
        "barcode" | "singleCollaborator" => value.is_object(),
        "date" | "dateTime" => {
            value.as_str().is_some_and(|text| crate::apis::calendar::parse(text).is_some())
        }
        _ => value.is_string(),
    };
    match value {
        // Times are kept as they are answered.
        Value::String(text) if kind == "dateTime" && fits => {
            Ok(crate::apis::calendar::parse(text).map(|moment| json!(to_millisecond(moment))))
        }
        _ if fits => Ok(Some(value.clone())),
        Value::String(text) if typecast && number => {
            text.trim().parse::<f64>().map(|number| Some(json!(number))).map_err(drop)
        }
        Value::Number(number) if typecast => Ok(Some(json!(number.to_string()))),
        Value::String(text) if typecast && kind == "multipleSelects" => Ok(Some(json!([text]))),
        _ => Err(()),
    }
}

fn set(
    record: &mut Record,
    cells: Vec<(usize, Option<Value>)>,
    replace: bool,
    table_kinds: &[&str],
) {
    if replace {
        for (place, kind) in table_kinds.iter().enumerate() {
            if !is_computed(kind) {
                record.cells[place] = None;
            }
        }
    }
    for (place, value) in cells {
        record.cells[place] = value;
    }
    record.modified = now();
}

/// Adds a record with these cells and returns its id.
fn add(table: &mut Table, cells: Vec<(usize, Option<Value>)>) -> String {
    table.created += 1;
    let id = format!("recNew{:011}", table.created);
    let moment = now();
    let mut record = Record {
        id: id.clone(),
        created: moment,
        modified: moment,
        cells: vec![None; table.fields.len()],
        comments: Vec::new(),
    };
    for (place, value) in cells {
        record.cells[place] = value;
    }
    table.push(record);
    id
}

/// Carries out a request to a table (`id` is `None`) or to one record of it.
pub(super) fn answer(
    tables: &mut [Table],
    at: usize,
    request: &Request,
    id: Option<&str>,
    body: &Value,
) -> Result<Answer, Answer> {
    let flag = |name: &str| body[name].as_bool().unwrap_or(false);
    let order = Order {
        replace: request.method == "PUT",
        typecast: flag("typecast"),
        showing: Showing { by_id: flag("returnFieldsByFieldId"), ..Showing::default() },
    };
    let list = body["records"].as_array();
    if list.is_some_and(|list| list.is_empty() || list.len() > MOST) {
        return Err(refusal::invalid("between 1 and 10 records"));
    }
    match (request.method.as_str(), id) {
        ("DELETE", Some(id)) => {
            if !tables[at].remove(id) {
                return Err(refusal::of_status(404));
            }
            Ok(Answer::json(200, &json!({"id": id, "deleted": true})))
        }
        ("DELETE", None) => remove(&mut tables[at], request),
        ("POST", None) => {
            let wanted: Vec<&Value> = match list {
                Some(list) => list.iter().map(|record| &record["fields"]).collect(),
                None => vec![&body["fields"]],
            };
            let cells = wanted
                .into_iter()
                .map(|fields| cells(&tables[at], fields, order.typecast))
                .collect::<Result<Vec<_>, _>>()?;
            let ids: Vec<String> = cells.into_iter().map(|it| add(&mut tables[at], it)).collect();
            let shown = show(tables, at, &order.showing, &ids);
            let answer = if list.is_some() { json!({"records": shown}) } else { json!(shown[0]) };
            Ok(Answer::json(200, &answer))
        }
        ("PATCH" | "PUT", Some(id)) => {
            update(&mut tables[at], id, &body["fields"], &order)?;
            let shown = show(tables, at, &order.showing, &[id.to_owned()]);
            Ok(Answer::json(200, &shown[0]))
        }
        ("PATCH" | "PUT", None) => {
            let list = list.ok_or_else(|| refusal::invalid("records are missing"))?;
            match body.get("performUpsert") {
                Some(upsert) => merge(tables, at, list, &upsert["fieldsToMergeOn"], &order),
                None => {
                    let mut ids = Vec::new();
                    for record in list {
                        let id = record["id"].as_str().ok_or_else(|| refusal::invalid("no id"))?;
                        update(&mut tables[at], id, &record["fields"], &order)?;
                        ids.push(id.to_owned());
                    }
                    let shown = show(tables, at, &order.showing, &ids);
                    Ok(Answer::json(200, &json!({"records": shown})))
                }
            }
        }
        _ => Err(refusal::of_status(404)),
    }
}

fn show(tables: &[Table], at: usize, showing: &Showing, ids: &[String]) -> Vec<Value> {
    let table = &tables[at];
    let records = ids.iter().filter_map(|id| table.record(id));
    records.map(|record| showing.record(tables, table, record)).collect()
}

fn update(table: &mut Table, id: &str, fields: &Value, order: &Order) -> Result<(), Answer> {
    let cells = cells(table, fields, order.typecast)?;
    let kinds: Vec<&str> = table.fields.iter().map(|field| field.kind).collect();
    let record = table.record_mut(id).ok_or_else(|| refusal::of_status(404))?;
    set(record, cells, order.replace, &kinds);
    Ok(())
}

fn remove(table: &mut Table, request: &Request) -> Result<Answer, Answer> {
    let named = |name: &str| name.starts_with("records[");
    let ids: Vec<&str> =
        request.query.iter().filter(|(name, _)| named(name)).map(|(_, id)| id.as_str()).collect();
    if ids.is_empty() || ids.len() > MOST {
        return Err(refusal::invalid("between 1 and 10 records"));
    }
    if ids.iter().any(|id| table.record(id).is_none()) {
        return Err(refusal::of_status(404));
    }
    let removed: Vec<Value> = ids
        .into_iter()
        .map(|id| {
            table.remove(id);
            json!({"id": id, "deleted": true})
        })
        .collect();
    Ok(Answer::json(200, &json!({"records": removed})))
}

/// Changes the records that have the same values in these fields, and creates what is missing.
fn merge(
    tables: &mut [Table],
    at: usize,
    list: &[Value],
    on: &Value,
    order: &Order,
) -> Result<Answer, Answer> {
    let names: Vec<&str> = on.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if names.is_empty() || names.len() > 3 {
        return Err(refusal::invalid("fieldsToMergeOn has one to three fields"));
    }
    let places = names
        .iter()
        .map(|name| tables[at].field(name).ok_or_else(|| refusal::unknown_field(name)))
        .collect::<Result<Vec<_>, _>>()?;
    let (mut ids, mut created, mut updated) = (Vec::new(), Vec::new(), Vec::new());
    for record in list {
        let fields = &record["fields"];
        let cells = cells(&tables[at], fields, order.typecast)?;
        let found: Vec<String> = match record["id"].as_str() {
            Some(id) => vec![id.to_owned()],
            None => {
                let wanted = |place: &usize| cells.iter().find(|(it, _)| it == place);
                let same = |it: &&Record| {
                    places.iter().all(|place| {
                        wanted(place).is_some_and(|(_, value)| it.cells[*place] == *value)
                    })
                };
                let records = tables[at].records.iter().flatten();
                records.filter(same).map(|it| it.id.clone()).collect()
            }
        };
        let id = match found.as_slice() {
            [] => {
                let id = add(&mut tables[at], cells);
                created.push(id.clone());
                id
            }
            [id] => {
                update(&mut tables[at], id, fields, order)?;
                updated.push(id.clone());
                id.clone()
            }
            _ => return Err(refusal::invalid("more than one record matches")),
        };
        ids.push(id);
    }
    let shown = show(tables, at, &order.showing, &ids);
    let answer = json!({"records": shown, "createdRecords": created, "updatedRecords": updated});
    Ok(Answer::json(200, &answer))
}

/// Shows, adds or removes comments of a record.
pub(super) fn comments(
    table: &mut Table,
    request: &Request,
    record: &str,
    comment: Option<&str>,
    body: &Value,
) -> Result<Answer, Answer> {
    let record = table.record_mut(record).ok_or_else(|| refusal::of_status(404))?;
    match (request.method.as_str(), comment) {
        ("GET", None) => {
            let size = request.parameter("pageSize").and_then(|it| it.parse().ok()).unwrap_or(100);
            let start = request.parameter("offset").and_then(|it| it.parse().ok()).unwrap_or(0);
            let end = usize::min(start + size, record.comments.len());
            let shown = record.comments.get(start..end).unwrap_or_default();
            let more = end < record.comments.len();
            let offset = if more { json!(end.to_string()) } else { Value::Null };
            Ok(Answer::json(200, &json!({"comments": shown, "offset": offset})))
        }
        ("POST", None) => {
            let text = body["text"].as_str().ok_or_else(|| refusal::invalid("no text"))?;
            let comment = json!({
                "id": format!("comNew{:011}", record.comments.len()),
                "author": {"id": "usr00000000000001", "email": "user1@example.com", "name": "Token"},
                "text": text,
                "createdTime": to_millisecond(now()),
                "lastUpdatedTime": null,
            });
            record.comments.push(comment.clone());
            Ok(Answer::json(200, &comment))
        }
        ("DELETE", Some(id)) => {
            let before = record.comments.len();
            record.comments.retain(|comment| comment["id"] != id);
            if record.comments.len() == before {
                return Err(refusal::of_status(404));
            }
            Ok(Answer::json(200, &json!({"id": id, "deleted": true})))
        }
        _ => Err(refusal::of_status(404)),
    }
}
