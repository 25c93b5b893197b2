//! HTTP: one request and its whole answer.
//!
//! reqwest with rustls, HTTP/1.1, keep-alive. Nothing here starts a thread: names are resolved by
//! hickory-dns, which is async to the ground and reads `/etc/hosts` and `/etc/resolv.conf` itself (the
//! default resolver calls getaddrinfo on a pool of threads, onto which a backend's signals may land);
//! addresses in the endpoint need no resolver. `tests/no_threads.rs` checks it.
//!
//! A client's connections belong to the runtime they were made on: a client is used with one runtime
//! alone and dropped before it.
//!
//! Answers are decompressed here rather than by reqwest, so that a truncated or overlong gzip stream
//! is told from others. Credentials are marked sensitive and follow no redirect to another host.

use super::error::{ApiError, Endpoint};
use super::options::Network;
use super::secret::Secret;
use flate2::bufread::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::io::Read;
use std::time::Duration;

/// What a connection error says that happened before anything was sent.
pub const NOT_MADE: &str = "the connection cannot be made";
/// The same, where nobody answered at all.
pub const NOT_REACHED: &str = "no connection within connect_timeout";
const CUT: &str = "the connection was cut";

/// The methods connectors use. There is none that changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST, of searches alone.
    Post,
}

impl Method {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

/// A request. `Debug` shows the path without ids, and no body.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path below the base, percent-encoded, with its query.
    pub path: String,
    /// The path for errors, with `:id` for ids and without a query.
    pub shown: String,
    /// A JSON body.
    pub body: Option<String>,
    /// How often it is sent at most when the service fails; its cursor has something smaller to ask
    /// then.
    pub attempts: u32,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Request({} {})", self.method.name(), self.shown)
    }
}

impl Request {
    /// GET.
    pub fn get(path: impl Into<String>, shown: impl Into<String>) -> Request {
        Request {
            method: Method::Get,
            path: path.into(),
            shown: shown.into(),
            body: None,
            attempts: u32::MAX,
        }
    }

    /// POST of a search.
    pub fn post(path: impl Into<String>, shown: impl Into<String>, body: String) -> Request {
        Request {
            method: Method::Post,
            path: path.into(),
            shown: shown.into(),
            body: Some(body),
            attempts: u32::MAX,
        }
    }

    /// Where an error of it happened.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint { method: self.method.name(), path: self.shown.clone() }
    }
}

/// The formats of answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/xml`
    Xml,
}

/// An answer with status 2xx, or the error that its status means.
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// What `Retry-After` says.
    pub retry_after: Option<Duration>,
    /// Whether the content has the format asked for.
    pub has_format: bool,
    /// The content, decompressed.
    pub body: String,
    /// Bytes as they came over the network.
    pub received: usize,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reply({}, {} bytes)", self.status, self.body.len())
    }
}

/// A client for one service with one credential.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    base: String,
    format: Format,
    max_body: usize,
    timeout: Duration,
}

/// A percent-encoded path segment (RFC 3986, unreserved characters stay).
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Whether a text can be a segment: `.` and `..` are resolved away, however they are encoded.
pub fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

