//! The join: a batch of outer rows is hashed, the inner rows that their keys bring stream past it.
//!
//! Only one batch is in memory, however many inner rows belong to a key. The join's whole condition
//! is checked here on every pair; the keys only narrow what is fetched.

use crate::pg::datum::{TransmissionModes, is_plain, to_text};
use crate::pg::explain::Explain;
use crate::pg::join_state::{Hash, Join, JoinNode, KeptRow};
use crate::pg::packed;
use crate::wrappers::batch::{self, Batch};
use pgrx::pg_sys::{self, Oid};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The kinds of join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Pairs.
    Inner,
    /// Pairs, and outer rows without a partner.
    Left,
    /// Outer rows with a partner.
    Semi,
    /// Outer rows without one.
    Anti,
}

/// What the plan says of a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Key {
    /// The type of the outer value.
    pub of: u32,
    /// The hash function of the outer value.
    pub outer_hash: u32,
    /// The hash function of the inner value.
    pub inner_hash: u32,
    /// The collation of the comparison.
    pub collation: u32,
}

/// What the plan says of the join.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Note {
    /// Its kind.
    pub kind: Kind,
    /// Outer rows that are collected at a time.
    pub batch: usize,
    /// Its keys.
    pub keys: Vec<Key>,
}

impl Note {
    /// What goes into the plan.
    pub fn pack(&self) -> Vec<u8> {
        packed::write(self)
    }
}

struct Hashes {
    of: Oid,
    plain: bool,
    outer: Hash,
    inner: Hash,
}

#[derive(Debug)]
struct Kept {
    row: KeptRow,
    matched: bool,
}

enum Phase {
    /// The next batch is due.
    Fill,
    /// Inner rows pass by; the candidates of the current one that are still to be looked at.
    Probe(Vec<usize>),
    /// Outer rows without a partner, from this one on.
    Rest(usize),
    End,
}

/// The join in execution.
pub struct Lookup {
    kind: Kind,
    size: usize,
    keys: Vec<Hashes>,
    batch: Rc<RefCell<Batch>>,
    rows: Vec<Kept>,
    /// How many of them have found a partner.
    matched: usize,
    by_hash: HashMap<u64, Vec<usize>>,
    phase: Phase,
    asked: bool,
    /// The outer side is at its end: asked again, it would start anew.
    ended: bool,
    batches: u64,
    collected: u64,
}

impl Lookup {
    /// As the plan's note says.
    pub fn new(note: &[u8]) -> Lookup {
        let note: Note = packed::read(note).expect("invariant: the note was written by Note::pack");
        let keys = note
            .keys
            .iter()
            .map(|key| {
                let (of, collation) = (Oid::from(key.of), Oid::from(key.collation));
                Hashes {
                    of,
                    plain: is_plain(of),
                    outer: Hash::new(Oid::from(key.outer_hash), collation),
                    inner: Hash::new(Oid::from(key.inner_hash), collation),
                }
            })
            .collect();
        Lookup {
            kind: note.kind,
            size: note.batch.max(1),
            keys,
            batch: Rc::default(),
            rows: Vec::new(),
            matched: 0,
            by_hash: HashMap::new(),
            phase: Phase::Fill,
            asked: false,
            ended: false,
            batches: 0,
            collected: 0,
        }
    }

    fn forget(&mut self, node: JoinNode<'_>) {
        self.rows.clear();
        self.matched = 0;
        self.by_hash.clear();
        self.batch.borrow_mut().clear();
        node.forget_rows();
    }

    /// Collects the next batch; `false` if there are no more outer rows.
    fn fill(&mut self, node: JoinNode<'_>) -> bool {
        self.forget(node);
        while self.rows.len() < self.size && !self.ended {
            node.reset();
            let Some(row) = node.keep_outer() else {
                self.ended = true;
                break;
            };
            let at = self.rows.len();
            self.rows.push(Kept { row, matched: false });
            let keys = node.briefly(|| self.outer_keys(node));
            if let Some((hash, _)) = keys {
                self.by_hash.entry(hash).or_default().push(at);
            }
            self.batch.borrow_mut().push(keys.map(|(_, texts)| texts));
        }
        self.batches += u64::from(!self.rows.is_empty());
        self.collected += self.rows.len() as u64;
        !self.rows.is_empty()
    }

