//! The racks of campaigns: the next host of a rack is looked at, needs a part of the disruption budget, and is patched by a saga
//! of its own.

mod turns;

use std::collections::BTreeSet;

use hostler_core::saga::SagaRef;
use hostler_core::{Decider, Failure, StreamId, TimerFired, mutants};
use hostler_domain::budget::{BudgetDecider, BudgetInput, Held, Holder, Rule};
use hostler_domain::campaign::is_open;
use hostler_domain::campaign::rack::{BY_BUDGET, CampaignRackInput, CampaignRackTimer, Hold, rack_key};
use hostler_domain::patching::patching_of;
use hostler_domain::views::FindingView;
use hostler_domain::{
    CampaignDecider, CampaignRackDecider, CampaignRackState, CampaignState, Claim, HostDecider, HostPhase,
    PolicyState,
};
use hostler_events::budget::Disruption;
use hostler_events::campaign::RunRack;
use hostler_events::patching::{PatchOrder, Reboot};
use hostler_events::site::{Autonomy, PolicySet, SITE};
use hostler_events::{CampaignId, FaultDomain, HostId, PoolId};
use hostler_runtime::state::shell::{Cause, ExecuteError};
use jiff::Timestamp;

use crate::fleet::{autonomy, fixes};
use crate::{PatchFleet, campaign_stream, meaningless, part};

/// After so long the claim of a host is void: longer than any patching takes that has not got stuck.
const PATCH_HOLD_SECONDS: u32 = 6 * 3_600;
/// For so long a claim may be in the hands of somebody who is about to begin its host: longer than an invocation may run.
const AT_WORK_SECONDS: i64 = 60;
/// How many hosts of a rack are looked at in one invocation. Those that are left are looked at in the next one.
const HOSTS_MAX: usize = 100;

impl PatchFleet {
    pub(crate) async fn run_rack(&self, cause: &Cause, run: RunRack) -> Result<(), Failure> {
        let (campaign, rack) = (run.campaign.clone(), run.rack.clone());
        let stream = rack_stream(&campaign, &rack)?;
        let begun = part(cause, "run")?;
        self.shell.execute::<CampaignRackDecider>(&stream, &begun, &CampaignRackInput::Run(run)).await?;
        self.next(cause, &campaign, &rack, false).await.map(drop)
    }

    pub(crate) async fn wake_rack(&self, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        let Some(of) = CampaignRackTimer::read(&timer.name) else { return Err(meaningless(timer)) };
        let state = self.shell.load::<CampaignRackDecider>(&timer.stream).await?.state;
        let (Some(campaign), Some(rack)) = (state.campaign, state.rack) else { return Ok(()) };
        match of {
            // Each chain of waits is for one reason: another one has a chain of its own.
            CampaignRackTimer::Look(since) if state.held.as_ref().is_some_and(|held| held.since == since) => {
                self.in_turn(cause, &campaign, &rack, true).await
            }
            CampaignRackTimer::Running(host) if state.running.as_ref().is_some_and(|of| of.host == host) => {
                self.look_for_end(cause, &campaign, &rack, &host).await
            }
            CampaignRackTimer::Look(_) | CampaignRackTimer::Running(_) => Ok(()),
        }
    }

    /// Begins the next host of a rack, or records why none is begun.
    async fn next(
        &self,
        cause: &Cause,
        campaign: &CampaignId,
        rack: &FaultDomain,
        after_wait: bool,
    ) -> Result<Next, Failure> {
        let stream = rack_stream(campaign, rack)?;
        let campaign_rack = self.shell.load::<CampaignRackDecider>(&stream).await?.state;
        if !campaign_rack.is_free() {
            return Ok(Next::Nothing);
        }
        let of = self.shell.load::<CampaignDecider>(&campaign_stream(campaign)?).await?.state;
        let now = self.shell.now();
        let goes_on = of.runs(campaign_rack.wave) || mutants::on("patch-fleet.begins-for-whoever-is-stopped");
        let Some(advisory) = of.advisory().filter(|_| goes_on) else {
            self.begin_none(cause, (&stream, &campaign_rack), "stopped", &CampaignRackInput::Stopped).await?;
            return Ok(Next::Nothing);
        };
        let policies = self.policies.now().await?;
        if let Some(until) = closed(&of, &policies, now) {
            let lifts = format!("the next maintenance window opens at {until}");
            let (rule, until) = ("window".to_owned(), Some(until));
            let hold = Hold { rule, limit: 0, value: 0, lifts, until, after_wait };
            self.begin_none(cause, (&stream, &campaign_rack), "held", &CampaignRackInput::Hold(hold)).await?;
            return Ok(Next::Nothing);
        }
        let rows = self.rack(advisory, rack).await?;
        let may_begin = |row: &&FindingView| {
            campaign_rack.may_begin(&row.host)
                && !fixes(row).is_empty()
                && autonomy(&row.pool, &policies) != Autonomy::Observe
        };
        let rows: Vec<&FindingView> = rows.iter().filter(may_begin).take(HOSTS_MAX).collect();
        self.begin_one(cause, (campaign, &stream), &campaign_rack, &rows, &policies, after_wait).await
    }

