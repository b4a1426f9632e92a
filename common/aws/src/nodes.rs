//! Managed nodes of AWS Systems Manager: commands by Run Command, and parameters of Parameter Store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_config::retry::RetryConfig;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::BuildError;
use aws_sdk_ssm::types::{
    CommandFilter, CommandFilterKey, InstanceInformation, InstanceInformationStringFilter, PingStatus,
};
use hostler_runtime::ports::{
    Clock, CommandStatus, EntryFailure, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters,
};
use jiff::{SignedDuration, Timestamp};

use crate::error::AwsError;

const DESCRIBE: &str = "ssm:DescribeInstanceInformation";
const LIST: &str = "ssm:ListCommands";
const SEND: &str = "ssm:SendCommand";
const INVOCATION: &str = "ssm:GetCommandInvocation";
const STATUS: &str = "ssm:ListCommandInvocations";
const PARAMETER: &str = "ssm:GetParameter";
/// What the service says of a node whose agent does not answer, among other things (*API reference: SendCommand, Errors*).
const NOT_VALID: &str = "InvalidInstanceId";
/// What it says where it has no result of a step: it knows no such command yet, or the step has not ended, or was never begun.
const NO_INVOCATION: [&str; 3] = ["InvocationDoesNotExist", "InvalidPluginName", NOT_VALID];
const NO_PARAMETER: &str = "ParameterNotFound";
const SERVICE: &str = "Systems Manager";
/// How often a command is sent whose answer does not come.
const SENDS_MAX: usize = 2;
/// How long it takes until a command that was sent is listed, mostly: the API is eventually consistent.
const SEEN_AFTER: Duration = Duration::from_secs(2);
/// The longest time that anybody asks for a command of one order: a step is given up before.
const ORDER_LASTS: SignedDuration = SignedDuration::from_hours(1);
const PAGE: i32 = 50;
/// A page may be empty and not the last one.
const PAGES_MAX: usize = 10;

/// Managed nodes, the commands that they are sent, and parameters.
#[derive(Clone)]
pub struct SsmNodes {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl SsmNodes {
    /// Speaks by this client.
    #[must_use]
    pub fn new(client: Client, clock: Arc<dyn Clock>) -> Self {
        Self { client, clock }
    }

    /// Whether a node has a command of the same order already. `SendCommand` has no client token. A node has a history of a month,
    /// of which only the part is read in which the order may be.
    async fn has(&self, node: &str, command: &NodeCommand) -> Result<bool, EntryFailure> {
        let filters = self.of_order(&command.document).map_err(unbuilt)?;
        let mut next = None;
        for _ in 0..PAGES_MAX {
            let call = self.client.list_commands().instance_id(node).set_filters(Some(filters.clone()));
            let page = call.max_results(PAGE).set_next_token(next).send().await;
            let page = page.map_err(|error| of_node(&AwsError::new(LIST, node, error)))?;
            let is_same = |comment: &str| comment.starts_with(&command.same);
            if page.commands().iter().any(|sent| sent.comment().is_some_and(is_same)) {
                return Ok(true);
            }
            next = following(page.next_token());
            if next.is_none() {
                break;
            }
        }
        Ok(false)
    }

    fn of_order(&self, document: &str) -> Result<Vec<CommandFilter>, BuildError> {
        let since = self.clock.now().saturating_sub(ORDER_LASTS).unwrap_or(Timestamp::MIN);
        // Whole seconds, as in the API reference: CommandFilter.
        let since = since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let since = CommandFilter::builder().key(CommandFilterKey::InvokedAfter).value(since).build()?;
        let document =
            CommandFilter::builder().key(CommandFilterKey::DocumentName).value(document).build()?;
        Ok(vec![since, document])
    }

