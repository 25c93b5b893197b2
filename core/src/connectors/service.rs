//! One service with one credential: permits, attempts and errors of its requests.
//!
//! Every connector's requests pass through [`Service::exchange`]; there is no other way to the
//! network.

use super::error::ApiError;
use super::host::{Host, Limit, Notice, Permit};
use super::http::{Client, Format, Reply, Request};
use super::retry::{Policy, Retries};
use super::secret::Secret;
use super::statistics::Statistics;
use super::tree::{self, Tree};
use std::time::Duration;

/// What an API says in the body of an error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Its name for the error.
    pub code: Option<String>,
    /// Its message.
    pub message: Option<String>,
    /// It says that asking again may help, though the status does not.
    pub transient: bool,
}

/// A whole answer with a status of success.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The root element of XML; empty for JSON.
    pub root: String,
    /// The content.
    pub tree: Tree,
}

/// One service with one credential.
#[derive(Debug)]
pub struct Service {
    /// The HTTP client.
    pub client: Client,
    /// How it is asked again.
    pub policy: Policy,
    /// How long, from the first failure on: of a request, and of those that a cursor has in its place.
    pub retry_timeout: Duration,
    /// Reads the body of an error.
    pub said: fn(status: u16, body: &str) -> Said,
    /// What no message may show.
    pub secrets: Vec<Secret>,
}

/// The most characters of an API's message that are passed on.
const MESSAGE: usize = 300;

impl Service {
    /// Sends a request, as often as it takes, and reads the answer.
    pub async fn exchange(
        &self,
        host: &dyn Host,
        limits: &[Limit],
        statistics: &Statistics,
        request: &Request,
    ) -> Result<Answer, ApiError> {
        let mut retries = Retries::default();
        let mut first_failure = None;
        loop {
            let permits = self.permits(host, limits, statistics).await?;
            statistics.request();
            let result = self.attempt(statistics, request).await;
            drop(permits);
            let error = match result {
                Ok(answer) => {
                    statistics.succeeded();
                    return Ok(answer);
                }
                Err(error) => error,
            };
            // Counted from this request's first failure, or from that of the requests in whose place
            // it is.
            let now = host.now();
            let first = statistics.failed(now).min(*first_failure.get_or_insert(now));
            let since = Duration::from_micros(now.saturating_sub(first));
            let left = self.retry_timeout.saturating_sub(since);
            let wait = retries
                .after(&self.policy, &error, host.random(), left)
                .filter(|_| retries.failed < request.attempts);
            let Some(wait) = wait else { return Err(error) };
            statistics.retry();
            statistics.wait(wait);
            let endpoint = request.endpoint().to_string();
            host.notice(&Notice::Retry { endpoint, why: error.to_string(), after: wait });
            if let (ApiError::RateLimited { .. }, Some(limit)) = (&error, limits.first()) {
                host.defer(limit.key, wait);
            }
            host.sleep(wait).await;
        }
    }

    async fn permits(
        &self,
        host: &dyn Host,
        limits: &[Limit],
        statistics: &Statistics,
    ) -> Result<Vec<Permit>, ApiError> {
        let before = host.now();
        let mut permits = Vec::with_capacity(limits.len());
        for limit in limits {
            permits.push(host.acquire(*limit).await?);
        }
        statistics.wait(Duration::from_micros(host.now().saturating_sub(before)));
        Ok(permits)
    }

    async fn attempt(
        &self,
        statistics: &Statistics,
        request: &Request,
    ) -> Result<Answer, ApiError> {
        let reply = self.client.send(request).await?;
        statistics.received(reply.received);
        if !(200..300).contains(&reply.status) {
            return Err(self.error(request, &reply));
        }
        let malformed = |what, cut| ApiError::Malformed { endpoint: request.endpoint(), what, cut };
        if !reply.has_format {
            // A proxy's page in place of the answer may be gone in a moment.
            return Err(malformed("it is of another content type", true));
        }
        let unreadable = |error: tree::Unreadable| malformed(error.what, error.cut);
        match self.client.format() {
            Format::Json => {
                let tree = tree::parse_json(&reply.body).map_err(unreadable)?;
                Ok(Answer { root: String::new(), tree })
            }
            Format::Xml => {
                let document = tree::parse_xml(&reply.body).map_err(unreadable)?;
                Ok(Answer { root: document.root, tree: document.tree })
            }
        }
    }

    fn error(&self, request: &Request, reply: &Reply) -> ApiError {
        let endpoint = request.endpoint();
        let Said { code, message, transient } = (self.said)(reply.status, &reply.body);
        let message = message.map(|text| self.presentable(&text)).filter(|text| !text.is_empty());
        let code = code.map(|text| self.presentable(&text));
        let (status, retry_after) = (reply.status, reply.retry_after);
        match status {
            401 | 403 => ApiError::Refused { endpoint, status, message },
            404 => ApiError::NotFound { endpoint },
            429 => ApiError::RateLimited { endpoint, status, message, retry_after },
            503 if retry_after.is_some() => {
                ApiError::RateLimited { endpoint, status, message, retry_after }
            }
            408 | 425 | 500.. => ApiError::Service { endpoint, status, message },
            _ if transient => ApiError::Service { endpoint, status, message },
            _ => ApiError::Rejected { endpoint, status, code, message },
        }
    }

    /// A message of the API, short, of one line, without credentials.
    fn presentable(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = secret.scrub(&text);
        }
        let flat = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut out: String = flat.take(MESSAGE).collect();
        out.truncate(out.trim_end().len());
        out
    }
}
