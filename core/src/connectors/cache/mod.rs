//! Which answers may be used again: keys, what serves what, and which to throw away.
//!
//! Pure bookkeeping. Where pages lie, and how backends share the directory, is the extension's; pages
//! are rows in the form of [`codec`](super::codec), and lie in files only sealed.

mod directory;
mod question;
mod seal;

pub use directory::{Asking, Directory, Entry, EntryId, Found, Looked};
pub use question::Question;
pub use seal::{Sealer, Unsealed};
