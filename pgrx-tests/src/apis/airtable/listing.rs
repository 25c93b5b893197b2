//! Listing records: the parameters in a query or in a body, the order that the first page freezes,
//! and the offsets that lead on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Map, Value, json};

use super::Settings;
use super::cells::{Row, Showing, computed};
use super::data::{Base, Record, Table};
use super::formula::{Ways, order, parse, passes};
use super::refusal;
use crate::apis::exchange::{Answer, Request};

/// The most records on a page.
const LARGEST_PAGE: usize = 100;

/// A longer target is refused; clients turn to POST before.
const LONGEST_TARGET: usize = 16_000;

/// So many listings are kept at most.
const MOST_LISTINGS: usize = 200;

/// The parameters of a listing.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    fields: Option<Vec<String>>,
    sort: Vec<(String, bool)>,
    formula: Option<String>,
    view: Option<String>,
    max_records: Option<usize>,
    page_size: Option<usize>,
    offset: Option<String>,
    as_text: bool,
    by_id: bool,
    with_comment_count: bool,
    time_zone: bool,
    locale: bool,
}

impl Parameters {
    /// Reads them from the query, and for a POST from the body too.
    pub(super) fn read(request: &Request, body: Option<&Value>) -> Result<Parameters, Answer> {
        if request.target.len() > LONGEST_TARGET {
            return Err(refusal::of_status(413));
        }
        let mut parameters = Parameters::default();
        let mut sort: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for (name, value) in &request.query {
            if let Some(rest) = name.strip_prefix("sort[") {
                let (place, part) = rest.split_once(']').unwrap_or((rest, ""));
                let entry = sort.entry(place.to_owned()).or_default();
                match part {
                    "[field]" => entry.0 = value.clone(),
                    "[direction]" => entry.1 = descending(value)?,
                    _ => return Err(refusal::invalid(&format!("unknown parameter {name}"))),
                }
            } else if name.starts_with("fields[") {
                parameters.fields.get_or_insert_default().push(value.clone());
            } else if name.starts_with("recordMetadata[") {
                parameters.metadata(value)?;
            } else {
                parameters.set(name, &Value::from(value.as_str()))?;
            }
        }
        parameters.sort = sort.into_values().collect();
        if let Some(body) = body {
            let none = Map::new();
            for (name, value) in body.as_object().unwrap_or(&none) {
                parameters.take(name, value)?;
            }
        }
        if parameters.as_text && !(parameters.time_zone && parameters.locale) {
            return Err(refusal::invalid("cellFormat string needs timeZone and userLocale"));
        }
        Ok(parameters)
    }

    /// A member of a body.
    fn take(&mut self, name: &str, value: &Value) -> Result<(), Answer> {
        let list = || value.as_array().ok_or_else(|| refusal::invalid(name));
        let text = |value: &Value| -> Result<String, Answer> {
            value.as_str().map(str::to_owned).ok_or_else(|| refusal::invalid(name))
        };
        match name {
            "fields" => self.fields = Some(list()?.iter().map(text).collect::<Result<_, _>>()?),
            "sort" => {
                for entry in list()? {
                    let direction = entry["direction"].as_str().unwrap_or("asc");
                    self.sort.push((text(&entry["field"])?, descending(direction)?));
                }
            }
            "recordMetadata" => {
                for value in list()? {
                    self.metadata(&text(value)?)?;
                }
            }
            // The first two are read from the query alone. The SDK for JavaScript sends them in both
            // places, and its own option `method` too.
            "timeZone" | "userLocale" | "method" => {}
            _ => self.set(name, value)?,
        }
        Ok(())
    }

