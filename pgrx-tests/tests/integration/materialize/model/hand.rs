//! People who refresh by hand, each in one session after another, in every way that is allowed.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use postgres::Client;

use crate::ask::rows;
use crate::differential::Random;

use super::ground::{Ground, merge};
use super::marts::{ALL, Exact, Mart};
use super::story::Story;

/// A refresh that takes longer hangs.
const HUNG: &str = "SET statement_timeout = '60s'";

/// Tables of which an older snapshot of a source may spoil some rows only.
const INCREMENTAL: [&str; 3] = ["mart.by_xmin", "mart.by_cursor", "mart.replaced"];

fn session(ground: &Ground) -> Result<Client> {
    let mut client = ground.client()?;
    client.batch_execute(HUNG)?;
    Ok(client)
}

/// Refreshes until the story is over.
pub fn refresh_now_and_then(ground: &Ground, story: &Story, seed: u64) -> Result<()> {
    let mut random = Random::new(seed);
    let mut client = session(ground)?;
    while !story.is_over() {
        {
            let _busy = story.busy();
            if client.is_closed() {
                client = session(ground)?;
            }
            let (sql, crashes) = (statements(&mut random), story.crashes());
            let turns = story.turns();
            // The sites are being merged anew.
            if story.has_turned(turns) && sql.contains("merge_schema") {
                continue;
            }
            match rows(&mut client, &sql) {
                Ok(told) => story.tell("by hand", format!("{sql}: {}", told.replace('\n', "; "))),
                Err(error) => {
                    let told = match error.downcast_ref::<postgres::Error>() {
                        Some(error) => story.judge(&sql, error, turns),
                        None => format!("{error:#}"),
                    };
                    story.tell("by hand failed", format!("{sql}: {told}"));
                    let is_lost = told.starts_with("57P") || told == "closed";
                    // Somebody may have ended the session just now.
                    let ended = |error: &postgres::Error| {
                        error.is_closed()
                            || error.code() == Some(&postgres::error::SqlState::ADMIN_SHUTDOWN)
                    };
                    if let Err(error) = client.batch_execute("ROLLBACK")
                        && !is_lost
                        && !ended(&error)
                        && !story.has_crashed(crashes)
                    {
                        story.fail(format!("a session was lost after {sql}: {error:?}"));
                    }
                }
            }
        }
        thread::sleep(Duration::from_millis(random.between(1, 400) as u64));
    }
    Ok(())
}

fn refresh(name: &str, random: &mut Random) -> String {
    let full = if random.percent(10) { ", full_refresh => true" } else { "" };
    let compared = if random.percent(20) { ", reconcile => true" } else { "" };
    format!(
        "SELECT status, strategy, capture, error FROM warehouse.refresh('{name}'{full}{compared})"
    )
}

fn statements(random: &mut Random) -> String {
    let any = |random: &mut Random| &ALL[random.below(ALL.len())];
    let mart = any(random);
    let one = refresh(mart.name, random);
    match random.below(100) {
        0..=54 => one,
        55..=61 => format!("SELECT warehouse.request_refresh('{}')", mart.name),
        62..=65 => format!("BEGIN; {one}; ROLLBACK"),
        66..=69 => format!("BEGIN ISOLATION LEVEL REPEATABLE READ; {one}; COMMIT"),
        // One snapshot of the sources for both.
        70..=77 => {
            let other = refresh(random.pick(&INCREMENTAL), random);
            let pause = random.below(900);
            format!("BEGIN; {one}; SELECT pg_sleep(0.{pause:03}); {other}; COMMIT")
        }
        // Sources that were read before: what is refreshed may have been refreshed by others meanwhile.
        78..=87 => {
            let one = refresh(random.pick(&INCREMENTAL), random);
            let pause = random.between(300, 2500);
            format!(
                "BEGIN; SELECT count(*) FROM main.account; SELECT pg_sleep({pause} / 1000.0); {one}; COMMIT"
            )
        }
        88..=90 => format!("BEGIN; SAVEPOINT s; {one}; ROLLBACK TO s; {one}; COMMIT"),
        91..=92 => {
            let day = random.below(15);
            format!(
                "SELECT warehouse.backfill('mart.by_day', timestamptz '2024-01-01 00:00+00' + {day} * interval '1 day', \
                 timestamptz '2024-01-04 00:00+00' + {day} * interval '1 day')"
            )
        }
        93..=94 => format!("SELECT warehouse.pause('{}')", mart.name),
        95..=96 => {
            let all: Vec<String> = ALL
                .iter()
                .map(|mart| format!("SELECT warehouse.resume('{}')", mart.name))
                .collect();
            all.join("; ")
        }
        97 => format!("SET lock_timeout = '2s'; {}; RESET lock_timeout", merge()),
        _ => {
            let stars: Vec<&Mart> = ALL
                .iter()
                .filter(|mart| mart.query.starts_with("SELECT *") && mart.exact != Exact::Always)
                .filter(|mart| mart.name != "mart.ledger")
                .collect();
            format!("SET lock_timeout = '2s'; {}; RESET lock_timeout", random.pick(&stars).call())
        }
    }
}
