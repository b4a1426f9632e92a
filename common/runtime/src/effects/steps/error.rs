//! Why a step did not work.

use std::fmt;

use hostler_core::Category;

/// A failure of what a step calls. It is recorded, and the saga judges it; the message is done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepError {
    /// Transient failures are worth another attempt.
    pub category: Category,
    /// What happened, and what to do.
    pub reason: String,
    /// Whether something may have been done all the same. Then the step is undone as if it had succeeded.
    pub uncertain: bool,
    /// Whether the dependency did not do its part, and not that it said no: breakers count these.
    pub outage: bool,
}

impl StepError {
    /// The dependency did not answer, or not sensibly. Nobody knows whether it did what it was asked.
    pub fn unavailable(reason: impl Into<String>) -> Self {
        Self { category: Category::Transient, reason: reason.into(), uncertain: true, outage: true }
    }

    /// It may work with another attempt. The dependency did its part.
    pub fn transient(reason: impl Into<String>) -> Self {
        Self { outage: false, ..Self::unavailable(reason) }
    }

    /// The dependency said no, and did nothing. Another attempt is of no use.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self { category: Category::Business, reason: reason.into(), uncertain: false, outage: false }
    }

    /// It is certain that nothing was done.
    #[must_use]
    pub fn nothing_done(self) -> Self {
        Self { uncertain: false, ..self }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for StepError {}