    /// The hash and the texts of the current outer row's keys, unless one is NULL.
    fn outer_keys(&mut self, node: JoinNode<'_>) -> Option<(u64, Vec<String>)> {
        let mut hash = 0;
        let mut texts = Vec::with_capacity(self.keys.len());
        for (at, key) in self.keys.iter_mut().enumerate() {
            let value = node.outer_key(at)?;
            hash = combine(hash, key.outer.of(value));
            let _modes = (!key.plain).then(TransmissionModes::enter);
            // SAFETY: the key's expression gives values of its type.
            texts.push(unsafe { to_text(value, key.of) });
        }
        Some((hash, texts))
    }

    fn inner_hash(&mut self, node: JoinNode<'_>) -> Option<u64> {
        let mut hash = 0;
        for (at, key) in self.keys.iter_mut().enumerate() {
            hash = combine(hash, key.inner.of(node.inner_key(at)?));
        }
        Some(hash)
    }

    /// The next pair that goes up, of the current inner row.
    fn pair(
        &mut self,
        node: JoinNode<'_>,
        candidates: &mut Vec<usize>,
    ) -> Option<*mut pg_sys::TupleTableSlot> {
        while let Some(at) = candidates.pop() {
            let kept = &mut self.rows[at];
            if kept.matched && matches!(self.kind, Kind::Semi | Kind::Anti) {
                continue;
            }
            node.reset();
            node.set_outer(kept.row);
            if !node.matches() {
                continue;
            }
            if !std::mem::replace(&mut kept.matched, true) {
                self.matched += 1;
            }
            if self.kind != Kind::Anti
                && let Some(slot) = node.result()
            {
                return Some(slot);
            }
        }
        None
    }

    fn is_settled(&self) -> bool {
        matches!(self.kind, Kind::Semi | Kind::Anti) && self.matched == self.rows.len()
    }
}

/// Of several hashes one.
fn combine(hash: u64, with: u32) -> u64 {
    (hash.rotate_left(5) ^ u64::from(with)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Join for Lookup {
    fn next(&mut self, node: JoinNode<'_>) -> Option<*mut pg_sys::TupleTableSlot> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::End) {
                Phase::End => return None,
                Phase::Fill => {
                    if !self.fill(node) {
                        return None;
                    }
                    let void = self.batch.borrow().is_void();
                    self.phase = if void {
                        Phase::Rest(0)
                    } else {
                        if self.asked {
                            node.rescan_inner();
                        }
                        self.asked = true;
                        Phase::Probe(Vec::new())
                    };
                }
                Phase::Probe(mut candidates) => {
                    let found = self.pair(node, &mut candidates);
                    if found.is_some() {
                        self.phase = Phase::Probe(candidates);
                        return found;
                    }
                    node.reset();
                    self.phase = if self.is_settled() || !node.next_inner() {
                        Phase::Rest(0)
                    } else {
                        let hash = node.briefly(|| self.inner_hash(node));
                        let known = hash.and_then(|hash| self.by_hash.get(&hash));
                        candidates.clone_from(known.unwrap_or(&Vec::new()));
                        Phase::Probe(candidates)
                    };
                }
                Phase::Rest(from) => {
                    let open = matches!(self.kind, Kind::Left | Kind::Anti);
                    let next = (from..self.rows.len()).find(|at| open && !self.rows[*at].matched);
                    let Some(at) = next else {
                        self.phase = Phase::Fill;
                        continue;
                    };
                    self.phase = Phase::Rest(at + 1);
                    node.reset();
                    node.set_outer(self.rows[at].row);
                    node.set_inner_null();
                    if let Some(slot) = node.result() {
                        return Some(slot);
                    }
                }
            }
        }
    }

    fn rescan(&mut self, node: JoinNode<'_>) {
        self.forget(node);
        self.ended = false;
        self.phase = Phase::Fill;
    }

    fn begin_inner(&mut self, begin: &mut dyn FnMut()) {
        batch::with(&self.batch, begin);
    }

    fn explain(&self, out: Explain<'_>, condition: &str) {
        let kind = match self.kind {
            Kind::Inner => "Inner",
            Kind::Left => "Left",
            Kind::Semi => "Semi",
            Kind::Anti => "Anti",
        };
        out.text(c"Join Type", kind);
        out.text(c"Join Cond", condition);
        if out.analyze() && self.batches > 0 {
            out.integer(c"Batches", None, self.batches);
            out.integer(c"Keys", None, self.collected);
        }
    }
}
