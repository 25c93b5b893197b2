//! GROUP BY in all its forms, and statements made of several grouped ones.

use super::aggregates::Family;
use super::maker::{Maker, Value};
use super::plain::{conditions, limit, rows};
use super::scope::Scope;
use super::statement::{Rows, Statement};

/// Keys of groups: none up to three.
fn keys(maker: &mut Maker<'_>, scope: &Scope) -> Vec<Value> {
    let mut keys: Vec<Value> = Vec::new();
    for _ in 0..maker.pick(&[0, 1, 1, 1, 2, 2, 3]) {
        let key = match (maker.below(4), scope.sites.is_empty()) {
            (0, false) => Value { sql: maker.pick(&scope.sites), kind: "text" },
            _ => maker.value(&scope.columns),
        };
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn having(maker: &mut Maker<'_>, scope: &Scope) -> String {
    let aggregate = |maker: &mut Maker<'_>, wanted: &[&str]| {
        maker.value_that(&scope.columns, |kind| wanted.contains(&kind)).map(|value| value.sql)
    };
    match maker.below(6) {
        0 => format!("count(*) > {}", maker.bound("int8", "1".to_owned())),
        1 => match aggregate(maker, &["bool"]) {
            Some(value) => format!("bool_or({value})"),
            None => "count(*) >= 2".to_owned(),
        },
        2 => match aggregate(maker, &["int4", "numeric", "float8"]) {
            Some(value) => format!("avg({value}) < {}", maker.bound("int4", "7".to_owned())),
            None => "count(*) < 5".to_owned(),
        },
        3 => match aggregate(maker, &["mood", "date", "timestamptz"]) {
            Some(value) => format!("max({value}) IS NOT NULL"),
            None => "count(*) <> 3".to_owned(),
        },
        4 => format!("{} IS NOT NULL", maker.aggregate(&scope.columns)),
        _ => "count(*) BETWEEN 1 AND 4".to_owned(),
    }
}

/// GROUP BY, perhaps with GROUPING SETS, HAVING, ORDER BY and LIMIT.
pub fn grouped(maker: &mut Maker<'_>) -> Statement {
    maker.family =
        maker.pick(&[Family::TwoSteps, Family::TwoSteps, Family::Unrepeated, Family::Any]);
    let scope = Scope::random(maker);
    let mut statement = Statement::from(scope.from.clone());
    statement.conditions = conditions(maker, &scope);
    let keys: Vec<String> = keys(maker, &scope).into_iter().map(|key| key.sql).collect();
    statement.targets = keys.clone();
    statement.pinned = keys.len();
    let sets = keys.len() > 1 && maker.percent(18);
    if sets {
        statement.targets.extend(keys.iter().map(|key| format!("grouping({key})")));
        statement.pinned = statement.targets.len();
    }
    for _ in 0..maker.between(usize::from(keys.is_empty()), 4) {
        let aggregate = maker.aggregate(&scope.columns);
        statement.targets.push(aggregate);
    }
    let list = keys.join(", ");
    statement.group = match (sets, maker.below(3)) {
        (true, 0) => Some(format!("ROLLUP ({list})")),
        (true, 1) => Some(format!("CUBE ({list})")),
        (true, _) => Some(format!("GROUPING SETS (({list}), ({}), ())", keys[0])),
        _ if keys.is_empty() => None,
        _ => Some(list),
    };
    if maker.percent(25) {
        statement.having.push(having(maker, &scope));
    }
    if maker.percent(45) {
        if maker.percent(40) {
            statement
                .order
                .push(maker.pick(&["count(*) DESC", "count(*)", "min(t.id)"]).to_owned());
        }
        statement.order.extend(statement.targets[..statement.pinned].iter().cloned());
        if !statement.order.is_empty() {
            statement.rows = Rows::List;
            statement.limit = limit(maker);
        }
    }
    statement
}

/// What is an error for some values, each with one SQLSTATE.
const FAILING: [&str; 7] = [
    "sum(100 / t.g)",
    "max(t.i4 + 1)",
    "sum(t.i8 * 2)",
    "max(sqrt(t.f8))",
    "min(t.d + 2147483647)",
    "avg((t.c || 'x')::int4)",
    "string_agg(substr(t.s, 1, t.i2), ',' ORDER BY t.s, t.i2)",
];

/// Groups of one table of which one value is an error, with nothing that could keep it from being computed.
pub fn failing(maker: &mut Maker<'_>) -> Statement {
    let scope = Scope::one(super::scope::Of::T, maker.percent(60), "t");
    let mut statement = Statement::from(scope.from.clone());
    let keys: Vec<String> = keys(maker, &scope).into_iter().map(|key| key.sql).collect();
    statement.targets = keys.clone();
    statement.pinned = keys.len();
    statement.targets.push(maker.pick(&FAILING).to_owned());
    statement.targets.push(maker.aggregate(&scope.columns));
    statement.group = (!keys.is_empty()).then(|| keys.join(", "));
    statement
}

/// Aggregates of what is grouped below.
pub fn twice(maker: &mut Maker<'_>) -> Statement {
    let mut below = match maker.percent(35) {
        true => rows(maker),
        false => grouped(maker),
    };
    if below.rows == Rows::Bag && !below.limit.as_ref().is_some_and(|limit| limit.contains("TIES"))
    {
        below.limit = None;
        below.order.clear();
    }
    for (at, target) in below.targets.iter_mut().enumerate() {
        target.push_str(&format!(" AS x{at}"));
    }
    let mut statement = Statement::from(format!("({}) q", below.sql()));
    statement.targets = vec!["count(*)".to_owned()];
    for at in 0..below.targets.len() {
        let by = format!("q.x{at}::text");
        statement.targets.push(match maker.below(3) {
            0 => format!("count(q.x{at})"),
            1 => format!("count(DISTINCT {by})"),
            _ => format!("string_agg({by}, ',' ORDER BY {by} COLLATE \"C\")"),
        });
    }
    if maker.percent(15) {
        // Read twice.
        statement.with = format!("WITH q AS MATERIALIZED ({}) ", below.sql());
        statement.from = "q JOIN q p ON q.x0 IS NOT DISTINCT FROM p.x0".to_owned();
        return statement;
    }
    if maker.percent(40) {
        statement.with = format!(
            "WITH q AS {}({}) ",
            maker.pick(&["", "MATERIALIZED ", "NOT MATERIALIZED "]),
            below.sql()
        );
        statement.from = "q".to_owned();
    }
    statement
}

/// Several grouped statements of the same columns, put together.
pub fn several(maker: &mut Maker<'_>) -> Statement {
    let between = maker.pick(&["UNION ALL", "UNION ALL", "UNION", "EXCEPT", "INTERSECT ALL"]);
    let arm = |maker: &mut Maker<'_>, at: usize| {
        let scope = Scope::random(maker);
        let mut arm = Statement::from(scope.from.clone());
        arm.conditions = conditions(maker, &scope);
        let key = maker.value(&scope.columns).sql;
        let name = match maker.percent(50) {
            true => format!("'arm {at}'"),
            false => "'arm'".to_owned(),
        };
        arm.targets = vec![name, format!("({key})::text"), "count(*)".to_owned()];
        arm.group = Some(format!("({key})::text"));
        arm.pinned = 3;
        arm
    };
    let mut statement = arm(maker, 0);
    for at in 1..maker.between(2, 5) {
        let next = arm(maker, at);
        statement.arms.push((between.to_owned(), next));
    }
    if maker.percent(50) {
        statement.order = ["1", "2", "3"].map(str::to_owned).to_vec();
        statement.limit = limit(maker);
        statement.rows = Rows::List;
    }
    statement
}

