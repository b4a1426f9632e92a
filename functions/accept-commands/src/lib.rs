//! Takes operators' commands over HTTP and from the queue `commands`, and the callbacks of booting hosts and of runners.

mod bmcs;
mod boot;
mod callbacks;
mod configuration;
mod requests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, Settings, operations};
use hostler_core::{CommandType, Failure, Incoming};
use hostler_events::commands::{EnrolHost, ReportBoot, ReportConfiguration, RequalifyHost, RequestHosts};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::Control;
use hostler_runtime::serving::CommandEdge;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::state::shell::{Cause, Shell};
use serde::Serialize;

use crate::bmcs::Bmcs;

/// Authorises, validates, decides, appends.
pub struct AcceptCommands {
    edge: CommandEdge,
}

impl AcceptCommands {
    /// The edge for operators' commands, which keeps in `control` whose each BMC is, and checks hosts' tokens with this key.
    #[must_use]
    pub fn new(
        shell: Shell,
        backpressure: Backpressure,
        control: Arc<dyn Control>,
        callback_key: CallbackKey,
        settings: Settings,
    ) -> Self {
        let bmcs = Bmcs { control, policy: settings.host_policy };
        let policies = FollowedPolicies::new(shell.clone());
        let requests = requests::Asked { policies: policies.clone(), settings };
        // These see to more than one entity, so that they take the place of what the register has for them.
        let operations = operations(settings)
            .special::<EnrolHost>(bmcs.clone())
            .special::<RequalifyHost>(bmcs)
            .special::<RequestHosts>(requests)
            .special::<ReportBoot>(boot::Boots { callback_key: callback_key.clone() })
            .special::<ReportConfiguration>(configuration::Runs { callback_key, policies });
        Self { edge: CommandEdge { shell, backpressure, operations } }
    }
}

#[async_trait]
impl Handler for AcceptCommands {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        self.edge.handle(message).await
    }

    fn key(&self, message: &Incoming) -> Option<String> {
        self.edge.key(message)
    }
}

#[async_trait]
impl HttpHandler for AcceptCommands {
    async fn answer(&self, request: &Request) -> Response {
        match request.segments()[..] {
            // What a host or a runner has to say is taken whatever happens: it ends work that is under way.
            ["callbacks", "boot"] if request.method == "POST" => {
                self.called_back(boot::read(request, &self.edge.shell)).await
            }
            ["callbacks", "configuration"] if request.method == "POST" => {
                self.called_back(configuration::read(request, &self.edge.shell)).await
            }
            _ => self.edge.answer(request).await,
        }
    }
}

impl AcceptCommands {
    /// Takes what was read of a callback.
    async fn called_back<C: CommandType + Serialize>(&self, read: Result<(Cause, C), Response>) -> Response {
        let (cause, command) = match read {
            Ok(read) => read,
            Err(response) => return response,
        };
        let data = hostler_core::Data::of(&command);
        match self.edge.accept(&cause, C::TYPE, C::VERSION, &data).await {
            Ok(accepted) => accepted.into(),
            Err(rejected) => rejected.into(),
        }
    }
}
