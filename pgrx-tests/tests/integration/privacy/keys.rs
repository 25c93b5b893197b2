//! The key, and masks that need it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::Cluster;

use super::PEOPLE;
use crate::ask::{expect, refused, rows, run};
use crate::support::{Pair, READER, READER_PASSWORD};

/// A warehouse of its own, since the key is the server's, that reads `people`.
pub(super) fn warehouse(test: &str) -> Result<(Pair, Cluster, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, PEOPLE)?;
    let warehouse = Cluster::builder(test).preload("warehouse").start()?;
    let mut client = warehouse.connect("postgres")?;
    let file = warehouse.socket_dir().join("warehouse.key");
    run(&mut client, &format!("ALTER SYSTEM SET warehouse.key_file = '{}'", file.display()))?;
    run(
        &mut client,
        &format!(
            "SELECT pg_reload_conf(); CREATE EXTENSION warehouse; \
             CREATE SERVER src FOREIGN DATA WRAPPER replica_fdw \
               OPTIONS (host '127.0.0.1', port '{}', dbname '{}'); \
             CREATE USER MAPPING FOR PUBLIC SERVER src OPTIONS (user '{READER}', password '{READER_PASSWORD}'); \
             CREATE SCHEMA d; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO d; SET search_path = d, public",
            pair.source_cluster.port(),
            pair.source_database
        ),
    )?;
    Ok((pair, warehouse, client))
}

