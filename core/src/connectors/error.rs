//! What can go wrong with an API, and who can do something about it.
//!
//! No error holds a credential or a value of a record. Paths are those of the documentation, with
//! `:id` in the place of an id, and what the API itself says is cut and passed through
//! [`Secret::scrub`](super::Secret::scrub).

use super::options::OptionError;
use std::time::Duration;

/// Who can do something about an error; the extension makes an SQLSTATE of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The network or the service failed for now. Asking again later may succeed.
    Retryable,
    /// The service does not know the credential, or does not let it read this.
    Auth,
    /// The service asks for fewer requests, and still did when the deadline came.
    RateLimited,
    /// An option, a table's definition or a missing condition: whoever wrote it.
    Configuration,
    /// The answer is not what the API documents, or does not fit a column's type.
    Data,
    /// A fault of this code.
    Bug,
}

/// Where an error happened: the method and the path with `:id` for ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// The documented path, such as `transactions/:id`.
    pub path: String,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Why there are no rows, or no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The connection could not be made, or was cut.
    #[error("{endpoint}: {what}")]
    Connection {
        /// Where.
        endpoint: Endpoint,
        /// What happened, without addresses of proxies or queries.
        what: &'static str,
    },
    /// No whole answer came in time.
    #[error("{endpoint}: no answer within {} s", .after.as_secs_f32())]
    Timeout {
        /// Where.
        endpoint: Endpoint,
        /// The time given.
        after: Duration,
    },
    /// The service answered that it failed, or was down.
    #[error("{endpoint}: the service answered {status}{}", said(.message))]
    Service {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// What it said.
        message: Option<String>,
    },
    /// The credential is unknown, expired or may not read this.
    #[error("{endpoint}: the service refused the credential ({status}){}", said(.message))]
    Refused {
        /// Where.
        endpoint: Endpoint,
        /// 401 or 403.
        status: u16,
        /// What it said.
        message: Option<String>,
    },
    /// Too many requests.
    #[error("{endpoint}: the service still asks for fewer requests ({status}){}", said(.message))]
    RateLimited {
        /// Where.
        endpoint: Endpoint,
        /// 429 or 503.
        status: u16,
        /// What it said.
        message: Option<String>,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// What was asked for is not there. A lookup by key makes no row of it.
    #[error("{endpoint}: not found")]
    NotFound {
        /// Where.
        endpoint: Endpoint,
    },
    /// The service does not take the request.
    #[error("{endpoint}: the service does not take the request ({status}{}){}",
        .code.as_deref().map(|code| format!(", {code}")).unwrap_or_default(), said(.message))]
    Rejected {
        /// Where.
        endpoint: Endpoint,
        /// The HTTP status.
        status: u16,
        /// The API's name for it, such as `UNKNOWN_FIELD_NAME`.
        code: Option<String>,
        /// What it said.
        message: Option<String>,
    },
    /// A redirect to another host, to which no credential is sent.
    #[error("{endpoint}: the service redirects to another address, which is not followed")]
    Redirect {
        /// Where.
        endpoint: Endpoint,
    },
    /// The answer is longer than allowed.
    #[error("{endpoint}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// Where.
        endpoint: Endpoint,
        /// The limit.
        limit: usize,
    },
    /// The answer cannot be read: truncated, of another type, nested too deep.
    #[error("{endpoint}: the answer cannot be read: {what}")]
    Malformed {
        /// Where.
        endpoint: Endpoint,
        /// What is wrong with it.
        what: &'static str,
        /// Whether a cut connection can explain it, so that asking again makes sense.
        cut: bool,
    },
    /// Paging does not come to its end.
    #[error("{endpoint}: paging does not end: {what}")]
    Paging {
        /// Where.
        endpoint: Endpoint,
        /// What was seen.
        what: &'static str,
    },
    /// More records than the service lists, and no narrower request is possible.
    #[error("{endpoint}: {what}")]
    Incomplete {
        /// Where.
        endpoint: Endpoint,
        /// What is missing.
        what: &'static str,
    },
    /// A value that its column's type cannot hold.
    #[error("column {column} of {table}: a value of the answer is no {of}")]
    Value {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// The column's type.
        of: String,
    },
    /// The table can only be read with a condition on a column.
    #[error(
        "table {table} is read by {column}: the query needs a condition {column} = … or IN (…)"
    )]
    NeedsKey {
        /// The table.
        table: String,
        /// The column.
        column: &'static str,
    },
    /// There is no such table, base or column.
    #[error("{0}")]
    Unknown(String),
    /// An option is wrong.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// The client could not be set up on this machine.
    #[error("the HTTP client cannot start: {0}")]
    Setup(&'static str),
    /// The wait was given up by the host, for instance because its queue is full.
    #[error("{0}")]
    Host(String),
    /// Something that cannot be.
    #[error("bug in a connector: {0}")]
    Bug(&'static str),
}

fn said(message: &Option<String>) -> String {
    message.as_deref().map(|message| format!(": {message}")).unwrap_or_default()
}

impl ApiError {
    /// Who can do something about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            ApiError::Connection { .. }
            | ApiError::Timeout { .. }
            | ApiError::Service { .. }
            | ApiError::Host(_) => ErrorKind::Retryable,
            ApiError::Malformed { cut, .. } => {
                if *cut {
                    ErrorKind::Retryable
                } else {
                    ErrorKind::Data
                }
            }
            ApiError::Refused { .. } => ErrorKind::Auth,
            ApiError::RateLimited { .. } => ErrorKind::RateLimited,
            ApiError::NotFound { .. }
            | ApiError::Rejected { .. }
            | ApiError::Redirect { .. }
            | ApiError::NeedsKey { .. }
            | ApiError::Unknown(_)
            | ApiError::Option(_)
            | ApiError::Setup(_) => ErrorKind::Configuration,
            ApiError::TooLarge { .. }
            | ApiError::Paging { .. }
            | ApiError::Incomplete { .. }
            | ApiError::Value { .. } => ErrorKind::Data,
            ApiError::Bug(_) => ErrorKind::Bug,
        }
    }

    /// Whether the same request may succeed when it is sent again.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Retryable | ErrorKind::RateLimited)
            && !matches!(self, ApiError::Host(_))
    }

    /// What whoever sees it can do, for HINT.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            ApiError::Refused { status: 401, .. } => {
                "Check the credential in the user mapping of this server."
            }
            ApiError::Refused { .. } => {
                "The credential is known but lacks a permission or scope, or the object does not exist."
            }
            ApiError::RateLimited { .. } => {
                "Raise cache_ttl, add conditions that are pushed down, or materialize the table."
            }
            ApiError::Timeout { .. } => "Raise request_timeout, or narrow the query.",
            ApiError::TooLarge { .. } => "Raise the server option max_body.",
            ApiError::Value { .. } => {
                "The field's type may have changed at the source: import the table again, or declare the column as jsonb."
            }
            ApiError::Incomplete { .. } => "Add a condition that narrows the search.",
            ApiError::Redirect { .. } => "Check the server option endpoint.",
            ApiError::Bug(_) => "Please report this.",
            _ => return None,
        })
    }

    /// The endpoint it happened at.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            ApiError::Connection { endpoint, .. }
            | ApiError::Timeout { endpoint, .. }
            | ApiError::Service { endpoint, .. }
            | ApiError::Refused { endpoint, .. }
            | ApiError::RateLimited { endpoint, .. }
            | ApiError::NotFound { endpoint }
            | ApiError::Rejected { endpoint, .. }
            | ApiError::Redirect { endpoint }
            | ApiError::TooLarge { endpoint, .. }
            | ApiError::Malformed { endpoint, .. }
            | ApiError::Paging { endpoint, .. }
            | ApiError::Incomplete { endpoint, .. } => Some(endpoint),
            _ => None,
        }
    }
}
