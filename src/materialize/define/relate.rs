//! What a table is made of and what it belongs to: lineage, comments, indexes for those that follow, keys.

use crate::materialize::book;
use crate::materialize::columns::qualified;
use crate::pg::error::Result;
use crate::pg::query::Query;
use crate::pg::subtransaction::attempt;
use crate::pg::{catalog, sql, types};
use pgrx::PgSqlErrorCode as Code;
use pgrx::pg_sys::{self, Oid};
use warehouse_core::quote;

/// What each column is made of.
pub fn lineage(id: i32, query: &Query) -> Result<()> {
    let number = i64::from(id);
    book::run(
        "DELETE FROM warehouse.materialization_lineage WHERE materialization = $1::pg_catalog.int4",
        &[number.into()],
    )?;
    for table in &query.tables {
        book::run(
            "INSERT INTO warehouse.materialization_lineage (materialization, source, is_plain) \
             VALUES ($1::pg_catalog.int4, $2::pg_catalog.oid, false)",
            &[number.into(), i64::from(table.to_u32()).into()],
        )?;
    }
    for column in &query.columns {
        for (source, attribute) in &column.uses {
            let is_plain = column.origin == Some((*source, *attribute));
            book::run(
                "INSERT INTO warehouse.materialization_lineage (materialization, column_name, source, source_column, is_plain) \
                 SELECT $1::pg_catalog.int4, $2::pg_catalog.name, a.attrelid, a.attname, $5 FROM pg_catalog.pg_attribute a \
                 WHERE a.attrelid = $3::pg_catalog.oid AND a.attnum = $4",
                &[
                    number.into(),
                    column.name.as_str().into(),
                    i64::from(source.to_u32()).into(),
                    (*attribute).into(),
                    is_plain.into(),
                ],
            )?;
        }
    }
    Ok(())
}

/// Comments: the description, and those of the columns that a column is.
pub fn describe(relation: Oid, query: &Query, description: Option<&str>) -> Result<()> {
    let name = qualified(relation);
    if let Some(text) = description {
        sql::execute(&format!("COMMENT ON TABLE {name} IS {}", quote::literal(text)))?;
    }
    for column in &query.columns {
        let Some((source, attribute)) = column.origin else { continue };
        let comment = sql::value_now::<String>(
            "SELECT pg_catalog.col_description($1, $2::pg_catalog.int4)",
            &[source.into(), attribute.into()],
        );
        if let Ok(Some(text)) = comment
            && catalog::column_number(relation, &column.name).is_some()
        {
            sql::execute(&format!(
                "COMMENT ON COLUMN {name}.{} IS {}",
                quote::identifier(&column.name),
                quote::literal(&text)
            ))?;
        }
    }
    Ok(())
}

/// An index of the table that is followed, by what it is grouped by: groups are found by it. Without one,
/// if the expressions depend on settings or the role may not create it, groups are found by reading all.
pub fn follow_by_index(query: &Query) -> Result<()> {
    let Some(base) = query.grouped else { return Ok(()) };
    let parts: Vec<String> = query
        .columns
        .iter()
        .filter(|column| column.is_grouped && !column.expression.is_empty())
        .map(|column| format!("({})", column.expression))
        .collect();
    let name = format!("warehouse_group_{}", fold(&parts.join(",")));
    // SAFETY: a plain lookup.
    let schema = types::namespace_name(unsafe { pg_sys::get_rel_namespace(base) });
    if parts.is_empty()
        || catalog::relation_by_name(&schema, &name).is_some()
        || !catalog::owns_relation(base)
    {
        return Ok(());
    }
    let statement = format!("CREATE INDEX {name} ON {} ({})", qualified(base), parts.join(", "));
    // Expressions that are not immutable cannot be indexed.
    match attempt(|| sql::execute(&statement)) {
        Err(error) if error.code() != Code::ERRCODE_INVALID_OBJECT_DEFINITION => Err(error),
        _ => Ok(()),
    }
}

