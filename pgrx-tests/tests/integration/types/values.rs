//! Extreme values of every type, alone and in arrays.

use anyhow::Result;

use super::{imported, same};

/// A type and values of it.
const TYPES: &[(&str, &[&str])] = &[
    ("bool", &["t", "f"]),
    ("int2", &["-32768", "0", "32767"]),
    ("int4", &["-2147483648", "0", "2147483647"]),
    ("int8", &["-9223372036854775808", "0", "9223372036854775807"]),
    ("oid", &["0", "2147483648", "4294967295"]),
    ("xid", &["0", "4294967295"]),
    ("xid8", &["0", "18446744073709551615"]),
    ("cid", &["0", "4294967295"]),
    ("tid", &["(0,0)", "(4294967295,65535)"]),
    ("float4", &["-0", "1e-45", "3.4028235e38", "NaN", "Infinity", "-Infinity"]),
    ("float8", &["-0", "5e-324", "1.7976931348623157e308", "NaN", "Infinity", "-Infinity"]),
    (
        "numeric",
        &[
            "0",
            "0.000",
            "-0.0",
            "NaN",
            "Infinity",
            "-Infinity",
            "1e131071",
            "-1e-16383",
            "10000",
            "9999.9999",
            "1e-64",
            "1e-65",
            "1e255",
            "1e256",
            "1e260",
        ],
    ),
    ("numeric(1000,500)", &["1e499", "-1e-500"]),
    ("numeric(3,-2)", &["12300", "99900"]),
    ("money", &["-92233720368547758.08", "0", "92233720368547758.07"]),
    ("text", &["", " ", "a\\b", "\u{10ffff}", "e\u{301}"]),
    ("varchar(3)", &["", "   ", "日本語"]),
    ("char(3)", &["", "a", "日本語"]),
    ("\"char\"", &["", "a", "\\200", "\\377"]),
    ("name", &["", "123456789012345678901234567890123456789012345678901234567890123"]),
    ("bytea", &["\\x", "\\x00", "\\xff00ff"]),
    ("date", &["4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "2000-02-29"]),
    ("time", &["00:00", "24:00:00", "23:59:59.999999"]),
    ("time(0)", &["23:59:59.999999"]),
    ("timetz", &["00:00+15:59", "24:00:00-15:59"]),
    (
        "timestamp",
        &["4713-01-01 00:00:00 BC", "294276-12-31 23:59:59.999999", "infinity", "-infinity"],
    ),
    (
        "timestamptz",
        &["4713-01-01 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "infinity", "-infinity"],
    ),
    (
        "interval",
        &[
            "178000000 years",
            "-178000000 years",
            "2147483647 days",
            "-1 mons +1 day -00:00:00.000001",
        ],
    ),
    ("interval day to second(0)", &["1 day 00:00:00.6"]),
    ("uuid", &["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]),
    (
        "inet",
        &["0.0.0.0/0", "::/0", "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1"],
    ),
    ("cidr", &["0.0.0.0/0", "::1/128"]),
    ("macaddr", &["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"]),
    ("macaddr8", &["00:00:00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff:ff:ff"]),
    ("json", &["{\"a\":  1, \"a\": 2}", "null", "\"\\u0000\""]),
    ("jsonb", &["{}", "[]", "null", "{\"a\": {\"b\": [1, 1.00, \"😀\"]}}"]),
    ("jsonpath", &["$.a[*] ? (@ > 1)", "strict $"]),
    ("bit(9)", &["000000000", "111111111"]),
    ("varbit", &["", "1", "101010101"]),
    ("tsvector", &["", "'a':1A,16383 'b c'"]),
    ("tsquery", &["", "'a' & !( 'b' <2> 'c':*AB )"]),
    ("point", &["(-0,NaN)", "(1e300,-Infinity)"]),
    ("line", &["{1,2,3}", "{0,-1,0}"]),
    ("lseg", &["[(1,2),(3,4)]"]),
    ("box", &["(3,4),(1,2)"]),
    ("path", &["((0,0),(1,1),(2,0))", "[(0,0),(1,1)]"]),
    ("polygon", &["((0,0),(1,1),(2,0))"]),
    ("circle", &["<(1,2),0>", "<(0,0),1e300>"]),
    ("pg_lsn", &["0/0", "FFFFFFFF/FFFFFFFF"]),
    ("pg_snapshot", &["10:20:10,14,15"]),
    ("int4range", &["empty", "(,)", "[-2147483648,2147483647)"]),
    ("int8range", &["empty", "[9223372036854775806,)"]),
    ("numrange", &["[0.00,NaN]", "(,1e1000)"]),
    ("tsrange", &["[-infinity,infinity]", "(,)"]),
    ("tstzrange", &["[4713-01-01 00:00:00+00 BC,infinity)"]),
    ("daterange", &["[4713-01-01 BC,5874897-12-31)"]),
    ("int4multirange", &["{}", "{(,0),[5,7),[100,)}"]),
    ("nummultirange", &["{[0.10,0.2)}"]),
    ("tsmultirange", &["{[-infinity,2000-01-01)}"]),
    ("tstzmultirange", &["{[2000-01-01 00:00:00+00,)}"]),
    ("datemultirange", &["{[2000-01-01,2000-01-02)}"]),
    ("int2vector", &["", "1 -2 3"]),
    ("oidvector", &["", "1 4294967295"]),
    ("xml", &["<a>é</a>", "text", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>"]),
    ("regclass", &["pg_class", "-"]),
    ("regtype", &["integer[]", "timestamp with time zone"]),
    ("regproc", &["pg_catalog.int4in"]),
    ("regprocedure", &["abs(integer)"]),
    ("regoperator", &["=(integer,integer)"]),
    ("regnamespace", &["pg_catalog"]),
    ("regconfig", &["english"]),
    ("regcollation", &["\"C\""]),
    ("aclitem", &["=r/postgres"]),
    ("refcursor", &["c"]),
    ("unknown_to_nobody", &["here"]),
];

/// One table with a column a type, one row a value; then all of it in arrays.
#[test]
fn every_value_arrives_as_it_is() -> Result<()> {
    let mut setup = "CREATE DOMAIN unknown_to_nobody AS text;".to_owned();
    for (at, (of, values)) in TYPES.iter().enumerate() {
        setup.push_str(&format!("CREATE TABLE t{at} (id serial PRIMARY KEY, v {of});"));
        setup.push_str(&format!("INSERT INTO t{at} (v) VALUES (NULL);"));
        for value in *values {
            setup.push_str(&format!(
                "INSERT INTO t{at} (v) VALUES ('{}');",
                value.replace('\'', "''")
            ));
        }
        // Domains and intervals with fields; the vectors are arrays already.
        let element = of.split('(').next().unwrap_or(of);
        if !element.starts_with("unknown") && !of.contains(" to ") && !of.ends_with("vector") {
            let delimiter = if *of == "box" { ';' } else { ',' };
            setup.push_str(&format!(
                "CREATE TABLE a{at} AS SELECT 1 AS id, array_agg(v ORDER BY id) AS v FROM t{at}; \
                 INSERT INTO a{at} SELECT 2, ARRAY[x.v, x.v] FROM a{at} x WHERE x.id = 1; \
                 INSERT INTO a{at} VALUES (3, '{{}}'), (4, NULL), (5, '[-3:-2]={{NULL{delimiter}NULL}}');"
            ));
        }
    }
    let (mut source, mut warehouse) = imported("values", &setup)?;
    for (at, (of, _)) in TYPES.iter().enumerate() {
        for settings in [
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET extra_float_digits = 1",
            "SET TimeZone = 'Asia/Kathmandu'; SET DateStyle = 'German'; SET extra_float_digits = 3; \
             SET IntervalStyle = 'sql_standard'",
        ] {
            source.batch_execute(settings)?;
            warehouse.batch_execute(settings)?;
            let context = |error: anyhow::Error| error.context(format!("type {of}"));
            let sql = format!("SELECT id, v FROM t{at} ORDER BY id");
            same(&mut source, &mut warehouse, &sql).map_err(context)?;
            let sql = format!("SELECT t FROM t{at} t ORDER BY id");
            same(&mut source, &mut warehouse, &sql).map_err(context)?;
            if source.query_one("SELECT to_regclass($1) IS NULL", &[&format!("a{at}")])?.get(0) {
                continue;
            }
            let sql = format!("SELECT id, v FROM a{at} ORDER BY id");
            same(&mut source, &mut warehouse, &sql).map_err(context)?;
        }
        // What is written into a table here is the value itself, not only its text.
        warehouse.batch_execute(&format!("CREATE TABLE copy{at} AS SELECT * FROM t{at}"))?;
        let sql = format!("SELECT id, v::text FROM copy{at} ORDER BY id");
        let found = crate::ask::rows(&mut warehouse, &sql)?;
        let expected = crate::ask::rows(&mut source, &sql.replace("copy", "t"))?;
        anyhow::ensure!(found == expected, "type {of} stored: {found} instead of {expected}");
    }
    Ok(())
}

/// Numbers of all sizes: their stored form is put together here.
#[test]
fn stored_numbers_are_canonical() -> Result<()> {
    let (mut source, mut warehouse) = imported(
        "numbers",
        "CREATE TABLE n AS SELECT row_number() OVER () AS id, x.v FROM (
           SELECT (sign * digits * 10::numeric ^ power) AS v FROM (VALUES (1), (-1)) s(sign),
             (VALUES (1::numeric), (9999), (10000), (12345678.9), (100000000), (0), (0.0001), (1.0000)) d(digits),
             generate_series(-70, 70, 7) power) x",
    )?;
    warehouse.batch_execute(
        "CREATE TABLE copy AS SELECT * FROM n; CREATE TABLE twin (id int, v numeric)",
    )?;
    // The same numbers made by the server's own input function.
    warehouse.batch_execute("INSERT INTO twin SELECT id, v::text::numeric FROM n")?;
    let apart = "SELECT count(*) FROM copy c JOIN twin t USING (id) \
         WHERE pg_column_size(c.v) <> pg_column_size(t.v) OR c.v <> t.v OR hash_numeric(c.v) <> hash_numeric(t.v) \
           OR numeric_send(c.v) <> numeric_send(t.v) OR scale(c.v) <> scale(t.v)";
    crate::ask::expect(&mut warehouse, apart, "0")?;
    same(&mut source, &mut warehouse, "SELECT id, v, hash_numeric(v) FROM n ORDER BY id")
}
