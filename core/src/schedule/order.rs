//! Jobs that run after other jobs: a graph without cycles.
//!
//! An edge says that a job comes after another, its *upstream*. The graph is kept without cycles at
//! all times, so an order always exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Jobs, and after which others each of them runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order<K> {
    /// Every job that was named, with its upstreams.
    after: BTreeMap<K, BTreeSet<K>>,
}

/// Jobs of which each would run after the next, and the last after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle<K>(pub Vec<K>);

impl<K: fmt::Display> fmt::Display for Cycle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("jobs would wait for each other: ")?;
        for job in &self.0 {
            write!(f, "{job} after ")?;
        }
        self.0.first().map_or(Ok(()), |first| write!(f, "{first}"))
    }
}

impl<K: fmt::Display + fmt::Debug> std::error::Error for Cycle<K> {}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Order { after: BTreeMap::new() }
    }
}

impl<K: Ord + Clone> Order<K> {
    /// Lets a job run after these, and after no others. On a cycle nothing is changed.
    pub fn set(&mut self, job: K, after: impl IntoIterator<Item = K>) -> Result<(), Cycle<K>> {
        let after: BTreeSet<K> = after.into_iter().collect();
        // Nothing leads to a job that nobody has named, so only it itself can close a cycle.
        let new = !self.after.contains_key(&job);
        for upstream in after.iter().filter(|upstream| !new || **upstream == job) {
            if let Some(path) = self.path(upstream, &job) {
                let mut cycle = vec![job];
                cycle.extend(path.into_iter().rev().skip(1).rev());
                return Err(Cycle(cycle));
            }
        }
        for upstream in &after {
            self.after.entry(upstream.clone()).or_default();
        }
        self.after.insert(job, after);
        Ok(())
    }

    /// Forgets a job. Those that ran after it no longer do.
    pub fn remove(&mut self, job: &K) {
        self.after.remove(job);
        for upstreams in self.after.values_mut() {
            upstreams.remove(job);
        }
    }

    /// After which jobs this one runs.
    pub fn upstreams(&self, job: &K) -> impl Iterator<Item = &K> {
        self.after.get(job).into_iter().flatten()
    }

    /// Which jobs run directly after this one.
    pub fn downstreams<'a>(&'a self, job: &'a K) -> impl Iterator<Item = &'a K> {
        self.after.iter().filter(|(_, after)| after.contains(job)).map(|(name, _)| name)
    }

    /// All jobs, each behind its upstreams; of those that could be next, the smallest is.
    pub fn topological(&self) -> Vec<K> {
        let mut waits: BTreeMap<&K, usize> =
            self.after.iter().map(|(job, after)| (job, after.len())).collect();
        let mut downstreams: BTreeMap<&K, Vec<&K>> = BTreeMap::new();
        for (job, after) in &self.after {
            for upstream in after {
                downstreams.entry(upstream).or_default().push(job);
            }
        }
        let free = waits.iter().filter(|(_, waits)| **waits == 0);
        let mut free: BTreeSet<&K> = free.map(|(job, _)| *job).collect();
        let mut order = Vec::with_capacity(self.after.len());
        while let Some(job) = free.pop_first() {
            order.push(job.clone());
            for downstream in downstreams.remove(job).unwrap_or_default() {
                if let Some(waits) = waits.get_mut(downstream) {
                    *waits -= 1;
                    if *waits == 0 {
                        free.insert(downstream);
                    }
                }
            }
        }
        order
    }

    /// The jobs that become due because `job` has succeeded: those directly after it all of whose
    /// upstreams have succeeded since they last started themselves.
    ///
    /// `last_success` says when a job last ended well, `last_start` when it last started; `job`'s own
    /// success is among them. So the tip of a diamond runs once, after both sides; and a job after a
    /// frequent and a rare one runs as often as the rare one.
    pub fn released(
        &self,
        job: &K,
        last_success: impl Fn(&K) -> Option<i64>,
        last_start: impl Fn(&K) -> Option<i64>,
    ) -> Vec<K> {
        let is_fed = |downstream: &K| {
            let started = last_start(downstream);
            // A start is noted before its work, a success after it: of the same moment, the start came
            // later and has seen what succeeded.
            self.upstreams(downstream)
                .all(|upstream| last_success(upstream).is_some_and(|at| Some(at) > started))
        };
        self.downstreams(job).filter(|downstream| is_fed(downstream)).cloned().collect()
    }

