//! Random aggregates, whose results do not depend on the order of the rows.

use super::super::expression::Column;
use super::maker::{Maker, Value};

/// What an aggregate takes and how it is written, with `{}` for the value.
struct Aggregate {
    sql: &'static str,
    /// DISTINCT may stand before the value.
    distinct: bool,
}

const fn any(sql: &'static str) -> Aggregate {
    Aggregate { sql, distinct: true }
}

const fn plain(sql: &'static str) -> Aggregate {
    Aggregate { sql, distinct: false }
}

/// For every value that can be compared.
const ALL: &[Aggregate] = &[
    any("count({})"),
    any("count({})"),
    plain("array_agg({} ORDER BY {})"),
    plain("array_agg({} ORDER BY {} DESC NULLS LAST)"),
    plain("percentile_disc(0.4) WITHIN GROUP (ORDER BY {})"),
    plain("mode() WITHIN GROUP (ORDER BY {})"),
    plain("count(*)"),
];

const EXTREMES: &[Aggregate] =
    &[any("min({})"), any("max({})"), plain("min({})"), plain("max({})")];

/// For integers and numerics, whose results are exact.
const NUMBERS: &[Aggregate] = &[
    any("sum({})"),
    any("avg({})"),
    any("variance({})"),
    any("var_pop({})"),
    any("var_samp({})"),
    any("stddev({})"),
    any("stddev_pop({})"),
    any("stddev_samp({})"),
    plain("json_agg({} ORDER BY {})"),
];

const INTEGERS: &[Aggregate] = &[
    any("bit_and({})"),
    any("bit_or({})"),
    plain("bit_xor({})"),
    plain("rank(2) WITHIN GROUP (ORDER BY {})"),
];

/// For floats: sums of quarters are exact; of the rest only so many digits are.
const FLOATS: &[Aggregate] = &[
    plain("sum({})"),
    plain("avg({})"),
    plain("percentile_cont(0.5) WITHIN GROUP (ORDER BY {})"),
    plain("percentile_cont(ARRAY[0.25, 1]) WITHIN GROUP (ORDER BY {})"),
];

const ROUNDED: &[&str] = &[
    "var_pop({})",
    "var_samp({})",
    "variance({})",
    "stddev({})",
    "stddev_pop({})",
    "stddev_samp({})",
    "regr_slope({}, 1 + {})",
    "covar_pop({}, 2 * {})",
];

const BOOLEANS: &[Aggregate] = &[
    any("bool_and({})"),
    any("bool_or({})"),
    any("every({})"),
    plain("count(*) FILTER (WHERE {})"),
];

const TEXTS: &[Aggregate] = &[
    plain("string_agg({}, ',' ORDER BY {})"),
    plain("string_agg(DISTINCT {}, '|' ORDER BY {})"),
    plain("string_agg(DISTINCT {}, '|')"),
    plain("jsonb_agg({} ORDER BY {})"),
];

/// The first digits. No exact result is half-way between two rounded ones after this.
fn rounded(sql: &str) -> String {
    format!("to_char(({sql}) * 1.0000123, '9.999999EEEE')")
}

/// Which aggregates a statement has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    Any,
    /// Those that sites can compute in part.
    TwoSteps,
    /// Those for which it does not matter how often a row is there.
    Unrepeated,
}

/// Those of [`Family::Unrepeated`].
fn unrepeated(kind: &str) -> &'static [&'static str] {
    match kind {
        "int2" | "int4" | "int8" | "numeric" => &[
            "count(DISTINCT {})",
            "sum(DISTINCT {})",
            "avg(DISTINCT {})",
            "min({})",
            "max({})",
            "array_agg(DISTINCT {} ORDER BY {})",
        ],
        "bool" => &["count(DISTINCT {})", "bool_and({})", "bool_or({})"],
        "date" | "timestamp" | "timestamptz" | "time" | "mood" | "interval" | "float8"
        | "float4" => {
            &["count(DISTINCT {})", "min({})", "max({})", "array_agg(DISTINCT {} ORDER BY {} DESC)"]
        }
        "text" | "varchar" => &[
            "count(DISTINCT {})",
            "min({})",
            "max({})",
            "string_agg(DISTINCT {}, ',' ORDER BY {})",
            "string_agg(DISTINCT {}, ',')",
        ],
        _ => &["count(DISTINCT {})", "count(DISTINCT {})"],
    }
}

