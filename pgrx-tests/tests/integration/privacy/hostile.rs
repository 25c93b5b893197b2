//! Mask texts, arguments and names that nobody means well with: each is taken or refused, and shows nothing.
//!
//! The choices follow from a seed. `WAREHOUSE_SEED` repeats those of another run, `WAREHOUSE_CASES` makes more.

use std::fs;

use anyhow::{Context, Result, bail, ensure};
use postgres::Client;
use postgres::types::ToSql;

use super::keys::warehouse;
use crate::ask::{expect, rows, run, told};
use crate::differential::Random;

/// What a value of the source is that must not be seen whole.
const RAW: &str = "CANARY.example";

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Parts that mask texts are made of, between spaces.
const PARTS: &str = "( ) ( ) , , => ' '' \" \"\" $$ $. $1 % %s %n \\ é 𝛑 ٣ \u{202e} \u{feff} 0 1 -1 2147483648 \
    -9223372036854775809 99999999999999999999999999999999999999999 1e400 0.1 . -- /* ; null constant keep partial \
    partial_email partial_phone initial ip_prefix zip3 pseudonym token fpe hash fake_email fake_full_name generalize \
    generalize_range bands age age_band noise date_shift redact json shuffle person rest locale unique entity domain \
    id name true false 'month' 'de' '$.a' '$..*' '$[0]' '10%' '3-days' SELECT pg_sleep warehouse. ::text";

fn part(random: &mut Random) -> &'static str {
    let parts: Vec<&str> = PARTS.split(' ').filter(|part| !part.is_empty()).collect();
    if random.percent(10) { random.pick(&[" ", "\n", "\t", "\u{a0}"]) } else { random.pick(&parts) }
}

/// Texts of masks that are nearly right, for a part to be changed.
const LIKELY: &[&str] = &[
    "partial(2, '***', 1)",
    "partial(0, '', 0)",
    "pseudonym(person)",
    "token(person)",
    "fpe(person)",
    "fpe(person, '0123456789abcdef')",
    "hash(person)",
    "fake_email(person, locale => 'de', unique => true)",
    "generalize('month')",
    "noise('10%', entity => id, domain => person)",
    "date_shift(id, 30)",
    "redact(name, notes)",
    "json('$.plan' => keep, '$.secret' => pseudonym(person), rest => null)",
    "constant('x')",
    "bands(6, 12, 18)",
    "ip_prefix(24, 48)",
    "age_band(10)",
    "redact(\"na\"\"me\")",
    "json('$[*].a.*' => partial(1, 'x', 1))",
];

fn hostile(random: &mut Random) -> String {
    match random.below(10) {
        0..=3 => {
            let count = random.between(1, 12);
            (0..count).map(|_| part(random)).collect()
        }
        4..=7 => {
            let mut text: Vec<char> = random.pick(LIKELY).chars().collect();
            for _ in 0..random.between(0, 3) {
                let at = random.below(text.len() + 1);
                match random.below(3) {
                    0 if at < text.len() => drop(text.remove(at)),
                    1 if at < text.len() => text[at] = part(random).chars().next().unwrap_or('x'),
                    _ => drop(text.splice(at..at, part(random).chars())),
                }
            }
            text.into_iter().collect()
        }
        8 => {
            let depth = random.pick(&[3, 8, 9, 100, 5000]);
            let open = random.pick(&["json('$.a' => ", "constant(", "partial(", "("]);
            format!(
                "{}keep{}",
                open.repeat(depth),
                ")".repeat(random.pick(&[depth, depth - 1, depth + 1]))
            )
        }
        _ => {
            let long = random
                .pick(&["x", "(", "'", "é", "9", "json(", " "])
                .repeat(random.pick(&[100, 4000, 30_000]));
            format!(
                "{}{long}{}",
                random.pick(&["constant('", "fpe(person, '", "", "partial(1, '"]),
                random.pick(&["')", "", "'"])
            )
        }
    }
}

