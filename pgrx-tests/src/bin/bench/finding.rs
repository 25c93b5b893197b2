//! What a scenario found, and the target it is held to.

use crate::contest::Times;

/// The outcome of one scenario.
#[derive(Debug)]
pub struct Finding {
    /// Everybody's times; ours first.
    pub times: Vec<Times>,
    /// The figure the target is about.
    pub figure: f64,
    /// What the figure has to be.
    pub target: Target,
    /// What else is worth reading.
    pub notes: Vec<String>,
}

/// What issue and README promise.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// So many times as fast as postgres_fdw, or more.
    Faster(f64),
    /// So many times postgres_fdw's time, or less.
    TimesTheirs(f64),
    /// Less than so many MiB.
    MemoryBelow(f64),
}

impl Finding {
    /// A finding from times of which ours is the first and postgres_fdw's the second.
    pub fn of_times(times: Vec<Times>, target: Target) -> Finding {
        let figure_of = |pick: fn(&Times) -> f64| {
            let (ours, theirs) = (pick(&times[0]), pick(&times[1]));
            match target {
                Target::TimesTheirs(_) => ours / theirs,
                Target::Faster(_) | Target::MemoryBelow(_) => theirs / ours,
            }
        };
        let figure = figure_of(Times::median);
        let notes = vec![format!("by the shortest times: {:.2}", figure_of(Times::min))];
        Finding { times, figure, target, notes }
    }

    /// Adds a note.
    pub fn note(mut self, text: impl Into<String>) -> Finding {
        self.notes.push(text.into());
        self
    }

    /// Whether the target is met.
    pub fn is_reached(&self) -> bool {
        match self.target {
            Target::Faster(least) => self.figure >= least,
            Target::TimesTheirs(most) => self.figure <= most,
            Target::MemoryBelow(limit) => self.figure < limit,
        }
    }

    /// The figure with its unit.
    pub fn figure_text(&self) -> String {
        match self.target {
            Target::Faster(_) => format!("{:.2}x as fast", self.figure),
            Target::TimesTheirs(_) => format!("{:.2} of the time", self.figure),
            Target::MemoryBelow(_) => format!("{:.1} MB", self.figure),
        }
    }
}

impl Target {
    /// The target in words.
    pub fn text(self) -> String {
        match self {
            Target::Faster(least) => format!(">= {least:.2}x"),
            Target::TimesTheirs(most) => format!("<= {most:.2}"),
            Target::MemoryBelow(limit) => format!("< {limit:.0} MB"),
        }
    }
}
