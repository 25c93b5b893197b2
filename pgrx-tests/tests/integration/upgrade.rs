//! Versions of the extension: what an update leads to is what a fresh installation makes.
//!
//! When a version is released, its generated installation script is kept as
//! `sql/warehouse--VERSION.sql`, and every later version brings `sql/warehouse--OLD--NEW.sql`. From
//! then on this test installs each old version, updates it and compares.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use postgres::Client;

use crate::support::Pair;

/// Every object of the extension with its definition, rights and comment, in a fixed order.
fn describe(client: &mut Client) -> Result<Vec<String>> {
    let rows = client.query(
        "SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' | ' ||
           COALESCE(CASE d.classid
             WHEN 'pg_proc'::regclass THEN (SELECT pg_get_functiondef(p.oid) || ' ' || COALESCE(p.proacl::text, '')
               FROM pg_proc p WHERE p.oid = d.objid)
             WHEN 'pg_class'::regclass THEN (SELECT pg_get_viewdef(c.oid) || ' ' || COALESCE(c.relacl::text, '')
               FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'v')
             WHEN 'pg_event_trigger'::regclass THEN (SELECT evtevent || ' ' || evttags::text
               FROM pg_event_trigger e WHERE e.oid = d.objid)
           END, '') || ' | ' || COALESCE(obj_description(d.objid, d.classid::regclass::name), '')
         FROM pg_depend d
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
           AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'warehouse')
         ORDER BY 1",
        &[],
    )?;
    Ok(rows.into_iter().map(|row| row.get(0)).collect())
}

fn default_version(client: &mut Client) -> Result<String> {
    let row = client.query_one(
        "SELECT default_version FROM pg_available_extensions WHERE name = 'warehouse'",
        &[],
    )?;
    Ok(row.get(0))
}

/// A difference between two installations is seen: otherwise the comparison below proves nothing.
#[test]
fn a_difference_is_seen() -> Result<()> {
    let pair = Pair::new("upgrade_difference")?;
    let mut client = pair.warehouse()?;
    let fresh = describe(&mut client)?;
    ensure!(fresh.len() > 5, "the extension has objects");
    client.batch_execute("COMMENT ON VIEW warehouse.sites IS 'another comment'")?;
    let commented = describe(&mut client)?;
    ensure!(fresh != commented, "a changed comment is a difference");
    client.batch_execute("GRANT EXECUTE ON FUNCTION warehouse.drop_site(text, text) TO PUBLIC")?;
    ensure!(commented != describe(&mut client)?, "a changed right is a difference");
    Ok(())
}

/// The version of the library is the one that is installed by default.
#[test]
fn the_default_version_is_the_crate_s() -> Result<()> {
    let pair = Pair::new("upgrade_default")?;
    let version = default_version(&mut pair.warehouse()?)?;
    ensure!(version == env!("CARGO_PKG_VERSION"), "{version} is installed");
    Ok(())
}

/// Every update script of the repository is installed, and each old version updates to the newest.
#[test]
fn every_old_version_updates_to_the_newest() -> Result<()> {
    let pair = Pair::new("upgrade")?;
    let mut client = pair.warehouse()?;
    let newest = default_version(&mut client)?;
    let fresh = describe(&mut client)?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sql");
    for entry in std::fs::read_dir(&scripts).context("the folder sql")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let Some(versions) = name.strip_prefix("warehouse--").and_then(|n| n.strip_suffix(".sql"))
        else {
            continue;
        };
        // An installation script names one version, an update two.
        let Some((old, _)) = versions.split_once("--") else { continue };
        client.batch_execute(&format!(
            "DROP EXTENSION warehouse CASCADE; CREATE EXTENSION warehouse VERSION '{old}'; \
             ALTER EXTENSION warehouse UPDATE TO '{newest}'"
        ))?;
        let updated = describe(&mut client)?;
        for (a, b) in updated.iter().zip(&fresh) {
            ensure!(a == b, "after the update from {old}:\n{a}\ninstead of\n{b}");
        }
        ensure!(updated.len() == fresh.len(), "objects are left or missing after {old}");
    }
    Ok(())
}
