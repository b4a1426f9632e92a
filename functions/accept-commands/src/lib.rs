//! Takes operators' commands over HTTP and from the queue `commands`, and booting hosts' callbacks.

mod accept;
mod http;
#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hostler_core::{Category, Decider, Failure, Incoming, TimerFired};
use hostler_domain::{CapacityDecider, CapacityInput};
use hostler_drivers::CallbackKey;
use hostler_events::{HostPolicy, OperatorCommand, ProvisioningPolicy};
use hostler_runtime::flow::Overload;
use hostler_runtime::{Backpressure, Cause, Handler, HttpHandler, Request, Response, Shell};
use serde::de::DeserializeOwned;

pub use accept::{Accepted, Rejected};

/// Authorises, validates, decides, appends.
pub struct AcceptCommands {
    /// Where streams are loaded and appended.
    pub shell: Shell,
    /// What says when there are too many commands.
    pub backpressure: Backpressure,
    /// What hosts' tokens are checked with.
    pub callback_key: CallbackKey,
    /// Deadlines and attempts of new provisionings.
    pub provisioning_policy: ProvisioningPolicy,
    /// How many hosts a request may ask for without a second person's word; any number, where absent.
    pub approval_above: Option<u32>,
    /// Deadlines and attempts of newly enrolled hosts.
    pub host_policy: HostPolicy,
}

#[async_trait]
impl Handler for AcceptCommands {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        if let Incoming::Timer(timer) = message {
            return self.fired(&Cause::of(message), timer).await;
        }
        let command: OperatorCommand = message.command()?;
        match self.accept(&Cause::of(message), command).await {
            Ok(accepted) => {
                tracing::info!(stream = %accepted.stream, version = accepted.version.0, "accepted")
            }
            // There is nobody to answer: the dead letter tells the sender why.
            Err(Rejected::Refused { reason, .. }) => {
                return Err(Failure::terminal(Category::Business, reason));
            }
            Err(Rejected::Failed(failure)) => return Err(failure),
        }
        Ok(())
    }

    fn key(&self, message: &Incoming) -> Option<String> {
        message.command::<OperatorCommand>().ok().map(|command| command.subject())
    }
}

impl AcceptCommands {
    /// A request's wait for approval is over.
    async fn fired(&self, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        if timer.stream.category() != CapacityDecider::CATEGORY {
            let reason = format!("the timer {} of {} is no request's", timer.name, timer.stream);
            return Err(Failure::terminal(Category::Validation, reason));
        }
        let input = CapacityInput::Timer { name: timer.name.clone() };
        let done = self.shell.execute::<CapacityDecider>(&timer.stream, cause, &input).await?;
        tracing::info!(stream = %timer.stream, version = done.fold.version.0, outcome = ?done.outcome, "request");
        Ok(())
    }
}

#[async_trait]
impl HttpHandler for AcceptCommands {
    async fn answer(&self, request: &Request) -> Response {
        // What a host has to say is taken whatever happens: it says it once, and it ends work that is under way.
        let overload = match request.segments()[..] {
            ["callbacks", ..] => Overload::Buffer,
            _ => Overload::Signal,
        };
        if let Err(overloaded) = self.backpressure.admit(overload).await {
            let mut response = Response::error(429, "overloaded", overloaded.to_string());
            let seconds = overloaded.retry_after.as_secs().to_string();
            response.headers.insert("retry-after".to_owned(), seconds);
            return response;
        }
        match http::read(request, &self.shell) {
            Ok((cause, command)) => match self.accept(&cause, command).await {
                Ok(accepted) => accepted.into(),
                Err(rejected) => rejected.into(),
            },
            Err(response) => response,
        }
    }
}

/// A setting that does not read; the function does not start.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {name} is no policy: {source}; give it JSON such as {{}} in template.yaml")]
pub struct SettingError {
    name: &'static str,
    #[source]
    source: serde_json::Error,
}

/// Reads a setting that is JSON; an empty one has its default.
///
/// # Errors
/// [`SettingError`] names the variable.
pub fn setting<T: DeserializeOwned + Default>(name: &'static str, text: &str) -> Result<T, SettingError> {
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|source| SettingError { name, source })
}
