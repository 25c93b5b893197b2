//! Many sessions want one answer, and whoever fetches it fails: another one takes over, alone.

use anyhow::{Context, Result, anyhow, ensure};
use postgres::Client;
use std::thread;
use std::time::{Duration, Instant};
use warehouse_tests::apis::{Fault, What};

use super::Apis;
use crate::ask::{rows, run};

const QUESTION: &str =
    "SELECT count(*), md5(string_agg(id || status, ',' ORDER BY id)) FROM b.transactions";

/// Sessions that ask at the same time, and how many of them fail before one gets through. The more wait,
/// the sooner one of them looks after another has taken over.
const SESSIONS: usize = 24;
const FAILING: u64 = 20;
const ROUNDS: usize = 3;

/// How long each answer of the API takes.
const DELAY: Duration = Duration::from_millis(15);

/// Who is at the API, and who waits for them.
const LOOK: &str = "SELECT count(*) FILTER (WHERE state <> 'other session'), \
      count(*) FILTER (WHERE state = 'other session') \
    FROM warehouse.api_activity WHERE relation = 'b.transactions'::regclass";

fn look(client: &mut Client) -> Result<(i64, i64)> {
    let row = client.query_one(LOOK, &[])?;
    Ok((row.get(0), row.get(1)))
}

#[test]
fn whoever_takes_over_is_the_only_one() -> Result<()> {
    let (apis, mut client) = Apis::imported("relayed", 60, "")?;
    let log = apis.braintree.log();
    let truth = rows(&mut client, QUESTION)?;
    let once = log.entries().len();
    let mut sessions = (0..SESSIONS).map(|_| apis.client()).collect::<Result<Vec<Client>>>()?;
    for round in 0..ROUNDS {
        rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
        log.clear();
        apis.braintree.set_delay(DELAY);
        apis.braintree.arm(Fault::new(What::Status(404, None)).times(FAILING));
        let (failed, most) = thread::scope(|scope| -> Result<(u64, i64)> {
            let all: Vec<_> = sessions
                .iter_mut()
                .map(|session| scope.spawn(|| rows(session, QUESTION)))
                .collect();
            let mut most = 0;
            while !all.iter().all(|one| one.is_finished()) {
                most = look(&mut client)?.0.max(most);
                thread::sleep(Duration::from_millis(4));
            }
            let mut failed = 0;
            for one in all {
                match one.join().map_err(|_| anyhow!("a session panicked"))? {
                    Ok(found) => ensure!(found == truth, "{found}, not {truth}"),
                    Err(error) => {
                        let text = format!("{error:?}");
                        ensure!(text.contains("not found"), "{text}");
                        failed += 1;
                    }
                }
            }
            Ok((failed, most))
        })?;
        apis.braintree.set_delay(Duration::ZERO);
        ensure!(most == 1, "round {round}: {most} sessions were at it at once");
        ensure!(failed == FAILING, "round {round}: {failed} failed");
        let expected = FAILING as usize + once;
        ensure!(
            log.entries().len() == expected,
            "round {round}: {} requests, not {expected}",
            log.entries().len()
        );
        // A crawl begins with one request, which fails: then it is another one's turn.
        let failed: Vec<_> = log.entries().into_iter().filter(|one| one.fault.is_some()).collect();
        for pair in failed.windows(2) {
            let ended = pair[0].at + pair[0].took.context("a request without an answer")?;
            ensure!(
                ended <= pair[1].at,
                "round {round}: one asks at {:?} while another one's answer comes at {ended:?}",
                pair[1].at
            );
        }
    }
    Ok(())
}

#[test]
fn one_of_those_who_wait_takes_over_what_breaks_off() -> Result<()> {
    const WAITING: usize = 8;
    let (apis, mut client) = Apis::imported("relayed_once", 400, "")?;
    let log = apis.braintree.log();
    let truth = rows(&mut client, QUESTION)?;
    let once = log.entries().len();
    ensure!(once > 3, "a crawl of {once} requests does not break off in the middle");
    for end in ["pg_cancel_backend", "pg_terminate_backend", "fault"] {
        rows(&mut client, "SELECT warehouse.clear_cache('braintree')")?;
        log.clear();
        // The first does not get through before all of them wait.
        apis.braintree.set_delay(Duration::from_secs(1));
        let mut first = apis.client()?;
        let mut others = (0..WAITING).map(|_| apis.client()).collect::<Result<Vec<Client>>>()?;
        thread::scope(|scope| -> Result<()> {
            let first = scope.spawn(move || rows(&mut first, QUESTION));
            until(&mut client, |busy, _| busy == 1)?;
            let others: Vec<_> =
                others.iter_mut().map(|session| scope.spawn(|| rows(session, QUESTION))).collect();
            until(&mut client, |busy, waiting| (busy, waiting) == (1, WAITING as i64))?;
            apis.braintree.set_delay(Duration::from_millis(100));
            let begun = log.entries().len();
            if end == "fault" {
                apis.braintree.arm(Fault::new(What::Status(404, None)));
            } else {
                let busy = "FROM warehouse.api_activity WHERE state <> 'other session'";
                run(&mut client, &format!("SELECT {end}(pid) {busy}"))?;
            }
            let error = first.join().map_err(|_| anyhow!("the first panicked"))?;
            ensure!(error.is_err(), "{end}: the first got through");
            // One takes over, and until it has all there is one who is at it.
            until(&mut client, |busy, waiting| (busy, waiting) == (1, WAITING as i64 - 1))?;
            let mut looked = 0;
            loop {
                let (busy, waiting) = look(&mut client)?;
                if waiting < WAITING as i64 - 1 {
                    break;
                }
                if busy == 0 {
                    // All is there; who waits has yet to look.
                    let more = log.entries().len() - begun;
                    ensure!(more >= once, "{end}: nobody is at it after {more} requests");
                    break;
                }
                ensure!(busy == 1, "{end}: {busy} are at it while {waiting} wait");
                looked += 1;
                thread::sleep(Duration::from_millis(2));
            }
            ensure!(looked > 5, "{end}: looked only {looked} times");
            for one in others {
                let found = one.join().map_err(|_| anyhow!("one who waited panicked"))??;
                ensure!(found == truth, "{end}: {found}, not {truth}");
            }
            // The first may have sent some more before it was over; a second fetch would be all of them.
            let more = log.entries().len() - begun;
            ensure!((once..2 * once).contains(&more), "{end}: {more} requests, {once} once");
            Ok(())
        })?;
        apis.braintree.set_delay(Duration::ZERO);
    }
    Ok(())
}

/// Waits until so many are at it and so many wait.
fn until(client: &mut Client, is_so: impl Fn(i64, i64) -> bool) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let (busy, waiting) = look(client)?;
        if is_so(busy, waiting) {
            return Ok(());
        }
        ensure!(Instant::now() < end, "{busy} are at it and {waiting} wait");
        thread::sleep(Duration::from_millis(2));
    }
}
