//! Braintree's search criteria, as JSON.

use crate::connectors::time::{date_text, second_text};
use crate::connectors::tree::Tree;

/// Seconds from 1970-01-01 to 2000-01-01.
use crate::connectors::time::UNIX_TO_POSTGRES;

/// What is asked of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A text operator (`is`, `starts_with`, `ends_with`, `contains`) and its value.
    Text(&'static str, String),
    /// A range in the text form that is sent, from least to greatest.
    Range {
        /// `min`
        min: Option<String>,
        /// `max`
        max: Option<String>,
    },
    /// One of these.
    List(Vec<String>),
    /// A truth value.
    Flag(bool),
}

/// Criteria, all of which a record fulfils; each field once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Criteria(Vec<(String, Node)>);

impl Criteria {
    /// Adds a criterion. A second range of a field is intersected by its caller; of other second
    /// criteria on a field only the first is kept, which is wider.
    pub fn add(&mut self, field: &str, node: Node) {
        let known = self.0.iter_mut().find(|(name, _)| name == field).map(|(_, node)| node);
        match (known, node) {
            (None, node) => self.0.push((field.to_owned(), node)),
            (Some(Node::Range { min, max }), Node::Range { min: least, max: most }) => {
                if min.is_none() {
                    *min = least;
                }
                if max.is_none() {
                    *max = most;
                }
            }
            (Some(Node::List(kept)), Node::List(other)) => {
                kept.retain(|value| other.contains(value))
            }
            _ => {}
        }
    }

    /// The same with one more.
    pub fn with(&self, field: &str, node: Node) -> Criteria {
        let mut out = self.clone();
        out.0.retain(|(name, _)| name != field);
        out.0.push((field.to_owned(), node));
        out
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a list has no values left.
    pub fn is_contradiction(&self) -> bool {
        self.0.iter().any(|(_, node)| matches!(node, Node::List(values) if values.is_empty()))
    }

    fn tree(&self) -> Tree {
        let member = |name: &str, value: &str| (name.to_owned(), Tree::text(value));
        let fields = self.0.iter().map(|(field, node)| {
            let value = match node {
                Node::Text(operator, value) => Tree::Object(vec![member(operator, value)]),
                Node::Range { min, max } => {
                    let min = min.iter().map(|value| member("min", value));
                    let max = max.iter().map(|value| member("max", value));
                    Tree::Object(min.chain(max).collect())
                }
                Node::List(values) => Tree::List(values.iter().map(Tree::text).collect()),
                Node::Flag(value) => Tree::Bool(*value),
            };
            (field.clone(), value)
        });
        Tree::Object(fields.collect())
    }

    /// The criteria alone, for people.
    pub fn shown(&self) -> String {
        if self.0.is_empty() { String::new() } else { self.tree().to_json() }
    }

    /// The body of a search.
    pub fn body(&self) -> String {
        Tree::Object(vec![("search".to_owned(), self.tree())]).to_json()
    }
}

/// A window of `created_at` in seconds since 2000-01-01: from, inclusive, to, exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Window {
    /// The first second.
    pub from: Option<i64>,
    /// The second behind the last.
    pub to: Option<i64>,
}

/// Where windows without an end are thought to begin: nothing at Braintree is older.
const OLDEST: i64 = 0;
const DAY: i64 = 86_400;

impl Window {
    /// The part of both.
    pub fn within(self, other: Window) -> Window {
        let later = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).max();
        let sooner = |a: Option<i64>, b: Option<i64>| a.into_iter().chain(b).min();
        Window { from: later(self.from, other.from), to: sooner(self.to, other.to) }
    }

    /// Whether no second lies in it.
    pub fn is_empty(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if from >= to)
    }

    /// Both halves, the later first; none of a single second. Open ends stay open, so that nothing is
    /// outside.
    pub fn halves(&self, now: i64) -> Option<[Window; 2]> {
        let from = self.from.unwrap_or_else(|| OLDEST.min(self.to.unwrap_or(OLDEST) - DAY));
        let to = self.to.unwrap_or_else(|| (now + DAY).max(from + DAY));
        if to - from <= 1 {
            return None;
        }
        let middle = from + (to - from) / 2;
        let later = Window { from: Some(middle), to: self.to };
        let earlier = Window { from: self.from, to: Some(middle) };
        Some([later, earlier])
    }

    /// Whether a second lies in it.
    pub fn holds(&self, second: i64) -> bool {
        self.from.is_none_or(|from| from <= second) && self.to.is_none_or(|to| second < to)
    }

    /// The criterion, none for all of time. The service adds a minute to the upper bound, so that
    /// records up to 59 seconds past the end come too.
    pub fn node(&self) -> Option<Node> {
        if self.from.is_none() && self.to.is_none() {
            return None;
        }
        let min = self.from.map(second_text);
        let max = self.to.map(|to| second_text(to - 1));
        Some(Node::Range { min, max })
    }
}

/// Seconds since 2000-01-01 of microseconds since 1970-01-01, rounded down.
pub fn second_of(unix_micros: u64) -> i64 {
    (unix_micros / 1_000_000) as i64 - UNIX_TO_POSTGRES
}

/// The date of a second.
pub fn date_of(second: i64) -> String {
    date_text(second.div_euclid(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bodies() {
        let mut criteria = Criteria::default();
        criteria.add("status", Node::List(vec!["settled".into(), "settling".into()]));
        criteria.add("amount", Node::Range { min: Some("10.00".into()), max: None });
        criteria.add("amount", Node::Range { min: None, max: Some("20".into()) });
        criteria.add("customer_email", Node::Text("starts_with", "an\"n".into()));
        criteria.add("refund", Node::Flag(true));
        assert_eq!(
            criteria.body(),
            r#"{"search":{"status":["settled","settling"],"amount":{"min":"10.00","max":"20"},"customer_email":{"starts_with":"an\"n"},"refund":true}}"#
        );
        criteria.add("status", Node::List(vec!["voided".into()]));
        assert!(criteria.is_contradiction());
    }

    #[test]
    fn the_upper_bound_is_a_second_of_the_window() {
        let window = Window { from: Some(0), to: Some(3600) };
        let node = Node::Range {
            min: Some("2000-01-01T00:00:00Z".into()),
            max: Some("2000-01-01T00:59:59Z".into()),
        };
        assert_eq!(window.node(), Some(node));
        assert_eq!(Window::default().node(), None);
    }

    proptest! {
        #[test]
        fn halves_are_the_whole(from in prop::option::of(-1000_i64..1000), width in 1_i64..5000, open in any::<bool>(), x in -9000_i64..9000) {
            let to = if open { None } else { Some(from.unwrap_or(0) + width) };
            let window = Window { from, to };
            if let Some([later, earlier]) = window.halves(3000) {
                prop_assert!(!later.is_empty() && !earlier.is_empty());
                prop_assert!(!(later.holds(x) && earlier.holds(x)));
                prop_assert_eq!(later.holds(x) || earlier.holds(x), window.holds(x));
            } else {
                prop_assert!(window.to.unwrap_or(0) - window.from.unwrap_or(0) <= 1);
            }
        }
    }
}
