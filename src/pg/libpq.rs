//! libpq as a safe, non-blocking client.
//!
//! Nothing here waits: callers wait on the backend's latch (see [`super::wait`]) and poll. The one
//! blocking call libpq 15 has no alternative for, `PQcancel`, runs in a thread with all signals
//! blocked, so that a source that accepts and never answers cannot hold the backend.

use pq_sys as pq;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// One connection. Dropping it closes the socket.
#[derive(Debug)]
pub struct Conn(NonNull<pq::PGconn>);

/// What a connection attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectPoll {
    /// Poll again when the socket is readable.
    Read,
    /// Poll again when the socket is writable.
    Write,
    /// Connected.
    Done,
    /// Failed; see [`Conn::message`].
    Failed,
}

/// One step of a COPY OUT.
pub enum CopyStep {
    /// One CopyData message.
    Message(Buffer),
    /// Nothing complete yet: wait for input.
    Wait,
    /// The data ended; fetch the results to learn whether well.
    End,
    /// The connection failed.
    Failed,
}

unsafe extern "C" fn ignore_notice(_: *mut c_void, _: *const c_char) {}

fn text_at(ptr: *const c_char) -> String {
    if ptr.is_null() {
        return String::new();
    }
    // SAFETY: libpq returns NUL-terminated strings that live at least until the next call on the
    // connection; the text is copied here at once.
    unsafe { CStr::from_ptr(ptr) }.to_string_lossy().into_owned()
}

impl Conn {
    /// Begins to connect. `None` when libpq is out of memory.
    pub fn start(options: &[(String, String)]) -> Option<Conn> {
        let texts: Vec<(CString, CString)> = options
            .iter()
            .filter_map(|(k, v)| {
                Some((CString::new(k.as_str()).ok()?, CString::new(v.as_str()).ok()?))
            })
            .collect();
        let mut keys: Vec<*const c_char> = texts.iter().map(|(k, _)| k.as_ptr()).collect();
        let mut values: Vec<*const c_char> = texts.iter().map(|(_, v)| v.as_ptr()).collect();
        keys.push(ptr::null());
        values.push(ptr::null());
        // SAFETY: both arrays are NULL-terminated, of equal length, and outlive the call.
        let conn = unsafe { pq::PQconnectStartParams(keys.as_ptr(), values.as_ptr(), 0) };
        let conn = Conn(NonNull::new(conn)?);
        // SAFETY: the connection is valid; the callback ignores its arguments.
        unsafe { pq::PQsetNoticeProcessor(conn.ptr(), Some(ignore_notice), ptr::null_mut()) };
        Some(conn)
    }

    fn ptr(&self) -> *mut pq::PGconn {
        self.0.as_ptr()
    }

    /// Advances a connection attempt without blocking (name resolution aside).
    pub fn poll(&self) -> ConnectPoll {
        if self.is_bad() {
            return ConnectPoll::Failed;
        }
        // SAFETY: the connection is valid for as long as `self`.
        match unsafe { pq::PQconnectPoll(self.ptr()) } {
            pq::PostgresPollingStatusType::PGRES_POLLING_READING => ConnectPoll::Read,
            pq::PostgresPollingStatusType::PGRES_POLLING_WRITING => ConnectPoll::Write,
            pq::PostgresPollingStatusType::PGRES_POLLING_OK => ConnectPoll::Done,
            _ => ConnectPoll::Failed,
        }
    }

    /// Whether the connection is lost.
    pub fn is_bad(&self) -> bool {
        // SAFETY: valid connection.
        unsafe { pq::PQstatus(self.ptr()) == pq::ConnStatusType::CONNECTION_BAD }
    }

    /// The socket, unless there is none at the moment.
    pub fn socket(&self) -> Option<c_int> {
        // SAFETY: valid connection.
        let fd = unsafe { pq::PQsocket(self.ptr()) };
        (fd >= 0).then_some(fd)
    }