    /// A way from a job over upstreams to another, both included.
    fn path(&self, from: &K, to: &K) -> Option<Vec<K>> {
        let mut came_from: BTreeMap<&K, Option<&K>> = BTreeMap::from([(from, None)]);
        let mut next = vec![from];
        while let Some(job) = next.pop() {
            if job == to {
                let mut path = vec![job.clone()];
                let mut at = job;
                while let Some(Some(before)) = came_from.get(at) {
                    path.push((*before).clone());
                    at = before;
                }
                path.reverse();
                return Some(path);
            }
            for upstream in self.upstreams(job) {
                if !came_from.contains_key(upstream) {
                    came_from.insert(upstream, Some(job));
                    next.push(upstream);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn order(edges: &[(&'static str, &[&'static str])]) -> Order<&'static str> {
        let mut order = Order::default();
        for (job, after) in edges {
            order.set(*job, after.iter().copied()).unwrap();
        }
        order
    }

    #[test]
    fn a_cycle_is_named_and_changes_nothing() {
        let mut chain = order(&[("b", &["a"]), ("c", &["b"]), ("d", &["c", "x"])]);
        let before = chain.clone();
        let cycle = chain.set("a", ["x", "d"]).unwrap_err();
        assert_eq!(cycle, Cycle(vec!["a", "d", "c", "b"]));
        let text = "jobs would wait for each other: a after d after c after b after a";
        assert_eq!(cycle.to_string(), text);
        assert_eq!(chain, before);
        assert_eq!(chain.set("a", ["a"]), Err(Cycle(vec!["a"])));
        assert_eq!(chain.set("new", ["new"]), Err(Cycle(vec!["new"])));
        assert_eq!(chain.set("d", ["a"]), Ok(()));
        assert_eq!(chain.topological(), ["a", "b", "c", "d", "x"]);
    }

    #[test]
    fn a_job_that_is_gone_holds_nobody_up() {
        let mut chain = order(&[("b", &["a"]), ("c", &["b"])]);
        chain.remove(&"b");
        assert_eq!(chain.upstreams(&"c").count(), 0);
        assert_eq!(chain.set("a", ["c"]), Ok(()));
        assert_eq!(chain.topological(), ["c", "a"]);
    }

    #[test]
    fn the_tip_of_a_diamond_runs_once() {
        let diamond = order(&[("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])]);
        let released = |job, successes: &[(&str, i64)], starts: &[(&str, i64)]| {
            let at = |times: &[(&str, i64)], job: &str| {
                times.iter().find(|(name, _)| *name == job).map(|(_, at)| *at)
            };
            diamond.released(&job, |job| at(successes, job), |job| at(starts, job))
        };
        assert_eq!(released("a", &[("a", 1)], &[]), ["b", "c"]);
        assert!(released("b", &[("a", 1), ("b", 3)], &[]).is_empty());
        assert_eq!(released("c", &[("a", 1), ("b", 3), ("c", 4)], &[]), ["d"]);
        // The next round: one side has to wait for the other again.
        let starts = [("d", 4)];
        assert!(released("b", &[("b", 13), ("c", 4)], &starts).is_empty());
        assert_eq!(released("c", &[("b", 13), ("c", 14)], &starts), ["d"]);
        assert!(released("d", &[("d", 20)], &[]).is_empty());
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let mut order = Order::default();
        for job in 1..20_000 {
            order.set(job, [job - 1]).unwrap();
        }
        let Cycle(cycle) = order.set(0, [19_999]).unwrap_err();
        assert_eq!((cycle.len(), cycle[0], cycle[1]), (20_000, 0, 19_999));
    }

    proptest! {
        #[test]
        fn there_is_always_an_order(
            sets in proptest::collection::vec((0u8..10, proptest::collection::vec(0u8..10, 0..4)), 0..40)
        ) {
            let mut order = Order::default();
            for (job, after) in sets {
                let before = order.clone();
                match order.set(job, after.clone()) {
                    Ok(()) => {
                        let expected: BTreeSet<u8> = after.into_iter().collect();
                        let now: BTreeSet<u8> = order.upstreams(&job).copied().collect();
                        prop_assert_eq!(now, expected);
                    }
                    Err(Cycle(cycle)) => {
                        prop_assert_eq!(&order, &before);
                        // Every step but the first is an edge of the graph, and that one was wanted.
                        prop_assert_eq!(cycle[0], job);
                        prop_assert!(after.contains(cycle.get(1).unwrap_or(&job)));
                        let closed = cycle.iter().skip(1).chain([&job]);
                        for (from, to) in cycle.iter().skip(1).zip(closed.skip(1)) {
                            prop_assert!(order.upstreams(from).any(|upstream| upstream == to));
                        }
                    }
                }
                let list = order.topological();
                prop_assert_eq!(list.len(), order.after.len());
                let place = |job: &u8| list.iter().position(|other| other == job);
                for job in &list {
                    prop_assert!(order.upstreams(job).all(|upstream| place(upstream) < place(job)));
                }
            }
        }
    }
}
