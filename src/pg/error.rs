//! Errors on their way to the client: SQLSTATE, message, detail and hint.
//!
//! Feature code returns [`Error`]; callbacks and SQL functions turn it into a Postgres ERROR at their
//! edge. An error never carries a secret or a row's value.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// The result of feature code.
pub type Result<T> = std::result::Result<T, Error>;

/// A Postgres ERROR in the making.
#[derive(Debug, Clone)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: PgSqlErrorCode,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
}

impl Error {
    /// An error with its SQLSTATE and primary message.
    pub fn new(code: PgSqlErrorCode, message: impl Into<String>) -> Self {
        Error(Box::new(Parts { code, message: message.into(), detail: None, hint: None }))
    }

    /// A violated assumption of ours (XX000).
    pub fn bug(message: impl Into<String>) -> Self {
        Error::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, message)
    }

    /// Adds the DETAIL line.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds the HINT line: what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The SQLSTATE.
    pub fn code(&self) -> PgSqlErrorCode {
        self.0.code
    }

    /// The primary message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Message and hint, for those who were not there.
    pub fn told(&self) -> String {
        match &self.0.hint {
            Some(hint) => format!("{} ({hint})", self.0.message),
            None => self.0.message.clone(),
        }
    }

    /// Puts `what: ` in front of the message.
    pub fn within(mut self, what: &str) -> Self {
        self.0.message = format!("{what}: {}", self.0.message);
        self
    }

    /// Raises the ERROR.
    pub fn raise(self) -> ! {
        ErrorReport::from(self).report(PgLogLevel::ERROR);
        unreachable!("an ERROR does not return")
    }
}

impl From<Error> for ErrorReport {
    fn from(error: Error) -> Self {
        let parts = *error.0;
        let mut report = ErrorReport::new(parts.code, parts.message, "warehouse");
        if let Some(detail) = parts.detail {
            report = report.set_detail(detail);
        }
        if let Some(hint) = parts.hint {
            report = report.set_hint(hint);
        }
        report
    }
}

/// The edge between feature code and a callback.
pub trait OrRaise<T> {
    /// The value, or the ERROR.
    fn or_raise(self) -> T;
}

impl<T> OrRaise<T> for Result<T> {
    fn or_raise(self) -> T {
        self.unwrap_or_else(|error| error.raise())
    }
}

/// The five characters of a SQLSTATE as Postgres packs them.
pub fn sqlstate(text: &str) -> PgSqlErrorCode {
    let mut packed = 0i32;
    for (i, byte) in text.bytes().take(5).enumerate() {
        packed |= i32::from(byte.wrapping_sub(b'0') & 0x3f) << (6 * i);
    }
    PgSqlErrorCode::from(packed as isize)
}
