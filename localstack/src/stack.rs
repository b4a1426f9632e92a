//! A deployed stack: its outputs, its resources, and waiting for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudformation::types::StackEvent;

use crate::account::Account;
use crate::error::Error;
use crate::http::{CallbackRoute, HttpApi};

const WAIT_SECONDS_MAX: u64 = 300;
const EVENT_PAGES_MAX: usize = 20;
/// CloudFormation allows 500 resources in a stack, and lists 100 per page.
const RESOURCE_PAGES_MAX: usize = 10;
const EVENTS_SHOWN_MAX: usize = 30;

/// A stack that is complete.
#[derive(Debug, Clone)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// The account it is in.
    pub account: Account,
    /// The template's outputs.
    pub outputs: BTreeMap<String, String>,
    /// Its resources by logical id.
    pub resources: BTreeMap<String, Resource>,
}

/// One resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The type, as `AWS::SQS::Queue`.
    pub kind: String,
    /// What the service calls it: a table's name, a queue's address, a function's name.
    pub physical_id: String,
}

impl Stack {
    /// Finds a stack that is already deployed.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Stack`] when there is none of that name.
    pub async fn find(account: &Account, name: &str) -> Result<Self, Error> {
        Self::read(&Client::new(&account.sdk_config()), account, name).await
    }

    pub(crate) async fn read(client: &Client, account: &Account, name: &str) -> Result<Self, Error> {
        let described = client.describe_stacks().stack_name(name).send().await;
        let described = described.map_err(Error::aws(format!("describing stack {name}")))?;
        let Some(stack) = described.stacks().first() else {
            let (status, events) = ("not there".to_owned(), String::new());
            return Err(Error::Stack { stack: name.to_owned(), status, events });
        };
        let output = |output: &aws_sdk_cloudformation::types::Output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        };
        let outputs = stack.outputs().iter().filter_map(output).collect();
        let resources = list_resources(client, name).await?;
        Ok(Self { name: name.to_owned(), account: account.clone(), outputs, resources })
    }

    /// The physical id of a resource, by its logical id.
    #[must_use]
    pub fn physical_id(&self, logical_id: &str) -> Option<&str> {
        self.resources.get(logical_id).map(|resource| resource.physical_id.as_str())
    }

    /// How to call the stack's HTTP API.
    ///
    /// # Errors
    /// [`Error::NoHttpApi`] when the template has none.
    pub fn http(&self) -> Result<HttpApi, Error> {
        let api = self.resources.values().find(|resource| resource.kind == "AWS::ApiGatewayV2::Api");
        let api = api.ok_or_else(|| Error::NoHttpApi { stack: self.name.clone() })?;
        Ok(HttpApi::new(self.account.endpoint(), self.account.id(), &api.physical_id))
    }

    /// The address of the stack's HTTP API without a slash at its end; paths follow directly.
    ///
    /// # Errors
    /// As [`Stack::http`].
    pub fn api_url(&self) -> Result<String, Error> {
        Ok(self.http()?.base_url)
    }

    /// How simulated hosts reach this stack's HTTP API. See [`Account::callback_route`].
    #[must_use]
    pub fn callback_route(&self) -> CallbackRoute {
        self.account.callback_route()
    }

    /// Deletes the stack and waits for its end. Tables with a retaining policy stay.
    ///
    /// # Errors
    /// [`Error::Aws`], [`Error::Stack`].
    pub async fn delete(self) -> Result<(), Error> {
        delete(&Client::new(&self.account.sdk_config()), &self.name).await
    }
}

/// All resources of a stack. The call that describes them stops at 100 without a word.
async fn list_resources(client: &Client, name: &str) -> Result<BTreeMap<String, Resource>, Error> {
    let mut pages = client.list_stack_resources().stack_name(name).into_paginator().send();
    let mut resources = BTreeMap::new();
    for _ in 0..RESOURCE_PAGES_MAX {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(Error::aws(format!("listing the resources of stack {name}")))?;
        resources.extend(page.stack_resource_summaries().iter().filter_map(|resource| {
            let (kind, physical_id) = (resource.resource_type()?, resource.physical_resource_id()?);
            let found = Resource { kind: kind.to_owned(), physical_id: physical_id.to_owned() };
            Some((resource.logical_resource_id()?.to_owned(), found))
        }));
    }
    Ok(resources)
}

