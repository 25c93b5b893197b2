//! How anonymous a table is: k-anonymity, l-diversity and t-closeness.
//!
//! Functions over counts alone. An equivalence class is the rows that agree in all quasi-identifiers,
//! with NULL equal to NULL; the caller counts the rows of each and of each sensitive value in it
//! (NULL being a value). Sources: Sweeney 2002 (k); Machanavajjhala et al. 2007 (l, distinct and
//! entropy); Li, Li, Venkatasubramanian 2007 (t, with the variational distance of equal ground
//! distance for categories).

/// An equivalence class: how often each sensitive value occurs in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// A number for each sensitive value that occurs, the same in all classes and each once, counted
    /// from 0 without gaps; and its rows.
    pub counts: Vec<(usize, u64)>,
}

impl Group {
    /// Its rows.
    pub fn size(&self) -> u64 {
        self.rows().fold(0, u64::saturating_add)
    }

    /// How many sensitive values it has.
    pub fn distinct(&self) -> u64 {
        self.rows().count() as u64
    }

    /// e to the entropy of its sensitive values: the effective number of them, at least 1.
    pub fn entropy(&self) -> f64 {
        let size = self.size() as f64;
        let shares = self.rows().map(|rows| rows as f64 / size);
        shares.map(|share| -share * share.ln()).sum::<f64>().exp()
    }

    fn rows(&self) -> impl Iterator<Item = u64> + '_ {
        self.counts.iter().map(|(_, rows)| *rows).filter(|rows| *rows > 0)
    }

    /// The variational distance, 0 to 1, of its sensitive values from the whole's.
    fn distance(&self, whole: &[u64], total: f64) -> f64 {
        let size = self.size() as f64;
        // What some shares are above the whole's, others are below: half the sum of both is the sum of
        // the first, and only values of the class are above.
        let above = self.counts.iter().map(|(value, rows)| {
            let all = whole.get(*value).copied().unwrap_or(0) as f64;
            (*rows as f64 / size - all / total).max(0.0)
        });
        above.sum()
    }
}

fn occupied(groups: &[Group]) -> impl Iterator<Item = &Group> {
    groups.iter().filter(|group| group.size() > 0)
}

/// k: the size of the smallest class. Nothing for a table without rows.
pub fn k(sizes: impl IntoIterator<Item = u64>) -> Option<u64> {
    sizes.into_iter().filter(|size| *size > 0).min()
}

/// Distinct l: the fewest sensitive values of a class. Nothing for a table without rows.
pub fn l_distinct(groups: &[Group]) -> Option<u64> {
    occupied(groups).map(Group::distinct).min()
}

/// Entropy l: the smallest effective number of sensitive values of a class, at least 1. Nothing for a
/// table without rows.
pub fn l_entropy(groups: &[Group]) -> Option<f64> {
    occupied(groups).map(Group::entropy).min_by(f64::total_cmp)
}

/// t: the greatest variational distance of a class from the whole table, 0 to 1. Nothing for a table
/// without rows.
pub fn t_variational(groups: &[Group]) -> Option<f64> {
    let mut whole: Vec<u64> = Vec::new();
    for (value, rows) in groups.iter().flat_map(|group| &group.counts) {
        if whole.len() <= *value {
            whole.resize(*value + 1, 0);
        }
        if let Some(sum) = whole.get_mut(*value) {
            *sum = sum.saturating_add(*rows);
        }
    }
    let total = whole.iter().copied().fold(0, u64::saturating_add) as f64;
    occupied(groups).map(|group| group.distance(&whole, total)).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups(counts: &[&[u64]]) -> Vec<Group> {
        let counts = counts.iter().map(|counts| counts.iter().copied().enumerate().collect());
        counts.map(|counts| Group { counts }).collect()
    }

    fn close(a: Option<f64>, b: f64) -> bool {
        a.is_some_and(|a| (a - b).abs() < 5e-5)
    }

    /// The ten patients of PostgreSQL Anonymizer's documents by zip code / 1000 and decade of birth.
    /// Diseases: heart, acne, allergy, asthma, flu, diabetes.
    #[test]
    fn the_ten_patients() {
        let all = groups(&[&[2, 1], &[1, 0, 1, 1], &[0, 0, 0, 1, 2, 1]]);
        assert_eq!(k(all.iter().map(Group::size)), Some(3));
        assert_eq!(l_distinct(&all), Some(2));
        assert!(close(l_entropy(&all), 1.8899));
        assert!(close(t_variational(&all), 0.6));
    }

    #[test]
    fn a_table_without_rows_has_no_figures() {
        assert_eq!(k([]), None);
        assert_eq!(l_distinct(&groups(&[&[], &[0]])), None);
        assert_eq!(l_entropy(&[]), None);
        assert_eq!(t_variational(&[]), None);
    }

    #[test]
    fn one_value_everywhere_is_no_diversity_and_full_closeness() {
        let all = groups(&[&[5], &[3]]);
        assert_eq!(l_distinct(&all), Some(1));
        assert!(close(l_entropy(&all), 1.0) && close(t_variational(&all), 0.0));
    }

    proptest! {
        #[test]
        fn figures_stay_in_their_ranges(
            counts in proptest::collection::vec(proptest::collection::vec(0u64..1000, 0..6), 0..8)
        ) {
            let all = groups(&counts.iter().map(Vec::as_slice).collect::<Vec<_>>());
            if let (Some(l), Some(e)) = (l_distinct(&all), l_entropy(&all)) {
                prop_assert!(e >= 1.0 - 1e-9);
                let most = all.iter().map(Group::distinct).max().unwrap_or(0);
                prop_assert!(e <= most as f64 + 1e-9 && l <= most);
            }
            if let Some(t) = t_variational(&all) {
                prop_assert!((0.0..=1.0 + 1e-9).contains(&t));
            }
            if let Some(k) = k(all.iter().map(Group::size)) {
                prop_assert!(k > 0);
            }
        }
    }
}
