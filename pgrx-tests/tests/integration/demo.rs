//! The demo in small: the analyst's questions over the merged tables, Braintree and Airtable have the
//! answers that plain copies of the same tables give.

use anyhow::{Result, ensure};
use warehouse_tests::sites::{ANALYST, ANALYST_PASSWORD, SITES, demo_file};

use crate::ask::{rows, run};
use crate::support::{PlainCopy, Topology};

#[test]
fn the_question_is_answered_as_from_plain_copies() -> Result<()> {
    let topology = Topology::new("demo")?;
    topology.merge()?;
    let services = topology.apis()?;
    let plain = PlainCopy::of(topology.sites, &topology.sites.warehouse)?;
    let (braintree, _) = services.running().expect("started here");
    let before = braintree.log().count("advanced_search");
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
    // Braintree was asked for what was not completed, which is not much.
    let asked = braintree.log().count("advanced_search") - before;
    let all = braintree.api().options().sales.len();
    ensure!(asked * 50 < all, "{asked} requests for some of {all} transactions");
    Ok(())
}

#[test]
fn people_are_joined_by_equal_pseudonyms_and_stay_unknown() -> Result<()> {
    let topology = Topology::new("demo_joined")?;
    topology.merge()?;
    let _services = topology.apis()?;
    let mut client = topology.warehouse()?;
    // As the demo: what says who somebody is is masked everywhere.
    run(&mut client, "SELECT count(*) FROM warehouse.classify_schema('main')")?;
    let shown = |file: &str| -> Result<String> {
        let psql = topology.sites.warehouse_psql(&topology.database);
        let psql = psql.user(ANALYST, ANALYST_PASSWORD).arg("--no-align").arg("--tuples-only");
        psql.file(&demo_file(&format!("warehouse/{file}")))?.ok()
    };
    let found = shown("03b-joined.sql")?;
    ensure!(!found.contains(".example") && !found.contains('@'), "{found}");
    // The last SELECT, from the books of each site.
    let (mut students, mut payments) = (0, 0);
    for site in &SITES {
        let primary = &topology.sites.production(site)?.primary;
        let counted = primary.value(
            site.main_database,
            &format!(
                "SELECT count(DISTINCT u.id) || ' ' || count(p.braintree_id) FROM {0}.users u \
                 JOIN {0}.payments p ON p.user_id = u.id AND p.braintree_id IS NOT NULL \
                 WHERE u.kind = 'student' AND u.id % 97 = 2",
                site.schema
            ),
        )?;
        let counted: Vec<i64> = counted.split(' ').filter_map(|it| it.parse().ok()).collect();
        ensure!(counted.len() == 2);
        students += counted[0];
        payments += counted[1];
    }
    let groups: Vec<Vec<&str>> = found
        .lines()
        .map(|line| line.split('|').collect())
        .filter(|parts: &Vec<&str>| parts.len() == 6)
        .collect();
    let sum = |at: usize| groups.iter().filter_map(|it| it[at].parse::<i64>().ok()).sum::<i64>();
    ensure!(students > 0 && (sum(2), sum(3)) == (students, payments), "{found}");
    let plan = rows(
        &mut client,
        "EXPLAIN SELECT * FROM crm.leads l JOIN main.users u ON u.site = l.site AND u.email = l.e_mail",
    )?;
    ensure!(!plan.contains("API Filter"), "a masked column was asked about: {plan}");
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
