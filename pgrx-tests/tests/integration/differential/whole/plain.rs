//! Rows as they are: conditions, DISTINCT, ORDER BY, LIMIT, values of other tables, window functions.

use super::maker::Maker;
use super::scope::Scope;
use super::statement::{Rows, Statement};

const DIRECTIONS: [&str; 5] = ["", " DESC", " ASC NULLS FIRST", " DESC NULLS LAST", " DESC"];

/// WHERE: some conditions, often none.
pub fn conditions(maker: &mut Maker<'_>, scope: &Scope) -> Vec<String> {
    let mut out = Vec::new();
    for _ in 0..maker.pick(&[0, 0, 0, 1, 1, 2]) {
        let condition = match maker.below(10) {
            0 | 1 => scope.asks_another(maker),
            2 if !scope.sites.is_empty() => {
                let site = maker.pick(&scope.sites);
                let site_is = [
                    "= 'a'",
                    "IN ('a', 'c')",
                    "<> 'b'",
                    "> 'a'",
                    "= 'zz'",
                    "LIKE 'b%'",
                    "IS NOT NULL",
                ];
                Some(format!("{site} {}", maker.pick(&site_is)))
            }
            3 if !scope.near.is_empty() => {
                let near = maker.pick(&scope.near);
                let since = [
                    "> now() - interval '2 days'",
                    "<= now()",
                    "> current_timestamp - interval '30 days' * 1",
                    "BETWEEN now() - interval '7 days' AND now() + interval '1 day'",
                    "< now() - make_interval(days => 1)",
                    ">= current_date - 3",
                    "::date BETWEEN current_date - 30 AND current_date",
                    ">= date_trunc('week', now()) - interval '1 week'",
                    "+ interval '1 day' < localtimestamp",
                ];
                Some(format!("({near} {})", maker.pick(&since)))
            }
            // The next page.
            4 if scope.unique.len() == 2 && scope.unique[0].ends_with(".site") => {
                let id = maker.bound("int4", "5".to_owned());
                let than = maker.pick(&[">", "<=", "<"]);
                Some(format!("({}) {than} ('b', {id})", scope.unique.join(", ")))
            }
            _ => None,
        };
        out.push(condition.unwrap_or_else(|| maker.condition(&scope.columns, 2)));
    }
    out
}

/// LIMIT and OFFSET, or neither. The order is total.
pub fn limit(maker: &mut Maker<'_>) -> Option<String> {
    let count = maker.pick(&[0, 1, 2, 3, 5, 9, 40]).to_string();
    let offset = maker.below(4).to_string();
    match maker.below(8) {
        0..=2 => Some(format!("LIMIT {}", maker.bound("int8", count))),
        3 => {
            let count = maker.bound("int8", count);
            Some(format!("LIMIT {count} OFFSET {}", maker.bound("int8", offset)))
        }
        4 => Some(format!("OFFSET {}", maker.bound("int8", offset))),
        5 => Some(format!("FETCH FIRST {} ROWS WITH TIES", maker.pick(&["1", "3", "7"]))),
        _ => None,
    }
}

