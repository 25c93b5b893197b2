//! The command line.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::scenarios::{self, Scenario};

/// What `--help` prints.
pub const USAGE: &str = "\
bench [options]
  --rows N                rows of the table (5000000); events of a site (2000000)
  --scale F               scale factor of TPC-H (0.2)
  --transactions N        transactions of the emulated Braintree (100000)
  --records N             records of the emulated Airtable (50000)
  --latency 20ms          every answer of an API takes so much longer (20ms)
  --rounds N              how often everybody runs (5)
  --delay 1ms             the network to the sources is so much slower, in each direction
  --only KEY,KEY…         these scenarios alone:
                            single table: a b c d memory refresh readers endurance masks pseudonym
                            merged sites: groups weekly recent days top latest cross dashboard planning
                            one server with many joins: tpch
                            Braintree and Airtable next to their SDKs: apis
  --details text|jsonb    the type of the seventh column of the table (text)
  --keep                  leave the clusters running and say how to connect";

/// What is to be measured and how.
#[derive(Debug)]
pub struct Options {
    /// Rows of the table and events of a site, if not the usual ones.
    pub rows: Option<u64>,
    /// The scale factor of TPC-H.
    pub scale: f64,
    /// Transactions of the emulated Braintree.
    pub transactions: usize,
    /// Records of the emulated Airtable.
    pub records: usize,
    /// How much longer every answer of an API takes.
    pub latency: Duration,
    /// Rounds in which every contender runs once.
    pub rounds: usize,
    /// How much later everything arrives that goes to a source or comes from it.
    pub delay: Option<Duration>,
    /// The keys of the scenarios to run; empty for all.
    only: Vec<String>,
    /// The type of the seventh column.
    pub details: Details,
    /// Whether the clusters stay.
    pub keep: bool,
}

/// The type of the seventh column. Text is taken as it arrives; jsonb has to be parsed here, by the
/// same parser whichever wrapper brings it, which brings the wrappers closer together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// text
    Text,
    /// jsonb
    Jsonb,
}

impl Details {
    /// Its name in SQL.
    pub fn type_name(self) -> &'static str {
        match self {
            Details::Text => "text",
            Details::Jsonb => "jsonb",
        }
    }
}

impl Options {
    /// Reads the arguments; `None` when help was asked for.
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>> {
        let mut options = Options {
            rows: None,
            scale: 0.2,
            transactions: 100_000,
            records: 50_000,
            latency: Duration::from_millis(20),
            rounds: 5,
            delay: None,
            only: Vec::new(),
            details: Details::Text,
            keep: false,
        };
        while let Some(option) = arguments.next() {
            let mut value = || arguments.next().with_context(|| format!("{option} needs a value"));
            match option.as_str() {
                "--rows" => {
                    options.rows = Some(value()?.replace('_', "").parse().context("--rows")?);
                }
                "--scale" => options.scale = value()?.parse().context("--scale")?,
                "--transactions" => {
                    options.transactions =
                        value()?.replace('_', "").parse().context("--transactions")?;
                }
                "--records" => {
                    options.records = value()?.replace('_', "").parse().context("--records")?;
                }
                "--latency" => options.latency = delay(&value()?)?,
                "--delay" => options.delay = Some(delay(&value()?)?),
                "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
                "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
                "--details" => {
                    options.details = match value()?.as_str() {
                        "text" => Details::Text,
                        "jsonb" => Details::Jsonb,
                        other => bail!("--details is text or jsonb, not {other}"),
                    }
                }
                "--keep" => options.keep = true,
                "--help" | "-h" => return Ok(None),
                _ => bail!("unknown option {option}\n{USAGE}"),
            }
        }
        ensure!(options.rows.is_none_or(|rows| rows >= 10_000), "--rows must be 10000 or more");
        ensure!(options.scale >= 0.001, "--scale must be 0.001 or more");
        ensure!(options.transactions >= 100, "--transactions must be 100 or more");
        ensure!(options.records >= 100, "--records must be 100 or more");
        ensure!(options.rounds > 0, "--rounds must be 1 or more");
        for key in &options.only {
            ensure!(
                scenarios::ALL.iter().any(|scenario| scenario.key == key),
                "no scenario {key}\n{USAGE}"
            );
        }
        Ok(Some(options))
    }

    /// The scenarios to run, in their order.
    pub fn scenarios(&self) -> impl Iterator<Item = &'static Scenario> {
        scenarios::ALL
            .iter()
            .filter(|scenario| self.only.is_empty() || self.only.iter().any(|k| k == scenario.key))
    }
}

/// `1ms`, `250us`.
fn delay(text: &str) -> Result<Duration> {
    let (number, unit): (&str, fn(u64) -> Duration) =
        match (text.strip_suffix("ms"), text.strip_suffix("us")) {
            (Some(number), _) => (number, Duration::from_millis),
            (_, Some(number)) => (number, Duration::from_micros),
            _ => bail!("a delay is a number of ms or us, such as 1ms, not {text}"),
        };
    Ok(unit(number.parse().with_context(|| format!("{text} is no delay"))?))
}
