//! What [`Api::change`](crate::apis::Api::change) can do to the bases.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::data::{Base, Table, is_computed};
use super::write::now;
use crate::apis::calendar::parse;

/// Carries out one change; false when it is not one of the bases.
pub(super) fn carry_out(bases: &mut [Base], change: &Value) -> Result<bool> {
    let text = |name: &str| change[name].as_str().with_context(|| format!("`{name}` is missing"));
    if let Some(name) = change.get("remove").and_then(Value::as_str) {
        let id = text("id")?;
        if !table(bases, name)?.remove(id) {
            bail!("{name} has no record {id}");
        }
    } else if let Some(name) = change.get("update").and_then(Value::as_str) {
        update(table(bases, name)?, text("id")?, change)?;
    } else if let Some(name) = change.get("rename_field").and_then(Value::as_str) {
        let table = table(bases, name)?;
        let field = text("field")?;
        let place = table.field(field).with_context(|| format!("{name} has no field {field}"))?;
        table.fields[place].name = text("name")?.to_owned();
    } else if let Some(name) = change.get("drop_field").and_then(Value::as_str) {
        let table = table(bases, name)?;
        let field = text("field")?;
        let place = table.field(field).with_context(|| format!("{name} has no field {field}"))?;
        drop_field(table, place)?;
    } else if let Some(name) = change.get("rename_table").and_then(Value::as_str) {
        table(bases, name)?.name = text("name")?.to_owned();
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The table with this name or id, of any base.
fn table<'a>(bases: &'a mut [Base], name: &str) -> Result<&'a mut Table> {
    let mut tables = bases.iter_mut().flat_map(|base| base.tables.iter_mut());
    let found = tables.find(|table| table.name == name || table.id == name);
    found.with_context(|| format!("there is no table {name}"))
}

fn update(table: &mut Table, id: &str, change: &Value) -> Result<()> {
    let fields = change["fields"].as_object().context("`fields` is missing")?;
    let mut cells = Vec::new();
    for (name, value) in fields {
        let place = table.field(name).with_context(|| format!("there is no field {name}"))?;
        cells.push((place, Some(value.clone()).filter(|value| !value.is_null())));
    }
    // As at the service, values that are computed change without a time.
    let computed = cells.iter().all(|(place, _)| is_computed(table.fields[*place].kind));
    let record = table.record_mut(id).with_context(|| format!("there is no record {id}"))?;
    for (place, value) in cells {
        record.cells[place] = value;
    }
    if let Some(moment) = change["modified"].as_str() {
        record.modified = parse(moment).context("`modified` is not a time")?;
    } else if !computed {
        record.modified = now();
    }
    Ok(())
}

fn drop_field(table: &mut Table, place: usize) -> Result<()> {
    if place == 0 {
        bail!("the primary field stays");
    }
    table.fields.remove(place);
    for record in table.records.iter_mut().flatten() {
        if place < record.cells.len() {
            record.cells.remove(place);
        }
    }
    for view in &mut table.views {
        view.visible.retain(|visible| *visible != place);
        for visible in view.visible.iter_mut().chain(view.filled.as_mut()) {
            *visible -= usize::from(*visible > place);
        }
    }
    Ok(())
}
