//! The mask `shuffle`: the values of a column in another order.
//!
//! Rows come one by one, and each may go before the last has come. So some are held back; what goes takes a
//! value by chance from all that came and did not go. In the end each value has gone once.

/// Values that came and did not go.
#[derive(Debug)]
pub struct Pool<T> {
    values: Vec<T>,
    state: u64,
}

impl<T> Pool<T> {
    /// An empty one, whose chance nobody can know.
    ///
    /// # Errors
    /// The operating system's, if it has no random numbers.
    pub fn new() -> Result<Pool<T>, getrandom::Error> {
        Ok(Pool { values: Vec::new(), state: getrandom::u64()? })
    }

    /// A value came.
    pub fn put(&mut self, value: T) {
        self.values.push(value);
    }

    /// A value by chance; `None` if all have gone.
    pub fn take(&mut self) -> Option<T> {
        if self.values.is_empty() {
            return None;
        }
        // The upper half of a product is even over so few.
        let at = (u128::from(self.chance()) * self.values.len() as u128) >> 64;
        Some(self.values.swap_remove(at as usize))
    }

    /// Forgets all values.
    pub fn clear(&mut self) {
        self.values.clear();
    }

    /// SplitMix64.
    fn chance(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All numbers below `count`, of which at most `held` are held back.
    fn shuffled(count: usize, held: usize) -> Vec<usize> {
        let mut pool = Pool::new().unwrap();
        let mut out = Vec::new();
        for value in 0..count {
            pool.put(value);
            if value >= held {
                out.extend(pool.take());
            }
        }
        out.extend(std::iter::from_fn(|| pool.take()));
        out
    }

    #[test]
    fn each_value_goes_once() {
        for (count, held) in [(0, 10), (1, 10), (10, 0), (1000, 10), (1000, 2000)] {
            let mut out = shuffled(count, held);
            out.sort_unstable();
            assert_eq!(out, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn hardly_any_stays_in_its_place() {
        let out = shuffled(10_000, 1_000);
        let stayed = out.iter().enumerate().filter(|(at, value)| at == *value).count();
        // One in a thousand; fifty would be a chance of 10^-18.
        assert!(stayed < 50, "{stayed}");
        assert_ne!(shuffled(100, 50), shuffled(100, 50));
    }
}
