//! What has become of the hosts that are patched.

use hostler_core::saga::SagaDefinition;
use hostler_core::{Decider, Failure, StreamId};
use hostler_domain::campaign::rack::CampaignRackInput;
use hostler_domain::patching::{PatchOutcome, Patching, PatchingSaga, outcome};
use hostler_domain::{CampaignRackDecider, HostDecider};
use hostler_events::CampaignId;
use hostler_events::campaign::PatchEnd;
use hostler_events::{FaultDomain, HostId};
use hostler_runtime::state::shell::Cause;

use crate::racks::rack_stream;
use crate::{PatchFleet, part};

impl PatchFleet {
    /// A saga has ended, whosever it was.
    pub(crate) async fn hear(&self, cause: &Cause, stream: &StreamId) -> Result<(), Failure> {
        if stream.category() != Patching::KIND {
            return Ok(());
        }
        let Some(begun) = self.shell.load::<PatchingSaga>(stream).await?.state.begun else { return Ok(()) };
        let (campaign, host) = (begun.order.campaign, begun.order.host);
        // Where a host stands by now is where it stood when it was begun: a host that was enrolled anew elsewhere is found by the
        // timer of its rack.
        let of_host = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let profile = self.shell.load::<HostDecider>(&of_host).await?.state.profile;
        let Some(rack) = profile.map(|profile| profile.fault_domain) else { return Ok(()) };
        self.look_for_end(cause, &campaign, &rack, &host).await
    }

    /// Whether the saga of a host has ended. Then the next one may be begun.
    pub(crate) async fn look_for_end(
        &self,
        cause: &Cause,
        campaign: &CampaignId,
        rack: &FaultDomain,
        host: &HostId,
    ) -> Result<(), Failure> {
        let stream = rack_stream(campaign, rack)?;
        let campaign_rack = self.shell.load::<CampaignRackDecider>(&stream).await?;
        let saga = hostler_domain::patching::patching_of(campaign, host).map_err(Failure::invalid)?;
        let state = self.shell.load::<PatchingSaga>(saga.stream()).await?.state;
        let Some(of) = outcome(&state) else {
            let input = CampaignRackInput::StillRunning { host: host.clone() };
            let cause = part(cause, "again")?;
            return Ok(self
                .shell
                .execute_from::<CampaignRackDecider>(&stream, campaign_rack, &cause, &input)
                .await
                .map(drop)?);
        };
        let is_stuck = matches!(of, PatchOutcome::Stuck { .. });
        if !is_stuck {
            self.give_back_claim(cause, &saga).await?;
        }
        let (end, reason) = told(of);
        let input = CampaignRackInput::Ended { host: host.clone(), end, reason };
        let cause_of_end = part(cause, "ended")?;
        self.shell.execute_from::<CampaignRackDecider>(&stream, campaign_rack, &cause_of_end, &input).await?;
        self.in_turn(cause, campaign, rack, false).await
    }
}

/// What has become of a host, in the campaign's words. A host that is stuck keeps its part of the budget: it is still disturbed.
fn told(outcome: PatchOutcome) -> (PatchEnd, String) {
    match outcome {
        PatchOutcome::NothingToDo { why } => (PatchEnd::Skipped, why),
        PatchOutcome::Patched { resolved: Some(false), missing, .. } if !missing.is_empty() => {
            (PatchEnd::Partial, format!("not installed: {}", missing.join(", ")))
        }
        PatchOutcome::Patched { resolved: Some(false), reboot_pending: true, .. } => {
            (PatchEnd::Failed, "it is installed, and waits for a reboot".to_owned())
        }
        PatchOutcome::Patched { resolved: Some(false), reboot_pending: false, .. } => {
            (PatchEnd::Failed, "it is installed, and a scan still finds the vulnerability".to_owned())
        }
        // The next scan says what nobody could see now.
        PatchOutcome::Patched { resolved: Some(true) | None, .. } => (PatchEnd::Patched, String::new()),
        PatchOutcome::Failed { reason, .. } | PatchOutcome::Stuck { reason } => (PatchEnd::Failed, reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(resolved: Option<bool>, reboot_pending: bool, missing: &[&str]) -> PatchOutcome {
        let missing = missing.iter().map(|package| (*package).to_owned()).collect();
        PatchOutcome::Patched { resolved, reboot_pending, missing }
    }

    /// What still has the vulnerability has failed, but for what was installed in part: its own system knows why.
    #[test]
    fn what_became_of_a_host_is_what_a_scan_has_seen() {
        let end =
            |resolved, reboot_pending, missing: &[&str]| told(patched(resolved, reboot_pending, missing));
        assert_eq!(end(Some(true), false, &[]).0, PatchEnd::Patched);
        assert_eq!(
            end(Some(true), false, &["libssl3"]).0,
            PatchEnd::Patched,
            "what is missing was not affected"
        );
        assert_eq!(end(None, false, &[]).0, PatchEnd::Patched, "the next scan says so");
        assert_eq!(end(Some(false), false, &[]).0, PatchEnd::Failed);
        assert_eq!(end(Some(false), true, &[]).0, PatchEnd::Failed, "reboot pending is not fixed");
        let partial = (PatchEnd::Partial, "not installed: libssl3, openssl".to_owned());
        assert_eq!(end(Some(false), true, &["libssl3", "openssl"]), partial);
    }
}
