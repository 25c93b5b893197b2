//! Answers that all backends share.
//!
//! What there is stands in a directory in shared memory; the pages lie in one temporary file an answer,
//! sealed with a key that is in memory alone, since what an API says is in clear until it is masked.
//! Whoever asks first writes the file and says when it is whole; others who ask the same meanwhile wait
//! for that, as long as the first one is at it: one who stops in the middle (a cursor that its client
//! leaves open) holds nobody up, nor does one who fails.
//!
//! It takes `shared_preload_libraries = 'warehouse'`; without, every session keeps answers of its own.

use super::activity::{self, State};
use super::limits;
use crate::pg::error::{Error, Result};
use crate::pg::temp_file::{self, TempFile};
use crate::pg::{process, shared, wait};
use crate::settings;
use pgrx::{PGRXSharedMemory, PgLwLock};
use std::cell::Cell;
use std::time::Duration;
use warehouse_core::connectors::Row;
use warehouse_core::connectors::cache::{
    Asking, Directory, Entry, EntryId, Found, Looked, Question, Sealer,
};

use super::store;

/// Room for the directory, which is JSON.
const ROOM: usize = 192 << 10;
/// A question longer than this is not shared.
const LONGEST: usize = 32 << 10;
/// How often one who waits looks again.
const TICK: Duration = Duration::from_millis(20);
/// Names of files begin with it.
const KIND: &str = "api.";

struct Shelf {
    /// When the server started: files of another life are not ours.
    life: u64,
    key: [u8; 64],
    len: usize,
    directory: [u8; ROOM],
}

impl Default for Shelf {
    fn default() -> Shelf {
        let life = limits::since_1970();
        // Without chance there is no key, and nothing is shared.
        let key = Sealer::random_key().unwrap_or([0; 64]);
        Shelf { life, key, len: 0, directory: [0; ROOM] }
    }
}

// SAFETY: plain bytes without pointers.
unsafe impl PGRXSharedMemory for Shelf {}

// SAFETY: the only lock of this name.
static SHELF: PgLwLock<Shelf> = unsafe { PgLwLock::new(c"warehouse api answers") };

thread_local! {
    // A backend is one thread. The postmaster sets it before it forks the others.
    static SHARED: Cell<bool> = const { Cell::new(false) };
}

/// Asks for the shared memory. Called once, by `_PG_init`.
pub fn install() {
    SHARED.set(shared::share(&SHELF));
}

/// Whether answers are shared.
pub fn is_shared() -> bool {
    SHARED.get() && !limits::has_left()
}

fn owner() -> u64 {
    process::id() as u64
}

/// A server as one number over all databases.
fn number(server: u32) -> u64 {
    u64::from(process::database().to_u32()) << 32 | u64::from(server)
}

fn name(life: u64, id: EntryId) -> String {
    format!("{KIND}{life}.{}", id.0)
}

/// Changes the directory, and removes the files of what it lost.
fn with<T>(change: impl FnOnce(&mut Directory, u64) -> (T, Vec<EntryId>)) -> T {
    let mut shelf = SHELF.exclusive();
    let life = shelf.life;
    let stored = serde_json::from_slice::<Directory>(&shelf.directory[..shelf.len]);
    let mut directory = stored.unwrap_or_default();
    if directory.is_new() {
        temp_file::remove_others(KIND, &format!("{KIND}{life}."));
    }
    let (result, mut gone) = change(&mut directory, life);
    let encoded = |directory: &Directory| serde_json::to_vec(directory).unwrap_or_default();
    gone.extend(directory.make_room(|all| encoded(all).len() <= ROOM));
    let mut bytes = encoded(&directory);
    if bytes.len() > ROOM {
        // Too many are being fetched at once: whoever is at it goes on alone.
        gone.extend(directory.remove_where(|_| true));
        bytes = encoded(&directory);
    }
    shelf.directory[..bytes.len()].copy_from_slice(&bytes);
    shelf.len = bytes.len();
    for id in gone {
        temp_file::remove(&name(life, id));
    }
    result
}

