//! The dialect of a Postgres source: writes an [`Expr`] as SQL with numbered parameters.
//!
//! The result is a [`Template`]: SQL in pieces with holes for run-time values, so that the same plan
//! can be shown with `$1`, sent with bound parameters or filled with literals (a COPY takes no
//! parameters).
//!
//! The session at the source has `search_path = pg_catalog`, so built-in names need no schema.

use super::{BoolTest, ColumnRef, Expr, Literal, OperatorName};
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

/// How names are written.
pub trait Names {
    /// A column of the scan, qualified if the query has several relations.
    fn column(&self, column: &ColumnRef) -> String;
    /// An identifier, quoted if it has to be.
    fn identifier(&self, name: &str) -> String;
}

/// Writes `expr` into `out`.
pub fn write(expr: &Expr, names: &dyn Names, out: &mut Template) {
    Writer { names, out }.expr(expr);
}

struct Writer<'a> {
    names: &'a dyn Names,
    out: &'a mut Template,
}

impl Writer<'_> {
    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Column(column) => {
                let name = self.names.column(column);
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
                    let schema = self.names.identifier(schema);
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
                let schema = self.names.identifier(schema);
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
    use super::super::TypeName;
    use super::*;

    struct Plain;
    impl Names for Plain {
        fn column(&self, column: &ColumnRef) -> String {
            self.identifier(&column.name)
        }
        fn identifier(&self, name: &str) -> String {
            quote::identifier_if_needed(name, |_| false)
        }
    }

    fn of(name: &str) -> TypeName {
        TypeName(name.into())
    }

    fn col(name: &str) -> Expr {
        Expr::Column(ColumnRef { relation: 1, name: name.into(), cast_to: None })
    }

    fn lit(text: &str, ty: &str) -> Expr {
        Expr::Literal(Literal { text: Some(text.into()), of: of(ty) })
    }

    fn sql(expr: &Expr) -> String {
        let mut out = Template::default();
        write(expr, &Plain, &mut out);
        out.numbered()
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
        let mut out = Template::default();
        let expr = Expr::Param { index: 2, of: of("date") };
        write(&expr, &Plain, &mut out);
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
}