/// A short number of a text, the same in every run.
fn fold(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Foreign keys between materialized tables, where the sources have them. They are not checked: each
/// table is refreshed at its own time.
pub fn relate(relation: Oid) -> Result<()> {
    let found: Option<Vec<String>> = book::json(RELATE, &[relation.into()])?;
    for statement in found.unwrap_or_default() {
        sql::execute(&statement)?;
    }
    Ok(())
}

const RELATE: &str = "WITH plain AS ( \
    SELECT m.id, m.relation, m.owner, ARRAY(SELECT pg_catalog.jsonb_array_elements_text(m.options -> 'unique_key')) AS key, \
      l.source, l.source_column::pg_catalog.text AS source_column, l.column_name::pg_catalog.text AS column_name \
    FROM warehouse.materialization m JOIN warehouse.materialization_lineage l ON l.materialization = m.id AND l.is_plain \
  ), fk AS ( \
    SELECT DISTINCT pg_catalog.format('%I.%I', r.relation_schema, r.relation_name)::pg_catalog.regclass AS child, \
      pg_catalog.format('%I.%I', r.referenced_schema, r.referenced_relation)::pg_catalog.regclass AS parent, \
      CASE WHEN r.site IS NULL THEN r.columns ELSE COALESCE(site.name || r.columns, r.columns) END AS columns, \
      CASE WHEN r.site IS NULL THEN r.referenced_columns ELSE COALESCE(site.name || r.referenced_columns, r.referenced_columns) END AS referenced \
    FROM warehouse.relationships r LEFT JOIN LATERAL ( \
      SELECT a.attname::pg_catalog.text AS name FROM pg_catalog.pg_partitioned_table p \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] \
      WHERE p.partrelid = pg_catalog.format('%I.%I', r.relation_schema, r.relation_name)::pg_catalog.regclass) site ON true \
    WHERE r.kind = 'foreign key' \
  ), pair AS ( \
    SELECT c.relation AS child, p.relation AS parent, \
      ARRAY(SELECT x.column_name FROM pg_catalog.unnest(fk.columns) WITH ORDINALITY u(name, at) JOIN plain x \
        ON x.id = c.id AND x.source = fk.child AND x.source_column = u.name ORDER BY u.at) AS columns, \
      ARRAY(SELECT x.column_name FROM pg_catalog.unnest(fk.referenced) WITH ORDINALITY u(name, at) JOIN plain x \
        ON x.id = p.id AND x.source = fk.parent AND x.source_column = u.name ORDER BY u.at) AS referenced, \
      pg_catalog.cardinality(fk.columns) AS width, p.key, c.owner = p.owner AS together \
    FROM fk JOIN (SELECT DISTINCT id, relation, owner, source FROM plain) c ON c.source = fk.child \
      JOIN (SELECT DISTINCT id, relation, owner, source, key FROM plain) p ON p.source = fk.parent \
    WHERE $1 IN (c.relation, p.relation) \
  ) \
  SELECT pg_catalog.jsonb_agg(pg_catalog.format('ALTER TABLE %s ADD FOREIGN KEY (%s) REFERENCES %s (%s) NOT VALID', \
    pg_catalog.format('%I.%I', cn.nspname, cc.relname), \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY at) FROM pg_catalog.unnest(q.columns) WITH ORDINALITY u(n, at)), \
    pg_catalog.format('%I.%I', pn.nspname, pc.relname), \
    (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(n), ', ' ORDER BY at) FROM pg_catalog.unnest(q.referenced) WITH ORDINALITY u(n, at)))) \
  FROM (SELECT DISTINCT * FROM pair) q \
    JOIN pg_catalog.pg_class cc ON cc.oid = q.child JOIN pg_catalog.pg_namespace cn ON cn.oid = cc.relnamespace \
    JOIN pg_catalog.pg_class pc ON pc.oid = q.parent JOIN pg_catalog.pg_namespace pn ON pn.oid = pc.relnamespace \
  WHERE q.together AND pg_catalog.cardinality(q.columns) = q.width AND pg_catalog.cardinality(q.referenced) = q.width \
    AND q.referenced @> q.key AND q.key @> q.referenced \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conrelid = q.child AND k.confrelid = q.parent AND k.contype = 'f' \
      AND ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u(n, at) \
        JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at) = q.columns)";
