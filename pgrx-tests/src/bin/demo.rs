//! Shows the product: three production clusters with hot standbys, emulators of Braintree and
//! Airtable, a warehouse that knows those alone, and an analyst's question over all four sites.
//!
//! `demo [keep]`: with `keep` everything is left running. Called by `scripts/demo`. It starts itself
//! once more as `demo apis …` for the emulators, which then outlive it as the servers do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use warehouse_tests::shop::{Books, Services};
use warehouse_tests::sites::{ANALYST, ANALYST_PASSWORD, SITES, Sites, demo_file};
use warehouse_tests::timing::eventually;
use warehouse_tests::{Cluster, RunDir};

/// How many people a site has, more or less.
const USERS: u32 = 20_000;

/// The database of the warehouse.
const DATABASE: &str = "warehouse";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The data-protection officer of the demo.
const OFFICER: &str = "officer";
const OFFICER_PASSWORD: &str = "officer password";
const AS_ANALYST: (&str, &str) = (ANALYST, ANALYST_PASSWORD);

/// The word by which the process of the emulators is started.
const APIS: &str = "apis";

/// All that is shown.
struct Company {
    sites: Sites,
    services: Services,
}

fn run() -> Result<()> {
    let keep = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("keep") => true,
        Some(word) if word == APIS => return Services::serve(std::env::args().skip(2)),
        Some(word) => bail!("unknown word {word}"),
    };
    if keep {
        RunDir::detach();
    }
    heading("Four sites on three production clusters, each with a hot standby");
    let start = Instant::now();
    let warehouse = Cluster::builder("warehouse").preload("warehouse");
    let sites = Sites::start(USERS, warehouse, &|line| println!("{line}"))?;
    println!("filled and replicated in {:.1} s", start.elapsed().as_secs_f32());
    sites.warehouse.execute("postgres", &format!("CREATE DATABASE {DATABASE}"))?;
    sites.warehouse.create_role(OFFICER, OFFICER_PASSWORD)?;
    let start = Instant::now();
    let program = std::env::current_exe().context("the path of this program")?;
    let services = Services::apart(&program, APIS, &Books::of(&sites)?)?;
    println!(
        "Braintree and Airtable, emulated, with what these people paid: {:.1} s",
        start.elapsed().as_secs_f32()
    );
    let company = Company { sites, services };
    let sites = &company.sites;

    show(&company, "01-servers.sql", "The warehouse learns where the standbys are", None)?;
    show(&company, "02-merge.sql", "Four sites become one table each", None)?;
    show(&company, "02b-grants.sql", "An analyst may read", None)?;
    show(&company, "02c-privacy.sql", "Personal data is closed until somebody says", None)?;
    show(&company, "02d-people.sql", "What the analyst sees of people", Some(AS_ANALYST))?;
    let officer = Some((OFFICER, OFFICER_PASSWORD));
    show(&company, "02e-clear.sql", "What the data-protection officer sees", officer)?;
    show(&company, "02f-apis.sql", "Braintree and Airtable are tables too", None)?;
    show(
        &company,
        "03-question.sql",
        "An analyst's question, live at the standbys and at Braintree",
        Some(AS_ANALYST),
    )?;
    show(
        &company,
        "03b-joined.sql",
        "One SELECT over Airtable, four sites and Braintree",
        Some(AS_ANALYST),
    )?;
    show(&company, "05-marts.sql", "Tables that keep themselves fresh", None)?;
    let before = this_week(sites)?;
    heading("Meanwhile, at the production cluster of miacademy");
    new_student(sites)?;
    show(&company, "04-live.sql", "The same question again", Some(AS_ANALYST))?;
    let after = this_week(sites)?;
    ensure!(
        after == before + 1,
        "students of miacademy this week: {before} before, {after} after; expected one more"
    );

    let waited = arrival(sites)?;
    show(&company, "06-fresh.sql", "The tables have followed by themselves", Some(AS_ANALYST))?;

    heading("What you have seen");
    println!(
        "Four sites, read live from their standbys, as one table each; people, payments and logins\n\
         joined across databases, servers and the APIs of two services in plain SQL. The student who joined a moment ago\n\
         counted at once: miacademy had {before} this week, now {after}. In the tables that workers\n\
         keep fresh, and in the aggregate that follows them, she stood {:.1} s later.",
        waited.as_secs_f32()
    );
    if keep {
        RunDir::keep();
        println!(
            "\nStill running. Look around as the analyst:\n\n  \
             PGPASSWORD='{ANALYST_PASSWORD}' psql -h {} -p {} -U {ANALYST} {DATABASE}\n\n\
             and when you have seen enough: make demo-down",
            sites.warehouse.host(),
            sites.warehouse.port()
        );
    }
    Ok(())
}

/// Waits until the newcomer stands in the materialized tables; how long.
fn arrival(sites: &Sites) -> Result<Duration> {
    let start = Instant::now();
    let newest = "SELECT (SELECT count(*) FROM mart.users) = (SELECT count(*) FROM main.users) \
        AND (SELECT sum(users) FROM mart.registrations_by_week) = (SELECT count(*) FROM main.users)";
    eventually(Duration::from_secs(60), "the newcomer arrives in the marts", || {
        Ok(sites.warehouse.value(DATABASE, &format!("SELECT ({newest})::text"))? == "true")
    })?;
    Ok(start.elapsed())
}

fn heading(text: &str) {
    println!("\n=== {text}\n");
}

fn script(name: &str) -> PathBuf {
    demo_file(&format!("warehouse/{name}"))
}

/// Runs a script of the warehouse for all to see.
fn show(company: &Company, file: &str, title: &str, who: Option<(&str, &str)>) -> Result<()> {
    heading(&format!("{title}   (demo/warehouse/{file})"));
    let sites = &company.sites;
    let key_file = sites.warehouse.socket_dir().join("warehouse.key").display().to_string();
    let mut psql = sites.warehouse_psql(DATABASE).arg("--echo-all").arg("--pset=footer=off");
    psql = company.services.told(psql).var("key_file", &key_file);
    if let Some((name, password)) = who {
        psql = psql.user(name, password);
    }
    let start = Instant::now();
    psql.show(&script(file))?;
    println!("-- {} ms", start.elapsed().as_millis());
    Ok(())
}

/// How many students of miacademy the question counts for this week.
fn this_week(sites: &Sites) -> Result<i64> {
    let answer = sites
        .warehouse_psql(DATABASE)
        .user(ANALYST, ANALYST_PASSWORD)
        .arg("--no-align")
        .arg("--tuples-only")
        .var("weeks", "1")
        .file(&script("03-question.sql"))?
        .ok()?;
    match answer.trim().split('|').nth(1) {
        Some(count) => count.parse().context("the question's answer"),
        // Nobody has joined yet since this week began.
        None => Ok(0),
    }
}

/// A student joins at a production cluster, pays and logs in; the standby follows.
fn new_student(sites: &Sites) -> Result<()> {
    let site = &SITES[0];
    let production = sites.production(site)?;
    let psql =
        |database| production.primary.psql(database).arg("--quiet").var("schema", site.schema);
    let id = psql(site.main_database).file(&demo_file("production/new-student.sql"))?.ok()?;
    let id = id.trim();
    psql(site.writemostly_database)
        .var("user_id", id)
        .file(&demo_file("production/new-login.sql"))?
        .ok()?;
    let start = Instant::now();
    production.standby.wait_for_replay()?;
    println!(
        "a student joined (users.id {id}), paid and logged in; the standby followed within {} ms",
        start.elapsed().as_millis()
    );
    Ok(())
}