    /// A single value, which in a query is text.
    fn set(&mut self, name: &str, value: &Value) -> Result<(), Answer> {
        let wrong = || refusal::invalid(&format!("{name}: {value}"));
        let text = || value.as_str().map(str::to_owned).ok_or_else(wrong);
        let number = || {
            let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
            number.and_then(|it| usize::try_from(it).ok()).filter(|it| *it > 0).ok_or_else(wrong)
        };
        let flag = || match value {
            Value::Bool(flag) => Ok(*flag),
            _ => match value.as_str() {
                Some("1" | "true") => Ok(true),
                Some("0" | "false" | "") => Ok(false),
                _ => value.as_u64().map(|it| it != 0).ok_or_else(wrong),
            },
        };
        match name {
            "filterByFormula" => self.formula = Some(text()?).filter(|it| !it.is_empty()),
            "view" => self.view = Some(text()?).filter(|it| !it.is_empty()),
            "maxRecords" => self.max_records = Some(number()?),
            "pageSize" => {
                self.page_size =
                    Some(Some(number()?).filter(|it| *it <= LARGEST_PAGE).ok_or_else(wrong)?);
            }
            "offset" => self.offset = Some(text()?),
            "cellFormat" => {
                self.as_text = match text()?.as_str() {
                    "string" => true,
                    "json" => false,
                    _ => return Err(wrong()),
                }
            }
            "returnFieldsByFieldId" => self.by_id = flag()?,
            "timeZone" => self.time_zone = true,
            "userLocale" => self.locale = true,
            _ => return Err(refusal::invalid(&format!("unknown parameter {name}"))),
        }
        Ok(())
    }

    fn metadata(&mut self, value: &str) -> Result<(), Answer> {
        if value != "commentCount" {
            return Err(refusal::invalid(&format!("recordMetadata {value}")));
        }
        self.with_comment_count = true;
        Ok(())
    }

    /// How records are shown.
    pub(super) fn showing(&self, table: &Table) -> Result<Showing, Answer> {
        let places = |names: &Vec<String>| -> Result<Vec<usize>, Answer> {
            names
                .iter()
                .map(|name| table.field(name).ok_or_else(|| refusal::unknown_field(name)))
                .collect()
        };
        Ok(Showing {
            fields: self.fields.as_ref().map(places).transpose()?,
            by_id: self.by_id,
            as_text: self.as_text,
            with_comment_count: self.with_comment_count,
        })
    }
}

fn descending(direction: &str) -> Result<bool, Answer> {
    match direction {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _ => Err(refusal::invalid(&format!("sort direction {direction}"))),
    }
}

/// A listing that has more pages.
#[derive(Debug)]
struct Listing {
    table: String,
    began: Instant,
    /// Numbers of records, in the order of the first page.
    order: Vec<usize>,
    /// Where an offset leads on.
    places: HashMap<String, usize>,
}

/// All listings that have more pages. Old ones are forgotten.
#[derive(Debug, Default)]
pub(super) struct Listings(Mutex<(u64, BTreeMap<u64, Listing>)>);

impl Listings {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Listing>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets all: every offset is void.
    pub(super) fn expire(&self) {
        self.lock().1.clear();
    }

