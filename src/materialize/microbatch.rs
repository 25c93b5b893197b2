//! Buckets of time that are computed anew.

use super::apply::{self, Deletes, NEW};
use super::capture;
use super::definition::Definition;
use super::progress::{self, Phase};
use super::report::Report;
use super::sources::{self, Site, Sources, Watermark};
use crate::pg::delta::Delta;
use crate::pg::error::{Error, Result};
use crate::pg::{identity, sql, types};
use pgrx::PgSqlErrorCode as Code;
use warehouse_core::quote;
use warehouse_core::refresh::{Target, filtered};

/// A range of time as text; without an end, all that follows.
#[derive(Debug, Clone)]
pub struct Range {
    /// Its begin.
    pub from: String,
    /// Its end, itself left out.
    pub to: Option<String>,
}

/// Computes anew what lies in the last buckets that have been seen, and all that follows; or a range.
pub fn refresh(
    definition: &Definition,
    sources: &Sources,
    site: &Site,
    target: &Target,
    range: Option<&Range>,
    report: &mut Report,
) -> Result<()> {
    let as_of = capture::moment(definition, site)?;
    if let Some(remembered) = sources::remembered(definition, site)? {
        sources::check_moment(site, &remembered, &as_of)?;
    }
    let name = definition.options.event_time.as_deref().unwrap_or_default();
    let column =
        sources.query.columns.iter().find(|column| column.name == name).ok_or_else(|| {
            Error::new(
                Code::ERRCODE_UNDEFINED_COLUMN,
                format!(
                    "event_time \"{name}\" is no column of the query of {}",
                    definition.label()
                ),
            )
        })?;
    let of = types::type_name(column.of, column.typmod);
    let range = match range {
        Some(range) => Some(range.clone()),
        None => since_last(definition, site, &of)?,
    };
    let name = quote::identifier(name);
    let conditions = |alias: &str| {
        let mut all = sources.only(alias, &[site]);
        if let Some(range) = &range {
            all.push(format!("{alias}.{name} >= {}::{of}", quote::literal(&range.from)));
            if let Some(to) = &range.to {
                all.push(format!("{alias}.{name} < {}::{of}", quote::literal(to)));
            }
        }
        all
    };
    progress::phase(Phase::Fetching, None);
    let query = filtered(&sources.query.text, &target.columns, &conditions("q"));
    let new = identity::acting_as(definition.owner(), || {
        Delta::of_query(NEW, &query, &mut progress::rows)
    })?;
    report.phase("fetch");
    apply::apply(definition, target, &new, &Deletes::Where(conditions("t")), report)?;
    let watermark = Watermark::Set(capture::watermark(definition, sources, site, target)?);
    sources::remember(definition, site, &as_of, &watermark, as_of.mark.as_ref())?;
    report.succeeded(&site.name, as_of.time);
    Ok(())
}

/// From the begin of the bucket that holds the last time seen, less `lookback`.
fn since_last(definition: &Definition, site: &Site, of: &str) -> Result<Option<Range>> {
    let Some(last) = sources::remembered(definition, site)?.and_then(|known| known.watermark)
    else {
        return Ok(None);
    };
    let options = &definition.options;
    let lookback = options.lookback.as_deref().unwrap_or("0");
    let size = options.batch_size.as_deref().unwrap_or("day");
    let begin = bucket(
        &format!("({}::{of} - {}::interval)", quote::literal(&last), quote::literal(lookback)),
        size,
    );
    let from = sql::value_now::<String>(&format!("SELECT ({begin})::{of}::text"), &[])
        .map_err(|e| Error::bug(format!("a bucket could not be computed: {e}")))?;
    Ok(from.map(|from| Range { from, to: None }))
}

/// The begin of the bucket that a moment lies in, in SQL.
pub fn bucket(moment: &str, size: &str) -> String {
    match size {
        "hour" | "day" | "week" | "month" | "quarter" | "year" => {
            format!("date_trunc({}, {moment})", quote::literal(size))
        }
        _ => format!("date_bin({}::interval, {moment}, '2000-01-01')", quote::literal(size)),
    }
}
