//! A table whose tests or whose gate do not hold keeps the rows that it has, all of them, and its run says
//! why; once the source is mended, it is its query again.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use postgres::Client;
use warehouse_tests::timing::eventually;

use crate::ask::{rows, told};
use crate::differential::Random;

use super::ground::{Ground, SITES};
use super::marts::Mart;
use super::story::Story;
use super::writer::Writer;

/// How long others may still be at work with what they have read before.
const PATIENCE: Duration = Duration::from_secs(30);

/// A table that keeps something out.
pub struct Gate<'t, 'w> {
    /// Where it is.
    pub ground: &'t Ground,
    /// What happens is told there.
    pub story: &'t Story,
    /// Who mends the sources.
    pub writer: &'t mut Writer<'w>,
    /// The table.
    pub mart: &'static Mart,
    /// The query for rows that it keeps out.
    pub forbidden: &'static str,
}

impl Gate<'_, '_> {
    /// Checks it, with what the sources have, or with something that is put there. They are mended then.
    pub fn holds(&mut self, client: &mut Client, random: &mut Random) -> Result<()> {
        if !self.is_spoilt(client)? && random.percent(70) {
            let site = random.below(SITES.len());
            let salt = random.bits() % 1_000_000;
            let sql = format!("SELECT app.stray('{salt}', 3)");
            self.ground.site(site).primary.execute(super::ground::DATABASE, &sql)?;
            self.ground.wait_for_replay()?;
            ensure!(self.is_spoilt(client)?, "a member who strayed is not seen at the source");
        }
        if self.is_spoilt(client)? {
            self.keeps_out(client, random)?;
            self.story.tell("kept out", self.mart.name);
        }
        self.writer.mend_all(random)?;
        self.ground.wait_for_replay()?;
        ensure!(!self.is_spoilt(client)?, "the sources are not mended");
        Ok(())
    }

    /// Whether the sources have something that is to be kept out.
    fn is_spoilt(&self, client: &mut Client) -> Result<bool> {
        let source = format!("({})", self.mart.query);
        let sql =
            format!("SELECT count(*) > 0 FROM ({}) f", self.forbidden.replace("{rows}", &source));
        Ok(rows(client, &sql)? == "t")
    }

    fn keeps_out(&self, client: &mut Client, random: &mut Random) -> Result<()> {
        let name = self.mart.name;
        let how = random.pick(&["", ", full_refresh => true", ", reconcile => true"]);
        let refresh = format!("SELECT status FROM warehouse.refresh('{name}'{how})");
        let contents = format!(
            "SELECT count(*), md5(string_agg(t::text, ';' ORDER BY t::text)) FROM {name} t"
        );
        let began = rows(client, "SELECT clock_timestamp()")?;
        // Somebody else may refresh it by what was there before.
        eventually(PATIENCE, "a table that is refused stays as it is", || {
            let before = rows(client, &contents)?;
            let Err(error) = client.simple_query(&refresh) else {
                bail!("{refresh} has let in what it must keep out");
            };
            match told(&error)?.code.as_str() {
                "55P03" => return Ok(false),
                "23514" => {}
                _ => return Err(error).context(refresh.clone()),
            }
            Ok(rows(client, &contents)? == before)
        })?;
        let seen = rows(client, &self.mart.check())?;
        ensure!(seen == "~", "a reader sees: {seen}");
        let run = format!(
            "SELECT count(*) FROM warehouse.runs WHERE relation = '{name}' AND status = 'failed' \
               AND sqlstate = '23514' AND started_at >= '{began}'"
        );
        eventually(PATIENCE, "the run says so", || Ok(rows(client, &run)? != "0"))
    }
}