/// What the shelf has for a question.
pub enum Taken {
    /// An answer.
    Answer(Box<Answer>),
    /// Nothing: the caller fetches it, and writes it here.
    ToFetch(Box<Pages>),
}

/// An answer with all its rows.
pub struct Answer {
    /// Its question, which may be a wider one.
    pub question: Question,
    /// Its pages.
    pub pages: Box<Pages>,
    /// Its rows.
    pub rows: u64,
    /// When fetching began.
    pub begun: u64,
    /// Somebody else was fetching it when it was asked for.
    pub was_waited_for: bool,
}

/// Looks for an answer; waits for one that somebody is fetching. `None` if it is not shared.
pub fn take(
    question: &Question,
    server: u32,
    relation: u32,
    most_rows: Option<u64>,
    ttl: Duration,
) -> Result<Option<Taken>> {
    if !is_worth_sharing(question, ttl) {
        return Ok(None);
    }
    let mut waiting = None;
    loop {
        match look(question, server, most_rows, ttl)? {
            Some(Taken::Answer(mut answer)) => {
                answer.was_waited_for = waiting.is_some();
                return Ok(Some(Taken::Answer(answer)));
            }
            Some(to_fetch) => return Ok(Some(to_fetch)),
            None => {
                waiting
                    .get_or_insert_with(|| activity::begin(server, relation, State::OtherSession));
                let shown = wait::Shown::begin();
                wait::sleep(TICK);
                drop(shown);
            }
        }
    }
}

/// Has the caller fetch an answer that takes the place of those there are. `None` if it is not shared.
pub fn renew(question: &Question, server: u32, ttl: Duration) -> Result<Option<Taken>> {
    if !is_worth_sharing(question, ttl) {
        return Ok(None);
    }
    let (now, ttl) = (limits::now(), ttl.as_micros() as u64);
    let (server, owner) = (number(server), owner());
    let asking = Asking { question, server, most_rows: None, now, ttl, owner };
    let (id, life) = with(|directory, life| {
        activity::arrive();
        ((directory.add(asking), life), Vec::new())
    });
    created(id, life).map(Some)
}

fn is_worth_sharing(question: &Question, ttl: Duration) -> bool {
    let length = serde_json::to_vec(question).map_or(usize::MAX, |json| json.len());
    is_shared() && !ttl.is_zero() && length <= LONGEST && settings::api_cache_size() > 0
}

fn created(id: EntryId, life: u64) -> Result<Taken> {
    match TempFile::create(&name(life, id)) {
        Ok(file) => Ok(Taken::ToFetch(Box::new(Pages::new(id, file)))),
        Err(error) => {
            remove(id);
            Err(error)
        }
    }
}

/// `None` if somebody is fetching it.
fn look(
    question: &Question,
    server: u32,
    most_rows: Option<u64>,
    ttl: Duration,
) -> Result<Option<Taken>> {
    let now = limits::now();
    let ttl = ttl.as_micros() as u64;
    let asking = Asking { question, server: number(server), most_rows, now, ttl, owner: owner() };
    loop {
        let (looked, file, life) = with(|directory, life| {
            let old = directory.remove_where(|entry| entry.is_whole && entry.until < now);
            // Under the lock: whoever is about to fetch is busy before another one looks.
            let busy = activity::busy(limits::now());
            let looked = directory.look(asking, |owner| busy.contains(&owner));
            if matches!(looked, Looked::Miss { .. }) {
                activity::arrive();
            }
            let file = match &looked {
                Looked::Hit(found) => TempFile::open(&name(life, found.id)),
                _ => Ok(None),
            };
            ((looked, file, life), old)
        });
        match (looked, file?) {
            (Looked::Hit(found), Some(file)) => {
                return Ok(Some(Taken::Answer(Box::new(answer(found, file)))));
            }
            // Somebody has removed the file by hand.
            (Looked::Hit(found), None) => remove(found.id),
            (Looked::Fetching { .. }, _) => return Ok(None),
            (Looked::Miss { id }, _) => {
                return created(id, life).map(Some);
            }
        }
    }
}

