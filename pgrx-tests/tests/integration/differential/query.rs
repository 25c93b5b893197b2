//! Random queries.

use super::expression::{Maker, Param};
use super::kinds::Compares;
use super::table::Table;

/// A query in parts, so that parts can be left out of one that fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub distinct: bool,
    pub targets: Vec<String>,
    pub from: String,
    pub conditions: Vec<String>,
    pub group: Vec<String>,
    pub order: Vec<String>,
    /// LIMIT, OFFSET or both.
    pub limit: Option<String>,
    pub params: Vec<Param>,
    /// The order is total, so the rows have to come in the same order.
    pub ordered: bool,
    /// Some rows may be errors.
    pub may_fail: bool,
}

impl Query {
    /// A random query over the tables. With `failing_part` it has one part that may fail, and nothing
    /// that could keep that part from being evaluated.
    pub fn random(mut maker: Maker<'_>, t: &Table, u: &Table, failing_part: bool) -> Query {
        let mut query = if failing_part {
            failing(&mut maker, t)
        } else {
            match maker.random().below(14) {
                0..=5 => single(&mut maker, t),
                6..=7 => join(&mut maker, t, u),
                8..=9 => subquery(&mut maker, t, u),
                10 => grouped(&mut maker, t),
                11 => lateral(&mut maker, t, u),
                12 => both(&mut maker, t),
                _ => whole_row(&mut maker, t),
            }
        };
        query.params = maker.params;
        query
    }

    /// The query as SQL, with `$n` for its parameters.
    pub fn sql(&self) -> String {
        let targets: Vec<String> = self
            .targets
            .iter()
            .enumerate()
            .map(|(at, target)| format!("{target} AS x{}", at + 1))
            .collect();
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("SELECT {distinct}{} FROM {}", targets.join(", "), self.from);
        if !self.conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", self.conditions.join(" AND ")));
        }
        if !self.group.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", self.group.join(", ")));
        }
        if !self.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", self.order.join(", ")));
        }
        if let Some(limit) = &self.limit {
            sql.push_str(&format!(" {limit}"));
        }
        sql
    }

    /// The same query with one part less, in every way.
    pub fn smaller(&self) -> Vec<Query> {
        let mut out = Vec::new();
        let mut add = |change: &dyn Fn(&mut Query)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            if smaller != *self {
                out.push(smaller);
            }
        };
        add(&|q| q.limit = None);
        if self.limit.is_none() {
            add(&|q| {
                q.order.clear();
                q.ordered = false;
            });
        }
        for at in 0..self.conditions.len() {
            add(&|q| {
                q.conditions.remove(at);
            });
        }
        if self.group.is_empty() && self.targets.len() > 1 {
            for at in 0..self.targets.len() {
                add(&|q| {
                    q.targets.remove(at);
                });
            }
        }
        if self.order.len() > 1 {
            add(&|q| {
                q.order.remove(0);
            });
        }
        out
    }
}

fn empty(from: String) -> Query {
    Query {
        distinct: false,
        targets: Vec::new(),
        from,
        conditions: Vec::new(),
        group: Vec::new(),
        order: Vec::new(),
        limit: None,
        params: Vec::new(),
        ordered: false,
        may_fail: false,
    }
}

/// One table, one thing that may fail, nothing that could keep it from being evaluated.
fn failing(maker: &mut Maker<'_>, t: &Table) -> Query {
    maker.columns = t.in_reach();
    let mut query = empty(t.name.to_owned());
    query.may_fail = true;
    query.targets.push(format!("{}.id", t.name));
    if maker.random().percent(60) {
        query.conditions.push(maker.condition(0));
    } else {
        query.targets.push(maker.value());
    }
    query
}

fn targets(maker: &mut Maker<'_>, query: &mut Query) {
    for _ in 0..maker.random().between(1, 4) {
        let value = maker.value();
        query.targets.push(value);
    }
}

fn conditions(maker: &mut Maker<'_>, query: &mut Query) {
    for _ in 0..maker.random().below(4) {
        let condition = maker.condition(2);
        query.conditions.push(condition);
    }
}

/// ORDER BY, often with LIMIT. `ids` make the order total.
fn order(maker: &mut Maker<'_>, query: &mut Query, ids: &[String]) {
    if maker.random().percent(45) {
        return;
    }
    let sortable: Vec<String> = maker
        .columns
        .iter()
        .filter(|column| column.kind.compares >= Compares::Order)
        .map(|column| column.sql.clone())
        .collect();
    for _ in 0..maker.random().below(3) {
        let key = maker.random().pick(&sortable);
        let direction = maker.random().pick(&[
            "",
            " DESC",
            " ASC NULLS FIRST",
            " DESC NULLS LAST",
            " NULLS LAST",
        ]);
        query.order.push(format!("{key}{direction}"));
    }
    query.order.extend(ids.iter().cloned());
    query.ordered = true;
    let count = maker.random().below(9);
    query.limit = match maker.random().below(8) {
        0..=2 => Some(format!("LIMIT {count}")),
        3 => Some(format!("LIMIT {count} OFFSET {}", maker.random().below(4))),
        4 => Some(format!("OFFSET {count}")),
        5 => Some("FETCH FIRST 3 ROWS ONLY".to_owned()),
        _ => None,
    };
}

