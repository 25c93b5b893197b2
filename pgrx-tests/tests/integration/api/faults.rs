//! Every way in which the services are documented to fail, at every step of a read: the right rows after
//! another attempt, or an error that says what it is; never other rows.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use serde_json::json;
use std::time::Duration;
use warehouse_tests::apis::exchange::Answer;
use warehouse_tests::apis::{Api, Emulator, Fault, What};

use super::{Apis, SECRETS};
use crate::ask::{refused, rows, run};

/// Servers that give up soon.
const IMPATIENT: &str = ", cache_ttl '0', retry_timeout '700ms', request_timeout '700ms'";

/// What becomes of a read when a fault comes once, and when it stays.
struct Case {
    name: &'static str,
    what: What,
    /// None if the next attempt succeeds, else the error.
    once: Option<&'static str>,
    always: &'static str,
}

fn case(name: &'static str, what: What, once: Option<&'static str>, always: &'static str) -> Case {
    Case { name, what, once, always }
}

/// The same error whether it comes once or stays.
fn final_one(name: &'static str, what: What, code: &'static str) -> Case {
    case(name, what, Some(code), code)
}

fn status(status: u16) -> What {
    What::Status(status, None)
}

/// What every service can do.
fn of_any(format: &str, deep: String) -> Vec<Case> {
    vec![
        final_one("401", status(401), "28000"),
        final_one("403", status(403), "28000"),
        final_one("404", status(404), "HV00L"),
        case("429", What::Status(429, Some(0)), None, "53400"),
        case("500", status(500), None, "HV00M"),
        case("503", status(503), None, "HV00M"),
        case("HTML of 502", What::Html(502), None, "HV00M"),
        case("HTML of 200", What::Html(200), None, "08006"),
        case("a cut answer", What::Cut(80), None, "08006"),
        case("a truncated gzip", What::TruncatedGzip(40), None, "08006"),
        case("no answer", What::Stall, None, "08006"),
        case("an answer too late", What::Delay(Duration::from_millis(1_500)), None, "08006"),
        final_one("deep nesting", What::Answer(Answer::new(200, format, deep)), "HV00M"),
    ]
}

/// Tries each case at the first and at a later request of a read.
fn try_out<A: Api>(
    client: &mut Client,
    emulator: &Emulator<A>,
    question: &str,
    table: &str,
    cases: Vec<Case>,
) -> Result<()> {
    let truth = rows(client, question)?;
    for case in cases {
        for skipped in [0, 1] {
            let at = format!("{} after {skipped} requests", case.name);
            emulator.faults().clear();
            emulator.arm(Fault::new(case.what.clone()).after(skipped));
            match case.once {
                None => {
                    let found = rows(client, question).with_context(|| at.clone())?;
                    ensure!(found == truth, "{at}: {found} instead of {truth}");
                }
                Some(code) => {
                    let told = refused(client, question).with_context(|| at.clone())?;
                    told.says(code, &[table]).with_context(|| at.clone())?;
                }
            }
            ensure!(emulator.faults().armed() == 0, "{at}: there was no such request");
            // What does not last is told above; what does is, too.
            if case.once.is_none() && skipped == 1 {
                emulator.arm(Fault::new(case.what.clone()).after(skipped).always());
                let told = refused(client, question).with_context(|| format!("{at}, always"))?;
                told.says(case.always, &[table]).with_context(|| format!("{at}, always"))?;
                for secret in SECRETS {
                    told.hides(secret)?;
                }
            }
        }
    }
    emulator.faults().clear();
    ensure!(rows(client, question)? == truth, "the session does not go on");
    Ok(())
}

#[test]
fn whatever_braintree_answers() -> Result<()> {
    let (apis, mut client) = Apis::imported("faults_braintree", 120, IMPATIENT)?;
    let deep =
        format!("<search-results>{}{}</search-results>", "<a>".repeat(500), "</a>".repeat(500));
    let mut cases = of_any("application/xml", deep);
    cases.extend([
        case("408", status(408), None, "HV00M"),
        case(
            "a search that took too long",
            What::Named("search timeout".to_owned()),
            None,
            "HV00M",
        ),
        final_one("validation", What::Named("validation".to_owned()), "HV00L"),
        final_one("426", status(426), "HV00L"),
        case("504", status(504), None, "HV00M"),
    ]);
    let question =
        "SELECT count(*), md5(string_agg(id, ',' ORDER BY id)), sum(amount) FROM b.transactions";
    try_out(&mut client, &apis.braintree, question, "transactions", cases)
}

