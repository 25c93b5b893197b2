//! How tests of the extension ask: answers as text, errors by their parts, servers declared in a line.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use postgres::{Client, SimpleQueryMessage};
use warehouse_tests::Cluster;
use warehouse_tests::faults::Proxy;
use warehouse_tests::timing::eventually;

use crate::support::{Pair, READER, READER_PASSWORD, Shared};

/// How long something may take that an ignored cancel would hold up for [`FOREVER`] seconds.
pub const SOON: Duration = Duration::from_secs(2);

/// Seconds that a slow source takes: what is not stopped is noticed.
pub const FOREVER: u32 = 20;

/// An error as the client is told it.
#[derive(Debug)]
pub struct Told {
    /// SQLSTATE.
    pub code: String,
    /// Primary message.
    pub message: String,
    /// Hint, empty if there is none.
    pub hint: String,
    /// Detail and context.
    rest: String,
}

impl Told {
    /// Fails unless it has this SQLSTATE and its message contains all of `parts`.
    pub fn says(&self, code: &str, parts: &[&str]) -> Result<&Told> {
        ensure!(self.code == code, "SQLSTATE {code} expected: {self:?}");
        for part in parts {
            ensure!(self.message.contains(part), "{part:?} is not in the message: {self:?}");
        }
        Ok(self)
    }

    /// Fails unless the hint contains all of `parts`.
    pub fn hints(&self, parts: &[&str]) -> Result<&Told> {
        for part in parts {
            ensure!(self.hint.contains(part), "{part:?} is not in the hint: {self:?}");
        }
        Ok(self)
    }

    /// Fails if `secret` is in any part of it.
    pub fn hides(&self, secret: &str) -> Result<&Told> {
        for part in [&self.message, &self.hint, &self.rest] {
            ensure!(!part.contains(secret), "{secret:?} is told: {self:?}");
        }
        Ok(self)
    }
}

/// What an error of the driver told.
pub fn told(error: &postgres::Error) -> Result<Told> {
    let Some(db) = error.as_db_error() else { bail!("not an error of the server: {error:?}") };
    Ok(Told {
        code: db.code().code().to_owned(),
        message: db.message().to_owned(),
        hint: db.hint().unwrap_or_default().to_owned(),
        rest: format!("{:?} {:?}", db.detail(), db.where_()),
    })
}

/// Whether a session says that it was terminated. The driver looks at the connection before it looks at
/// the answer: when both have come to an end at once, it tells only that the connection is closed.
pub fn terminated(error: &postgres::Error) -> Result<()> {
    if !error.is_closed() {
        told(error)?.says("57P01", &[])?;
    }
    Ok(())
}

/// Runs statements that have to fail, and returns what they told.
pub fn refused(client: &mut Client, sql: &str) -> Result<Told> {
    match client.batch_execute(sql) {
        Ok(()) => bail!("this was not refused: {sql}"),
        Err(error) => told(&error).with_context(|| sql.to_owned()),
    }
}

/// The rows of a query as text: `|` between values, `~` for NULL, a line a row.
pub fn rows(client: &mut Client, sql: &str) -> Result<String> {
    let messages = client.simple_query(sql).with_context(|| sql.to_owned())?;
    let mut lines = Vec::new();
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            let values: Vec<&str> = (0..row.len()).map(|i| row.get(i).unwrap_or("~")).collect();
            lines.push(values.join("|"));
        }
    }
    Ok(lines.join("\n"))
}

/// Fails unless a query has this answer, written as by [`rows`].
pub fn expect(client: &mut Client, sql: &str, answer: &str) -> Result<()> {
    let found = rows(client, sql)?;
    ensure!(found == answer, "{sql}\nexpected:\n{answer}\nfound:\n{found}");
    Ok(())
}

/// Runs statements, naming them if they fail.
pub fn run(client: &mut Client, sql: &str) -> Result<()> {
    client.batch_execute(sql).with_context(|| sql.to_owned())
}

/// A cluster of the test's own, with the reader's role; a [`Pair`]'s is shared and must stay as it is.
pub fn own_source(name: &str) -> Result<Cluster> {
    let source = Cluster::builder(name).start()?;
    source.create_role(READER, READER_PASSWORD)?;
    source.execute("postgres", &format!("GRANT pg_read_all_data TO {READER}"))?;
    Ok(source)
}

