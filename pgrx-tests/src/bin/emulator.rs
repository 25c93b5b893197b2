//! Runs an emulator of a service by itself, for the demo, for an SDK, or for a look around.
//!
//! ```text
//! emulator braintree [--port N] [--seed N] [--transactions N] [--delay MS]
//! emulator airtable  [--port N] [--seed N] [--records N] [--delay MS]
//! ```
//!
//! The first line that it prints is its URL, the next ones what a client needs. It runs until it is
//! stopped. `warehouse_tests::apis::control` says what it can be told while it runs.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use warehouse_tests::apis::{Airtable, Api, Braintree, Emulator, airtable, braintree};

struct Arguments {
    service: String,
    port: Option<u16>,
    seed: u64,
    records: Option<usize>,
    delay: Duration,
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    match arguments.service.as_str() {
        "braintree" => {
            let options =
                braintree::Options::sized(arguments.records.unwrap_or(1_000), arguments.seed);
            let facts = [
                ("merchant_id", options.merchant_id.clone()),
                ("public_key", options.public_key.clone()),
                ("private_key", options.private_key.clone()),
            ];
            run(Braintree::new(options), &arguments, &facts)
        }
        "airtable" => {
            let options =
                airtable::Options::sized(arguments.records.unwrap_or(1_000), arguments.seed);
            let airtable = Airtable::new(options);
            let facts = [("token", airtable.options().token.clone()), ("base", airtable.base())];
            run(airtable, &arguments, &facts)
        }
        other => bail!("there is no emulator of {other}: say braintree or airtable"),
    }
}

fn run<A: Api>(api: A, arguments: &Arguments, facts: &[(&str, String)]) -> Result<()> {
    let emulator = match arguments.port {
        Some(port) => Emulator::start_on(api, port)?,
        None => Emulator::start(api)?,
    };
    emulator.set_delay(arguments.delay);
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", emulator.url())?;
    for (name, value) in facts {
        writeln!(out, "{name} {value}")?;
    }
    out.flush()?;
    drop(out);
    emulator.wait();
    Ok(())
}

fn arguments() -> Result<Arguments> {
    let mut words = std::env::args().skip(1);
    let service = words.next().context("name a service: braintree or airtable")?;
    let mut arguments =
        Arguments { service, port: None, seed: 7, records: None, delay: Duration::ZERO };
    while let Some(option) = words.next() {
        let value = words.next().with_context(|| format!("{option} needs a value"))?;
        let wrong = || format!("{option} {value}");
        match option.as_str() {
            "--port" => arguments.port = Some(value.parse().with_context(wrong)?),
            "--seed" => arguments.seed = value.parse().with_context(wrong)?,
            "--records" | "--transactions" => {
                arguments.records = Some(value.parse().with_context(wrong)?);
            }
            "--delay" => {
                arguments.delay = Duration::from_millis(value.parse().with_context(wrong)?);
            }
            _ => bail!("unknown option {option}"),
        }
    }
    Ok(arguments)
}
