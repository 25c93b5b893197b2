//! The dialect of a Postgres source: writes an [`Expr`] as SQL with numbered parameters.
//!
//! The result is a [`Template`]: SQL in pieces with holes for run-time values, so that the same plan
//! can be shown with `$1`, sent with bound parameters or filled with literals (a COPY takes no
//! parameters).
//!
//! The session at the source has `search_path = pg_catalog`, so built-in names need no schema.

mod clauses;
mod lists;
mod writer;

pub use clauses::clauses;
pub use lists::{Lists, lists};

use super::{ColumnRef, Expr, Select};
use serde::{Deserialize, Serialize};
use writer::Writer;

/// SQL with holes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Piece {
    #[serde(rename = "t")]
    Text(String),
    #[serde(rename = "p")]
    Param(usize),
}

impl Template {
    /// Adds literal SQL.
    pub fn push(&mut self, sql: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(sql),
            _ => {
                // It mostly grows.
                let mut text = String::with_capacity(sql.len().max(128));
                text.push_str(sql);
                self.pieces.push(Piece::Text(text));
            }
        }
    }

    /// Adds a hole for the run-time value `index`, counted from 0.
    pub fn push_param(&mut self, index: usize) {
        self.pieces.push(Piece::Param(index));
    }

    /// Adds another template.
    pub fn append(&mut self, other: &Template) {
        for piece in &other.pieces {
            match piece {
                Piece::Text(text) => self.push(text),
                Piece::Param(index) => self.push_param(*index),
            }
        }
    }

    /// The SQL with `$1`, `$2`, … in its holes.
    pub fn numbered(&self) -> String {
        self.fill(|index| format!("${}", index + 1))
    }

    /// The SQL with each hole filled by `value(index)`, which must be a complete SQL literal.
    pub fn fill(&self, mut value: impl FnMut(usize) -> String) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Param(index) => out.push_str(&value(*index)),
            }
        }
        out
    }

    /// Whether there is any hole.
    pub fn has_params(&self) -> bool {
        self.pieces.iter().any(|p| matches!(p, Piece::Param(_)))
    }
}

/// How an identifier is written, quoted if it has to be.
pub type Quote<'a> = &'a dyn Fn(&str) -> String;

/// The SQL of an expression over one table, whose columns stand alone.
pub fn expression(expr: &Expr, quote: Quote<'_>) -> Template {
    let mut out = Template::default();
    Writer { quote, qualified: false, out: &mut out }.expr(expr);
    out
}

/// The SQL of a SELECT. Columns are qualified where it has several relations.
pub fn select(select: &Select, quote: Quote<'_>) -> Template {
    let mut out = Template::default();
    Writer { quote, qualified: is_qualified(select), out: &mut out }.select(select);
    out
}

/// Whether columns carry the alias of their relation.
fn is_qualified(select: &Select) -> bool {
    let mut found = false;
    select.walk(&mut |expr| found |= exists(expr));
    found || !select.rows.from.is_table() || is_shadowed(select)
}

fn exists(expr: &Expr) -> bool {
    matches!(expr, Expr::Exists { .. })
}

/// Whether a bare column in ORDER BY would be taken for an output of that name: PostgreSQL looks among
/// the outputs first, and a cast of a column, or a function, has a name too (FigureColname in
/// parse_target.c).
fn is_shadowed(select: &Select) -> bool {
    select.order.iter().any(|term| {
        let Expr::Column(ColumnRef { name, cast_to: None, .. }) = &term.expr else { return false };
        select.outputs.iter().any(|output| *output != term.expr && may_be_called(output, name))
    })
}

fn may_be_called(output: &Expr, name: &str) -> bool {
    match output {
        Expr::Column(column) => column.name == name,
        Expr::Cast { arg, .. } | Expr::Collate { arg, .. } | Expr::Subscript { arg, .. } => {
            may_be_called(arg, name)
        }
        Expr::Function { name: function, .. } => function == name,
        Expr::Aggregate(aggregate) => aggregate.name == name,
        Expr::Operator { .. } | Expr::Literal(_) | Expr::And(_) | Expr::Or(_) | Expr::Not(_) => {
            false
        }
        // Named by a keyword or by a part.
        _ => true,
    }
}

/// The alias of a relation where a query has several.
pub fn alias(relation: u32) -> String {
    format!("r{relation}")
}

#[cfg(test)]
mod tests {
    use super::super::{
        Aggregate, From, JoinKind, Literal, OperatorName, Rows, SortTerm, TypeName,
    };
    use super::*;
    use crate::quote;

    fn of(name: &str) -> TypeName {
        TypeName(name.into())
    }

    fn col(name: &str) -> Expr {
        Expr::Column(ColumnRef { relation: 1, name: name.into(), cast_to: None })
    }

