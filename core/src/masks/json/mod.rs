//! JSON with a mask for each path.
//!
//! The text is walked once; what is kept is copied as it stands, so that numbers stay exact and keys in
//! their order. Closed by default: members that no path leads to are left out with their names, and
//! elements become null, unless the mask says `rest => keep`. The longest path that matches counts, and
//! of those the one that names a member or an element sooner. A mask that does not fit a value, or
//! cannot take it, makes it null; an object as well. An array has its elements masked.

mod path;
mod walk;

pub use path::{NotAPath, Path, Step};

use super::{Context, Mask, MaskError, Masked, Masker, TypeFamily, Value};
use super::{ErrorKind, IntWidth};
use std::fmt::Write;
use std::ops::Range;
use walk::{Walk, quote, unescape};

/// A mask made ready for each type that JSON has; none where it does not fit.
struct Rule {
    steps: Vec<Step>,
    keep: bool,
    hide: bool,
    /// What a constant is in JSON.
    constant: Option<String>,
    text: Option<Masker>,
    integer: Option<Masker>,
    number: Option<Masker>,
    /// Where its columns begin and end among the mask's.
    columns: (usize, usize),
}

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq)]
enum Rest {
    Keep,
    Hide,
    /// The mask of this rule.
    Mask(usize),
}

impl Rule {
    /// What becomes of the values that this rule, of the number `at`, is for.
    fn rest(&self, at: usize) -> Rest {
        match (self.keep, self.hide) {
            (true, _) => Rest::Keep,
            (_, true) => Rest::Hide,
            _ => Rest::Mask(at),
        }
    }
}

/// Masks documents.
pub(super) struct JsonMasker {
    rules: Vec<Rule>,
    keep_rest: bool,
    value: String,
    masked: String,
    key: String,
    /// The rules that still match and how many of their steps are behind: a list for each level, one
    /// after the other.
    live: Vec<(usize, usize)>,
}

impl JsonMasker {
    pub(super) fn new(
        rules: &[(Path, Mask)],
        keep_rest: bool,
        context: &Context<'_>,
    ) -> Result<JsonMasker, MaskError> {
        let mut from = 0;
        let rules = rules.iter().map(|(path, mask)| {
            let columns = (from, from + mask.columns().len());
            from = columns.1;
            let of = |family: TypeFamily| match mask.result(&family) {
                Ok(_) => mask.prepare(&family, context).map(Some),
                Err(_) => Ok(None),
            };
            Ok(Rule {
                steps: path.steps().to_vec(),
                keep: matches!(mask, Mask::Keep),
                hide: matches!(mask, Mask::Null),
                constant: match mask {
                    Mask::Constant(text) => Some(text.clone()),
                    _ => None,
                },
                text: of(TypeFamily::Text)?,
                integer: of(TypeFamily::Integer(IntWidth::Eight))?,
                number: of(TypeFamily::Numeric)?,
                columns,
            })
        });
        let mut rules: Vec<Rule> = rules.collect::<Result<_, MaskError>>()?;
        // Of paths as long as each other a name comes before a star, whoever was written first.
        rules.sort_by_key(|rule| rule.steps.iter().map(|s| *s == Step::All).collect::<Vec<_>>());
        Ok(JsonMasker {
            rules,
            keep_rest,
            value: String::new(),
            masked: String::new(),
            key: String::new(),
            live: Vec::new(),
        })
    }