#[test]
fn keyed_masks_fail_closed_and_join() -> Result<()> {
    let (_pair, warehouse, mut client) = warehouse("keyed")?;
    run(
        &mut client,
        "SELECT warehouse.classify('d.people', 'email', 'identifier', 'pseudonym(person)'); \
         SELECT warehouse.classify('d.people', 'name', 'identifier', 'fake_full_name(person)'); \
         SELECT warehouse.classify('d.people', 'phone', 'identifier', 'fpe(person)'); \
         SELECT warehouse.classify('d.people', 'born', 'quasi', 'date_shift(id, 30)')",
    )?;
    // Without a key nothing is shown.
    refused(&mut client, "SELECT email FROM people")?.says("58P01", &["warehouse.key_file"])?;
    expect(&mut client, "SELECT count(*) FROM people", "501")?;
    refused(&mut client, "SELECT warehouse.pseudonym('x', 'person')")?
        .says("58P01", &["warehouse.key_file"])?;

    run(&mut client, "SELECT warehouse.create_key()")?;
    refused(&mut client, "SELECT warehouse.create_key()")?.says("58P02", &["exists"])?;
    let file = warehouse.socket_dir().join("warehouse.key");
    ensure!(fs::metadata(&file)?.permissions().mode() & 0o777 == 0o600);
    // The same person has the same pseudonym everywhere, however the address is written.
    expect(
        &mut client,
        "SELECT count(DISTINCT email), min(length(email)), count(*) FILTER (WHERE email = \
           warehouse.pseudonym(' CANARY' || id || '@canary.EXAMPLE', 'person')) FROM people",
        "500|32|500",
    )?;
    expect(&mut client, "SELECT count(*) FROM people a JOIN people b ON a.email = b.email", "500")?;
    expect(
        &mut client,
        "SELECT count(*) FROM people WHERE name LIKE '%CANARY%' OR phone BETWEEN 7000000000 AND 7000000500",
        "0",
    )?;
    expect(
        &mut client,
        "SELECT max(born) - min(born) > 400, count(DISTINCT phone) FROM people",
        "t|500",
    )?;
    let before = rows(&mut client, "SELECT email, name, phone, born FROM people WHERE id = 7")?;
    let mut other = warehouse.connect("postgres")?;
    expect(&mut other, "SELECT email, name, phone, born FROM d.people WHERE id = 7", &before)?;
    // Nobody else may compute them.
    run(
        &mut client,
        "CREATE ROLE nobody; GRANT USAGE ON SCHEMA d TO nobody; GRANT SELECT ON d.people TO nobody",
    )?;
    run(&mut other, "SET SESSION AUTHORIZATION nobody")?;
    for call in [
        "pseudonym('x', 'person')",
        "token('x', 'person')",
        "fake_email('x')",
        "hash('x', 'person')",
    ] {
        refused(&mut other, &format!("SELECT warehouse.{call}"))?.says("42501", &[])?;
    }
    expect(&mut other, "SELECT email, name, phone, born FROM d.people WHERE id = 7", &before)?;
    // Another version makes other pseudonyms; a key that is open to others is none.
    run(&mut client, "SELECT warehouse.rotate_key('person')")?;
    let after = rows(&mut client, "SELECT email, name, phone, born FROM people WHERE id = 7")?;
    ensure!(before != after, "{before}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    refused(&mut client, "SELECT email FROM people")?.says("F0000", &["open to other users"])?;
    Ok(())
}

/// What `name` of row `id` is in `many`: NULLs, values that come again, some of more than a block of
/// SHA-256, some that are not ASCII.
const NAME: &str = "CASE WHEN id % 7 = 0 THEN NULL WHEN id % 11 = 0 THEN repeat('long ', (id % 20)::int) || id \
    WHEN id % 5 = 0 THEN 'Again ' || id % 3 WHEN id % 13 = 0 THEN ' Zoë ' || id \
    ELSE 'u' || id || '@Example.com' END";

/// Keyed values of rows that come together are worked out together. Each gets what it gets alone.
#[test]
fn rows_that_come_together_get_what_each_gets_alone() -> Result<()> {
    let (pair, _warehouse, mut client) = warehouse("together")?;
    run(
        &mut pair.source()?,
        &format!(
            "CREATE TABLE many AS SELECT id, {NAME} AS name, {NAME} AS nick, id % 1000 AS of \
             FROM generate_series(1, 20001::bigint) id; ALTER TABLE many ADD PRIMARY KEY (id); ANALYZE many"
        ),
    )?;
    run(
        &mut client,
        "IMPORT FOREIGN SCHEMA public LIMIT TO (many) FROM SERVER src INTO d; \
         SELECT warehouse.create_key(); \
         SELECT warehouse.classify('d.many', 'name', 'identifier', 'pseudonym(person)'); \
         SELECT warehouse.classify('d.many', 'nick', 'identifier', 'hash(person)')",
    )?;
    let wrong = format!(
        "count(*) FILTER (WHERE name IS DISTINCT FROM warehouse.pseudonym({NAME}, 'person')), \
         count(*) FILTER (WHERE nick IS DISTINCT FROM warehouse.hash({NAME}, 'person'))"
    );
    // Batches that end where they may, in order and not.
    for (rows, some) in [
        ("20001|20001", "many"),
        ("1|1", "(SELECT * FROM many LIMIT 1) m"),
        ("6|6", "(SELECT * FROM many ORDER BY id DESC LIMIT 6) m"),
        ("20|20", "(SELECT * FROM many WHERE of = 7 OFFSET 0) m"),
        (
            "13|13",
            "(SELECT * FROM many WHERE id IN (SELECT n * 1500 FROM generate_series(1, 13) n)) m",
        ),
    ] {
        expect(
            &mut client,
            &format!("SELECT count(*), count(DISTINCT id), {wrong} FROM {some}"),
            &format!("{rows}|0|0"),
        )?;
    }
    // Another read wants the wire while rows have been looked at.
    expect(
        &mut client,
        &format!(
            "SELECT count(*), {wrong} FROM (SELECT * FROM many OFFSET 0) m \
             WHERE id > 3 AND id <= 20000 - (SELECT count(*) FROM (SELECT FROM many OFFSET 0) n WHERE m.id = 5)"
        ),
        "19996|0|0",
    )?;
    // Given up in the middle, and asked again.
    for _ in 0..3 {
        let found = rows(&mut client, "SELECT id FROM many LIMIT 2")?;
        ensure!(found.lines().count() == 2, "{found}");
    }
    expect(
        &mut client,
        "SELECT count(*) FROM (SELECT * FROM many OFFSET 0) a JOIN (SELECT * FROM many OFFSET 0) b \
         ON a.id = b.id AND a.name = b.name",
        "17144",
    )
}

#[test]
fn tokens_are_read_with_the_right() -> Result<()> {
    let (_pair, warehouse, mut client) = warehouse("tokens")?;
    run(&mut client, "SELECT warehouse.create_key(), warehouse.register_domain('person')")?;
    run(
        &mut client,
        "SELECT warehouse.classify('d.people', 'email', 'identifier', 'token(person)')",
    )?;
    run(&mut client, "CREATE TABLE kept AS SELECT id, email FROM people")?;
    refused(&mut client, "SELECT warehouse.reveal(email, 'person') FROM kept")?
        .says("42501", &[])?;
    run(
        &mut client,
        "CREATE ROLE officer; GRANT warehouse_clear TO officer; GRANT SELECT ON kept TO officer; \
         GRANT USAGE ON SCHEMA d TO officer",
    )?;
    let mut officer = warehouse.connect("postgres")?;
    run(&mut officer, "SET SESSION AUTHORIZATION officer; SET search_path = d, public")?;
    let revealed = "SELECT warehouse.reveal(email, 'person') FROM kept WHERE id = 7";
    expect(&mut officer, revealed, "canary7@CANARY.example")?;
    run(&mut client, "SELECT warehouse.rotate_key('person')")?;
    expect(&mut officer, revealed, "canary7@CANARY.example")?;
    run(&mut client, "SELECT warehouse.shred_key('person', 1)")?;
    refused(&mut officer, revealed)?.says("22023", &["not a token"])?;
    expect(
        &mut client,
        "SELECT domain, version, state FROM warehouse.keys() WHERE version = 1",
        "person|1|shredded",
    )
}