#[test]
fn whatever_airtable_answers() -> Result<()> {
    let (apis, mut client) = Apis::imported("faults_airtable", 20, IMPATIENT)?;
    let deep = format!(
        r#"{{"records":[{{"id":"rec1","createdTime":"2024-01-01T00:00:00.000Z","fields":{{"x":{}{}}}}}]}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let mut cases = of_any("application/json", deep);
    let named = |name: &str| What::Named(name.to_owned());
    cases.extend([
        final_one("413", status(413), "HV00L"),
        final_one("a formula that is none", named("INVALID_FILTER_BY_FORMULA"), "HV00L"),
        final_one("an unknown field", named("UNKNOWN_FIELD_NAME"), "HV00L"),
        final_one("an unknown view", named("VIEW_NAME_NOT_FOUND"), "HV00L"),
        case("502", status(502), None, "HV00M"),
    ]);
    let question =
        "SELECT count(*), md5(string_agg(_id, ',' ORDER BY _id)), sum(balance) FROM a.contacts";
    try_out(&mut client, &apis.airtable, question, "contacts", cases)?;
    // An offset that is void in the middle of a listing: it begins again, and no record comes twice.
    let truth = rows(&mut client, question)?;
    let void = || Fault::new(named("LIST_RECORDS_ITERATOR_NOT_AVAILABLE"));
    for skipped in [1, 2, 3] {
        apis.airtable.arm(void().after(skipped));
        ensure!(rows(&mut client, question)? == truth, "void after {skipped} pages");
    }
    apis.airtable.arm(void().after(1).always());
    refused(&mut client, question)?.says("HV00L", &["contacts"])?;
    Ok(())
}

#[test]
fn records_that_change_or_are_large() -> Result<()> {
    let (apis, mut client) = Apis::imported("faults_records", 160, ", cache_ttl '0'")?;
    // One is deleted between its id and itself.
    let ids = rows(&mut client, "SELECT id FROM b.transactions ORDER BY id COLLATE \"C\"")?;
    let gone = ids.lines().nth(77).context("no transaction")?.to_owned();
    let change = json!({"remove": "transactions", "id": gone});
    apis.braintree
        .arm(Fault::new(What::Change(change)).on("/transactions/advanced_search").after(1));
    let left = rows(&mut client, "SELECT id FROM b.transactions ORDER BY id COLLATE \"C\"")?;
    let wanted: Vec<&str> = ids.lines().filter(|id| *id != gone).collect();
    ensure!(left == wanted.join("\n"), "{gone} is not all that is missing");
    // Fields of ten megabytes, also where less is allowed.
    let long = "x".repeat(10 << 20);
    let id = wanted[5];
    apis.braintree
        .change(&json!({"update": "transactions", "id": id, "members": {"order_id": long}}))?;
    let contact = rows(&mut client, "SELECT _id FROM a.contacts ORDER BY _id LIMIT 1")?;
    apis.airtable
        .change(&json!({"update": "Contacts", "id": contact, "fields": {"Notes": long}}))?;
    let questions = [
        ("braintree", "SELECT max(length(order_id)) FROM b.transactions"),
        ("airtable", "SELECT max(length(notes)) FROM a.contacts"),
    ];
    for (server, question) in questions {
        let found = rows(&mut client, question)?;
        ensure!(found == (10 << 20).to_string(), "{server}: {found} characters");
        run(&mut client, &format!("ALTER SERVER {server} OPTIONS (ADD max_body '1MB')"))?;
        refused(&mut client, question)?.says("HV00M", &[server, "longer than"])?.hides("xxxx")?;
        run(&mut client, &format!("ALTER SERVER {server} OPTIONS (DROP max_body)"))?;
    }
    Ok(())
}

#[test]
fn a_cap_inside_a_window() -> Result<()> {
    let (apis, mut client) = Apis::imported("faults_cap", 300, ", cache_ttl '0'")?;
    let question = "SELECT count(*), md5(string_agg(id, ',' ORDER BY id)) FROM b.transactions";
    let truth = rows(&mut client, question)?;
    let cap = |cap: usize| json!({"settings": {"transaction_cap": cap}});
    // More than in the burst of one second, less than all.
    apis.braintree.change(&cap(60))?;
    run(&mut client, "ALTER SERVER braintree OPTIONS (ADD transaction_cap '60')")?;
    apis.braintree.log().clear();
    ensure!(rows(&mut client, question)? == truth, "records are lost at the cap");
    ensure!(apis.braintree.log().count("advanced_search_ids") > 5, "there was no cap");
    // Less than in that second: nobody can list them.
    apis.braintree.change(&cap(20))?;
    run(&mut client, "ALTER SERVER braintree OPTIONS (SET transaction_cap '20')")?;
    refused(&mut client, question)?.says("HV00M", &["transactions"])?;
    Ok(())
}
