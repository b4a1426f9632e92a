//! Patches vulnerabilities on all hosts that have them, in waves.
//!
//! It counts the hosts right before each wave, and looks at each host again before it is begun: whether it still has the
//! vulnerability and is in service, and whether the disruption budget lets it be disturbed. It talks to nothing outside: each
//! host is patched by a saga of its own, which it hears the end of.

mod ends;
mod fleet;
mod racks;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, UnhealthyHosts, check_due};
use hostler_core::{Category, Decider, Failure, Incoming, Payload, StreamId, TimerFired};
use hostler_domain::campaign::{CampaignTimer, Urgency};
use hostler_domain::{CampaignDecider, CampaignInput, CampaignRackDecider, CampaignState};
use hostler_events::CampaignId;
use hostler_events::advisory::{AdvisoryEvent, AdvisoryPrioritised};
use hostler_events::campaign::{LookAtCampaign, PatchFleetCommand, ReportRack};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Views;
use hostler_runtime::state::shell::{Cause, Shell};

/// How many campaigns one advisory may have, one after the other.
const ROUNDS_MAX: u32 = 1_000;

/// Decides for campaigns and their racks, and has done what was decided.
pub struct PatchFleet {
    /// Where they are decided on.
    pub shell: Shell,
    /// Where the hosts are listed that have a vulnerability.
    pub views: Arc<dyn Views>,
    /// Which hosts are unhealthy.
    pub unhealthy: UnhealthyHosts,
    /// By what is decided.
    pub policies: FollowedPolicies,
}

#[async_trait]
impl Handler for PatchFleet {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        // Each wave and each host is decided on by what is seen then. A host takes minutes, and each look has its delay.
        let cause = &Cause::of(message).afresh();
        match message {
            Incoming::Event(event) if AdvisoryEvent::NAMES.contains(&event.event_type.as_str()) => {
                let (name, version) = (&event.event_type, event.schema_version);
                match AdvisoryEvent::from_data(name, version, &event.data)? {
                    AdvisoryEvent::Prioritised(prioritised) => self.prioritised(cause, prioritised).await,
                    AdvisoryEvent::Recorded(_) | AdvisoryEvent::Exploited(_) | AdvisoryEvent::Scored(_) => {
                        Ok(())
                    }
                }
            }
            Incoming::Event(event) => self.hear(cause, &event.stream).await,
            Incoming::Timer(timer) => self.wake(cause, timer).await,
            Incoming::Command(_) => match message.command::<PatchFleetCommand>()? {
                PatchFleetCommand::LookAtCampaign(LookAtCampaign { campaign }) => {
                    self.look(cause, &campaign).await
                }
                PatchFleetCommand::RunRack(run) => self.run_rack(cause, run).await,
                PatchFleetCommand::ReportRack(ReportRack { report }) => {
                    let campaign = report.campaign.clone();
                    self.tell(cause, &campaign, &CampaignInput::Report(report)).await
                }
            },
        }
    }
}

impl PatchFleet {
    /// What is urgent has a campaign: the one that runs, or the next one. What may wait for the next upgrade has none.
    async fn prioritised(&self, cause: &Cause, of: AdvisoryPrioritised) -> Result<(), Failure> {
        let Some(deadline) = of.deadline.or(of.unexposed_deadline) else { return Ok(()) };
        let (advisory, emergency) = (of.advisory.clone(), of.emergency);
        let reason = format!("{}, by decision table {}", of.priority.name(), of.table);
        for round in 1..=ROUNDS_MAX {
            let campaign = CampaignId::new(format!("{}.{round}", of.advisory)).map_err(Failure::invalid)?;
            let stream = campaign_stream(&campaign)?;
            let fold = self.shell.load::<CampaignDecider>(&stream).await?;
            // A repeat of what has begun a campaign that has ended meanwhile begins no other one.
            let is_repeat = self.shell.committed(&stream, &fold, cause).await?.is_some();
            if fold.state.is_over() && !is_repeat {
                continue;
            }
            let urgency = Urgency { campaign, advisory, deadline: Some(deadline), emergency, reason };
            let input = CampaignInput::Prioritised(urgency);
            let done = self.shell.execute_from::<CampaignDecider>(&stream, fold, cause, &input).await?;
            tracing::info!(%stream, outcome = ?done.outcome, "advisory prioritised");
            return Ok(());
        }
        let reason = format!("{} has had {ROUNDS_MAX} campaigns: create one by hand", of.advisory);
        Err(Failure::terminal(Category::Business, reason))
    }

    /// Counts the hosts, where the campaign waits for that.
    async fn look(&self, cause: &Cause, campaign: &CampaignId) -> Result<(), Failure> {
        let stream = campaign_stream(campaign)?;
        let fold = self.shell.load::<CampaignDecider>(&stream).await?;
        let state: &CampaignState = &fold.state;
        let (Some(advisory), true) = (state.advisory().cloned(), state.waits_for_count(self.shell.now()))
        else {
            return Ok(());
        };
        let fleet = Box::new(self.fleet(&advisory).await?);
        let (hosts, racks) = (fleet.hosts(), fleet.racks.len());
        let input = CampaignInput::Look { fleet };
        let done = self.shell.execute_from::<CampaignDecider>(&stream, fold, cause, &input).await?;
        tracing::info!(%stream, outcome = ?done.outcome, hosts, racks, "campaign looked at");
        Ok(())
    }

    async fn wake(&self, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        check_due(timer.due_at, self.shell.now())?;
        if timer.stream.category() == CampaignRackDecider::CATEGORY {
            return self.wake_rack(cause, timer).await;
        }
        let campaign = CampaignId::new(timer.stream.key()).map_err(Failure::invalid)?;
        match CampaignTimer::read(&timer.name) {
            Some(CampaignTimer::Look) => self.look(cause, &campaign).await,
            Some(CampaignTimer::Running(wave)) => {
                self.tell(cause, &campaign, &CampaignInput::StillRunning { wave }).await
            }
            Some(CampaignTimer::Deadline(deadline)) => {
                self.tell(cause, &campaign, &CampaignInput::DeadlinePassed { deadline }).await
            }
            None => Err(meaningless(timer)),
        }
    }

    async fn tell(&self, cause: &Cause, campaign: &CampaignId, input: &CampaignInput) -> Result<(), Failure> {
        let stream = campaign_stream(campaign)?;
        Ok(self.shell.execute::<CampaignDecider>(&stream, cause, input).await.map(drop)?)
    }
}

fn campaign_stream(campaign: &CampaignId) -> Result<StreamId, Failure> {
    StreamId::new(CampaignDecider::CATEGORY, campaign.as_str()).map_err(Failure::invalid)
}

fn meaningless(timer: &TimerFired) -> Failure {
    let reason = format!("the timer {} of {} means nothing here", timer.name, timer.stream);
    Failure::terminal(Category::Validation, reason)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