/// Declares a server at a local port with the reader's mapping for everybody; `more` options begin
/// with a comma.
pub fn declare(
    client: &mut Client,
    name: &str,
    port: u16,
    database: &str,
    more: &str,
) -> Result<()> {
    run(
        client,
        &format!(
            "CREATE SERVER {name} FOREIGN DATA WRAPPER replica_fdw \
               OPTIONS (host '127.0.0.1', port '{port}', dbname '{database}', \
                 unclassified 'clear'{more}); \
             CREATE USER MAPPING FOR PUBLIC SERVER {name} \
               OPTIONS (user '{READER}', password '{READER_PASSWORD}')"
        ),
    )
}

/// A pair whose warehouse is used by few. Where many sessions define things, Postgres makes each of them
/// forget all it knows of the catalogs now and then, and with that their connections.
pub fn quiet_pair(test: &str) -> Result<Pair> {
    static QUIET: Shared<Cluster> = Shared::new();
    let warehouse_cluster = QUIET.get(|| Cluster::builder("quiet").preload("warehouse").start())?;
    let pair = Pair {
        warehouse_cluster,
        warehouse_database: warehouse_cluster.create_database(test)?,
        ..Pair::new(test)?
    };
    let mut client = pair.warehouse()?;
    run(&mut client, "CREATE EXTENSION warehouse")?;
    declare(&mut client, "src", pair.source_cluster.port(), &pair.source_database, "")?;
    Ok(pair)
}

/// A pair whose server `src` is reached through a proxy.
pub struct Proxied {
    /// The databases.
    pub pair: Pair,
    /// What stands between them.
    pub proxy: Proxy,
}

impl Proxied {
    /// New databases; the source runs `setup` first. `connect_timeout` is 2 seconds.
    pub fn new(test: &str, setup: &str) -> Result<Proxied> {
        let pair = Pair::new(test)?;
        run(&mut pair.source()?, setup)?;
        let proxy = Proxy::to_cluster(pair.source_cluster)?;
        run(
            &mut pair.warehouse()?,
            &format!(
                "ALTER SERVER src OPTIONS (SET port '{}', ADD connect_timeout '2')",
                proxy.port()
            ),
        )?;
        Ok(Proxied { pair, proxy })
    }
}

/// Fails if, some moments from now, the warehouse still has something running at the source.
pub fn nothing_runs(source: &Cluster, database: &str) -> Result<()> {
    let sql = format!(
        "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'warehouse' \
         AND datname = '{database}' AND state = 'active'"
    );
    eventually(Duration::from_secs(3), "nothing runs at the source any more", || {
        Ok(source.value("postgres", &sql)? == "0")
    })
}

/// The process that serves a client.
pub fn pid_of(client: &mut Client) -> Result<i32> {
    Ok(client.query_one("SELECT pg_backend_pid()", &[])?.get(0))
}

/// Runs `sql` and, `delay` later, `action`, such as pg_terminate_backend(), with the client's process
/// id as its argument. Returns the statement's error and the time from the action to its end.
pub fn disturb(
    client: &mut Client,
    delay: Duration,
    sql: &str,
    action: impl FnOnce(i32) -> Result<()> + Send,
) -> Result<(Option<postgres::Error>, Duration)> {
    let pid = pid_of(client)?;
    thread::scope(|scope| {
        let disturber = scope.spawn(move || {
            thread::sleep(delay);
            let at = Instant::now();
            action(pid).map(|()| at)
        });
        let error = client.simple_query(sql).err();
        let ended = Instant::now();
        let at = disturber.join().map_err(|_| anyhow::anyhow!("the disturber panicked"))??;
        Ok((error, ended.saturating_duration_since(at)))
    })
}

/// Runs `sql`, cancels it `delay` later, and tells how long it took to obey. Fails unless the statement
/// ended with `query_canceled`, soon.
///
/// By pg_cancel_backend() and not by a cancel request: for such a one the postmaster signals a process
/// and then its group, and on a busy machine the second signal may hit the statement that follows.
pub fn cancel(pair: &Pair, client: &mut Client, delay: Duration, sql: &str) -> Result<Duration> {
    let mut other = pair.warehouse()?;
    let (error, took) = disturb(client, delay, sql, move |pid| {
        other.execute("SELECT pg_cancel_backend($1)", &[&pid])?;
        Ok(())
    })?;
    let error = error.with_context(|| format!("ended before it could be cancelled: {sql}"))?;
    told(&error)?.says("57014", &["user request"])?;
    ensure!(took < SOON, "cancelled only {took:?} later: {sql}");
    Ok(took)
}
