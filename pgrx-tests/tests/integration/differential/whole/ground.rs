//! Three sites on servers of their own and shared ones, merged and imported, and the same rows beside
//! them in ordinary tables.
//!
//! The schemas whose names begin with `far_` hold foreign tables, those with `near_` ordinary ones:
//! `main` (`t` and `u` of the sites a and b on one server, c on another), `act` (`e`, on two more
//! servers), `one` and `deed` (the tables of site a alone, of the same two servers as there).

use super::super::kinds::OWN_TYPES;
use super::super::random::Random;
use super::super::session::USUAL;
use super::super::strings::quote;
use super::columns::{Column, EVENTS, FACTS, NEAR, PEOPLE, WARNINGS, some_values};
use anyhow::{Context, Result};
use postgres::Client;
use warehouse_tests::cluster::unique_name;

use super::sources::{WITHOUT, events_schema, main_schema};
use crate::ask::{declare, rows, run};
use crate::support::Pair;

/// Site, its main server, its server of events. Both sites of one server have schemas of their own.
const SITES: [(&str, &str, &str); 3] = [("a", "m1", "w1"), ("b", "m1", "w2"), ("c", "m2", "w1")];

const SERVERS: [&str; 4] = ["m1", "m2", "w1", "w2"];

/// Those that may collate otherwise than the warehouse.
const COLLATED: [&str; 2] = ["m1", "w2"];

/// Events of a site in a filling with many.
const MANY: usize = 700;

/// The databases and a session at the warehouse.
pub struct Ground {
    sources: Vec<(&'static str, Client)>,
    pub client: Client,
    _pair: Pair,
}

impl Ground {
    /// With `collation` the databases of some servers are created with it.
    pub fn new(test: &str, collation: Option<&str>) -> Result<Ground> {
        let pair = Pair::new(test)?;
        let mut client = pair.warehouse()?;
        run(&mut client, &format!("{USUAL}; SET client_min_messages = warning"))?;
        let mut sources = Vec::new();
        for server in SERVERS {
            let database = unique_name(test);
            let collation = collation.filter(|_| COLLATED.contains(&server));
            let how = collation.map(|how| format!("TEMPLATE template0 {how}")).unwrap_or_default();
            pair.source_cluster
                .execute("postgres", &format!("CREATE DATABASE {database} {how}"))?;
            let mut source = pair.source_cluster.connect(&database)?;
            run(&mut source, USUAL)?;
            for (site, main, events) in SITES {
                if main == server {
                    run(&mut source, &main_schema(site))?;
                }
                if events == server {
                    run(&mut source, &events_schema(site))?;
                }
            }
            declare(&mut client, server, pair.source_cluster.port(), &database, "")?;
            sources.push((server, source));
        }
        let main: Vec<String> = SITES.iter().map(|(site, main, _)| part(main, site)).collect();
        let act: Vec<String> = SITES.iter().map(|(site, _, events)| part(events, site)).collect();
        run(
            &mut client,
            &format!(
                "SELECT FROM warehouse.merge_schema('far_main', '[{}]'); \
                 SELECT FROM warehouse.merge_schema('far_act', '[{}]'); \
                 CREATE SCHEMA far_one; CREATE SCHEMA far_deed; \
                 IMPORT FOREIGN SCHEMA a LIMIT TO (t, u) FROM SERVER m1 INTO far_one; \
                 IMPORT FOREIGN SCHEMA a LIMIT TO (e) FROM SERVER w1 INTO far_deed; \
                 ALTER FOREIGN TABLE far_one.t ALTER COLUMN m TYPE far_main.mood; \
                 ALTER FOREIGN TABLE far_one.u ALTER COLUMN grade TYPE far_main.mood; \
                 SET search_path = far_main, public; {OWN_TYPES}",
                main.join(", "),
                act.join(", ")
            ),
        )?;
        for (schema, table) in TABLES {
            run(
                &mut client,
                &format!(
                    "CREATE SCHEMA IF NOT EXISTS near_{schema}; \
                     CREATE TABLE near_{schema}.{table} (LIKE far_{schema}.{table})"
                ),
            )?;
        }
        for side in ["far", "near"] {
            run(
                &mut client,
                &format!(
                    "CREATE VIEW {side}_main.seen AS SELECT * FROM {side}_main.t WHERE id <> 2; \
                     CREATE VIEW {side}_main.guarded WITH (security_barrier) AS \
                       SELECT * FROM {side}_main.t WHERE g IS DISTINCT FROM 3 AND id < 20"
                ),
            )?;
        }
        run(
            &mut client,
            "CREATE TABLE public.l (id int PRIMARY KEY, site text, k int, w int, note text)",
        )?;
        Ok(Ground { sources, client, _pair: pair })
    }

