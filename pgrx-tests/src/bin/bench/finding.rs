//! What a scenario found, and the target it is held to.

use crate::contest::Times;

/// The outcome of one scenario.
#[derive(Debug)]
pub struct Finding {
    /// Everybody's times: ours, postgres_fdw's and, where there is one, the limit's: the source
    /// itself.
    pub times: Vec<Times>,
    /// The figure the target is about.
    pub figure: f64,
    /// What the figure has to be.
    pub target: Target,
    /// What else was promised.
    pub further: Vec<Promise>,
    /// The same query by query, if there are several.
    pub parts: Vec<Part>,
    /// What else is worth reading.
    pub notes: Vec<String>,
    /// Answers that are not what they should be.
    pub wrong: Vec<String>,
    /// Plans that explain what is slower than promised.
    pub plans: Vec<String>,
}

/// A figure and what it has to be.
#[derive(Debug, Clone)]
pub struct Promise {
    /// What it is about.
    pub about: String,
    /// The figure.
    pub figure: f64,
    /// What it has to be.
    pub target: Target,
}

/// One query of several.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Everybody's times, in the same order as the finding's.
    pub times: Vec<Times>,
    /// What is to be said of it.
    pub remark: String,
}

/// What issue and README promise.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// So many times as fast as postgres_fdw, or more.
    Faster(f64),
    /// So many times postgres_fdw's time, or less.
    TimesTheirs(f64),
    /// So many times the time at the source itself, or less.
    TimesSource(f64),
    /// Less than so many MiB.
    MemoryBelow(f64),
    /// Less than so many milliseconds.
    WaitBelow(f64),
    /// No more than so many times the time of one page of an API.
    Pages(f64),
    /// No more than so many.
    NoMoreThan(f64),
}

impl Finding {
    /// A finding from times of which ours is the first and postgres_fdw's the second.
    pub fn of_times(times: Vec<Times>, target: Target) -> Finding {
        let figure_of = |pick: fn(&Times) -> f64| {
            let (ours, theirs) = (pick(&times[0]), pick(&times[1]));
            match target {
                Target::TimesTheirs(_) => ours / theirs,
                _ => theirs / ours,
            }
        };
        let figure = figure_of(Times::median);
        let notes = vec![format!("by the shortest times: {:.2}", figure_of(Times::min))];
        Finding { times, notes, ..Finding::new(figure, target) }
    }

    /// A figure alone.
    pub fn new(figure: f64, target: Target) -> Finding {
        Finding {
            times: Vec::new(),
            figure,
            target,
            further: Vec::new(),
            parts: Vec::new(),
            notes: Vec::new(),
            wrong: Vec::new(),
            plans: Vec::new(),
        }
    }

    /// Adds a note.
    pub fn note(mut self, text: impl Into<String>) -> Finding {
        self.notes.push(text.into());
        self
    }

    /// Whether the figure is what it has to be.
    pub fn has_figure(&self) -> bool {
        self.target.is_reached_by(self.figure)
    }

    /// Whether everything that was promised is kept.
    pub fn is_reached(&self) -> bool {
        self.has_figure() && self.further.iter().all(Promise::is_kept)
    }

    /// The figure with its unit.
    pub fn figure_text(&self) -> String {
        self.target.figure_text(self.figure)
    }
}

impl Promise {
    /// Whether the figure is what it has to be.
    pub fn is_kept(&self) -> bool {
        self.target.is_reached_by(self.figure)
    }

    /// The figure with its unit.
    pub fn figure_text(&self) -> String {
        self.target.figure_text(self.figure)
    }
}

/// How many times as fast as postgres_fdw we are; of everybody's times.
pub fn times_as_fast(times: &[Times]) -> Option<f64> {
    Some(times.get(1)?.median() / times.first()?.median())
}

/// How many times as long as the source itself we take; of everybody's times.
pub fn times_the_source(times: &[Times]) -> Option<f64> {
    Some(times.first()?.median() / times.get(2)?.median())
}

/// The geometric mean of positive figures.
pub fn geometric_mean(figures: impl Iterator<Item = f64>) -> f64 {
    let logs: Vec<f64> = figures.map(f64::ln).collect();
    (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp()
}

impl Target {
    fn is_reached_by(self, figure: f64) -> bool {
        match self {
            Target::Faster(least) => figure >= least,
            Target::TimesTheirs(most)
            | Target::TimesSource(most)
            | Target::Pages(most)
            | Target::NoMoreThan(most) => figure <= most,
            Target::MemoryBelow(limit) | Target::WaitBelow(limit) => figure < limit,
        }
    }

    fn figure_text(self, figure: f64) -> String {
        match self {
            Target::Faster(_) => format!("{figure:.2}x as fast"),
            Target::TimesTheirs(_) => format!("{figure:.2} of the time"),
            Target::TimesSource(_) => format!("{figure:.2} of the source"),
            Target::MemoryBelow(_) => format!("{figure:.1} MB"),
            Target::WaitBelow(_) => format!("{figure:.1} ms"),
            Target::Pages(_) => format!("{figure:.2} pages"),
            Target::NoMoreThan(_) => format!("{figure:.0}"),
        }
    }

    /// The target in words.
    pub fn text(self) -> String {
        match self {
            Target::Faster(least) => format!(">= {least:.2}x"),
            Target::TimesTheirs(most) | Target::TimesSource(most) => format!("<= {most:.2}"),
            Target::MemoryBelow(limit) => format!("< {limit:.0} MB"),
            Target::WaitBelow(limit) => format!("< {limit:.0} ms"),
            Target::Pages(most) => format!("<= {most:.0} pages"),
            Target::NoMoreThan(most) => format!("<= {most:.0}"),
        }
    }
}
