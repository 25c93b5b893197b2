//! Measures the wrapper next to postgres_fdw: same clusters, same run, taking turns.
//!
//! `bench [--rows N] [--rounds N] [--only KEY,…] [--details text|jsonb] [--keep]`
//!
//! Two contenders must give the same result before they are timed. The figures are printed and
//! written to `target/bench/replica.json`. A missed target does not fail the run: on a busy machine
//! figures are for reading. A new scenario is a file in `scenarios` and a line in `scenarios::ALL`.

mod contest;
mod finding;
mod ground;
mod options;
mod plan;
mod report;
mod scenarios;
mod theirs;

use std::process::ExitCode;

use anyhow::{Context, Result};
use warehouse_tests::RunDir;

use ground::Ground;
use options::Options;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(options) = Options::parse(std::env::args().skip(1))? else {
        println!("{}", options::USAGE);
        return Ok(());
    };
    if options.keep {
        RunDir::detach();
    }
    let ground = Ground::prepare(&options)?;
    let mut findings = Vec::new();
    for scenario in options.scenarios() {
        println!("\n({}) {}", scenario.key, scenario.title);
        let finding = (scenario.run)(&ground, options.rounds)
            .with_context(|| format!("scenario {}", scenario.key))?;
        report::details(&finding);
        findings.push((scenario, finding));
    }
    report::summary(&findings);
    let file = report::write(&ground, &options, &findings)?;
    println!("written to {}", file.display());
    if options.keep {
        RunDir::keep();
        ground.tell_how_to_connect();
    }
    Ok(())
}
