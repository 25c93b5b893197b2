//! The mask `shuffle`: for full refreshes of materialized tables.

use anyhow::{Result, ensure};

use super::people;
use crate::ask::{expect, refused, rows, run};

#[test]
fn values_change_places() -> Result<()> {
    let (pair, mut client) = people("shuffled")?;
    run(
        &mut client,
        "SET client_min_messages = warning; CREATE SCHEMA mart; \
         SELECT warehouse.classify('d.people', 'email', 'quasi', 'shuffle'), \
           warehouse.classify('d.people', 'score', 'quasi', 'shuffle'), \
           warehouse.classify('d.people', 'phone', 'quasi', 'shuffle'); \
         SELECT warehouse.materialize('mart.people', \
           'SELECT id, email, score, phone, mood FROM d.people', strategy => 'full')",
    )?;
    // All of them, NULLs too, and no more.
    let sorted = |from: &str| {
        format!(
            "SELECT count(*), count(email), md5(string_agg(email, ',' ORDER BY email COLLATE \"C\")), \
               md5(string_agg(score::text, ',' ORDER BY score)), sum(phone) FROM {from}"
        )
    };
    let truth = rows(&mut pair.source()?, &sorted("people"))?;
    expect(&mut client, &sorted("mart.people"), &truth)?;
    // Hardly any where it belongs, nor two of a row together.
    let stayed = rows(
        &mut client,
        "SELECT count(*) FILTER (WHERE email = 'canary' || id || '@CANARY.example'), \
           count(*) FILTER (WHERE score = id * 1.25), \
           count(*) FILTER (WHERE phone - 7000000000 = score / 1.25) FROM mart.people",
    )?;
    for count in stayed.split('|') {
        ensure!(count.parse::<u32>()? < 25, "{stayed}");
    }
    // The key is with what is not shuffled.
    expect(
        &mut client,
        "SELECT count(*) FROM mart.people p JOIN d.people q USING (id) WHERE p.mood IS DISTINCT FROM q.mood",
        "0",
    )?;
    // Another refresh, another order.
    let first = rows(&mut client, "SELECT string_agg(email, ',' ORDER BY id) FROM mart.people")?;
    run(&mut client, "SELECT warehouse.refresh('mart.people')")?;
    expect(&mut client, &sorted("mart.people"), &truth)?;
    let second = rows(&mut client, "SELECT string_agg(email, ',' ORDER BY id) FROM mart.people")?;
    ensure!(first != second, "the same order twice");
    Ok(())
}

#[test]
fn nothing_else_reads_it() -> Result<()> {
    let (_pair, mut client) = people("shuffledonly")?;
    run(
        &mut client,
        "SET client_min_messages = warning; CREATE SCHEMA mart; \
         SELECT warehouse.classify('d.people', 'email', 'quasi', 'shuffle')",
    )?;
    for query in [
        "SELECT email FROM d.people",
        "SELECT count(*) FROM d.people WHERE email LIKE 'canary7@%'",
        // A table that later changes a few rows at a time.
        "SELECT warehouse.materialize('mart.p', 'SELECT id, email FROM d.people', unique_key => '{id}', capture => 'diff', strategy => 'merge')",
    ] {
        refused(&mut client, query)?.says("42501", &["email", "full refreshes"])?;
    }
    // Conditions and groups of the query meet the shuffled values; no source is asked for a raw one.
    run(
        &mut client,
        "SELECT warehouse.materialize('mart.seven', \
           $q$SELECT id, email FROM d.people WHERE email = 'canary7@CANARY.example'$q$, strategy => 'full'); \
         SELECT warehouse.materialize('mart.domains', \
           $q$SELECT split_part(email, '@', 2) AS domain, count(*) AS n FROM d.people GROUP BY 1$q$, strategy => 'full')",
    )?;
    expect(&mut client, "SELECT email FROM mart.seven", "canary7@CANARY.example")?;
    expect(
        &mut client,
        "SELECT domain, n FROM mart.domains ORDER BY n",
        "~|1\nCANARY.example|500",
    )?;
    // A plan that was made while it was allowed is not used when it is not.
    run(
        &mut client,
        "CREATE FUNCTION public.mails() RETURNS bigint LANGUAGE plpgsql AS $$ \
           BEGIN RETURN (SELECT count(email) FROM d.people); END $$; \
         SELECT warehouse.materialize('mart.once', 'SELECT public.mails() AS n', strategy => 'full')",
    )?;
    expect(&mut client, "SELECT n FROM mart.once", "500")?;
    let told = client.simple_query("SELECT public.mails()").err().map(|error| format!("{error:?}"));
    ensure!(told.as_ref().is_some_and(|told| told.contains("full refreshes")), "{told:?}");
    Ok(())
}
