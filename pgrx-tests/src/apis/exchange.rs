//! What comes in and what goes out, apart from the web server that carries it.

use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

/// One request, with its whole body.
#[derive(Debug)]
pub struct Request {
    /// `GET`, `POST` and so on.
    pub method: Method,
    /// Path and query as they were sent.
    pub target: String,
    /// The parts of the path between slashes, decoded; a slash at the end leaves no part.
    pub segments: Vec<String>,
    /// The query's names and values, decoded, in order.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// Takes a request apart.
    pub fn new(method: Method, uri: &Uri, headers: HeaderMap, body: Vec<u8>) -> Request {
        let segments = uri.path().split('/').filter(|part| !part.is_empty());
        let segments = segments.map(|part| decode(part, false)).collect();
        let query = uri.query().unwrap_or("").split('&').filter(|pair| !pair.is_empty());
        let query = query
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                (decode(name, true), decode(value, true))
            })
            .collect();
        let target = uri.path_and_query().map_or_else(String::new, ToString::to_string);
        Request { method, target, segments, query, headers, body }
    }

    /// The parts of the path.
    pub fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The first value of `name` in the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the client takes a compressed answer.
    pub fn takes_gzip(&self) -> bool {
        self.header("accept-encoding").is_some_and(|encodings| encodings.contains("gzip"))
    }
}

/// Replaces `%41` by what it stands for, and in a query `+` by a blank.
pub fn decode(text: &str, query: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let code = (byte == b'%' && tail.len() >= 2 && tail[..2].iter().all(u8::is_ascii_hexdigit))
            .then(|| std::str::from_utf8(&tail[..2]).ok())
            .flatten()
            .and_then(|code| u8::from_str_radix(code, 16).ok());
        match code {
            Some(code) => {
                bytes.push(code);
                rest = &tail[2..];
            }
            None if query && byte == b'+' => bytes.push(b' '),
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers in lower case, without the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body before any compression.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer of `content_type`.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        let headers = vec![("content-type", content_type.to_owned())];
        Answer { status, headers, body: body.into() }
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    /// A JSON answer.
    pub fn json(status: u16, value: &Value) -> Answer {
        Answer::new(status, "application/json; charset=utf-8", value.to_string())
    }

    /// The page that a proxy in front of a service shows when the service is away.
    pub fn html(status: u16) -> Answer {
        let page = "<!DOCTYPE html>\n<html><head><title>Sorry</title></head>\
                    <body><h1>We'll be back soon</h1></body></html>\n";
        Answer::new(status, "text/html; charset=utf-8", page)
    }

    /// The same with one more header, whose name is in lower case.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }
}
