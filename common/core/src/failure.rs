//! How a message can fail, and the categories that say who deals with it.

use crate::mutants;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who deals with a failure, and how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Time-outs, throttles, refused connections: retried by the system, within an hour.
    Transient,
    /// The input cannot be read or breaks its contract: quarantined, alerted, 24 hours.
    Validation,
    /// The input is well-formed, and the business does not allow it: quarantined, 48 hours.
    Business,
    /// Anything else: quarantined, escalated at once, 4 hours.
    Unknown,
}

impl Category {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Transient, Self::Validation, Self::Business, Self::Unknown];

    /// The name in metrics, attributes and views.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Validation => "validation",
            Self::Business => "business",
            Self::Unknown => "unknown",
        }
    }

    /// The category of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == name)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Any error, kept whole as a source.
pub type BoxError = Box<dyn Error + Send + Sync + 'static>;

/// Why a message could not be handled now. A refusal by the domain is no failure: it is an outcome.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may work later. The message goes back to its queue, and is delivered again after `after`, where given.
    #[error("may work later: {source}")]
    Retryable {
        /// How long to wait, where that is known; otherwise the queue's visibility timeout decides.
        after: Option<Duration>,
        /// What went wrong.
        source: BoxError,
    },
    /// It cannot be tried now, and the message is not the reason: a dependency is away, or another worker has the
    /// lease. It waits without using up an attempt, until it is too old.
    #[error("waits: {source}")]
    Deferred {
        /// How long to wait.
        after: Duration,
        /// What it waits for.
        source: BoxError,
    },
    /// It will never work. The message goes to the dead-letter queue at once, with this reason.
    #[error("will not work ({category}): {source}")]
    Terminal {
        /// Who deals with it.
        category: Category,
        /// What went wrong.
        source: BoxError,
    },
}

impl Failure {
    /// It may work later, at the queue's own pace.
    pub fn retryable(source: impl Into<BoxError>) -> Self {
        Self::Retryable { after: None, source: source.into() }
    }

    /// It may work after this long.
    pub fn retry_after(after: Duration, source: impl Into<BoxError>) -> Self {
        Self::Retryable { after: Some(after), source: source.into() }
    }

    /// It cannot be tried now, and waits this long without using up an attempt.
    pub fn deferred(after: Duration, source: impl Into<BoxError>) -> Self {
        Self::Deferred { after, source: source.into() }
    }

    /// It will never work.
    pub fn terminal(category: Category, source: impl Into<BoxError>) -> Self {
        Self::Terminal { category, source: source.into() }
    }

    /// It will never work, because the input is not well-formed.
    pub fn invalid(source: impl Into<BoxError>) -> Self {
        Self::terminal(Category::Validation, source)
    }

    /// The static label for metrics and log fields.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Retryable { .. } => "retryable",
            Self::Deferred { .. } => "deferred",
            Self::Terminal { category, .. } => category.as_str(),
        }
    }

    /// The error and all its sources on one line, outermost first.
    #[must_use]
    pub fn chain(&self) -> String {
        match self {
            Self::Retryable { source, .. }
            | Self::Deferred { source, .. }
            | Self::Terminal { source, .. } => error_chain(&**source),
        }
    }
}

/// An error and all its sources on one line, outermost first. A source that its parent already quotes is left out.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let said = inner.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = inner.source();
    }
    text
}

/// The longest reason that is recorded, in characters.
pub const REASON_CHARS_MAX: usize = 2_000;

/// A text from outside as a terminal or a log may show it. Control characters could move the cursor, hide what was said, or
/// turn the direction of writing; each is replaced, but for tabs and ends of lines.
#[must_use]
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if mutants::on("failure.shows-control-characters") => c,
        '\t' | '\n' => c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        c if c.is_control() => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}

/// A reason, cut to the length that is recorded.
#[must_use]
pub fn clip(reason: &str) -> String {
    let reason = printable(reason);
    if reason.chars().count() <= REASON_CHARS_MAX {
        return reason;
    }
    let mut cut: String = reason.chars().take(REASON_CHARS_MAX - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_pass() {
        assert_eq!(
            printable("a\u{1b}[2Jb\u{7f}\u{9b}31m\r\u{202e}\tc\nd"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}31m\u{fffd}\u{fffd}\tc\nd"
        );
        assert_eq!(clip("gone\u{1b}]0;x\u{7}"), "gone\u{fffd}]0;x\u{fffd}");
    }

    #[test]
    fn long_reasons_are_cut_between_characters() {
        assert_eq!(clip("short"), "short");
        let long = clip(&"ö".repeat(5_000));
        assert_eq!(long.chars().count(), REASON_CHARS_MAX);
        assert!(long.ends_with('…'));
    }
}
