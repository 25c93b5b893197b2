//! Spreading jobs that are due at the same time.
//!
//! A job is delayed by the same time in every round, so its runs stay evenly spaced, and different
//! jobs by different times. Keep due times without the delay and add it when you look at the clock;
//! and keep the bound below the time between two runs.

/// A delay from 0 to below `bound`, in microseconds, that `seed`, the job's number, determines. None
/// for a bound that is not positive.
pub fn delay(seed: u64, bound: i64) -> i64 {
    let Ok(bound) = u64::try_from(bound) else { return 0 };
    // The upper half of the product is below the bound, which was an i64.
    let product = u128::from(mix(seed)) * u128::from(bound);
    i64::try_from(product >> 64).unwrap_or(0)
}

/// 64 bits that look random and are always the same for a number: the output function of SplitMix64
/// (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"). Not for secrets.
pub(super) fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn is_that_of_splitmix64() {
        // The first output of the reference implementation for the seed 0 and 1234567.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn no_bound_is_no_delay() {
        for bound in [0, -1, i64::MIN] {
            assert_eq!(delay(1, bound), 0);
        }
    }

    #[test]
    fn jobs_are_spread_evenly() {
        let mut tenths = [0; 10];
        for seed in 0..10_000 {
            tenths[delay(seed, 10) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
    }

    proptest! {
        #[test]
        fn stays_inside_and_the_same(seed in any::<u64>(), bound in 1..=i64::MAX) {
            prop_assert!((0..bound).contains(&delay(seed, bound)));
            prop_assert_eq!(delay(seed, bound), delay(seed, bound));
        }
    }
}