/// Fails unless an error is a refusal, by its class, that does not tell of values.
fn refusal(outcome: std::result::Result<(), postgres::Error>, what: &str) -> Result<bool> {
    let Err(error) = outcome else { return Ok(true) };
    let told = told(&error).with_context(|| format!("after {what:?}"))?;
    // 54 is Postgres's own: a row of a catalog, a stack or an identifier that is too large.
    let class = told.code.get(..2).unwrap_or_default();
    ensure!(matches!(class, "22" | "42" | "HV" | "0A" | "54"), "{what:?}: {told:?}");
    told.hides(RAW)?;
    Ok(false)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[test]
fn masks_are_taken_or_refused_and_show_nothing() -> Result<()> {
    let (_pair, warehouse, mut client) = warehouse("hostile")?;
    run(
        &mut client,
        "SELECT warehouse.create_key(); SET search_path = pg_catalog; SET standard_conforming_strings = on",
    )?;
    let started = rows(&mut client, "SELECT pg_postmaster_start_time()")?;
    let seed = number("WAREHOUSE_SEED", 20_260_101);
    let cases = number("WAREHOUSE_CASES", 300);
    println!("WAREHOUSE_SEED={seed}");
    let mut random = Random::new(seed);
    let (mut taken, mut refused) = (0, 0);
    let mut texts: Vec<String> = (0..cases).map(|_| hostile(&mut random)).collect();
    texts.extend(LIKELY.iter().map(|text| (*text).to_owned()));
    texts.push(format!("constant('{}')", "x".repeat(1 << 20)));
    texts.push("(".repeat(1 << 20));
    texts.push(format!("fpe(person, '{}')", ('a'..'\u{d7ff}').take(5000).collect::<String>()));
    for text in &texts {
        let short: String = text.chars().take(300).collect();
        // Each column has its raw value's end in it.
        let column = random.pick(&["email", "email", "email", "notes", "data", "tags", "name"]);
        let classified = client
            .execute(
                "SELECT warehouse.classify('d.people'::regclass, $1, 'identifier', $2)",
                &[&column, text],
            )
            .map(drop);
        let mut is_taken = refusal(classified, &short)?;
        // The options of the table let a mask through that does not fit; it is closed when it is read.
        let mask_of = format!(
            "SELECT mask FROM warehouse.columns WHERE relation_name = 'people' AND column_name = '{column}'"
        );
        let verb = if rows(&mut client, &mask_of)? == "~" { "ADD" } else { "SET" };
        let option = client.batch_execute(&format!(
            "ALTER FOREIGN TABLE d.people ALTER COLUMN {column} OPTIONS ({verb} mask {})",
            quoted(text)
        ));
        is_taken |= refusal(option, &short)?;
        if is_taken {
            taken += 1
        } else {
            refused += 1
        }
        let policy = rows(&mut client, &mask_of)?;
        let read = format!("SELECT {column} FROM d.people WHERE id IN (0, 7, 8)");
        match client.simple_query(&read) {
            Ok(_) => {
                let shown = rows(&mut client, &read)?;
                // A mask that says to keep does; redact takes away what has a form; a part is a part.
                let shows = ["keep", "redact", "partial("].iter().any(|word| policy.contains(word));
                ensure!(shows || !shown.contains("CANARY"), "{short:?} as {policy}: {shown}");
                let whole = policy != "keep" && column == "email";
                ensure!(
                    !whole || !shown.contains("canary7@CANARY.example"),
                    "{short:?} as {policy}: {shown}"
                );
            }
            Err(error) => {
                refusal(Err(error), &short)?;
            }
        }
        refusal(
            client
                .execute("SELECT * FROM warehouse.explain_policy('postgres', 'd.people')", &[])
                .map(drop),
            &short,
        )?;
        // As a function.
        for call in [
            "SELECT warehouse.mask('x@CANARY.example', $1)",
            "SELECT warehouse.mask_json('{\"a\": \"x@CANARY.example\", \"b\": [1, null, {\"c\": 2.5}]}', $1)",
        ] {
            refusal(client.execute(call, &[text]).map(drop), &short)?;
        }
        run(
            &mut client,
            &format!("SELECT warehouse.classify('d.people', '{column}', 'identifier', 'null')"),
        )?;
    }
    ensure!(taken > 20 && refused > 100, "{taken} were taken, {refused} refused");
    expect(&mut client, "SELECT pg_postmaster_start_time()", &started)?;
    let log = fs::read_to_string(warehouse.socket_dir().join("log"))?;
    for word in ["terminated by signal", "PANIC", "panicked", "XX000"] {
        ensure!(!log.contains(word), "{word} in the log");
    }
    Ok(())
}

/// The functions that take arguments beside the value: `$1` is hostile.
const CALLS: &[&str] = &[
    "SELECT warehouse.pseudonym('x@CANARY.example', $1)",
    "SELECT warehouse.pseudonym(7::bigint, $1)",
    "SELECT warehouse.token('x@CANARY.example', $1)",
    "SELECT warehouse.reveal($1, 'person')",
    "SELECT warehouse.fpe('x@CANARY.example', $1)",
    "SELECT warehouse.fpe('x@CANARY.example', 'person', $1)",
    "SELECT warehouse.fpe($1, 'person')",
    "SELECT warehouse.fpe($1, 'person', $1)",
    "SELECT warehouse.hash('x@CANARY.example', $1)",
    "SELECT warehouse.fake_email('x@CANARY.example', $1)",
    "SELECT warehouse.fake_full_name('x@CANARY.example', 'person', $1)",
    "SELECT warehouse.fake_distinct_outputs($1, 'en'), warehouse.fake_distinct_outputs('email', $1)",
    "SELECT warehouse.partial($1, 1, $1, 1), warehouse.partial('x@CANARY.example', 1, $1, 1)",
    "SELECT warehouse.partial_email($1), warehouse.partial_phone($1), warehouse.partial_card($1), warehouse.partial_url($1)",
    "SELECT warehouse.initial($1), warehouse.zip3($1)",
    "SELECT warehouse.generalize(date '2020-02-29', $1)",
    "SELECT warehouse.generalize_range(timestamptz '2020-02-29 00:00+00', $1)",
    "SELECT warehouse.noise(5, $1, 'x@CANARY.example')",
    "SELECT warehouse.noise(5.5, $1, 'x', $1)",
    "SELECT warehouse.noise(now(), $1, 'x')",
    "SELECT warehouse.date_shift(date '2020-02-29', 'x@CANARY.example', 30, $1)",
    "SELECT warehouse.redact($1), warehouse.redact('x@CANARY.example', ARRAY[$1, NULL, ''])",
    "SELECT warehouse.reads_as($1, 'text'::regtype, $1, $1, $1)",
    "SELECT warehouse.classify('d.people'::regclass, $1, 'identifier', 'null')",
    "SELECT warehouse.classify('d.people'::regclass, 'email', $1, NULL)",
    "SELECT * FROM warehouse.classify_schema($1)",
    "SELECT * FROM warehouse.anonymity_groups('d.people', ARRAY[$1])",
];

#[test]
fn functions_take_or_refuse_their_arguments() -> Result<()> {
    let (_pair, _warehouse, mut client) = warehouse("hostilecalls")?;
    run(&mut client, "SELECT warehouse.create_key()")?;
    let mut random = Random::new(number("WAREHOUSE_SEED", 20_260_102));
    let rounds = number("WAREHOUSE_CASES", 300) / 20;
    for call in CALLS {
        let statement = client.prepare(&call.replace("$1", "$1::text"))?;
        for round in 0..rounds + 2 {
            let text = match round {
                0 => "x".repeat(1 << 20),
                1 => String::new(),
                _ => hostile(&mut random),
            };
            let outcome = client.execute(&statement, &[&text as &(dyn ToSql + Sync)]).map(drop);
            let short: String =
                format!("{call} with {:?}", text.chars().take(200).collect::<String>());
            if let Err(error) = &outcome
                && told(error)?.code == "3F000"
            {
                // There is no such schema.
                continue;
            }
            refusal(outcome, &short)?;
        }
    }
    // Numbers at the ends of their types.
    for (low, high) in [("-2147483648", "2147483647"), ("0", "-1"), ("1000000", "2")] {
        for call in [
            format!("SELECT warehouse.partial('x@CANARY.example', {low}, '*', {high})"),
            format!("SELECT warehouse.ip_prefix('10.0.0.1', {low}, {high})"),
            format!(
                "SELECT warehouse.generalize({high}, {low}), warehouse.generalize({high}::bigint, {low}::bigint)"
            ),
            format!("SELECT warehouse.generalize_range({low}, {high})"),
            format!("SELECT warehouse.bands(5, ARRAY[{low}, {high}]::bigint[])"),
            format!("SELECT warehouse.age_band(date '2000-01-01', {low})"),
            format!(
                "SELECT warehouse.date_shift(date 'infinity', 'x', {high}), warehouse.date_shift(date '5874897-12-31', 'x', {high})"
            ),
            format!("SELECT warehouse.noise({low}, '{high}', 'x'), warehouse.fpe({low}, 'person')"),
        ] {
            refusal(client.batch_execute(&call), &call)?;
        }
    }
    Ok(())
}

#[test]
fn columns_may_be_called_anything() -> Result<()> {
    let names = r#"a"b|a'b|$1|$$|%s%I%L%n|--|/*|a;DROP TABLE people|a\b|é𝛑٣| |SELECT|a.b|a,b|(a)|{a}|[a]|null|$.a|a => b|Robert'); --"#;
    let mut names: Vec<String> = names.split('|').map(str::to_owned).collect();
    names.extend(["a\nb", "a\tb", "\u{202e}x"].map(str::to_owned));
    names.extend(["x".repeat(63), "é".repeat(31)]);
    let (pair, _warehouse, mut client) = warehouse("hostilenames")?;
    let ident = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let columns: Vec<String> = names.iter().map(|name| format!("{} text", ident(name))).collect();
    let values: Vec<String> =
        (0..names.len()).map(|at| format!("'raw{at}@CANARY.example'")).collect();
    run(
        &mut pair.source()?,
        &format!(
            "CREATE TABLE \"odd\"\"one\" (id int PRIMARY KEY, {}); INSERT INTO \"odd\"\"one\" VALUES (1, {})",
            columns.join(", "),
            values.join(", ")
        ),
    )?;
    run(
        &mut client,
        "SELECT warehouse.create_key(); IMPORT FOREIGN SCHEMA public LIMIT TO (\"odd\"\"one\") FROM SERVER src INTO d; \
         CREATE SCHEMA mart; SET client_min_messages = warning",
    )?;
    let table = "d.\"odd\"\"one\"";
    for name in &names {
        let classify = |client: &mut Client, mask: &str| {
            client
                .execute(
                    "SELECT warehouse.classify($1::text::regclass, $2, 'identifier', $3)",
                    &[&table, name, &mask],
                )
                .with_context(|| format!("{name:?}: {mask}"))
        };
        // Its own name in a mask, too.
        for mask in [
            "partial_email",
            "token(person)",
            &format!("redact({})", ident(name)),
            "pseudonym(person)",
        ] {
            classify(&mut client, mask)?;
            let read = format!("SELECT {} FROM {table}", ident(name));
            let shown = rows(&mut client, &read)?;
            ensure!(!shown.is_empty() && !shown.contains(RAW), "{name:?} {mask}: {shown}");
            let found = rows(
                &mut client,
                &format!("SELECT count(*) FROM {table} WHERE {} = {}", ident(name), quoted(&shown)),
            )?;
            ensure!(found == "1", "{name:?} {mask}");
        }
        // The policy is kept under this name.
        let kept = client.query(
            "SELECT mask FROM warehouse.columns WHERE relation_name = 'odd\"one' AND column_name = $1",
            &[name],
        )?;
        let [row] = &kept[..] else { bail!("{name:?} is not in the dictionary once") };
        ensure!(row.get::<_, &str>(0) == "pseudonym(person)", "{name:?}");
    }
    expect(
        &mut client,
        &format!(
            "SELECT count(*) FROM warehouse.explain_policy('postgres', '{table}') WHERE sees LIKE 'masked%'"
        ),
        &names.len().to_string(),
    )?;
    run(
        &mut client,
        &format!(
            "SELECT warehouse.materialize('mart.odd', $q$SELECT * FROM {table}$q$, unique_key => '{{id}}')"
        ),
    )?;
    // One person after the other is blanked; the row stays until nothing of it is left but the key.
    for (at, name) in names.iter().enumerate() {
        let found = rows(
            &mut client,
            &format!(
                "SELECT sum(rows) FROM warehouse.forget('person', 'raw{at}@CANARY.example', 'blank')"
            ),
        )?;
        ensure!(found == "1", "{name:?}: {found}");
    }
    expect(
        &mut client,
        "SELECT to_jsonb(o) - 'id' @? '$.* ? (@ != null)', id FROM mart.odd o",
        "f|1",
    )
}
