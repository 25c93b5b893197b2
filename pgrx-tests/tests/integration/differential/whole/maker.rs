//! Random expressions over the columns in reach. Values that are sorted, grouped or aggregated are
//! made so that equal ones look the same; conditions may be any that the rules of the parent know.

use super::super::expression::{Allowed, Column, Maker as Conditions, Param as Chosen};
use super::super::kinds::find;
use super::super::random::Random;
use super::super::rules::Rule;
use super::aggregates::Family;

/// A value: its SQL and the name of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub sql: String,
    pub kind: &'static str,
}

/// Makes expressions.
pub struct Maker<'a> {
    conditions: Conditions<'a>,
    params: bool,
    /// Which aggregates are made: one of another family keeps all from being computed in some ways.
    pub family: Family,
}

/// What can be made of a value of a kind: the result's kind, and SQL with `{}` for the value.
type Made = (&'static str, &'static str);

fn made_of(kind: &str) -> &'static [Made] {
    match kind {
        "int2" | "int4" => &[
            ("int4", "{} % 3"),
            ("text", "{}::text"),
            ("bool", "({} > 2)"),
            ("numeric", "{}::numeric"),
            ("int4", "coalesce({}, 0)"),
            ("bool", "({} IS NULL)"),
            ("int8", "{} + 1::int8"),
            ("text", "CASE WHEN {} < 1 THEN 'low' WHEN {} < 5 THEN 'mid' ELSE 'high' END"),
            ("float8", "floor(({} - 1::float8) / 3) * 3"),
        ],
        "int8" => &[
            ("int8", "{} % 1000"),
            ("text", "{}::text"),
            ("numeric", "{}::numeric"),
            ("bool", "({} = 5)"),
            ("int8", "nullif({}, 1)"),
        ],
        "numeric" => &[
            ("numeric", "floor(({} - 1) / 3) * 3"),
            ("numeric", "round({}, 1)"),
            ("numeric", "trunc({})"),
            ("text", "{}::text"),
            ("bool", "({} >= 1)"),
            ("numeric", "coalesce({}, 3)"),
        ],
        "float4" => &[("float8", "{}::float8"), ("text", "{}::text"), ("bool", "({} > 1)")],
        "float8" => &[
            ("float8", "floor(({} - 1) / 2.5) * 2.5"),
            ("text", "{}::text"),
            ("numeric", "{}::numeric"),
            ("bool", "({} > 1)"),
            ("float8", "coalesce({}, 1)"),
        ],
        "bool" => &[("bool", "(NOT {})"), ("text", "{}::text"), ("int4", "{}::int4")],
        "date" => &[
            ("timestamptz", "date_trunc('month', {})"),
            ("timestamptz", "date_trunc('week', {})"),
            ("text", "{}::text"),
            ("numeric", "extract(year from {})"),
            ("numeric", "extract(isodow from {})"),
            ("timestamp", "{}::timestamp"),
            ("timestamptz", "{}::timestamptz"),
            ("date", "({} + 1)"),
            ("text", "to_char({}, 'YYYY-MM')"),
            ("date", "coalesce({}, '2020-06-01')"),
        ],
        "timestamp" => &[
            ("timestamp", "date_trunc('hour', {})"),
            ("timestamp", "date_trunc('year', {})"),
            ("date", "{}::date"),
            ("time", "{}::time"),
            ("numeric", "extract(hour from {})"),
            ("text", "{}::text"),
            ("timestamptz", "({} AT TIME ZONE 'Europe/Berlin')"),
            ("timestamptz", "{}::timestamptz"),
            ("text", "to_char({}, 'YYYY-MM-DD HH24')"),
            ("timestamp", "({} - interval '1 mon')"),
        ],
        "timestamptz" => &[
            ("timestamptz", "date_trunc('day', {})"),
            ("timestamptz", "date_trunc('week', {})"),
            ("timestamptz", "date_trunc('month', {})"),
            ("timestamptz", "date_trunc('day', {}, 'America/New_York')"),
            ("date", "{}::date"),
            ("time", "{}::time"),
            ("timestamp", "{}::timestamp"),
            ("date", "({} AT TIME ZONE 'Asia/Kathmandu')::date"),
            ("numeric", "extract(hour from {})"),
            ("numeric", "extract(dow from {})"),
            ("numeric", "extract(epoch from {})"),
            ("float8", "date_part('week', {})"),
            ("text", "{}::text"),
            ("text", "to_char({}, 'YYYY-MM-DD HH24:MI')"),
            ("timestamptz", "({} + interval '1 day')"),
            ("bool", "({} > now() - interval '10 years')"),
            ("bool", "({}::date = '2021-03-28')"),
        ],
        "time" => &[("text", "{}::text"), ("numeric", "extract(hour from {})")],
        "interval" => &[
            ("text", "{}::text"),
            ("numeric", "extract(epoch from {})"),
            ("bool", "({} > '2 days')"),
        ],
        "mood" => &[
            ("text", "{}::text"),
            ("bool", "({} > 'ok')"),
            ("bool", "({} IN ('sad', 'happy'))"),
            ("mood", "coalesce({}, 'ok')"),
            ("text", "{}::text || '!'"),
            ("text", "upper({}::text)"),
            ("mood", "greatest({}, 'ok')"),
        ],
        "text" | "varchar" => &[
            ("text", "lower({})"),
            ("text", "upper({})"),
            ("text", "left({}, 1)"),
            ("int4", "length({})"),
            ("text", "coalesce({}, '-')"),
            ("text", "{} || 'x'"),
            ("bool", "({} LIKE 'a%')"),
            ("text", "nullif({}, '')"),
        ],
        "uuid" => &[("text", "{}::text"), ("text", "left({}::text, 2)")],
        "jsonb" => &[
            ("text", "({} ->> 'a')"),
            ("jsonb", "({} -> 'b')"),
            ("text", "{}::text"),
            ("text", "jsonb_typeof({})"),
            ("text", "({} #>> ARRAY['b', '0']::text[])::text"),
            ("bool", "({} ? 'a')"),
        ],
        "int4[]" => &[("int4", "{}[1]"), ("int4", "cardinality({})"), ("text", "{}::text")],
        "bit(5)" => &[("text", "{}::text"), ("int4", "{}::int4")],
        _ => &[],
    }
}

