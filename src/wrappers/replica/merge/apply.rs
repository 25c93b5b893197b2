//! From what a merged table is to what it should be.

use super::current::{self, Options, Partition};
use super::desired::{self, Merged, Part};
use super::{Change, Request, Source, sites_schema};
use crate::pg::catalog;
use crate::pg::error::{Error, Result};
use crate::pg::keywords::{ident, qualified};
use crate::pg::sql::execute;
use crate::pg::subtransaction::attempt;
use crate::wrappers::replica::local::{self, Declared};
use crate::wrappers::replica::statistics;
use pgrx::PgSqlErrorCode as Code;
use std::collections::BTreeMap;
use warehouse_core::quote;

/// Creates or updates one merged table.
pub fn table(
    request: &Request,
    sources: &[Source],
    name: &str,
    report: &mut Vec<Change>,
) -> Result<()> {
    let parts = desired::parts(sources, name);
    let columns = desired::columns(&parts)?;
    if columns.iter().any(|column| column.name == request.site_column) {
        return Err(Error::new(
            Code::ERRCODE_DUPLICATE_COLUMN,
            format!("table \"{name}\" has a column \"{}\" of its own", request.site_column),
        )
        .hint("Choose another name for the added column: merge_schema(…, site_column => 'source_site')."));
    }
    match current::load(&request.local_schema, name)? {
        None => create(request, name, &columns, report)?,
        Some(found) => {
            let relation = catalog::relation_by_name(&request.local_schema, name);
            if !relation.is_some_and(catalog::owns_relation) {
                return Err(Error::new(
                    Code::ERRCODE_INSUFFICIENT_PRIVILEGE,
                    format!("must be owner of table \"{}.{name}\"", request.local_schema),
                ));
            }
            update_columns(request, sources, name, &found, &columns, report)?;
        }
    }
    let Some(parent) = current::load(&request.local_schema, name)? else {
        return Err(Error::bug(format!("table \"{name}\" is gone")));
    };
    for part in &parts {
        site(request, name, &parent, part, report)?;
    }
    for partition in &parent.partitions {
        let known = |site: &str| sources.iter().any(|source| source.site == site);
        let Some(site) = partition.site.as_deref() else { continue };
        if !known(site) {
            report.push(
                Change::new(name, "site not among the sources")
                    .at(site)
                    .saying("kept; warehouse.drop_site() takes it out"),
            );
        } else if !parts.iter().any(|part| part.source.site == site) {
            execute(&format!(
                "DROP FOREIGN TABLE {}",
                qualified(&partition.schema, &partition.name)
            ))?;
            report.push(
                Change::new(name, "dropped site")
                    .at(site)
                    .saying("the table is gone at the source"),
            );
        }
    }
    comments(request, name, &parent, &parts, &columns)?;
    // Statistics of the whole can only be told from all of its sites.
    let complete = parent
        .partitions
        .iter()
        .all(|p| parts.iter().any(|part| p.site.as_deref() == Some(&part.source.site)));
    if let Some(relation) = catalog::relation_by_name(&request.local_schema, name)
        && complete
    {
        let contributions: Vec<_> = parts
            .iter()
            .map(|part| statistics::Part {
                site: &part.source.site,
                table: part.table,
                columns: part.source.statistics.get(name).map_or(&[], Vec::as_slice),
            })
            .collect();
        statistics::apply_merged(relation, &contributions, &request.site_column);
    }
    Ok(())
}

fn create(
    request: &Request,
    name: &str,
    columns: &[Merged],
    report: &mut Vec<Change>,
) -> Result<()> {
    let mut list = vec![format!("{} text NOT NULL", ident(&request.site_column))];
    for column in columns {
        let not_null = if column.not_null { " NOT NULL" } else { "" };
        list.push(format!("{} {}{not_null}", ident(&column.name), column.of));
    }
    execute(&format!(
        "CREATE TABLE {} ({}) PARTITION BY LIST ({})",
        qualified(&request.local_schema, name),
        list.join(", "),
        ident(&request.site_column)
    ))?;
    report.push(Change::new(name, "created table"));
    columns.iter().for_each(|column| conflict(name, column, report));
    Ok(())
}

