//! Which answers may be used again: keys, what serves what, and which to throw away.
//!
//! Pure bookkeeping. Where pages lie, and how backends share the directory, is the extension's; pages
//! are rows in the form of [`codec`](super::codec).

mod directory;
mod question;

pub use directory::{Directory, Entry, EntryId, Looked};
pub use question::Question;
