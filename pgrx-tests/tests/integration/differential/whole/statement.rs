//! A statement in parts, so that parts can be left out of one that fails.

/// A parameter: its type, and a literal for each execution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub of: String,
    pub values: Vec<String>,
}

/// How the rows of two answers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// In any order.
    Bag,
    /// The order is total.
    List,
}

/// A SELECT, or several put together by `between`. Tables are named as at the warehouse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// WITH, with a blank behind it, or nothing.
    pub with: String,
    /// What is between SELECT and the targets.
    pub distinct: String,
    pub targets: Vec<String>,
    /// So many of the targets are needed by other parts.
    pub pinned: usize,
    pub from: String,
    pub conditions: Vec<String>,
    pub group: Option<String>,
    pub having: Vec<String>,
    /// UNION ALL and so on, and the other arms.
    pub arms: Vec<(String, Statement)>,
    pub order: Vec<String>,
    /// LIMIT, OFFSET, FETCH.
    pub limit: Option<String>,
    pub rows: Rows,
    pub params: Vec<Param>,
}

impl Statement {
    /// SELECT of nothing yet.
    pub fn from(from: String) -> Statement {
        Statement {
            with: String::new(),
            distinct: String::new(),
            targets: Vec::new(),
            pinned: 0,
            from,
            conditions: Vec::new(),
            group: None,
            having: Vec::new(),
            arms: Vec::new(),
            order: Vec::new(),
            limit: None,
            rows: Rows::Bag,
            params: Vec::new(),
        }
    }

    /// The statement as SQL, with `$n` for its parameters.
    pub fn sql(&self) -> String {
        let targets = self.targets.join(", ");
        let mut sql = format!("{}SELECT {}{targets} FROM {}", self.with, self.distinct, self.from);
        if !self.conditions.is_empty() {
            sql.push_str(&format!(" WHERE {}", self.conditions.join(" AND ")));
        }
        if let Some(group) = &self.group {
            sql.push_str(&format!(" GROUP BY {group}"));
        }
        if !self.having.is_empty() {
            sql.push_str(&format!(" HAVING {}", self.having.join(" AND ")));
        }
        for (between, arm) in &self.arms {
            sql.push_str(&format!(" {between} {}", arm.sql()));
        }
        if !self.order.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", self.order.join(", ")));
        }
        if let Some(limit) = &self.limit {
            sql.push_str(&format!(" {limit}"));
        }
        sql
    }

    /// The same with literals for the parameters: those of one execution.
    pub fn literal_sql(&self, execution: usize) -> String {
        let sql = self.sql();
        let mut out = String::with_capacity(sql.len());
        // What looks like a parameter in a literal is none: every other piece is a literal.
        for (at, piece) in sql.split('\'').enumerate() {
            if at > 0 {
                out.push('\'');
            }
            if at % 2 == 1 {
                out.push_str(piece);
                continue;
            }
            let mut piece = piece.to_owned();
            for (number, param) in self.params.iter().enumerate().rev() {
                let value = &param.values[execution % param.values.len()];
                // The values hold `$` too; none is looked at again, since they are put in from behind.
                let value = format!("({value})::{}", param.of).replace('$', "\u{e001}");
                piece = piece.replace(&format!("${}", number + 1), &value);
            }
            out.push_str(&piece.replace('\u{e001}', "$"));
        }
        out
    }

    /// The same statement with one part less, in every way.
    pub fn smaller(&self) -> Vec<Statement> {
        let mut out = Vec::new();
        let mut add = |change: &dyn Fn(&mut Statement)| {
            let mut smaller = self.clone();
            change(&mut smaller);
            if smaller != *self {
                out.push(smaller);
            }
        };
        add(&|s| s.limit = None);
        add(&|s| s.arms.clear());
        if self.limit.is_none() && !self.distinct.contains("ON") {
            add(&|s| {
                s.order.clear();
                s.rows = Rows::Bag;
            });
        }
        for at in 0..self.arms.len() {
            add(&|s| drop(s.arms.remove(at)));
        }
        for at in 0..self.conditions.len() {
            add(&|s| drop(s.conditions.remove(at)));
        }
        for at in 0..self.having.len() {
            add(&|s| drop(s.having.remove(at)));
        }
        if self.arms.is_empty() && self.targets.len() > self.pinned.max(1) {
            for at in self.pinned..self.targets.len() {
                add(&|s| drop(s.targets.remove(at)));
            }
        }
        out
    }
}
