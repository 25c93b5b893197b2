//! The materialized tables of the model test: one for each way of finding and applying changes.

/// What makes a table equal to its query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exact {
    /// A refresh.
    Refreshed,
    /// A refresh that compares, because others do not find deletes; after another one, all rows of the
    /// query are there already.
    Compared,
    /// The same, and before it rows may be missing.
    OnlyCompared,
    /// Nothing: it follows another table.
    Always,
}

/// What readers may rely on at every moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Accounts of a day have balances whose sum is 0, and there are some.
    Balanced,
    /// All sums are 0, and there are some.
    Sums,
    /// There are rows.
    Filled,
    /// The rows are those of its query, which reads another table here.
    Follows,
    /// There are rows, and none that its tests or its gate keep out: a query finds them in `{rows}`.
    Gated(&'static str),
    /// The source may be empty.
    Nothing,
}

/// A materialized table.
#[derive(Debug)]
pub struct Mart {
    /// Its name.
    pub name: &'static str,
    /// Its query.
    pub query: &'static str,
    /// All other arguments.
    arguments: &'static str,
    /// When it is equal to its query.
    pub exact: Exact,
    /// What readers may always rely on.
    pub holds: Holds,
}

impl Mart {
    /// The call that defines it.
    pub fn call(&self) -> String {
        format!(
            "SELECT FROM warehouse.materialize('{}', $q${}$q$, {})",
            self.name, self.query, self.arguments
        )
    }

    /// A query that yields one text: what is wrong for a reader, NULL as long as all is well.
    pub fn check(&self) -> String {
        let name = self.name;
        let unless_empty = |rest: &str| {
            format!("SELECT CASE WHEN NOT EXISTS (SELECT FROM {name}) THEN 'empty' {rest} END")
        };
        match self.holds {
            Holds::Balanced => unless_empty(&format!(
                "ELSE (SELECT 'sums: ' || string_agg(format('%s %s %s', site, day, total), ', ') FROM ( \
                   SELECT site, created_at::date AS day, sum(balance) AS total FROM {name} \
                   WHERE kind = 'account' GROUP BY 1, 2 HAVING sum(balance) <> 0) torn)"
            )),
            Holds::Sums => unless_empty(&format!(
                "ELSE (SELECT 'sums: ' || string_agg(t::text, ', ') FROM {name} t WHERE total <> 0)"
            )),
            Holds::Filled => unless_empty(""),
            Holds::Gated(forbidden) => unless_empty(&format!(
                "ELSE (SELECT 'let in: ' || string_agg(f::text, ', ') FROM ({}) f)",
                forbidden.replace("{rows}", name)
            )),
            Holds::Follows => format!(
                "SELECT string_agg(side || x, '; ') FROM ({}) d",
                differences(&format!("SELECT * FROM {name}"), self.query)
            ),
            Holds::Nothing => format!("SELECT NULL::text FROM (SELECT count(*) FROM {name}) n"),
        }
    }
}

/// The rows as text (`x`) that are in only one of two queries; `side` says in which.
///
/// As text, because 1.0 and 1.00 are equal and yet not the same.
pub fn differences(table: &str, query: &str) -> String {
    let (table, query) = (
        format!("SELECT t::text AS x FROM ({table}) t"),
        format!("SELECT q::text AS x FROM ({query}) q"),
    );
    format!(
        "SELECT 'too much: ' AS side, x FROM ({table} EXCEPT ALL {query}) one \
         UNION ALL SELECT 'missing: ', x FROM ({query} EXCEPT ALL {table}) two"
    )
}

/// Whether a statement may fail because of what a table keeps out.
pub fn may_be_kept_out(sql: &str) -> bool {
    ALL.iter().any(|mart| matches!(mart.holds, Holds::Gated(_)) && sql.contains(mart.name))
}

/// Tables that agree with each other at every moment, those that follow others behind these.
pub fn groups() -> Vec<Vec<&'static Mart>> {
    let mut groups: Vec<Vec<&Mart>> = Vec::new();
    for mart in ALL {
        let reads = |other: &&Mart| mart.query.contains(&format!("FROM {}", other.name));
        match groups.iter_mut().find(|group| group.iter().any(reads)) {
            Some(group) => group.push(mart),
            None => groups.push(vec![mart]),
        }
    }
    groups
}

