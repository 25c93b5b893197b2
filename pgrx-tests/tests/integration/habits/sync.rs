//! What a BI tool asks to learn about a database, as a reader, with the sources down.

use anyhow::{Result, ensure};

use super::Scene;
use crate::ask::{expect, refused, rows, run};

/// The relations, with comments and estimates.
const RELATIONS: &str = "SELECT n.nspname AS schema, c.relname AS name, \
      CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'PARTITIONED TABLE' WHEN 'v' THEN 'VIEW' \
        WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW' END AS type, \
      d.description AS description \
    FROM pg_catalog.pg_class AS c INNER JOIN pg_catalog.pg_namespace AS n ON c.relnamespace = n.oid \
      LEFT JOIN pg_catalog.pg_description AS d \
        ON c.oid = d.objoid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass \
      LEFT JOIN pg_stat_user_tables AS stat ON n.nspname = stat.schemaname AND c.relname = stat.relname \
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
      AND c.relkind IN ('r', 'p', 'v', 'f', 'm') AND n.nspname IN ('main', 'main_sites') \
    ORDER BY type, schema, name";

/// What the reader may do with them.
const PRIVILEGES: &str = "SELECT t.schemaname, t.objectname, \
      pg_catalog.has_any_column_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'select'), \
      pg_catalog.has_any_column_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'update'), \
      pg_catalog.has_table_privilege(current_user, format('%I.%I', t.schemaname, t.objectname), 'delete') \
    FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables \
      UNION SELECT schemaname, viewname FROM pg_catalog.pg_views \
      UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t \
    WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' \
      AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage') \
      AND t.schemaname IN ('main', 'main_sites') ORDER BY 1, 2";

/// The columns, with keys and comments.
const COLUMNS: &str = "SELECT c.table_name, c.column_name, \
      CASE WHEN c.udt_schema IN ('public', 'pg_catalog') THEN c.udt_name \
        ELSE format('%I.%I', c.udt_schema, c.udt_name) END, \
      c.ordinal_position - 1, pk.column_name IS NOT NULL, \
      col_description(CAST(CAST(format('%I.%I', CAST(c.table_schema AS text), CAST(c.table_name AS text)) \
        AS regclass) AS oid), c.ordinal_position), \
      (column_default IS NULL OR lower(column_default) = 'null') AND is_nullable = 'NO' \
        AND NOT (column_default IS NOT NULL AND column_default LIKE '%nextval(%' OR is_identity <> 'NO') \
    FROM information_schema.columns AS c \
      LEFT JOIN (SELECT tc.table_schema, tc.table_name, kc.column_name \
        FROM information_schema.table_constraints AS tc \
        INNER JOIN information_schema.key_column_usage AS kc ON tc.constraint_name = kc.constraint_name \
          AND tc.table_schema = kc.table_schema AND tc.table_name = kc.table_name \
        WHERE tc.constraint_type = 'PRIMARY KEY') AS pk \
      ON c.table_schema = pk.table_schema AND c.table_name = pk.table_name AND c.column_name = pk.column_name \
    WHERE c.table_schema !~ '^information_schema|catalog_history|pg_' AND c.table_schema = 'main' \
    ORDER BY 1, 4";

/// The foreign keys.
const FOREIGN_KEYS: &str = "SELECT fk_ns.nspname, fk_table.relname, fk_column.attname, pk_table.relname, \
      pk_column.attname FROM pg_catalog.pg_constraint AS c \
      INNER JOIN pg_catalog.pg_class AS fk_table ON c.conrelid = fk_table.oid \
      INNER JOIN pg_catalog.pg_namespace AS fk_ns ON c.connamespace = fk_ns.oid \
      INNER JOIN pg_catalog.pg_attribute AS fk_column ON c.conrelid = fk_column.attrelid \
      INNER JOIN pg_catalog.pg_class AS pk_table ON c.confrelid = pk_table.oid \
      INNER JOIN pg_catalog.pg_namespace AS pk_ns ON pk_table.relnamespace = pk_ns.oid \
      INNER JOIN pg_catalog.pg_attribute AS pk_column ON c.confrelid = pk_column.attrelid \
    WHERE fk_ns.nspname !~ '^information_schema|catalog_history|pg_' AND c.contype = 'f'::char \
      AND fk_column.attnum = ANY (c.conkey) AND pk_column.attnum = ANY (c.confkey) AND fk_ns.nspname = 'main' \
    ORDER BY 1, 2";

const LABELS: &str = "SELECT nspname, typname, enumlabel FROM pg_enum JOIN pg_type t ON t.oid = pg_enum.enumtypid \
    JOIN pg_namespace n ON n.oid = t.typnamespace WHERE nspname = 'main' ORDER BY 1, 2, enumsortorder";