    /// Begins the first of these hosts that may be begun. A pool whose part of the budget is used up does not hold back those of
    /// other pools.
    async fn begin_one(
        &self,
        cause: &Cause,
        (campaign, stream): (&CampaignId, &StreamId),
        campaign_rack: &CampaignRackState,
        rows: &[&FindingView],
        policies: &PolicyState,
        after_wait: bool,
    ) -> Result<Next, Failure> {
        let (mut held_pools, mut first_held) = (BTreeSet::<&PoolId>::new(), None::<Held>);
        let mut left = campaign_rack.hosts.saturating_sub(campaign_rack.used);
        for row in rows {
            if left == 0 {
                return Ok(Next::Nothing);
            }
            if held_pools.contains(&row.pool) {
                continue;
            }
            match self.begin(cause, (campaign, stream), row, policies).await? {
                Begun::Yes => return Ok(Next::Begun),
                Begun::LeftAlone => left -= 1,
                Begun::Held(held) => {
                    held_pools.insert(&row.pool);
                    first_held.get_or_insert(held);
                }
            }
        }
        let Some(Held { rule, limit, value, lifts, .. }) = first_held else {
            if left > 0 {
                let exhausted = CampaignRackInput::Exhausted;
                self.begin_none(cause, (stream, campaign_rack), "exhausted", &exhausted).await?;
            }
            return Ok(Next::Nothing);
        };
        let name = format!("{BY_BUDGET}{}", rule.name());
        let hold = Hold { rule: name, limit, value, lifts, until: None, after_wait };
        self.begin_none(cause, (stream, campaign_rack), "held", &CampaignRackInput::Hold(hold)).await?;
        Ok(Next::Held(rule))
    }

    /// No host of a rack is begun now. What was claimed for one before we died, and is wanted no more, is given back. A host
    /// that is stuck keeps its part: it was begun.
    async fn begin_none(
        &self,
        cause: &Cause,
        (stream, campaign_rack): (&StreamId, &CampaignRackState),
        name: &str,
        why: &CampaignRackInput,
    ) -> Result<(), Failure> {
        let (Some(campaign), Some(rack)) = (&campaign_rack.campaign, &campaign_rack.rack) else {
            return Ok(());
        };
        let now = self.shell.now();
        let held_for = |until: Timestamp| i64::from(PATCH_HOLD_SECONDS) - until.duration_since(now).as_secs();
        let holders = self.shell.load::<BudgetDecider>(&budget_stream()?).await?.state.holders;
        for Holder { saga, disruption: Disruption { host, rack: of, .. }, until, .. } in holders {
            let is_ours = of == *rack && patching_of(campaign, &host).is_ok_and(|ours| ours == saga);
            if is_ours && held_for(until) > AT_WORK_SECONDS && !campaign_rack.outcomes.contains_key(&host) {
                self.give_back_claim(cause, &saga).await?;
            }
        }
        self.tell_rack(&part(cause, name)?, stream, why).await
    }

