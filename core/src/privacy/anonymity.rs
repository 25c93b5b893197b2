//! How anonymous a table is: k-anonymity, l-diversity and t-closeness.
//!
//! Functions over counts alone. An equivalence class is the rows that agree in all quasi-identifiers,
//! with NULL equal to NULL; the caller counts the rows of each and of each sensitive value in it
//! (NULL being a value). Sources: Sweeney 2002 (k); Machanavajjhala et al. 2007 (l, distinct and
//! entropy); Li, Li, Venkatasubramanian 2007 (t, with the variational distance of equal ground
//! distance for categories).

/// An equivalence class: how often each sensitive value occurs in it. Values that occur nowhere else
/// may be left out; with several classes the same index is the same value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// Rows by sensitive value.
    pub counts: Vec<u64>,
}

impl Group {
    /// Its rows.
    pub fn size(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// How many sensitive values it has.
    pub fn distinct(&self) -> u64 {
        self.counts.iter().filter(|count| **count > 0).count() as u64
    }

    /// e to the entropy of its sensitive values: the effective number of them, at least 1.
    pub fn entropy(&self) -> f64 {
        let size = self.size() as f64;
        let entropy: f64 = shares(&self.counts, size).map(|share| -share * share.ln()).sum();
        entropy.exp()
    }

    /// The variational distance, 0 to 1, of its sensitive values from the whole's.
    fn distance(&self, whole: &[u64], total: f64) -> f64 {
        let size = self.size() as f64;
        let differences = whole.iter().enumerate().map(|(at, all)| {
            let own = self.counts.get(at).copied().unwrap_or(0) as f64;
            (own / size - *all as f64 / total).abs()
        });
        differences.sum::<f64>() / 2.0
    }
}

fn shares(counts: &[u64], size: f64) -> impl Iterator<Item = f64> + '_ {
    counts.iter().filter(|count| **count > 0).map(move |count| *count as f64 / size)
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
    for group in groups {
        whole.resize(whole.len().max(group.counts.len()), 0);
        for (sum, count) in whole.iter_mut().zip(&group.counts) {
            *sum = sum.saturating_add(*count);
        }
    }
    let total = whole.iter().fold(0u64, |sum, count| sum.saturating_add(*count)) as f64;
    occupied(groups).map(|group| group.distance(&whole, total)).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn groups(counts: &[&[u64]]) -> Vec<Group> {
        counts.iter().map(|counts| Group { counts: counts.to_vec() }).collect()
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
            let all: Vec<Group> = counts.into_iter().map(|counts| Group { counts }).collect();
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
