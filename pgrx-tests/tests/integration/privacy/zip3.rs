//! The table of the mask `zip3`.

use anyhow::Result;
use postgres::Client;

use crate::ask::{expect, refused, run};
use crate::support::Pair;

/// Places of a source in `d.places`, under the mask.
fn places(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(
        &mut pair.source()?,
        "CREATE TABLE places (id int PRIMARY KEY, zip text, more jsonb); INSERT INTO places VALUES \
           (1, '90210', '{\"zip\": \"90210\"}'), (2, '03601', '{\"zip\": \"03601\"}'), (3, '10001', '{\"zip\": \"10001\"}')",
    )?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA d; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO d; \
         SELECT warehouse.classify('d.places', 'zip', 'quasi', 'zip3'), \
           warehouse.classify('d.places', 'more', 'quasi', 'json(''$.zip'' => zip3)')",
    )?;
    Ok((pair, client))
}

const READ: &str = "SELECT string_agg(zip, ',' ORDER BY id), string_agg(more ->> 'zip', ',' ORDER BY id), \
    string_agg(warehouse.zip3(z.code), ',' ORDER BY id), string_agg(warehouse.mask(z.code, 'zip3'), ',' ORDER BY id) \
    FROM d.places JOIN (VALUES (1, '90210'), (2, '03601'), (3, '10001')) z(id, code) USING (id)";

#[test]
fn a_list_that_is_loaded_counts() -> Result<()> {
    let (pair, mut client) = places("zips")?;
    let built_in = "902,000,100|902,000,100|902,000,100|902,000,100";
    let loaded = "000,036,100|000,036,100|000,036,100|000,036,100";
    expect(&mut client, READ, built_in)?;
    let mut other = pair.warehouse()?;
    expect(&mut other, READ, built_in)?;
    run(&mut other, &format!("PREPARE q AS {READ}"))?;
    expect(&mut other, "EXECUTE q", built_in)?;
    run(
        &mut client,
        "INSERT INTO warehouse.zip3_population VALUES ('902', 20000, 'test'), ('036', 20001, NULL), ('100', 1500000, NULL)",
    )?;
    // At once here and in other sessions, also where a plan and a masker were kept.
    expect(&mut client, READ, loaded)?;
    expect(&mut other, READ, loaded)?;
    expect(&mut other, "EXECUTE q", loaded)?;
    // What it does not list is not hidden; what is not committed counts for nobody else.
    run(&mut client, "BEGIN; DELETE FROM warehouse.zip3_population WHERE zip3 = '902'")?;
    expect(&mut client, READ, &loaded.replace("000,", "902,"))?;
    expect(&mut other, READ, loaded)?;
    run(&mut client, "SAVEPOINT s; TRUNCATE warehouse.zip3_population")?;
    expect(&mut client, READ, built_in)?;
    run(&mut client, "ROLLBACK TO s")?;
    expect(&mut client, READ, &loaded.replace("000,", "902,"))?;
    run(&mut client, "ROLLBACK")?;
    expect(&mut client, READ, loaded)?;
    // Within one statement of the client, too.
    run(
        &mut client,
        "DO $$ BEGIN \
           ASSERT warehouse.zip3('90210') = '000', 'loaded'; \
           BEGIN DELETE FROM warehouse.zip3_population; ASSERT warehouse.zip3('90210') = '902', 'deleted'; RAISE division_by_zero; \
           EXCEPTION WHEN division_by_zero THEN NULL; END; \
           ASSERT warehouse.zip3('90210') = '000', 'rolled back'; \
           UPDATE warehouse.zip3_population SET population = 30000; ASSERT warehouse.zip3('90210') = '902', 'updated'; \
           UPDATE warehouse.zip3_population SET population = 3; ASSERT (SELECT zip = '000' FROM d.places WHERE id = 3), 'scanned'; \
         END $$",
    )?;
    run(&mut client, "TRUNCATE warehouse.zip3_population")?;
    expect(&mut client, READ, built_in)?;
    expect(&mut other, "EXECUTE q", built_in)
}

#[test]
fn a_snapshot_keeps_its_list() -> Result<()> {
    let (pair, mut client) = places("zipsnapshot")?;
    let mut other = pair.warehouse()?;
    run(&mut other, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1")?;
    expect(&mut other, "SELECT warehouse.zip3('90210')", "902")?;
    run(&mut client, "INSERT INTO warehouse.zip3_population VALUES ('902', 1, NULL)")?;
    expect(&mut other, "SELECT warehouse.zip3('90210')", "902")?;
    run(&mut other, "COMMIT")?;
    expect(&mut other, "SELECT warehouse.zip3('90210')", "000")
}

#[test]
fn it_is_for_admins_and_checked() -> Result<()> {
    let (pair, mut client) = places("zipright")?;
    let (boss, reader) = (
        format!("boss_{}", pair.warehouse_database),
        format!("reader_{}", pair.warehouse_database),
    );
    run(
        &mut client,
        &format!(
            "CREATE ROLE \"{boss}\"; GRANT warehouse_admin TO \"{boss}\"; CREATE ROLE \"{reader}\"; \
             GRANT USAGE ON SCHEMA d TO \"{reader}\"; GRANT SELECT ON d.places TO \"{reader}\"; SET ROLE \"{boss}\"; \
             INSERT INTO warehouse.zip3_population VALUES ('902', 1, NULL)"
        ),
    )?;
    for row in ["('90', 1)", "('9x2', 1)", "('903', -1)", "('902', 5)", "(NULL, 1)"] {
        let insert =
            format!("INSERT INTO warehouse.zip3_population (zip3, population) VALUES {row}");
        let told = refused(&mut client, &insert)?;
        anyhow::ensure!(told.code.starts_with("23"), "{told:?}");
    }
    run(&mut client, &format!("RESET ROLE; SET ROLE \"{reader}\""))?;
    expect(&mut client, "SELECT zip FROM d.places WHERE id = 1", "000")?;
    refused(&mut client, "DELETE FROM warehouse.zip3_population")?.says("42501", &[])?;
    // The function is stable: no index and no fold takes its result for good.
    run(&mut client, "RESET ROLE; CREATE TABLE kept (zip text)")?;
    refused(&mut client, "CREATE INDEX ON kept (warehouse.zip3(zip))")?.says("42P17", &[])?;
    // A table that cannot be read hides nothing by accident: the mask fails.
    run(&mut client, "REVOKE SELECT ON warehouse.zip3_population FROM PUBLIC")?;
    run(&mut client, &format!("SET ROLE \"{reader}\""))?;
    refused(&mut client, "SELECT zip FROM d.places")?.says("42501", &["zip3_population"])?;
    expect(&mut client, "SELECT id FROM d.places ORDER BY id", "1\n2\n3")
}
