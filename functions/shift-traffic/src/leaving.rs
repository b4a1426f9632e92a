//! A host gets no new requests, ends those that it has, and leaves.

use hostler_app::host_steps::{deferred, failed};
use hostler_core::mutants;
use hostler_domain::{HostDecider, HostInput, HostState, TrafficInput};
use hostler_events::traffic::LeaveTraffic;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};

use crate::{ShiftTraffic, server, target};

impl Step<LeaveTraffic> for ShiftTraffic {
    type Entity = HostDecider;
    /// How many requests were cut off, as far as anybody counts them.
    type Output = u64;

    fn target(&self, command: &LeaveTraffic) -> Target {
        target(&command.host).calling("load-balancer")
    }

    /// Until when the host may have requests is recorded once for the saga, so that each attempt means the same moment.
    fn begin(&self, command: &LeaveTraffic, _: &HostState) -> Option<Begin<HostInput>> {
        let LeaveTraffic { saga, step, traffic: policy, .. } = command.clone();
        Some(Begin::once(HostInput::Traffic { saga, step, told: TrafficInput::StartDrain { policy } }))
    }

    /// A saga that waits for its host to leave always has its answer.
    fn is_wanted(&self, command: &LeaveTraffic, host: &HostState) -> Wanted<HostInput> {
        match host.drained_by(&command.saga) {
            Some(_) => Wanted::Yes,
            None => Wanted::Record(left(command, 0)),
        }
    }

    async fn perform(&self, command: &LeaveTraffic, host: &HostState, _: Fence) -> Result<u64, StepError> {
        let Some((traffic, until)) = host.drained_by(&command.saga) else { return Ok(0) };
        let server = server(&command.host, traffic);
        self.balancer.drain(&server).await?;
        let sessions = self.balancer.sessions(&server).await?;
        let over = self.worker.shell.now() >= until || mutants::on("shift-traffic.cuts-requests-off");
        if sessions != Some(0) && !over {
            return Err(StepError::transient(match sessions {
                Some(sessions) => format!(
                    "the host still has {sessions} requests: it leaves when it has none, and at {until} in any case"
                ),
                None => format!(
                    "the load balancer does not tell how many requests the host still has: it leaves at {until}"
                ),
            }));
        }
        self.balancer.leave(&server).await?;
        Ok(sessions.unwrap_or(0))
    }

    fn succeeded(&self, command: &LeaveTraffic, sessions_cut: u64) -> Vec<HostInput> {
        vec![left(command, sessions_cut)]
    }

    fn failed(&self, command: &LeaveTraffic, error: &StepError) -> Option<HostInput> {
        Some(failed(&command.saga, &command.step, error))
    }

    fn deferred(&self, command: &LeaveTraffic, open: &BreakerOpen) -> Option<HostInput> {
        Some(deferred(&command.saga, &command.step, open))
    }
}

fn left(command: &LeaveTraffic, sessions_cut: u64) -> HostInput {
    let LeaveTraffic { saga, step, .. } = command.clone();
    HostInput::Traffic { saga, step, told: TrafficInput::Left { sessions_cut } }
}
