//! The answers there are.

use super::Question;
use serde::{Deserialize, Serialize};

/// An entry. Numbers are not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId(pub u64);

/// An answer, or one that is being fetched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number.
    pub id: EntryId,
    /// What it answers.
    pub question: Question,
    /// Bytes it takes, so far.
    pub bytes: u64,
    /// Rows it has, so far.
    pub rows: u64,
    /// It has all its rows.
    pub is_whole: bool,
    /// When fetching began, in microseconds. Its rows are at least as old as this.
    pub begun: u64,
    /// When it was last used.
    pub used: u64,
    /// Who fetches it.
    pub owner: u64,
    /// How many read it now: it is not thrown away before they are done.
    pub readers: u32,
}

/// What there is for a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// An answer with all its rows. The caller is one of its readers from now on.
    Hit {
        /// Which.
        id: EntryId,
        /// Where the columns asked for stand in its rows.
        places: Vec<usize>,
    },
    /// Somebody is fetching it: wait for them, or read what is there already. The caller is one of its
    /// readers from now on.
    Fetching {
        /// Which.
        id: EntryId,
        /// Where the columns asked for stand in its rows.
        places: Vec<usize>,
        /// Who fetches it.
        owner: u64,
    },
    /// Nothing: the caller is to fetch it into this new entry, and is one of its readers.
    Miss {
        /// Which.
        id: EntryId,
    },
}

/// The answers of all backends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    entries: Vec<Entry>,
    last: u64,
    /// The most bytes of all entries together.
    pub most_bytes: u64,
}

impl Directory {
    /// An empty one for so many bytes.
    pub fn new(most_bytes: u64) -> Directory {
        Directory { entries: Vec::new(), last: 0, most_bytes }
    }

