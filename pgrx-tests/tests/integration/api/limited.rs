//! Many sessions at once keep to the limits of the APIs together.

use anyhow::{Result, anyhow, ensure};
use std::thread;
use std::time::Duration;
use warehouse_tests::apis::airtable;

use super::Apis;
use crate::ask::{rows, run};

const SESSIONS: usize = 15;

/// Requests a second; and how many may arrive within one on a busy machine, where some overtake others on
/// their way. Fifteen sessions that each kept to the rate for themselves would send three hundred.
const RATE: usize = 20;
const ARRIVING: usize = 30;

/// Requests at once.
const AT_ONCE: usize = 4;

#[test]
fn fifteen_sessions_keep_to_the_limits() -> Result<()> {
    let (apis, mut client) = Apis::imported("limited", 100, ", cache_ttl '0'")?;
    run(
        &mut client,
        &format!(
            "ALTER SERVER airtable OPTIONS (SET requests_per_second '{RATE}'); \
             ALTER SERVER braintree OPTIONS (ADD concurrency '{AT_ONCE}')"
        ),
    )?;
    // Whoever goes over the limit has to wait, and would be seen in the log.
    apis.airtable.api().set(airtable::Settings {
        requests_per_second: ARRIVING,
        requests_of_token: 0,
        penalty: Duration::from_millis(500),
        ..Default::default()
    });
    apis.braintree.set_delay(Duration::from_millis(15));
    let wanted = [
        rows(&mut client, "SELECT count(*) FROM a.contacts")?,
        rows(&mut client, "SELECT count(*) FROM b.transactions")?,
    ];
    thread::sleep(Duration::from_millis(1_100));
    apis.airtable.log().clear();
    apis.braintree.log().clear();
    thread::scope(|scope| -> Result<()> {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|_| {
                scope.spawn(|| -> Result<[String; 2]> {
                    let mut client = apis.client()?;
                    Ok([
                        rows(&mut client, "SELECT count(*) FROM a.contacts")?,
                        rows(&mut client, "SELECT count(*) FROM b.transactions")?,
                    ])
                })
            })
            .collect();
        for session in sessions {
            let found = session.join().map_err(|_| anyhow!("a session panicked"))??;
            ensure!(found == wanted, "{found:?} instead of {wanted:?}");
        }
        Ok(())
    })?;
    let (airtable, braintree) = (apis.airtable.log(), apis.braintree.log());
    let refused = airtable.entries().iter().filter(|entry| entry.status == 429).count();
    ensure!(refused == 0, "{refused} requests were refused");
    ensure!(airtable.most_in_a_second("") <= ARRIVING, "{}", airtable.most_in_a_second(""));
    ensure!(braintree.most_at_once("") <= AT_ONCE, "{}", braintree.most_at_once(""));
    // They did want more at once than that.
    ensure!(airtable.most_in_a_second("") > RATE / 2, "{}", airtable.most_in_a_second(""));
    ensure!(braintree.most_at_once("") >= AT_ONCE / 2, "{}", braintree.most_at_once(""));
    Ok(())
}
