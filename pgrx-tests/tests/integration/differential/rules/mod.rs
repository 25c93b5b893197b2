//! The grammar of random expressions: what can be made of values of which types.
//!
//! A rule says what type its result has, what it takes, and how it is written; `{0}`, `{1}`, … stand
//! for its arguments. Rules for single types stand in the modules below, one a family; rules that
//! hold for all types with a property are made by [`all`].

mod containers;
mod documents;
mod networks;
mod numbers;
mod texts;
mod times;

use super::kinds::{Compares, KINDS, Kind};

/// How an expression may be made.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The kind of its result.
    pub gives: String,
    /// The kinds of its arguments.
    pub takes: Vec<String>,
    /// How it is written.
    pub sql: String,
    /// Some arguments make it an error. Evaluating it for fewer or more rows than the source does
    /// would then be seen, so such a rule stands alone in its query.
    pub fails: bool,
    /// Its value depends on the session's time zone or styles.
    pub styled: bool,
}

/// The short form in which rules are listed: result, arguments, SQL.
type Entry = (&'static str, &'static [&'static str], &'static str);

/// The rules of one family.
struct Family {
    /// Those that neither fail nor depend on settings.
    plain: &'static [Entry],
    /// Those that may fail.
    failing: &'static [Entry],
    /// Those that depend on settings.
    styled: &'static [Entry],
    /// Those that depend on settings and may fail.
    styled_failing: &'static [Entry],
}

const FAMILIES: [&Family; 6] = [
    &numbers::FAMILY,
    &texts::FAMILY,
    &times::FAMILY,
    &networks::FAMILY,
    &documents::FAMILY,
    &containers::FAMILY,
];

/// All rules: those of the families, and behind them those that are made for every type.
pub fn all() -> (Vec<Rule>, usize) {
    let mut rules = Vec::new();
    for family in FAMILIES {
        for (list, fails, styled) in [
            (family.plain, false, false),
            (family.failing, true, false),
            (family.styled, false, true),
            (family.styled_failing, true, true),
        ] {
            rules.extend(list.iter().map(|(gives, takes, sql)| Rule {
                gives: (*gives).to_owned(),
                takes: takes.iter().map(|take| (*take).to_owned()).collect(),
                sql: (*sql).to_owned(),
                fails,
                styled,
            }));
        }
    }
    let listed = rules.len();
    for kind in KINDS.iter().filter(|kind| kind.is_storable()) {
        general(kind, &mut rules);
        if kind.compares >= Compares::Order {
            comparisons(kind, &mut rules);
        }
        if let Some(element) = kind.element() {
            arrays(kind, element, &mut rules);
        }
    }
    (rules, listed)
}

fn rule(gives: &str, takes: &[&str], sql: impl Into<String>) -> Rule {
    Rule {
        gives: gives.to_owned(),
        takes: takes.iter().map(|take| (*take).to_owned()).collect(),
        sql: sql.into(),
        fails: false,
        styled: false,
    }
}

/// What every type has.
fn general(kind: &Kind, rules: &mut Vec<Rule>) {
    let t = kind.name;
    rules.extend([
        rule("bool", &[t], "{0} IS NULL"),
        rule("bool", &[t], "{0} IS NOT NULL"),
        rule(t, &[t, t], "COALESCE({0}, {1})"),
        rule(t, &["bool", t, t], "CASE WHEN {0} THEN {1} ELSE {2} END"),
        rule(t, &["bool", t], "CASE WHEN {0} THEN {1} END"),
    ]);
}

/// What every type with an order has.
fn comparisons(kind: &Kind, rules: &mut Vec<Rule>) {
    let (t, sql) = (kind.name, kind.sql());
    for operator in ["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"] {
        rules.push(rule("bool", &[t, t], format!("{{0}} {operator} {{1}}")));
    }
    rules.extend([
        rule("bool", &[t, t], "{0} = {1}"),
        rule("bool", &[t, t, t], "{0} BETWEEN {1} AND {2}"),
        rule("bool", &[t, t, t], "{0} NOT BETWEEN SYMMETRIC {1} AND {2}"),
        rule("bool", &[t, t, t, t], "{0} IN ({1}, {2}, {3})"),
        rule("bool", &[t, t, t], "{0} NOT IN ({1}, {2})"),
        rule("bool", &[t, t, t], format!("{{0}} = ANY (ARRAY[{{1}}, {{2}}]::{sql}[])")),
        rule("bool", &[t, t, t], format!("{{0}} <> ALL (ARRAY[{{1}}, {{2}}]::{sql}[])")),
        rule("bool", &[t, t, t], format!("{{0}} < ANY (ARRAY[{{1}}, NULL, {{2}}]::{sql}[])")),
        rule(t, &[t, t], "NULLIF({0}, {1})"),
        rule(t, &[t, t, t], "GREATEST({0}, {1}, {2})"),
        rule(t, &[t, t], "LEAST({0}, {1})"),
        rule(
            "text",
            &[t, t, t],
            "CASE {0} WHEN {1} THEN 'one' WHEN {2} THEN 'two' ELSE 'none' END",
        ),
    ]);
}

/// What every array has.
fn arrays(kind: &Kind, element: &Kind, rules: &mut Vec<Rule>) {
    let (t, e) = (kind.name, element.name);
    rules.extend([
        rule(e, &[t], "({0})[1]"),
        rule(e, &[t, "small"], "({0})[{1}]"),
        rule(e, &[t], "({0})[2][1]"),
        rule(t, &[t], "({0})[1:2]"),
        rule("int4", &[t], "cardinality({0})"),
        rule("int4", &[t], "array_length({0}, 1)"),
        rule("int4", &[t], "array_ndims({0})"),
        rule("int4", &[t], "array_lower({0}, 1)"),
        rule("text", &[t], "array_dims({0})"),
        rule(t, &[e, e], format!("ARRAY[{{0}}, {{1}}]::{}", kind.sql())),
    ]);
    if element.compares >= Compares::Order {
        rules.extend([
            rule("bool", &[t, t], "{0} @> {1}"),
            rule("bool", &[t, t], "{0} <@ {1}"),
            rule("bool", &[t, t], "{0} && {1}"),
            rule("bool", &[t, e], "{1} = ANY ({0})"),
            rule("bool", &[t, e], "{1} <> ALL ({0})"),
            rule("bool", &[t, e], "{1} > ANY ({0})"),
            rule(t, &[t, e, e], "array_replace({0}, {1}, {2})"),
        ]);
    }
    for (gives, takes, sql) in [
        (t, [t, e], "array_append({0}, {1})"),
        (t, [e, t], "{0} || {1}"),
        (t, [t, t], "{0} || {1}"),
        (t, [t, e], "array_remove({0}, {1})"),
        ("int4", [t, e], "array_position({0}, {1})"),
        (t, [t, "small"], "trim_array({0}, {1})"),
    ] {
        let compares = element.compares >= Compares::Order;
        if compares || !matches!(sql, "array_remove({0}, {1})" | "array_position({0}, {1})") {
            rules.push(Rule { fails: true, ..rule(gives, &takes, sql) });
        }
    }
    rules.push(Rule { styled: true, ..rule("text", &[t], "({0})::text") });
    rules.push(Rule { styled: true, ..rule("text", &[t], "array_to_string({0}, ',', '~')") });
}