/// A grouped sub-query joined to a table.
pub fn beside(maker: &mut Maker<'_>) -> Statement {
    let merged = maker.percent(70);
    let of = maker.pick(&[super::scope::Of::T, super::scope::Of::E]);
    let scope = Scope::one(of, merged, "x");
    let key = if of == super::scope::Of::T { "x.k" } else { "x.t_id" };
    let aggregate = maker.aggregate(&scope.columns);
    let more = conditions(maker, &scope);
    let inside = match more.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", more.join(" AND ")),
    };
    let outer = Scope::one(super::scope::Of::U, merged, "t");
    let kind = maker.pick(&["JOIN", "LEFT JOIN", "LEFT JOIN LATERAL"]);
    let from = match kind {
        "LEFT JOIN LATERAL" if maker.percent(50) => {
            // The first few of each.
            let mut also = if merged { " AND x.site = t.site" } else { "" }.to_owned();
            if maker.percent(40) {
                also.push_str(&format!(" AND {}", outer.condition_of_both(maker, &scope)));
            }
            let (value, by) = (maker.value(&scope.columns).sql, maker.value(&scope.columns).sql);
            let total = scope.unique.join(", ");
            let first = match maker.percent(40) {
                true => "t.id % 3".to_owned(),
                false => maker.bound("int8", "2".to_owned()),
            };
            format!(
                "{} LEFT JOIN LATERAL (SELECT {value} AS a, x.id AS n FROM {} WHERE {key} = t.id{also} \
                 ORDER BY {by} DESC NULLS LAST, {total} LIMIT {first}) q ON true",
                outer.from, scope.from
            )
        }
        "LEFT JOIN LATERAL" => {
            let mut also = if merged { " AND x.site = t.site" } else { "" }.to_owned();
            if maker.percent(60) {
                also.push_str(&format!(" AND {}", outer.condition_of_both(maker, &scope)));
            }
            format!(
                "{} LEFT JOIN LATERAL (SELECT {aggregate} AS a, count(*) AS n FROM {} \
                 WHERE {key} = t.id{also}) q ON true",
                outer.from, scope.from
            )
        }
        _ => {
            let (site, on) = if merged { ("x.site, ", " AND q.site = t.site") } else { ("", "") };
            format!(
                "{} {kind} (SELECT {site}{key} AS key, {aggregate} AS a, count(*) AS n FROM {}{inside} \
                 GROUP BY {site}{key}) q ON q.key = t.id{on}",
                outer.from, scope.from
            )
        }
    };
    let several_each = from.contains("x.id AS n");
    let mut statement = Statement::from(from);
    statement.targets = outer.unique.clone();
    statement.targets.extend(["q.a".to_owned(), "q.n".to_owned()]);
    statement.conditions = conditions(maker, &outer);
    if !several_each && maker.percent(50) {
        statement.order = outer.unique;
        statement.rows = Rows::List;
        statement.limit = limit(maker);
    }
    statement
}

/// From person to parent, a few steps.
pub fn walk(maker: &mut Maker<'_>) -> Statement {
    let merged = maker.percent(70);
    let people = super::scope::Of::U.name(merged);
    let start = Scope::one(super::scope::Of::U, merged, "t");
    let first = maker.condition(&start.columns, 1);
    let (start, site, on) = match merged {
        true => ("site::text", "x.site::text", "x.site = w.site AND "),
        false => ("'a'::text", "'a'::text", ""),
    };
    let union = maker.pick(&["UNION ALL", "UNION"]);
    let mut statement = Statement::from("w".to_owned());
    statement.with = format!(
        "WITH RECURSIVE w (site, id, parent, depth) AS (SELECT {start}, id, parent, 1 FROM {people} t \
         WHERE {first} {union} SELECT {site}, x.id, x.parent, w.depth + 1 FROM w JOIN {people} x \
         ON {on}x.id = w.parent WHERE w.depth < 5) "
    );
    statement.targets = ["site", "id", "depth"].map(str::to_owned).to_vec();
    statement
}
