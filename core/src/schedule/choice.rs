//! Which of the jobs that are ready start now.

use std::collections::BTreeSet;

/// A job that is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate<K> {
    /// The job.
    pub id: K,
    /// Since when it is due.
    pub due: i64,
    /// When it last started, if ever.
    pub last_started: Option<i64>,
}

/// The jobs to start now, the first first, so that at most `limit` run.
///
/// The oldest due goes first; of several, the one that has not started for the longest time, and one
/// that never did before all others. A job that runs is never chosen, and none twice. A job that waits
/// is passed only by jobs that are due as long as it is, so it gets its turn.
pub fn pick<K: Ord + Clone>(ready: &[Candidate<K>], running: &[K], limit: usize) -> Vec<K> {
    let mut taken: BTreeSet<&K> = running.iter().collect();
    let free = limit.saturating_sub(taken.len());
    let mut order: Vec<&Candidate<K>> = ready.iter().collect();
    order.sort_by_key(|candidate| (candidate.due, candidate.last_started, &candidate.id));
    let idle = order.into_iter().filter(|candidate| taken.insert(&candidate.id));
    idle.take(free).map(|candidate| candidate.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidate(id: u32, due: i64, last_started: Option<i64>) -> Candidate<u32> {
        Candidate { id, due, last_started }
    }

    #[test]
    fn oldest_due_then_longest_not_started() {
        let ready = [
            candidate(1, 20, None),
            candidate(2, 10, Some(5)),
            candidate(3, 10, Some(4)),
            candidate(4, 10, None),
            candidate(5, 10, Some(4)),
        ];
        assert_eq!(pick(&ready, &[], 9), [4, 3, 5, 2, 1]);
        assert_eq!(pick(&ready, &[4, 9], 4), [3, 5]);
        assert!(pick(&ready, &[7, 8], 1).is_empty() && pick(&ready, &[], 0).is_empty());
    }

    #[test]
    fn every_job_gets_its_turn() {
        // Three jobs that are due all the time, one place.
        let mut ready = [candidate(1, 0, None), candidate(2, 0, None), candidate(3, 0, None)];
        let mut starts = [0; 4];
        for now in 1..=30 {
            let [id] = pick(&ready, &[], 1)[..] else { panic!("one place, one job") };
            starts[id as usize] += 1;
            for job in ready.iter_mut().filter(|job| job.id == id) {
                *job = candidate(id, now, Some(now));
            }
        }
        assert_eq!(starts, [0, 10, 10, 10]);
    }

    proptest! {
        #[test]
        fn never_too_many_never_one_that_runs(
            jobs in proptest::collection::vec((0u32..12, 0i64..5, proptest::option::of(0i64..5)), 0..20),
            running in proptest::collection::vec(0u32..12, 0..6), limit in 0usize..8
        ) {
            let ready: Vec<_> = jobs.iter().map(|&(id, due, last)| candidate(id, due, last)).collect();
            let picked = pick(&ready, &running, limit);
            let distinct: BTreeSet<_> = picked.iter().collect();
            let busy: BTreeSet<_> = running.iter().collect();
            prop_assert_eq!(distinct.len(), picked.len());
            prop_assert!(picked.iter().all(|id| !busy.contains(id)));
            prop_assert!(picked.is_empty() || picked.len() + busy.len() <= limit);
            // No place stays empty while somebody waits.
            let waiting: BTreeSet<_> = ready.iter().map(|c| c.id).filter(|id| !busy.contains(id)).collect();
            prop_assert_eq!(picked.len(), waiting.len().min(limit.saturating_sub(busy.len())));
        }
    }
}
