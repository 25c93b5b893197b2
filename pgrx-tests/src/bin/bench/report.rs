//! The figures: for the eye and as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::finding::Finding;
use crate::ground::{Ground, machine_load};
use crate::options::Options;
use crate::scenarios::Scenario;

/// Where the JSON goes, below the root of the project.
const FILE: &str = "target/bench/replica.json";

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
    for note in &finding.notes {
        println!("  {note}");
    }
    println!("  {}: {}", finding.figure_text(), verdict(finding));
}

/// Prints a line a scenario.
pub fn summary(findings: &[Found]) {
    println!("\n{:<8}{:>14}{:>16}{:>18}{:>10}", "", "ours", "postgres_fdw", "figure", "target");
    for (scenario, finding) in findings {
        let median = |at: usize| {
            finding.times.get(at).map_or(String::new(), |times| format!("{:.1} ms", times.median()))
        };
        println!(
            "{:<8}{:>14}{:>16}{:>18}{:>10}  {}",
            scenario.key,
            median(0),
            median(1),
            finding.figure_text(),
            finding.target.text(),
            verdict(finding)
        );
    }
}

fn verdict(finding: &Finding) -> &'static str {
    if finding.is_reached() { "reached" } else { "NOT REACHED" }
}

/// Writes everything as JSON and returns where.
pub fn write(ground: &Ground, options: &Options, findings: &[Found]) -> Result<PathBuf> {
    let version: String = ground.warehouse.value("postgres", "SHOW server_version")?;
    let scenarios: Vec<Value> = findings.iter().map(scenario).collect();
    let document = json!({
        "rows": options.rows,
        "rounds": options.rounds,
        "details": options.details.type_name(),
        "postgres": version,
        "cpus": std::thread::available_parallelism().map_or(0, usize::from),
        "load_average": machine_load(),
        "scenarios": scenarios,
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.canonicalize().context("the project's root")?.join(FILE);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&file, format!("{document:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn scenario((scenario, finding): &Found) -> Value {
    let contenders: Vec<Value> = finding
        .times
        .iter()
        .map(|times| {
            json!({
                "name": times.name,
                "median_ms": times.median(),
                "min_ms": times.min(),
                "rounds_ms": times.millis().collect::<Vec<f64>>(),
            })
        })
        .collect();
    json!({
        "key": scenario.key,
        "title": scenario.title,
        "contenders": contenders,
        "figure": finding.figure,
        "figure_text": finding.figure_text(),
        "target": finding.target.text(),
        "reached": finding.is_reached(),
        "notes": finding.notes,
    })
}
