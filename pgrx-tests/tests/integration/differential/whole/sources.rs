//! The tables at the sources, and the rows with which statistics are made.

use super::super::kinds::MOOD;
use super::super::strings::quote;
use super::columns::{Column, EVENTS, FACTS, PEOPLE, WARNINGS};

/// Rows with which statistics are made: what the planner believes of the tables.
const BELIEVED: u32 = 3000;

/// The site that has no table `w`.
pub const WITHOUT: &str = "b";

fn declared(columns: &[Column], skipped: &[&str], site: &str) -> String {
    let columns: Vec<String> = columns
        .iter()
        .filter(|column| !skipped.contains(&column.name))
        .map(|column| {
            let of = column.declared;
            format!(
                ", {} {}",
                column.name,
                if of == "mood" { format!("{site}.mood") } else { of.to_owned() }
            )
        })
        .collect();
    columns.concat()
}

/// Rows for statistics: every value of every column now and then, NULL too. `first` columns come before.
fn believed(site: &str, table: &str, first: &str, columns: &[Column], skipped: &[&str]) -> String {
    let wanted = || columns.iter().filter(|column| !skipped.contains(&column.name));
    let names: Vec<&str> = wanted().map(|column| column.name).collect();
    let values: Vec<String> = wanted()
        .enumerate()
        .map(|(at, column)| {
            let all: Vec<String> = column.values.iter().map(|value| quote(value)).collect();
            // One more than there are values: NULL.
            format!(
                "((ARRAY[{}]::text[])[1 + x * {} % {}])::{}",
                all.join(", "),
                at * 2 + 1,
                all.len() + 1,
                declared_type(column, site)
            )
        })
        .collect();
    let rows = if table == "u" { 50 } else { BELIEVED };
    let (first_names, first_values) = first.split_once('=').unwrap_or_default();
    format!(
        "INSERT INTO {table} (id, {first_names}{}) SELECT x, {first_values}{} \
         FROM generate_series(1, {rows}) x; ",
        names.join(", "),
        values.join(", ")
    )
}

fn declared_type(column: &Column, site: &str) -> String {
    match column.declared.split(" COLLATE").next() {
        Some("mood") | None => format!("{site}.mood"),
        Some(of) => of.to_owned(),
    }
}

/// Site c has no `extra`, other types of `k` and `mix`, and the labels of its enum in another order.
pub fn main_schema(site: &str) -> String {
    let (k, mix, skipped): (_, _, &[&str]) = match site {
        "a" => ("int4", "int4", &[]),
        "b" => ("int4", "int8", &[]),
        _ => ("int8", "numeric", &["extra"]),
    };
    let mood = match site {
        "c" => "CREATE TYPE mood AS ENUM ('very \"happy\"', 'happy', 'it''s', 'ok', 'sad')",
        _ => MOOD,
    };
    let (facts, people) = (declared(&FACTS, skipped, site), declared(&PEOPLE, &[], site));
    let warnings = match site == WITHOUT {
        true => String::new(),
        false => format!(
            "CREATE TABLE w (id int PRIMARY KEY, t_id int{}); {}ANALYZE w",
            declared(&WARNINGS, &[], site),
            believed(site, "w", "t_id, =x % 40, ", &WARNINGS, &[])
        ),
    };
    let near = "timestamptz '2020-01-01 00:00+00' + x * interval '5 hours'";
    let first = format!("k, mix, near, =x % 50, x % 4, {near}, ");
    format!(
        "CREATE SCHEMA {site}; SET search_path = {site}; {mood}; \
         CREATE TABLE t (id int PRIMARY KEY, k {k}, mix {mix}, near timestamptz{facts}); \
         CREATE TABLE u (id int PRIMARY KEY{people}); CREATE INDEX ON t (k); CREATE INDEX ON t (tz); \
         {}{}ANALYZE t, u; {warnings}",
        believed(site, "t", &first, &FACTS, skipped),
        believed(site, "u", "", &PEOPLE, &[])
    )
}

pub fn events_schema(site: &str) -> String {
    let events = declared(&EVENTS, &[], site);
    let first = format!("t_id, =x % {BELIEVED}, ");
    format!(
        "CREATE SCHEMA {site}; SET search_path = {site}; \
         CREATE TABLE e (id int PRIMARY KEY, t_id int{events}); CREATE INDEX ON e (t_id); \
         {}ANALYZE e",
        believed(site, "e", &first, &EVENTS, &[])
    )
}
