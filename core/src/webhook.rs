//! Messages that are posted to a URL: Slack, Teams, a pager, a function of one's own.
//!
//! The URL is a secret as often as not (its path is what lets a message in), so that nothing here says
//! more of it than the host.

use reqwest::{StatusCode, Url};
use std::time::Duration;

/// Time for one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pauses before it is tried again.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// Why a message did not arrive, or will never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The URL is none that messages are posted to.
    #[error("the URL is not https://host/…, nor http:// with a loopback address")]
    Url,
    /// The client cannot be made.
    #[error("HTTP cannot be spoken: {0}")]
    Setup(String),
    /// The service answered with another status than 2xx.
    #[error("{host} answered with status {status}")]
    Status {
        /// The service.
        host: String,
        /// The status.
        status: u16,
    },
    /// No answer.
    #[error("{host} {what}")]
    Unreachable {
        /// The service.
        host: String,
        /// What happened.
        what: &'static str,
    },
}

/// Where messages are posted to.
#[derive(Clone)]
pub struct Webhook {
    client: reqwest::Client,
    url: Url,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({})", self.host())
    }
}

/// Whether a text means a URL, however wrong it may be.
pub fn is_url(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// A URL that messages may be posted to.
///
/// # Errors
/// [`WebhookError::Url`] for any other scheme than `https`, but for `http` to a loopback address.
fn checked(text: &str) -> Result<Url, WebhookError> {
    let url = Url::parse(text.trim()).map_err(|_| WebhookError::Url)?;
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = host == "localhost"
        || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    match url.scheme() {
        "https" if !host.is_empty() => Ok(url),
        "http" if is_loopback => Ok(url),
        _ => Err(WebhookError::Url),
    }
}

/// Whether messages may be posted to a URL.
///
/// # Errors
/// [`WebhookError::Url`] with what is wrong.
pub fn check(text: &str) -> Result<(), WebhookError> {
    checked(text).map(drop)
}

impl Webhook {
    /// For a URL. Redirects are not followed: whoever moves away does not take messages along.
    ///
    /// # Errors
    /// [`WebhookError::Url`], and [`WebhookError::Setup`] if there are no certificates.
    pub fn new(url: &str) -> Result<Webhook, WebhookError> {
        let url = checked(url)?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("warehouse/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TIMEOUT / 2)
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .no_proxy()
            .http1_only()
            .build()
            .map_err(|error| WebhookError::Setup(error.without_url().to_string()))?;
        Ok(Webhook { client, url })
    }

    /// The host, which is no secret.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or("the host")
    }

    /// Posts a JSON text. It is tried four times within half a minute where the service is not there,
    /// fails, or has too much to do.
    ///
    /// # Errors
    /// What happened the last time.
    pub async fn post(&self, json: &str) -> Result<(), WebhookError> {
        self.post_with(json, &PAUSES).await
    }

    async fn post_with(&self, json: &str, pauses: &[Duration]) -> Result<(), WebhookError> {
        let mut pauses = pauses.iter();
        loop {
            let error = match self.attempt(json).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let passes = match &error {
                WebhookError::Status { status, .. } => matches!(status, 408 | 429 | 500..),
                WebhookError::Unreachable { .. } => true,
                WebhookError::Url | WebhookError::Setup(_) => false,
            };
            match pauses.next().filter(|_| passes) {
                Some(pause) => tokio::time::sleep(*pause).await,
                None => return Err(error),
            }
        }
    }

    async fn attempt(&self, json: &str) -> Result<(), WebhookError> {
        let request = self.client.post(self.url.clone());
        let request = request.header(reqwest::header::CONTENT_TYPE, "application/json");
        let host = self.host().to_owned();
        match request.body(json.to_owned()).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => {
                let status = StatusCode::as_u16(&answer.status());
                Err(WebhookError::Status { host, status })
            }
            Err(error) => {
                let what = match () {
                    () if error.is_timeout() => "did not answer in time",
                    () if error.is_connect() => "cannot be reached",
                    () => "broke the connection off",
                };
                Err(WebhookError::Unreachable { host, what })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    #[test]
    fn urls() {
        for right in
            ["https://hooks.example.com/T0/secret", "http://127.0.0.1:9/x", "http://[::1]/"]
        {
            assert_eq!(check(right), Ok(()), "{right}");
        }
        for wrong in ["http://hooks.example.com/", "ftp://127.0.0.1/", "https://", "x", "file:///x"]
        {
            assert_eq!(check(wrong), Err(WebhookError::Url), "{wrong}");
        }
        assert!(is_url("htp://x") && !is_url("public.note_incident") && !is_url("://"));
    }

    /// Answers one connection after the other with these statuses; gives what it was sent.
    fn server(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            for status in statuses {
                let (mut stream, _) = listener.accept().unwrap();
                let mut bytes = [0; 4096];
                let mut text = String::new();
                while !text.ends_with('}') {
                    let read = stream.read(&mut bytes).unwrap();
                    text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
                }
                seen.push(text);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).unwrap();
            }
            seen
        });
        (url, thread)
    }

    fn post(url: &str) -> Result<(), WebhookError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let webhook = Webhook::new(url).unwrap();
        runtime.block_on(webhook.post_with("{\"event\":\"failure\"}", &[Duration::ZERO; 2]))
    }

    #[test]
    fn what_passes_is_tried_again() {
        let (url, thread) = server(&[503, 429, 204]);
        assert_eq!(post(&url), Ok(()));
        let seen = thread.join().unwrap();
        assert_eq!(seen.len(), 3);
        assert!(
            seen[2].starts_with("POST /secret ") && seen[2].ends_with("{\"event\":\"failure\"}")
        );
        assert!(seen[2].to_lowercase().contains("content-type: application/json"));
    }

    #[test]
    fn what_stays_is_told_without_the_secret() {
        let (url, thread) = server(&[404]);
        let error = post(&url).unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.1 answered with status 404");
        thread.join().unwrap();
        // Nobody listens there any more.
        let error = post(&url).unwrap_err();
        assert_eq!(error.to_string(), "127.0.0.1 cannot be reached");
        let (url, thread) = server(&[302]);
        assert_eq!(post(&url).unwrap_err().to_string(), "127.0.0.1 answered with status 302");
        thread.join().unwrap();
    }
}