/// The stack's status, or none when there is no such stack.
pub(crate) async fn status(client: &Client, name: &str) -> Result<Option<String>, Error> {
    match client.describe_stacks().stack_name(name).send().await {
        Ok(described) => {
            let status = described.stacks().first().and_then(|stack| stack.stack_status());
            let status = status.map(|status| status.as_str().to_owned());
            Ok(status.filter(|status| status != "DELETE_COMPLETE"))
        }
        Err(error) if message(&error).contains("does not exist") => Ok(None),
        Err(error) => Err(Error::aws(format!("describing stack {name}"))(error)),
    }
}

/// Waits for CREATE_COMPLETE or UPDATE_COMPLETE.
pub(crate) async fn wait_until_complete(client: &Client, name: &str) -> Result<(), Error> {
    let reached = wait_while(client, name, "_IN_PROGRESS").await?;
    match reached.as_deref() {
        Some("CREATE_COMPLETE" | "UPDATE_COMPLETE") => Ok(()),
        other => Err(failure(client, name, other.unwrap_or("gone")).await),
    }
}

/// Deletes a stack and waits until it is gone.
pub(crate) async fn delete(client: &Client, name: &str) -> Result<(), Error> {
    let sent = client.delete_stack().stack_name(name).send().await;
    sent.map_err(Error::aws(format!("deleting stack {name}")))?;
    match wait_while(client, name, "DELETE_IN_PROGRESS").await? {
        None => Ok(()),
        Some(status) => Err(failure(client, name, &status).await),
    }
}

/// Polls until the status no longer ends with `suffix`; gives it.
async fn wait_while(client: &Client, name: &str, suffix: &str) -> Result<Option<String>, Error> {
    let deadline = Instant::now() + Duration::from_secs(WAIT_SECONDS_MAX);
    loop {
        let now = status(client, name).await?;
        match now {
            Some(status) if status.ends_with(suffix) => {
                if Instant::now() >= deadline {
                    let status = format!("still {status} after {WAIT_SECONDS_MAX} s");
                    return Err(failure(client, name, &status).await);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            reached => return Ok(reached),
        }
    }
}

/// What went wrong, from the stack's events. When these can't be read either, says so.
async fn failure(client: &Client, name: &str, status: &str) -> Error {
    let mut pages = client.describe_stack_events().stack_name(name).into_paginator().send();
    let mut lines = Vec::new();
    for _ in 0..EVENT_PAGES_MAX {
        match pages.next().await {
            Some(Ok(page)) => lines.extend(page.stack_events().iter().filter_map(failed_line)),
            Some(Err(error)) => lines.push(format!("the events can't be read: {}", message(&error))),
            None => break,
        }
    }
    lines.truncate(EVENTS_SHOWN_MAX);
    // They come newest first; the first failure is the cause of the others.
    lines.reverse();
    Error::Stack { stack: name.to_owned(), status: status.to_owned(), events: lines.join("\n") }
}

fn failed_line(event: &StackEvent) -> Option<String> {
    let status = event.resource_status()?.as_str();
    let reason = event.resource_status_reason()?;
    let failed = status.ends_with("_FAILED") || status.contains("ROLLBACK");
    failed.then(|| {
        let resource = event.logical_resource_id().unwrap_or("?");
        let kind = event.resource_type().unwrap_or("?");
        format!("  {resource} ({kind}) {status}: {reason}")
    })
}

/// What the service says about an error.
pub(crate) fn message<E, R>(error: &SdkError<E, R>) -> String
where
    SdkError<E, R>: ProvideErrorMetadata,
{
    error.message().unwrap_or_default().to_owned()
}
