//! A table with a field of every type, and in its computed fields everything that they can be: also
//! errors, NaN, infinity and lists.

use serde_json::{Value, json};

use super::super::Options;
use super::contacts::TAGS;
use super::field::{choices, date, date_time, precision};
use super::generate::{assemble, comments, created, fields, id, user};
use super::{Record, Table};
use crate::apis::calendar::{DAY, date as write_date, to_millisecond};
use crate::apis::random::Random;

fn formula(formula: &str, result: Value) -> Value {
    json!({"formula": formula, "isValid": true, "referencedFieldIds": [], "result": result})
}

fn of_contacts(contacts: &Table, place: usize, link: &str, result: Value) -> Value {
    json!({
        "isValid": true,
        "recordLinkFieldId": link,
        "fieldIdInLinkedTable": contacts.fields[place].id,
        "referencedFieldIds": [],
        "result": result,
    })
}

/// The table; its links lead to the contacts.
pub(super) fn table(options: &Options, contacts: &Table) -> Table {
    let seed = options.seed;
    let link = id(seed, "fld", "everything", 19);
    let number = || json!({"type": "number", "options": {"precision": 2}});
    let text = || json!({"type": "singleLineText"});
    let moment = || json!({"type": "dateTime", "options": date_time()});
    let lookup = |place: usize, result: Value| of_contacts(contacts, place, &link, result);
    let mut fields = fields(
        seed,
        "everything",
        vec![
            ("Title", "singleLineText", Value::Null),
            ("Long", "multilineText", Value::Null),
            ("Rich", "richText", Value::Null),
            ("Mail", "email", Value::Null),
            ("Link", "url", Value::Null),
            ("Phone", "phoneNumber", Value::Null),
            ("Choice", "singleSelect", choices(&["one", "two", "Two"])),
            ("Choices", "multipleSelects", choices(&TAGS)),
            ("Whole", "number", precision(0)),
            ("Decimal", "number", precision(8)),
            ("Money", "currency", json!({"precision": 2, "symbol": "€"})),
            ("Percent", "percent", precision(0)),
            ("Stars", "rating", json!({"color": "yellowBright", "icon": "star", "max": 5})),
            ("Duration", "duration", json!({"durationFormat": "h:mm:ss.SSS"})),
            ("Done", "checkbox", json!({"color": "redBright", "icon": "flag"})),
            ("Day", "date", date()),
            ("Moment", "dateTime", date_time()),
            ("Number", "autoNumber", Value::Null),
            ("Made", "createdTime", Value::Null),
            (
                "Contacts",
                "multipleRecordLinks",
                json!({"linkedTableId": contacts.id, "isReversed": false, "prefersSingleRecordLink": false}),
            ),
            ("Files", "multipleAttachments", json!({"isReversed": false})),
            ("Person", "singleCollaborator", Value::Null),
            ("People", "multipleCollaborators", Value::Null),
            ("Maker", "createdBy", Value::Null),
            ("Changer", "lastModifiedBy", Value::Null),
            (
                "Changed",
                "lastModifiedTime",
                json!({"isValid": true, "referencedFieldIds": [], "result": moment()}),
            ),
            ("Count", "count", json!({"isValid": true, "recordLinkFieldId": link})),
            ("Sum", "rollup", lookup(4, number())),
            ("Names", "multipleLookupValues", lookup(0, text())),
            (
                "Ages",
                "multipleLookupValues",
                lookup(3, json!({"type": "number", "options": {"precision": 0}})),
            ),
            ("Ratio", "formula", formula("{Whole}/{Stars}", number())),
            ("Label", "formula", formula("{Title}&'!'", text())),
            (
                "Broken",
                "formula",
                json!({"formula": "nonsense(", "isValid": false, "referencedFieldIds": null, "result": null}),
            ),
            (
                "Next day",
                "formula",
                formula("DATEADD({Day},1,'days')", json!({"type": "date", "options": date()})),
            ),
            ("Pairs", "formula", formula("ARRAYUNIQUE({Ages})", number())),
            ("Code", "barcode", Value::Null),
            ("Open", "button", Value::Null),
            (
                "Story",
                "aiText",
                json!({"prompt": ["Tell of ", {"field": {"fieldId": link}}], "referencedFieldIds": [link]}),
            ),
            ("Source", "externalSyncSource", choices(&["CRM", "Shop"])),
            ("Place", "manualSort", Value::Null),
            ("Future", "holographicImage", json!({"depth": 3})),
        ],
    );
    fields[0].description = Some("What it is called; it's \"the\" title");
    fields[9].description = Some("");
    let records = (0..options.everything).map(|it| record(options, contacts, it)).collect();
    assemble(seed, "Everything", None, fields, records)
}

/// A number that is awkward to keep exactly, now and then.
fn decimal(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!(0.1),
        1 => json!(1e21),
        2 => json!(-0.000_000_01),
        3 => json!(9_007_199_254_740_993_i64),
        4 => json!(0),
        _ => json!(random.below(100_000) as f64 / 1_000.0),
    }
}

