//! A TCP proxy whose behaviour can be switched while connections are open.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{TICK, accept, is_readable};
use crate::Cluster;
use crate::listener::Listener;
use crate::timing::eventually;

/// How much a delayed direction may hold before the proxy stops reading from the sender.
const LARGEST_QUEUE: usize = 16 << 20;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Forwards everything at once.
    Pass,
    /// Forwards everything this much later, in each direction.
    Delay(Duration),
    /// Accepts and holds connections, forwards nothing.
    Stall,
    /// Forwards this many further bytes of the server's answers (over all connections), then
    /// closes every connection.
    CutAfter(u64),
    /// Refuses new connections; open ones go on.
    Refuse,
}

/// A proxy in front of a server. It starts in [`Mode::Pass`].
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: (String, u16),
    mode: Mutex<Mode>,
    stop: AtomicBool,
    listening: AtomicBool,
    /// Counts the calls of [`Proxy::drop_connections`]; a connection of an earlier count ends.
    generation: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
    connections: AtomicUsize,
    accepted: AtomicUsize,
    /// What [`Mode::CutAfter`] still lets through.
    left: AtomicU64,
}

impl Proxy {
    /// A proxy in front of `cluster`'s TCP port.
    pub fn to_cluster(cluster: &Cluster) -> Result<Proxy> {
        Proxy::to(cluster.host(), cluster.port())
    }