    /// Without the SDK's retries: a command whose answer was lost is looked for before it is sent again.
    async fn send_once(&self, node: &str, command: &NodeCommand) -> Result<(), AwsError> {
        let parameters = command.parameters.iter().map(|(name, value)| (name.clone(), vec![value.clone()]));
        let once = aws_sdk_ssm::config::Builder::new().retry_config(RetryConfig::disabled());
        let call = self
            .client
            .send_command()
            .document_name(&command.document)
            .instance_ids(node)
            .comment(&command.comment)
            .timeout_seconds(i32::from(command.delivery_seconds))
            .set_parameters(Some(parameters.collect()));
        let sent = call.customize().config_override(once).send().await;
        sent.map(drop).map_err(|error| AwsError::new(SEND, node, error))
    }
}

#[async_trait]
impl NodeCommands for SsmNodes {
    async fn nodes(&self, tag: &str, value: &str) -> Result<Vec<ManagedNode>, EntryFailure> {
        let tagged = InstanceInformationStringFilter::builder().key(format!("tag:{tag}")).values(value);
        let tagged = tagged.build().map_err(unbuilt)?;
        let (mut nodes, mut next) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let call = self.client.describe_instance_information().filters(tagged.clone()).max_results(PAGE);
            let page = call.set_next_token(next).send().await;
            let page = page.map_err(|error| {
                EntryFailure::from(&AwsError::new(DESCRIBE, format!("{tag}={value}"), error))
            })?;
            nodes.extend(page.instance_information_list().iter().filter_map(node));
            next = following(page.next_token());
            if next.is_none() {
                break;
            }
        }
        Ok(nodes)
    }

    async fn send(&self, node: &str, command: &NodeCommand) -> Result<(), EntryFailure> {
        let mut failure = EntryFailure::no_answer(SERVICE);
        for sends in 0..SENDS_MAX {
            if sends > 0 {
                self.clock.sleep(SEEN_AFTER).await;
            }
            if self.has(node, command).await? {
                return Ok(());
            }
            failure = match self.send_once(node, command).await {
                Ok(()) => return Ok(()),
                // It was not taken.
                Err(error) if !error.class().retryable() => return Err(of_node(&error)),
                Err(error) => EntryFailure::from(&error),
            };
        }
        Err(failure)
    }

    async fn invocation(
        &self,
        command: &str,
        node: &str,
        step: &str,
    ) -> Result<Option<Invocation>, EntryFailure> {
        let call =
            self.client.get_command_invocation().command_id(command).instance_id(node).plugin_name(step);
        match call.send().await {
            Ok(told) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                Ok(Some(Invocation {
                    comment: text(told.comment()),
                    details: text(told.status_details()),
                    code: told.response_code(),
                    output: text(told.standard_output_content()),
                    errors: text(told.standard_error_content()),
                }))
            }
            Err(error) => match AwsError::new(INVOCATION, format!("{command} on {node}"), error) {
                error if NO_INVOCATION.contains(&error.code()) => Ok(None),
                error => Err(EntryFailure::from(&error)),
            },
        }
    }

    async fn status(&self, command: &str, node: &str) -> Result<Option<CommandStatus>, EntryFailure> {
        let call = self.client.list_command_invocations().command_id(command).instance_id(node);
        match call.send().await {
            Ok(told) => {
                let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
                let told = told.command_invocations().first();
                Ok(told.map(|told| CommandStatus {
                    comment: text(told.comment()),
                    details: text(told.status_details()),
                }))
            }
            Err(error) => match AwsError::new(STATUS, format!("{command} on {node}"), error) {
                error if error.code() == NOT_VALID => Ok(None),
                error => Err(EntryFailure::from(&error)),
            },
        }
    }
}

#[async_trait]
impl Parameters for SsmNodes {
    async fn parameter(&self, name: &str) -> Result<Option<String>, EntryFailure> {
        match self.client.get_parameter().name(name).send().await {
            Ok(told) => Ok(told.parameter().and_then(|parameter| parameter.value()).map(str::to_owned)),
            Err(error) => match AwsError::new(PARAMETER, name, error) {
                error if error.code() == NO_PARAMETER => Ok(None),
                error => Err(EntryFailure::from(&error)),
            },
        }
    }
}

/// A request that lacks something.
fn unbuilt(error: BuildError) -> EntryFailure {
    EntryFailure { retryable: false, code: "InvalidRequest".to_owned(), message: error.to_string() }
}

/// A node that is not valid may be again: its agent does not answer, or it is being registered.
fn of_node(error: &AwsError) -> EntryFailure {
    let failure = EntryFailure::from(error);
    EntryFailure { retryable: failure.retryable || error.code() == NOT_VALID, ..failure }
}

fn node(told: &InstanceInformation) -> Option<ManagedNode> {
    let registered_at = told.registration_date().and_then(|at| Timestamp::from_second(at.secs()).ok());
    let is_online = told.ping_status() == Some(&PingStatus::Online);
    Some(ManagedNode { id: told.instance_id()?.to_owned(), registered_at, is_online })
}

/// The token of the next page. The last page has none, or an empty one.
fn following(token: Option<&str>) -> Option<String> {
    token.filter(|token| !token.is_empty()).map(str::to_owned)
}
