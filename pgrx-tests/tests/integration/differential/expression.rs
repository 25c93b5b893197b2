//! Random expressions over the columns in reach.

use std::rc::Rc;

use super::kinds::{Compares, Kind, find};
use super::random::Random;
use super::rules::Rule;
use super::strings::quote;

/// A column that an expression may use.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its qualified name.
    pub sql: String,
    /// Its type.
    pub kind: &'static Kind,
    /// The values it holds, in their text form.
    pub values: Rc<Vec<String>>,
}

/// What a query may hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    /// Expressions that are errors for some rows.
    pub failing: bool,
    /// Expressions that depend on the time zone or on styles.
    pub styled: bool,
    /// `$1` instead of a literal.
    pub params: bool,
}

/// A parameter: its type and its value as a literal.
pub type Param = (String, String);

/// Makes expressions.
pub struct Maker<'a> {
    rules: &'a [Rule],
    /// The rules that the tables were made for.
    focus: &'a [&'a Rule],
    random: &'a mut Random,
    allowed: Allowed,
    /// The columns in reach.
    pub columns: Vec<Column>,
    /// The parameters so far.
    pub params: Vec<Param>,
}

impl<'a> Maker<'a> {
    /// A maker with no columns in reach yet.
    pub fn new(
        rules: &'a [Rule],
        focus: &'a [&'a Rule],
        random: &'a mut Random,
        allowed: Allowed,
    ) -> Maker<'a> {
        Maker { rules, focus, random, allowed, columns: Vec::new(), params: Vec::new() }
    }

    /// The random choices.
    pub fn random(&mut self) -> &mut Random {
        self.random
    }

    /// Something made of a column of the tables: the column itself or an expression over it.
    pub fn value(&mut self) -> String {
        let column = self.random.pick(&self.columns);
        if self.random.percent(40) {
            return column.sql;
        }
        let rules = self.rules_with(column.kind.name, None);
        match rules.is_empty() {
            true => column.sql,
            false => {
                let rule = self.random.pick(&rules);
                self.apply(rule, Some(&column), 2)
            }
        }
    }

    /// A condition over at least one column.
    pub fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && !self.allowed.failing {
            match self.random.below(10) {
                0 => {
                    return format!(
                        "({} AND {})",
                        self.condition(depth - 1),
                        self.condition(depth - 1)
                    );
                }
                1 | 2 => {
                    return format!(
                        "({} OR {})",
                        self.condition(depth - 1),
                        self.condition(depth - 1)
                    );
                }
                3 => return format!("(NOT {})", self.condition(depth - 1)),
                4 => return format!("({} IS NOT TRUE)", self.condition(depth - 1)),
                _ => {}
            }
        }
        if self.random.percent(60)
            && let Some(condition) = self.focused()
        {
            return condition;
        }
        let column = self.random.pick(&self.columns);
        let rules = self.rules_with(column.kind.name, Some("bool"));
        if !rules.is_empty() && self.random.percent(70) {
            let rule = self.random.pick(&rules);
            return self.apply(rule, Some(&column), depth.min(1));
        }
        // Over something made of the column: `length(name) > 3`.
        let rules: Vec<&'a Rule> = self
            .rules_with(column.kind.name, None)
            .into_iter()
            .filter(|rule| !self.rules_with(&rule.gives, Some("bool")).is_empty())
            .collect();
        if rules.is_empty() {
            return format!("({} IS NOT NULL)", column.sql);
        }
        let rule = self.random.pick(&rules);
        let made = Column {
            sql: self.apply(rule, Some(&column), 0),
            kind: find(&rule.gives),
            values: Rc::default(),
        };
        let outer = self.rules_with(made.kind.name, Some("bool"));
        let outer = self.random.pick(&outer);
        self.apply(outer, Some(&made), depth.min(1))
    }

    /// A condition with a rule that the tables were made for: `f(column) = f(value in the column)`.
    /// The right side is computed here, the left one may be at the source.
    fn focused(&mut self) -> Option<String> {
        let rules: Vec<&'a Rule> =
            self.focus.iter().copied().filter(|rule| self.is_allowed(rule)).collect();
        if rules.is_empty() {
            return None;
        }
        let rule = self.random.pick(&rules);
        let columns: Vec<Column> = self
            .columns
            .iter()
            .filter(|column| rule.takes.iter().any(|take| take == column.kind.name))
            .cloned()
            .collect();
        if columns.is_empty() {
            return None;
        }
        let column = self.random.pick(&columns);
        let (left, place, arguments) = self.apply_to(rule, Some(&column), 0);
        let result = find(&rule.gives);
        if rule.gives == "bool" || column.values.is_empty() {
            return (rule.gives == "bool").then_some(left);
        }
        let value = self.random.pick(&column.values);
        let mut arguments = arguments;
        if let Some(argument) = arguments.get_mut(place?) {
            *argument = format!("{}::{}", quote(&value), column.kind.sql());
        }
        let right = filled(rule, &arguments);
        Some(if result.compares >= Compares::Order {
            let operator = self.random.pick(&["=", "=", "<=", ">", "IS DISTINCT FROM"]);
            format!("({left} {operator} {right})")
        } else if self.allowed.styled {
            format!("({left}::text = {right}::text)")
        } else {
            format!("({left} IS NULL)")
        })
    }

    fn is_allowed(&self, rule: &Rule) -> bool {
        (self.allowed.failing || !rule.fails) && (self.allowed.styled || !rule.styled)
    }

    /// A constant: a literal, a parameter if those are allowed, seldom NULL.
    pub fn constant(&mut self, kind: &Kind) -> String {
        let value = if self.random.percent(6) {
            format!("NULL::{}", kind.sql())
        } else {
            kind.literal(self.random)
        };
        if !self.allowed.params || self.random.percent(50) {
            return value;
        }
        self.params.push((kind.sql().to_owned(), value));
        format!("${}", self.params.len())
    }

    fn rules_with(&self, takes: &str, gives: Option<&str>) -> Vec<&'a Rule> {
        self.rules
            .iter()
            .filter(|rule| {
                rule.takes.iter().any(|take| take == takes)
                    && gives.is_none_or(|gives| rule.gives == gives)
                    && self.is_allowed(rule)
            })
            .collect()
    }

    fn apply(&mut self, rule: &Rule, first: Option<&Column>, depth: usize) -> String {
        self.apply_to(rule, first, depth).0
    }

    /// Applies a rule; also tells at which place `first` stands, and the arguments.
    fn apply_to(
        &mut self,
        rule: &Rule,
        first: Option<&Column>,
        depth: usize,
    ) -> (String, Option<usize>, Vec<String>) {
        let places: Vec<usize> = (0..rule.takes.len())
            .filter(|at| first.is_some_and(|first| rule.takes[*at] == first.kind.name))
            .collect();
        let place = if places.is_empty() { None } else { Some(self.random.pick(&places)) };
        let arguments: Vec<String> = rule
            .takes
            .iter()
            .enumerate()
            .map(|(at, take)| match (first, place == Some(at)) {
                (Some(first), true) => first.sql.clone(),
                _ => self.argument(find(take), depth),
            })
            .collect();
        (filled(rule, &arguments), place, arguments)
    }

    fn argument(&mut self, kind: &'static Kind, depth: usize) -> String {
        let columns: Vec<Column> =
            self.columns.iter().filter(|column| column.kind.name == kind.name).cloned().collect();
        if !columns.is_empty() && self.random.percent(35) {
            return self.random.pick(&columns).sql.clone();
        }
        if depth > 0 && kind.is_storable() && self.random.percent(35) {
            if kind.name == "bool" {
                return self.condition(0);
            }
            let rules: Vec<&'a Rule> = self
                .rules
                .iter()
                .filter(|rule| rule.gives == kind.name && self.is_allowed(rule))
                .collect();
            if !rules.is_empty() {
                let rule = self.random.pick(&rules);
                return self.apply(rule, None, depth - 1);
            }
        }
        self.constant(kind)
    }
}

/// A rule with its arguments in their places.
fn filled(rule: &Rule, arguments: &[String]) -> String {
    let mut sql = rule.sql.clone();
    for (at, argument) in arguments.iter().enumerate() {
        // What looks like a place for the next argument is hidden meanwhile.
        sql = sql.replace(&format!("{{{at}}}"), &argument.replace('{', "\u{e000}"));
    }
    format!("({})", sql.replace('\u{e000}', "{"))
}
