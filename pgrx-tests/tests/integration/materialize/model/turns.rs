//! What changes for good: standbys become primaries and get standbys of their own, and the extension is
//! dropped and created again with all definitions.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::differential::Random;

use super::disturb::Disturber;
use super::ground::{Ground, SITES};
use super::judge_runs;
use super::story::Story;
use super::writer::Writer;

/// Of each kind there is one in so many steps, and one at least.
const STEPS_PER_TURN: usize = 300;

/// How long the tables may stand there without the extension, in milliseconds.
const ALONE: usize = 800;

/// Who turns things over.
pub struct Turns<'t> {
    ground: &'t Ground,
    story: &'t Story,
    /// The steps in which a standby is promoted.
    promotions: Vec<usize>,
    /// The steps in which the extension is dropped.
    drops: Vec<usize>,
    /// Sites that are read at their primary, and the steps in which they get a standby.
    followed: Vec<(usize, usize)>,
}

impl<'t> Turns<'t> {
    /// Chooses the steps.
    pub fn new(
        ground: &'t Ground,
        story: &'t Story,
        random: &mut Random,
        steps: usize,
    ) -> Turns<'t> {
        let mut choose = || -> Vec<usize> {
            (0..steps.div_ceil(STEPS_PER_TURN))
                .map(|turn| {
                    let first = turn * STEPS_PER_TURN;
                    let length = STEPS_PER_TURN.min(steps - first);
                    first + random.between(length.div_ceil(10), length.div_ceil(5) * 4)
                })
                .collect()
        };
        let (promotions, drops) = (choose(), choose());
        Turns { ground, story, promotions, drops, followed: Vec::new() }
    }

    /// What is to happen in this step.
    pub fn step(
        &mut self,
        step: usize,
        random: &mut Random,
        writer: &mut Writer<'_>,
        disturber: &mut Disturber<'_>,
    ) -> Result<()> {
        if self.promotions.contains(&step) {
            disturber.revive()?;
            self.promote(step, random, writer)?;
        }
        while let Some(due) = self.followed.iter().position(|(_, at)| *at <= step) {
            let (site, _) = self.followed.swap_remove(due);
            self.ground.follow(site)?;
            self.story.tell("follow", SITES[site]);
        }
        if self.drops.contains(&step) {
            disturber.revive()?;
            self.drop_and_create(random, writer)?;
        }
        Ok(())
    }

    fn promote(&mut self, step: usize, random: &mut Random, writer: &mut Writer<'_>) -> Result<()> {
        let at = random.below(SITES.len());
        if self.followed.iter().any(|(site, _)| *site == at) {
            return Ok(());
        }
        let loses = random.percent(50);
        self.story.tell("promote", format!("{} {}", SITES[at], if loses { "crashed" } else { "" }));
        self.ground.promote(at, loses)?;
        writer.follow(at)?;
        // At once, or after the primary has been read for a while.
        self.followed.push((at, step + random.below(60)));
        Ok(())
    }

    fn drop_and_create(&self, random: &mut Random, writer: &mut Writer<'_>) -> Result<()> {
        let _quiet = random.percent(30).then(|| self.story.quiet());
        judge_runs(self.ground, self.story)?;
        self.story.turn();
        self.story.tell("drop extension", "");
        self.ground.drop_extension()?;
        self.story.tell("tables alone", "");
        thread::sleep(Duration::from_millis(random.below(ALONE) as u64));
        // What is to be kept out would be refused as a first filling, too.
        writer.mend_all(random)?;
        self.ground.wait_for_replay()?;
        self.story.tell("create extension", "");
        self.ground.create_extension()?;
        self.story.tell("defined anew", "");
        self.story.turn();
        Ok(())
    }
}
