//! Asking the sources themselves: a session at each, all at once. This is the limit of what a
//! wrapper can reach, less what putting the answers together takes.

use std::thread;

use anyhow::{Context, Result, anyhow};
use postgres::Client;
use postgres::types::ToSql;

use super::{APP, Raw, SITES, Sites};
use crate::plan;

/// A session at the standby of each site.
pub struct Fleet {
    clients: Vec<Client>,
}

impl Fleet {
    /// Connects to every site and runs `prepare` there.
    pub fn connect(sites: &Sites, prepare: &str) -> Result<Fleet> {
        let mut clients = Vec::new();
        for source in &sites.sources {
            let mut client = source.connect(APP)?;
            client.batch_execute(prepare)?;
            clients.push(client);
        }
        Ok(Fleet { clients })
    }

    /// Asks all sites at once; their rows, one site after the other.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<String>> {
        self.each(|client| plan::rows(client, sql))
    }

    /// The same with values for the parameters.
    pub fn values(
        &mut self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Vec<Raw>>> {
        self.each(|client| Raw::rows(client, sql, parameters))
    }

    fn each<T: Send>(
        &mut self,
        ask: impl Fn(&mut Client) -> Result<Vec<T>> + Sync,
    ) -> Result<Vec<T>> {
        let ask = &ask;
        let answers: Vec<Result<Vec<T>>> = thread::scope(|scope| {
            let threads: Vec<_> =
                self.clients.iter_mut().map(|client| scope.spawn(move || ask(client))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked"))?)
                .collect()
        });
        let mut out = Vec::new();
        for (site, answer) in SITES.iter().zip(answers) {
            out.extend(answer.with_context(|| format!("at the source {site}"))?);
        }
        Ok(out)
    }
}
