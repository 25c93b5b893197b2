//! The company of the demo: its data, its standbys, and the analyst's question without the product.

use anyhow::{Result, ensure};
use warehouse_tests::sites::{SITES, Sites};
use warehouse_tests::{Cluster, Stop};

use crate::support::PlainCopy;

#[test]
fn the_question_has_an_answer() -> Result<()> {
    let sites = Sites::start(500, Cluster::builder("plain"), &|_| {})?;
    let plain = PlainCopy::of(&sites, &sites.warehouse)?;
    let answer = plain.answer(&sites, 26)?;
    let weeks: Vec<Vec<i64>> = answer
        .lines()
        .map(|line| line.split('|').skip(1).map(|n| n.parse().unwrap_or(-1)).collect())
        .collect();
    ensure!(weeks.len() >= 25, "{answer}");
    ensure!(weeks.iter().all(|week| week[4] == week[..4].iter().sum::<i64>()));
    let counted: i64 = weeks.iter().map(|week| week[4]).sum();
    let all: i64 = sites
        .warehouse
        .value(
            &plain.database,
            "SELECT count(*)::text FROM main.users WHERE kind = 'student' AND created_at >= \
             date_trunc('week', now()) - interval '25 weeks'",
        )?
        .parse()?;
    ensure!(counted < all && counted > all * 8 / 10, "{counted} of {all}");

    // Sites differ a little, as in life.
    for (site, column, exists) in [(2, "birth_date", "0"), (3, "graduation_year", "1")] {
        let found = sites.production(&SITES[site])?.standby.value(
            SITES[site].main_database,
            &format!(
                "SELECT count(*)::text FROM information_schema.columns WHERE table_schema = '{}' \
                 AND table_name = 'users' AND column_name = '{column}'",
                SITES[site].schema
            ),
        )?;
        ensure!(found == exists);
    }
    sites.production[0].primary.stop(Stop::Immediate)?;
    sites.production[0].standby.value("miacademy", "SELECT count(*)::text FROM meta.plans")?;
    Ok(())
}
