//! What goes wrong at the API: asked again, or an error; never a shorter result.

use anyhow::{Result, ensure};
use std::time::Duration;
use warehouse_tests::apis::{Fault, What};

use super::Apis;
use crate::ask::{expect, refused, rows};

/// Faults after which the right rows come.
fn passing() -> Vec<Fault> {
    vec![
        Fault::new(What::Status(429, Some(1))),
        Fault::new(What::Status(500, None)).times(2),
        Fault::new(What::Status(503, None)),
        Fault::new(What::Cut(200)),
        Fault::new(What::TruncatedGzip(60)),
        Fault::new(What::Html(502)),
        Fault::new(What::Delay(Duration::from_millis(300))),
    ]
}

#[test]
fn what_passes_is_waited_for() -> Result<()> {
    let (apis, mut client) = Apis::imported("broken_passing", 120, ", cache_ttl '0'")?;
    let all = rows(&mut client, "SELECT count(*) FROM b.transactions")?;
    let contacts = rows(&mut client, "SELECT count(*) FROM a.contacts")?;
    for (at, fault) in passing().into_iter().enumerate() {
        for skipped in [0, 1, 2] {
            apis.braintree.arm(fault.clone().after(skipped));
            apis.airtable.arm(fault.clone().after(skipped));
            expect(&mut client, "SELECT count(*) FROM b.transactions", &all)
                .map_err(|error| error.context(format!("fault {at} after {skipped}")))?;
            expect(&mut client, "SELECT count(*) FROM a.contacts", &contacts)
                .map_err(|error| error.context(format!("fault {at} after {skipped}")))?;
            apis.braintree.faults().clear();
            apis.airtable.faults().clear();
        }
    }
    let plan = {
        apis.braintree.arm(Fault::new(What::Status(500, None)));
        rows(&mut client, "EXPLAIN (ANALYZE) SELECT * FROM b.plans")?
    };
    ensure!(plan.contains("API Retries: 1"), "{plan}");
    Ok(())
}

#[test]
fn what_stays_is_an_error() -> Result<()> {
    let more = ", cache_ttl '0', retry_timeout '1s', request_timeout '1s'";
    let (apis, mut client) = Apis::imported("broken_staying", 120, more)?;
    for (fault, code) in [
        (What::Status(500, None), "HV00M"),
        (What::Status(429, None), "53400"),
        (What::Status(401, None), "28000"),
        (What::Status(403, None), "28000"),
        (What::Cut(200), "08006"),
        (What::TruncatedGzip(60), "08006"),
        (What::Stall, "08006"),
    ] {
        // Once at the first request, once in the middle.
        for skipped in [0, 1] {
            apis.braintree.arm(Fault::new(fault.clone()).after(skipped).always());
            let told = refused(&mut client, "SELECT * FROM b.transactions")?;
            told.says(code, &["transactions", "server \"braintree\""])?;
            for secret in super::SECRETS {
                told.hides(secret)?;
            }
            apis.braintree.faults().clear();
        }
    }
    // The session goes on.
    expect(&mut client, "SELECT count(*) > 100 FROM b.transactions", "t")?;
    Ok(())
}

#[test]
fn a_service_that_is_not_there() -> Result<()> {
    let (apis, mut client) =
        Apis::imported("broken_gone", 40, ", retry_timeout '500ms', cache_ttl '0'")?;
    drop(apis);
    refused(&mut client, "SELECT * FROM b.plans")?.says("08006", &["plans"])?;
    refused(&mut client, "SELECT * FROM a.contacts")?.says("08006", &["contacts"])?;
    Ok(())
}
