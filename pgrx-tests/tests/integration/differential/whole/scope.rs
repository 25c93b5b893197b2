//! What a statement reads: one table or a join, with the columns in reach and what makes an order total.

use std::rc::Rc;

use super::super::expression::Column as InReach;
use super::super::kinds::find;
use super::columns::{Column, EVENTS, FACTS, PEOPLE, WARNINGS};
use super::maker::Maker;

/// FROM, and what can be said about its rows.
#[derive(Debug, Clone)]
pub struct Scope {
    pub from: String,
    pub columns: Vec<InReach>,
    /// No two rows have the same values of all of these.
    pub unique: Vec<String>,
    /// The columns with the site.
    pub sites: Vec<String>,
    /// Columns near now.
    pub near: Vec<String>,
}

/// One of the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    T,
    U,
    E,
    L,
    /// Which only some of the sites have.
    W,
}

impl Of {
    /// The column that leads to another table, if there is one, and to which column of it.
    fn leads_to(self, other: Of) -> Option<(&'static str, &'static str)> {
        match (self, other) {
            (Of::T, Of::U) | (Of::L, Of::U) => Some(("k", "id")),
            (Of::U, Of::T) => Some(("id", "k")),
            (Of::T, Of::E) | (Of::U, Of::E) => Some(("id", "t_id")),
            (Of::E, Of::T) | (Of::E, Of::U) => Some(("t_id", "id")),
            (Of::U, Of::U) => Some(("parent", "id")),
            (Of::T, Of::T) => Some(("k", "k")),
            (Of::E, Of::E) => Some(("t_id", "t_id")),
            (Of::L, Of::T) | (Of::T, Of::L) => Some(("k", "k")),
            (Of::L, Of::E) => Some(("k", "t_id")),
            (Of::E, Of::L) => Some(("t_id", "k")),
            (Of::U, Of::L) => Some(("id", "k")),
            (Of::W, Of::T) => Some(("t_id", "id")),
            (Of::W, Of::U) => Some(("t_id", "id")),
            (Of::T | Of::U, Of::W) => Some(("id", "t_id")),
            (Of::W, _) | (_, Of::W) => Some(("id", "id")),
            (Of::L, Of::L) => None,
        }
    }

    /// Its name: merged, or that of site a alone.
    pub fn name(self, merged: bool) -> &'static str {
        match (self, merged) {
            (Of::T, true) => "far_main.t",
            (Of::U, true) => "far_main.u",
            (Of::E, true) => "far_act.e",
            (Of::T, false) => "far_one.t",
            (Of::U, false) => "far_one.u",
            (Of::E, false) => "far_deed.e",
            (Of::L, _) => "public.l",
            (Of::W, _) => "far_main.w",
        }
    }

    fn columns(self) -> &'static [Column] {
        match self {
            Of::T => &FACTS,
            Of::U => &PEOPLE,
            Of::E => &EVENTS,
            Of::L => &[],
            Of::W => &WARNINGS,
        }
    }
}

impl Scope {
    /// One table under an alias.
    pub fn one(of: Of, merged: bool, alias: &str) -> Scope {
        let has_site = merged || matches!(of, Of::L | Of::W);
        let reach = |name: &str, kind: &str, values: &[&str]| InReach {
            sql: format!("{alias}.{name}"),
            kind: find(kind),
            values: Rc::new(values.iter().map(|value| (*value).to_owned()).collect()),
        };
        let few = ["0", "1", "2", "3", "5"];
        let mut columns = vec![reach("id", "int4", &few)];
        match of {
            Of::T => {
                columns.push(reach("k", if merged { "int8" } else { "int4" }, &few));
                columns.push(reach("mix", if merged { "numeric" } else { "int4" }, &few));
            }
            Of::E | Of::W => columns.push(reach("t_id", "int4", &few)),
            Of::L => {
                columns.push(reach("k", "int4", &few));
                columns.push(reach("w", "int4", &few));
                columns.push(reach("note", "text", &["x", "y", ""]));
            }
            Of::U => {}
        }
        columns.extend(of.columns().iter().map(|c| reach(c.name, c.kind, c.values)));
        if has_site {
            columns.push(reach("site", "text", &["a", "b", "c"]));
        }
        let site = format!("{alias}.site");
        let unique = match has_site && of != Of::L {
            true => vec![site.clone(), format!("{alias}.id")],
            false => vec![format!("{alias}.id")],
        };
        Scope {
            from: format!("{} {alias}", of.name(merged)),
            columns,
            unique,
            sites: if has_site { vec![site] } else { Vec::new() },
            near: if of == Of::T { vec![format!("{alias}.near")] } else { Vec::new() },
        }
    }

