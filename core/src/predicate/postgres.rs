//! The dialect of a Postgres source: writes an [`Expr`] as SQL with numbered parameters.
//!
//! The result is a [`Template`]: SQL in pieces with holes for run-time values, so that the same plan
//! can be shown with `$1`, sent with bound parameters or filled with literals (a COPY takes no
//! parameters).
//!
//! The session at the source has `search_path = pg_catalog`, so built-in names need no schema.

use super::SortTerm;
use super::{Aggregate, BoolTest, Expr, From, JoinKind, Literal, OperatorName, Rows, Select};
use crate::quote;
use serde::{Deserialize, Serialize};

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
            _ => self.pieces.push(Piece::Text(sql.to_owned())),
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
    let mut exists = false;
    select.walk(&mut |expr| exists |= matches!(expr, Expr::Exists { .. }));
    let qualified = exists || !select.rows.from.is_table();
    Writer { quote, qualified, out: &mut out }.select(select);
    out
}

/// The alias of a relation where a query has several.
pub fn alias(relation: u32) -> String {
    format!("r{relation}")
}

struct Writer<'a> {
    quote: Quote<'a>,
    qualified: bool,
    out: &'a mut Template,
}

impl Writer<'_> {
    fn select(&mut self, select: &Select) {
        self.out.push(if select.distinct { "SELECT DISTINCT " } else { "SELECT " });
        for (i, output) in select.outputs.iter().enumerate() {
            if i > 0 {
                self.out.push(", ");
            }
            self.expr(output);
        }
        if !select.outputs.is_empty() {
            self.out.push(" ");
        }
        self.rows(&select.rows);
        for (i, key) in select.group_by.iter().flatten().enumerate() {
            self.out.push(if i == 0 { " GROUP BY " } else { ", " });
            self.key(key);
        }
        for (i, condition) in select.having.iter().enumerate() {
            self.out.push(if i == 0 { " HAVING " } else { " AND " });
            self.expr(condition);
        }
        self.order(&select.order, " ORDER BY ");
        for (word, expr) in [(" LIMIT ", &select.limit), (" OFFSET ", &select.offset)] {
            if let Some(expr) = expr {
                self.out.push(word);
                self.expr(expr);
            }
        }
    }

    fn rows(&mut self, rows: &Rows) {
        self.out.push("FROM ");
        self.from(&rows.from);
        for (i, condition) in rows.conditions.iter().enumerate() {
            self.out.push(if i == 0 { " WHERE " } else { " AND " });
            self.expr(condition);
        }
    }

    fn from(&mut self, from: &From) {
        match from {
            From::Table { name, relation, computed } => {
                let alias = alias(*relation);
                if computed.is_empty() {
                    self.out.push(name);
                } else {
                    self.out.push("(SELECT t.*");
                    for (name, expr) in computed {
                        self.out.push(", ");
                        self.expr(expr);
                        self.out.push(" AS ");
                        let name = (self.quote)(name);
                        self.out.push(&name);
                    }
                    self.out.push(" FROM ");
                    self.out.push(name);
                    self.out.push(" t)");
                }
                if self.qualified {
                    self.out.push(" ");
                    self.out.push(&alias);
                }
            }
            From::Join { kind, left, right, on } => {
                self.out.push("(");
                self.from(left);
                self.out.push(match kind {
                    JoinKind::Inner => " INNER JOIN ",
                    JoinKind::Left => " LEFT JOIN ",
                    JoinKind::Right => " RIGHT JOIN ",
                    JoinKind::Full => " FULL JOIN ",
                });
                self.from(right);
                self.out.push(" ON ");
                if on.is_empty() {
                    self.out.push("true");
                }
                for (i, condition) in on.iter().enumerate() {
                    if i > 0 {
                        self.out.push(" AND ");
                    }
                    self.expr(condition);
                }
                self.out.push(")");
            }
        }
    }

    fn order(&mut self, terms: &[SortTerm], word: &str) {
        for (i, term) in terms.iter().enumerate() {
            self.out.push(if i == 0 { word } else { ", " });
            self.key(&term.expr);
            if let Some(collation) = term.collation {
                self.out.push(" COLLATE ");
                self.out.push(collation);
            }
            self.out.push(" ");
            self.out.push(&term.direction);
            self.out.push(if term.nulls_first { " NULLS FIRST" } else { " NULLS LAST" });
        }
    }

    /// A sort or group key: a bare number there would name an output column.
    fn key(&mut self, expr: &Expr) {
        match expr {
            Expr::Literal(literal) => {
                match &literal.text {
                    Some(text) => self.out.push(&quote::literal(text)),
                    None => self.out.push("NULL"),
                }
                self.out.push("::");
                self.out.push(&literal.of.0);
            }
            _ => self.expr(expr),
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        self.out.push(&quote::identifier_if_needed(&aggregate.name, is_syntax_function));
        self.out.push("(");
        if aggregate.distinct {
            self.out.push("DISTINCT ");
        }
        if aggregate.star {
            self.out.push("*");
        }
        for (i, arg) in aggregate.args.iter().enumerate() {
            if i > 0 {
                self.out.push(", ");
            }
            if aggregate.variadic && i + 1 == aggregate.args.len() {
                self.out.push("VARIADIC ");
            }
            self.expr(arg);
        }
        if aggregate.within_group {
            self.out.push(") WITHIN GROUP (");
            self.order(&aggregate.order, "ORDER BY ");
        } else {
            self.order(&aggregate.order, " ORDER BY ");
        }
        self.out.push(")");
        if let Some(filter) = &aggregate.filter {
            self.out.push(" FILTER (WHERE ");
            self.expr(filter);
            self.out.push(")");
        }
    }
}