    /// Looks for an answer that is no older than `ttl` microseconds. `owner` fetches it if there is
    /// none. A `ttl` of 0 finds nothing, and nobody else finds what is fetched for it.
    pub fn look(&mut self, question: &Question, now: u64, ttl: u64, owner: u64) -> Looked {
        let fresh = |entry: &&mut Entry| {
            ttl > 0 && now.saturating_sub(entry.begun) < ttl && entry.question.serves(question)
        };
        // Whole ones first, and of those the smallest.
        let best = self
            .entries
            .iter_mut()
            .filter(fresh)
            .filter(|entry| entry.is_whole || entry.owner != owner)
            .min_by_key(|entry| (!entry.is_whole, entry.bytes));
        if let Some(entry) = best
            && let Some(places) = entry.question.places(question)
        {
            entry.used = now;
            entry.readers += 1;
            let (id, owner) = (entry.id, entry.owner);
            return if entry.is_whole {
                Looked::Hit { id, places }
            } else {
                Looked::Fetching { id, places, owner }
            };
        }
        self.last += 1;
        let id = EntryId(self.last);
        self.entries.push(Entry {
            id,
            question: question.clone(),
            bytes: 0,
            rows: 0,
            is_whole: false,
            // Born old where nobody may share it.
            begun: if ttl > 0 { now } else { 0 },
            used: now,
            owner,
            readers: 1,
        });
        Looked::Miss { id }
    }

    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.id == id)
    }

    /// An entry.
    pub fn get(&self, id: EntryId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// More rows came. Gives the entries to throw away so that there is room.
    pub fn grew(&mut self, id: EntryId, rows: u64, bytes: u64) -> Vec<EntryId> {
        if let Some(entry) = self.entry(id) {
            entry.rows += rows;
            entry.bytes += bytes;
        }
        self.make_room()
    }

    /// All rows are there.
    pub fn finished(&mut self, id: EntryId) {
        if let Some(entry) = self.entry(id) {
            entry.is_whole = true;
        }
    }

    /// It will never be whole: fetching failed, or its reader stopped early. Nobody finds it any more;
    /// it is to be thrown away when its last reader is done. Gives it if that is now.
    pub fn abandoned(&mut self, id: EntryId) -> Option<EntryId> {
        let entry = self.entry(id)?;
        if entry.is_whole {
            return None;
        }
        entry.begun = 0;
        self.removed_if_free(id)
    }

    /// A reader is done. Gives the entry if it is to be thrown away.
    pub fn done(&mut self, id: EntryId) -> Option<EntryId> {
        let entry = self.entry(id)?;
        entry.readers = entry.readers.saturating_sub(1);
        self.removed_if_free(id)
    }

    fn removed_if_free(&mut self, id: EntryId) -> Option<EntryId> {
        let entry = self.entry(id)?;
        if entry.begun == 0 && entry.readers == 0 {
            self.entries.retain(|entry| entry.id != id);
            return Some(id);
        }
        None
    }

    /// A backend is gone: what it fetched will never be whole.
    pub fn owner_gone(&mut self, owner: u64) -> Vec<EntryId> {
        let ids = self.entries.iter().filter(|entry| !entry.is_whole && entry.owner == owner);
        let ids: Vec<_> = ids.map(|entry| entry.id).collect();
        ids.into_iter().filter_map(|id| self.abandoned(id)).collect()
    }

    /// Nobody finds the answers of a source (all of them, without one) any more. Gives those to throw
    /// away now.
    pub fn clear(&mut self, source: Option<[u8; 16]>) -> Vec<EntryId> {
        let mut gone = Vec::new();
        self.entries.retain_mut(|entry| {
            if source.is_none_or(|source| entry.question.source == source) {
                entry.begun = 0;
                if entry.readers == 0 {
                    gone.push(entry.id);
                    return false;
                }
            }
            true
        });
        gone
    }

    /// Gives, and forgets, answers older than `ttl` that nobody reads.
    pub fn expire(&mut self, now: u64, ttl: u64) -> Vec<EntryId> {
        let mut gone = Vec::new();
        self.entries.retain(|entry| {
            let stays = entry.readers > 0 || now.saturating_sub(entry.begun) < ttl;
            if !stays {
                gone.push(entry.id);
            }
            stays
        });
        gone
    }

    fn make_room(&mut self) -> Vec<EntryId> {
        let mut gone = Vec::new();
        loop {
            let total: u64 = self.entries.iter().map(|entry| entry.bytes).sum();
            if total <= self.most_bytes {
                return gone;
            }
            let free = self.entries.iter().filter(|entry| entry.readers == 0);
            let Some(id) = free.min_by_key(|entry| (entry.used, entry.id)).map(|entry| entry.id)
            else {
                return gone;
            };
            self.entries.retain(|entry| entry.id != id);
            gone.push(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: u64 = 60;

    fn question(columns: &[u8]) -> Question {
        Question {
            source: [1; 16],
            table: "t".into(),
            columns: columns.iter().map(|&n| [n; 16]).collect(),
            pushed: vec![],
            limit: None,
        }
    }

    fn miss(directory: &mut Directory, columns: &[u8], now: u64) -> EntryId {
        match directory.look(&question(columns), now, TTL, 7) {
            Looked::Miss { id } => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fetched_once_and_shared() {
        let mut directory = Directory::new(1000);
        let id = miss(&mut directory, &[1, 2], 100);
        let other = directory.look(&question(&[2]), 101, TTL, 8);
        assert_eq!(other, Looked::Fetching { id, places: vec![1], owner: 7 });
        directory.grew(id, 1, 10);
        directory.finished(id);
        assert_eq!(
            directory.look(&question(&[1]), 102, TTL, 8),
            Looked::Hit { id, places: vec![0] }
        );
        assert!(matches!(directory.look(&question(&[3]), 102, TTL, 8), Looked::Miss { .. }));
        assert!(matches!(directory.look(&question(&[1]), 160, TTL, 8), Looked::Miss { .. }));
    }

    #[test]
    fn without_a_ttl_nothing_is_shared() {
        let mut directory = Directory::new(1000);
        let Looked::Miss { id } = directory.look(&question(&[1]), 100, 0, 7) else {
            panic!("a hit")
        };
        directory.finished(id);
        assert!(matches!(directory.look(&question(&[1]), 100, TTL, 8), Looked::Miss { .. }));
        assert_eq!(directory.done(id), Some(id));
    }

    #[test]
    fn what_failed_is_found_by_nobody() {
        let mut directory = Directory::new(1000);
        let id = miss(&mut directory, &[1], 100);
        assert!(matches!(directory.look(&question(&[1]), 100, TTL, 8), Looked::Fetching { .. }));
        assert_eq!(directory.owner_gone(7), []);
        assert!(matches!(directory.look(&question(&[1]), 100, TTL, 9), Looked::Miss { .. }));
        assert_eq!(directory.done(id), None);
        assert_eq!(directory.done(id), Some(id));
    }

    #[test]
    fn the_least_recently_used_go_first_but_not_what_is_read() {
        let mut directory = Directory::new(100);
        let read = miss(&mut directory, &[1], 100);
        let old = miss(&mut directory, &[2], 101);
        let new = miss(&mut directory, &[3], 102);
        for id in [read, old, new] {
            directory.grew(id, 1, 30);
            directory.finished(id);
        }
        directory.done(old);
        directory.done(new);
        assert!(matches!(directory.look(&question(&[2]), 103, TTL, 8), Looked::Hit { .. }));
        directory.done(old);
        let big = miss(&mut directory, &[4], 104);
        assert_eq!(directory.grew(big, 1, 30), [new]);
        assert_eq!(directory.grew(big, 1, 60), [old]);
        assert_eq!(directory.grew(big, 1, 60), [], "the rest is being read");
    }

    #[test]
    fn clearing_waits_for_readers() {
        let mut directory = Directory::new(100);
        let id = miss(&mut directory, &[1], 100);
        directory.finished(id);
        assert_eq!(directory.clear(Some([1; 16])), []);
        assert!(matches!(directory.look(&question(&[1]), 101, TTL, 8), Looked::Miss { .. }));
        assert_eq!(directory.done(id), Some(id));
        assert_eq!(directory.clear(Some([2; 16])), []);
    }
}
