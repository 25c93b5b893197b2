//! A table whose names are as awkward as names get.

use serde_json::{Value, json};

use super::generate::{assemble, comments, created, fields, id};
use super::{Record, Table};
use crate::apis::random::Random;

/// Its name, which has to be encoded in a path.
const NAME: &str = "Odd / \"names\" 100% & more?";

const RECORDS: usize = 40;

/// The table. Its records may be blank: no field of it is computed.
pub(super) fn table(seed: u64) -> Table {
    let long =
        "a very long name that is cut at sixty-three bytes by PostgreSQL when it is a column";
    let longer = format!("{long} too");
    let names = [
        "Name",
        "name",
        "NAME",
        "a}b",
        "two}}",
        "it's \"quoted\"",
        "back\\slash",
        "日本",
        long,
        &longer,
        "select",
        "_id",
        "_created_time",
        "a.b/c d",
        "{open",
        "attrs",
    ];
    let list = names.iter().map(|name| (*name, "singleLineText", Value::Null)).collect();
    let fields = fields(seed, "odd", list);
    let records = (0..RECORDS)
        .map(|number| {
            let mut random = Random::of(seed, "odd record", number as u64);
            let moment = created(seed, number, RECORDS);
            let cells = (0..names.len())
                .map(|place| {
                    let blank = number % 5 == 2 || random.chance(30);
                    (!blank).then(|| json!(format!("{place}-{}", random.below(5))))
                })
                .collect();
            Record {
                id: id(seed, "rec", "odd", number as u64),
                created: moment,
                modified: moment,
                cells,
                comments: comments(&mut random, seed, 900_000 + number as u64, moment),
            }
        })
        .collect();
    assemble(seed, NAME, None, fields, records)
}
