//! Sources that answer, with an error.

use anyhow::Result;
use postgres::Client;

use crate::ask::{declare, expect, refused, run};
use crate::support::{Pair, READER_PASSWORD};

const SETUP: &str = "CREATE TABLE t AS SELECT g AS id, g::text AS name FROM generate_series(1, 100) g; \
    CREATE TABLE changed (id int, name text, at timestamptz); \
    INSERT INTO changed VALUES (1, 'one', now()); \
    CREATE TABLE gone (id int); CREATE TABLE secret (id int); \
    CREATE VIEW divides AS SELECT id, 1 / (id - 50) AS x FROM t";

/// A pair with the source's tables imported into `app`, and merged as site `a` into `main`.
fn start(test: &str) -> Result<(Pair, Client)> {
    let pair = Pair::new(test)?;
    run(&mut pair.source()?, SETUP)?;
    let mut client = pair.warehouse()?;
    run(
        &mut client,
        "CREATE SCHEMA app; IMPORT FOREIGN SCHEMA public FROM SERVER src INTO app; \
         SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"public\", \"site\": \"a\"}]')",
    )?;
    Ok((pair, client))
}

fn good(client: &mut Client) -> Result<()> {
    expect(client, "SELECT count(*), min(name) FROM app.t", "100|1")
}

#[test]
fn a_wrong_password() -> Result<()> {
    let (_pair, mut client) = start("wrongpw")?;
    run(
        &mut client,
        "ALTER USER MAPPING FOR PUBLIC SERVER src OPTIONS (SET password 'hush hush')",
    )?;
    refused(&mut client, "TABLE app.t")?
        .says("08001", &["\"src\"", "app.t", "authentication failed"])?
        .hints(&["user mapping"])?
        .hides("hush hush")?;
    refused(&mut client, "TABLE main.t")?
        .says("08001", &["\"src\"", "site a"])?
        .hides("hush hush")?;
    run(
        &mut client,
        &format!(
            "ALTER USER MAPPING FOR PUBLIC SERVER src OPTIONS (SET password '{READER_PASSWORD}')"
        ),
    )?;
    good(&mut client)
}

#[test]
fn a_database_that_does_not_exist() -> Result<()> {
    let (pair, mut client) = start("nodb")?;
    run(&mut client, "ALTER SERVER src OPTIONS (SET dbname 'no_such_database')")?;
    refused(&mut client, "TABLE app.t")?
        .says("08001", &["\"src\"", "app.t", "no_such_database"])?;
    let set = format!("ALTER SERVER src OPTIONS (SET dbname '{}')", pair.source_database);
    run(&mut client, &set)?;
    good(&mut client)
}

#[test]
fn no_user_mapping() -> Result<()> {
    let (_pair, mut client) = start("nomap")?;
    run(&mut client, "DROP USER MAPPING FOR PUBLIC SERVER src")?;
    refused(&mut client, "TABLE app.t")?.says("42704", &["user mapping", "src", "app.t"])?;
    run(
        &mut client,
        &format!(
            "CREATE USER MAPPING FOR postgres SERVER src \
             OPTIONS (user 'reader', password '{READER_PASSWORD}')"
        ),
    )?;
    good(&mut client)
}

#[test]
fn a_table_that_is_gone() -> Result<()> {
    let (pair, mut client) = start("gone")?;
    run(&mut pair.source()?, "DROP TABLE gone")?;
    refused(&mut client, "TABLE app.gone")?
        .says("42P01", &["\"src\"", "app.gone", "gone"])?
        .hints(&["merge_schema", "IMPORT FOREIGN SCHEMA"])?;
    refused(&mut client, "TABLE main.gone")?.says("42P01", &["\"src\"", "site a"])?;
    run(&mut pair.source()?, "CREATE SCHEMA elsewhere; ALTER TABLE secret SET SCHEMA elsewhere")?;
    refused(&mut client, "TABLE app.secret")?.says("42P01", &["\"src\"", "app.secret"])?;
    good(&mut client)
}

#[test]
fn a_column_that_is_gone() -> Result<()> {
    let (pair, mut client) = start("nocolumn")?;
    run(&mut pair.source()?, "ALTER TABLE changed DROP COLUMN name")?;
    for sql in ["SELECT name FROM app.changed", "SELECT id FROM app.changed WHERE name = 'one'"] {
        refused(&mut client, sql)?
            .says("42703", &["\"src\"", "app.changed", "name"])?
            .hints(&["merge_schema"])?;
    }
    refused(&mut client, "SELECT name FROM main.changed")?
        .says("42703", &["\"src\"", "site a", "name"])?;
    expect(&mut client, "SELECT id FROM app.changed", "1")?;
    run(&mut pair.source()?, "ALTER TABLE changed RENAME COLUMN at TO happened")?;
    refused(&mut client, "SELECT at FROM app.changed")?.says("42703", &["at"])?;
    good(&mut client)
}