impl Writer<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Column(column) => {
                if self.qualified {
                    self.out.push(&alias(column.relation));
                    self.out.push(".");
                }
                let name = (self.quote)(&column.name);
                self.out.push(&name);
                if let Some(to) = &column.cast_to {
                    self.out.push("::");
                    self.out.push(&to.0);
                }
            }
            Expr::Literal(literal) => self.literal(literal),
            Expr::Param { index, of } => {
                self.out.push_param(*index);
                self.out.push("::");
                self.out.push(&of.0);
            }
            Expr::Operator { op, args } => self.operator(op, args),
            Expr::AnyAll { op, all, left, right } => {
                self.out.push("(");
                self.expr(left);
                self.symbol(op);
                self.out.push(if *all { "ALL (" } else { "ANY (" });
                self.expr(right);
                self.out.push("))");
            }
            Expr::Function { schema, name, args, variadic } => {
                if let Some(schema) = schema {
                    let schema = (self.quote)(schema);
                    self.out.push(&schema);
                    self.out.push(".");
                }
                // `name(` is never a keyword construct when quoted.
                self.out.push(&quote::identifier_if_needed(name, is_syntax_function));
                self.out.push("(");
                for (i, arg) in args.iter().enumerate() {
                    if i > 0 {
                        self.out.push(", ");
                    }
                    if *variadic && i + 1 == args.len() {
                        self.out.push("VARIADIC ");
                    }
                    self.expr(arg);
                }
                self.out.push(")");
            }
            Expr::Cast { arg, to } => {
                self.out.push("(");
                self.expr(arg);
                self.out.push(")::");
                self.out.push(&to.0);
            }
            Expr::Collate { arg, collation } => {
                self.out.push("(");
                self.expr(arg);
                self.out.push(" COLLATE ");
                self.out.push(collation);
                self.out.push(")");
            }
            Expr::And(args) => self.joined(args, " AND "),
            Expr::Or(args) => self.joined(args, " OR "),
            Expr::Not(arg) => {
                self.out.push("(NOT ");
                self.expr(arg);
                self.out.push(")");
            }
            Expr::IsNull { arg, not } => {
                self.suffixed(arg, if *not { " IS NOT NULL" } else { " IS NULL" })
            }
            Expr::BoolTest { arg, test } => {
                let suffix = match test {
                    BoolTest::IsTrue => " IS TRUE",
                    BoolTest::IsNotTrue => " IS NOT TRUE",
                    BoolTest::IsFalse => " IS FALSE",
                    BoolTest::IsNotFalse => " IS NOT FALSE",
                    BoolTest::IsUnknown => " IS UNKNOWN",
                    BoolTest::IsNotUnknown => " IS NOT UNKNOWN",
                };
                self.suffixed(arg, suffix);
            }
            Expr::Distinct { left, right } => {
                self.out.push("(");
                self.expr(left);
                self.out.push(" IS DISTINCT FROM ");
                self.expr(right);
                self.out.push(")");
            }
            Expr::NullIf { left, right } => {
                self.call("NULLIF", &[left.as_ref().clone(), right.as_ref().clone()])
            }
            Expr::Case { operand, arms, otherwise } => {
                self.out.push("CASE");
                if let Some(operand) = operand {
                    self.out.push(" ");
                    self.expr(operand);
                }
                for (when, then) in arms {
                    self.out.push(" WHEN ");
                    self.expr(when);
                    self.out.push(" THEN ");
                    self.expr(then);
                }
                if let Some(otherwise) = otherwise {
                    self.out.push(" ELSE ");
                    self.expr(otherwise);
                }
                self.out.push(" END");
            }
            Expr::Coalesce(args) => self.call("COALESCE", args),
            Expr::Greatest(args) => self.call("GREATEST", args),
            Expr::Least(args) => self.call("LEAST", args),
            Expr::Array { elements, of } => {
                self.out.push("ARRAY[");
                self.list(elements);
                self.out.push("]::");
                self.out.push(&of.0);
            }
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Exists { not, rows } => {
                self.out.push(if *not { "(NOT EXISTS (SELECT " } else { "(EXISTS (SELECT " });
                self.rows(rows);
                self.out.push("))");
            }
            Expr::Subscript { arg, indexes } => {
                self.out.push("(");
                self.expr(arg);
                self.out.push(")");
                for index in indexes {
                    self.out.push("[");
                    self.expr(index);
                    self.out.push("]");
                }
            }
        }
    }

    fn literal(&mut self, literal: &Literal) {
        let of = literal.of.0.as_str();
        match &literal.text {
            None => {
                self.out.push("NULL::");
                self.out.push(of);
            }
            // A plain integer token already has the type integer; so have true and false.
            Some(text) if of == "integer" && is_small_integer(text) => {
                if text.starts_with('-') {
                    self.out.push("(");
                    self.out.push(text);
                    self.out.push(")");
                } else {
                    self.out.push(text);
                }
            }
            Some(text) if of == "boolean" => {
                self.out.push(if text.starts_with('t') { "true" } else { "false" });
            }
            Some(text) => {
                self.out.push(&quote::literal(text));
                self.out.push("::");
                self.out.push(of);
            }
        }
    }

    fn operator(&mut self, op: &OperatorName, args: &[Expr]) {
        self.out.push("(");
        match args {
            [only] => {
                self.symbol(op);
                self.expr(only);
            }
            [left, right] => {
                self.expr(left);
                self.symbol(op);
                self.expr(right);
            }
            _ => {}
        }
        self.out.push(")");
    }

    fn symbol(&mut self, op: &OperatorName) {
        match &op.schema {
            None => {
                self.out.push(" ");
                self.out.push(&op.symbol);
                self.out.push(" ");
            }
            Some(schema) => {
                let schema = (self.quote)(schema);
                self.out.push(" OPERATOR(");
                self.out.push(&schema);
                self.out.push(".");
                self.out.push(&op.symbol);
                self.out.push(") ");
            }
        }
    }

    fn suffixed(&mut self, arg: &Expr, suffix: &str) {
        self.out.push("(");
        self.expr(arg);
        self.out.push(suffix);
        self.out.push(")");
    }

    fn joined(&mut self, args: &[Expr], with: &str) {
        self.out.push("(");
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.out.push(with);
            }
            self.expr(arg);
        }
        self.out.push(")");
    }

    fn call(&mut self, name: &str, args: &[Expr]) {
        self.out.push(name);
        self.out.push("(");
        self.list(args);
        self.out.push(")");
    }

    fn list(&mut self, args: &[Expr]) {
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.out.push(", ");
            }
            self.expr(arg);
        }
    }
}

