//! The large table: plain fields, and as many records as wanted. Some are wholly blank.

use serde_json::{Value, json};

use super::super::Options;
use super::field::{choices, date, date_time, precision};
use super::generate::{assemble, comments, created, fields, id};
use super::{Record, Table};
use crate::apis::calendar::{DAY, date as write_date, day_number, to_millisecond};
use crate::apis::random::Random;

const NAMES: [&str; 10] = [
    "Ann Smith",
    "ann smith",
    "Bob O'Brien",
    "Zoë \"Z\" Müller",
    "100% sure_thing",
    "Back\\slash",
    "王小明",
    "Ann-Lena",
    "x",
    "{brace}",
];
pub(super) const TAGS: [&str; 6] = ["new", "VIP", "vip", "it's", "a, b", "né"];

/// The table.
pub(super) fn table(options: &Options) -> Table {
    let seed = options.seed;
    let fields = fields(
        seed,
        "contacts",
        vec![
            ("Name", "singleLineText", Value::Null),
            ("Email", "email", Value::Null),
            ("Phone", "phoneNumber", Value::Null),
            ("Age", "number", precision(0)),
            ("Balance", "currency", json!({"precision": 2, "symbol": "$"})),
            ("Share", "percent", precision(1)),
            ("Active", "checkbox", json!({"color": "greenBright", "icon": "check"})),
            ("Tier", "singleSelect", choices(&["Gold", "gold", "Sil'ver"])),
            ("Tags", "multipleSelects", choices(&TAGS)),
            ("Born", "date", date()),
            ("Seen at", "dateTime", date_time()),
            ("Notes", "multilineText", Value::Null),
        ],
    );
    let records = (0..options.contacts).map(|number| record(options, number)).collect();
    assemble(seed, "Contacts", Some("People; \"all\" of them"), fields, records)
}

fn record(options: &Options, number: usize) -> Record {
    let seed = options.seed;
    let mut random = Random::of(seed, "contact", number as u64);
    let moment = created(seed, number, options.contacts);
    let mut cells = vec![None; 12];
    // A record without anything.
    if number % 40 != 9 {
        let name = random.pick(&NAMES);
        let mut set = |place: usize, percent: u64, random: &mut Random, value: Value| {
            if random.chance(percent) {
                cells[place] = Some(value);
            }
        };
        set(0, 95, &mut random, json!(format!("{name} {}", number % 50)));
        set(1, 80, &mut random, json!(format!("person{number}@example.com")));
        set(2, 50, &mut random, json!("(312) 555-0100"));
        let age = random.below(90) as i64 - 2;
        set(3, 85, &mut random, json!(age));
        let balance = (random.below(2_000_000) as i64 - 500_000) as f64 / 100.0;
        set(4, 85, &mut random, json!(balance));
        let share = random.below(1_000) as f64 / 1_000.0;
        set(5, 60, &mut random, json!(share));
        set(6, 50, &mut random, json!(true));
        let tier = random.pick(&["Gold", "gold", "Sil'ver"]);
        set(7, 70, &mut random, json!(tier));
        let tags: Vec<&str> = TAGS.iter().copied().filter(|_| random.chance(30)).collect();
        if !tags.is_empty() {
            set(8, 100, &mut random, json!(tags));
        }
        let born = day_number(1930, 1, 1) * DAY + random.below(33_000) as i64 * DAY;
        set(9, 70, &mut random, json!(write_date(born)));
        let seen = moment + random.below(30 * DAY as u64) as i64;
        set(10, 70, &mut random, json!(to_millisecond(seen)));
        set(11, 30, &mut random, json!("first line\nsecond 'line'\t\"tab\"\\"));
    }
    Record {
        id: id(seed, "rec", "contact", number as u64),
        created: moment,
        modified: moment + random.below(20 * DAY as u64) as i64,
        cells,
        comments: comments(&mut random, seed, number as u64, moment),
    }
}