fn answer(found: Found, file: TempFile) -> Answer {
    let mut pages = Box::new(Pages::new(found.id, file));
    (pages.written, pages.is_mine) = (found.bytes, false);
    Answer {
        question: found.question,
        pages,
        rows: found.rows,
        begun: found.begun,
        was_waited_for: false,
    }
}

fn remove(id: EntryId) {
    with(|directory, _| {
        let gone = directory.remove(id);
        ((), if gone { vec![id] } else { Vec::new() })
    });
}

/// Throws away all answers of a server; says how many they were.
pub fn clear(server: u32) -> usize {
    if !is_shared() {
        return 0;
    }
    remove_where(|entry| entry.server == number(server))
}

/// Throws away what this backend was fetching. Called at its end.
pub fn leave() {
    if is_shared() {
        let owner = owner();
        remove_where(|entry| entry.owner == owner && !entry.is_whole);
    }
}

fn remove_where(is_gone: impl Fn(&Entry) -> bool) -> usize {
    with(|directory, _| {
        let whole = directory.entries().iter().filter(|one| one.is_whole && is_gone(one)).count();
        (whole, directory.remove_where(is_gone))
    })
}

/// The pages of an answer.
pub struct Pages {
    id: EntryId,
    file: TempFile,
    sealer: Sealer,
    /// Where the pages begin that are known, and their lengths.
    places: Vec<(u64, u32)>,
    /// The end of those.
    end: u64,
    /// Bytes of the file.
    written: u64,
    /// This backend is writing it, and others do not have it yet.
    is_mine: bool,
}

impl Pages {
    fn new(id: EntryId, file: TempFile) -> Pages {
        let sealer = Sealer::new(&SHELF.share().key);
        Pages { id, file, sealer, places: Vec::new(), end: 0, written: 0, is_mine: true }
    }

    /// Bytes of all pages.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// Appends a page.
    pub fn put(&mut self, rows: &[Row]) -> Result<()> {
        let place = self.places.len() as u64;
        let sealed = self.sealer.seal(self.id.0, place, &store::encoded(rows));
        let len =
            u32::try_from(sealed.len()).map_err(|_| Error::bug("a page of more than 4 GB"))?;
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend_from_slice(&sealed);
        self.file.write_at(self.written, &bytes)?;
        self.places.push((self.written + 4, len));
        self.written += bytes.len() as u64;
        self.end = self.written;
        Ok(())
    }

    /// Whether there is such a page.
    pub fn has(&mut self, at: usize) -> Result<bool> {
        while self.places.len() <= at {
            if self.end >= self.written {
                return Ok(false);
            }
            let head = self.file.read_at(self.end, 4)?;
            let len = head.try_into().map_or(0, u32::from_le_bytes);
            self.places.push((self.end + 4, len));
            self.end += 4 + u64::from(len);
        }
        Ok(true)
    }

    /// The rows of a page that [`Pages::has`].
    pub fn get(&mut self, at: usize) -> Result<Vec<Row>> {
        let (from, len) = self.places[at];
        let sealed = self.file.read_at(from, len as usize)?;
        let page = self.sealer.open(self.id.0, at as u64, sealed);
        store::decoded(&page.map_err(|error| {
            Error::new(pgrx::PgSqlErrorCode::ERRCODE_DATA_CORRUPTED, error.to_string())
        })?)
    }

    /// All pages are there: others may have them.
    pub fn finish(&mut self, rows: u64) {
        let (id, bytes, most) = (self.id, self.written, settings::api_cache_size());
        let finished = std::mem::replace(&mut self.is_mine, false);
        if finished && is_shared() {
            with(|directory, _| {
                let mut gone = directory.finished(id, rows, bytes);
                gone.extend(directory.make_room(|all| all.bytes() <= most));
                ((), gone)
            });
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.is_mine && is_shared() {
            remove(self.id);
        }
    }
}
