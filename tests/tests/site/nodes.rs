//! The managed nodes of a site: each host is one. What is sent to them ends when a test says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_drivers::{ApplyRole, Applying, Checking, Configuration, DriverError, RunCommandConfiguration};
use hostler_events::IngestCommand;
use hostler_events::signal::{SignalForm, TakeSignals};
use hostler_runtime::ports::{
    Clock, CommandStatus, EntryFailure, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters,
};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

/// A command that a node was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub id: String,
    pub node: String,
    pub command: NodeCommand,
    invocation: Option<Invocation>,
    status: Option<CommandStatus>,
}

/// All of them. Shared by its clones.
#[derive(Clone)]
pub struct Nodes {
    /// Whether roles are applied by them, and not at once.
    pub on: Arc<AtomicBool>,
    /// The newest revision of each role, where it is another one than `7`.
    pub revisions: Arc<Mutex<BTreeMap<String, String>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
    errors: Arc<Mutex<String>>,
    clock: Arc<dyn Clock>,
}

impl Nodes {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let (on, revisions, sent, errors) = Default::default();
        Self { on, revisions, sent, errors, clock }
    }

    /// What the next command that ends writes to its standard error.
    pub fn write_errors(&self, errors: &str) {
        errors.clone_into(&mut self.errors.lock().unwrap());
    }

    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// A command ends with this status and output: what AWS's event of it says, as it comes off the queue.
    pub fn end(&self, number: usize, status: &str, output: &str) -> IngestCommand {
        let mut sent = self.sent.lock().unwrap();
        let of = &mut sent[number];
        of.invocation = Some(Invocation {
            comment: of.command.comment.clone(),
            details: status.to_owned(),
            code: if status == "Success" { 0 } else { 2 },
            output: output.to_owned(),
            errors: std::mem::take(&mut *self.errors.lock().unwrap()),
        });
        self.event(number, of, status)
    }

    /// A command ends that its node has not taken: there is nothing that a step of it did.
    pub fn end_unbegun(&self, number: usize, status: &str, details: &str) -> IngestCommand {
        let mut sent = self.sent.lock().unwrap();
        let of = &mut sent[number];
        of.status = Some(CommandStatus { comment: of.command.comment.clone(), details: details.to_owned() });
        self.event(number, of, status)
    }

    fn event(&self, number: usize, of: &Sent, status: &str) -> IngestCommand {
        let Sent { id, node, command, .. } = of;
        let received_at = self.clock.now();
        let body = json!({
            "id": Uuid::from_u128(0x5e11_u128 + number as u128), "source": "aws.ssm", "time": received_at,
            "detail-type": "EC2 Command Invocation Status-change Notification",
            "detail": { "command-id": id, "instance-id": node, "document-name": command.document, "status": status },
        });
        IngestCommand::from(TakeSignals { form: SignalForm::EventBridge, received_at, body })
    }
}

#[async_trait]
impl NodeCommands for Nodes {
    async fn nodes(&self, _: &str, host: &str) -> Result<Vec<ManagedNode>, EntryFailure> {
        let id = format!("mi-{host}");
        Ok(vec![ManagedNode { id, registered_at: Some(Timestamp::UNIX_EPOCH), is_online: true }])
    }

    async fn send(&self, node: &str, command: &NodeCommand) -> Result<(), EntryFailure> {
        let mut sent = self.sent.lock().unwrap();
        if !sent.iter().any(|of| of.node == node && of.command.comment.starts_with(&command.same)) {
            let id = Uuid::from_u128(0xc0_u128 + sent.len() as u128).to_string();
            sent.push(Sent {
                id,
                node: node.to_owned(),
                command: command.clone(),
                invocation: None,
                status: None,
            });
        }
        Ok(())
    }

    async fn invocation(&self, id: &str, _: &str, _: &str) -> Result<Option<Invocation>, EntryFailure> {
        Ok(self.sent().into_iter().find(|of| of.id == id).and_then(|of| of.invocation))
    }

    async fn status(&self, id: &str, _: &str) -> Result<Option<CommandStatus>, EntryFailure> {
        Ok(self.sent().into_iter().find(|of| of.id == id).and_then(|of| of.status))
    }
}

#[async_trait]
impl Parameters for Nodes {
    async fn parameter(&self, name: &str) -> Result<Option<String>, EntryFailure> {
        let role = name.trim_start_matches("/hostler/roles/");
        let revision = self.revisions.lock().unwrap().get(role).cloned();
        Ok(Some(revision.unwrap_or_else(|| "7".to_owned())))
    }
}

/// Roles are applied by nodes where they are on, and else as they were.
pub struct Chosen<T> {
    pub nodes: Nodes,
    pub run_command: RunCommandConfiguration,
    pub otherwise: T,
}

impl<T: Configuration> Chosen<T> {
    fn one(&self) -> &dyn Configuration {
        if self.nodes.on.load(Ordering::Relaxed) { &self.run_command } else { &self.otherwise }
    }
}

#[async_trait]
impl<T: Configuration> Configuration for Chosen<T> {
    fn calls_back(&self) -> bool {
        self.one().calls_back()
    }

    async fn apply_role(&self, request: &ApplyRole) -> Result<Applying, DriverError> {
        self.one().apply_role(request).await
    }

    async fn check_role(&self, request: &ApplyRole) -> Result<Checking, DriverError> {
        self.one().check_role(request).await
    }
}
