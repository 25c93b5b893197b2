//! How long a job waits after a failure, and when it is no longer tried.
//!
//! Exponential back-off with *equal jitter* (Brooker 2015, "Exponential Backoff And Jitter",
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>): the wait is between
//! half of the exponential and the whole of it. Full jitter may wait hardly at all, and a job that
//! fails at once would then run again and again.

use super::jitter;
use super::zone::SECOND;

/// The back-off of a job. Any values are allowed; what makes no sense is taken for the nearest that
/// does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure, in microseconds, before jitter.
    pub base: i64,
    /// The longest wait, in microseconds.
    pub cap: i64,
    /// By how much each failure multiplies the wait, from 1.
    pub factor: u32,
    /// After how many failures in a row the job is suspended; 0 for never.
    pub suspend_after: u32,
}

/// From 30 seconds, doubled up to 1 hour, suspended after 10 failures.
impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { base: 30 * SECOND, cap: 3600 * SECOND, factor: 2, suspend_after: 10 }
    }
}

impl Backoff {
    /// The wait after a number of failures in a row, in microseconds; none without a failure. `seed`,
    /// the job's number, and the number of failures determine the jitter.
    pub fn delay(&self, failures: u32, seed: u64) -> i64 {
        let Some(doublings) = failures.checked_sub(1) else { return 0 };
        let growth = i64::from(self.factor.max(1)).saturating_pow(doublings);
        let whole = self.base.max(0).saturating_mul(growth).min(self.cap.max(0));
        let half = whole / 2;
        let seed = seed ^ jitter::mix(u64::from(failures));
        whole - half + jitter::delay(seed, half + 1)
    }

    /// Whether a job is suspended after a number of failures in a row.
    pub fn suspends(&self, failures: u32) -> bool {
        self.suspend_after != 0 && failures >= self.suspend_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn grows_up_to_the_cap() {
        let backoff = Backoff::default();
        assert_eq!(backoff.delay(0, 7), 0);
        for (failures, seconds) in [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (99, 3600)] {
            let delay = backoff.delay(failures, 7);
            assert!((seconds * SECOND / 2..=seconds * SECOND).contains(&delay), "{failures}");
        }
    }

    #[test]
    fn suspension() {
        let backoff = Backoff { suspend_after: 3, ..Backoff::default() };
        assert!(!backoff.suspends(2) && backoff.suspends(3) && backoff.suspends(u32::MAX));
        let never = Backoff { suspend_after: 0, ..backoff };
        assert!(!never.suspends(u32::MAX));
    }

    #[test]
    fn jobs_that_fail_together_come_back_apart() {
        let backoff = Backoff::default();
        let mut delays: Vec<i64> = (0..100).map(|seed| backoff.delay(3, seed)).collect();
        delays.sort_unstable();
        delays.dedup();
        assert_eq!(delays.len(), 100);
    }

    proptest! {
        #[test]
        fn stays_inside(
            base in any::<i64>(), cap in any::<i64>(), factor in any::<u32>(),
            failures in any::<u32>(), seed in any::<u64>()
        ) {
            let backoff = Backoff { base, cap, factor, suspend_after: 0 };
            let delay = backoff.delay(failures, seed);
            prop_assert!((0..=cap.max(0)).contains(&delay));
            let whole = base.max(0).min(cap.max(0));
            prop_assert!(failures == 0 || delay >= whole / 2);
        }
    }
}
