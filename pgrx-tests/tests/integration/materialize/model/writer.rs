//! What happens at the primaries: short transactions, and long ones that commit late.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use postgres::Client;

use crate::ask::told;
use crate::differential::Random;

use super::ground::{DATABASE, Ground, SITES};
use super::story::Story;

/// A transaction does not stay open longer on purpose, and is rolled back if it has: the lookback of
/// `mart.by_cursor` is 15 seconds.
const OPEN_AT_MOST: Duration = Duration::from_secs(5);
const LATEST_COMMIT: Duration = Duration::from_secs(11);

/// Changes of source.sql, how often they are chosen and with how much.
const CHANGES: [(&str, usize, usize); 18] = [
    ("transfer", 8, 500),
    ("add_notes", 4, 12),
    ("change_notes", 6, 12),
    ("hit", 3, 8),
    ("remove_notes", 3, 6),
    ("move_notes", 3, 5),
    ("reuse", 1, 3),
    ("again", 2, 4),
    ("add_events", 4, 5),
    ("write_ledger", 4, 6),
    ("add_many", 1, 80),
    ("found", 1, 2),
    ("join_in", 2, 2),
    ("visit", 3, 5),
    ("leave", 1, 3),
    ("stray", 1, 9),
    ("spoil", 1, 2),
    ("mend", 8, 9),
];

struct Open {
    site: usize,
    client: Client,
    since: Instant,
}

/// Who writes.
pub struct Writer<'t> {
    ground: &'t Ground,
    story: &'t Story,
    clients: Vec<Client>,
    open: Vec<Open>,
    added: [usize; 3],
}

fn change(random: &mut Random) -> (String, String) {
    let total: usize = CHANGES.iter().map(|(_, weight, _)| weight).sum();
    let mut at = random.below(total);
    for (name, weight, most) in CHANGES {
        if at < weight {
            let (salt, n) = (random.bits() % 1_000_000, random.between(1, most));
            let more =
                if name == "found" { format!(", {}", random.percent(40)) } else { String::new() };
            return (name.to_owned(), format!("SELECT app.{name}('{salt}', {n}{more});"));
        }
        at -= weight;
    }
    unreachable!("below the total")
}

fn changes(random: &mut Random, most: usize) -> (String, String) {
    let all: Vec<(String, String)> = (0..random.between(1, most)).map(|_| change(random)).collect();
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    let sql: Vec<&str> = all.iter().map(|(_, sql)| sql.as_str()).collect();
    (names.join("+"), sql.join(" "))
}

