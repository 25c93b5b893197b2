//! Posts to the URL that `warehouse.on_failure` may be, while the scheduler goes on.
//!
//! What a transaction wants told waits in the outbox until it has committed. Posts run on a runtime of
//! this process, which starts no thread; the scheduler lets them go on for a moment whenever it looks
//! around, and looks around more often as long as there are any.

use super::failure;
use serde_json::Value;
use std::cell::RefCell;
use std::fs;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use warehouse_core::webhook::{Webhook, WebhookError};

/// Messages on their way at most; one more is dropped, and that is logged.
const MOST: usize = 100;
/// How long posts go on at a time.
const SLICE: Duration = Duration::from_millis(20);
/// How often, as long as there are any.
const OFTEN: Duration = Duration::from_millis(50);

type Post = Pin<Box<dyn Future<Output = Result<(), WebhookError>>>>;

#[derive(Default)]
struct Mail {
    outbox: Vec<String>,
    /// The URL that the client is for.
    webhook: Option<(String, Rc<Webhook>)>,
    runtime: Option<tokio::runtime::Runtime>,
    posts: Vec<Post>,
}

thread_local! {
    // A process is one thread.
    static MAIL: RefCell<Mail> = RefCell::new(Mail::default());
}

/// Posts a message once the transaction has committed.
pub fn enclose(message: &Value) {
    MAIL.with_borrow_mut(|mail| mail.outbox.push(message.to_string()));
}

/// The transaction was rolled back: nothing of it is told.
pub fn rolled_back() {
    MAIL.with_borrow_mut(|mail| mail.outbox.clear());
}

/// The transaction has committed: its messages are on their way to this URL, or to the one that a file
/// holds.
pub fn committed(target: Option<&str>) {
    let told = MAIL.with_borrow_mut(|mail| {
        let messages = std::mem::take(&mut mail.outbox);
        match target {
            Some(target) if !messages.is_empty() => match url(target) {
                Ok(url) => mail.post(&url, messages),
                Err(told) => vec![told],
            },
            _ => Vec::new(),
        }
    });
    told.iter().for_each(|text| failure::log(text));
}

fn url(target: &str) -> Result<String, String> {
    if !target.starts_with('/') {
        return Ok(target.to_owned());
    }
    let text = fs::read_to_string(target)
        .map_err(|error| format!("warehouse.on_failure: \"{target}\" cannot be read: {error}"))?;
    Ok(text.trim().to_owned())
}

/// Lets posts go on; says how long the scheduler may sleep.
pub fn go_on(pause: Duration) -> Duration {
    let (told, is_busy) = MAIL.with_borrow_mut(|mail| (mail.drive(), !mail.posts.is_empty()));
    told.iter().for_each(|text| failure::log(text));
    if is_busy { pause.min(OFTEN) } else { pause }
}

/// Whether messages are on their way.
pub fn is_busy() -> bool {
    MAIL.with_borrow(|mail| !mail.posts.is_empty())
}

impl Mail {
    /// What is to be logged.
    fn post(&mut self, url: &str, messages: Vec<String>) -> Vec<String> {
        let webhook = match self.client(url) {
            Ok(webhook) => webhook,
            Err(error) => return vec![format!("warehouse.on_failure: {error}")],
        };
        let mut told = Vec::new();
        for message in messages {
            if self.posts.len() >= MOST {
                told.push(format!(
                    "warehouse.on_failure: a message was dropped, {MOST} are on their way"
                ));
                continue;
            }
            let webhook = Rc::clone(&webhook);
            self.posts.push(Box::pin(async move { webhook.post(&message).await }));
        }
        told
    }

    fn client(&mut self, url: &str) -> Result<Rc<Webhook>, WebhookError> {
        if let Some((known, webhook)) = &self.webhook
            && known == url
        {
            return Ok(Rc::clone(webhook));
        }
        if self.runtime.is_none() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| WebhookError::Setup(error.to_string()))?;
            self.runtime = Some(runtime);
        }
        let webhook = Rc::new(Webhook::new(url)?);
        self.webhook = Some((url.to_owned(), Rc::clone(&webhook)));
        Ok(webhook)
    }

    /// Lets posts go on for a moment; gives what is to be logged.
    fn drive(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        let (Some(runtime), false) = (&self.runtime, self.posts.is_empty()) else { return told };
        let posts = &mut self.posts;
        let all = poll_fn(|context| {
            posts.retain_mut(|post| match post.as_mut().poll(context) {
                Poll::Pending => true,
                Poll::Ready(Ok(())) => false,
                Poll::Ready(Err(error)) => {
                    told.push(format!("warehouse.on_failure: {error}"));
                    false
                }
            });
            if posts.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        });
        // The time is up or all have arrived.
        let _ = runtime.block_on(async { tokio::time::timeout(SLICE, all).await });
        told
    }
}
