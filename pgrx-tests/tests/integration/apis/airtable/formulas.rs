//! Filters: what each formula means, against the generated records; and what is refused.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use warehouse_tests::apis::sdk::Language;

use super::{about, emulator, ids, sdk, truth};
use crate::apis::LANGUAGES;

type Wanted = fn(&Value) -> bool;

fn text<'a>(fields: &'a Value, name: &str) -> &'a str {
    fields[name].as_str().unwrap_or_default()
}

fn number(fields: &Value, name: &str) -> f64 {
    // A blank counts as 0.
    fields[name].as_f64().unwrap_or(0.0)
}

/// Table, formula, and the fields that it means.
fn formulas() -> Vec<(&'static str, String, Wanted)> {
    let contacts = |formula: &str, wanted: Wanted| ("Contacts", formula.to_owned(), wanted);
    vec![
        contacts("{Name}='Ann Smith 10'", |it| text(it, "Name") == "Ann Smith 10"),
        contacts(r"{Tier}='Sil\'ver'", |it| text(it, "Tier") == "Sil'ver"),
        contacts(r#"{Tier}="Sil'ver""#, |it| text(it, "Tier") == "Sil'ver"),
        contacts(r"FIND('Back\\slash', {Name})>0", |it| text(it, "Name").contains("Back\\slash")),
        contacts("{Age}>=3", |it| number(it, "Age") >= 3.0),
        contacts("{Age} < 3", |it| number(it, "Age") < 3.0),
        contacts("{Age}=-1", |it| number(it, "Age") == -1.0),
        contacts("{Balance}<=100.5", |it| number(it, "Balance") <= 100.5),
        contacts("{Share}>0.5", |it| number(it, "Share") > 0.5),
        contacts("{Age}+1=21", |it| number(it, "Age") == 20.0),
        contacts("{Active}", |it| it["Active"] == true),
        contacts("NOT({Active})", |it| it["Active"] != true),
        contacts("{Seen at}", |it| it["Seen at"].is_string()),
        contacts("IS_AFTER({Seen at}, '2024-03-01T00:00:00.000Z')", |it| {
            text(it, "Seen at") > "2024-03-01T00:00:00.000Z"
        }),
        contacts("IS_BEFORE({Seen at}, '2024-03-01T00:00:00.000Z')", |it| {
            !text(it, "Seen at").is_empty() && text(it, "Seen at") < "2024-03-01T00:00:00.000Z"
        }),
        contacts("IS_BEFORE({Born}, '1950-01-01')", |it| {
            !text(it, "Born").is_empty() && text(it, "Born") < "1950-01-01"
        }),
        contacts("IS_SAME({Seen at}, '2024-03-05', 'day')", |it| {
            text(it, "Seen at").starts_with("2024-03-05")
        }),
        contacts("FIND('2024-03', {Seen at})", |it| text(it, "Seen at").contains("2024-03")),
        contacts("FIND('Ann', {Name})>0", |it| text(it, "Name").contains("Ann")),
        contacts("SEARCH('ANN', {Name})", |it| text(it, "Name").to_lowercase().contains("ann")),
        contacts("LEFT({Name},3)='ann'", |it| text(it, "Name").starts_with("ann")),
        contacts("LEFT({Name},2)='王小'", |it| text(it, "Name").starts_with("王小")),
        contacts("LEN({Name})>12", |it| text(it, "Name").chars().count() > 12),
        contacts("LOWER({Tier})='gold'", |it| text(it, "Tier").eq_ignore_ascii_case("gold")),
        contacts("UPPER({Tier})='GOLD'", |it| text(it, "Tier").eq_ignore_ascii_case("gold")),
        contacts("{Email}=BLANK()", |it| text(it, "Email").is_empty()),
        contacts("{Email}=''", |it| text(it, "Email").is_empty()),
        contacts("IF({Active}, {Age}>50, FALSE())", |it| {
            it["Active"] == true && number(it, "Age") > 50.0
        }),
        contacts("AND({Active}, {Tier}='Gold', TRUE())", |it| {
            it["Active"] == true && text(it, "Tier") == "Gold"
        }),
        contacts("OR({Tier}='Gold', {Age}>80)", |it| {
            text(it, "Tier") == "Gold" || number(it, "Age") > 80.0
        }),
        contacts("FIND('VIP', ARRAYJOIN({Tags}, '\\n'))>0", |it| {
            it["Tags"].as_array().is_some_and(|tags| tags.contains(&json!("VIP")))
        }),
        contacts("VALUE('7')={Age}", |it| number(it, "Age") == 7.0),
        contacts("Active", |it| it["Active"] == true),
        contacts("{Notes}='first line\\nsecond \\'line\\'\\t\"tab\"\\\\'", |it| {
            text(it, "Notes").starts_with("first")
        }),
        ("Everything", "{Ratio}>100".to_owned(), |it| {
            it["Ratio"].as_f64() > Some(100.0) || it["Ratio"]["specialValue"] == "Infinity"
        }),
        ("Everything", "{Broken}=''".to_owned(), |_| false),
        ("Everything", "FIND('Ann', {Names})".to_owned(), |it| {
            let names = it["Names"].as_array();
            names.is_some_and(|it| {
                it.iter().any(|name| name.as_str().is_some_and(|it| it.contains("Ann")))
            })
        }),
        ("Everything", "IS_AFTER({Made}, '2024-04-01')".to_owned(), |it| {
            text(it, "Made") > "2024-04-01T00:00:00.000Z"
        }),
        ("Everything", "IS_AFTER(CREATED_TIME(), '2024-04-01')".to_owned(), |it| {
            text(it, "Made") > "2024-04-01T00:00:00.000Z"
        }),
        ("Everything", "IS_BEFORE(LAST_MODIFIED_TIME(), '2024-04-01')".to_owned(), |it| {
            text(it, "Changed") < "2024-04-01T00:00:00.000Z"
        }),
        ("Odd / \"names\" 100% & more?", r"{a\}b}!=''".to_owned(), |it| it["a}b"].is_string()),
        ("Odd / \"names\" 100% & more?", "{it's \"quoted\"}='5-1'".to_owned(), |it| {
            text(it, "it's \"quoted\"") == "5-1"
        }),
        ("Odd / \"names\" 100% & more?", "{NAME}=''".to_owned(), |it| text(it, "NAME").is_empty()),
    ]
}

#[test]
fn filters_mean_what_they_say() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let name = if language == Language::Python { "formula" } else { "filterByFormula" };
        let mut sdk = sdk(language, &emulator)?;
        let mut telling = 0;
        for (table, formula, wanted) in formulas() {
            let all = truth(&emulator, table)?;
            let wanted: Vec<Value> =
                all.iter().filter(|it| wanted(&it["fields"])).cloned().collect();
            telling += usize::from(!wanted.is_empty() && wanted.len() < all.len());
            let options = json!({"options": {name: formula}});
            let found = sdk.must(&about(&emulator, "list", table, &options))?;
            let (found, wanted) = (ids(&found["records"])?, ids(&Value::from(wanted))?);
            ensure!(found == wanted, "{language:?} {table} {formula}: {found:?} not {wanted:?}");
        }
        ensure!(telling + 2 >= formulas().len(), "only {telling} tell something");
    }
    Ok(())
}

