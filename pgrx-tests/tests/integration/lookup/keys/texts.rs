//! Texts that mean something in an array, in a literal or in SQL, and collations.

use anyhow::{Context, Result};

use super::{agree, compare, queries, scene};
use crate::ask::run;

/// Everything that has a meaning in the text form of an array, in a literal, or in JSON.
const TEXTS: [&str; 26] = [
    "'a'",
    "''",
    "'NULL'",
    "'null'",
    "' '",
    "'a b '",
    "E'it\\'s'",
    "'\"'",
    "'\"\"'",
    "E'\\\\'",
    "E'\\\\\\\\'",
    "E'a\\\\\"b'",
    "'{'",
    "'}'",
    "'{}'",
    "'{a,b}'",
    "','",
    "'a,b'",
    "E'line\\nline'",
    "E'\\t'",
    "E'\\r\\n'",
    "'größe'",
    "'日本語 🎓'",
    "'$1'",
    "'%s; DROP TABLE i; --'",
    "E'e\\u0301'",
];

#[test]
fn texts() -> Result<()> {
    let mut others = TEXTS.to_vec();
    others.extend(["'A'", "E'\\u00e9'", "'a '", "'none'"]);
    let (few, names) = (["'a'", "'a b'", "''", "'NULL'", "'{\"'"], ["'a'", "'{\"'", "'b'"]);
    agree(
        "texts",
        "",
        &[
            ("text", &TEXTS, "text", &others),
            ("varchar(80)", &TEXTS, "text", &others),
            ("text", &others, "varchar", &TEXTS),
            ("char(12)", &few, "char(20)", &["'a '", "'a b'", "'NULL'", "''", "'b'"]),
            ("name", &few, "name", &names),
            ("text", &few, "name", &names),
        ],
    )
}

/// The source's own settings do not change what the text of an array is.
#[test]
fn texts_at_a_source_with_other_settings() -> Result<()> {
    let mut scene = scene("textsettings", "", &[("text", &TEXTS, "text", &TEXTS)])?;
    run(
        &mut scene.pair.source()?,
        &format!(
            "ALTER DATABASE \"{0}\" SET standard_conforming_strings = off; \
             ALTER DATABASE \"{0}\" SET array_nulls = off; \
             ALTER DATABASE \"{0}\" SET backslash_quote = off; \
             ALTER DATABASE \"{0}\" SET transform_null_equals = on",
            scene.pair.source_database
        ),
    )?;
    for setting in ["standard_conforming_strings = off", "array_nulls = off", "DateStyle = German"]
    {
        run(&mut scene.client, "SELECT warehouse.disconnect()")?;
        run(&mut scene.client, &format!("SET {setting}"))?;
        for query in queries(0) {
            scene.agrees(&query).with_context(|| setting.to_owned())?;
        }
    }
    Ok(())
}

/// A comparison that is no equality of bytes stays here or is made by the same rules.
#[test]
fn collations_that_call_different_texts_equal() -> Result<()> {
    let mut scene = scene(
        "ci",
        "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        &[
            ("text", &["'a'", "'A'", "'b'", "'B'"], "text", &["'A'", "'b'", "'c'"]),
            ("text COLLATE \"C\"", &TEXTS, "text COLLATE \"POSIX\"", &TEXTS),
        ],
    )?;
    for query in [
        "SELECT o.id, i.id FROM o0 o JOIN $.i0 i ON i.k COLLATE ci = o.k",
        "SELECT o.id FROM o0 o WHERE NOT EXISTS (SELECT FROM $.i0 i WHERE i.k = o.k COLLATE ci)",
        "SELECT o.id, i.id FROM o0 o LEFT JOIN $.i0 i ON lower(i.k) = lower(o.k)",
        "SELECT o.id, i.id FROM o0 o JOIN $.i0 i ON upper(i.k) COLLATE \"C\" = o.k AND i.id = o.id",
        "SELECT o.id, i.id FROM o1 o JOIN $.i1 i ON i.k COLLATE \"C\" = o.k",
        "SELECT o.id FROM o1 o WHERE NOT EXISTS (SELECT FROM $.i1 i WHERE i.k = o.k COLLATE \"C\")",
    ] {
        compare(&mut scene, query)?;
    }
    Ok(())
}
