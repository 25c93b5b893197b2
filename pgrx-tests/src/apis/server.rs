//! The web server that an emulator runs in: a thread of its own with a runtime of its own, on a
//! loopback port, until it is dropped.

use std::convert::Infallible;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, ready};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderValue, StatusCode, request};
use axum::response::Response;
use axum::serve::ListenerExt;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::control;
use super::exchange::{Answer, Request};
use super::fault::{Fault, Faults, What};
use super::log::{Place, RequestLog};
use crate::listener::Listener;

/// A larger request is answered with 413.
const LARGEST_REQUEST: usize = 8 << 20;

/// How long a cut answer stands before the connection breaks, so that its beginning arrives.
const BEFORE_THE_CUT: Duration = Duration::from_millis(50);

/// A service that can be emulated.
pub trait Api: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: &Request) -> Answer;

    /// The answer that this service gives with an error status.
    fn refusal(&self, status: u16) -> Answer;

    /// An answer that only this service has, for [`What::Named`].
    fn named(&self, name: &str) -> Option<Answer>;

    /// Changes data or behaviour, for [`What::Change`] and `/__control/change`.
    fn change(&self, change: &Value) -> Result<()>;

    /// The kinds of records that [`Api::each`] knows.
    fn kinds(&self) -> Vec<String>;

    /// Shows every record of a kind as it is now; an error if there is no such kind.
    fn each(&self, kind: &str, show: &mut dyn FnMut(&Value)) -> Result<()>;
}

/// A running emulator. It ends, connections and all, when it is dropped.
#[derive(Debug)]
pub struct Emulator<A: Api> {
    hub: Arc<Hub<A>>,
    port: u16,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the server's tasks share with the handle.
#[derive(Debug)]
pub(super) struct Hub<A> {
    pub(super) api: A,
    pub(super) log: RequestLog,
    pub(super) faults: Faults,
    /// What every answer waits for, in microseconds.
    delay: AtomicU64,
}

impl<A: Api> Emulator<A> {
    /// Starts on a free port.
    pub fn start(api: A) -> Result<Emulator<A>> {
        Emulator::serve(api, Listener::start()?)
    }

    /// Starts on this port of the loopback interface.
    pub fn start_on(api: A, port: u16) -> Result<Emulator<A>> {
        let listener =
            Listener::on(port).with_context(|| format!("cannot listen on port {port}"))?;
        Emulator::serve(api, listener)
    }

