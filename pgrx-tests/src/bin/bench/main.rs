//! Measures the wrapper next to postgres_fdw: same clusters, same run, taking turns.
//!
//! Contenders must give the same result before they are timed. The figures are printed and written
//! to `target/bench/replica.json`; plans of what is slower than promised go to `target/bench/plans`.
//! A missed target does not fail the run: on a busy machine figures are for reading. A wrong answer
//! does. A new scenario is a file in `scenarios` and a line in `scenarios::ALL`.

mod apis;
mod contest;
mod finding;
mod grounds;
mod options;
mod plan;
mod report;
mod scenarios;
mod sites;
mod source;
mod table;
mod theirs;
mod tpch;

use std::process::ExitCode;

use anyhow::{Result, ensure};
use warehouse_tests::RunDir;

use grounds::Grounds;
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
    let mut grounds = Grounds::default();
    let mut findings = Vec::new();
    let mut failed = Vec::new();
    for scenario in options.scenarios() {
        println!("\n({}) {}", scenario.key, scenario.title);
        match grounds.run(scenario, &options) {
            Ok(finding) => {
                report::details(&finding);
                if !finding.wrong.is_empty() {
                    failed.push(scenario.key);
                }
                findings.push((scenario, finding));
            }
            // The others are worth measuring all the same.
            Err(error) => {
                eprintln!("  FAILED: {error:#}");
                failed.push(scenario.key);
            }
        }
    }
    report::summary(&findings);
    let file = report::write(grounds.version(), &options, &findings)?;
    println!("written to {}", file.display());
    if options.keep {
        RunDir::keep();
        grounds.tell_how_to_connect();
    }
    ensure!(failed.is_empty(), "failed or wrong: {}", failed.join(", "));
    Ok(())
}
