//! Expressions and queries as text.

use super::super::{
    Aggregate, BoolTest, Expr, From, JoinKind, Literal, OperatorName, Rows, Select, SortTerm,
};
use super::{Quote, Template, alias};
use crate::quote;

/// Writes expressions and queries into a template.
pub struct Writer<'a> {
    /// How identifiers are written.
    pub quote: Quote<'a>,
    /// Columns carry the alias of their relation.
    pub qualified: bool,
    /// Where to.
    pub out: &'a mut Template,
}

impl Writer<'_> {
    /// A SELECT.
    pub fn select(&mut self, select: &Select) {
        if select.distinct {
            self.out.push("SELECT DISTINCT ");
            self.listed(&select.outputs);
        } else {
            self.outputs(&select.outputs);
        }
        self.rows(&select.rows);
        self.keys(select.group_by.as_deref().unwrap_or_default());
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

    /// SELECT and its list, up to FROM.
    pub fn outputs(&mut self, outputs: &[Expr]) {
        self.out.push("SELECT ");
        self.listed(outputs);
    }

    fn listed(&mut self, outputs: &[Expr]) {
        self.list(outputs);
        if !outputs.is_empty() {
            self.out.push(" ");
        }
    }

    /// GROUP BY, if there is a key.
    pub fn keys(&mut self, keys: &[Expr]) {
        for (i, key) in keys.iter().enumerate() {
            self.out.push(if i == 0 { " GROUP BY " } else { ", " });
            self.key(key);
        }
    }

    /// FROM and WHERE.
    pub fn rows(&mut self, rows: &Rows) {
        self.out.push("FROM ");
        self.from(&rows.from);
        for (i, condition) in rows.conditions.iter().enumerate() {
            self.out.push(if i == 0 { " WHERE " } else { " AND " });
            self.expr(condition);
        }
    }

    fn from(&mut self, from: &From) {
        match from {
            From::Table { name, relation, computed, only } => {
                let alias = alias(*relation);
                if computed.is_empty() && only.is_none() {
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
                    self.out.push(" t");
                    if let Some(only) = only {
                        self.out.push(" WHERE ");
                        self.out.push(only);
                    }
                    self.out.push(")");
                }
                if self.qualified || only.is_some() {
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

    /// ORDER BY, with `word` before the first term.
    pub fn order(&mut self, terms: &[SortTerm], word: &str) {
        for (i, term) in terms.iter().enumerate() {
            self.out.push(if i == 0 { word } else { ", " });
            self.key(&term.expr);
            if let Some(collation) = &term.collation {
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
    /// An expression.
    pub fn expr(&mut self, expr: &Expr) {
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
            // Evaluated once, before the rows are looked at, so that an index on the column serves.
            Expr::OfEnum { of, labels, array } => {
                self.out.push(if *array { "ARRAY(" } else { "(" });
                self.out.push("SELECT e FROM unnest(enum_range(NULL::");
                self.out.push(&of.0);
                self.out.push(")) e WHERE e::text = ");
                self.out.push(if *array { "ANY (" } else { "" });
                self.expr(labels);
                self.out.push(if *array { "))" } else { ")" });
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