fn record(options: &Options, contacts: &Table, number: usize) -> Record {
    let seed = options.seed;
    let mut random = Random::of(seed, "everything record", number as u64);
    let moment = created(seed, number, options.everything);
    let full = number % 10 != 4;
    let random = &mut random;
    let some = |random: &mut Random, value: Value| (full && random.chance(75)).then_some(value);
    let linked: Vec<&Record> = (0..random.below(4))
        .filter_map(|_| {
            let place = random.below(contacts.records.len().max(1) as u64) as usize;
            contacts.records.get(place)?.as_ref()
        })
        .collect();
    let links: Vec<&str> = linked.iter().map(|it| it.id.as_str()).collect();
    let of_linked = |place: usize| -> Vec<Value> {
        linked.iter().filter_map(|it| it.cells[place].clone()).collect()
    };
    let list = |values: Vec<Value>| (!values.is_empty()).then(|| Value::from(values));
    let title = random.pick(&[
        "Plain",
        "plain",
        "it's",
        "say \"hi\"",
        "back\\slash",
        "100%",
        "né_é",
        " spaced ",
    ]);
    let day = moment + random.below(40) as i64 * DAY;
    let tags: Vec<Value> =
        TAGS.iter().filter(|_| random.chance(30)).map(|tag| json!(tag)).collect();
    let whole = random.below(20_000) as i64 - 1_000;
    let ratio = match random.below(6) {
        0 => json!({"specialValue": "NaN"}),
        1 => {
            json!({"specialValue": if number.is_multiple_of(2) { "Infinity" } else { "-Infinity" }})
        }
        2 => json!({"error": "#ERROR!"}),
        _ => json!(random.below(1_000) as f64 / 8.0),
    };
    let ages = match random.below(5) {
        0 => vec![json!({"error": "#ERROR!"})],
        1 => vec![json!(1), Value::Null, json!({"error": "#ERROR!"})],
        _ => of_linked(3),
    };
    let file = json!({
        "id": format!("att{number:014}"),
        "url": format!("https://files.example/{number}?expires=1&signature=x"),
        "filename": "a \"file\".png",
        "size": 12_345,
        "type": "image/png",
        "width": 10,
        "height": 20,
        "thumbnails": {"small": {"url": "https://files.example/s", "width": 1, "height": 2}},
    });
    let cells = vec![
        some(random, json!(format!("{title} {}", number % 20))),
        some(random, json!("line one\nline 'two'\r\n\ttabbed")),
        some(random, json!("**bold** [link](https://example.com/?a=1&b=2)\n")),
        some(random, json!(format!("mail{number}@example.com"))),
        some(random, json!("https://example.com/a?b=c&d=é")),
        some(random, json!("+1 (312) 555-0100")),
        some(random, json!(["one", "two", "Two"][number % 3])),
        list(tags).filter(|_| full),
        some(random, json!(whole)),
        {
            let value = decimal(random);
            some(random, value)
        },
        some(random, json!(whole as f64 / 100.0)),
        some(random, json!(0.5)),
        some(random, json!(1 + number % 5)),
        some(random, json!(3_661.25)),
        if full && random.chance(50) { Some(json!(true)) } else { None },
        some(random, json!(write_date(day))),
        some(random, json!(to_millisecond(day))),
        Some(json!(number + 1)),
        None,
        list(links.into_iter().map(|link| json!(link)).collect()),
        some(random, json!([file])),
        some(random, user(random_user(number))),
        some(random, json!([user(0), user(2)])),
        Some(user(1)),
        Some(user(random_user(number))),
        None,
        Some(json!(linked.len())),
        Some(json!(of_linked(4).iter().filter_map(Value::as_f64).sum::<f64>())),
        list(of_linked(0)),
        list(ages),
        Some(ratio),
        Some(json!(format!("{title}!"))),
        // What is not valid has an error for a value.
        Some(json!({"error": "#ERROR!"})),
        some(random, json!(write_date(day + DAY))),
        some(random, json!([1, 2.5, 3])),
        some(
            random,
            if number.is_multiple_of(2) {
                json!({"text": "4006381333931", "type": "ean13"})
            } else {
                json!({"text": "free"})
            },
        ),
        Some(
            json!({"label": "Open", "url": if number.is_multiple_of(2) { json!("https://example.com") } else { Value::Null }}),
        ),
        some(random, ai_text(number)),
        some(random, json!(["CRM", "Shop"][number % 2])),
        Some(json!(format!("a{number:05}"))),
        some(random, json!({"wave": [1, 2]})),
    ];
    Record {
        id: id(seed, "rec", "everything", number as u64),
        created: moment,
        modified: moment + random.below(20 * DAY as u64) as i64,
        cells,
        comments: comments(random, seed, 500_000 + number as u64, moment),
    }
}

fn random_user(number: usize) -> u64 {
    number as u64 % 5
}

fn ai_text(number: usize) -> Value {
    match number % 3 {
        0 => json!({"state": "generated", "isStale": false, "value": "Once upon a time"}),
        1 => json!({"state": "empty", "isStale": true, "value": null}),
        _ => {
            json!({"state": "error", "isStale": true, "value": null, "errorType": "emptyDependency"})
        }
    }
}
