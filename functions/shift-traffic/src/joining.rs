//! A host gets requests.

use hostler_app::host_steps::{deferred, failed};
use hostler_core::saga::SagaRef;
use hostler_domain::{HostDecider, HostInput, HostState, TrafficInput, traffic_address};
use hostler_drivers::TrafficServer;
use hostler_events::traffic::{JoinTraffic, ReturnTraffic};
use hostler_events::{HostId, TrafficPolicy};
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Step, StepError, Target, Wanted};

use crate::{ShiftTraffic, target};

impl Step<JoinTraffic> for ShiftTraffic {
    type Entity = HostDecider;
    /// Where the host takes requests.
    type Output = String;

    fn target(&self, command: &JoinTraffic) -> Target {
        target(&command.host).calling("load-balancer")
    }

    /// An order that came late must not have requests sent to a host that is being repaired or wiped.
    fn is_wanted(&self, command: &JoinTraffic, host: &HostState) -> Wanted<HostInput> {
        Wanted::when(host.may_join_traffic_for(&command.saga))
    }

    async fn perform(&self, command: &JoinTraffic, host: &HostState, _: Fence) -> Result<String, StepError> {
        self.send_requests(&command.host, &command.traffic, host).await
    }

    fn succeeded(&self, command: &JoinTraffic, address: String) -> Vec<HostInput> {
        let JoinTraffic { saga, step, traffic: policy, .. } = command.clone();
        vec![HostInput::Traffic { saga, step, told: TrafficInput::Joined { policy, address } }]
    }

    fn failed(&self, command: &JoinTraffic, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &JoinTraffic, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

impl Step<ReturnTraffic> for ShiftTraffic {
    type Entity = HostDecider;
    type Output = String;

    fn target(&self, command: &ReturnTraffic) -> Target {
        target(&command.host).calling("load-balancer")
    }

    /// A host that this saga has not taken out stays as it is, and so does one that has left service. The saga has its answer.
    fn is_wanted(&self, command: &ReturnTraffic, host: &HostState) -> Wanted<HostInput> {
        let ReturnTraffic { saga, step, .. } = command;
        match host.is_taken_out_by(saga) && host.may_join_traffic_for(saga) {
            true => Wanted::Yes,
            false => {
                let (saga, step) = (saga.clone(), step.clone());
                Wanted::Record(HostInput::Traffic { saga, step, told: TrafficInput::NothingToReturn })
            }
        }
    }

    async fn perform(
        &self,
        command: &ReturnTraffic,
        host: &HostState,
        _: Fence,
    ) -> Result<String, StepError> {
        self.send_requests(&command.host, &command.traffic, host).await
    }

    fn succeeded(&self, command: &ReturnTraffic, address: String) -> Vec<HostInput> {
        let ReturnTraffic { saga, step, traffic: policy, .. } = command.clone();
        vec![HostInput::Traffic { saga, step, told: TrafficInput::Joined { policy, address } }]
    }

    fn failed(&self, command: &ReturnTraffic, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &ReturnTraffic, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

impl ShiftTraffic {
    async fn send_requests(
        &self,
        host: &HostId,
        policy: &TrafficPolicy,
        state: &HostState,
    ) -> Result<String, StepError> {
        let Some(server) = server_of(host, policy, state) else {
            return Err(StepError::refused(
                "nobody knows where the host takes requests: give it the label traffic.address, as 10.0.0.7:80, or \
                 metrics.address, as 10.0.0.7:9100 (hostler hosts label)",
            ));
        };
        self.balancer.join(&server).await?;
        Ok(server.address)
    }
}

fn server_of(host: &HostId, policy: &TrafficPolicy, state: &HostState) -> Option<TrafficServer> {
    let labels = &state.profile.as_ref()?.labels;
    let address = traffic_address(labels, policy.port)?;
    Some(TrafficServer { backend: policy.backend.to_string(), host: host.to_string(), address })
}

/// Take a host out of traffic that its saga has lost while it was sent there: leaving may have come between the driver's work and
/// the record of it. It is a step of its own, for the record has given that one's lease away; and a repeat of the command does it
/// again.
pub(crate) struct TakeBack {
    pub(crate) saga: SagaRef,
    pub(crate) host: HostId,
    pub(crate) policy: TrafficPolicy,
}

impl TakeBack {
    /// Whether the saga has lost the host, and nobody has it in traffic. Whoever drains it takes it out as well.
    pub(crate) fn is_lost(&self, host: &HostState) -> bool {
        !host.is_in_traffic() && !host.may_join_traffic_for(&self.saga)
    }
}

impl Step<TakeBack> for ShiftTraffic {
    type Entity = HostDecider;
    type Output = ();

    fn target(&self, command: &TakeBack) -> Target {
        Target::of(command.host.as_str()).calling("load-balancer")
    }

    fn is_wanted(&self, command: &TakeBack, host: &HostState) -> Wanted<HostInput> {
        let known = server_of(&command.host, &command.policy, host).is_some();
        Wanted::when(known && command.is_lost(host))
    }

    async fn perform(&self, command: &TakeBack, host: &HostState, _: Fence) -> Result<(), StepError> {
        if let Some(server) = server_of(&command.host, &command.policy, host) {
            self.balancer.drain(&server).await?;
            self.balancer.leave(&server).await?;
        }
        Ok(())
    }

    fn succeeded(&self, _: &TakeBack, (): ()) -> Vec<HostInput> {
        Vec::new()
    }

    /// No saga waits for it: the queue tries again.
    fn failed(&self, _: &TakeBack, _: &StepError) -> Option<HostInput> {
        None
    }

    fn deferred(&self, _: &TakeBack, _: &BreakerOpen) -> Option<HostInput> {
        None
    }
}
