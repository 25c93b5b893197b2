//! Where in a document: a part of RFC 9535, `$`, `.name`, `."quoted name"`, `[0]`, `.*` and `[*]`.

use std::fmt;
use std::str::FromStr;

/// The most steps of a path, and how deep a document may be nested.
pub(super) const MAX_DEPTH: usize = 200;

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The member of this name.
    Key(String),
    /// The element of this number, from 0.
    Index(usize),
    /// All members or elements.
    All,
}

/// Where in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    steps: Vec<Step>,
}

/// Not a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a path like $.name, $.\"a b\", $[0], $[*] or $.*")]
pub struct NotAPath;

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

impl FromStr for Path {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let mut rest = text.strip_prefix('$').ok_or(NotAPath)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(".*").or_else(|| rest.strip_prefix("[*]")) {
                steps.push(Step::All);
                rest = after;
            } else if let Some(after) = rest.strip_prefix(".\"") {
                let end = after.find('"').ok_or(NotAPath)?;
                steps.push(Step::Key(after[..end].to_owned()));
                rest = &after[end + 1..];
            } else if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(|c| !is_plain(c)).unwrap_or(after.len());
                if end == 0 {
                    return Err(NotAPath);
                }
                steps.push(Step::Key(after[..end].to_owned()));
                rest = &after[end..];
            } else {
                let (index, after) =
                    rest.strip_prefix('[').and_then(|r| r.split_once(']')).ok_or(NotAPath)?;
                let digits = index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| digits).ok_or(NotAPath)?;
                steps.push(Step::Index(index));
                rest = after;
            }
        }
        if steps.len() > MAX_DEPTH { Err(NotAPath) } else { Ok(Path { steps }) }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$")?;
        self.steps.iter().try_for_each(|step| match step {
            Step::Key(key) if !key.is_empty() && key.chars().all(is_plain) => write!(f, ".{key}"),
            Step::Key(key) => write!(f, ".\"{key}\""),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::All => f.write_str("[*]"),
        })
    }
}

impl Path {
    /// Its steps from the top.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_round_trip() {
        for text in ["$", "$.a", "$.a.b[0]", "$[*].\"a b\"", "$.\"\"", "$.größe", "$[*][*]"] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
        assert_eq!("$.*.a".parse::<Path>().unwrap().to_string(), "$[*].a");
    }

    #[test]
    fn what_is_no_path() {
        for text in ["", "a", "$a", "$.", "$..a", "$[", "$[]", "$[+1]", "$[-1]", "$.\"a", "$[1"] {
            assert_eq!(text.parse::<Path>(), Err(NotAPath), "{text}");
        }
        assert!("$".len() == 1 && format!("${}", ".a".repeat(201)).parse::<Path>().is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,20}") {
            let path = format!("${text}").parse::<Path>();
            if let Ok(path) = path {
                prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
            }
        }
    }
}
