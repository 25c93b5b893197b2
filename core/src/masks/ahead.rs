//! Results of a keyed function that the next rows of a scan will need, worked out together.
//!
//! A compression of SHA-256 is a chain of steps of which each waits for the one before. A processor with
//! instructions for it does four such chains in hardly more time than two. So a scan that has its next
//! rows already says their values before it masks the first of them, and takes the results when it is
//! their turn. They are those that the function gives for each value alone.

use super::memo::Memo;
use super::prf::{BLOCK, HASH, Keyed, LENGTH, bits};
use zeroize::Zeroize;

/// Compresses blocks of SHA-256 (FIPS 180-4, 6.2.2), each into the state at its place. There are as many
/// blocks as states, and [`LANES`] at most.
pub type Compress = fn(&mut [[u32; 8]], &[[u8; BLOCK]]);

/// So many values are worked out together at most.
pub const LANES: usize = 4;

/// The blocks of messages, and results. Zeroized when dropped.
pub(super) struct Ahead {
    compress: Compress,
    /// The only blocks of the messages whose results are not known.
    messages: [[u8; BLOCK]; LANES],
    /// Bytes of their values.
    lengths: [usize; LANES],
    /// Which of the results belong to them.
    places: [usize; LANES],
    /// How many there are.
    open: usize,
    /// The blocks of the outer messages.
    outer: [[u8; BLOCK]; LANES],
    results: [[u8; HASH]; LANES],
    /// How many values were said.
    count: usize,
}

impl Ahead {
    pub(super) fn new(compress: Compress) -> Ahead {
        let mut outer = [[0; BLOCK]; LANES];
        for block in &mut outer {
            fill(block, &[0; HASH], HASH);
        }
        Ahead {
            compress,
            messages: [[0; BLOCK]; LANES],
            lengths: [0; LANES],
            places: [0; LANES],
            open: 0,
            outer,
            results: [[0; HASH]; LANES],
            count: 0,
        }
    }

    /// Forgets what was said.
    pub(super) fn begin(&mut self) {
        (self.open, self.count) = (0, 0);
    }

    /// Says a value; the place of its result. One of more than a block has none, and so have those that are
    /// said when there is no room left.
    pub(super) fn say(&mut self, value: &[u8], memo: Option<&mut Memo>) -> Option<usize> {
        if self.count == LANES || value.len() >= LENGTH {
            return None;
        }
        let place = self.count;
        self.count += 1;
        if let Some(known) = memo.and_then(|memo| memo.find(value)) {
            self.results[place] = known;
            return Some(place);
        }
        fill(&mut self.messages[self.open], value, value.len());
        self.lengths[self.open] = value.len();
        self.places[self.open] = place;
        self.open += 1;
        Some(place)
    }

    /// The result at a place.
    pub(super) fn result(
        &mut self,
        place: usize,
        keyed: &Keyed,
        memo: Option<&mut Memo>,
    ) -> [u8; HASH] {
        if self.open > 0 {
            self.work_out(keyed, memo);
        }
        self.results[place]
    }

    fn work_out(&mut self, keyed: &Keyed, mut memo: Option<&mut Memo>) {
        let open = std::mem::take(&mut self.open);
        let mut states = [keyed.inner; LANES];
        (self.compress)(&mut states[..open], &self.messages[..open]);
        for (block, state) in self.outer.iter_mut().zip(&states[..open]) {
            block[..HASH].copy_from_slice(&joined(state));
        }
        states = [keyed.outer; LANES];
        (self.compress)(&mut states[..open], &self.outer[..open]);
        for (at, state) in states[..open].iter().enumerate() {
            let result = joined(state);
            self.results[self.places[at]] = result;
            if let Some(memo) = &mut memo {
                memo.keep(&self.messages[at][..self.lengths[at]], result);
            }
        }
    }
}

/// Writes the last block of a message of so many bytes behind a block of the key: the rest of it, a 1 bit
/// and the length.
pub(super) fn fill(block: &mut [u8; BLOCK], rest: &[u8], bytes: usize) {
    *block = [0; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    block[LENGTH..].copy_from_slice(&bits(bytes));
}

/// The bytes of a state.
pub(super) fn joined(state: &[u32; 8]) -> [u8; HASH] {
    let mut out = [0; HASH];
    for (bytes, word) in out.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    out
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.messages.zeroize();
        self.outer.zeroize();
        self.results.zeroize();
    }
}
