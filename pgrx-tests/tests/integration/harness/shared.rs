//! What tests share really is apart for each of them.

use anyhow::{Result, ensure};

use crate::support::Pair;

#[test]
fn pairs_have_databases_of_their_own() -> Result<()> {
    let (one, two) = (Pair::new("pair")?, Pair::new("pair")?);
    one.source()?.batch_execute("CREATE TABLE only_here ()")?;
    ensure!(two.source()?.simple_query("TABLE only_here").is_err());
    let server = one
        .warehouse()?
        .query_one("SELECT srvoptions FROM pg_foreign_server WHERE srvname = 'src'", &[])?;
    let options: Vec<String> = server.get(0);
    ensure!(options.contains(&format!("dbname={}", one.source_database)));
    ensure!(one.warehouse_database != two.warehouse_database);
    Ok(())
}