    fn serve(api: A, listener: Listener) -> Result<Emulator<A>> {
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let accepting = listener.try_clone()?;
        let hub = Arc::new(Hub {
            api,
            log: RequestLog::new(),
            faults: Faults::default(),
            delay: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("emulator")
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let (stop, stopped) = oneshot::channel();
        let router = router(Arc::clone(&hub));
        let thread = thread::spawn(move || {
            runtime.block_on(async move {
                let accepting = match tokio::net::TcpListener::from_std(accepting) {
                    Ok(accepting) => accepting.tap_io(|stream| {
                        // Without it everything works, only later.
                        let _ = stream.set_nodelay(true);
                    }),
                    Err(error) => return eprintln!("emulator: cannot listen: {error}"),
                };
                let serving = async { axum::serve(accepting, router).await };
                tokio::select! {
                    _ = serving => {}
                    _ = stopped => {}
                }
            });
            drop(listener);
            // Connections that are open, stalled ones among them, end here.
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        Ok(Emulator { hub, port, stop: Some(stop), thread: Some(thread) })
    }

    /// The service itself.
    pub fn api(&self) -> &A {
        &self.hub.api
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests so far.
    pub fn log(&self) -> &RequestLog {
        &self.hub.log
    }

    /// Arms a fault.
    pub fn arm(&self, fault: Fault) {
        self.hub.faults.arm(fault);
    }

    /// The faults that are armed.
    pub fn faults(&self) -> &Faults {
        &self.hub.faults
    }

    /// Lets every answer wait so long from now on: the way to the service and back.
    pub fn set_delay(&self, delay: Duration) {
        self.hub.set_delay(delay);
    }

    /// Changes data or behaviour at once; see the service's module for what there is.
    pub fn change(&self, change: &Value) -> Result<()> {
        self.hub.api.change(change)
    }

    /// Every record of a kind as it is now: what a reader must find.
    pub fn truth(&self, kind: &str) -> Result<Vec<Value>> {
        let mut records = Vec::new();
        self.hub.api.each(kind, &mut |record| records.push(record.clone()))?;
        Ok(records)
    }

    /// Waits until the server ends, which it does not by itself.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported already.
            let _ = thread.join();
        }
    }
}

impl<A: Api> Drop for Emulator<A> {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The other side may have ended.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of that thread has been reported already.
            let _ = thread.join();
        }
    }
}

impl<A> Hub<A> {
    pub(super) fn set_delay(&self, delay: Duration) {
        let delay = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.delay.store(delay, Ordering::SeqCst);
    }
}

fn router<A: Api>(hub: Arc<Hub<A>>) -> Router {
    Router::new().fallback(move |request: axum::extract::Request| {
        let hub = Arc::clone(&hub);
        async move { Ok::<_, Infallible>(handle(&hub, request).await) }
    })
}

async fn handle<A: Api>(hub: &Hub<A>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let request::Parts { method, uri, headers, .. } = parts;
    let Ok(body) = to_bytes(body, LARGEST_REQUEST).await else {
        return respond::<A>(hub.api.refusal(413), None, End::Whole);
    };
    let request = Request::new(method, &uri, headers, body.into());
    if request.segments.first().is_some_and(|first| first == control::PATH) {
        return respond::<A>(control::answer(hub, &request), None, End::Whole);
    }
    let place = hub.log.begin(request.method.as_str(), &request.target, &request.body);
    let wait = Duration::from_micros(hub.delay.load(Ordering::SeqCst));
    if !wait.is_zero() {
        sleep(wait).await;
    }
    let mut end = End::Whole;
    let mut given = None;
    for what in hub.faults.take(&request) {
        hub.log.change(place, |entry, _| entry.fault = Some(what.name()));
        match what {
            What::Delay(delay) => sleep(delay).await,
            What::Change(change) => {
                if let Err(error) = hub.api.change(&change) {
                    given = Some(Answer::new(500, "text/plain", format!("{error:#}")));
                }
            }
            What::Stall => std::future::pending().await,
            What::Cut(bytes) => end = End::Cut(bytes),
            What::TruncatedGzip(bytes) => end = End::Short(bytes),
            What::Html(status) => given = Some(Answer::html(status)),
            What::Answer(answer) => given = Some(answer),
            What::Named(name) => given = Some(named(hub, &name)),
            What::Status(status, retry_after) => {
                let answer = hub.api.refusal(status);
                given = Some(match retry_after {
                    Some(seconds) => answer.with("retry-after", seconds.to_string()),
                    None => answer,
                });
            }
        }
    }
    let answer = given.unwrap_or_else(|| hub.api.answer(&request));
    let answer = compress(answer, &request, end);
    respond(answer, Some((hub, place)), end)
}

fn named<A: Api>(hub: &Hub<A>, name: &str) -> Answer {
    hub.api.named(name).unwrap_or_else(|| {
        Answer::new(500, "text/plain", format!("the emulator knows no answer named {name}"))
    })
}

/// How an answer's body ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Whole,
    /// After so many bytes the connection breaks.
    Cut(usize),
    /// Only so many bytes of the compressed body are all there is.
    Short(usize),
}

fn compress(mut answer: Answer, request: &Request, end: End) -> Answer {
    let encoded = answer.headers.iter().any(|(name, _)| *name == "content-encoding");
    let short = matches!(end, End::Short(_));
    if answer.body.is_empty() || encoded || !(request.takes_gzip() || short) {
        return answer;
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = encoder.write_all(&answer.body).and_then(|()| encoder.finish());
    if let Ok(packed) = packed {
        answer.body = packed;
        answer = answer.with("content-encoding", "gzip");
    }
    if let End::Short(bytes) = end {
        answer.body.truncate(bytes);
    }
    answer
}

fn respond<A: Api>(answer: Answer, logged: Option<(&Hub<A>, Place)>, end: End) -> Response {
    if let Some((hub, place)) = logged {
        hub.log.change(place, |entry, now| {
            entry.took = Some(now.saturating_sub(entry.at));
            entry.status = answer.status;
            entry.bytes = answer.body.len();
        });
    }
    let length = answer.body.len();
    let body = match end {
        End::Cut(bytes) => {
            let kept = bytes.min(length);
            let start = Bytes::copy_from_slice(&answer.body[..kept]);
            Body::new(Broken { start: Some(start), timer: Box::pin(sleep(BEFORE_THE_CUT)) })
        }
        _ => Body::from(answer.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    // Of a cut answer the whole is promised, so that its reader can tell.
    response.headers_mut().insert("content-length", HeaderValue::from(length));
    response
}

/// A body that begins well and ends in an error, upon which the connection is closed.
struct Broken {
    start: Option<Bytes>,
    timer: Pin<Box<Sleep>>,
}

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        if let Some(start) = self.start.take().filter(|start| !start.is_empty()) {
            return Poll::Ready(Some(Ok(http_body::Frame::data(start))));
        }
        ready!(self.timer.as_mut().poll(context));
        Poll::Ready(Some(Err(std::io::Error::other("cut"))))
    }
}
