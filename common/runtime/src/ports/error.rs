//! The errors of the ports. Each converts into a [`Failure`] by one rule: what may work later is retryable, what can never
//! work is terminal.

use hostler_core::failure::BoxError;
use hostler_core::{Category, CommitError, Failure, StreamId, StreamVersion};

/// What can go wrong with the event store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Somebody else made this version. The shell loads again and decides again.
    #[error("{stream} already has a version {version}: another writer was faster")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The version that was to be written.
        version: StreamVersion,
    },
    /// The commit was refused before any write. Retrying does not help.
    #[error(transparent)]
    Refused(#[from] CommitError),
    /// The store did not answer, or not now. Retrying helps; nothing is known about the last write.
    #[error("the event store did not {action} {stream}: {source}")]
    Unavailable {
        /// What was asked.
        action: &'static str,
        /// The stream.
        stream: StreamId,
        /// What the store said.
        source: BoxError,
    },
    /// What is stored cannot be read, or has a gap. An operator is needed.
    #[error(
        "{stream} cannot be read at version {version}: {source}; read the item in the events table, nothing was changed"
    )]
    Corrupt {
        /// The stream.
        stream: StreamId,
        /// The first version that cannot be read.
        version: StreamVersion,
        /// Why.
        source: BoxError,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Conflict { .. } | StoreError::Unavailable { .. } => Self::retryable(error),
            StoreError::Refused(_) => Self::terminal(Category::Validation, error),
            StoreError::Corrupt { .. } => Self::terminal(Category::Unknown, error),
        }
    }
}

/// Why one entry of a batch was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EntryFailure {
    /// Whether sending the same entry again may work.
    pub retryable: bool,
    /// The service's error code, or ours.
    pub code: String,
    /// What it said.
    pub message: String,
}

impl EntryFailure {
    /// The failure of an adapter that answered for fewer entries than it was given: it has not said that the rest was
    /// accepted.
    #[must_use]
    pub fn no_answer(service: &str) -> Self {
        Self {
            retryable: true,
            code: "NoAnswer".to_owned(),
            message: format!("{service} did not answer for this entry"),
        }
    }
}

impl From<EntryFailure> for Failure {
    fn from(error: EntryFailure) -> Self {
        if error.retryable { Self::retryable(error) } else { Self::terminal(Category::Unknown, error) }
    }
}

/// One result for each entry, in the entries' order.
pub type EntryResults = Vec<Result<(), EntryFailure>>;

/// What can go wrong with views, control, leases and the event log.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Did not answer, or not now. Retrying helps.
    #[error("{table} did not {action} {key}: {source}")]
    Unavailable {
        /// The table.
        table: &'static str,
        /// What was asked.
        action: &'static str,
        /// Which item.
        key: String,
        /// What the service said.
        source: BoxError,
    },
    /// The request can never work, such as an item over the size limit.
    #[error("{table} refused to {action} {key}: {source}")]
    Refused {
        /// The table.
        table: &'static str,
        /// What was asked.
        action: &'static str,
        /// Which item.
        key: String,
        /// What the service said.
        source: BoxError,
    },
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        match &error {
            PortError::Unavailable { .. } => Self::retryable(error),
            PortError::Refused { .. } => Self::terminal(Category::Unknown, error),
        }
    }
}