/// Those that are computed at each site, and then here.
fn in_two_steps(kind: &str) -> &'static [&'static str] {
    match kind {
        "int2" | "int4" | "int8" => &[
            "count({})",
            "sum({})",
            "avg({})",
            "min({})",
            "max({})",
            "stddev({})",
            "var_samp({})",
            "var_pop({})",
            "stddev_pop({})",
            "stddev_samp({})",
            "bit_and({})",
            "bit_or({})",
            "sum({})",
            "bit_xor({})",
            "variance({})",
        ],
        "numeric" | "float4" | "float8" => &[
            "count({})",
            "sum({})",
            "avg({})",
            "min({})",
            "max({})",
            "stddev({})",
            "var_samp({})",
            "var_pop({})",
            "stddev_pop({})",
            "stddev_samp({})",
            "variance({})",
            "sum({})",
        ],
        "bool" => &["count({})", "bool_and({})", "bool_or({})", "every({})"],
        "interval" => &["count({})", "sum({})", "min({})", "max({})"],
        "date" | "timestamp" | "timestamptz" | "time" | "mood" | "text" | "varchar" => {
            &["count({})", "min({})", "max({})"]
        }
        "bit(5)" => &["bit_and({})", "bit_or({})", "bit_xor({})"],
        _ => &["count({})", "count(*)"],
    }
}

impl Maker<'_> {
    /// An aggregate over the rows of some columns.
    pub fn aggregate(&mut self, columns: &[Column]) -> String {
        let value = self.value(columns);
        self.aggregate_of(columns, &value)
    }

    fn aggregate_of(&mut self, columns: &[Column], value: &Value) -> String {
        let filter = match self.percent(20) {
            true => format!(" FILTER (WHERE {})", self.condition(columns, 1)),
            false => String::new(),
        };
        if self.family == Family::Unrepeated {
            let family = unrepeated(value.kind);
            let aggregate = family[self.below(family.len())].replace("{}", &value.sql);
            return format!("{aggregate}{filter}");
        }
        if self.family == Family::TwoSteps {
            let family = in_two_steps(value.kind);
            let aggregate = family[self.below(family.len())];
            let sql = aggregate.replace("{}", &value.sql);
            return match (value.kind, sql.starts_with("var") || sql.starts_with("std")) {
                ("float4" | "float8", true) => rounded(&format!("{sql}{filter}")),
                _ => format!("{sql}{filter}"),
            };
        }
        let families: &[&[Aggregate]] = match value.kind {
            "int2" | "int4" | "int8" => &[ALL, EXTREMES, NUMBERS, NUMBERS, INTEGERS],
            "numeric" => &[ALL, EXTREMES, NUMBERS, NUMBERS],
            "float4" | "float8" => {
                if self.percent(30) {
                    let sql = self.pick(ROUNDED).replace("{}", &value.sql);
                    return rounded(&format!("{sql}{filter}"));
                }
                &[ALL, EXTREMES, FLOATS, FLOATS]
            }
            "bool" => &[ALL, BOOLEANS, BOOLEANS],
            "interval" => &[ALL, EXTREMES, INTERVALS],
            "date" | "timestamp" | "timestamptz" | "time" | "mood" => &[ALL, EXTREMES],
            "text" => &[ALL, EXTREMES, TEXTS],
            "varchar" => &[ALL, EXTREMES, TEXTS],
            "int4[]" => &[NO_ARRAYS, EXTREMES],
            "bit(5)" => &[ALL, BITS],
            _ => &[ALL],
        };
        let family = self.pick(families);
        let at = self.below(family.len());
        let Aggregate { sql, distinct } = &family[at];
        let written = match *distinct && self.percent(25) {
            true => format!("DISTINCT {}", value.sql),
            false => value.sql.clone(),
        };
        // DISTINCT stands before the first value alone.
        let sql = sql.replacen("{}", &written, 1).replace("{}", &value.sql);
        if sql.contains("FILTER") { sql } else { format!("{sql}{filter}") }
    }
}

const INTERVALS: &[Aggregate] =
    &[plain("sum({})"), plain("avg({})"), plain("percentile_cont(0.5) WITHIN GROUP (ORDER BY {})")];

/// Arrays of different lengths cannot be put into one.
const NO_ARRAYS: &[Aggregate] = &[
    any("count({})"),
    plain("percentile_disc(0.4) WITHIN GROUP (ORDER BY {})"),
    plain("mode() WITHIN GROUP (ORDER BY {})"),
];

const BITS: &[Aggregate] = &[plain("bit_and({})"), plain("bit_or({})"), plain("bit_xor({})")];
