//! What an answer is the answer to.

use crate::connectors::condition::{Condition, implies};
use crate::connectors::plan::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A plan, reduced to what its rows depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The connector's fingerprint: endpoint, account and credential.
    pub source: [u8; 16],
    /// The table's name and options, and the names, types and origins of the columns as one digest a
    /// column: a table that was declared otherwise is another one.
    pub table: String,
    /// The columns of its rows, in their order, each by a digest of its definition.
    pub columns: Vec<u64>,
    /// What was pushed, joined by AND. In no particular order.
    pub pushed: Vec<Condition>,
    /// No more rows than so many were asked for.
    pub limit: Option<u64>,
}

fn digest(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut out = [0; 8];
    out.copy_from_slice(&hash.finalize()[..8]);
    u64::from_be_bytes(out)
}

impl Question {
    /// The question that a plan answers; none for one whose rows may not be used again.
    pub fn of(source: [u8; 16], plan: &Plan) -> Option<Question> {
        plan.cacheable.then(|| Question::of_cacheable(source, plan))
    }

    fn of_cacheable(source: [u8; 16], plan: &Plan) -> Question {
        let mut table = plan.table.options.clone();
        table.sort_unstable();
        let known = |name: &str| matches!(name, "base_id" | "table_id" | "catalogue");
        let mut name = match table.iter().any(|(option, _)| known(option)) {
            true => String::new(),
            false => plan.table.name.clone(),
        };
        for (option, value) in table.iter().filter(|(option, _)| known(option)) {
            name.push_str(&format!("{option}={value};"));
        }
        let column = |&i: &usize| {
            let column = &plan.table.columns[i];
            let origin = match &column.origin {
                super::super::catalogue::Origin::Path(path) => path.join("\0"),
                _ => format!("\u{1}{}", column.name),
            };
            digest(&[&origin, &column.of.sql(), &format!("{:?}", column.reading)])
        };
        Question {
            source,
            table: name,
            columns: plan.columns.iter().map(column).collect(),
            pushed: plan.pushed.clone(),
            limit: plan.limit,
        }
    }

    /// Whether the rows of an answer to this question contain all rows that `other` asks for.
    pub fn serves(&self, other: &Question) -> bool {
        let same_place = self.source == other.source && self.table == other.table;
        let has_columns = other.columns.iter().all(|column| self.columns.contains(column));
        let is_wider =
            self.pushed.iter().all(|wide| other.pushed.iter().any(|narrow| implies(narrow, wide)));
        let is_enough = match (self.limit, other.limit) {
            (None, _) => true,
            // The first rows of another condition are others.
            (Some(has), Some(wants)) => wants <= has && self.is_same_filter(other),
            (Some(_), None) => false,
        };
        same_place && has_columns && is_wider && is_enough
    }

    /// Whether both have the same conditions.
    pub fn is_same_filter(&self, other: &Question) -> bool {
        self.pushed.iter().all(|one| other.pushed.contains(one))
            && other.pushed.iter().all(|one| self.pushed.contains(one))
    }

    /// Where the columns of `other` stand in the rows of an answer to this question.
    pub fn places(&self, other: &Question) -> Option<Vec<usize>> {
        let place = |column| self.columns.iter().position(|known| known == column);
        other.columns.iter().map(place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::condition::{Comparison, Known, Operand};

    fn at_least(column: &str, value: &str) -> Condition {
        Condition::Compare {
            column: column.into(),
            comparison: Comparison::AtLeast,
            operand: Operand { value: Known::Text(value.into()), of: "date".into() },
        }
    }

    fn question(columns: &[u8], pushed: Vec<Condition>, limit: Option<u64>) -> Question {
        Question {
            source: [1; 16],
            table: "t".into(),
            columns: columns.iter().map(|&n| n.into()).collect(),
            pushed,
            limit,
        }
    }

    #[test]
    fn wider_serves_narrower() {
        let wide = question(&[1, 2, 3], vec![at_least("d", "2024-01-01")], None);
        let narrow = question(
            &[3, 1],
            vec![at_least("d", "2024-02-01"), at_least("e", "2024-01-01")],
            Some(5),
        );
        assert!(wide.serves(&narrow));
        assert!(!narrow.serves(&wide));
        assert_eq!(wide.places(&narrow), Some(vec![2, 0]));
        let everything = question(&[1, 2, 3], vec![], None);
        assert!(everything.serves(&wide) && !wide.serves(&everything));
        assert!(!wide.serves(&question(&[4], vec![at_least("d", "2024-02-01")], None)));
        assert!(!wide.serves(&Question { source: [2; 16], ..narrow }));
    }

    #[test]
    fn the_first_rows_are_not_all() {
        let ten = question(&[1], vec![], Some(10));
        assert!(ten.serves(&question(&[1], vec![], Some(5))));
        assert!(!ten.serves(&question(&[1], vec![], None)));
        assert!(!ten.serves(&question(&[1], vec![at_least("d", "2024-01-01")], Some(5))));
    }
}