    /// Two tables put together by UNION ALL, or a view of one.
    fn put_together(maker: &mut Maker<'_>) -> Scope {
        if maker.percent(35) {
            let mut scope = Scope::one(Of::T, true, "t");
            let view = maker.pick(&["far_main.seen", "far_main.guarded"]);
            scope.from = format!("{view} t");
            return scope;
        }
        let merged = maker.percent(70);
        let site = if merged { "site" } else { "'a'" };
        let (t, e) = (Of::T.name(merged), Of::E.name(merged));
        let more = maker.pick(&["", " WHERE id > 2", " WHERE x.f8 < 3", " WHERE n IS NOT NULL"]);
        let from = format!(
            "(SELECT 1 AS arm, {site} AS site, id, k::int8 AS k, n, f8, s, tz FROM {t} x{more} \
             UNION ALL SELECT 2, {site}, id, t_id::int8, amount, score, lower(what), at FROM {e}) t"
        );
        let all = Scope::one(Of::T, true, "t");
        let wanted = ["t.site", "t.id", "t.k", "t.n", "t.f8", "t.s", "t.tz"];
        let mut columns = all.columns;
        columns.retain(|column| wanted.contains(&column.sql.as_str()));
        let arm = InReach {
            sql: "t.arm".to_owned(),
            kind: find("int4"),
            values: Rc::new(vec!["1".to_owned(), "2".to_owned()]),
        };
        columns.push(arm);
        let unique = ["t.arm", "t.site", "t.id"].map(str::to_owned).to_vec();
        Scope { from, columns, unique, sites: vec!["t.site".to_owned()], near: Vec::new() }
    }

    /// Any of them, or a join of two or three.
    pub fn random(maker: &mut Maker<'_>) -> Scope {
        let merged = maker.percent(65);
        let first = maker.pick(&[Of::T, Of::T, Of::T, Of::T, Of::U, Of::E, Of::W]);
        let mut scope = Scope::one(first, merged, "t");
        let mut last = (first, merged);
        if maker.percent(12) {
            scope = Scope::put_together(maker);
            last = (Of::T, true);
        }
        let joins = maker.pick(&[0, 0, 0, 0, 0, 1, 1, 1, 2]);
        for alias in ["u", "v"].iter().take(joins) {
            let other = match last.0 {
                Of::L => maker.pick(&[Of::T, Of::U, Of::E]),
                _ => maker.pick(&[Of::T, Of::U, Of::U, Of::E, Of::L, Of::W]),
            };
            let merged = if maker.percent(85) { merged } else { !merged };
            scope = scope.joined(maker, last, (other, merged), alias);
            last = (other, merged);
        }
        if maker.percent(60) {
            scope.keep_few(maker);
        }
        scope
    }

    /// Leaves few columns in reach, so that the same ones meet in several parts of a statement.
    fn keep_few(&mut self, maker: &mut Maker<'_>) {
        let wanted: Vec<bool> = self
            .columns
            .iter()
            .map(|column| {
                let (_, name) = column.sql.split_once('.').unwrap_or_default();
                let joins = matches!(name, "id" | "k" | "t_id" | "site" | "parent");
                if joins { maker.percent(50) } else { maker.percent(20) }
            })
            .collect();
        let mut kept = wanted.iter();
        if wanted.iter().filter(|wanted| **wanted).count() > 2 {
            self.columns.retain(|_| kept.next().copied().unwrap_or(true));
        }
    }

    /// The join condition of two tables: by key, mostly by site too.
    fn condition(
        maker: &mut Maker<'_>,
        (left, left_merged): (Of, bool),
        left_alias: &str,
        (right, right_merged): (Of, bool),
        right_alias: &str,
    ) -> String {
        let (one, two) = left.leads_to(right).unwrap_or(("id", "id"));
        let by_key = format!("{left_alias}.{one} = {right_alias}.{two}");
        let has_site = |of: Of, merged: bool| merged || matches!(of, Of::L | Of::W);
        let both_sites = has_site(left, left_merged) && has_site(right, right_merged);
        if both_sites && maker.percent(75) {
            let by_site = format!("{left_alias}.site = {right_alias}.site");
            return match maker.below(3) {
                0 => format!("{by_key} AND {by_site}"),
                _ => format!("{by_site} AND {by_key}"),
            };
        }
        by_key
    }

