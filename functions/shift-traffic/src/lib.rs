//! Has hosts join traffic, and leave it once they have ended the requests that they have.
//!
//! Leaving takes several looks: the load balancer gives the host no new requests, and the step is answered as failed for now
//! as long as the host has some. Its saga asks again after a delay. Nobody waits in between, and the moment at which the host
//! leaves in any case is recorded with the first look.

mod joining;
mod leaving;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_core::{Failure, Incoming};
use hostler_domain::{HostState, Traffic};
use hostler_drivers::{LoadBalancer, TrafficServer};
use hostler_events::traffic::{JoinTraffic, ReturnTraffic};
use hostler_events::{HostId, TrafficCommand};
use hostler_runtime::effects::steps::{StepWorker, Target};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::Cause;

use crate::joining::TakeBack;

/// Has hosts join traffic and leave it.
pub struct ShiftTraffic {
    /// What carries out the steps.
    pub worker: StepWorker,
    /// What sends hosts requests.
    pub balancer: Arc<dyn LoadBalancer>,
}

#[async_trait]
impl Handler for ShiftTraffic {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = Cause::of(message);
        match message.command()? {
            TrafficCommand::JoinTraffic(command) => {
                let host = self.worker.run(self, &cause, &command).await?;
                let JoinTraffic { saga, host: id, traffic: policy, .. } = command;
                self.take_back(&cause, host, TakeBack { saga, host: id, policy }).await
            }
            TrafficCommand::ReturnTraffic(command) => {
                let host = self.worker.run(self, &cause, &command).await?;
                let ReturnTraffic { saga, host: id, traffic: policy, .. } = command;
                self.take_back(&cause, host, TakeBack { saga, host: id, policy }).await
            }
            TrafficCommand::LeaveTraffic(command) => self.worker.run(self, &cause, &command).await.map(drop),
        }
    }
}

impl ShiftTraffic {
    /// Takes a host out again that was sent into traffic while its saga lost it.
    async fn take_back(&self, cause: &Cause, host: Option<HostState>, back: TakeBack) -> Result<(), Failure> {
        if host.is_some_and(|host| !back.is_lost(&host)) {
            return Ok(());
        }
        let cause = cause.part("taken-back").map_err(Failure::invalid)?;
        self.worker.run(self, &cause, &back).await.map(drop)
    }
}

/// A host is told to the load balancer by one at a time.
fn target(host: &HostId) -> Target {
    Target::of(host.as_str()).leased(format!("traffic/{host}"))
}

fn server(host: &HostId, traffic: &Traffic) -> TrafficServer {
    TrafficServer {
        backend: traffic.policy.backend.to_string(),
        host: host.to_string(),
        address: traffic.address.clone(),
    }
}
