//! Steps of long operations: a spinner on a terminal, a line for each in a log.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::error::CliError;
use crate::output::Out;
use crate::render::time;

/// Where a step's time stands in its line.
const TIME_COLUMN: usize = 46;

/// The step that is being done.
#[derive(Debug, Clone)]
pub(crate) struct Steps {
    out: Out,
    bar: ProgressBar,
}

impl Steps {
    /// Nothing is being done yet.
    pub(crate) fn new(out: Out) -> Self {
        let bar = if out.terminal {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            let style = ProgressStyle::with_template("{spinner} {wide_msg}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
        } else {
            ProgressBar::hidden()
        };
        Self { out, bar }
    }

    /// Begins a step.
    pub(crate) fn begin(&self, what: &str) -> Step {
        if self.bar.is_finished() {
            self.bar.reset();
        }
        self.bar.set_message(what.to_owned());
        self.bar.enable_steady_tick(Duration::from_millis(120));
        Step { steps: self.clone(), started: Instant::now() }
    }

    /// Shows how things stand, on a terminal only.
    pub(crate) fn show(&self, text: impl Into<String>) {
        self.bar.set_message(text.into());
        self.bar.tick();
    }

    /// Writes a line above the spinner.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        self.bar.suspend(|| self.out.say(text))
    }

    /// Removes the spinner, until the next step begins.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A step that was begun.
#[derive(Debug)]
pub(crate) struct Step {
    steps: Steps,
    started: Instant,
}

impl Step {
    /// Ends it with what was done and what is worth knowing of it.
    pub(crate) fn done(self, what: &str, detail: &str) -> Result<(), CliError> {
        let took = self.started.elapsed();
        let out = self.steps.out;
        let space = TIME_COLUMN.saturating_sub(what.chars().count());
        let text =
            format!("{} {what}{:space$}{:>7}  {}", out.good("✓"), "", time::span(took), out.faint(detail));
        self.steps.line(text.trim_end())
    }
}