impl<'a> Maker<'a> {
    pub fn new(rules: &'a [Rule], random: &'a mut Random, params: bool) -> Maker<'a> {
        let allowed = Allowed { failing: false, styled: true, params };
        let conditions = Conditions::new(rules, &[], random, allowed);
        Maker { conditions, params, family: Family::Any }
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.conditions.random().below(bound)
    }

    pub fn between(&mut self, low: usize, high: usize) -> usize {
        self.conditions.random().between(low, high)
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.conditions.random().percent(chance)
    }

    pub fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        self.conditions.random().pick(items)
    }

    /// The parameters so far.
    pub fn params(&self) -> &[Chosen] {
        &self.conditions.params
    }

    /// A parameter instead of a value, if there may be some.
    pub fn bound(&mut self, of: &str, value: String) -> String {
        if !self.params || self.percent(30) {
            return value;
        }
        self.conditions.params.push((of.to_owned(), value));
        format!("${}", self.conditions.params.len())
    }

    /// A condition over the columns that no value makes an error.
    pub fn condition(&mut self, columns: &[Column], depth: usize) -> String {
        self.conditions.columns = columns.to_vec();
        if self.percent(35) {
            return self.conditions.condition(depth);
        }
        // A value that occurs, so that the condition holds now and then.
        let column = self.pick(columns);
        if column.values.is_empty() {
            return format!("({} IS NOT NULL)", column.sql);
        }
        let value = |this: &mut Self| {
            let value = this.pick(&column.values);
            let literal = format!("'{}'::{}", value.replace('\'', "''"), column.kind.sql());
            this.bound(column.kind.sql(), literal)
        };
        let one = value(self);
        let sql = &column.sql;
        match self.below(6) {
            0 | 1 => format!("({sql} = {one})"),
            2 => format!("({sql} IN ({one}, {}))", value(self)),
            3 => format!("({sql} <> {one})"),
            4 => format!("({sql} >= {one})"),
            _ => format!("({sql} IS DISTINCT FROM {one})"),
        }
    }

    /// A column, or something made of one.
    pub fn value(&mut self, columns: &[Column]) -> Value {
        let column = self.pick(columns);
        let value = Value { sql: column.sql, kind: column.kind.name };
        if self.percent(8) {
            return self.with_bound(value);
        }
        if self.percent(60) { value } else { self.made_of(value) }
    }

    /// A value made with what may be a parameter, so that the same statement has other keys each time.
    fn with_bound(&mut self, value: Value) -> Value {
        let Value { sql, kind } = value;
        match kind {
            "int4" | "int8" | "bool" | "date" | "mood" | "uuid" | "time" => {
                let literal = find(kind).literal(self.conditions.random());
                let other = self.bound(kind, literal);
                Value { sql: format!("coalesce({sql}, {other})"), kind }
            }
            "timestamptz" | "timestamp" => {
                let unit = self.pick(&["'hour'", "'day'", "'quarter'"]).to_owned();
                let unit = self.bound("text", unit);
                Value { sql: format!("date_trunc({unit}, {sql})"), kind }
            }
            "text" | "varchar" => {
                let other = self.bound("varchar", "'x'".to_owned());
                Value { sql: format!("concat({sql}, {other})"), kind: "text" }
            }
            "float8" => {
                let width = self.bound("int4", "3".to_owned());
                let sql = format!("(floor({sql} / (abs({width}::int8) + 2)) * 2)");
                Value { sql, kind }
            }
            _ => Value { sql, kind },
        }
    }

    fn made_of(&mut self, value: Value) -> Value {
        let all = made_of(value.kind);
        if all.is_empty() {
            return value;
        }
        let (kind, sql) = self.pick(all);
        Value { sql: sql.replace("{}", &value.sql), kind: find(kind).name }
    }

    /// A value of a kind for which `wanted` holds.
    pub fn value_that(
        &mut self,
        columns: &[Column],
        wanted: impl Fn(&str) -> bool,
    ) -> Option<Value> {
        (0..20).map(|_| self.value(columns)).find(|value| wanted(value.kind))
    }
}