/// Rows of a table or a join.
pub fn rows(maker: &mut Maker<'_>) -> Statement {
    let scope = Scope::random(maker);
    let mut statement = Statement::from(scope.from.clone());
    // A row of no table's type cannot be stored.
    let joined = |alias: &&str| match *alias {
        "t" => !scope.from.starts_with('('),
        _ => scope.from.contains(&format!(" {alias} ON")),
    };
    let aliases: Vec<&str> = ["t", "u", "v"].into_iter().filter(joined).collect();
    for _ in 0..maker.between(1, 4) {
        let value = match maker.below(25) {
            0..=2 => scope.value_of_another(maker),
            // Whole rows, also of the side that may have none.
            3 if !aliases.is_empty() => {
                let row =
                    ["{}", "{} IS NULL", "to_jsonb({})", "({}).id", "coalesce({}::text, 'none')"];
                Some(maker.pick(&row).replace("{}", maker.pick(&aliases)))
            }
            _ => None,
        };
        statement.targets.push(value.unwrap_or_else(|| maker.value(&scope.columns).sql));
    }
    statement.conditions = conditions(maker, &scope);
    if maker.percent(5)
        && let Some(value) =
            maker.value_that(&scope.columns, |kind| kind == "int4[]" || kind == "int4")
    {
        let set = if value.kind == "int4[]" { "unnest({})" } else { "generate_series(1, {} % 4)" };
        statement.targets.push(set.replace("{}", &value.sql));
        return statement;
    }
    if maker.percent(75) {
        for _ in 0..maker.below(3) {
            let key = maker.value_that(&scope.columns, |kind| kind != "jsonb");
            let direction = maker.pick(&DIRECTIONS);
            statement.order.extend(key.map(|key| format!("{}{direction}", key.sql)));
        }
        statement.limit = limit(maker);
        let ties = statement.limit.as_ref().is_some_and(|limit| limit.contains("TIES"));
        if !ties || statement.order.is_empty() || maker.percent(30) {
            statement.order.extend(scope.unique.iter().cloned());
            statement.rows = Rows::List;
        }
    }
    statement
}

/// SELECT DISTINCT and DISTINCT ON.
pub fn distinct(maker: &mut Maker<'_>) -> Statement {
    let scope = Scope::random(maker);
    let mut statement = Statement::from(scope.from.clone());
    statement.conditions = conditions(maker, &scope);
    let keys: Vec<String> =
        (0..maker.between(1, 3)).map(|_| maker.value(&scope.columns).sql).collect();
    if maker.percent(50) {
        statement.distinct = "DISTINCT ".to_owned();
        statement.targets = keys;
        if maker.percent(50) {
            statement.order = statement.targets.clone();
            statement.pinned = statement.targets.len();
            statement.rows = Rows::List;
            statement.limit = limit(maker);
        }
        return statement;
    }
    statement.distinct = format!("DISTINCT ON ({}) ", keys.join(", "));
    statement.targets = scope.unique.clone();
    statement.targets.push(maker.value(&scope.columns).sql);
    let direction = maker.pick(&DIRECTIONS);
    statement.order = keys.iter().map(|key| format!("{key}{direction}")).collect();
    statement.order.extend(scope.unique.iter().cloned());
    statement.rows = Rows::List;
    statement.limit = limit(maker);
    statement
}

/// Window functions over rows in a total order.
pub fn windows(maker: &mut Maker<'_>) -> Statement {
    let scope = Scope::random(maker);
    let mut statement = Statement::from(scope.from.clone());
    statement.conditions = conditions(maker, &scope);
    statement.targets = scope.unique.clone();
    statement.pinned = statement.targets.len();
    let total = scope.unique.join(", ");
    for _ in 0..maker.between(1, 3) {
        let part = maker.value(&scope.columns).sql;
        let by = maker.value(&scope.columns).sql;
        let value = maker.value(&scope.columns).sql;
        let whole = maker.value_that(&scope.columns, |kind| {
            matches!(kind, "int2" | "int4" | "int8" | "numeric" | "interval")
        });
        let window = format!("PARTITION BY {part} ORDER BY {by}, {total}");
        statement.targets.push(match maker.below(7) {
            0 => format!("row_number() OVER ({window})"),
            1 => format!("rank() OVER (PARTITION BY {part} ORDER BY {by})"),
            2 => format!("lag({value}) OVER ({window})"),
            3 => format!("count(*) OVER (PARTITION BY {part})"),
            4 => format!("first_value({value}) OVER ({window} ROWS 2 PRECEDING)"),
            5 => format!("ntile(3) OVER (ORDER BY {total})"),
            _ => match whole {
                Some(whole) => format!("sum({}) OVER ({window})", whole.sql),
                None => format!("max({by}::text) OVER (PARTITION BY {part})"),
            },
        });
    }
    if maker.percent(40) {
        statement.order = scope.unique;
        statement.rows = Rows::List;
        statement.limit = limit(maker);
    }
    statement
}
