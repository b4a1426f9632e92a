//! Machines that take commands by an agent of theirs, and parameters that are kept beside them.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::EntryFailure;

/// A machine whose agent takes commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedNode {
    /// Its id, such as `mi-0123456789abcdef0`. A machine that is installed again has another one.
    pub id: String,
    /// When it was registered, where that is known.
    pub registered_at: Option<Timestamp>,
    /// Whether its agent was heard lately.
    pub is_online: bool,
}

/// A document to be run on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCommand {
    /// The name of the document.
    pub document: String,
    /// Its parameters, each with one value.
    pub parameters: BTreeMap<String, String>,
    /// What tells whose command it is: 100 characters at most.
    pub comment: String,
    /// What the comments of this order begin with: a command of this document whose comment does is the same one.
    pub same: String,
    /// How long the node may take to begin with it.
    pub delivery_seconds: u16,
}

/// What became of one step of a document on a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The comment of the command.
    pub comment: String,
    /// How it ended, in detail, such as `DeliveryTimedOut`.
    pub details: String,
    /// The exit code.
    pub code: i32,
    /// The beginning of what it wrote to its standard output.
    pub output: String,
    /// The beginning of what it wrote to its standard error.
    pub errors: String,
}

/// How a command stands on a node as a whole, whatever its steps did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommandStatus {
    /// The comment of the command.
    pub comment: String,
    /// How it ended, in detail, such as `DeliveryTimedOut`.
    pub details: String,
}

/// Commands to machines that have an agent.
#[async_trait]
pub trait NodeCommands: Send + Sync {
    /// The nodes with this tag.
    ///
    /// # Errors
    /// When there was no answer, or it may not be asked.
    async fn nodes(&self, tag: &str, value: &str) -> Result<Vec<ManagedNode>, EntryFailure>;

    /// Has a node run a document. The same order is not sent again where it is known to have been sent. That is not certain: what
    /// was sent a moment ago may not be seen yet.
    ///
    /// # Errors
    /// When it was not taken, or there was no answer. A node that is away for now is a reason to try again.
    async fn send(&self, node: &str, command: &NodeCommand) -> Result<(), EntryFailure>;

    /// What became of a step of a command on a node; none where nothing is known of it, or not yet. Nothing is ever known of a step
    /// that was not begun.
    ///
    /// # Errors
    /// When there was no answer, or it may not be asked.
    async fn invocation(
        &self,
        command: &str,
        node: &str,
        step: &str,
    ) -> Result<Option<Invocation>, EntryFailure>;

    /// How a command stands on a node, also where none of its steps was begun; none where nothing is known of it, or not yet.
    ///
    /// # Errors
    /// When there was no answer, or it may not be asked.
    async fn status(&self, command: &str, node: &str) -> Result<Option<CommandStatus>, EntryFailure>;
}

/// Parameters that are kept under a name, and are no secrets.
#[async_trait]
pub trait Parameters: Send + Sync {
    /// The value of a parameter; none where there is no such parameter.
    ///
    /// # Errors
    /// When there was no answer, or it may not be read.
    async fn parameter(&self, name: &str) -> Result<Option<String>, EntryFailure>;
}