    pub(super) fn mask<'o>(
        &mut self,
        value: Value<'_>,
        others: &[Option<Value<'_>>],
        out: &'o mut String,
    ) -> Result<Masked<'o>, MaskError> {
        let Value::Json(text) = value else { return Err(unreadable()) };
        self.live.clear();
        self.live.extend((0..self.rules.len()).map(|rule| (rule, 0)));
        let mut walk = Walk::new(text, others, out);
        let all = 0..self.live.len();
        let rest = if self.keep_rest { Rest::Keep } else { Rest::Hide };
        self.value(&mut walk, all, rest)?;
        walk.space();
        if !walk.rest.is_empty() {
            return Err(unreadable());
        }
        Ok(Masked::Json(out))
    }

    /// A value to which the rules in this part of `live` apply or lead; `rest` is for what no longer
    /// path leads to.
    fn value(
        &mut self,
        walk: &mut Walk<'_, '_>,
        live: Range<usize>,
        mut rest: Rest,
    ) -> Result<(), MaskError> {
        walk.space();
        let mut goes_on = false;
        let mut matched = None;
        for (rule, at) in self.live.get(live.clone()).unwrap_or_default() {
            match self.rules.get(*rule) {
                Some(of) if of.steps.len() > *at => goes_on = true,
                Some(of) if matched.is_none() => matched = Some(of.rest(*rule)),
                _ => {}
            }
        }
        rest = matched.unwrap_or(rest);
        if goes_on && walk.rest.starts_with(['{', '[']) {
            return self.children(walk, live, rest);
        }
        match rest {
            Rest::Keep => walk.copy(),
            Rest::Hide => walk.hide(),
            Rest::Mask(rule) => self.masked(walk, rule),
        }
    }

    /// An object or an array in which some path goes on.
    fn children(
        &mut self,
        walk: &mut Walk<'_, '_>,
        live: Range<usize>,
        rest: Rest,
    ) -> Result<(), MaskError> {
        let object = walk.rest.starts_with('{');
        let close = if object { '}' } else { ']' };
        walk.enter()?;
        let (mut index, mut read, mut written) = (0, false, false);
        while !walk.closes(close) {
            if read {
                walk.expect(',')?;
            }
            read = true;
            let mut name = "";
            if object {
                walk.space();
                name = walk.string()?;
                self.key.clear();
                unescape(name, &mut self.key)?;
                walk.expect(':')?;
            }
            let start = self.live.len();
            for at in live.clone() {
                self.step(at, if object { None } else { Some(index) });
            }
            index += 1;
            if object && self.live.len() == start && rest == Rest::Hide {
                walk.skip()?;
                continue;
            }
            if written {
                walk.out.push(',');
            }
            written = true;
            if object {
                walk.out.push_str(name);
                walk.out.push(':');
            }
            self.value(walk, start..self.live.len(), rest)?;
            self.live.truncate(start);
        }
        walk.leave();
        Ok(())
    }

    /// Lets a rule go a step down, if it does: into the member `key` or the element `index`.
    fn step(&mut self, at: usize, index: Option<usize>) {
        let Some((rule, step)) = self.live.get(at).copied() else { return };
        let matches = match self.rules.get(rule).and_then(|rule| rule.steps.get(step)) {
            Some(Step::Key(key)) => index.is_none() && *key == self.key,
            Some(Step::Index(wanted)) => index == Some(*wanted),
            Some(Step::All) => true,
            None => false,
        };
        if matches {
            self.live.push((rule, step + 1));
        }
    }

    /// A value that a rule is for.
    fn masked(&mut self, walk: &mut Walk<'_, '_>, rule: usize) -> Result<(), MaskError> {
        walk.space();
        let Some(of) = self.rules.get_mut(rule) else { return walk.hide() };
        if let Some(constant) = &of.constant {
            walk.skip()?;
            quote(constant, walk.out);
            return Ok(());
        }
        if walk.rest.starts_with('[') {
            walk.enter()?;
            let mut first = true;
            while !walk.closes(']') {
                if !first {
                    walk.expect(',')?;
                    walk.out.push(',');
                }
                first = false;
                self.masked(walk, rule)?;
            }
            walk.leave();
            return Ok(());
        }
        let (from, to) = of.columns;
        let others = walk.others.get(from..to).unwrap_or_default();
        let masked = if walk.rest.starts_with('"') {
            self.value.clear();
            unescape(walk.string()?, &mut self.value)?;
            of.text.as_mut().map(|m| m.mask(Value::Text(&self.value), others, &mut self.masked))
        } else if walk.rest.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            let number = walk.scalar()?;
            match (number.parse(), &mut of.integer) {
                (Ok(n), Some(m)) => Some(m.mask(Value::Integer(n), others, &mut self.masked)),
                _ => of
                    .number
                    .as_mut()
                    .map(|m| m.mask(Value::Numeric(number), others, &mut self.masked)),
            }
        } else {
            return walk.hide();
        };
        match masked {
            Some(Ok(Masked::Text(text))) => quote(text, walk.out),
            Some(Ok(Masked::Integer(number))) => {
                // Writing to a string does not fail.
                let _ = write!(walk.out, "{number}");
            }
            Some(Ok(Masked::Numeric(text))) => walk.out.push_str(text),
            Some(Err(error)) if error.kind() != ErrorKind::Data => return Err(error),
            _ => walk.out.push_str("null"),
        }
        Ok(())
    }
}

fn unreadable() -> MaskError {
    MaskError::Unreadable { mask: "json" }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