fn single(maker: &mut Maker<'_>, t: &Table) -> Query {
    maker.columns = t.in_reach();
    let mut query = empty(t.name.to_owned());
    targets(maker, &mut query);
    conditions(maker, &mut query);
    order(maker, &mut query, &[format!("{}.id", t.name)]);
    query
}

fn join(maker: &mut Maker<'_>, t: &Table, u: &Table) -> Query {
    let kind = maker.random().pick(&["JOIN", "JOIN", "LEFT JOIN", "FULL JOIN"]);
    maker.columns = u.in_reach();
    let more = match kind {
        // A full join has to be one that can be merged or hashed.
        "FULL JOIN" => String::new(),
        _ if maker.random().percent(50) => format!(" AND {}", maker.condition(1)),
        _ => String::new(),
    };
    let key = maker.random().pick(&["k", "id"]);
    let (t_name, u_name) = (t.name, u.name);
    let mut query = empty(format!("{t_name} {kind} {u_name} ON {t_name}.k = {u_name}.{key}{more}"));
    maker.columns.extend(t.in_reach());
    targets(maker, &mut query);
    conditions(maker, &mut query);
    order(maker, &mut query, &[format!("{t_name}.id"), format!("{u_name}.id")]);
    query
}

fn subquery(maker: &mut Maker<'_>, t: &Table, u: &Table) -> Query {
    maker.columns = u.in_reach();
    let inner = maker.condition(1);
    let (t_name, u_name) = (t.name, u.name);
    let condition = match maker.random().below(7) {
        0 => format!("{t_name}.k IN (SELECT {u_name}.k FROM {u_name} WHERE {inner})"),
        1 => format!(
            "{t_name}.k NOT IN (SELECT {u_name}.k FROM {u_name} WHERE {inner} AND {u_name}.k IS NOT NULL)"
        ),
        2 => format!("EXISTS (SELECT FROM {u_name} WHERE {u_name}.k = {t_name}.k AND {inner})"),
        3 => {
            format!("NOT EXISTS (SELECT FROM {u_name} WHERE {u_name}.id = {t_name}.k AND {inner})")
        }
        4 => format!("{t_name}.id > (SELECT min({u_name}.id) FROM {u_name} WHERE {inner})"),
        5 => format!(
            "({t_name}.k IS NULL OR {t_name}.k IN (SELECT {u_name}.id FROM {u_name} WHERE {inner}))"
        ),
        _ => format!("{t_name}.k = ANY (ARRAY(SELECT {u_name}.k FROM {u_name} WHERE {inner}))"),
    };
    let mut query = empty(t_name.to_owned());
    query.conditions.push(condition);
    maker.columns = t.in_reach();
    targets(maker, &mut query);
    conditions(maker, &mut query);
    order(maker, &mut query, &[format!("{t_name}.id")]);
    query
}

fn lateral(maker: &mut Maker<'_>, t: &Table, u: &Table) -> Query {
    maker.columns = u.in_reach();
    let inner = maker.condition(1);
    let (t_name, u_name) = (t.name, u.name);
    let mut query = empty(format!(
        "{t_name} CROSS JOIN LATERAL (SELECT * FROM {u_name} WHERE {u_name}.k = {t_name}.k AND {inner} \
         ORDER BY {u_name}.id LIMIT 2) {u_name}"
    ));
    maker.columns.extend(t.in_reach());
    targets(maker, &mut query);
    conditions(maker, &mut query);
    order(maker, &mut query, &[format!("{t_name}.id"), format!("{u_name}.id")]);
    query
}

/// Keys of which equal values are the same value, so that it does not matter which one is shown.
fn grouped(maker: &mut Maker<'_>, t: &Table) -> Query {
    maker.columns = t.in_reach();
    let mut query = empty(t.name.to_owned());
    let keys: Vec<String> = maker
        .columns
        .iter()
        .filter(|column| column.kind.compares == Compares::Exactly)
        .map(|column| column.sql.clone())
        .collect();
    for _ in 0..maker.random().between(1, 2) {
        let key = maker.random().pick(&keys);
        query.targets.push(key.clone());
        query.group.push(key);
    }
    conditions(maker, &mut query);
    if maker.random().percent(40) {
        query.distinct = true;
        query.group.clear();
        return query;
    }
    let condition = maker.condition(1);
    query.targets.push(format!("count(*) FILTER (WHERE {condition})"));
    query.targets.push(format!("max({}.id)", t.name));
    query
}

fn both(maker: &mut Maker<'_>, t: &Table) -> Query {
    maker.columns = t.in_reach();
    let (one, two) = (maker.condition(1), maker.condition(1));
    let name = t.name;
    let mut query = empty(format!(
        "(SELECT * FROM {name} WHERE {one} UNION ALL SELECT * FROM {name} WHERE {two}) {name}"
    ));
    targets(maker, &mut query);
    conditions(maker, &mut query);
    query
}

fn whole_row(maker: &mut Maker<'_>, t: &Table) -> Query {
    maker.columns = t.in_reach();
    let mut query = empty(t.name.to_owned());
    query.targets.push(t.name.to_owned());
    conditions(maker, &mut query);
    order(maker, &mut query, &[format!("{}.id", t.name)]);
    query
}