/// An exact moment, as pyairtable's own tests state it; and the formulas that pyairtable writes.
#[test]
fn moments_and_matches() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let all = truth(&emulator, "Contacts")?;
    let one = all.iter().find(|it| it["fields"]["Seen at"].is_string()).context("none was seen")?;
    let moment = text(&one["fields"], "Seen at");
    let formula = format!("{{Seen at}}=DATETIME_PARSE('{moment}')");
    let found =
        sdk.must(&about(&emulator, "list", "Contacts", &json!({"options": {"formula": formula}})))?;
    ensure!(ids(&found["records"])?.contains(&text(one, "id").to_owned()), "{found}");
    let wanted: Vec<&Value> = all
        .iter()
        .filter(|it| it["fields"]["Tier"] == "Sil'ver" && it["fields"]["Active"] == true)
        .collect();
    let matched = json!({"match": {"Tier": "Sil'ver", "Active": true}});
    let found = sdk.must(&about(&emulator, "list", "Contacts", &matched))?;
    ensure!(ids(&found["records"])?.len() == wanted.len() && !wanted.is_empty());
    Ok(())
}

#[test]
fn what_is_not_known_is_refused() -> Result<()> {
    let emulator = emulator()?;
    for language in LANGUAGES {
        let name = if language == Language::Python { "formula" } else { "filterByFormula" };
        let mut sdk = sdk(language, &emulator)?;
        for formula in [
            "RAIN({Name})",
            "{Nobody}=1",
            "{Name",
            "{Name}='open",
            "AND({Active}",
            "{Name}=",
            "LEFT()",
            "1 1",
            "{two}}}=''",
            "#",
        ] {
            let options = json!({"options": {name: formula}});
            let named = sdk.ask(&about(&emulator, "list", "Contacts", &options))?;
            ensure!(named.to_string().contains("INVALID_FILTER_BY_FORMULA"), "{formula}: {named}");
            ensure!(named["status"] == 422, "{formula}: {named}");
        }
    }
    Ok(())
}

/// Settings say what is not documented.
#[test]
fn ways_that_are_not_documented() -> Result<()> {
    let emulator = emulator()?;
    let mut sdk = sdk(Language::Python, &emulator)?;
    let mut count = |formula: &str| -> Result<usize> {
        let options = json!({"options": {"formula": formula}});
        let found = sdk.must(&about(&emulator, "list", "Contacts", &options))?;
        Ok(ids(&found["records"])?.len())
    };
    let (gold, young) = (count("{Tier}='gold'")?, count("{Age}<1")?);
    emulator.change(&json!({"settings": {"fold_case": true, "blank_is_zero": false}}))?;
    ensure!(count("{Tier}='gold'")? > gold && count("{Age}<1")? < young);
    Ok(())
}
