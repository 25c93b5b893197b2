//! The figures: for the eye and as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::contest::Times;
use crate::finding::{Finding, Part, times_as_fast, times_the_source};
use crate::options::Options;
use crate::scenarios::Scenario;

/// Where the JSON goes, below the root of the project.
const FILE: &str = "target/bench/replica.json";

/// Where plans go, below the root of the project.
const PLANS: &str = "target/bench/plans";

/// One scenario and what it found.
pub type Found = (&'static Scenario, Finding);

/// Prints one scenario in full.
pub fn details(finding: &Finding) {
    for times in &finding.times {
        println!(
            "  {:<54}{:>10.1} ms median{:>10.1} ms min",
            times.name,
            times.median(),
            times.min()
        );
    }
    if !finding.parts.is_empty() {
        parts(&finding.parts);
    }
    for note in &finding.notes {
        println!("  {note}");
    }
    println!("  {}: {}", finding.figure_text(), verdict(finding.has_figure()));
    for promise in &finding.further {
        println!(
            "  {}: {}, target {}: {}",
            promise.about,
            promise.figure_text(),
            promise.target.text(),
            verdict(promise.is_kept())
        );
    }
    for wrong in &finding.wrong {
        println!("  WRONG: {wrong}");
    }
}

/// Prints several queries of one scenario.
fn parts(parts: &[Part]) {
    println!(
        "  {:<22}{:>12}{:>14}{:>12}{:>10}{:>12}",
        "", "ours", "postgres_fdw", "source", "as fast", "of source"
    );
    for part in parts {
        let time = |at: usize| {
            part.times.get(at).map_or(String::new(), |times| format!("{:.1} ms", times.median()))
        };
        let ratio = |ratio: Option<f64>| ratio.map_or(String::new(), |x| format!("{x:.2}"));
        println!(
            "  {:<22}{:>12}{:>14}{:>12}{:>10}{:>12}  {}",
            part.name,
            time(0),
            time(1),
            time(2),
            ratio(times_as_fast(&part.times)),
            ratio(times_the_source(&part.times)),
            part.remark
        );
    }
}

/// Prints a line a scenario.
pub fn summary(findings: &[Found]) {
    println!(
        "\n{:<10}{:>14}{:>16}{:>14}{:>11}{:>18}{:>10}",
        "", "ours", "postgres_fdw", "source", "of source", "figure", "target"
    );
    for (scenario, finding) in findings {
        let median = |at: usize| {
            finding.times.get(at).map_or(String::new(), |times| format!("{:.1} ms", times.median()))
        };
        println!(
            "{:<10}{:>14}{:>16}{:>14}{:>11}{:>18}{:>10}  {}",
            scenario.key,
            median(0),
            median(1),
            median(2),
            times_the_source(&finding.times).map_or(String::new(), |ratio| format!("{ratio:.2}")),
            finding.figure_text(),
            finding.target.text(),
            match (finding.has_figure(), finding.is_reached()) {
                (true, false) => "reached, but not all that was promised",
                (reached, _) => verdict(reached),
            }
        );
    }
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "NOT REACHED" }
}

/// Writes everything as JSON and returns where. Plans become a file for each scenario.
pub fn write(version: &str, options: &Options, findings: &[Found]) -> Result<PathBuf> {
    let scenarios: Vec<Value> = findings.iter().map(scenario).collect();
    let document = json!({
        "rows": options.rows,
        "scale": options.scale,
        "transactions": options.transactions,
        "records": options.records,
        "latency_ms": options.latency.as_secs_f64() * 1000.0,
        "rounds": options.rounds,
        "delay_ms": options.delay.map_or(0.0, |delay| delay.as_secs_f64() * 1000.0),
        "details": options.details.type_name(),
        "postgres": version,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average": machine_load(),
        "scenarios": scenarios,
    });
    for (scenario, finding) in findings {
        let file = below_root(&format!("{PLANS}/{}.txt", scenario.key))?;
        // What an earlier run has left would mislead.
        let _ = fs::remove_file(&file);
        if !finding.plans.is_empty() {
            fs::write(&file, finding.plans.join("\n"))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    let file = below_root(FILE)?;
    fs::write(&file, format!("{document:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// A path below the root of the project, the folder of which exists.
fn below_root(path: &str) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.canonicalize().context("the project's root")?.join(path);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    Ok(file)
}

/// The load of the machine over the last minute, five and fifteen, as the kernel tells it.
fn machine_load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

fn contenders(times: &[Times]) -> Vec<Value> {
    times
        .iter()
        .map(|times| {
            json!({
                "name": times.name,
                "median_ms": times.median(),
                "min_ms": times.min(),
                "rounds_ms": times.millis().collect::<Vec<f64>>(),
            })
        })
        .collect()
}

fn scenario((scenario, finding): &Found) -> Value {
    let parts: Vec<Value> = finding
        .parts
        .iter()
        .map(|part| {
            json!({
                "name": part.name,
                "contenders": contenders(&part.times),
                "times_as_fast_as_postgres_fdw": times_as_fast(&part.times),
                "times_the_source": times_the_source(&part.times),
                "remark": part.remark,
            })
        })
        .collect();
    let further: Vec<Value> = finding
        .further
        .iter()
        .map(|promise| {
            json!({
                "about": promise.about,
                "figure": promise.figure,
                "figure_text": promise.figure_text(),
                "target": promise.target.text(),
                "reached": promise.is_kept(),
            })
        })
        .collect();
    json!({
        "key": scenario.key,
        "title": scenario.title,
        "contenders": contenders(&finding.times),
        "times_as_fast_as_postgres_fdw": times_as_fast(&finding.times),
        "times_the_source": times_the_source(&finding.times),
        "figure": finding.figure,
        "figure_text": finding.figure_text(),
        "target": finding.target.text(),
        "further": further,
        "reached": finding.is_reached(),
        "parts": parts,
        "notes": finding.notes,
        "wrong": finding.wrong,
    })
}
