//! The demo in small: the analyst's question over the merged tables has the answer that plain
//! copies of the same tables give.

use anyhow::{Result, ensure};
use warehouse_tests::sites::{ANALYST, ANALYST_PASSWORD, demo_file};

use crate::support::{PlainCopy, Topology};

#[test]
fn the_question_is_answered_as_from_plain_copies() -> Result<()> {
    let topology = Topology::new("demo")?;
    topology.merge()?;
    let plain = PlainCopy::of(topology.sites, &topology.sites.warehouse)?;
    let answer = topology
        .sites
        .warehouse_psql(&topology.database)
        .user(ANALYST, ANALYST_PASSWORD)
        .arg("--no-align")
        .arg("--tuples-only")
        .var("weeks", "26")
        .file(&demo_file("warehouse/03-question.sql"))?
        .ok()?;
    let expected = plain.answer(topology.sites, 26)?;
    ensure!(answer == expected, "merged:\n{answer}\nplain:\n{expected}");
    Ok(())
}

#[test]
fn an_analyst_can_read_and_nothing_else() -> Result<()> {
    let topology = Topology::new("analyst")?;
    topology.merge()?;
    let mut analyst =
        topology.sites.warehouse.connect_as(ANALYST, ANALYST_PASSWORD, &topology.database)?;
    let plans: i64 = analyst.query_one("SELECT count(*) FROM meta.plans", &[])?.get(0);
    ensure!(plans == 3);
    ensure!(analyst.batch_execute("DELETE FROM main.users").is_err());
    ensure!(topology.warehouse()?.batch_execute("DELETE FROM main.users").is_err());
    Ok(())
}