    /// New random rows everywhere.
    pub fn fill(&mut self, random: &mut Random) -> Result<()> {
        run(&mut self.client, USUAL)?;
        let rows = [0, 1, 4, 12, 30];
        let mut at: Vec<String> = vec![String::new(); SERVERS.len()];
        let mut near =
            TABLES.map(|(schema, table)| format!("TRUNCATE near_{schema}.{table}; ")).concat();
        let keys = random.between(2, 12);
        // More than a cursor sends at a time.
        let many = random.percent(6).then_some(MANY);
        let [facts, people, events, warnings] = [&FACTS[..], &PEOPLE, &EVENTS, &WARNINGS]
            .map(|columns| columns.iter().map(|c| (c, some_values(c, random))).collect::<Vec<_>>());
        let now = second(&mut self.client)?;
        for (site, main, of_events) in SITES {
            let counts = [0; 4].map(|_: usize| random.pick(&rows));
            let mut table = |server: &str, table: Table<'_>, count: usize| {
                let place = SERVERS.iter().position(|s| *s == server).unwrap_or_default();
                let rows: Vec<String> =
                    (1..=count).map(|id| table.row(id, keys, &now, random)).collect();
                let (name, columns) = (table.name, table.names().join(", "));
                at[place].push_str(&format!("TRUNCATE {site}.{name}; "));
                if rows.is_empty() {
                    return;
                }
                let values = rows.join(",\n");
                at[place]
                    .push_str(&format!("INSERT INTO {site}.{name} ({columns}) VALUES {values}; "));
                let merged = table.schemas[0];
                let with_site = values_with_site(&rows, site);
                near.push_str(&format!(
                    "INSERT INTO near_{merged}.{name} (site, {columns}) VALUES {with_site}; "
                ));
                if site == "a" && !table.schemas[1].is_empty() {
                    let alone = table.schemas[1];
                    near.push_str(&format!(
                        "INSERT INTO near_{alone}.{name} ({columns}) VALUES {values}; "
                    ));
                }
            };
            let skipped: &[&str] = if site == "c" { &["extra"] } else { &[] };
            let t = Table::new("t", ["main", "one"], &facts, skipped);
            table(main, t, counts[0]);
            table(main, Table::new("u", ["main", "one"], &people, &[]), counts[1].min(keys + 1));
            if site != WITHOUT {
                table(main, Table::new("w", ["main", ""], &warnings, &[]), counts[3]);
            }
            table(
                of_events,
                Table::new("e", ["act", "deed"], &events, &[]),
                many.unwrap_or(counts[2]),
            );
        }
        for (place, (_, source)) in self.sources.iter_mut().enumerate() {
            run(source, &at[place])?;
        }
        run(&mut self.client, &near)?;
        let local: Vec<String> = (1..=random.between(0, 12))
            .map(|id| {
                let site = random.pick(&["'a'", "'b'", "'c'", "'zz'", "NULL"]);
                let note = quote(random.pick(&["x", "y", ""]));
                format!("({id}, {site}, {}, {}, {note})", random.below(keys + 2), random.below(4))
            })
            .collect();
        let insert = match local.is_empty() {
            true => String::new(),
            false => format!("INSERT INTO public.l VALUES {}", local.join(", ")),
        };
        run(&mut self.client, &format!("TRUNCATE public.l; {insert}"))
    }
}

/// The tables by the schemas they are in.
const TABLES: [(&str, &str); 7] = [
    ("main", "t"),
    ("main", "u"),
    ("main", "w"),
    ("act", "e"),
    ("one", "t"),
    ("one", "u"),
    ("deed", "e"),
];

/// A table of one site: its name, the schemas it is seen in (merged, alone), its columns with the
/// values of this filling.
struct Table<'a> {
    name: &'static str,
    schemas: [&'static str; 2],
    columns: Vec<&'a (&'a Column, Vec<&'static str>)>,
}

impl<'a> Table<'a> {
    fn new(
        name: &'static str,
        schemas: [&'static str; 2],
        columns: &'a [(&'a Column, Vec<&'static str>)],
        skipped: &[&str],
    ) -> Table<'a> {
        let columns = columns.iter().filter(|(c, _)| !skipped.contains(&c.name)).collect();
        Table { name, schemas, columns }
    }

    fn names(&self) -> Vec<&'static str> {
        let first: &[&str] = match self.name {
            "t" => &["id", "k", "mix", "near"],
            "u" => &["id"],
            _ => &["id", "t_id"],
        };
        first.iter().copied().chain(self.columns.iter().map(|(column, _)| column.name)).collect()
    }

    fn row(&self, id: usize, keys: usize, now: &str, random: &mut Random) -> String {
        let mut values = vec![id.to_string()];
        let key = |random: &mut Random, most: usize| match random.percent(12) {
            true => "NULL".to_owned(),
            false => random.below(most).to_string(),
        };
        match self.name {
            "t" => {
                values.push(key(random, keys));
                values.push(key(random, 4));
                let near = random.pick(&NEAR);
                values.push(match random.percent(10) {
                    true => "NULL".to_owned(),
                    false => format!("timestamptz '{now}' + interval '{near}'"),
                });
            }
            "u" => {}
            _ => values.push(key(random, id.max(31))),
        }
        for (_, pool) in &self.columns {
            values.push(match random.percent(15) {
                true => "NULL".to_owned(),
                false => quote(random.pick(pool)),
            });
        }
        format!("({})", values.join(", "))
    }
}

