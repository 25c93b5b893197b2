//! The keys of the sources, which foreign tables cannot carry.

use anyhow::Result;

use super::{IMPORT, shop};
use crate::ask::{expect, run};

const SCRIPT: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, \"E-Mail\" text UNIQUE);
    CREATE TABLE orders (region int, number int, customer int REFERENCES customers, parent_region int, parent_number int,
      PRIMARY KEY (region, number), FOREIGN KEY (parent_region, parent_number) REFERENCES orders (region, number));
    CREATE TABLE lines (order_region int, order_number int, line int, mail text REFERENCES customers (\"E-Mail\"),
      PRIMARY KEY (order_region, order_number, line),
      FOREIGN KEY (order_region, order_number) REFERENCES orders);
    CREATE TABLE alone (id int);
    CREATE TABLE parted (id int PRIMARY KEY, customer int REFERENCES customers) PARTITION BY HASH (id);
    CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0)";

const ASK: &str = "SELECT kind, relation_name, columns, referenced_relation, referenced_columns, site, server \
    FROM warehouse.relationships WHERE relation_schema = '$' ORDER BY 1, 2, 3, 6";

#[test]
fn keys_of_imported_tables() -> Result<()> {
    let (_pair, mut client) = shop("keys", SCRIPT)?;
    run(&mut client, IMPORT)?;
    expect(
        &mut client,
        &ASK.replace('$', "here"),
        "foreign key|lines|{mail}|customers|{E-Mail}|~|src\n\
         foreign key|lines|{order_region,order_number}|orders|{region,number}|~|src\n\
         foreign key|orders|{customer}|customers|{id}|~|src\n\
         foreign key|orders|{parent_region,parent_number}|orders|{region,number}|~|src\n\
         foreign key|parted|{customer}|customers|{id}|~|src\n\
         primary key|customers|{id}|~|~|~|src\n\
         primary key|lines|{order_region,order_number,line}|~|~|~|src\n\
         primary key|orders|{region,number}|~|~|~|src\n\
         primary key|parted|{id}|~|~|~|src",
    )?;
    // A key to a table that is not here shows nothing that cannot be followed.
    run(
        &mut client,
        "DROP SCHEMA here CASCADE; CREATE SCHEMA here; \
         IMPORT FOREIGN SCHEMA shop LIMIT TO (orders) FROM SERVER src INTO here",
    )?;
    expect(
        &mut client,
        &ASK.replace('$', "here"),
        "foreign key|orders|{parent_region,parent_number}|orders|{region,number}|~|src\n\
         primary key|orders|{region,number}|~|~|~|src",
    )
}

#[test]
fn keys_of_merged_tables() -> Result<()> {
    let (_pair, mut client) = shop("mergedkeys", SCRIPT)?;
    run(
        &mut client,
        "SELECT FROM warehouse.merge_schema('main', \
           '[{\"server\": \"src\", \"schema\": \"shop\", \"site\": \"a\"}, {\"server\": \"src\", \"schema\": \"shop\", \"site\": \"b\"}]', \
           tables => '{customers,orders}')",
    )?;
    expect(
        &mut client,
        &ASK.replace('$', "main"),
        "foreign key|orders|{customer}|customers|{id}|a|src\n\
         foreign key|orders|{customer}|customers|{id}|b|src\n\
         foreign key|orders|{parent_region,parent_number}|orders|{region,number}|a|src\n\
         foreign key|orders|{parent_region,parent_number}|orders|{region,number}|b|src\n\
         primary key|customers|{id}|~|~|a|src\n\
         primary key|customers|{id}|~|~|b|src\n\
         primary key|orders|{region,number}|~|~|a|src\n\
         primary key|orders|{region,number}|~|~|b|src",
    )?;
    expect(
        &mut client,
        "SELECT count(*) FROM warehouse.relationships WHERE relation_schema = 'main_sites'",
        "0",
    )
}

/// The same schema imported twice: each table's keys lead to the tables beside it.
#[test]
fn keys_stay_within_their_schema() -> Result<()> {
    let (_pair, mut client) = shop("twicekeys", SCRIPT)?;
    run(&mut client, IMPORT)?;
    run(&mut client, "CREATE SCHEMA there; IMPORT FOREIGN SCHEMA shop FROM SERVER src INTO there")?;
    expect(
        &mut client,
        "SELECT count(*), bool_and(referenced_schema = relation_schema) FROM warehouse.relationships WHERE kind = 'foreign key'",
        "10|t",
    )
}
