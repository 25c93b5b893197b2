//! Names of tables and columns: readable, unique, short enough.

use std::collections::{HashMap, HashSet};

/// The most bytes of a name in Postgres.
const LONGEST: usize = 63;

/// A name as people type it in SQL without quotes: letters in lower case, digits, `_` for the rest.
/// Empty where nothing is left.
pub fn fold(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.truncate(out.trim_end_matches('_').len());
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    cut(&out, LONGEST)
}

fn cut(name: &str, bytes: usize) -> String {
    let mut end = name.len().min(bytes);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// Names for (id, name) pairs, in order. Those in `known`, by id, stay as they are; a name that is
/// taken, or reserved, gets a suffix from its id. The same input gives the same names, and a name
/// that needs no suffix does not depend on the others.
pub fn unique(
    items: &[(&str, &str)],
    known: &HashMap<String, String>,
    reserved: &[&str],
) -> Vec<String> {
    let mut taken: HashSet<String> = reserved.iter().map(|&name| name.to_owned()).collect();
    taken.extend(items.iter().filter_map(|(id, _)| known.get(*id).cloned()));
    let folded: Vec<String> = items.iter().map(|(_, name)| fold(name)).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for name in &folded {
        *counts.entry(name).or_default() += 1;
    }
    items
        .iter()
        .zip(&folded)
        .map(|((id, _), name)| {
            if let Some(known) = known.get(*id) {
                return known.clone();
            }
            let is_alone = counts.get(name.as_str()) == Some(&1);
            if is_alone && !name.is_empty() && taken.insert(name.clone()) {
                return name.clone();
            }
            suffixed(name, id, &mut taken)
        })
        .collect()
}

fn suffixed(name: &str, id: &str, taken: &mut HashSet<String>) -> String {
    let id = id.to_lowercase();
    // Of two ids that differ in case alone, the second gets a number.
    for length in [4, 8, id.len()] {
        let tail = &id[id.len().saturating_sub(length)..];
        let candidate = format!("{}_{tail}", cut(name, LONGEST - tail.len() - 1));
        if taken.insert(candidate.clone()) {
            return candidate;
        }
    }
    for number in 2.. {
        let tail = format!("{id}_{number}");
        let candidate = format!("{}_{tail}", cut(name, LONGEST.saturating_sub(tail.len() + 1)));
        if taken.insert(candidate.clone()) {
            return candidate;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn readable() {
        assert_eq!(fold("Full Name"), "full_name");
        assert_eq!(fold("  Price (USD)  "), "price_usd");
        assert_eq!(fold("2nd try"), "_2nd_try");
        assert_eq!(fold("Größe"), "größe");
        assert_eq!(fold("🙂"), "");
    }

    #[test]
    fn clashes_get_a_suffix_whoever_comes_first() {
        let items = [("fldAAAA0001", "Name"), ("fldAAAA0002", "name"), ("fldAAAA0003", "🙂")];
        let names = unique(&items, &HashMap::new(), &["_id"]);
        assert_eq!(names, ["name_0001", "name_0002", "_0003"]);
        let known = HashMap::from([("fldAAAA0002".to_owned(), "name".to_owned())]);
        let names = unique(&items, &known, &[]);
        assert_eq!(names[1], "name");
        assert_eq!(names[0], "name_0001");
    }

    proptest! {
        #[test]
        fn unique_and_short(all in prop::collection::vec(("fld[a-zA-Z0-9]{3,14}", ".{0,80}"), 0..20)) {
            let mut ids = HashSet::new();
            let items: Vec<(&str, &str)> = all
                .iter()
                .map(|(id, name)| (id.as_str(), name.as_str()))
                .filter(|(id, _)| ids.insert(*id))
                .collect();
            let names = unique(&items, &HashMap::new(), &["_id", "_created_time"]);
            let distinct: HashSet<_> = names.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
            for name in &names {
                prop_assert!(!name.is_empty() && name.len() <= 63);
                prop_assert!(name != "_id");
            }
        }
    }
}
