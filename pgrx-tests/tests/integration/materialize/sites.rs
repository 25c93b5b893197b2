//! Merged sources: each site is refreshed by itself.

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::faults::{Mode, Proxy};

use crate::ask::{declare, expect, refused, rows, run};
use crate::support::Pair;

/// Three sites of 100 rows each, merged into `main.people`.
struct Merged {
    _pair: Pair,
    sites: Vec<(Client, Proxy)>,
    client: Client,
}

fn merged(test: &str) -> Result<Merged> {
    let pair = Pair::new(test)?;
    let mut client = pair.warehouse()?;
    let mut sites = Vec::new();
    let mut list = Vec::new();
    for name in ["a", "b", "c"] {
        let database = pair.source_cluster.create_database(test)?;
        let mut source = pair.source_cluster.connect(&database)?;
        run(
            &mut source,
            &format!(
                "CREATE SCHEMA app; CREATE TABLE app.people (id int PRIMARY KEY, name text, changed timestamptz DEFAULT now()); \
                 INSERT INTO app.people (id, name) SELECT i, '{name}' || i FROM generate_series(1, 100) i"
            ),
        )?;
        let proxy = Proxy::to_cluster(pair.source_cluster)?;
        declare(&mut client, name, proxy.port(), &database, ", connect_timeout '2'")?;
        list.push(format!(r#"{{"server": "{name}", "schema": "app", "site": "{name}"}}"#));
        sites.push((source, proxy));
    }
    run(
        &mut client,
        &format!(
            "SET client_min_messages = warning; CREATE SCHEMA mart; SELECT warehouse.merge_schema('main', '[{}]')",
            list.join(",")
        ),
    )?;
    Ok(Merged { _pair: pair, sites, client })
}

impl Merged {
    fn materialize(&mut self, arguments: &str) -> Result<()> {
        run(
            &mut self.client,
            &format!(
                "SELECT warehouse.materialize('mart.people', 'SELECT * FROM main.people', {arguments})"
            ),
        )
    }

    fn at(&mut self, site: usize, sql: &str) -> Result<()> {
        run(&mut self.sites[site].0, sql)
    }

    fn refresh(&mut self, more: &str) -> Result<String> {
        rows(
            &mut self.client,
            &format!(
                "SELECT status, inserted, updated, deleted, error IS NULL FROM warehouse.refresh('mart.people'{more})"
            ),
        )
    }

    fn agree(&mut self) -> Result<()> {
        expect(
            &mut self.client,
            "SELECT count(*) FROM ((TABLE mart.people EXCEPT ALL TABLE main.people) UNION ALL \
               (TABLE main.people EXCEPT ALL TABLE mart.people)) d",
            "0",
        )
    }
}

/// What a dead site has shown before stays, whatever the way of refreshing; the others go on, and
/// freshness says so.
#[test]
fn a_dead_site_fails_alone() -> Result<()> {
    for arguments in [
        "unique_key => '{site,id}', capture => 'xmin'",
        "unique_key => '{site,id}', capture => 'diff'",
        "unique_key => '{site,id}', cursor_column => 'changed', lookback => '1 hour'",
        "strategy => 'full'",
    ] {
        let mut ground = merged("deadsite")?;
        ground.materialize(arguments)?;
        ground.agree()?;
        for site in 0..3 {
            ground.at(
                site,
                "UPDATE app.people SET name = 'new', changed = clock_timestamp() WHERE id = 1",
            )?;
        }
        ground.sites[1].1.set(Mode::Refuse)?;
        run(&mut ground.client, "SELECT warehouse.disconnect(NULL)")?;
        let found = ground.refresh("")?;
        ensure!(found.starts_with("partial|") && found.ends_with("|f"), "{arguments}: {found}");
        expect(
            &mut ground.client,
            "SELECT site, count(*), count(*) FILTER (WHERE name = 'new') FROM mart.people GROUP BY 1 ORDER BY 1; \
             SELECT source, status, last_error IS NOT NULL FROM warehouse.freshness ORDER BY 1; \
             SELECT status, error LIKE 'b:%' FROM warehouse.runs ORDER BY id DESC LIMIT 1",
            "a|100|1\nb|100|0\nc|100|1\na|ok|f\nb|warn|t\nc|ok|f\npartial|t",
        )?;
        ground.sites[1].1.set(Mode::Pass)?;
        let found = ground.refresh("")?;
        ensure!(found.starts_with("succeeded|"), "{arguments}: {found}");
        ground.agree()?;
        expect(&mut ground.client, "SELECT DISTINCT status FROM warehouse.freshness", "ok")?;
    }
    Ok(())
}

/// A site that dies while its rows come leaves none of them behind, also where they are written so that
/// everybody sees them.
#[test]
fn a_site_that_dies_half_way_leaves_nothing() -> Result<()> {
    let mut ground = merged("halfway")?;
    ground.materialize("unique_key => '{site,id}'")?;
    ground.at(
        1,
        "INSERT INTO app.people SELECT i, repeat('x', 1000) FROM generate_series(101, 20000) i",
    )?;
    ground.sites[1].1.set(Mode::CutAfter(3_000_000))?;
    run(&mut ground.client, "SELECT warehouse.disconnect(NULL)")?;
    let found = ground.refresh(", full_refresh => true")?;
    ensure!(found.starts_with("partial|"), "{found}");
    expect(
        &mut ground.client,
        "SELECT site, count(*) FROM mart.people GROUP BY 1 ORDER BY 1",
        "a|100\nb|100\nc|100",
    )?;
    ground.sites[1].1.set(Mode::Pass)?;
    ground.refresh(", full_refresh => true")?;
    ground.agree()
}

#[test]
fn all_sites_dead_is_an_error_and_changes_nothing() -> Result<()> {
    let mut ground = merged("alldead")?;
    ground.materialize("unique_key => '{site,id}', capture => 'xmin'")?;
    for (_, proxy) in &ground.sites {
        proxy.set(Mode::Refuse)?;
    }
    run(&mut ground.client, "SELECT warehouse.disconnect(NULL)")?;
    for more in ["", ", full_refresh => true"] {
        let told = refused(
            &mut ground.client,
            &format!("SELECT * FROM warehouse.refresh('mart.people'{more})"),
        )?;
        ensure!(told.code.starts_with("08"), "{told:?}");
    }
    expect(&mut ground.client, "SELECT count(*) FROM mart.people", "300")
}

/// The rows of a site that was taken out go with the next refresh; a new one comes.
#[test]
fn sites_come_and_go() -> Result<()> {
    let mut ground = merged("comeandgo")?;
    ground.materialize("unique_key => '{site,id}', capture => 'xmin'")?;
    run(&mut ground.client, "SELECT warehouse.drop_site('main', 'c')")?;
    ensure!(ground.refresh("")? == "succeeded|0|0|100|t");
    ground.agree()?;
    expect(&mut ground.client, "SELECT count(*) FROM warehouse.freshness", "2")?;
    run(
        &mut ground.client,
        r#"SELECT warehouse.merge_schema('main', '[{"server": "a", "schema": "app", "site": "a"}, {"server": "b", "schema": "app", "site": "b"}, {"server": "c", "schema": "app", "site": "new"}]')"#,
    )?;
    ground.refresh("")?;
    ground.agree()
}

#[test]
fn an_owner_below_row_level_security() -> Result<()> {
    let mut ground = merged("policies")?;
    let owner = format!("keeper_{}", ground._pair.warehouse_database);
    run(
        &mut ground.client,
        &format!(
            "CREATE ROLE {owner}; GRANT warehouse_admin TO {owner}; GRANT USAGE ON SCHEMA main TO {owner}; \
             GRANT SELECT ON ALL TABLES IN SCHEMA main TO {owner}; GRANT CREATE, USAGE ON SCHEMA mart TO {owner}; \
             SET ROLE {owner}"
        ),
    )?;
    ground.materialize("unique_key => '{site,id}', capture => 'xmin'")?;
    run(
        &mut ground.client,
        "SELECT warehouse.materialize('mart.counts', 'SELECT site, count(*) AS n FROM mart.people GROUP BY site', capture => 'change'); \
         RESET ROLE; SELECT warehouse.restrict_table('mart.people'), warehouse.restrict_table('mart.counts')",
    )?;
    let mut client = ground._pair.warehouse()?;
    run(&mut client, &format!("SET client_min_messages = warning; SET ROLE {owner}"))?;
    let refresh = |more: &str| {
        format!("SELECT status, updated, inserted FROM warehouse.refresh('mart.people'{more})")
    };
    ground.at(0, "UPDATE app.people SET name = 'new' WHERE id <= 3; DELETE FROM app.people WHERE id = 100; INSERT INTO app.people (id, name) VALUES (101, 'x')")?;
    expect(&mut client, &refresh(""), "succeeded|3|1")?;
    expect(&mut client, "SELECT n FROM mart.counts WHERE site = 'a'", "101")?;
    expect(&mut client, &refresh(", reconcile => true"), "succeeded|0|0")?;
    expect(&mut client, "SELECT n FROM mart.counts WHERE site = 'a'", "100")?;
    rows(&mut client, &refresh(", full_refresh => true"))?;
    ground.agree()?;
    // One who sees a part of the rows only is not to take it for the whole.
    run(&mut ground.client, &format!("SELECT warehouse.restrict_sites('{owner}', '{{a}}')"))?;
    refused(&mut client, &refresh(""))?.says("42501", &["row-level security"])?;
    run(&mut ground.client, &format!("SELECT warehouse.unrestrict_sites('{owner}')"))?;
    // Another policy may hide anything.
    run(&mut ground.client, "CREATE POLICY own ON mart.people USING (id < 50)")?;
    refused(&mut client, &refresh(""))?.says("42501", &["row-level security"])?;
    ground.agree()
}

/// What a follower must not show fails the run, not the site that brings it; what it shows while some of
/// the sites have been applied does not count.
#[test]
fn tests_of_a_follower_count_for_all_sites_together() -> Result<()> {
    let mut ground = merged("followertests")?;
    ground.materialize("unique_key => '{site,id}', capture => 'diff', strategy => 'merge'")?;
    run(
        &mut ground.client,
        r#"SELECT warehouse.materialize('mart.initials', 'SELECT left(name, 3) AS initial, count(*) AS n
             FROM mart.people WHERE name LIKE ''new%'' GROUP BY 1', capture => 'change',
             tests => '{"sql": ["SELECT FROM {this} WHERE n < 4"]}')"#,
    )?;
    ground.at(0, "UPDATE app.people SET name = 'new' WHERE id < 5")?;
    ensure!(ground.refresh("")?.starts_with("succeeded|0|4|0"));
    // Two leave at the first site, which is the first that is applied, and come at the last.
    ground.at(0, "UPDATE app.people SET name = 'old' WHERE id < 3")?;
    ground.at(2, "UPDATE app.people SET name = 'new' WHERE id < 3")?;
    let found = ground.refresh("")?;
    ensure!(found.starts_with("succeeded|0|4|0"), "{found}");
    ground.at(1, "UPDATE app.people SET name = 'other' WHERE id = 9")?;
    ground.at(2, "UPDATE app.people SET name = 'gone' WHERE id < 3")?;
    refused(&mut ground.client, "SELECT warehouse.refresh('mart.people')")?
        .says("23514", &["mart.initials", "sql[0]"])?;
    expect(
        &mut ground.client,
        "SELECT count(*) FROM mart.people WHERE name IN ('other', 'gone'); SELECT n FROM mart.initials",
        "0\n4",
    )?;
    ground.at(0, "UPDATE app.people SET name = 'new' WHERE id < 3")?;
    let found = ground.refresh("")?;
    ensure!(found.starts_with("succeeded|0|5|0"), "{found}");
    ground.agree()
}