    fn joined(
        self,
        maker: &mut Maker<'_>,
        (left, left_merged): (Of, bool),
        (right, right_merged): (Of, bool),
        alias: &str,
    ) -> Scope {
        let other = Scope::one(right, right_merged, alias);
        let left_alias = if alias == "u" { "t" } else { "u" };
        let kind = maker.pick(&[
            "JOIN",
            "JOIN",
            "JOIN",
            "LEFT JOIN",
            "LEFT JOIN",
            "RIGHT JOIN",
            "FULL JOIN",
        ]);
        let mut on =
            Scope::condition(maker, (left, left_merged), left_alias, (right, right_merged), alias);
        let mut columns = self.columns.clone();
        columns.extend(other.columns.clone());
        if maker.percent(30) {
            let more = maker.condition(&columns, 1);
            on = format!("{on} AND {more}");
        }
        Scope {
            from: format!("{} {kind} {} ON {on}", self.from, other.from),
            columns,
            unique: self.unique.into_iter().chain(other.unique).collect(),
            sites: self.sites.into_iter().chain(other.sites).collect(),
            near: self.near.into_iter().chain(other.near).collect(),
        }
    }

    /// A condition that asks another table about rows of this one.
    pub fn asks_another(&self, maker: &mut Maker<'_>) -> Option<String> {
        let (one, two, of) = self.way_to_another(maker)?;
        let merged = of == Of::W || maker.percent(70);
        let inner = Scope::one(of, merged, "y");
        let mut on = vec![format!("y.{two} = {one}")];
        if let (Some(site), true) = (self.site_beside(&one), merged && maker.percent(75)) {
            on.push(format!("y.site = {site}"));
        }
        if maker.percent(40) {
            on.push(self.condition_of_both(maker, &inner));
        }
        let of_both = on.join(" AND ");
        let from = &inner.from;
        let more = on.split_off(1);
        let inside = match more.is_empty() {
            true => String::new(),
            false => format!(" WHERE {}", more.join(" AND ")),
        };
        Some(match maker.below(9) {
            0..=2 => format!("EXISTS (SELECT FROM {from} WHERE {of_both})"),
            3 | 4 => format!("NOT EXISTS (SELECT FROM {from} WHERE {of_both})"),
            5 => format!("{one} IN (SELECT y.{two} FROM {from}{inside})"),
            6 => format!("{one} NOT IN (SELECT y.{two} FROM {from}{inside})"),
            7 => format!("(SELECT count(*) FROM {from} WHERE {of_both}) > 1"),
            _ => format!("{one} = ANY (ARRAY(SELECT y.{two} FROM {from}{inside}))"),
        })
    }

    /// A condition over the columns of an inner scope, often with those of this one.
    pub fn condition_of_both(&self, maker: &mut Maker<'_>, inner: &Scope) -> String {
        let mut columns = inner.columns.clone();
        if maker.percent(50) {
            columns.extend(self.columns.clone());
        }
        maker.condition(&columns, 1)
    }

    /// A value that another table has for rows of this one.
    pub fn value_of_another(&self, maker: &mut Maker<'_>) -> Option<String> {
        let (one, two, of) = self.way_to_another(maker)?;
        let merged = of == Of::W || maker.percent(70);
        let inner = Scope::one(of, merged, "y");
        let mut on = format!("y.{two} = {one}");
        if let (Some(site), true) = (self.site_beside(&one), merged && maker.percent(75)) {
            on.push_str(&format!(" AND y.site = {site}"));
        }
        if maker.percent(40) {
            on.push_str(&format!(" AND {}", self.condition_of_both(maker, &inner)));
        }
        let value = match maker.below(3) {
            0 => "count(*)".to_owned(),
            1 => format!(
                "string_agg(y.id::text, ',' ORDER BY y.id{})",
                if merged { ", y.site" } else { "" }
            ),
            _ => maker.aggregate(&inner.columns),
        };
        Some(format!("(SELECT {value} FROM {} WHERE {on})", inner.from))
    }

    /// A column, the column of another table that it leads to, and that table.
    fn way_to_another(&self, maker: &mut Maker<'_>) -> Option<(String, &'static str, Of)> {
        let ways: Vec<(String, &str, Of)> = self
            .columns
            .iter()
            .filter_map(|column| {
                let (_, name) = column.sql.split_once('.')?;
                let (to, of) = match name {
                    "k" | "parent" => ("id", Of::U),
                    "id" => ("t_id", maker.pick(&[Of::E, Of::E, Of::W])),
                    "t_id" => ("id", Of::T),
                    _ => return None,
                };
                Some((column.sql.clone(), to, of))
            })
            .collect();
        (!ways.is_empty()).then(|| maker.pick(&ways))
    }

    fn site_beside(&self, column: &str) -> Option<&String> {
        let (alias, _) = column.split_once('.')?;
        self.sites.iter().find(|site| site.starts_with(&format!("{alias}.")))
    }
}