impl<'t> Writer<'t> {
    /// A writer with a session at each primary.
    pub fn new(ground: &'t Ground, story: &'t Story) -> Result<Writer<'t>> {
        let clients = (0..SITES.len()).map(|at| session_at(ground, at)).collect::<Result<_>>()?;
        Ok(Writer { ground, story, clients, open: Vec::new(), added: [0; 3] })
    }

    /// Something random at a random site.
    pub fn step(&mut self, random: &mut Random) -> Result<()> {
        self.close_old(random)?;
        let site = random.below(SITES.len());
        match random.below(100) {
            0..=69 => {
                let (names, sql) = changes(random, 3);
                self.write(site, "write", &names, &format!("BEGIN; {sql} COMMIT"))
            }
            70..=79 => self.open(site, random),
            80..=88 => match self.open.len() {
                0 => Ok(()),
                n => self.close(random.below(n), random),
            },
            89..=91 => {
                let salt = random.bits() % 1_000_000;
                let sql = format!("BEGIN; SELECT app.start_anew('{salt}'); COMMIT");
                self.write(site, "truncate", "account", &sql)
            }
            92..=93 => {
                let salt = random.bits() % 1_000_000;
                self.write(
                    0,
                    "truncate",
                    "ledger",
                    &format!("SELECT app.empty_ledger('{salt}', 9)"),
                )
            }
            94..=95 => self.add_column(site),
            96 => self.write(site, "freeze", "", "VACUUM (FREEZE, ANALYZE) app.account"),
            97 => {
                let sql = "DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM txid_current(); COMMIT; END LOOP; END $$";
                self.write(site, "burn", "", sql)
            }
            _ => {
                let (names, sql) = changes(random, 2);
                self.write(site, "rollback", &names, &format!("BEGIN; {sql} ROLLBACK"))
            }
        }
    }

    /// Another primary writes for a site; what was open at the former one is lost.
    pub fn follow(&mut self, site: usize) -> Result<()> {
        self.open.retain(|open| open.site != site);
        self.clients[site] = session_at(self.ground, site)?;
        Ok(())
    }

    /// Nothing is at any site that a table has to keep out.
    pub fn mend_all(&mut self, random: &mut Random) -> Result<()> {
        for site in 0..SITES.len() {
            let sql = format!("SELECT app.mend('{}', 1)", random.bits() % 1_000_000);
            while self.clients[site].batch_execute(&sql).is_err() {
                // Who has locked the rows may have added some that nobody else sees yet.
                self.close_all(random)?;
            }
        }
        Ok(())
    }

    /// Ends all long transactions.
    pub fn close_all(&mut self, random: &mut Random) -> Result<()> {
        while !self.open.is_empty() {
            self.close(0, random)?;
        }
        Ok(())
    }

    fn write(&mut self, site: usize, kind: &str, names: &str, sql: &str) -> Result<()> {
        let outcome = self.clients[site].batch_execute(sql);
        self.note(site, kind, names, outcome.as_ref().err())?;
        if outcome.is_err() {
            self.clients[site].batch_execute("ROLLBACK")?;
        }
        Ok(())
    }

    /// Rows may be locked by a long transaction; everything else is an error of this test.
    fn note(
        &self,
        site: usize,
        kind: &str,
        names: &str,
        error: Option<&postgres::Error>,
    ) -> Result<()> {
        let site = SITES[site];
        let Some(error) = error else {
            self.story.tell(kind, format!("{site} {names}"));
            return Ok(());
        };
        let told = told(error)?;
        if !["55P03", "40P01", "23505", "57014"].contains(&told.code.as_str()) {
            anyhow::bail!("{kind} at {site}, {names}: {told:?}");
        }
        self.story.tell(&format!("{kind} refused"), format!("{site} {names} {}", told.code));
        Ok(())
    }

    fn open(&mut self, site: usize, random: &mut Random) -> Result<()> {
        if self.open.iter().filter(|open| open.site == site).count() >= 2 {
            return Ok(());
        }
        let mut client = session_at(self.ground, site)?;
        let (names, sql) = changes(random, 3);
        let outcome = client.batch_execute(&format!("BEGIN; {sql}"));
        self.note(site, "open", &names, outcome.as_ref().err())?;
        if outcome.is_ok() {
            self.open.push(Open { site, client, since: Instant::now() });
        }
        Ok(())
    }

    fn close_old(&mut self, random: &mut Random) -> Result<()> {
        while let Some(at) = self.open.iter().position(|open| open.since.elapsed() > OPEN_AT_MOST) {
            self.close(at, random)?;
        }
        Ok(())
    }

    fn close(&mut self, at: usize, random: &mut Random) -> Result<()> {
        let Open { site, mut client, since } = self.open.swap_remove(at);
        let age = format!("after {:.1} s", since.elapsed().as_secs_f64());
        if since.elapsed() > LATEST_COMMIT || random.percent(15) {
            self.story.tell("late rollback", format!("{} {age}", SITES[site]));
            return client.batch_execute("ROLLBACK").context("a long transaction");
        }
        let (names, sql) = if random.percent(50) { changes(random, 2) } else { Default::default() };
        let savepoint = if random.percent(30) { "SAVEPOINT s;" } else { "" };
        let outcome = client.batch_execute(&format!("{savepoint} {sql} COMMIT"));
        self.note(site, "late commit", &format!("{names} {age}"), outcome.as_ref().err())
    }

    fn add_column(&mut self, site: usize) -> Result<()> {
        let number = self.added[site];
        if number == 3 {
            return Ok(());
        }
        let (of, default) = [("integer", "7"), ("text", "'new'"), ("float8", "NULL")][number];
        let sql =
            format!("ALTER TABLE app.account ADD COLUMN extra_{number} {of} DEFAULT {default}");
        let outcome = self.clients[site].batch_execute(&sql);
        self.added[site] += usize::from(outcome.is_ok());
        self.note(site, "add column", &format!("extra_{number}"), outcome.as_ref().err())
    }
}

fn session_at(ground: &Ground, site: usize) -> Result<Client> {
    let mut client = ground.site(site).primary.connect(DATABASE)?;
    client.batch_execute("SET lock_timeout = '50ms'; SET client_min_messages = warning")?;
    Ok(client)
}