impl Client {
    /// A client. `base` is the scheme, host and path before every request's own; `authorization` the
    /// whole header.
    pub fn new(
        network: &Network,
        base: String,
        format: Format,
        authorization: &Secret,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Client, ApiError> {
        let mut map = HeaderMap::new();
        let mut authorization = HeaderValue::from_str(authorization.expose()).map_err(|_| {
            ApiError::Setup("the credential has characters that no header can hold")
        })?;
        authorization.set_sensitive(true);
        map.insert(AUTHORIZATION, authorization);
        map.insert(
            ACCEPT,
            HeaderValue::from_static(match format {
                Format::Json => "application/json",
                Format::Xml => "application/xml",
            }),
        );
        map.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let is_plain = base.starts_with("http://");
        let inner = reqwest::Client::builder()
            .default_headers(map)
            .user_agent(concat!("warehouse/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(network.connect_timeout)
            .timeout(network.request_timeout)
            .redirect(reqwest::redirect::Policy::custom(|attempt| {
                let origin = |url: &reqwest::Url| {
                    (
                        url.scheme().to_owned(),
                        url.host_str().map(str::to_owned),
                        url.port_or_known_default(),
                    )
                };
                let first = attempt.previous().first().map(origin);
                if attempt.previous().len() <= 3 && first == Some(origin(attempt.url())) {
                    attempt.follow()
                } else {
                    attempt.stop()
                }
            }))
            .referer(false)
            .no_proxy()
            .https_only(!is_plain)
            // Reading the system's certificates takes milliseconds and may fail where there are none.
            .tls_built_in_root_certs(!is_plain)
            .pool_idle_timeout(Duration::from_secs(50))
            .tcp_nodelay(true)
            .build()
            .map_err(|_| {
                ApiError::Setup("no TLS configuration or no certificates of this system")
            })?;
        Ok(Client {
            inner,
            base,
            format,
            max_body: network.max_body,
            timeout: network.request_timeout,
        })
    }

    /// The format of answers.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Sends a request and reads the whole answer, whatever its status.
    pub async fn send(&self, request: &Request) -> Result<Reply, ApiError> {
        let url = format!("{}/{}", self.base, request.path);
        let builder = match request.method {
            Method::Get => self.inner.get(url),
            Method::Post => self.inner.post(url),
        };
        let builder = match &request.body {
            Some(body) => {
                builder.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone())
            }
            None => builder,
        };
        let failed = |error: &reqwest::Error| self.failure(request, error);
        let mut response = builder.send().await.map_err(|error| failed(&error))?;
        let status = response.status().as_u16();
        if response.status().is_redirection() {
            return Err(ApiError::Redirect { endpoint: request.endpoint() });
        }
        let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
        let retry_after = header(reqwest::header::RETRY_AFTER).and_then(retry_after);
        let is_gzip = header(reqwest::header::CONTENT_ENCODING)
            .is_some_and(|encoding| encoding.eq_ignore_ascii_case("gzip"));
        let content_type = header(reqwest::header::CONTENT_TYPE).unwrap_or_default();
        let has_format = content_type.to_ascii_lowercase().contains(match self.format {
            Format::Json => "json",
            Format::Xml => "xml",
        });
        let too_large =
            || ApiError::TooLarge { endpoint: request.endpoint(), limit: self.max_body };
        let mut raw = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
            if raw.len() + chunk.len() > self.max_body {
                return Err(too_large());
            }
            raw.extend_from_slice(&chunk);
        }
        let received = raw.len();
        let malformed = |what, cut| ApiError::Malformed { endpoint: request.endpoint(), what, cut };
        if is_gzip && !raw.is_empty() {
            let mut out = Vec::new();
            let limit = self.max_body as u64 + 1;
            let read = MultiGzDecoder::new(raw.as_slice()).take(limit).read_to_end(&mut out);
            read.map_err(|_| malformed("its compression is damaged or cut", true))?;
            if out.len() > self.max_body {
                return Err(too_large());
            }
            raw = out;
        }
        let body = match String::from_utf8(raw) {
            Ok(body) => body,
            // Of an error page only the status counts.
            Err(error) if status >= 400 => String::from_utf8_lossy(error.as_bytes()).into_owned(),
            Err(_) => return Err(malformed("it is not UTF-8", false)),
        };
        Ok(Reply { status, retry_after, has_format, body, received })
    }

    fn failure(&self, request: &Request, error: &reqwest::Error) -> ApiError {
        let endpoint = request.endpoint();
        if error.is_connect() && error.is_timeout() {
            ApiError::Connection { endpoint, what: NOT_REACHED }
        } else if error.is_connect() {
            ApiError::Connection { endpoint, what: NOT_MADE }
        } else if error.is_timeout() {
            ApiError::Timeout { endpoint, after: self.timeout }
        } else if error.is_builder() {
            ApiError::Bug("a request has a path that is none")
        } else {
            ApiError::Connection { endpoint, what: CUT }
        }
    }
}

/// Seconds; dates (RFC 9110, 10.2.3) are not sent by these services and are ignored.
fn retry_after(value: &str) -> Option<Duration> {
    value.trim().parse::<u32>().ok().map(|seconds| Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_cannot_leave_their_place() {
        assert_eq!(segment("a b/c?d#e%"), "a%20b%2Fc%3Fd%23e%25");
        assert!(!is_segment("..") && is_segment("..."));
        assert_eq!(segment("ü"), "%C3%BC");
    }

    #[test]
    fn debug_shows_no_credential() {
        let secret = Secret::new("Bearer patCANARY");
        let network = Network::default();
        let base = "http://127.0.0.1:1".to_owned();
        let client = Client::new(&network, base, Format::Json, &secret, &[]).expect("a client");
        assert!(!format!("{client:?}").contains("CANARY"));
    }
}
