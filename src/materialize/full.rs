//! All rows anew: loaded beside the table, then exchanged for its contents in a moment.
//!
//! Readers go on with the old rows until then. The exchange takes an exclusive lock for as long as it takes
//! to write a few rows of the catalog and to commit. It is asked for in short attempts, so that readers who
//! come meanwhile wait no longer than one of them; if long readers never leave a gap, the difference is
//! applied by statements instead, which nobody waits for.

use super::apply;
use super::capture;
use super::definition::{Definition, Strategy};
use super::dependents;
use super::progress::{self, Phase};
use super::report::Report;
use super::sources::{self, AsOf, Site, Sources, Watermark};
use super::verify;
use crate::pg::delta::{self, Delta};
use crate::pg::error::{Error, Result};
use crate::pg::new_heap::NewHeap;
use crate::pg::subtransaction::attempt;
use crate::pg::{identity, lock, sql, wait};
use crate::privacy::shuffling;
use crate::settings;
use pgrx::PgSqlErrorCode as Code;
use std::time::{Duration, Instant};
use warehouse_core::quote;
use warehouse_core::refresh::{Target, filtered};

/// Time that an attempt to lock may take: what a reader who comes meanwhile waits at most.
const ATTEMPT: Duration = Duration::from_millis(100);

/// Makes the table's contents anew. Rows of sites that cannot be read stay as they are.
pub fn refresh(
    definition: &Definition,
    sources: &Sources,
    target: &Target,
    report: &mut Report,
) -> Result<()> {
    let window = match definition.options.follows_api() {
        true => Some(capture::window_of_api(definition, sources, None)?),
        false => None,
    };
    let mut alive: Vec<(&Site, AsOf)> = Vec::new();
    let mut dead: Vec<(&Site, Error)> = Vec::new();
    for site in &sources.sites {
        match attempt(|| capture::moment(definition, site)) {
            Ok(as_of) => alive.push((site, as_of)),
            Err(error) => dead.push((site, error)),
        }
    }
    let (mut heap, failed) = load(definition, sources, target, &mut alive, report)?;
    dead.extend(failed);
    if alive.is_empty() {
        heap.discard();
        let (_, error) = dead.swap_remove(0);
        return Err(error);
    }
    let loaded = heap.rows;
    keep(definition, sources, target, &dead, &mut heap)?;
    report.fetched += loaded;
    report.bytes += heap.bytes;
    report.phase("fetch");

    progress::phase(Phase::Indexing, None);
    let mut is_exchangeable = true;
    // What indexes compute is run with the owner's rights, as the owner chose it.
    let built = attempt(|| identity::acting_as(definition.owner(), || heap.build_indexes()));
    match built {
        // Constraints that only grow row by row.
        Err(error) if error.code() == Code::ERRCODE_FEATURE_NOT_SUPPORTED => {
            is_exchangeable = false
        }
        built => built.map_err(|error| apply::explained(definition, error))?,
    }
    report.phase("indexes");
    identity::acting_as(definition.owner(), || sql::execute(&format!("ANALYZE {}", heap.name())))?;
    report.phase("analyze");
    progress::phase(Phase::Verifying, None);
    verify::before_readers(definition, heap.oid, &heap.name(), report)?;
    report.phase("verify");

    let from_heap = Target { name: heap.name(), ..target.clone() };
    let mut watermarks = Vec::new();
    for (site, _) in &alive {
        watermarks.push(match &window {
            Some(window) => Some(window.until.clone()),
            None => capture::watermark(definition, sources, site, &from_heap)?,
        });
    }
    let waiting = dependents::of(definition)?;
    progress::phase(Phase::Exchanging, None);
    // Aggregates of the table follow its changes: they have to be known.
    if waiting.is_empty() && is_exchangeable && heap.is_exchangeable() && has_lock(definition)? {
        report.phase("wait");
        report.inserted += heap.rows;
        heap.exchange()?;
        report.phase("exchange");
    } else {
        report.phase("wait");
        difference(definition, target, heap, report)?;
    }
    for ((site, as_of), watermark) in alive.iter().zip(watermarks) {
        let watermark = Watermark::Set(watermark);
        sources::remember(definition, site, as_of, &watermark, as_of.mark.as_ref())?;
        report.succeeded(&site.name, as_of.time.clone());
    }
    for (site, error) in &dead {
        sources::failed(definition, site, error)?;
        report.failed(&site.name, error);
    }
    sources::forget_others(definition, &sources.sites)?;
    Ok(())
}

