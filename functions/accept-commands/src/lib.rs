//! Takes operators' commands over HTTP and from the queue `commands`, and booting hosts' callbacks.

mod bmcs;
mod boot;
mod requests;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, Settings, operations};
use hostler_core::{CommandType, Failure, Incoming};
use hostler_events::commands::{EnrolHost, ReportBoot, RequalifyHost, RequestHosts};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::operations::flow::Backpressure;
use hostler_runtime::ports::Control;
use hostler_runtime::serving::CommandEdge;
use hostler_runtime::serving::callback::CallbackKey;
use hostler_runtime::serving::http::{HttpHandler, Request, Response};
use hostler_runtime::state::shell::Shell;

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
        let requests = requests::Asked { policies: FollowedPolicies::new(shell.clone()), settings };
        // These see to more than one entity, so that they take the place of what the register has for them.
        let operations = operations(settings)
            .special::<EnrolHost>(bmcs.clone())
            .special::<RequalifyHost>(bmcs)
            .special::<RequestHosts>(requests)
            .special::<ReportBoot>(boot::Boots { callback_key });
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
            // What a host has to say is taken whatever happens: it says it once, and it ends work that is under way.
            ["callbacks", "boot"] if request.method == "POST" => {
                match boot::read(request, &self.edge.shell) {
                    Ok((cause, report)) => {
                        let (version, data) = (ReportBoot::VERSION, hostler_core::Data::of(&report));
                        match self.edge.accept(&cause, ReportBoot::TYPE, version, &data).await {
                            Ok(accepted) => accepted.into(),
                            Err(rejected) => rejected.into(),
                        }
                    }
                    Err(response) => response,
                }
            }
            _ => self.edge.answer(request).await,
        }
    }
}
