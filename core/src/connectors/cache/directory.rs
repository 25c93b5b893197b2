//! The answers there are, over all backends.

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
    /// The foreign server that it came from, as one number over all databases.
    pub server: u64,
    /// What it answers.
    pub question: Question,
    /// Bytes it takes, once it is whole.
    pub bytes: u64,
    /// Rows it has, once it is whole.
    pub rows: u64,
    /// It has all its rows.
    pub is_whole: bool,
    /// When fetching began, in microseconds. Its rows are at least as old as this.
    pub begun: u64,
    /// Until when it is good for somebody.
    pub until: u64,
    /// When it was last used.
    pub used: u64,
    /// Who fetches it.
    pub owner: u64,
}

/// Who asks, what for, and when.
#[derive(Debug, Clone, Copy)]
pub struct Asking<'a> {
    /// The question.
    pub question: &'a Question,
    /// The foreign server.
    pub server: u64,
    /// Only a few keys' rows are wanted: an answer of more rows than this is no shortcut.
    pub most_rows: Option<u64>,
    /// Now, in microseconds.
    pub now: u64,
    /// Answers are good for so many microseconds; 0 shares nothing.
    pub ttl: u64,
    /// Who asks.
    pub owner: u64,
}

/// What there is for a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Looked {
    /// An answer with all its rows.
    Hit(Found),
    /// Somebody is fetching it.
    Fetching {
        /// Which.
        id: EntryId,
        /// Who fetches it.
        owner: u64,
    },
    /// Nothing: the caller is to fetch it into this new entry.
    Miss {
        /// Which.
        id: EntryId,
    },
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub id: EntryId,
    /// Its question, which may be a wider one.
    pub question: Question,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
    /// When fetching began.
    pub begun: u64,
}

/// The answers of all backends. What it says is gone may still be read by those who began to: pages lie
/// in files, and a file lives for as long as somebody has it open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directory {
    entries: Vec<Entry>,
    last: u64,
}

impl Directory {
    /// What there is for a question. Only one that is fetched by somebody who `is_busy` with it is worth
    /// to wait for: others may have stopped in the middle for as long as their client likes.
    pub fn look(&mut self, asking: Asking<'_>, is_busy: impl Fn(u64) -> bool) -> Looked {
        let Asking { question, server, most_rows, now, ttl, owner } = asking;
        let usable = |entry: &&mut Entry| {
            let is_fresh = ttl > 0 && now.saturating_sub(entry.begun) < ttl;
            let has_it = entry.server == server && entry.question.serves(question);
            let is_worth = match entry.is_whole {
                true => {
                    entry.question.is_same_filter(question)
                        || most_rows.is_none_or(|most| entry.rows <= most)
                }
                false => {
                    entry.owner != owner
                        && entry.question.is_same_filter(question)
                        && is_busy(entry.owner)
                }
            };
            is_fresh && has_it && is_worth
        };
        // Whole ones first, and of those the smallest.
        let best = self
            .entries
            .iter_mut()
            .filter(usable)
            .min_by_key(|entry| (!entry.is_whole, entry.bytes, entry.id));
        if let Some(entry) = best {
            entry.used = now;
            return match entry.is_whole {
                true => Looked::Hit(Found {
                    id: entry.id,
                    question: entry.question.clone(),
                    rows: entry.rows,
                    bytes: entry.bytes,
                    begun: entry.begun,
                }),
                false => Looked::Fetching { id: entry.id, owner: entry.owner },
            };
        }
        Looked::Miss { id: self.add(asking) }
    }

