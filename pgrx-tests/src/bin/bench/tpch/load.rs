//! Making the tables of TPC-H.

use std::fmt::Display;
use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use postgres::Client;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator,
    PartSuppGenerator, RegionGenerator, SupplierGenerator,
};

/// The tables, in the order of their references.
pub const TABLES: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// Creates the schema `tpch` and fills it.
pub fn load(client: &mut Client, scale: f64) -> Result<()> {
    client.batch_execute(include_str!("tables.sql"))?;
    copy(client, "region", RegionGenerator::new(scale, 1, 1).iter())?;
    copy(client, "nation", NationGenerator::new(scale, 1, 1).iter())?;
    copy(client, "supplier", SupplierGenerator::new(scale, 1, 1).iter())?;
    copy(client, "customer", CustomerGenerator::new(scale, 1, 1).iter())?;
    copy(client, "part", PartGenerator::new(scale, 1, 1).iter())?;
    copy(client, "partsupp", PartSuppGenerator::new(scale, 1, 1).iter())?;
    copy(client, "orders", OrderGenerator::new(scale, 1, 1).iter())?;
    copy(client, "lineitem", LineItemGenerator::new(scale, 1, 1).iter())?;
    client.batch_execute(include_str!("keys.sql"))?;
    for table in TABLES {
        // So that no read has to set hint bits.
        client.batch_execute(&format!("VACUUM (FREEZE, ANALYZE) tpch.{table}"))?;
    }
    client.batch_execute("CHECKPOINT")?;
    Ok(())
}

/// Rows print themselves as `dbgen` does: every field ends with `|`, also the last one.
fn copy(client: &mut Client, table: &str, rows: impl Iterator<Item = impl Display>) -> Result<()> {
    let fill = || -> Result<()> {
        let mut sink = BufWriter::with_capacity(
            1 << 16,
            client.copy_in(&format!("COPY tpch.{table} FROM STDIN (DELIMITER '|')"))?,
        );
        for row in rows {
            let line = row.to_string();
            sink.write_all(line.strip_suffix('|').unwrap_or(&line).as_bytes())?;
            sink.write_all(b"\n")?;
        }
        sink.into_inner().map_err(|error| error.into_error())?.finish()?;
        Ok(())
    };
    fill().with_context(|| format!("table {table}"))
}