/// A new heap with the rows of the sites that can be read; the others leave `alive`.
fn load<'s>(
    definition: &Definition,
    sources: &'s Sources,
    target: &Target,
    alive: &mut Vec<(&'s Site, AsOf)>,
    report: &mut Report,
) -> Result<(NewHeap, Vec<(&'s Site, Error)>)> {
    progress::phase(Phase::Fetching, Some(sources.expected(definition)));
    let all: Vec<&Site> = alive.iter().map(|(site, _)| *site).collect();
    let mut heap = NewHeap::of(definition.relation())?;
    if all.is_empty() {
        return Ok((heap, Vec::new()));
    }
    // All sites at once, as long as none of them fails.
    let all_at_once = attempt(|| read(definition, sources, target, &all, &mut heap));
    let Err(error) = all_at_once else { return Ok((heap, Vec::new())) };
    if sources.column.is_none() {
        return Err(apply::explained(definition, error));
    }
    report.phase("fetch");
    let mut failed = Vec::new();
    'anew: loop {
        heap.discard();
        heap = NewHeap::of(definition.relation())?;
        let mut at = 0;
        while at < alive.len() {
            let (site, before) = (alive[at].0, heap.rows);
            match attempt(|| read(definition, sources, target, &[site], &mut heap)) {
                Ok(_) => at += 1,
                Err(error) => {
                    alive.remove(at);
                    failed.push((site, apply::explained(definition, error)));
                    if heap.rows > before {
                        // What it wrote would stay.
                        continue 'anew;
                    }
                }
            }
        }
        return Ok((heap, failed));
    }
}

fn read(
    definition: &Definition,
    sources: &Sources,
    target: &Target,
    sites: &[&Site],
    heap: &mut NewHeap,
) -> Result<u64> {
    let query = filtered(&sources.query.text, &target.columns, &sources.only("q", sites));
    // Rows of other refreshes come few at a time, which is no order to lose them in.
    let is_whole = definition.options.strategy == Strategy::Full;
    identity::acting_as(definition.owner(), || {
        shuffling::allowed(is_whole, || heap.load(&query, &mut progress::rows))
    })
}

/// Copies the rows of sites that could not be read.
fn keep(
    definition: &Definition,
    sources: &Sources,
    target: &Target,
    dead: &[(&Site, Error)],
    heap: &mut NewHeap,
) -> Result<()> {
    if dead.is_empty() {
        return Ok(());
    }
    let sites: Vec<&Site> = dead.iter().map(|(site, _)| *site).collect();
    let columns: Vec<String> = crate::pg::catalog::relation_attributes(definition.relation())
        .iter()
        .map(|column| format!("t.{}", quote::identifier(&column.name)))
        .collect();
    let query = format!(
        "SELECT {} FROM {} t WHERE {}",
        columns.join(", "),
        target.name,
        sources.only("t", &sites).join(" AND ")
    );
    identity::acting_as(definition.owner(), || heap.load(&query, &mut |_, _| ()))?;
    Ok(())
}

/// Takes the exclusive lock in a gap between readers; `false` if there was none in time.
fn has_lock(definition: &Definition) -> Result<bool> {
    let patience = settings::exchange_patience();
    let began = Instant::now();
    let mut pause = Duration::from_millis(20);
    loop {
        if lock::exclusively(definition.relation(), ATTEMPT)? {
            return Ok(true);
        }
        if began.elapsed() >= patience {
            return Ok(false);
        }
        wait::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}

/// The rows in which the new heap and the table differ; all rows of both if their types cannot be compared.
fn changed(from_heap: &Target) -> Result<Delta> {
    let comparable =
        attempt(|| sql::execute(&format!("SELECT FROM ({}) c LIMIT 0", from_heap.changed())));
    let query = if comparable.is_ok() { from_heap.changed() } else { from_heap.everything() };
    Delta::of_query(c"warehouse_changed", &query, &mut |_, _| ())
}

/// Applies what differs between the new heap and the table.
fn difference(
    definition: &Definition,
    target: &Target,
    heap: NewHeap,
    report: &mut Report,
) -> Result<()> {
    progress::phase(Phase::Applying, None);
    let new = heap.name();
    let from_heap = Target { new: new.clone(), ..target.clone() };
    let waiting = dependents::of(definition)?;
    identity::acting_as(definition.owner(), || {
        let changed = if waiting.is_empty() { None } else { Some(changed(&from_heap)?) };
        if target.key.is_empty() {
            report.deleted += delta::execute(&target.delete_where(&[]), &[])?;
            report.inserted += delta::execute(&from_heap.insert(), &[])?;
        } else {
            report.deleted += delta::execute(&from_heap.delete_missing(&[]), &[])?;
            let merged = delta::merge(&from_heap.merge(), &[])?;
            report.inserted += merged.inserted;
            report.updated += merged.updated;
        }
        report.phase("apply");
        if let Some(changed) = changed {
            dependents::follow(&waiting, &[&changed])?;
            dependents::verify(definition, report)?;
            report.phase("dependents");
        }
        Ok::<(), Error>(())
    })?;
    heap.discard();
    Ok(())
}
