//! Configuration by Run Command of AWS Systems Manager: the agent of a host fetches a role and applies it there.
//!
//! A command is sent and not waited for: EventBridge tells that it has ended, and then it is read what it did. Nothing is heard
//! while it runs, so that it must end before the deadline of the step that it is for. `SendCommand` has no client token: a repeat is
//! known by the command's comment. Where that is not seen yet the role is applied twice, which changes nothing.

mod ended;
mod output;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use hostler_runtime::ports::{
    CommandStatus, EntryFailure, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters,
};
use reqwest::Url;
use serde_json::json;

use crate::configuration::{ApplyRole, Applying, Checking, Configuration};
use crate::error::{At, DriverError};

const SERVICE: &str = "Systems Manager";
/// The document, its step that runs Ansible, and the playbook that each bundle has.
const DOCUMENT: &str = "AWS-ApplyAnsiblePlaybooks";
const STEP: &str = "runShellScript";
const PLAYBOOK: &str = "playbook.yaml";
/// The tag of a node whose value is the id of the host.
const HOST_TAG: &str = "hostler-host";
/// Under which the newest revision of each role is kept.
const NEWEST: &str = "/hostler/roles/";
/// What our comments begin with.
const OURS: &str = "hostler/";
/// *API reference: SendCommand, Comment.*
const COMMENT_CHARS_MAX: usize = 100;
/// How long a node may take to begin, and how long a run may take. With three minutes for the download they are no longer than the
/// deadline of a step.
const DELIVERY_SECONDS: u16 = 120;
const RUN_SECONDS: u16 = 600;
/// How much of a step's token is in a comment, which everybody reads who may list commands. The rest of it stays secret.
const MARK_CHARS: usize = 16;
const REVISION_CHARS_MAX: usize = 40;

/// Why `ROLES_SOURCE` cannot be used; the function does not start.
#[derive(thiserror::Error)]
#[error(
    "the environment variable ROLES_SOURCE is {0:?}, and the address of a folder in S3 is expected, as \
     https://s3.eu-central-1.amazonaws.com/bucket/roles: correct the parameter RolesSource"
)]
pub struct RolesSourceError(String);

