//! What goes wrong: workers that are ended, standbys that stop, hosts that hang, a warehouse that crashes.

use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use postgres::Client;
use warehouse_tests::Stop;
use warehouse_tests::timing::within;

use crate::differential::Random;

use super::ground::{Ground, SITES};
use super::story::Story;

/// How long a shutdown may take while workers run.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// Who disturbs.
pub struct Disturber<'t> {
    ground: &'t Ground,
    story: &'t Story,
    client: Client,
    /// A standby that is stopped or hangs, and the steps until it comes back.
    down: Option<(usize, bool, usize)>,
}

impl<'t> Disturber<'t> {
    /// Nothing is disturbed yet.
    pub fn new(ground: &'t Ground, story: &'t Story) -> Result<Disturber<'t>> {
        Ok(Disturber { ground, story, client: ground.client()?, down: None })
    }

    /// Now and then something.
    pub fn step(&mut self, random: &mut Random) -> Result<()> {
        if let Some((_, _, steps)) = &mut self.down {
            *steps = steps.saturating_sub(1);
            if *steps == 0 {
                self.revive()?;
            }
        }
        match random.below(100) {
            0..=15 => self.end_process(random),
            16..=18 if self.down.is_none() => self.take_down(random),
            19 if random.percent(60) => self.crash(random),
            _ => Ok(()),
        }
    }

    /// Ends a worker, a session that refreshes, or seldom the scheduler or the launcher.
    fn end_process(&mut self, random: &mut Random) -> Result<()> {
        let whom = match random.below(100) {
            0..=64 => "backend_type = 'warehouse refresh'",
            65..=91 => {
                "query LIKE '%warehouse.refresh%' AND state <> 'idle' AND pid <> pg_backend_pid()"
            }
            92..=97 => "backend_type = 'warehouse scheduler'",
            _ => "backend_type = 'warehouse launcher'",
        };
        let how = if random.percent(60) { "pg_terminate_backend" } else { "pg_cancel_backend" };
        // A worker may be about to begin; wait for it, and then a little more.
        let find = format!(
            "SELECT pid, backend_type || ' ' || pid FROM pg_stat_activity WHERE {whom} ORDER BY random() LIMIT 1"
        );
        for _ in 0..20 {
            if let Some(row) = self.client.query_opt(&find, &[])? {
                thread::sleep(Duration::from_micros(random.below(60_000) as u64));
                let (pid, name): (i32, String) = (row.get(0), row.get(1));
                let hit: bool =
                    self.client.query_one(&format!("SELECT {how}($1)"), &[&pid])?.get(0);
                self.story.tell(how, format!("{name} {hit}"));
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The warehouse crashes, because a process of it is killed, or is shut down in the middle of things.
    fn crash(&mut self, random: &mut Random) -> Result<()> {
        let find = "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'warehouse%' \
                    OR (backend_type = 'client backend' AND pid <> pg_backend_pid()) \
                    ORDER BY backend_type <> 'warehouse refresh', random() LIMIT 1";
        let warehouse = &self.ground.warehouse;
        self.story.crash();
        if random.percent(50) {
            let pid: i32 = self.client.query_one(find, &[])?.get(0);
            self.story.tell("kill -9", pid.to_string());
            let killed = Command::new("kill").args(["-9", &pid.to_string()]).status()?;
            ensure!(killed.success(), "cannot kill {pid}");
            // The others end when the postmaster has noticed.
            thread::sleep(Duration::from_millis(200));
        } else {
            let how = if random.percent(50) { Stop::Fast } else { Stop::Immediate };
            self.story.tell("restart", format!("{how:?}"));
            within(SHUTDOWN, "a shutdown", || warehouse.stop(how))?;
            warehouse.start()?;
        }
        self.client = self.ground.client()?;
        self.story.crash();
        Ok(())
    }

    fn take_down(&mut self, random: &mut Random) -> Result<()> {
        let at = random.below(SITES.len());
        let site = self.ground.site(at);
        let Some(standby) = &site.standby else { return Ok(()) };
        let hangs = random.percent(40);
        if hangs {
            standby.pause();
        } else {
            standby.stop(if random.percent(50) { Stop::Fast } else { Stop::Immediate })?;
        }
        drop(site);
        self.down = Some((at, hangs, random.between(5, 40)));
        self.story.tell(if hangs { "hang" } else { "stop" }, SITES[at]);
        Ok(())
    }

    /// Lets the standby that is down come back.
    pub fn revive(&mut self) -> Result<()> {
        if let Some((at, hangs, _)) = self.down.take() {
            let site = self.ground.site(at);
            let standby = site.standby.as_ref().context("a standby that is down")?;
            if hangs {
                standby.resume()
            } else {
                standby.start()?
            }
            self.story.tell("revive", SITES[at]);
        }
        Ok(())
    }
}
