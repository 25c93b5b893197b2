//! The book of the reads of a transaction: every read has a savepoint, and lives or is dead.

use super::Connection;

impl Connection {
    /// A row has reached the executor: from now on this transaction cannot silently start again.
    pub fn hand_out(&self) {
        self.handed_out.set(true);
    }

    /// A read has ended well and its answer has been read to the end.
    pub fn finish_read(&self, savepoint: u64) {
        self.release_wire();
        self.mark_dead(savepoint);
    }

    /// The answer to a read is complete, yet its cursor stays open.
    pub fn keep_read(&self, savepoint: u64) {
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 == savepoint) {
            entry.1 = true;
        }
    }

    /// A cursor is done with: the next read closes it.
    pub fn close_cursor(&self, savepoint: u64) {
        if self.in_transaction.get() {
            self.cursors_to_close.borrow_mut().push(savepoint);
        }
        self.mark_dead(savepoint);
    }

    /// A read has failed at the source: the next one starts by going back to its savepoint.
    pub fn fail_read(&self, savepoint: u64) {
        self.rollback_to.set(Some(match self.rollback_to.get() {
            Some(before) => before.min(savepoint),
            None => savepoint,
        }));
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 >= savepoint) {
            entry.1 = false;
        }
        // Going back closes the cursors declared since, and undoes locks and settings.
        self.cursors_to_close.borrow_mut().retain(|cursor| *cursor < savepoint);
        self.verified.borrow_mut().clear();
        self.timezone.borrow_mut().clear();
    }

    pub(super) fn mark_dead(&self, savepoint: u64) {
        for entry in self.savepoints.borrow_mut().iter_mut().filter(|e| e.0 == savepoint) {
            entry.1 = false;
        }
    }

    pub(super) fn topmost_dead_savepoint(&self) -> Option<u64> {
        let savepoints = self.savepoints.borrow();
        savepoints.iter().rev().take_while(|(_, live)| !live).last().map(|(id, _)| *id)
    }

    pub(super) fn forget_savepoints_from(&self, first: Option<u64>) {
        if let Some(first) = first {
            self.savepoints.borrow_mut().retain(|(id, _)| *id < first);
        }
    }

    pub(super) fn live_reads(&self) -> usize {
        self.savepoints.borrow().iter().filter(|(_, live)| *live).count()
    }

    /// Whether a probe has been found to hold in this transaction.
    pub fn is_verified(&self, probe: &str) -> bool {
        self.verified.borrow().contains(probe)
    }

    /// Remembers that a probe holds: its tables are locked at the source until the transaction ends.
    pub fn set_verified(&self, probe: &str) {
        self.verified.borrow_mut().insert(probe.to_owned());
    }
}