    /// A proxy in front of `host` and `port`.
    pub fn to(host: &str, port: u16) -> Result<Proxy> {
        let listener = Listener::start()?;
        let own_port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            target: (host.to_owned(), port),
            mode: Mutex::new(Mode::Pass),
            stop: AtomicBool::new(false),
            listening: AtomicBool::new(true),
            generation: AtomicU64::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            accepted: AtomicUsize::new(0),
            left: AtomicU64::new(0),
        });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept_all(listener, own_port, &shared)
        });
        Ok(Proxy { port: own_port, shared, acceptor: Some(acceptor) })
    }

    /// The port to connect to, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Switches the behaviour; returns when it is in force.
    pub fn set(&self, mode: Mode) -> Result<()> {
        if let Mode::CutAfter(bytes) = mode {
            self.shared.left.store(bytes, Ordering::SeqCst);
        }
        *self.shared.mode() = mode;
        let wanted = mode != Mode::Refuse;
        eventually(Duration::from_secs(5), "the proxy changes its mode", || {
            Ok(self.shared.listening.load(Ordering::SeqCst) == wanted)
        })
    }

    /// Closes every open connection, and returns when they are closed.
    pub fn drop_connections(&self) -> Result<()> {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        eventually(Duration::from_secs(5), "the proxy drops connections", || {
            Ok(self.connections() == 0)
        })
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections were taken so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes were forwarded from clients to the server.
    pub fn bytes_to_server(&self) -> u64 {
        self.shared.to_server.load(Ordering::SeqCst)
    }

    /// How many bytes were forwarded from the server to clients.
    pub fn bytes_to_client(&self) -> u64 {
        self.shared.to_client.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(acceptor) = self.acceptor.take() {
            // A panic of that thread has been reported already.
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn accept_all(listener: Listener, port: u16, shared: &Arc<Shared>) {
    let mut listener = Some(listener);
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while !shared.stop.load(Ordering::SeqCst) {
        let refusing = *shared.mode() == Mode::Refuse;
        match (&listener, refusing) {
            (Some(_), true) => listener = None,
            (None, false) => listener = Listener::on(port).ok(),
            _ => {}
        }
        shared.listening.store(listener.is_some(), Ordering::SeqCst);
        let Some(open) = &listener else {
            thread::sleep(TICK);
            continue;
        };
        if let Ok(Some(client)) = accept(open) {
            shared.accepted.fetch_add(1, Ordering::SeqCst);
            shared.connections.fetch_add(1, Ordering::SeqCst);
            let shared = Arc::clone(shared);
            threads.push(thread::spawn(move || {
                // An error is an end of the connection like any other.
                let _ = serve(&client, &shared);
                let _ = client.shutdown(Shutdown::Both);
                shared.connections.fetch_sub(1, Ordering::SeqCst);
            }));
        }
        threads.retain(|thread| !thread.is_finished());
    }
    for thread in threads {
        // A panic of that thread has been reported already.
        let _ = thread.join();
    }
}

/// Forwards both directions until one ends.
fn serve(client: &TcpStream, shared: &Shared) -> Result<()> {
    let generation = shared.generation.load(Ordering::SeqCst);
    let server = TcpStream::connect((shared.target.0.as_str(), shared.target.1))?;
    for stream in [client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(TICK))?;
    }
    let open = AtomicBool::new(true);
    let forward = |from, to, bytes, answers| {
        let direction = Direction { from, to, bytes, answers, shared, open: &open, generation };
        // An error is an end of the connection like any other.
        let _ = direction.run();
        open.store(false, Ordering::SeqCst);
    };
    thread::scope(|scope| {
        scope.spawn(|| forward(client, &server, &shared.to_server, false));
        forward(&server, client, &shared.to_client, true);
    });
    // A process that is being started may hold a copy of it, as of the client's.
    let _ = server.shutdown(Shutdown::Both);
    Ok(())
}

/// One direction of one connection.
struct Direction<'a> {
    from: &'a TcpStream,
    to: &'a TcpStream,
    bytes: &'a AtomicU64,
    /// Whether these are the server's answers.
    answers: bool,
    shared: &'a Shared,
    /// Whether the other direction still runs.
    open: &'a AtomicBool,
    generation: u64,
}

impl Direction<'_> {
    fn run(&self) -> Result<()> {
        let mut buffer = vec![0u8; 64 << 10];
        let mut queue: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
        let mut queued = 0;
        loop {
            if self.mode()? == Mode::Stall {
                thread::sleep(TICK);
                continue;
            }
            let wait = queue
                .front()
                .map_or(TICK, |(due, _)| due.saturating_duration_since(Instant::now()).min(TICK));
            if queued >= LARGEST_QUEUE {
                thread::sleep(wait);
            } else if is_readable(self.from, wait) {
                match { self.from }.read(&mut buffer) {
                    Ok(0) => {
                        while let Some((due, chunk)) = queue.pop_front() {
                            thread::sleep(due.saturating_duration_since(Instant::now()));
                            self.send(&chunk)?;
                        }
                        return Ok(());
                    }
                    Ok(count) => {
                        // Asked after the wait: the mode may have changed meanwhile.
                        let delay = match self.mode()? {
                            Mode::Delay(delay) => delay,
                            _ => Duration::ZERO,
                        };
                        queue.push_back((Instant::now() + delay, buffer[..count].to_vec()));
                        queued += count;
                    }
                    Err(error) if is_timeout(&error) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if self.mode()? == Mode::Stall {
                continue;
            }
            while let Some((_, chunk)) = queue.pop_front_if(|(due, _)| *due <= Instant::now()) {
                queued -= chunk.len();
                self.send(&chunk)?;
            }
        }
    }

    /// An error when this connection has to end.
    fn check_open(&self) -> Result<()> {
        if self.shared.stop.load(Ordering::SeqCst)
            || !self.open.load(Ordering::SeqCst)
            || self.shared.generation.load(Ordering::SeqCst) != self.generation
        {
            bail!("closed");
        }
        Ok(())
    }

    /// The mode; an error when this connection has to end. A cut is the answers' to make: the
    /// other direction follows.
    fn mode(&self) -> Result<Mode> {
        self.check_open()?;
        let mode = *self.shared.mode();
        let cut = self.answers && matches!(mode, Mode::CutAfter(_));
        if cut && self.shared.left.load(Ordering::SeqCst) == 0 {
            bail!("cut");
        }
        Ok(mode)
    }

    fn send(&self, chunk: &[u8]) -> Result<()> {
        let mut allowed = chunk.len();
        if self.answers && matches!(self.mode()?, Mode::CutAfter(_)) {
            let take = |left: u64| Some(left.saturating_sub(chunk.len() as u64));
            let left = self.shared.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
            let left = left.unwrap_or_else(|left| left);
            allowed = allowed.min(usize::try_from(left).unwrap_or(usize::MAX));
        }
        // Counted first: who has received bytes finds them counted.
        self.bytes.fetch_add(allowed as u64, Ordering::SeqCst);
        let mut rest = &chunk[..allowed];
        let written = self.write(&mut rest);
        self.bytes.fetch_sub(rest.len() as u64, Ordering::SeqCst);
        written?;
        if allowed < chunk.len() {
            bail!("cut");
        }
        Ok(())
    }

    /// Writes `rest`, of which it leaves what could not be written.
    fn write(&self, rest: &mut &[u8]) -> Result<()> {
        while !rest.is_empty() {
            match { self.to }.write(rest) {
                Ok(count) => *rest = &rest[count..],
                // Somebody may have told this connection to end meanwhile.
                Err(error) if is_timeout(&error) => self.check_open()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