    async fn begin(
        &self,
        cause: &Cause,
        (campaign, stream): (&CampaignId, &StreamId),
        row: &FindingView,
        policies: &PolicyState,
    ) -> Result<Begun, Failure> {
        let host = &row.host;
        let of_host = StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)?;
        let state = self.shell.load::<HostDecider>(&of_host).await?.state;
        let busy = match (&state.profile, &state.cordon) {
            (None, _) => Some("it is not enrolled".to_owned()),
            (Some(_), _) if state.phase != HostPhase::InService => {
                Some(format!("it is {}, and not in service", state.phase.name()))
            }
            (Some(_), Some(cordon)) => Some(format!("{} works on it", cordon.saga)),
            (Some(_), None) => None,
        };
        if let Some(reason) = busy {
            let input = CampaignRackInput::Skip { host: host.clone(), reason };
            self.tell_rack(&part(cause, &format!("skip:{host}"))?, stream, &input).await?;
            return Ok(Begun::LeftAlone);
        }
        let saga = patching_of(campaign, host).map_err(Failure::invalid)?;
        let pool = state.profile.map_or_else(|| row.pool.clone(), |profile| profile.pool);
        let claim = self.claim_of(&saga, host, &pool, &row.fault_domain, policies).await?;
        let claimed = part(cause, &format!("claim:{host}"))?;
        let input = BudgetInput::Claim(Box::new(claim));
        match self.shell.execute::<BudgetDecider>(&budget_stream()?, &claimed, &input).await {
            Ok(_) => {}
            Err(ExecuteError::Refused(_)) if mutants::on("patch-fleet.begins-without-a-claim") => {}
            Err(ExecuteError::Refused(held)) => return Ok(Begun::Held(held)),
            Err(error) => return Err(error.into()),
        }
        let order = Box::new(PatchOrder {
            campaign: campaign.clone(),
            advisory: row.advisory.clone(),
            host: host.clone(),
            fixes: fixes(row),
            reboot: Reboot::WhenNeeded,
            traffic: policies.policy.pools.get(&pool).and_then(|policy| policy.traffic.clone()),
            policy: policies.policy.patching,
            pool,
        });
        let (input, started) = (CampaignRackInput::Start { order }, part(cause, &format!("start:{host}"))?);
        let campaign_rack =
            self.shell.execute::<CampaignRackDecider>(stream, &started, &input).await?.fold.state;
        let is_running = campaign_rack.running.as_ref().is_some_and(|running| running.host == *host);
        if !is_running {
            // Somebody else was faster, and has begun another host, or has ended this one.
            self.give_back_claim(cause, &saga).await?;
        }
        Ok(Begun::Yes)
    }

    async fn claim_of(
        &self,
        saga: &SagaRef,
        host: &HostId,
        pool: &PoolId,
        rack: &FaultDomain,
        policies: &PolicyState,
    ) -> Result<Claim, Failure> {
        let power_domain = policies.policy.topology.racks.get(rack).map(|place| place.power_domain.clone());
        let disruption =
            Disruption { host: host.clone(), pool: pool.clone(), rack: rack.clone(), power_domain };
        let surroundings = self.unhealthy.surroundings(rack, policies).await?;
        let unhealthy = self.unhealthy.around(&disruption, &surroundings, policies).await?;
        Ok(Claim {
            budget: PolicySet::new(SITE).map_err(Failure::invalid)?,
            saga: saga.clone(),
            disruption,
            is_unhealthy: false,
            passes_brake: false,
            waits: false,
            hold_seconds: PATCH_HOLD_SECONDS,
            pool_hosts: policies.policy.pools.get(pool).map_or(0, |pool| pool.hosts),
            unhealthy,
            limits: policies.policy.budget,
            policy_version: policies.policy_version,
        })
    }

    /// Gives back what was claimed for a host, if anything was.
    pub(crate) async fn give_back_claim(&self, cause: &Cause, saga: &SagaRef) -> Result<(), Failure> {
        if mutants::on("patch-fleet.keeps-its-claims") {
            return Ok(());
        }
        let budget = PolicySet::new(SITE).map_err(Failure::invalid)?;
        let input = BudgetInput::Return { budget, saga: saga.clone() };
        let cause = part(cause, &format!("return:{}", saga.stream().key()))?;
        Ok(self.shell.execute::<BudgetDecider>(&budget_stream()?, &cause, &input).await.map(drop)?)
    }

    async fn tell_rack(
        &self,
        cause: &Cause,
        stream: &StreamId,
        input: &CampaignRackInput,
    ) -> Result<(), Failure> {
        let done =
            self.shell.execute::<CampaignRackDecider>(stream, cause, input).await.map_err(Failure::from)?;
        tracing::info!(%stream, outcome = ?done.outcome, "rack of a campaign looked at");
        Ok(())
    }
}

/// What came of a look at a rack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A host was begun.
    Begun,
    /// By this rule of the disruption budget none was.
    Held(Rule),
    /// Nothing was wanted of the budget.
    Nothing,
}

/// What came of a host that was to be begun.
enum Begun {
    /// It was, or another one of its rack.
    Yes,
    /// It is not in service, or somebody else works on it.
    LeftAlone,
    /// The disruption budget holds it back.
    Held(Held),
}

/// When the next window opens, where none is open. An emergency waits for none.
fn closed(of: &CampaignState, policies: &PolicyState, now: Timestamp) -> Option<Timestamp> {
    if of.emergency {
        return None;
    }
    is_open(&policies.policy.campaigns.windows, now).err()
}

pub(crate) fn rack_stream(campaign: &CampaignId, rack: &FaultDomain) -> Result<StreamId, Failure> {
    StreamId::new(CampaignRackDecider::CATEGORY, &rack_key(campaign, rack)).map_err(Failure::invalid)
}

fn budget_stream() -> Result<StreamId, Failure> {
    StreamId::new(BudgetDecider::CATEGORY, SITE).map_err(Failure::invalid)
}
