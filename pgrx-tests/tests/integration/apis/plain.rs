//! Plain HTTP/1.1 without a library, so that a test sees what is on the wire.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde_json::Value;

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// The header lines in lower case.
    pub head: String,
    /// The body as it came, and whether all that was promised came.
    pub body: Vec<u8>,
    pub whole: bool,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| self.text())
    }

    pub fn unzipped(&self) -> Result<String> {
        let mut text = String::new();
        GzDecoder::new(&self.body[..]).read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Sends one request and reads until the other side closes.
pub fn send(port: u16, head: &str, headers: &[&str], body: &str) -> Result<Reply> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut request = format!("{head} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n");
    for header in headers {
        request.push_str(header);
        request.push_str("\r\n");
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    // A connection that breaks ends like one that is closed; `whole` tells them apart.
    let ended = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.with_context(|| format!("no answer to {head}: {ended:?}"))?;
    let text = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = text.split(' ').nth(1).context("no status")?.parse()?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(Ok(0), str::parse)?;
    let body = bytes[end + 4..].to_vec();
    Ok(Reply { status, whole: body.len() == length, head: text, body })
}
