//! Random conditions on columns, with values that the columns have.

use anyhow::{Result, ensure};
use postgres::Client;
use warehouse_tests::apis::random::Random;

use crate::ask::rows;

/// How a column can be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text: equality and LIKE.
    Text,
    /// What has an order that is the same everywhere.
    Ordered,
    /// An array of texts.
    List,
    /// Whether there is a value.
    Presence,
}

/// Columns and values of each.
pub struct Pool {
    columns: Vec<(String, Vec<String>, Kind)>,
}

/// Values of a column, as literals.
fn values(client: &mut Client, table: &str, column: &str, kind: Kind) -> Result<Vec<String>> {
    if kind == Kind::Presence {
        return Ok(Vec::new());
    }
    let each = if kind == Kind::List { format!("unnest({column})") } else { column.to_owned() };
    let sql = format!(
        "SELECT quote_literal(v::text) FROM (SELECT DISTINCT {each} AS v FROM {table}) d \
         WHERE v IS NOT NULL AND v::text !~ '[\n\\\\]' ORDER BY md5(v::text) LIMIT 40"
    );
    Ok(rows(client, &sql)?.lines().map(str::to_owned).collect())
}

impl Pool {
    /// Of these columns of a table.
    pub fn new(client: &mut Client, table: &str, columns: &[(String, Kind)]) -> Result<Pool> {
        let mut out = Vec::new();
        for (column, kind) in columns {
            let values = values(client, table, column, *kind)?;
            if !values.is_empty() || *kind == Kind::Presence {
                out.push((column.clone(), values, *kind));
            }
        }
        ensure!(out.len() > 1, "{table} has no values");
        Ok(Pool { columns: out })
    }

    fn term(&self, random: &mut Random) -> String {
        let (column, values, kind) =
            &self.columns[random.below(self.columns.len() as u64) as usize];
        let way = random.below(9);
        let mut pick = || values[random.below(values.len() as u64) as usize].clone();
        match (way, kind) {
            (0..4, Kind::Presence) => format!("{column} IS NULL"),
            (_, Kind::Presence) => format!("{column} IS NOT NULL"),
            (0..7, Kind::List) => format!("{} = ANY ({column})", pick()),
            (7, Kind::List) => format!("{column} IS NULL"),
            (_, Kind::List) => format!("{column} IS NOT NULL"),
            (0, _) => format!("{column} IN ({}, {}, {})", pick(), pick(), pick()),
            (1, _) => format!("{column} IS NULL"),
            (2, _) => format!("{column} IS NOT NULL"),
            (3, _) => format!("{column} <> {}", pick()),
            (4, Kind::Ordered) => format!("{column} >= {}", pick()),
            (5, Kind::Ordered) => format!("{column} < {}", pick()),
            (6, Kind::Ordered) => format!("{column} BETWEEN {} AND {}", pick(), pick()),
            (4, Kind::Text) => format!("{column} LIKE left({}, 3) || '%'", pick()),
            (5, Kind::Text) => format!("{column} LIKE '%' || right({}, 3) || '%'", pick()),
            (6, Kind::Text) => format!("{column} ILIKE {}", pick()),
            _ => format!("{column} = {}", pick()),
        }
    }

    /// So many conditions.
    pub fn predicates(&self, seed: u64, count: usize) -> Vec<String> {
        let mut random = Random::new(seed);
        let random = &mut random;
        (0..count)
            .map(|_| match random.below(6) {
                0 => format!("{} AND {}", self.term(random), self.term(random)),
                1 => format!("({} OR {})", self.term(random), self.term(random)),
                2 => format!(
                    "{} AND ({} OR {})",
                    self.term(random),
                    self.term(random),
                    self.term(random)
                ),
                3 => format!("NOT ({})", self.term(random)),
                _ => self.term(random),
            })
            .collect()
    }
}
