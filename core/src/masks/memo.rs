//! Results of a scan's keyed function that it is likely to need again.
//!
//! In a table of events the same users come again and again. A slot holds one value and its result;
//! a value has one slot that it may be in, and is compared exactly. A column whose values hardly ever
//! come again is left alone: the memo is asked for a while, now and then. It holds values as they are,
//! so it lives no longer than the scan and is zeroized when it is dropped.

use zeroize::Zeroize;

/// Bytes of a value at most; a longer one is not remembered.
const LONGEST: usize = 47;
/// Slots, a power of two: 160 kB in all.
const SLOTS: usize = 2048;
/// After so many questions the answers are counted.
const TRIAL: u32 = 1024;
/// Of a trial so many must have been answered.
const WORTH: u32 = TRIAL / 8;
/// Values that go by before it is tried again.
const REST: u32 = 31 * TRIAL;

#[derive(Clone)]
struct Slot {
    value: [u8; LONGEST],
    /// Bytes of the value and one: 0 is an empty slot.
    used: u8,
    result: [u8; 32],
}

/// Values and their results.
pub(super) struct Memo {
    slots: Vec<Slot>,
    asked: u32,
    answered: u32,
    rests: u32,
}

impl Memo {
    /// Nothing is remembered, and no memory taken before the first value.
    pub(super) fn new() -> Memo {
        Memo { slots: Vec::new(), asked: 0, answered: 0, rests: 0 }
    }

    /// The result that belongs to a value: the one remembered, or the one that `compute` gives.
    #[inline]
    pub(super) fn get(
        &mut self,
        value: &[u8],
        compute: impl FnOnce(&[u8]) -> [u8; 32],
    ) -> [u8; 32] {
        let Some(slot) = self.ask(value) else { return compute(value) };
        if slot.holds(value) {
            let result = slot.result;
            self.answered += 1;
            return result;
        }
        let result = compute(value);
        slot.set(value, result);
        result
    }

    /// The result that is remembered of a value.
    #[inline]
    pub(super) fn find(&mut self, value: &[u8]) -> Option<[u8; 32]> {
        let result = self.ask(value).filter(|slot| slot.holds(value)).map(|slot| slot.result)?;
        self.answered += 1;
        Some(result)
    }

    /// Remembers the result of a value that was not found.
    #[inline]
    pub(super) fn keep(&mut self, value: &[u8], result: [u8; 32]) {
        if self.rests == 0
            && value.len() <= LONGEST
            && let Some(slot) = self.slots.get_mut(place(value))
        {
            slot.set(value, result);
        }
    }

    /// Whether nothing is looked for at the moment.
    #[cfg(test)]
    pub(super) fn rests(&self) -> bool {
        self.rests > 0
    }

    /// The slot that a value may be in, if it is looked for.
    fn ask(&mut self, value: &[u8]) -> Option<&mut Slot> {
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        if value.len() > LONGEST {
            return None;
        }
        if self.asked == TRIAL {
            self.rests = if self.answered < WORTH { REST } else { 0 };
            (self.asked, self.answered) = (0, 0);
        }
        self.asked += 1;
        if self.slots.is_empty() {
            self.slots = vec![Slot { value: [0; LONGEST], used: 0, result: [0; 32] }; SLOTS];
        }
        self.slots.get_mut(place(value))
    }
}

impl Slot {
    fn holds(&self, value: &[u8]) -> bool {
        usize::from(self.used) == value.len() + 1 && self.value[..value.len()] == *value
    }

    fn set(&mut self, value: &[u8], result: [u8; 32]) {
        self.value[..value.len()].copy_from_slice(value);
        (self.used, self.result) = (value.len() as u8 + 1, result);
    }
}

/// The slot of a value. Values that share one only cost their results' being computed again.
fn place(value: &[u8]) -> usize {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = value.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let mut hash = value.len() as u64;
    for word in words.iter().chain([&last]) {
        hash = (hash ^ u64::from_le_bytes(*word)).wrapping_mul(MIX);
        hash ^= hash >> 32;
    }
    (hash as usize) % SLOTS
}

impl Drop for Memo {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            slot.value.zeroize();
            slot.result.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(value: &[u8]) -> [u8; 32] {
        let mut out = [value.len() as u8; 32];
        for (at, byte) in value.iter().enumerate() {
            out[at % 32] = out[at % 32].wrapping_mul(31).wrapping_add(*byte);
        }
        out
    }

    /// How many of the values were computed, each of whose results has been right.
    fn computed(memo: &mut Memo, values: impl IntoIterator<Item = u32>) -> usize {
        let mut count = 0;
        for value in values {
            let value = value.to_be_bytes();
            let found = memo.get(&value, |value| {
                count += 1;
                plain(value)
            });
            assert_eq!(found, plain(&value));
        }
        count
    }

    #[test]
    fn what_comes_again_is_not_computed_again() {
        let mut memo = Memo::new();
        assert_eq!(computed(&mut memo, [7; 100]), 1);
        let many = (0..100_000).map(|n| n % 50);
        assert!(computed(&mut memo, many) < 1_000);
    }

    #[test]
    fn what_does_not_come_again_is_hardly_asked_for() {
        let mut memo = Memo::new();
        assert_eq!(computed(&mut memo, 0..200_000), 200_000);
        assert!(memo.rests > 0);
        // Until it does.
        assert!(computed(&mut memo, (0..200_000).map(|n| n % 50)) < 100_000);
    }

    #[test]
    fn what_is_kept_is_found() {
        let mut memo = Memo::new();
        assert_eq!(memo.find(b"a"), None);
        memo.keep(b"a", plain(b"a"));
        assert_eq!(memo.find(b"a"), Some(plain(b"a")));
        assert_eq!(memo.find(b"b"), None);
        assert_eq!((memo.asked, memo.answered), (3, 1));
        let long = [b'x'; LONGEST + 1];
        memo.keep(&long, plain(&long));
        assert_eq!(memo.find(&long), None);
        memo.rests = 1;
        assert_eq!(memo.find(b"a"), None);
        assert_eq!(memo.find(b"a"), Some(plain(b"a")));
    }

    #[test]
    fn a_long_value_is_computed() {
        let mut memo = Memo::new();
        for length in [LONGEST, LONGEST + 1] {
            let value = vec![b'x'; length];
            let again = memo.get(&value, plain);
            assert_eq!(again, plain(&value));
            let mut asked = false;
            memo.get(&value, |value| {
                asked = true;
                plain(value)
            });
            assert_eq!(asked, length > LONGEST);
        }
    }

    proptest! {
        #[test]
        fn results_are_those_of_the_function(
            values in prop::collection::vec(prop::collection::vec(0u8..3, 0..60), 1..300)
        ) {
            let mut memo = Memo::new();
            for value in &values {
                prop_assert_eq!(memo.get(value, plain), plain(value));
            }
        }
    }
}