/// A `main` that returns an error prints it this way: as a sentence.
impl fmt::Debug for RolesSourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The folder in S3 that has the bundles of roles: `<role>/<revision>.zip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesSource(String);

impl FromStr for RolesSource {
    type Err = RolesSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_folder = Url::parse(text).is_ok_and(|url| {
            let is_plain = url.username().is_empty() && url.query().is_none() && url.fragment().is_none();
            url.scheme() == "https" && url.has_host() && is_plain && url.path().len() > 1
        });
        match is_folder {
            true => Ok(Self(text.trim_end_matches('/').to_owned())),
            false => Err(RolesSourceError(text.to_owned())),
        }
    }
}

/// How a command ended, as its event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandEnd {
    /// The document did all its steps.
    Succeeded,
    /// A step failed, or the node could not be reached.
    Failed,
    /// It was not begun, or not ended, in time.
    TimedOut,
    /// Somebody has cancelled it.
    Cancelled,
}

/// How a run of a role ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// Every task did.
    Succeeded,
    /// A task failed, or the role cannot be run.
    Failed,
    /// It did not come to a task; another try may help.
    FailedTransiently,
    /// The host did not answer.
    Unreachable,
    /// It took too long.
    TimedOut,
    /// It was ended by somebody.
    Lost,
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RanTaskResult {
    /// It changed something, or would.
    Changed,
    /// It failed.
    Failed,
    /// The host did not answer.
    Unreachable,
}

/// A task that changed something or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RanTask {
    /// Its name.
    pub task: String,
    /// What became of it.
    pub result: RanTaskResult,
    /// What it says of its failure; empty where it did not fail.
    pub message: String,
    /// The file or folder that it is about, where it says so.
    pub path: String,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The id of the host.
    pub host: String,
    /// The revision of the role.
    pub revision: String,
    /// Whether that revision was asked for, and not the newest one.
    pub was_asked_for: bool,
    /// What the token of its step begins with.
    mark: String,
    /// How it ended.
    pub end: RunEnd,
    /// Why it did not succeed; empty where it did.
    pub message: String,
    /// The tasks that changed something or failed, in their order.
    pub tasks: Vec<RanTask>,
    /// How many more of them there were.
    pub tasks_left_off: u32,
    /// Whether all that it wrote could be read: of a long output only the beginning is kept.
    pub is_whole: bool,
}

impl Run {
    /// Whether it is for the step that has this token.
    #[must_use]
    pub fn is_of(&self, token: &str) -> bool {
        !self.mark.is_empty() && mark(token) == self.mark
    }

    /// Whether any task changed something.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.tasks.iter().any(|task| task.result == RanTaskResult::Changed)
    }
}

/// A [`Configuration`] that has the agents of hosts apply roles.
#[derive(Clone)]
pub struct RunCommandConfiguration {
    nodes: Arc<dyn NodeCommands>,
    parameters: Arc<dyn Parameters>,
    roles: RolesSource,
}

impl RunCommandConfiguration {
    /// Sends commands to these nodes, which fetch the roles of this source. Which revision of a role is the newest one is a parameter.
    #[must_use]
    pub fn new(nodes: Arc<dyn NodeCommands>, parameters: Arc<dyn Parameters>, roles: RolesSource) -> Self {
        Self { nodes, parameters, roles }
    }

    /// What became of a command of ours that has ended; none where it is not ours, which it is only on a node of the host that it
    /// names.
    ///
    /// # Errors
    /// [`DriverError`], where it cannot be read, or not yet.
    pub async fn ended(
        &self,
        command: &str,
        node: &str,
        end: CommandEnd,
    ) -> Result<Option<Run>, DriverError> {
        let at = At { system: node.to_owned(), doing: "reading what a command did" };
        let unseen = || away(&at, format!("what the command {command} did is not there yet"));
        let step =
            self.nodes.invocation(command, node, STEP).await.map_err(|failure| failed(&at, failure))?;
        let is_read = step.is_some();
        let invocation = match step {
            Some(step) => step,
            None => self.unbegun(&at, command, node).await?.ok_or_else(unseen)?,
        };
        let Some(order) = ended::order(&invocation.comment) else { return Ok(None) };
        if !ended::is_settled(end, &invocation.details, is_read) {
            return Err(unseen());
        }
        let nodes = self.nodes.nodes(HOST_TAG, order.host).await.map_err(|failure| failed(&at, failure))?;
        if !nodes.iter().any(|of_host| of_host.id == node) {
            tracing::warn!(command, node, host = order.host, "a command names a host that its node is not");
            return Ok(None);
        }
        Ok(Some(ended::run(order, &invocation, end)))
    }

    /// What is known of a command whose step has no result: it may never have begun.
    async fn unbegun(&self, at: &At, command: &str, node: &str) -> Result<Option<Invocation>, DriverError> {
        let status = self.nodes.status(command, node).await.map_err(|failure| failed(at, failure))?;
        let of =
            |CommandStatus { comment, details }| Invocation { comment, details, ..Invocation::default() };
        Ok(status.map(of))
    }

    /// Sends a command that applies a role, or checks what it would change.
    async fn run(&self, request: &ApplyRole, check: bool) -> Result<(), DriverError> {
        let at = At { system: request.host.clone(), doing: "having a role applied" };
        let ApplyRole { host, role, .. } = request;
        if role.is_empty() || !role.chars().all(is_of_role) {
            let reason = format!("{role:?} is no name of a role: lower-case letters, digits, - and _");
            return Err(refused(&at, reason));
        }
        let revision = match &request.revision {
            Some(revision) => revision.clone(),
            None => self.newest(&at, role).await?,
        };
        if !is_revision(&revision) {
            let reason = format!(
                "{revision:?} is no revision of a role: up to {REVISION_CHARS_MAX} letters, digits, - _ and ."
            );
            return Err(refused(&at, reason));
        }
        let asked = if request.revision.is_some() { "asked" } else { "newest" };
        let order = format!("{OURS}{host}/{}/{asked}/", mark(&request.token));
        let comment = format!("{order}{revision}");
        if comment.chars().count() > COMMENT_CHARS_MAX {
            let over = comment.chars().count() - COMMENT_CHARS_MAX;
            let reason = format!(
                "the comment of a command holds {COMMENT_CHARS_MAX} characters, in which the ids of the host and of the revision are {over} too \
                 long: name revisions shorter, or have a runner apply the roles of this host"
            );
            return Err(refused(&at, reason));
        }
        let node = self.node(&at, host).await?;
        let same = if request.revision.is_some() { comment.clone() } else { order };
        let parameters = self.parameters_of(role, &revision, check);
        let document = DOCUMENT.to_owned();
        let command = NodeCommand { document, parameters, comment, same, delivery_seconds: DELIVERY_SECONDS };
        self.nodes.send(&node, &command).await.map_err(|failure| failed(&at, failure))
    }

    /// What the document is told.
    fn parameters_of(&self, role: &str, revision: &str, check: bool) -> BTreeMap<String, String> {
        let bundle = json!({ "path": format!("{}/{role}/{revision}.zip", self.roles.0) });
        let check = if check { "True" } else { "False" };
        // The document takes no values with colons or brackets, so that roles do not see the labels of hosts.
        let variables = format!("SSM=True hostler_role={role} hostler_revision={revision}");
        [
            ("SourceType", "S3".to_owned()),
            ("SourceInfo", bundle.to_string()),
            ("InstallDependencies", "False".to_owned()),
            ("PlaybookFile", PLAYBOOK.to_owned()),
            ("ExtraVariables", variables),
            ("Check", check.to_owned()),
            ("Verbose", "-v".to_owned()),
            ("TimeoutSeconds", RUN_SECONDS.to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// The newest revision of a role.
    async fn newest(&self, at: &At, role: &str) -> Result<String, DriverError> {
        let name = format!("{NEWEST}{role}");
        let value = self.parameters.parameter(&name).await.map_err(|failure| failed(at, failure))?;
        let missing = || {
            refused(
                at,
                format!(
                    "there is no role {role}: put its newest revision into the parameter {name} of Parameter Store"
                ),
            )
        };
        value.map(|value| value.trim().to_owned()).ok_or_else(missing)
    }

    /// The node that a host is: the one that was registered last, for a host that is installed again is another one. Of several
    /// that may be the last, it is the one that is online.
    async fn node(&self, at: &At, host: &str) -> Result<String, DriverError> {
        let nodes = self.nodes.nodes(HOST_TAG, host).await.map_err(|failure| failed(at, failure))?;
        let newest = nodes.iter().map(|node| node.registered_at).max();
        let last: Vec<&ManagedNode> =
            nodes.iter().filter(|node| Some(node.registered_at) == newest).collect();
        if last.is_empty() {
            return Err(not_yet(
                at,
                format!(
                    "no managed node has the tag {HOST_TAG}={host}: give it to the host's activation or instance, and see that its agent runs"
                ),
            ));
        }
        let mut online = last.iter().filter(|node| node.is_online);
        match (online.next(), online.next()) {
            (Some(node), None) => Ok(node.id.clone()),
            (Some(one), Some(other)) => Err(refused(
                at,
                format!(
                    "{} and {} both have the tag {HOST_TAG}={host} and are online, and none of them was registered last: leave it to one of them",
                    one.id, other.id
                ),
            )),
            (None, _) => {
                let ids: Vec<&str> = last.iter().map(|node| &*node.id).collect();
                let ids = ids.join(" or ");
                let reason =
                    format!("no agent of {ids} is online: see that it runs, and reaches Systems Manager");
                Err(not_yet(at, reason))
            }
        }
    }
}

#[async_trait]
impl Configuration for RunCommandConfiguration {
    fn calls_back(&self) -> bool {
        true
    }

    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError> {
        self.run(request, false).await.map(|()| Applying::Begun)
    }

    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError> {
        self.run(request, true).await.map(|()| Checking::Begun)
    }
}

/// What a token begins with.
fn mark(token: &str) -> String {
    token.chars().take(MARK_CHARS).collect()
}

fn is_of_role(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_')
}

fn is_revision(text: &str) -> bool {
    let is_of = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=REVISION_CHARS_MAX).contains(&text.len()) && text.chars().all(is_of) && !text.starts_with('.')
}

fn failed(at: &At, failure: EntryFailure) -> DriverError {
    let reason = failure.message.clone();
    match failure.retryable {
        true => {
            let at = at.clone();
            DriverError::ServiceFailed { at, service: SERVICE, reason, source: Some(Box::new(failure)) }
        }
        false => refused(at, reason),
    }
}

fn away(at: &At, reason: String) -> DriverError {
    DriverError::ServiceFailed { at: at.clone(), service: SERVICE, reason, source: None }
}

/// One host is not there yet, which says nothing of the others.
fn not_yet(at: &At, reason: String) -> DriverError {
    DriverError::StepFailed { at: at.clone(), reason, transient: true }
}

fn refused(at: &At, reason: String) -> DriverError {
    DriverError::StepFailed { at: at.clone(), reason, transient: false }
}
