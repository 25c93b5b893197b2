//! The bases that there are, and the ids of everything in them.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::{Options, Told};
use super::{Base, Field, Record, Table, View, contacts, everything, odd};
use crate::apis::calendar::{DAY, SECOND, day_number};
use crate::apis::random::Random;

const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Bases with what the token's user may do in them; tables are in the first.
pub(in crate::apis::airtable) const BASES: [(&str, &str); 5] = [
    ("Customers & Co", "create"),
    ("Read only", "read"),
    ("Comments", "comment"),
    ("No entry", "none"),
    ("Customers & co", "edit"),
];

/// An id: a prefix and fourteen letters and digits.
pub(super) fn id(seed: u64, prefix: &str, kind: &str, number: u64) -> String {
    format!("{prefix}{}", Random::of(seed, kind, number).text(LETTERS, 14))
}

/// All bases, with their records.
pub(in crate::apis::airtable) fn bases(options: &Options) -> Vec<Base> {
    let seed = options.seed;
    let mut bases: Vec<Base> = BASES
        .iter()
        .enumerate()
        .map(|(number, (name, permission))| Base {
            id: id(seed, "app", "base", number as u64),
            name: (*name).to_owned(),
            permission,
            tables: Vec::new(),
        })
        .collect();
    let contacts = contacts::table(options);
    bases[0].tables =
        vec![everything::table(options, &contacts), contacts, odd::table(seed), empty(seed)];
    let told = options.told.iter().enumerate();
    bases.extend(told.map(|(number, told)| self::told(seed, number as u64, told)));
    bases
}

/// A base with a table that is told.
fn told(seed: u64, number: u64, told: &Told) -> Base {
    let kind = format!("told {number}");
    let record = |(place, (created, cells)): (usize, &(i64, Vec<Option<Value>>))| Record {
        id: id(seed, "rec", &kind, place as u64),
        created: *created,
        modified: *created,
        cells: cells.clone(),
        comments: Vec::new(),
    };
    let records = told.records.iter().enumerate().map(record).collect();
    let fields = fields(seed, &kind, told.fields.clone());
    Base {
        id: id(seed, "app", "told base", number),
        name: told.base.clone(),
        permission: "read",
        tables: vec![assemble(seed, &told.table, Some(told.description), fields, records)],
    }
}

/// A table without records.
fn empty(seed: u64) -> Table {
    let fields = fields(seed, "empty", vec![("Name", "singleLineText", Value::Null)]);
    assemble(seed, "Empty", None, fields, Vec::new())
}

/// Fields with ids, from names, types and options.
pub(super) fn fields(
    seed: u64,
    table: &str,
    fields: Vec<(&str, &'static str, Value)>,
) -> Vec<Field> {
    fields
        .into_iter()
        .enumerate()
        .map(|(number, (name, kind, options))| {
            Field::new(id(seed, "fld", table, number as u64), name, kind, options)
        })
        .collect()
}

/// A table of records. It has a grid of all, a grid of those whose second field is filled, and a
/// gallery.
pub(super) fn assemble(
    seed: u64,
    name: &str,
    description: Option<&str>,
    fields: Vec<Field>,
    records: Vec<Record>,
) -> Table {
    let kind = format!("view of {name}");
    let all: Vec<usize> = (0..fields.len()).collect();
    let view = |number: u64, name: &str, kind_of_view, filled, visible: Vec<usize>| View {
        id: id(seed, "viw", &kind, number),
        name: name.to_owned(),
        kind: kind_of_view,
        filled,
        visible,
    };
    let views = vec![
        view(0, "Grid view", "grid", None, all.clone()),
        view(1, "Filled & short", "grid", Some(1), all.iter().copied().take(2).collect()),
        view(2, "Gallery", "gallery", None, all),
    ];
    let index: HashMap<String, usize> =
        records.iter().zip(0..).map(|(record, number)| (record.id.clone(), number)).collect();
    Table {
        id: id(seed, "tbl", name, 0),
        name: name.to_owned(),
        description: description.map(str::to_owned),
        fields,
        views,
        records: records.into_iter().map(Some).collect(),
        index,
        created: 0,
    }
}

/// When record `number` of `count` was created, in random steps over half a year. Many share their
/// second and differ in milliseconds.
pub(super) fn created(seed: u64, number: usize, count: usize) -> i64 {
    let step = 180 * DAY / count.max(1) as i64;
    let start = day_number(2024, 1, 1) * DAY + number as i64 * step;
    let mut random = Random::of(seed, "created", number as u64);
    let moment = start + random.below(step.max(1) as u64) as i64;
    if random.chance(20) { moment - moment.rem_euclid(SECOND) } else { moment }
}

/// A person with an account.
pub(super) fn user(number: u64) -> Value {
    let id = format!("usr{number:014}");
    match number % 3 {
        0 => json!({"id": id, "email": format!("user{number}@example.com"), "name": "Ann O'Brien"}),
        1 => json!({"id": id, "email": format!("user{number}@example.com")}),
        _ => json!({"id": id, "email": format!("user{number}@example.com"), "name": "José \"Q\""}),
    }
}

/// Comments of a record.
pub(super) fn comments(random: &mut Random, seed: u64, number: u64, created: i64) -> Vec<Value> {
    let count = if random.chance(15) { 1 + random.below(3) } else { 0 };
    (0..count)
        .map(|place| {
            let mut comment = json!({
                "id": id(seed, "com", "comment", number * 8 + place),
                "author": user(random.below(3)),
                "text": format!("Comment {place}, it's \"fine\"\nsecond line"),
                "createdTime": crate::apis::calendar::to_millisecond(created + (place as i64 + 1) * SECOND),
                "lastUpdatedTime": null,
            });
            if place == 1 {
                comment["parentCommentId"] = json!(id(seed, "com", "comment", number * 8));
                comment["mentioned"] = json!({"usr00000000000000": {
                    "type": "user", "id": "usr00000000000000", "displayName": "Ann O'Brien",
                    "email": "user0@example.com",
                }});
            }
            if place == 2 {
                comment["reactions"] = json!([{
                    "emoji": {"unicodeCharacter": "👍"},
                    "reactingUser": {"userId": "usr00000000000001", "email": "user1@example.com"},
                }]);
            }
            comment
        })
        .collect()
}