fn values_with_site(rows: &[String], site: &str) -> String {
    let rows: Vec<String> =
        rows.iter().map(|row| format!("('{site}', {}", row.trim_start_matches('('))).collect();
    rows.join(",\n")
}

/// The second in which the rows are made, so that both sides get the same values.
fn second(client: &mut Client) -> Result<String> {
    let sql = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS\"+00\"')";
    Ok(client.query_one(sql, &[]).context("the clock")?.get(0))
}

fn part(server: &str, site: &str) -> String {
    format!(r#"{{"server": "{server}", "schema": "{site}", "site": "{site}"}}"#)
}

/// For making a failure small: rows are taken out on both sides, one at a time.
impl Ground {
    /// Table, site and id of all rows.
    pub fn rows(&mut self) -> Result<Vec<(&'static str, String, i32)>> {
        let mut out = Vec::new();
        for (schema, table) in [("main", "t"), ("main", "u"), ("main", "w"), ("act", "e")] {
            let sql = format!("SELECT site, id FROM near_{schema}.{table} ORDER BY 1, 2");
            for row in self.client.query(&sql, &[])? {
                out.push((table, row.get(0), row.get(1)));
            }
        }
        Ok(out)
    }

    /// The places of a table of a site: at its source, and those beside, with the condition for the site.
    fn places(
        &mut self,
        table: &str,
        site: &str,
    ) -> (&mut Client, &mut Client, Vec<(String, String)>) {
        let of = SITES.iter().find(|(name, ..)| *name == site).unwrap_or(&SITES[0]);
        let (server, merged, alone) = match table {
            "e" => (of.2, "near_act.e".to_owned(), "near_deed.e".to_owned()),
            _ => (of.1, format!("near_main.{table}"), format!("near_one.{table}")),
        };
        let mut beside = vec![(merged, format!("site = '{site}'"))];
        if site == "a" && table != "w" {
            beside.push((alone, "true".to_owned()));
        }
        let place = SERVERS.iter().position(|name| *name == server).unwrap_or_default();
        (&mut self.sources[place].1, &mut self.client, beside)
    }

    pub fn take_out(&mut self, table: &str, site: &str, id: i32) -> Result<()> {
        let (source, client, beside) = self.places(table, site);
        let take = |from: &str, saved: &str, of: &str| {
            format!(
                "DROP TABLE IF EXISTS {saved}; \
                 CREATE TEMP TABLE {saved} AS SELECT * FROM {from} WHERE id = {id} AND {of}; \
                 DELETE FROM {from} WHERE id = {id} AND {of}; "
            )
        };
        run(source, &take(&format!("{site}.{table}"), "saved", "true"))?;
        for (at, (name, of)) in beside.iter().enumerate() {
            run(client, &take(name, &format!("saved{at}"), of))?;
        }
        Ok(())
    }

    pub fn put_back(&mut self, table: &str, site: &str) -> Result<()> {
        let (source, client, beside) = self.places(table, site);
        run(source, &format!("INSERT INTO {site}.{table} SELECT * FROM saved"))?;
        for (at, (name, _)) in beside.iter().enumerate() {
            run(client, &format!("INSERT INTO {name} SELECT * FROM saved{at}"))?;
        }
        Ok(())
    }

    /// The rows of the tables in `sql`, without the columns that do not occur in it.
    pub fn shown(&mut self, sql: &str) -> Result<String> {
        let mut out = String::new();
        for (schema, table) in TABLES {
            if !sql.contains(&format!("far_{schema}.{table}")) {
                continue;
            }
            let names = self.client.query(
                "SELECT attname::text FROM pg_attribute WHERE attnum > 0 AND attrelid = $1::text::regclass",
                &[&format!("near_{schema}.{table}")],
            )?;
            let wanted = |name: &String| name == "id" || sql.contains(&format!(".{name}"));
            let names: Vec<String> = names.iter().map(|row| row.get(0)).filter(wanted).collect();
            let rows = rows(
                &mut self.client,
                &format!("SELECT {} FROM near_{schema}.{table}", names.join(", ")),
            )?;
            out.push_str(&format!("{schema}.{table} ({})\n{rows}\n", names.join("|")));
        }
        Ok(out)
    }
}