/// All of them, those that follow others behind these.
pub const ALL: &[Mart] = &[
    Mart {
        name: "mart.whole",
        query: "SELECT * FROM main.account",
        arguments: "strategy => 'full', unique_key => '{site,id}', schedule => '4 seconds', \
                    indexes => '{kind}', on_schema_change => 'sync_all_columns', max_failures => 1000",
        exact: Exact::Refreshed,
        holds: Holds::Balanced,
    },
    Mart {
        name: "mart.by_xmin",
        query: "SELECT site, id, kind, balance, note, score, price, raw, hits, created_at, updated_at FROM main.account",
        arguments: "strategy => 'merge', capture => 'xmin', unique_key => '{site,id}', schedule => '2 seconds', \
                    reconcile => '7 seconds', max_failures => 1000",
        exact: Exact::Compared,
        holds: Holds::Balanced,
    },
    Mart {
        name: "mart.by_cursor",
        query: "SELECT site, id, kind, balance, note, score, price, created_at, updated_at FROM main.account",
        arguments: "capture => 'cursor', unique_key => '{site,id}', cursor_column => 'updated_at', \
                    lookback => '15 seconds', schedule => '3 seconds', reconcile => '9 seconds', \
                    jitter => '1 second', max_failures => 1000",
        exact: Exact::Compared,
        holds: Holds::Balanced,
    },
    Mart {
        name: "mart.by_diff",
        query: "SELECT site, id, kind, balance, note, score, price, raw, hits, created_at, updated_at FROM main.account",
        arguments: "strategy => 'merge', capture => 'diff', unique_key => '{site,id}', schedule => '5 seconds', \
                    indexes => '{kind,created_at}', max_failures => 3",
        exact: Exact::Refreshed,
        holds: Holds::Balanced,
    },
    Mart {
        name: "mart.replaced",
        query: "SELECT * FROM main.account",
        arguments: "strategy => 'delete+insert', capture => 'xmin', unique_key => '{site,id}', \
                    after => '{mart.by_xmin}', reconcile => '8 seconds', \
                    on_schema_change => 'append_new_columns', max_failures => 1000",
        exact: Exact::OnlyCompared,
        holds: Holds::Balanced,
    },
    Mart {
        name: "mart.by_day",
        query: "SELECT site, date_trunc('day', created_at) AS day, count(*) AS n, sum(balance) AS total, \
                  max(updated_at) AS last FROM main.account GROUP BY 1, 2",
        arguments: "event_time => 'day', batch_size => 'day', lookback => '3 days', unique_key => '{site,day}', \
                    schedule => '4 seconds', reconcile => '11 seconds', time_zone => 'UTC', max_failures => 1000",
        exact: Exact::OnlyCompared,
        holds: Holds::Sums,
    },
    Mart {
        name: "mart.events",
        query: "SELECT site, id, body, at FROM main.event",
        arguments: "strategy => 'append', capture => 'cursor', cursor_column => 'id', lookback => '1000', \
                    unique_key => '{site,id}', schedule => '2 seconds', max_failures => 1000",
        exact: Exact::Refreshed,
        holds: Holds::Filled,
    },
    Mart {
        name: "mart.ledger",
        query: "SELECT * FROM plain.ledger",
        arguments: "unique_key => '{id}', strategy => 'merge', max_failures => 1000",
        exact: Exact::Compared,
        holds: Holds::Nothing,
    },
    Mart {
        name: "mart.sizes",
        query: "SELECT l.id, s.name, l.amount, l.payload FROM plain.ledger l LEFT JOIN LATERAL ( \
                  SELECT s.name FROM plain.size s WHERE s.up_to >= l.amount ORDER BY s.up_to LIMIT 1) s ON true",
        arguments: "unique_key => '{id}', strategy => 'full', capture => 'diff', max_failures => 1000",
        exact: Exact::Refreshed,
        holds: Holds::Nothing,
    },
    Mart {
        name: "mart.daily",
        query: "SELECT site, kind, count(*) AS n, sum(balance) AS total, min(id) AS first, max(id) AS last, \
                  avg(hits) AS hits FROM mart.by_xmin GROUP BY site, kind",
        arguments: "capture => 'change'",
        exact: Exact::Always,
        holds: Holds::Follows,
    },
    Mart {
        name: "mart.initials",
        query: "SELECT site, COALESCE(left(note, 1), '~') AS initial, count(*) AS n, sum(hits) AS hits \
                FROM mart.by_diff WHERE kind = 'note' GROUP BY 1, 2",
        arguments: "capture => 'change'",
        exact: Exact::Always,
        holds: Holds::Follows,
    },
    Mart {
        name: "mart.totals",
        query: "SELECT kind, sum(n) AS n, sum(total) AS total, max(last) AS last FROM mart.daily GROUP BY kind",
        arguments: "capture => 'change'",
        exact: Exact::Always,
        holds: Holds::Follows,
    },
    Mart {
        name: "mart.members",
        query: "SELECT site, id, town, visits FROM main.member",
        arguments: "strategy => 'merge', capture => 'xmin', unique_key => '{site,id}', schedule => '3 seconds', \
                    reconcile => '8 seconds', max_failures => 3, \
                    tests => '{\"sql\": [\"SELECT FROM {this} WHERE visits < 0\"], \"not_null\": [\"town\"]}'",
        exact: Exact::Compared,
        holds: Holds::Gated(
            "SELECT id::text FROM {rows} r WHERE visits < 0 UNION ALL \
             SELECT town FROM {rows} r GROUP BY site, town HAVING count(*) < 3",
        ),
    },
    // What its test finds fails the run of the table that it follows.
    Mart {
        name: "mart.towns",
        query: "SELECT site, town, count(*) AS n, sum(visits) AS visits FROM mart.members GROUP BY site, town",
        arguments: "capture => 'change', tests => '{\"sql\": [\"SELECT FROM {this} WHERE n < 3\"]}'",
        exact: Exact::Always,
        holds: Holds::Follows,
    },
    Mart {
        name: "mart.crowds",
        query: "SELECT site, id, town, visits > 10 AS often FROM main.member",
        arguments: "strategy => 'full', schedule => '4 seconds', max_failures => 1000, \
                    require => '{\"k_anonymity\": {\"k\": 3, \"columns\": [\"town\"]}}'",
        exact: Exact::Refreshed,
        holds: Holds::Gated("SELECT town FROM {rows} r GROUP BY town HAVING count(*) < 3"),
    },
];