#[test]
fn the_catalogs_need_no_source() -> Result<()> {
    let scene = Scene::new("catalogs")?;
    scene.kill()?;
    let mut tool = scene.tool()?;
    let relations = rows(&mut tool, RELATIONS)?;
    for line in ["main|orders|PARTITIONED TABLE|~", "main|users|PARTITIONED TABLE|people"] {
        ensure!(relations.lines().any(|found| found == line), "{line} is not in\n{relations}");
    }
    // The partitions are tables of their own, which a reader must not see twice.
    expect(&mut tool, PRIVILEGES, "main|orders|t|f|f\nmain|users|t|f|f")?;
    expect(&mut tool, "SELECT has_schema_privilege('main_sites', 'usage')", "f")?;
    expect(
        &mut tool,
        COLUMNS,
        "orders|site|text|0|f|The site that the row comes from.|t\norders|id|int4|1|f|~|t\norders|user_id|int4|2|f|~|f\n\
         orders|kind|main.kind|3|f|~|f\norders|name|text|4|f|~|f\norders|amount|numeric|5|f|~|f\n\
         orders|score|float8|6|f|~|f\norders|at|timestamptz|7|f|~|f\norders|note|jsonb|8|f|~|f\n\
         users|site|text|0|f|The site that the row comes from.|t\nusers|id|int4|1|f|~|t\nusers|email|text|2|f|where to write|f\n\
         users|active|bool|3|f|~|f",
    )?;
    expect(&mut tool, FOREIGN_KEYS, "")?;
    expect(&mut tool, LABELS, "main|kind|open\nmain|kind|paid\nmain|kind|sent")?;
    ensure!(
        rows(&mut tool, "SELECT server FROM warehouse.replica_connections()")
            .is_ok_and(|all| all.is_empty())
    );
    Ok(())
}

/// A tool that gets an error here forgets the table.
#[test]
fn whether_a_table_is_there_needs_no_source() -> Result<()> {
    let scene = Scene::new("isthere")?;
    scene.kill()?;
    let mut tool = scene.tool()?;
    for table in ["\"main\".\"orders\"", "\"main\".\"users\""] {
        run(&mut tool, "SET statement_timeout = '2s'")?;
        for _ in 0..3 {
            expect(&mut tool, &format!("SELECT TRUE FROM {table} WHERE 1 <> 1 LIMIT 0"), "")?;
        }
        let prepared = tool.prepare(&format!("SELECT TRUE FROM {table} WHERE 1 <> 1 LIMIT 0"))?;
        for _ in 0..12 {
            ensure!(tool.query(&prepared, &[])?.is_empty());
        }
        // The driver asks for the columns of a statement before it runs it.
        let described = tool.prepare(&format!("SELECT * FROM {table}"))?;
        ensure!(described.columns().len() > 3);
        refused(&mut tool, &format!("SELECT * FROM {table}"))?.says("08001", &["server_"])?;
    }
    refused(&mut tool, "SELECT TRUE FROM main_sites.orders_a WHERE 1 <> 1 LIMIT 0")?
        .says("42501", &[])?;
    Ok(())
}

/// Samples ask every site for no more than they take.
#[test]
fn samples_are_limited_at_the_sources() -> Result<()> {
    let scene = Scene::new("samples")?;
    let mut tool = scene.tool()?;
    for (sql, limit, count) in [
        (
            "SELECT \"main\".\"orders\".\"id\" AS \"id\", SUBSTRING(\"main\".\"orders\".\"name\", 1, 1234) AS \"substring1\", \
               \"main\".\"orders\".\"amount\" AS \"amount\", \"main\".\"orders\".\"kind\" AS \"kind\" \
             FROM \"main\".\"orders\" LIMIT 10000",
            "LIMIT '10000'",
            3200,
        ),
        (
            "SELECT \"main\".\"orders\".\"note\"::text FROM \"main\".\"orders\" LIMIT 500",
            "LIMIT '500'",
            500,
        ),
        ("SELECT * FROM \"main\".\"orders\" LIMIT 2000", "LIMIT '2000'", 2000),
        ("SELECT name FROM \"main\".\"orders\" WHERE name IS NOT NULL LIMIT 5", "LIMIT '5'", 5),
    ] {
        let since = scene.now()?;
        let found = rows(&mut tool, sql)?.lines().count();
        ensure!(found == count, "{sql}: {found} rows");
        let asked = scene.asked_anywhere(since)?;
        let reads = asked.matches("FROM public.orders").count();
        ensure!(reads > 0 && asked.contains(limit), "{sql}\n{asked}");
    }
    Ok(())
}