    /// Answers one page.
    pub(super) fn page(
        &self,
        base: &Base,
        table: &Table,
        parameters: &Parameters,
        settings: &Settings,
    ) -> Result<Answer, Answer> {
        let showing = parameters.showing(table)?;
        let size = parameters.page_size.unwrap_or(LARGEST_PAGE);
        let mut listings = self.lock();
        let (number, start) = match &parameters.offset {
            Some(offset) => {
                let number = offset
                    .split_once('/')
                    .and_then(|(it, _)| u64::from_str_radix(it.strip_prefix("itr")?, 36).ok());
                let listing = number.and_then(|number| listings.1.get(&number));
                let listing = listing.filter(|listing| {
                    listing.table == table.id && listing.began.elapsed() < settings.offset_lifetime
                });
                let place = listing.and_then(|listing| listing.places.get(offset));
                match (number, place) {
                    (Some(number), Some(place)) => (number, *place),
                    _ => return Err(refusal::expired_offset()),
                }
            }
            None => {
                drop(listings);
                let order = matching(base, table, parameters, settings)?;
                listings = self.lock();
                listings.1.retain(|_, it| it.began.elapsed() < settings.offset_lifetime);
                if listings.1.len() >= MOST_LISTINGS {
                    listings.1.pop_first();
                }
                listings.0 += 1;
                let number = listings.0;
                let began = Instant::now();
                let places = HashMap::new();
                let listing = Listing { table: table.id.clone(), began, order, places };
                listings.1.insert(number, listing);
                (number, 0)
            }
        };
        let Some(listing) = listings.1.get_mut(&number) else {
            return Err(refusal::expired_offset());
        };
        let end = (start + size).min(listing.order.len());
        // What was removed since the first page is missing.
        let records: Vec<Value> = listing.order[start..end]
            .iter()
            .filter_map(|number| table.records.get(*number)?.as_ref())
            .map(|record| showing.record(&base.tables, table, record))
            .collect();
        let mut answer = json!({"records": records});
        if let Some(next) = listing.order.get(end) {
            let record = table.records.get(*next).and_then(Option::as_ref);
            let id = record.map_or_else(|| format!("rec{next:014}"), |record| record.id.clone());
            let offset = format!("itr{}/{id}", base36(number));
            listing.places.insert(offset.clone(), end);
            answer["offset"] = json!(offset);
        } else if start == 0 {
            listings.1.remove(&number);
        }
        Ok(Answer::json(200, &answer))
    }
}

fn base36(number: u64) -> String {
    let mut rest = number;
    let mut digits = Vec::new();
    while rest > 0 || digits.is_empty() {
        digits.push(char::from_digit((rest % 36) as u32, 36).unwrap_or('0'));
        rest /= 36;
    }
    format!("{:0>14}", digits.into_iter().rev().collect::<String>())
}

/// The numbers of the records that a listing has, in its order.
fn matching(
    base: &Base,
    table: &Table,
    parameters: &Parameters,
    settings: &Settings,
) -> Result<Vec<usize>, Answer> {
    let view = match &parameters.view {
        None => None,
        Some(name) => {
            let found = table.views.iter().find(|view| view.name == *name || view.id == *name);
            let missing =
                || refusal::typed(422, "VIEW_NAME_NOT_FOUND", &format!("View {name} not found"));
            Some(found.ok_or_else(missing)?)
        }
    };
    let named = |name: &str| {
        let place = table.fields.iter().position(|field| field.name == name);
        place.or_else(|| table.field(name).filter(|_| settings.ids_in_formulas))
    };
    let formula = parameters.formula.as_ref().map(|text| parse(text, &named)).transpose();
    let formula = formula.map_err(|message| refusal::formula(&message))?;
    let sort: Vec<(usize, bool)> = parameters
        .sort
        .iter()
        .map(|(name, descending)| {
            Ok((table.field(name).ok_or_else(|| refusal::unknown_field(name))?, *descending))
        })
        .collect::<Result<_, Answer>>()?;
    let ways = Ways { fold_case: settings.fold_case, blank_is_zero: settings.blank_is_zero };
    let value = |record: &Record, place: usize| {
        let field = &table.fields[place];
        computed(&base.tables, field, record.cell(field, place).as_ref())
    };
    let mut found: Vec<(usize, &Record)> = table
        .records
        .iter()
        .enumerate()
        .filter_map(|(number, record)| Some((number, record.as_ref()?)))
        .filter(|(_, record)| {
            let filled = view.and_then(|view| view.filled);
            filled.is_none_or(|place| record.cells.get(place).is_some_and(Option::is_some))
        })
        .filter(|(_, record)| {
            formula.as_ref().is_none_or(|formula| {
                passes(formula, &Row { tables: &base.tables, table, record, ways })
            })
        })
        .collect();
    if !sort.is_empty() {
        found.sort_by(|(_, left), (_, right)| {
            sort.iter()
                .map(|(place, descending)| {
                    let order = order(&value(left, *place), &value(right, *place));
                    if *descending { order.reverse() } else { order }
                })
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    found.truncate(parameters.max_records.unwrap_or(usize::MAX));
    Ok(found.into_iter().map(|(number, _)| number).collect())
}