fn is_small_integer(text: &str) -> bool {
    text.parse::<i32>().is_ok_and(|value| value != i32::MIN)
}

/// Function names whose unquoted call is a construct of the grammar.
fn is_syntax_function(name: &str) -> bool {
    matches!(
        name,
        "between"
            | "bigint"
            | "bit"
            | "boolean"
            | "char"
            | "character"
            | "coalesce"
            | "dec"
            | "decimal"
            | "exists"
            | "extract"
            | "float"
            | "greatest"
            | "grouping"
            | "inout"
            | "int"
            | "integer"
            | "interval"
            | "json"
            | "json_array"
            | "json_object"
            | "json_scalar"
            | "json_serialize"
            | "json_exists"
            | "json_query"
            | "json_value"
            | "json_table"
            | "least"
            | "merge_action"
            | "national"
            | "nchar"
            | "none"
            | "normalize"
            | "nullif"
            | "numeric"
            | "out"
            | "overlay"
            | "position"
            | "precision"
            | "real"
            | "row"
            | "setof"
            | "smallint"
            | "substring"
            | "time"
            | "timestamp"
            | "treat"
            | "trim"
            | "values"
            | "varchar"
            | "xmlattributes"
            | "xmlconcat"
            | "xmlelement"
            | "xmlexists"
            | "xmlforest"
            | "xmlnamespaces"
            | "xmlparse"
            | "xmlpi"
            | "xmlroot"
            | "xmlserialize"
            | "xmltable"
            | "left"
            | "right"
            | "like"
            | "ilike"
            | "similar"
            | "overlaps"
            | "user"
            | "current_user"
            | "session_user"
            | "current_date"
            | "current_role"
            | "current_schema"
            | "current_catalog"
            | "localtime"
            | "localtimestamp"
            | "current_time"
            | "current_timestamp"
            | "cast"
            | "collate"
            | "array"
            | "any"
            | "all"
            | "some"
            | "not"
            | "and"
            | "or"
            | "case"
            | "select"
            | "table"
            | "with"
            | "in"
            | "is"
            | "isnull"
            | "notnull"
            | "system_user"
    )
}

#[cfg(test)]
mod tests {
    use super::super::{ColumnRef, TypeName};
    use super::*;

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
        From::Table { name: format!("app.t{relation}"), relation, computed }
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