fn conflict(name: &str, column: &Merged, report: &mut Vec<Change>) {
    if let Some(conflict) = &column.conflict {
        report.push(Change::new(name, "type conflict").of(&column.name).saying(conflict));
    }
}

fn update_columns(
    request: &Request,
    sources: &[Source],
    name: &str,
    found: &current::Table,
    columns: &[Merged],
    report: &mut Vec<Change>,
) -> Result<()> {
    let merged = found.kind == 'p' && found.columns.iter().any(|c| c.name == request.site_column);
    if !merged {
        return Err(Error::new(
            Code::ERRCODE_DUPLICATE_TABLE,
            format!(
                "relation \"{}.{name}\" exists and is no merged table with the column \"{}\"",
                request.local_schema, request.site_column
            ),
        )
        .hint("Merge into a schema of its own, or leave the table out with the argument tables."));
    }
    let table = qualified(&request.local_schema, name);
    for wanted in columns {
        let column = ident(&wanted.name);
        let Some(present) = found.columns.iter().find(|c| c.name == wanted.name) else {
            execute(&format!("ALTER TABLE {table} ADD COLUMN {column} {}", wanted.of))?;
            report.push(Change::new(name, "added column").of(&wanted.name).saying(&wanted.of));
            conflict(name, wanted, report);
            continue;
        };
        if present.not_null && !wanted.not_null {
            execute(&format!("ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"))?;
            report.push(Change::new(name, "dropped not null").of(&wanted.name));
        }
        if present.of != wanted.of {
            let altered = attempt(|| {
                execute(&format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {}", wanted.of))
            });
            // What could not be changed is told once: from then on a site's column casts.
            let told = found.partitions.iter().any(|partition| {
                partition.columns.get(&wanted.name).is_some_and(|o| o.contains_key("remote_type"))
            });
            match altered {
                Ok(()) => {
                    conflict(name, wanted, report);
                    report.push(
                        Change::new(name, "changed type")
                            .of(&wanted.name)
                            .saying(format!("{} to {}", present.of, wanted.of)),
                    );
                }
                Err(_) if told => {}
                Err(error) => {
                    conflict(name, wanted, report);
                    report.push(Change::new(name, "type kept").of(&wanted.name).saying(format!(
                        "{} instead of {}, cast at the source: {}",
                        present.of,
                        wanted.of,
                        error.message()
                    )));
                }
            }
        }
    }
    // Sites that are not among the sources of this run keep what they read.
    let unlisted: Vec<&Partition> = found
        .partitions
        .iter()
        .filter(|p| !sources.iter().any(|source| p.site.as_deref() == Some(&source.site)))
        .collect();
    for present in &found.columns {
        let reads = |p: &&Partition| {
            p.columns.get(&present.name).is_some_and(|options| !options.contains_key("missing"))
        };
        let gone = present.name != request.site_column
            && !columns.iter().any(|wanted| wanted.name == present.name);
        if !gone {
            continue;
        }
        if present.not_null {
            execute(&format!(
                "ALTER TABLE {table} ALTER COLUMN {} DROP NOT NULL",
                ident(&present.name)
            ))?;
            report.push(Change::new(name, "dropped not null").of(&present.name));
        }
        if !unlisted.iter().any(reads) && found.partitions.iter().any(|p| reads(&p)) {
            report.push(
                Change::new(name, "column gone")
                    .of(&present.name)
                    .saying("no source has it any more: kept, reads NULL"),
            );
        }
    }
    Ok(())
}

/// The class and mask that a column has at all other sites that have any, for a site where it has none
/// yet. Where they disagree it stays unclassified.
fn inherited_policy(
    parent: &current::Table,
    part: &Part<'_>,
    column: &str,
) -> Vec<(String, String)> {
    let of = |partition: &Partition| -> Vec<(String, String)> {
        let options = partition.columns.get(column).into_iter().flatten();
        options
            .filter(|(name, _)| matches!(name.as_str(), "class" | "mask"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    let own = parent.partitions.iter().find(|p| p.site.as_deref() == Some(&part.source.site));
    if own.is_some_and(|own| !of(own).is_empty()) {
        return Vec::new();
    }
    let mut known: Vec<_> = parent.partitions.iter().map(of).filter(|o| !o.is_empty()).collect();
    known.dedup();
    if known.len() == 1 { known.remove(0) } else { Vec::new() }
}

/// The columns of a site's partition, for the parent as it is.
fn declared(request: &Request, parent: &current::Table, part: &Part<'_>) -> Vec<Declared> {
    parent
        .columns
        .iter()
        .map(|column| {
            let options = if column.name == request.site_column {
                vec![("constant".to_owned(), part.source.site.clone())]
            } else {
                match part.column(&column.name) {
                    None => vec![("missing".to_owned(), "true".to_owned())],
                    Some(remote) => {
                        let own = part.local_type(remote);
                        let mut options = vec![("column_name".to_owned(), remote.name.clone())];
                        let cast = if own.sql == column.of {
                            own.remote_type
                        } else {
                            Some(remote.of.clone())
                        };
                        options.extend(match cast {
                            Some(of) => Some(("remote_type".to_owned(), of)),
                            None => local::enum_option(remote),
                        });
                        options.extend(local::collation_option(remote));
                        options.extend(inherited_policy(parent, part, &column.name));
                        options
                    }
                }
            };
            Declared {
                name: column.name.clone(),
                of: column.of.clone(),
                not_null: column.not_null,
                options,
            }
        })
        .collect()
}

/// Creates or updates the partition of one site.
fn site(
    request: &Request,
    name: &str,
    parent: &current::Table,
    part: &Part<'_>,
    report: &mut Vec<Change>,
) -> Result<()> {
    let site = &part.source.site;
    let columns = declared(request, parent, part);
    let options =
        local::table_options(&part.source.schema_name, part.table, &part.source.collation);
    let schema = sites_schema(&request.local_schema);
    let mut present = parent.partitions.iter().find(|p| p.site.as_deref() == Some(site));
    if let Some(partition) = present
        && partition.server != part.source.server.name
    {
        execute(&format!("DROP FOREIGN TABLE {}", qualified(&partition.schema, &partition.name)))?;
        report.push(
            Change::new(name, "changed server")
                .at(site)
                .saying(format!("{} to {}", partition.server, part.source.server.name)),
        );
        present = None;
    }
    let (schema, partition) = match present {
        Some(partition) => {
            update_options(name, site, partition, &options, &columns, report)?;
            (partition.schema.clone(), partition.name.clone())
        }
        None => {
            let taken = |partition: &str| catalog::relation_by_name(&schema, partition).is_some();
            let partition = partition_name(name, site, taken);
            execute(&local::create_table(
                &schema,
                &partition,
                &columns,
                &part.source.server.name,
                &options,
            ))?;
            execute(&format!(
                "ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})",
                qualified(&request.local_schema, name),
                qualified(&schema, &partition),
                quote::literal(site)
            ))?;
            report.push(Change::new(name, "added site").at(site));
            (schema, partition)
        }
    };
    if let Some(relation) = catalog::relation_by_name(&schema, &partition) {
        let all = part.source.statistics.get(name).map_or(&[][..], Vec::as_slice);
        statistics::apply(relation, part.table, all, &part.source.collation);
    }
    Ok(())
}

/// `<table>_<site>`, or a name of its own where that is too long or taken by another pair.
fn partition_name(table: &str, site: &str, taken: impl Fn(&str) -> bool) -> String {
    let full = format!("{table}_{site}");
    if full.len() <= 63 && !taken(&full) {
        return full;
    }
    // FNV-1a, 64 bits, over the pair: names that read alike must not meet.
    let hash = format!("{table}\0{site}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut cut = full.len().min(46);
    while !full.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}_{hash:016x}", &full[..cut])
}

/// The options of ours that a run may set or drop; all others (classes, masks) belong to the user.
const TABLE_OPTIONS: [&str; 5] =
    ["schema_name", "table_name", "remote_collation", "indexes", "foreign_keys"];
const COLUMN_OPTIONS: [&str; 6] =
    ["column_name", "remote_type", "enum_type", "source_collation", "missing", "constant"];

fn update_options(
    name: &str,
    site: &str,
    partition: &Partition,
    options: &[(String, String)],
    columns: &[Declared],
    report: &mut Vec<Change>,
) -> Result<()> {
    let table = qualified(&partition.schema, &partition.name);
    if let Some(change) = difference(&partition.options, options, &TABLE_OPTIONS) {
        execute(&format!("ALTER FOREIGN TABLE {table} OPTIONS ({change})"))?;
        report.push(Change::new(name, "updated options").at(site));
    }
    let nothing = BTreeMap::new();
    for column in columns {
        let present = partition.columns.get(&column.name).unwrap_or(&nothing);
        let Some(change) = difference(present, &column.options, &COLUMN_OPTIONS) else { continue };
        execute(&format!(
            "ALTER FOREIGN TABLE {table} ALTER COLUMN {} OPTIONS ({change})",
            ident(&column.name)
        ))?;
        let has = |name: &str| column.options.iter().any(|(n, _)| n == name);
        let what = match (present.contains_key("missing"), has("missing")) {
            (false, true) if present.is_empty() => "column missing",
            (false, true) => "column gone",
            (true, false) => "column found",
            _ if present.is_empty() => "column found",
            _ => "column changed",
        };
        let remote = column.options.iter().find(|(n, _)| n == "remote_type");
        let mut line = Change::new(name, what).at(site).of(&column.name);
        if has("missing") {
            line = line.saying("reads NULL");
        } else if let Some((_, of)) = remote {
            line = line.saying(format!("{of} at the source, {} here", column.of));
        }
        report.push(line);
    }
    Ok(())
}

/// `ADD a '1', SET b '2', DROP c` from the options there are to those wanted; `None` if they agree.
fn difference(present: &Options, wanted: &[(String, String)], ours: &[&str]) -> Option<String> {
    let mut parts = Vec::new();
    for (name, value) in wanted {
        match present.get(name) {
            None => parts.push(format!("ADD {} {}", ident(name), quote::literal(value))),
            Some(before) if before != value => {
                parts.push(format!("SET {} {}", ident(name), quote::literal(value)));
            }
            Some(_) => {}
        }
    }
    for name in present.keys() {
        if ours.contains(&name.as_str()) && !wanted.iter().any(|(n, _)| n == name) {
            parts.push(format!("DROP {}", ident(name)));
        }
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Comments of the sources where nobody has written one here.
fn comments(
    request: &Request,
    name: &str,
    parent: &current::Table,
    parts: &[Part<'_>],
    columns: &[Merged],
) -> Result<()> {
    let schema = &request.local_schema;
    if parent.comment.is_none()
        && let Some(text) = parts.iter().find_map(|part| part.table.comment.as_deref())
    {
        execute(&local::comment("TABLE", schema, name, None, Some(text)))?;
    }
    for column in &parent.columns {
        if column.comment.is_some() {
            continue;
        }
        let text = if column.name == request.site_column {
            Some("The site that the row comes from.".to_owned())
        } else {
            columns.iter().find(|c| c.name == column.name).and_then(|c| c.comment.clone())
        };
        if let Some(text) = text {
            execute(&local::comment("TABLE", schema, name, Some(&column.name), Some(&text)))?;
        }
    }
    Ok(())
}

/// Merged tables that no source has any more stay as they are, and are named.
pub fn vanished_tables(
    request: &Request,
    sources: &[Source],
    report: &mut Vec<Change>,
) -> Result<()> {
    for name in current::merged_tables(&request.local_schema)? {
        let wanted = request.tables.as_ref().is_none_or(|tables| tables.contains(&name));
        if wanted && desired::parts(sources, &name).is_empty() {
            report.push(Change::new(&name, "table gone").saying(
                "no source has it any more: kept, and reading it fails; drop it if nobody needs it",
            ));
        }
    }
    Ok(())
}