    /// libpq's last message, on one line.
    pub fn message(&self) -> String {
        // SAFETY: valid connection.
        let text = text_at(unsafe { pq::PQerrorMessage(self.ptr()) });
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Whether the server asked for a password and got one.
    pub fn used_password(&self) -> bool {
        // SAFETY: valid connection.
        unsafe { pq::PQconnectionUsedPassword(self.ptr()) != 0 }
    }

    /// The server's version as a number, such as 150008.
    pub fn server_version(&self) -> i32 {
        // SAFETY: valid connection.
        unsafe { pq::PQserverVersion(self.ptr()) }
    }

    /// The process that serves this connection at the source.
    pub fn backend_pid(&self) -> i32 {
        // SAFETY: valid connection.
        unsafe { pq::PQbackendPID(self.ptr()) }
    }

    /// Switches to non-blocking sends.
    pub fn set_nonblocking(&self) -> bool {
        // SAFETY: valid connection.
        unsafe { pq::PQsetnonblocking(self.ptr(), 1) == 0 }
    }

    /// Queues one or several statements by the simple protocol.
    pub fn send_query(&self, sql: &str) -> bool {
        let Ok(sql) = CString::new(sql) else { return false };
        // SAFETY: valid connection and NUL-terminated text that outlives the call.
        unsafe { pq::PQsendQuery(self.ptr(), sql.as_ptr()) == 1 }
    }

    /// Pushes queued bytes out: `Some(true)` when all are gone, `None` on failure.
    pub fn flush(&self) -> Option<bool> {
        // SAFETY: valid connection.
        match unsafe { pq::PQflush(self.ptr()) } {
            0 => Some(true),
            1 => Some(false),
            _ => None,
        }
    }

    /// Reads what has arrived, without waiting. `false` when the connection failed.
    pub fn consume_input(&self) -> bool {
        // SAFETY: valid connection.
        unsafe { pq::PQconsumeInput(self.ptr()) == 1 }
    }

    /// Whether [`Conn::result`] would wait.
    pub fn is_busy(&self) -> bool {
        // SAFETY: valid connection.
        unsafe { pq::PQisBusy(self.ptr()) == 1 }
    }

    /// The next result; call only when not busy. `None` when the command is complete.
    pub fn result(&self) -> Option<QueryResult> {
        // SAFETY: valid connection.
        NonNull::new(unsafe { pq::PQgetResult(self.ptr()) }).map(QueryResult)
    }

    /// The next message of a COPY OUT among what has been read.
    pub fn copy_step(&self) -> CopyStep {
        let mut data: *mut c_char = ptr::null_mut();
        // SAFETY: valid connection; `data` receives a buffer that PQfreemem frees.
        let len = unsafe { pq::PQgetCopyData(self.ptr(), &mut data, 1) };
        match (len, NonNull::new(data)) {
            (0, _) => CopyStep::Wait,
            (-1, _) => CopyStep::End,
            (len, Some(data)) if len > 0 => {
                CopyStep::Message(Buffer { data: data.cast(), len: len as usize })
            }
            _ => CopyStep::Failed,
        }
    }

    /// What cancels whatever runs on this connection. `None` when libpq is out of memory.
    pub fn canceller(&self) -> Option<Canceller> {
        // SAFETY: valid connection; the handle is freed with its last owner.
        let handle = NonNull::new(unsafe { pq::PQgetCancel(self.ptr()) })?;
        Some(Canceller(Arc::new(CancelHandle(handle))))
    }

    /// Asks the source to cancel what runs on this connection; see [`Canceller::send`].
    pub fn cancel(&self, patience: Duration) -> bool {
        self.canceller().is_some_and(|canceller| canceller.send(patience))
    }
}

/// Cancels what runs on a connection.
#[derive(Debug, Clone)]
pub struct Canceller(Arc<CancelHandle>);

/// A cancel request on its way.
#[derive(Debug)]
pub struct CancelRequest(mpsc::Receiver<bool>);

impl CancelRequest {
    /// Whether the source has taken it, waiting at most `patience`.
    pub fn is_taken(&self, patience: Duration) -> bool {
        self.0.recv_timeout(patience).unwrap_or(false)
    }

    /// Whether it is no longer on its way, taken or failed, waiting at most `patience`. Before that it
    /// may hit whatever runs on the connection.
    pub fn is_over(&self, patience: Duration) -> bool {
        !matches!(self.0.recv_timeout(patience), Err(mpsc::RecvTimeoutError::Timeout))
    }
}

impl Canceller {
    /// Asks the source to cancel, in a thread of its own. `None` when there can be no thread.
    pub fn begin(&self) -> Option<CancelRequest> {
        let handle = Arc::clone(&self.0);
        let (done, answer) = mpsc::channel();
        with_signals_blocked(|| {
            std::thread::Builder::new().name("cancel".into()).stack_size(256 * 1024).spawn(
                move || {
                    let _ = done.send(handle.send());
                },
            )
        })
        .ok()?;
        Some(CancelRequest(answer))
    }

    /// Asks the source to cancel and waits at most `patience`; a request that takes longer goes on by
    /// itself and ends with its thread.
    pub fn send(&self, patience: Duration) -> bool {
        self.begin().is_some_and(|request| request.is_taken(patience))
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // SAFETY: the connection is valid and not used again.
        unsafe { pq::PQfinish(self.ptr()) }
    }
}

#[derive(Debug)]
struct CancelHandle(NonNull<pq::PGcancel>);

// SAFETY: libpq documents PQcancel as safe to call from another thread with its own PGcancel.
unsafe impl Send for CancelHandle {}
// SAFETY: PQcancel only reads the PGcancel.
unsafe impl Sync for CancelHandle {}

impl CancelHandle {
    fn send(&self) -> bool {
        let mut text = [0 as c_char; 256];
        // SAFETY: the handle is valid; the buffer's length is given.
        unsafe { pq::PQcancel(self.0.as_ptr(), text.as_mut_ptr(), 256) == 1 }
    }
}

impl Drop for CancelHandle {
    fn drop(&mut self) {
        // SAFETY: the handle is valid and not used again.
        unsafe { pq::PQfreeCancel(self.0.as_ptr()) }
    }
}

/// Runs `f` with every signal blocked in this thread, so that a thread started in it inherits the
/// mask and Postgres's handlers run on the backend's main thread alone.
fn with_signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: both sets are plain data filled by the calls before they are read.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        let mut before = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        let out = f();
        libc::pthread_sigmask(libc::SIG_SETMASK, &before, ptr::null_mut());
        out
    }
}