    fn lit(text: &str, ty: &str) -> Expr {
        Expr::Literal(Literal { text: Some(text.into()), of: of(ty) })
    }

    fn plain(name: &str) -> String {
        quote::identifier_if_needed(name, |_| false)
    }

    fn sql(expr: &Expr) -> String {
        expression(expr, &plain).numbered()
    }

    #[test]
    fn comparisons_and_parameters() {
        let expr = Expr::And(vec![
            Expr::Operator {
                op: OperatorName::builtin("="),
                args: vec![col("id"), Expr::Param { index: 0, of: of("integer") }],
            },
            Expr::Operator {
                op: OperatorName::builtin("~~"),
                args: vec![col("Weird\"Name"), lit("a%'", "text")],
            },
        ]);
        assert_eq!(sql(&expr), r#"((id = $1::integer) AND ("Weird""Name" ~~ 'a%'''::text))"#);
    }

    #[test]
    fn templates_fill_their_holes() {
        let out = expression(&Expr::Param { index: 2, of: of("date") }, &plain);
        assert!(out.has_params());
        assert_eq!(out.fill(|i| format!("'{i}'")), "'2'::date");
        let copy: Template = serde_json::from_str(&serde_json::to_string(&out).expect("json"))
            .expect("a template survives its text form");
        assert_eq!(copy, out);
    }

    #[test]
    fn literals_keep_their_type() {
        assert_eq!(sql(&lit("5", "integer")), "5");
        assert_eq!(sql(&lit("-5", "integer")), "(-5)");
        assert_eq!(sql(&lit("-2147483648", "integer")), "'-2147483648'::integer");
        assert_eq!(sql(&lit("5", "bigint")), "'5'::bigint");
        assert_eq!(sql(&lit("t", "boolean")), "true");
        assert_eq!(sql(&lit("NaN", "numeric")), "'NaN'::numeric");
        let null = Expr::Literal(Literal { text: None, of: of("text") });
        assert_eq!(sql(&null), "NULL::text");
    }

    #[test]
    fn grammar_functions_are_quoted() {
        let call = |name: &str| Expr::Function {
            schema: None,
            name: name.into(),
            args: vec![col("a"), lit("1", "integer")],
            variadic: false,
        };
        assert_eq!(sql(&call("overlay")), r#""overlay"(a, 1)"#);
        assert_eq!(sql(&call("date_trunc")), "date_trunc(a, 1)");
    }

    #[test]
    fn case_arrays_and_tests() {
        let expr = Expr::Case {
            operand: None,
            arms: vec![(Expr::IsNull { arg: Box::new(col("a")), not: true }, lit("1", "integer"))],
            otherwise: Some(Box::new(Expr::Coalesce(vec![col("b"), lit("2", "integer")]))),
        };
        assert_eq!(sql(&expr), "CASE WHEN (a IS NOT NULL) THEN 1 ELSE COALESCE(b, 2) END");
        let any = Expr::AnyAll {
            op: OperatorName::builtin("="),
            all: false,
            left: Box::new(col("a")),
            right: Box::new(Expr::Array { elements: vec![], of: of("integer[]") }),
        };
        assert_eq!(sql(&any), "(a = ANY (ARRAY[]::integer[]))");
    }

    fn table(relation: u32, computed: Vec<(String, Expr)>) -> From {
        From::Table { name: format!("app.t{relation}"), relation, computed, only: None }
    }

    #[test]
    fn a_condition_on_the_rows_of_a_table_comes_before_everything() {
        let from = From::Table {
            name: "app.t1".to_owned(),
            relation: 1,
            computed: Vec::new(),
            only: Some("age(t.xmin) <= 5".to_owned()),
        };
        let rows = Rows { from, conditions: vec![col("b")] };
        assert_eq!(
            select(&Select::of(vec![col("a")], rows), &plain).numbered(),
            "SELECT a FROM (SELECT t.* FROM app.t1 t WHERE age(t.xmin) <= 5) r1 WHERE b"
        );
    }

    #[test]
    fn lists_that_are_written_once_make_the_same_select() {
        let sum = Expr::Aggregate(Box::new(Aggregate {
            name: "sum".to_owned(),
            star: false,
            distinct: false,
            args: vec![col("b")],
            variadic: false,
            order: Vec::new(),
            within_group: false,
            filter: None,
        }));
        let equal = |name: &str| Expr::Operator {
            op: OperatorName::builtin("="),
            args: vec![col(name), Expr::Param { index: 0, of: of("integer") }],
        };
        for outputs in [vec![], vec![sum], vec![col("a"), col("Weird")]] {
            for keys in [vec![], vec![col("a"), lit("1", "integer")]] {
                let lists = lists(&outputs, &keys, &plain);
                for conditions in [vec![], vec![equal("c"), equal("a")]] {
                    for only in [None, Some("age(t.xmin) <= 5".to_owned())] {
                        let From::Table { name, relation, computed, .. } = table(1, Vec::new())
                        else {
                            unreachable!("a table");
                        };
                        let from = From::Table { name, relation, computed, only };
                        let rows = Rows { from, conditions: conditions.clone() };
                        let found = lists.select(&rows, &plain).expect("one table");
                        let mut query = Select::of(outputs.clone(), rows);
                        query.group_by = Some(keys.clone());
                        assert_eq!(found, select(&query, &plain));
                    }
                }
            }
        }
        let join = From::Join {
            kind: JoinKind::Inner,
            left: Box::new(table(1, Vec::new())),
            right: Box::new(table(2, Vec::new())),
            on: Vec::new(),
        };
        let rows = Rows { from: join, conditions: Vec::new() };
        assert_eq!(lists(&[], &[], &plain).select(&rows, &plain), None);
        let exists = Expr::Exists {
            not: false,
            rows: Box::new(Rows { from: table(2, Vec::new()), conditions: Vec::new() }),
        };
        let rows = Rows { from: table(1, Vec::new()), conditions: vec![exists] };
        assert_eq!(lists(&[], &[], &plain).select(&rows, &plain), None);
    }

    #[test]
    fn one_table_has_bare_columns() {
        let rows = Rows { from: table(1, Vec::new()), conditions: vec![] };
        let mut query = Select::of(vec![col("a")], rows);
        query.group_by = Some(vec![col("a"), lit("5", "integer")]);
        query.limit = Some(lit("3", "bigint"));
        assert_eq!(
            select(&query, &plain).numbered(),
            "SELECT a FROM app.t1 GROUP BY a, '5'::integer LIMIT '3'::bigint"
        );
        let nothing = Select::of(vec![], query.rows);
        assert_eq!(select(&nothing, &plain).numbered(), "SELECT FROM app.t1");
    }

    #[test]
    fn order_means_the_column() {
        let rows = Rows { from: table(1, vec![]), conditions: vec![] };
        let order = |outputs: Vec<Expr>| {
            let term = SortTerm {
                expr: col("k"),
                collation: None,
                direction: "ASC".to_owned(),
                nulls_first: false,
            };
            let select = Select { order: vec![term], ..Select::of(outputs, rows.clone()) };
            super::select(&select, &plain).numbered()
        };
        let text = Expr::Cast { arg: Box::new(col("k")), to: TypeName("text".to_owned()) };
        assert!(order(vec![col("k"), col("j")]).ends_with("ORDER BY k ASC NULLS LAST"));
        assert!(order(vec![text.clone()]).ends_with("ORDER BY r1.k ASC NULLS LAST"));
        assert!(order(vec![text, col("k")]).starts_with("SELECT (r1.k)::text, r1.k FROM"));
    }

    #[test]
    fn joins_qualify_and_compute() {
        let on = Expr::Operator {
            op: OperatorName::builtin("="),
            args: vec![
                col("id"),
                Expr::Column(ColumnRef { relation: 2, name: "user_id".into(), cast_to: None }),
            ],
        };
        let from = From::Join {
            kind: JoinKind::Left,
            left: Box::new(table(1, vec![])),
            right: Box::new(table(2, vec![("site".into(), lit("ai", "text"))])),
            on: vec![on],
        };
        let query = Select::of(vec![col("id")], Rows { from, conditions: vec![] });
        assert_eq!(
            select(&query, &plain).numbered(),
            "SELECT r1.id FROM (app.t1 r1 LEFT JOIN (SELECT t.*, 'ai'::text AS site FROM app.t2 t) r2 \
             ON (r1.id = r2.user_id))"
        );
    }

    #[test]
    fn exists_and_aggregates() {
        let rows = Rows { from: table(2, vec![]), conditions: vec![col("x")] };
        let exists = Expr::Exists { not: true, rows: Box::new(rows) };
        let aggregate = Expr::Aggregate(Box::new(Aggregate {
            name: "count".into(),
            star: false,
            distinct: true,
            args: vec![col("a")],
            variadic: false,
            order: vec![],
            within_group: false,
            filter: Some(Box::new(col("b"))),
        }));
        let query =
            Select::of(vec![aggregate], Rows { from: table(1, vec![]), conditions: vec![exists] });
        assert_eq!(
            select(&query, &plain).numbered(),
            "SELECT count(DISTINCT r1.a) FILTER (WHERE r1.b) FROM app.t1 r1 \
             WHERE (NOT EXISTS (SELECT FROM app.t2 r2 WHERE r1.x))"
        );
    }
}