    /// A new entry that the caller is to fetch, whatever there is. Once it is whole, those that it serves
    /// as well are not needed any more.
    pub fn add(&mut self, asking: Asking<'_>) -> EntryId {
        let Asking { question, server, now, ttl, owner, .. } = asking;
        self.last += 1;
        let id = EntryId(self.last);
        self.entries.push(Entry {
            id,
            server,
            question: question.clone(),
            bytes: 0,
            rows: 0,
            is_whole: false,
            begun: now,
            until: now.saturating_add(ttl),
            used: now,
            owner,
        });
        id
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether nothing was ever asked for.
    pub fn is_new(&self) -> bool {
        self.last == 0
    }

    /// All its rows are there. Gives the older answers that it serves as well.
    pub fn finished(&mut self, id: EntryId, rows: u64, bytes: u64) -> Vec<EntryId> {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) else {
            return Vec::new();
        };
        (entry.rows, entry.bytes, entry.is_whole) = (rows, bytes, true);
        let new = entry.clone();
        self.remove_where(|old| {
            old.is_whole
                && old.id != id
                && old.server == new.server
                && old.begun <= new.begun
                && new.question.is_same_filter(&old.question)
                && new.question.serves(&old.question)
        })
    }

    /// Takes an entry out: fetching failed, or its reader stopped early. False if it is gone already.
    pub fn remove(&mut self, id: EntryId) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.id != id);
        self.entries.len() < before
    }

    /// Takes out what a test says yes to; gives those.
    pub fn remove_where(&mut self, is_gone: impl Fn(&Entry) -> bool) -> Vec<EntryId> {
        let gone = self.entries.iter().filter(|entry| is_gone(entry)).map(|entry| entry.id);
        let gone: Vec<_> = gone.collect();
        self.entries.retain(|entry| !gone.contains(&entry.id));
        gone
    }

    /// Takes out the answers that were not used for the longest time, until `fits` is content or only
    /// those are left that are being fetched. Gives those taken out.
    pub fn make_room(&mut self, fits: impl Fn(&Directory) -> bool) -> Vec<EntryId> {
        let mut gone = Vec::new();
        while !fits(self) {
            let whole = self.entries.iter().filter(|entry| entry.is_whole);
            let Some(id) = whole.min_by_key(|entry| (entry.used, entry.id)).map(|entry| entry.id)
            else {
                break;
            };
            self.remove(id);
            gone.push(id);
        }
        gone
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::condition::{Comparison, Condition, Known, Operand};

    const TTL: u64 = 60;

    fn question(columns: &[u8]) -> Question {
        Question {
            source: [1; 16],
            table: "t".into(),
            columns: columns.iter().map(|&n| n.into()).collect(),
            pushed: vec![],
            limit: None,
        }
    }

    fn narrow(columns: &[u8]) -> Question {
        let condition = Condition::Compare {
            column: "id".into(),
            comparison: Comparison::Equal,
            operand: Operand { value: Known::Text("a".into()), of: "text".into() },
        };
        Question { pushed: vec![condition], ..question(columns) }
    }

    fn asking(question: &Question, now: u64, owner: u64) -> Asking<'_> {
        Asking { question, server: 1, most_rows: None, now, ttl: TTL, owner }
    }

    fn look(directory: &mut Directory, columns: &[u8], now: u64, owner: u64) -> Looked {
        directory.look(asking(&question(columns), now, owner), |_| true)
    }

    fn miss(directory: &mut Directory, columns: &[u8], now: u64) -> EntryId {
        match look(directory, columns, now, 7) {
            Looked::Miss { id } => id,
            other => panic!("{other:?}"),
        }
    }

    fn hit(looked: Looked) -> Option<EntryId> {
        match looked {
            Looked::Hit(found) => Some(found.id),
            _ => None,
        }
    }

    #[test]
    fn fetched_once_and_shared() {
        let mut directory = Directory::default();
        let id = miss(&mut directory, &[1, 2], 100);
        assert_eq!(look(&mut directory, &[2], 101, 8), Looked::Fetching { id, owner: 7 });
        assert_eq!(directory.finished(id, 1, 10), []);
        assert_eq!(hit(look(&mut directory, &[1], 102, 8)), Some(id));
        assert!(matches!(look(&mut directory, &[3], 102, 8), Looked::Miss { .. }));
        assert!(matches!(look(&mut directory, &[1], 160, 8), Looked::Miss { .. }), "too old");
    }

    #[test]
    fn nobody_waits_for_one_who_is_not_at_it() {
        let mut directory = Directory::default();
        let id = miss(&mut directory, &[1], 100);
        let wanted = question(&[1]);
        let other = directory.look(asking(&wanted, 101, 8), |owner| owner != 7);
        assert!(matches!(other, Looked::Miss { id: other } if other != id));
        let third = directory.look(asking(&wanted, 102, 9), |owner| owner != 7);
        assert!(matches!(third, Looked::Fetching { owner: 8, .. }));
        assert!(matches!(look(&mut directory, &[1], 102, 7), Looked::Fetching { owner: 8, .. }));
    }

    #[test]
    fn other_servers_and_times_share_nothing() {
        let mut directory = Directory::default();
        let id = miss(&mut directory, &[1], 100);
        directory.finished(id, 1, 1);
        let wanted = question(&[1]);
        let elsewhere = Asking { server: 2, ..asking(&wanted, 101, 8) };
        assert!(matches!(directory.look(elsewhere, |_| true), Looked::Miss { .. }));
        let never = Asking { ttl: 0, ..asking(&wanted, 101, 8) };
        assert!(matches!(directory.look(never, |_| true), Looked::Miss { .. }));
    }

    #[test]
    fn a_few_keys_are_not_sought_in_millions_of_rows_nor_waited_for() {
        let mut directory = Directory::default();
        let id = miss(&mut directory, &[1], 100);
        let wanted = narrow(&[1]);
        let few = Asking { most_rows: Some(10), ..asking(&wanted, 101, 8) };
        assert!(matches!(directory.look(few, |_| true), Looked::Miss { .. }), "not waited for");
        directory.finished(id, 11, 1);
        let found = directory.entries().len();
        directory.remove_where(|entry| entry.owner == 8);
        assert_eq!(directory.entries().len(), found - 1);
        assert!(matches!(directory.look(few, |_| true), Looked::Miss { .. }), "too many rows");
        directory.remove_where(|entry| entry.owner == 8);
        let enough = Asking { most_rows: Some(11), ..few };
        assert_eq!(hit(directory.look(enough, |_| true)), Some(id));
    }

    #[test]
    fn a_newer_answer_takes_the_place_of_older_ones() {
        let mut directory = Directory::default();
        let (old, other) = (miss(&mut directory, &[1], 100), miss(&mut directory, &[2], 100));
        directory.finished(old, 1, 1);
        directory.finished(other, 1, 1);
        let wanted = question(&[1, 3]);
        let new = directory.add(asking(&wanted, 101, 7));
        assert_eq!(hit(look(&mut directory, &[1], 102, 8)), Some(old));
        assert_eq!(directory.finished(new, 1, 1), [old]);
        assert_eq!(hit(look(&mut directory, &[1], 102, 8)), Some(new));
        assert_eq!(hit(look(&mut directory, &[2], 102, 8)), Some(other));
    }

    #[test]
    fn what_is_gone_is_found_by_nobody() {
        let mut directory = Directory::default();
        let id = miss(&mut directory, &[1], 100);
        assert!(directory.remove(id));
        assert!(directory.finished(id, 1, 1).is_empty() && !directory.remove(id));
        assert!(matches!(look(&mut directory, &[1], 100, 9), Looked::Miss { .. }));
    }

    #[test]
    fn the_least_recently_used_go_first_but_not_what_is_being_fetched() {
        let mut directory = Directory::default();
        let old = miss(&mut directory, &[2], 101);
        let new = miss(&mut directory, &[3], 102);
        let fetched = miss(&mut directory, &[4], 103);
        directory.finished(old, 1, 30);
        directory.finished(new, 1, 30);
        assert_eq!(hit(look(&mut directory, &[2], 104, 8)), Some(old));
        assert_eq!(directory.make_room(|all| all.bytes() <= 30), [new]);
        assert_eq!(directory.make_room(|all| all.bytes() <= 10), [old]);
        assert_eq!(directory.entries()[0].id, fetched);
    }
}