/// What kind of result came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// A command without rows.
    Command,
    /// Rows.
    Rows,
    /// A COPY OUT has begun.
    CopyOut,
    /// An error.
    Error,
    /// Anything else.
    Other,
}

/// A result of a statement.
#[derive(Debug)]
pub struct QueryResult(NonNull<pq::PGresult>);

impl QueryResult {
    /// Its kind.
    pub fn status(&self) -> Status {
        // SAFETY: valid result.
        match unsafe { pq::PQresultStatus(self.0.as_ptr()) } {
            pq::ExecStatusType::PGRES_COMMAND_OK | pq::ExecStatusType::PGRES_EMPTY_QUERY => {
                Status::Command
            }
            pq::ExecStatusType::PGRES_TUPLES_OK => Status::Rows,
            pq::ExecStatusType::PGRES_COPY_OUT => Status::CopyOut,
            pq::ExecStatusType::PGRES_FATAL_ERROR | pq::ExecStatusType::PGRES_BAD_RESPONSE => {
                Status::Error
            }
            _ => Status::Other,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        // SAFETY: valid result.
        unsafe { pq::PQntuples(self.0.as_ptr()) as usize }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        // SAFETY: valid result.
        unsafe { pq::PQnfields(self.0.as_ptr()) as usize }
    }

    /// A column's name.
    pub fn column_name(&self, column: usize) -> Option<String> {
        // SAFETY: valid result; libpq checks the index and answers NULL beyond the last column.
        let ptr = unsafe { pq::PQfname(self.0.as_ptr(), column as c_int) };
        (!ptr.is_null()).then(|| text_at(ptr))
    }

    /// Type and type modifier of a column.
    pub fn column_type(&self, column: usize) -> (u32, i32) {
        // SAFETY: valid result; libpq checks the index.
        unsafe {
            (
                pq::PQftype(self.0.as_ptr(), column as c_int),
                pq::PQfmod(self.0.as_ptr(), column as c_int),
            )
        }
    }

    /// The bytes of a value, `None` for NULL.
    pub fn value(&self, row: usize, column: usize) -> Option<&[u8]> {
        if row >= self.rows() || column >= self.columns() {
            return None;
        }
        let (row, column) = (row as c_int, column as c_int);
        // SAFETY: the indexes are within bounds, and the bytes live as long as the result.
        unsafe {
            if pq::PQgetisnull(self.0.as_ptr(), row, column) == 1 {
                return None;
            }
            let len = pq::PQgetlength(self.0.as_ptr(), row, column) as usize;
            let data = pq::PQgetvalue(self.0.as_ptr(), row, column);
            Some(std::slice::from_raw_parts(data.cast::<u8>(), len))
        }
    }

    /// A value as text; NULL and what is not UTF-8 are `None`.
    pub fn text(&self, row: usize, column: usize) -> Option<&str> {
        self.value(row, column).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// A field of an error.
    pub fn error_field(&self, field: ErrorField) -> Option<String> {
        // SAFETY: valid result.
        let ptr = unsafe { pq::PQresultErrorField(self.0.as_ptr(), field as c_int) };
        (!ptr.is_null()).then(|| text_at(ptr))
    }
}

impl Drop for QueryResult {
    fn drop(&mut self) {
        // SAFETY: the result is valid and not used again.
        unsafe { pq::PQclear(self.0.as_ptr()) }
    }
}

/// The fields of an error that we look at. DETAIL and CONTEXT may quote rows: they are not read.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub enum ErrorField {
    /// SQLSTATE.
    SqlState = b'C',
    /// Primary message.
    Message = b'M',
    /// Hint.
    Hint = b'H',
}

/// A CopyData message, owned.
#[derive(Debug)]
pub struct Buffer {
    data: NonNull<u8>,
    len: usize,
}

impl Buffer {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: libpq allocated `len` bytes that live until PQfreemem.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.len) }
    }

    /// The bytes, to be decoded in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.data.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: libpq allocated it and it is not used again.
        unsafe { pq::PQfreemem(self.data.as_ptr().cast()) }
    }
}

/// The connection keywords this libpq knows, and whether each one is a secret.
pub fn keywords() -> Vec<(String, bool)> {
    let mut out = Vec::new();
    // SAFETY: PQconndefaults returns an array that ends with a NULL keyword and is freed once.
    unsafe {
        let all = pq::PQconndefaults();
        if all.is_null() {
            return out;
        }
        let mut at = all;
        while !(*at).keyword.is_null() {
            let secret = !(*at).dispchar.is_null() && *(*at).dispchar == b'*' as c_char;
            // 'D' marks options for debugging and replication.
            let debug = !(*at).dispchar.is_null() && *(*at).dispchar == b'D' as c_char;
            if !debug {
                out.push((text_at((*at).keyword), secret));
            }
            at = at.add(1);
        }
        pq::PQconninfoFree(all);
    }
    out
}