/// Binary data of another type must never be read as what it is not.
#[test]
fn a_column_of_another_type() -> Result<()> {
    let (pair, mut client) = start("retyped")?;
    run(&mut pair.source()?, "ALTER TABLE changed ALTER COLUMN id TYPE bigint")?;
    refused(&mut client, "SELECT id FROM app.changed")?
        .says("HV004", &["\"id\"", "app.changed", "bigint", "integer", "\"src\""])?
        .hints(&["merge_schema"])?;
    refused(&mut client, "SELECT id FROM main.changed")?.says("HV004", &["\"id\"", "site a"])?;
    refused(&mut client, "SELECT name FROM app.changed WHERE id = 1")?
        .says("HV004", &["\"id\""])?;
    run(
        &mut pair.source()?,
        "ALTER TABLE changed ALTER COLUMN at TYPE timestamp, ALTER COLUMN name TYPE varchar(20)",
    )?;
    refused(&mut client, "SELECT at FROM app.changed")?.says("HV004", &["\"at\""])?;
    expect(&mut client, "SELECT name FROM app.changed", "one")?;
    // The way out that the hint names.
    run(
        &mut client,
        "ALTER FOREIGN TABLE app.changed ALTER COLUMN id OPTIONS (ADD remote_type 'bigint')",
    )?;
    expect(&mut client, "SELECT id FROM app.changed WHERE id = 1", "1")?;
    good(&mut client)
}

#[test]
fn a_table_that_may_not_be_read() -> Result<()> {
    let (pair, mut client) = start("grant")?;
    let mut source = pair.source()?;
    run(
        &mut source,
        "DO $$ BEGIN CREATE ROLE poor LOGIN PASSWORD 'poor'; \
         EXCEPTION WHEN duplicate_object THEN NULL; END $$; GRANT SELECT ON t TO poor",
    )?;
    let port = pair.source_cluster.port();
    declare(&mut client, "poor", port, &pair.source_database, "")?;
    run(
        &mut client,
        "ALTER USER MAPPING FOR PUBLIC SERVER poor OPTIONS (SET user 'poor', SET password 'poor'); \
         CREATE SCHEMA poor; IMPORT FOREIGN SCHEMA public LIMIT TO (t, secret) FROM SERVER poor INTO poor",
    )?;
    expect(&mut client, "SELECT count(*) FROM poor.t", "100")?;
    refused(&mut client, "TABLE poor.secret")?
        .says("42501", &["\"poor\"", "poor.secret", "permission denied"])?
        .hints(&["GRANT SELECT"])?;
    expect(&mut client, "SELECT count(*) FROM poor.t", "100")
}

/// An error of the data comes as it is at the source, also behind rows that came before it.
#[test]
fn an_error_of_the_query_at_the_source() -> Result<()> {
    let (_pair, mut client) = start("divides")?;
    for sql in ["SELECT sum(x) FROM app.divides", "SELECT id FROM app.divides WHERE x = 0"] {
        refused(&mut client, sql)?
            .says("22012", &["\"src\"", "app.divides", "division by zero"])?;
        good(&mut client)?;
    }
    run(&mut client, "BEGIN; SELECT count(*) FROM app.t; SAVEPOINT s")?;
    refused(&mut client, "SELECT sum(x) FROM app.divides")?.says("22012", &[])?;
    run(&mut client, "ROLLBACK TO s")?;
    good(&mut client)?;
    run(&mut client, "COMMIT")?;
    expect(
        &mut client,
        "SELECT server, in_transaction FROM warehouse.replica_connections()",
        "src|f",
    )
}

/// A role that is no superuser must not get in with the credentials of the server's own user.
#[test]
fn no_password_and_no_superuser() -> Result<()> {
    let (pair, mut client) = start("nopw")?;
    let socket = pair.source_cluster.socket_dir().display().to_string();
    run(
        &mut client,
        &format!(
            "DO $$ BEGIN CREATE ROLE plain LOGIN PASSWORD 'plain'; \
             EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
             CREATE SERVER trusting FOREIGN DATA WRAPPER replica_fdw \
               OPTIONS (host '{socket}', port '{}', dbname '{}'); \
             GRANT USAGE ON FOREIGN SERVER trusting TO plain; \
             CREATE USER MAPPING FOR plain SERVER trusting OPTIONS (user 'postgres'); \
             CREATE USER MAPPING FOR postgres SERVER trusting OPTIONS (user 'postgres'); \
             CREATE FOREIGN TABLE app.trusted (id int) SERVER trusting \
               OPTIONS (schema_name 'public', table_name 't'); \
             GRANT USAGE ON SCHEMA app TO plain; GRANT SELECT ON app.trusted TO plain",
            pair.source_cluster.port(),
            pair.source_database
        ),
    )?;
    // The socket trusts whoever is there.
    expect(&mut client, "SELECT count(id) FROM app.trusted", "100")?;
    let warehouse = pair.warehouse_cluster;
    let mut plain = warehouse.connect_as("plain", "plain", &pair.warehouse_database)?;
    refused(&mut plain, "TABLE app.trusted")?
        .says("2F003", &["password is required", "\"trusting\"", "app.trusted"])?
        .hints(&["password_required"])?;
    // A password that nobody asks for proves nothing.
    run(
        &mut plain,
        "ALTER USER MAPPING FOR plain SERVER trusting OPTIONS (ADD password 'made up')",
    )?;
    refused(&mut plain, "TABLE app.trusted")?
        .says("2F003", &["\"trusting\"", "app.trusted"])?
        .hides("made up")?;
    // Only a superuser can lift that.
    refused(
        &mut plain,
        "ALTER USER MAPPING FOR plain SERVER trusting OPTIONS (ADD password_required 'false')",
    )?
    .says("42501", &["password_required"])?;
    run(
        &mut client,
        "ALTER USER MAPPING FOR plain SERVER trusting OPTIONS (ADD password_required 'false')",
    )?;
    expect(&mut plain, "SELECT count(id) FROM app.trusted", "100")?;
    run(
        &mut client,
        "ALTER USER MAPPING FOR plain SERVER trusting OPTIONS (SET password_required 'true')",
    )?;
    refused(&mut plain, "TABLE app.trusted")?.says("2F003", &[])?;
    Ok(())
}
