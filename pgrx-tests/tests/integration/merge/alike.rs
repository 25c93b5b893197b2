//! Sites whose tables are alike are asked alike; one whose table is not is asked in its own way.

use anyhow::{Result, ensure};

use crate::ask::{rows, run};
use crate::support::Pair;

/// Six sites: two alike, one with its columns in another order, one that calls a column otherwise, one whose
/// column is of another type, one that lacks a column.
const SCRIPT: &str = "
    CREATE SCHEMA a; CREATE SCHEMA b; CREATE SCHEMA c; CREATE SCHEMA d; CREATE SCHEMA e; CREATE SCHEMA f;
    CREATE TABLE a.t (gone int, k int, v bigint, n numeric, note text);
    ALTER TABLE a.t DROP COLUMN gone;
    CREATE TABLE b.t (k int, v bigint, n numeric, note text);
    CREATE TABLE c.t (note text, n numeric, v bigint, k int);
    CREATE TABLE d.t (k int, v bigint, n numeric, note text, other bigint);
    CREATE TABLE e.t (k int, v int, n numeric, note text);
    CREATE TABLE f.t (k int, v bigint, note text);
    DO $$ DECLARE site text; BEGIN
      FOREACH site IN ARRAY ARRAY['a', 'b', 'c', 'd', 'e', 'f'] LOOP
        EXECUTE format('INSERT INTO %I.t (k, v, note) SELECT i %% 7, i * ascii(%L), nullif(''note '' || i %% 3, ''note 1'') \
          FROM generate_series(1, 40) i', site, site);
        IF site <> 'f' THEN
          EXECUTE format('UPDATE %I.t SET n = v / 7.0', site);
        END IF;
      END LOOP;
    END $$;
    UPDATE d.t SET other = 1000 + v";

/// One part reads another column than the others.
const OTHERWISE: &str = "DO $$ DECLARE part regclass; BEGIN \
    SELECT i.inhrelid INTO STRICT part FROM pg_inherits i JOIN pg_foreign_table f ON f.ftrelid = i.inhrelid \
      WHERE i.inhparent = 'main.t'::regclass AND 'schema_name=d' = ANY (f.ftoptions); \
    EXECUTE format('ALTER FOREIGN TABLE %s ALTER COLUMN v OPTIONS (SET column_name ''other'')', part); \
  END $$";

#[test]
fn each_site_is_asked_for_its_own_columns() -> Result<()> {
    let pair = Pair::new("alike")?;
    run(&mut pair.source()?, SCRIPT)?;
    let mut client = pair.warehouse()?;
    let sources: Vec<String> = ["a", "b", "c", "d", "e", "f"]
        .iter()
        .map(|site| {
            format!("{{\"server\": \"src\", \"schema\": \"{site}\", \"site\": \"{site}\"}}")
        })
        .collect();
    run(
        &mut client,
        &format!("SELECT * FROM warehouse.merge_schema('main', '[{}]')", sources.join(", ")),
    )?;
    run(&mut client, OTHERWISE)?;
    let at_least = "PREPARE of(bigint) AS SELECT k, sum(v), count(*) FILTER (WHERE v > $1) \
        FROM main.t GROUP BY k ORDER BY k";
    run(&mut client, at_least)?;
    for sql in [
        "SELECT k, count(*), sum(v), avg(v), min(v), max(v), sum(n), avg(n) FROM main.t GROUP BY k ORDER BY k",
        "SELECT note, count(note), count(n), sum(v) FROM main.t GROUP BY note ORDER BY note COLLATE \"C\"",
        "SELECT k + 1, max(v), stddev(n) FROM main.t WHERE v > 200 GROUP BY 1 ORDER BY 1",
        "SELECT count(*), sum(v), avg(n), max(note COLLATE \"C\") FROM main.t",
        "SELECT k, sum(v) FROM main.t GROUP BY k HAVING sum(v) > 5000 AND count(site) > 1 ORDER BY k",
        "SELECT x.k, sum(x.v), (SELECT sum(v) FROM main.t WHERE k < 3) FROM main.t x GROUP BY x.k ORDER BY 1",
        "EXECUTE of(1500)",
    ] {
        let plan = rows(&mut client, &format!("EXPLAIN (VERBOSE, COSTS OFF) {sql}"))?;
        for site in ["a", "b", "c", "d", "e", "f"] {
            ensure!(plan.contains(&format!("FROM {site}.t")), "{site} is not asked:\n{plan}");
        }
        let asked: Vec<&str> = plan.lines().filter(|line| line.contains("FROM d.t")).collect();
        ensure!(asked.iter().all(|line| line.contains("other") && !line.contains("(v)")), "{plan}");
        let sites = rows(&mut client, sql)?;
        ensure!(sites.lines().count() > 0, "no rows: {sql}");
        run(&mut client, "SET warehouse.partitionwise = off")?;
        let plain = rows(&mut client, sql)?;
        run(&mut client, "RESET warehouse.partitionwise")?;
        ensure!(sites == plain, "{sql}\nsite by site:\n{sites}\nplain:\n{plain}\n{plan}");
    }
    Ok(())
}

/// What was found out of one query's parts is not taken over into another one, nor into a part that has
/// changed in between.
#[test]
fn a_part_that_changes_is_asked_anew() -> Result<()> {
    let pair = Pair::new("alike_changed")?;
    run(&mut pair.source()?, SCRIPT)?;
    let mut client = pair.warehouse()?;
    let sources = "[{\"server\": \"src\", \"schema\": \"b\", \"site\": \"b\"}, \
        {\"server\": \"src\", \"schema\": \"d\", \"site\": \"d\"}]";
    run(&mut client, &format!("SELECT * FROM warehouse.merge_schema('main', '{sources}')"))?;
    let sql = "SELECT sum(v), count(*) FROM main.t";
    run(&mut client, &format!("PREPARE of AS {sql}"))?;
    let before = rows(&mut client, sql)?;
    for _ in 0..8 {
        ensure!(rows(&mut client, "EXECUTE of")? == before, "another answer");
    }
    run(&mut client, OTHERWISE)?;
    let after = rows(&mut client, sql)?;
    ensure!(after != before, "the other column is not read: {after}");
    ensure!(rows(&mut client, "EXECUTE of")? == after, "the plan from before was kept");
    Ok(())
}
