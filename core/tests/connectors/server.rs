//! A server that answers as a closure says.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: String,
    pub body: String,
}

impl Received {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or(serde_json::Value::Null)
    }
}

/// What is answered.
#[derive(Clone)]
pub struct Scripted {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is cut after so many bytes of the body.
    pub cut: Option<usize>,
    /// Nothing is ever answered.
    pub hang: bool,
    /// The answer takes so long.
    pub delay: Duration,
    /// The answer waits until the server has had so many requests at once, or [`PATIENCE`] is over.
    pub together: usize,
}

/// How long an answer waits for other requests.
const PATIENCE: Duration = Duration::from_secs(10);

impl Scripted {
    pub fn new(status: u16, of: &str, body: impl Into<Vec<u8>>) -> Scripted {
        let headers = vec![("content-type".to_owned(), of.to_owned())];
        Scripted {
            status,
            headers,
            body: body.into(),
            cut: None,
            hang: false,
            delay: Duration::ZERO,
            together: 0,
        }
    }

    pub fn xml(body: impl Into<Vec<u8>>) -> Scripted {
        Scripted::new(200, "application/xml; charset=utf-8", body)
    }

    pub fn json(body: impl Into<Vec<u8>>) -> Scripted {
        Scripted::new(200, "application/json; charset=utf-8", body)
    }

    pub fn status(status: u16) -> Scripted {
        Scripted::new(status, "text/html", "<html>nope</html>")
    }

    pub fn with(mut self, name: &str, value: &str) -> Scripted {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut(mut self, at: usize) -> Scripted {
        self.cut = Some(at);
        self
    }

    pub fn gzip(mut self) -> Scripted {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&self.body).expect("memory");
        self.body = encoder.finish().expect("memory");
        self.with("content-encoding", "gzip")
    }
}

type Answer = Arc<dyn Fn(usize, &Received) -> Scripted + Send + Sync>;

/// A server; it lives as long as the runtime it was started on.
pub struct Server {
    pub endpoint: String,
    pub log: Arc<Mutex<Vec<Received>>>,
    /// Requests that were in the server at once, at most.
    pub busiest: Arc<AtomicUsize>,
}

impl Server {
    /// Starts one; `answer` is given the number of the request from 0.
    pub async fn start(
        answer: impl Fn(usize, &Received) -> Scripted + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let busiest = Arc::new(AtomicUsize::new(0));
        let now = Arc::new(AtomicUsize::new(0));
        let answer: Answer = Arc::new(answer);
        let (to, most) = (log.clone(), busiest.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answer.clone(), to.clone(), now.clone(), most.clone()));
            }
        });
        Server { endpoint, log, busiest }
    }

    pub fn requests(&self) -> Vec<Received> {
        self.log.lock().expect("the log").clone()
    }

    pub fn count(&self) -> usize {
        self.requests().len()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: Answer,
    log: Arc<Mutex<Vec<Received>>>,
    now: Arc<AtomicUsize>,
    busiest: Arc<AtomicUsize>,
) {
    let mut buffer = Vec::new();
    stream.set_nodelay(true).expect("a socket");
    loop {
        let Some(received) = receive(&mut stream, &mut buffer).await else { return };
        busiest.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let number = {
            let mut log = log.lock().expect("the log");
            log.push(received.clone());
            log.len() - 1
        };
        let scripted = answer(number, &received);
        if !scripted.delay.is_zero() {
            tokio::time::sleep(scripted.delay).await;
        }
        let arrived = Instant::now();
        while busiest.load(Ordering::SeqCst) < scripted.together && arrived.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        now.fetch_sub(1, Ordering::SeqCst);
        if scripted.hang {
            std::future::pending::<()>().await;
        }
        let mut head = format!("HTTP/1.1 {} x\r\n", scripted.status);
        for (name, value) in &scripted.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("content-length: {}\r\n\r\n", scripted.body.len()));
        let mut whole = head.into_bytes();
        whole.extend(&scripted.body[..scripted.cut.unwrap_or(scripted.body.len())]);
        if stream.write_all(&whole).await.is_err() {
            return;
        }
        if scripted.cut.is_some() {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

async fn receive(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0_usize);
    while buffer.len() < end + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
    buffer.drain(..end + 4 + length);
    let (first, headers) = head.split_once("\r\n").unwrap_or((&head, ""));
    Some(Received {
        path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
        headers: headers.to_owned(),
        body,
    })
}
