//! `warehouse.replica_status()`: how every source is, asked of all of them at once.

use super::options::{MappingOptions, ServerOptions};
use super::registry::is_trusted;
use super::session::{keywords, remote_error};
use crate::pg::catalog;
use crate::pg::libpq::{Conn, ConnectPoll, Status as ResultStatus};
use crate::pg::wait::{self, For};
use pgrx::pg_sys::{self, Oid};
use std::time::{Duration, Instant};

/// What a source said.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// The server's name.
    pub server: String,
    /// It answered.
    pub reachable: bool,
    /// It is a standby.
    pub in_recovery: Option<bool>,
    /// Seconds since the last change that a standby has replayed; 0 when it has replayed all it has.
    pub replay_lag: Option<f64>,
    /// Its version.
    pub version: Option<String>,
    /// Time to connect and ask, in milliseconds.
    pub latency: Option<f64>,
    /// Why it did not answer.
    pub error: Option<String>,
}

/// A standby that has replayed all it received is behind by nothing, however old the last change is.
const STATUS_SQL: &str = "SELECT pg_catalog.pg_is_in_recovery()::text, \
  CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN NULL \
       WHEN pg_catalog.pg_last_wal_receive_lsn() IS NOT DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn() THEN 0 \
       ELSE extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp()) END::float8::text, \
  pg_catalog.current_setting('server_version')";

enum Phase {
    Connecting(For),
    Asking,
    Done,
}

struct Question {
    status: Status,
    conn: Option<Conn>,
    phase: Phase,
    began: Instant,
    deadline: Instant,
}

/// Asks all servers; returns when the last one has answered or its connect_timeout is over.
pub fn ask(servers: &[Oid]) -> Vec<Status> {
    // SAFETY: a plain question.
    let user = unsafe { pg_sys::GetUserId() };
    let mut questions: Vec<Question> = servers.iter().map(|oid| begin(*oid, user)).collect();
    loop {
        let waiting: Vec<(i32, For)> = questions
            .iter()
            .filter_map(|q| {
                let what = match q.phase {
                    Phase::Connecting(what) => what,
                    Phase::Asking => For::Read,
                    Phase::Done => return None,
                };
                Some((q.conn.as_ref()?.socket()?, what))
            })
            .collect();
        let next =
            questions.iter().filter(|q| !matches!(q.phase, Phase::Done)).map(|q| q.deadline).min();
        let Some(next) = next else { break };
        wait::any(&waiting, next.saturating_duration_since(Instant::now()));
        for question in &mut questions {
            question.step();
        }
    }
    questions.into_iter().map(|q| q.status).collect()
}

fn begin(server: Oid, user: Oid) -> Question {
    let server = catalog::server(server);
    let options = ServerOptions::parse(&server.options);
    let now = Instant::now();
    let mut question = Question {
        status: Status { server: server.name.clone(), ..Status::default() },
        conn: None,
        phase: Phase::Done,
        began: now,
        deadline: now + options.connect_timeout.max(Duration::from_secs(1)),
    };
    let Some(mapping) = catalog::mapping(user, server.oid) else {
        question.status.error = Some("no user mapping for this role".to_owned());
        return question;
    };
    let mapping = MappingOptions::parse(&mapping.options);
    if !is_trusted(user, &mapping) && !mapping.has_password {
        question.status.error = Some("a password is required in the user mapping".to_owned());
        return question;
    }
    match Conn::start(&keywords(&options, &mapping)) {
        Some(conn) if !conn.is_bad() => {
            question.conn = Some(conn);
            question.phase = Phase::Connecting(For::Write);
        }
        Some(conn) => question.status.error = Some(conn.message()),
        None => question.status.error = Some("libpq is out of memory".to_owned()),
    }
    question
}

impl Question {
    fn step(&mut self) {
        let Some(conn) = &self.conn else { return };
        let failure = match self.phase {
            Phase::Done => return,
            _ if Instant::now() >= self.deadline => {
                Some("no answer within connect_timeout".to_owned())
            }
            Phase::Connecting(what) => {
                let ready = conn.socket().is_none_or(|fd| wait::is_ready(fd, what));
                match ready.then(|| conn.poll()) {
                    None => None,
                    Some(ConnectPoll::Read) => {
                        self.phase = Phase::Connecting(For::Read);
                        None
                    }
                    Some(ConnectPoll::Write) => {
                        self.phase = Phase::Connecting(For::Write);
                        None
                    }
                    Some(ConnectPoll::Failed) => Some(conn.message()),
                    Some(ConnectPoll::Done) => {
                        self.phase = Phase::Asking;
                        (!conn.set_nonblocking() || !conn.send_query(STATUS_SQL))
                            .then(|| conn.message())
                    }
                }
            }
            Phase::Asking => {
                if !conn.consume_input() {
                    Some(conn.message())
                } else if conn.is_busy() {
                    None
                } else {
                    match conn.result() {
                        Some(result) if result.status() == ResultStatus::Rows => {
                            let status = &mut self.status;
                            status.reachable = true;
                            status.in_recovery = result.text(0, 0).map(|text| text == "true");
                            status.replay_lag =
                                result.text(0, 1).and_then(|text| text.parse().ok());
                            status.version = result.text(0, 2).map(str::to_owned);
                            status.latency = Some(self.began.elapsed().as_secs_f64() * 1000.0);
                            self.phase = Phase::Done;
                            None
                        }
                        Some(result) => {
                            Some(remote_error(&self.status.server, &result).message().to_owned())
                        }
                        None => Some("no answer".to_owned()),
                    }
                }
            }
        };
        if let Some(failure) = failure {
            self.status.error = Some(failure);
            self.phase = Phase::Done;
        }
        if matches!(self.phase, Phase::Done) {
            self.conn = None;
        }
    }
}
