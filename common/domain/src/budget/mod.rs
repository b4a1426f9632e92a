//! One disruption budget for a site, shared by whoever disturbs hosts: the stream `budget#<site>`.
//!
//! It is one stream, so that a claim is checked against all others in one commit. What is granted and returned is written,
//! and that is as seldom as the budget is small. What is held back is no event here: whoever asked records it, with the
//! rule, the limit and the value that [`Held`] tells.

use hostler_core::saga::{SagaCommand, SagaRef, StepReply};
use hostler_core::{Decider, Decision, mutants};
use hostler_events::StepId;
use hostler_events::budget::{
    BudgetBegun, BudgetEvent, BudgetExpired, BudgetGranted, BudgetReturned, Disruption, Unhealthy,
};
use hostler_events::recovery::ClaimDisruption;
use hostler_events::site::{BudgetPolicy, PolicySet};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::policies::PolicyState;
use crate::support::after;

#[cfg(test)]
mod tests;

/// Decides on `budget#` streams.
#[derive(Debug, Clone, Copy)]
pub struct BudgetDecider;

/// What is asked of a budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetInput {
    /// May a host be disturbed?
    Claim(Box<Claim>),
    /// What was granted and has yet to begin begins now. A saga whose claim is void is told so, and must not begin.
    Begin {
        /// The budget.
        budget: PolicySet,
        /// Whose claim.
        saga: SagaRef,
        /// The step that begins it.
        step: StepId,
    },
    /// It is over.
    Return {
        /// The budget.
        budget: PolicySet,
        /// Whose claim.
        saga: SagaRef,
    },
}

/// A claim, and everything by which it is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The budget.
    pub budget: PolicySet,
    /// Who asks.
    pub saga: SagaRef,
    /// What is to be disturbed.
    pub disruption: Disruption,
    /// Whether the host is unhealthy already, so that disturbing it takes nothing from its pool.
    pub is_unhealthy: bool,
    /// Whether the claim may pass the brake, because it heals what the brake waits for.
    pub passes_brake: bool,
    /// Whether it begins later, when its saga says so: after it has looked at the host again, which may take long.
    pub waits: bool,
    /// After how many seconds the claim is void.
    pub hold_seconds: u32,
    /// How many hosts the pool has. Of none, none may be disturbed.
    pub pool_hosts: u32,
    /// How many hosts are unhealthy, without this one.
    pub unhealthy: Unhealthy,
    /// The limits.
    pub limits: BudgetPolicy,
    /// The version of the policy that they are from.
    pub policy_version: u64,
}

/// After so long the claim of a recovery is void: longer than any takes that has not got stuck.
const RECOVERY_HOLD_SECONDS: u32 = 6 * 3_600;

impl Claim {
    /// The claim of a recovery, with how many other hosts are unhealthy. One that waits looks at its host again before it begins.
    #[must_use]
    pub fn of_recovery(
        budget: PolicySet,
        command: &ClaimDisruption,
        waits: bool,
        unhealthy: Unhealthy,
        policies: &PolicyState,
    ) -> Self {
        Self {
            budget,
            saga: command.saga.clone(),
            disruption: Self::disruption_of(command, policies),
            is_unhealthy: true,
            passes_brake: command.passes_brake,
            waits,
            hold_seconds: RECOVERY_HOLD_SECONDS,
            pool_hosts: policies.policy.pools.get(&command.pool).map_or(0, |pool| pool.hosts),
            unhealthy,
            limits: policies.policy.budget,
            policy_version: policies.policy_version,
        }
    }

    /// What a recovery would disturb.
    #[must_use]
    pub fn disruption_of(command: &ClaimDisruption, policies: &PolicyState) -> Disruption {
        let place = policies.policy.topology.racks.get(&command.rack);
        Disruption {
            host: command.host.clone(),
            pool: command.pool.clone(),
            rack: command.rack.clone(),
            power_domain: place.map(|place| place.power_domain.clone()),
        }
    }
}

/// A rule by which a disruption is held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Too much of the pool is unhealthy: the cause is not in single hosts.
    Brake,
    /// Somebody else disturbs the host.
    Host,
    /// So many at once in the site.
    Site,
    /// So many at once in the pool.
    Pool,
    /// So many at once in the rack.
    Rack,
    /// So many at once in the power domain.
    PowerDomain,
    /// So many within the window.
    Window,
}

impl Rule {
    /// The name in events and views.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Brake => "brake",
            Self::Host => "host",
            Self::Site => "site",
            Self::Pool => "pool",
            Self::Rack => "rack",
            Self::PowerDomain => "power-domain",
            Self::Window => "window",
        }
    }
}

/// Why a host is not disturbed now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("held back by the rule {}: {value} of at most {limit}; {lifts}", rule.name())]
pub struct Held {
    /// The rule.
    pub rule: Rule,
    /// What it allows.
    pub limit: u32,
    /// What there is.
    pub value: u32,
    /// Since when, where the budget knows.
    pub since: Option<Timestamp>,
    /// What would lift it.
    pub lifts: String,
}

/// A part of the budget that somebody holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    /// Who.
    pub saga: SagaRef,
    /// What is disturbed.
    pub disruption: Disruption,
    /// Until when at most.
    pub until: Timestamp,
    /// Whether it has yet to begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub waits: bool,
}

/// What is known of a budget.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetState {
    /// Who holds a part of it, the oldest first.
    pub holders: Vec<Holder>,
    /// When those began that began last, the oldest first.
    pub starts: Vec<Timestamp>,
    /// The limits of the last grant.
    pub limits: BudgetPolicy,
}

impl BudgetState {
    /// Whether somebody holds a part of it.
    #[must_use]
    pub fn is_held_by(&self, saga: &SagaRef) -> bool {
        self.holders.iter().any(|holder| holder.saga == *saga)
    }

    /// Whether somebody holds a part of it that is not void, and has begun.
    #[must_use]
    pub fn has_begun(&self, saga: &SagaRef, now: Timestamp) -> bool {
        self.holders.iter().any(|holder| holder.saga == *saga && holder.until > now && !holder.waits)
    }
}

impl Decider for BudgetDecider {
    const CATEGORY: &'static str = "budget";
    const STATE_VERSION: u32 = 1;
    type State = BudgetState;
    type Input = BudgetInput;
    type Event = BudgetEvent;
    /// It tells a saga that it must not begin.
    type Command = SagaCommand;
    type Refusal = Held;

    fn decide(
        state: &BudgetState,
        input: &BudgetInput,
        now: Timestamp,
    ) -> Result<Decision<BudgetEvent, SagaCommand>, Held> {
        match input {
            BudgetInput::Return { budget, saga } if state.is_held_by(saga) => {
                let returned = BudgetReturned { budget: budget.clone(), saga: saga.clone() };
                Ok(Decision::events([BudgetEvent::Returned(returned)]))
            }
            BudgetInput::Return { .. } => Ok(Decision::nothing()),
            BudgetInput::Begin { budget, saga, step } => Ok(decide_begin(state, budget, saga, step, now)),
            BudgetInput::Claim(claim) => decide_claim(state, claim, now),
        }
    }

    fn evolve(mut state: BudgetState, event: &BudgetEvent) -> BudgetState {
        match event {
            BudgetEvent::Granted(granted) => {
                state.holders.push(Holder {
                    saga: granted.saga.clone(),
                    disruption: granted.disruption.clone(),
                    until: granted.until,
                    waits: granted.waits,
                });
                state.limits = granted.limits;
                if !granted.waits {
                    began(&mut state, granted.granted_at);
                }
            }
            BudgetEvent::Begun(BudgetBegun { saga, begun_at, .. }) => {
                if let Some(holder) = state.holders.iter_mut().find(|holder| holder.saga == *saga) {
                    holder.waits = false;
                }
                began(&mut state, *begun_at);
            }
            BudgetEvent::Returned(BudgetReturned { saga, .. })
            | BudgetEvent::Expired(BudgetExpired { saga, .. }) => {
                state.holders.retain(|holder| holder.saga != *saga);
            }
        }
        state
    }
}

fn began(state: &mut BudgetState, at: Timestamp) {
    let oldest = before(at, state.limits.window_seconds);
    state.starts.retain(|start| *start > oldest);
    state.starts.push(at);
}

/// What begins has had its place in the window since it was granted, so that it may begin at any time until its claim is void:
/// what waits for hours does not come on top of what others began meanwhile.
fn decide_begin(
    state: &BudgetState,
    budget: &PolicySet,
    saga: &SagaRef,
    step: &StepId,
    now: Timestamp,
) -> Decision<BudgetEvent, SagaCommand> {
    match state.holders.iter().find(|holder| holder.saga == *saga && holder.until > now) {
        Some(holder) if holder.waits => {
            let (budget, saga, begun_at) = (budget.clone(), saga.clone(), now);
            Decision::events([BudgetEvent::Begun(BudgetBegun { budget, saga, begun_at })])
        }
        Some(_) => Decision::nothing(),
        None => {
            let why = "its part of the disruption budget is void: it must be claimed anew";
            Decision::nothing().command(StepReply::refused(saga.clone(), step.clone(), why).into())
        }
    }
}

/// A repeat of a claim that is held is granted already.
fn decide_claim(
    state: &BudgetState,
    claim: &Claim,
    now: Timestamp,
) -> Result<Decision<BudgetEvent, SagaCommand>, Held> {
    let (expired, holding): (Vec<&Holder>, Vec<&Holder>) =
        state.holders.iter().partition(|holder| holder.until <= now);
    if holding.iter().any(|holder| holder.saga == claim.saga) {
        return Ok(Decision::nothing());
    }
    let oldest = before(now, claim.limits.window_seconds);
    let starts: Vec<Timestamp> = state.starts.iter().copied().filter(|start| *start > oldest).collect();
    if let Some(held) = held(claim, &holding, &starts) {
        return Err(held);
    }
    let expired = expired.into_iter().map(|holder| {
        let Holder { saga, disruption, .. } = holder.clone();
        BudgetEvent::Expired(BudgetExpired { budget: claim.budget.clone(), saga, disruption })
    });
    let granted = BudgetGranted {
        budget: claim.budget.clone(),
        saga: claim.saga.clone(),
        disruption: claim.disruption.clone(),
        granted_at: now,
        until: after(now, claim.hold_seconds),
        pool_hosts: claim.pool_hosts,
        unhealthy: claim.unhealthy,
        limits: claim.limits,
        policy_version: claim.policy_version,
        waits: claim.waits,
    };
    Ok(Decision::events(expired.chain([BudgetEvent::Granted(granted)])))
}

/// The first rule that holds a claim back, if one does.
fn held(claim: &Claim, holding: &[&Holder], starts: &[Timestamp]) -> Option<Held> {
    let Claim { limits, disruption, unhealthy, pool_hosts, .. } = claim;
    let within = |inside: &dyn Fn(&Disruption) -> bool| -> Vec<&Holder> {
        holding.iter().copied().filter(|holder| inside(&holder.disruption)).collect()
    };
    let sick = unhealthy.pool.saturating_add(u32::from(claim.is_unhealthy));
    if !claim.passes_brake && is_over(sick, *pool_hosts, limits.brake_percent) {
        let (limit, pool) = (part_of(*pool_hosts, limits.brake_percent), &disruption.pool);
        return Some(Held {
            rule: Rule::Brake,
            limit,
            value: sick,
            since: None,
            lifts: format!("fewer than {limit} of the {pool_hosts} hosts of {pool} must be unhealthy"),
        });
    }
    // A host that is unhealthy takes nothing from its pool when it is disturbed; a healthy one takes what the unhealthy have
    // left.
    let missing = if claim.is_unhealthy { 0 } else { unhealthy.pool };
    let pool_limit = limits.pool.min(part_of(*pool_hosts, limits.pool_percent));
    let on_host = within(&|of| of.host == disruption.host);
    let in_pool = within(&|of| of.pool == disruption.pool);
    let in_rack = within(&|of| of.rack == disruption.rack);
    let in_power_domain =
        within(&|of| of.power_domain.is_some() && of.power_domain == disruption.power_domain);
    let rules = [
        (Rule::Host, 1, 0, on_host),
        (Rule::Site, limits.site, 0, holding.to_vec()),
        (Rule::Pool, pool_limit, missing, in_pool),
        (Rule::Rack, limits.rack, if claim.is_unhealthy { 0 } else { unhealthy.rack }, in_rack),
        (
            Rule::PowerDomain,
            limits.power_domain,
            if claim.is_unhealthy { 0 } else { unhealthy.power_domain },
            in_power_domain,
        ),
    ];
    let over = rules.into_iter().find_map(|(rule, limit, missing, holders)| {
        let value = count(holders.len()).saturating_add(missing);
        (value >= limit).then(|| Held {
            rule,
            limit,
            value,
            since: None,
            lifts: lifts(&holders, missing, limit),
        })
    });
    over.or_else(|| outside_window(limits, holding, starts))
}

/// What was granted and has yet to begin counts as if it began now.
fn outside_window(limits: &BudgetPolicy, holding: &[&Holder], starts: &[Timestamp]) -> Option<Held> {
    let waiting: Vec<&Holder> = match mutants::on("budget.window-counts-grants") {
        true => Vec::new(),
        false => holding.iter().copied().filter(|holder| holder.waits).collect(),
    };
    let (value, first) = (count(starts.len() + waiting.len()), starts.first().copied());
    let lifts = || match (first, waiting.first()) {
        _ if limits.starts == 0 => "the policy allows no start at all: raise budget.starts".to_owned(),
        (Some(first), _) => {
            format!("the oldest start leaves the window at {:.0}", after(first, limits.window_seconds))
        }
        (None, Some(Holder { saga, disruption, .. })) => {
            format!("{saga} of host {} was granted, and must begin or end", disruption.host)
        }
        (None, None) => "it may begin".to_owned(),
    };
    (value >= limits.starts).then(|| Held {
        rule: Rule::Window,
        limit: limits.starts,
        value,
        since: first,
        lifts: lifts(),
    })
}

fn lifts(holders: &[&Holder], missing: u32, limit: u32) -> String {
    match (holders.iter().min_by_key(|holder| holder.until), missing) {
        _ if limit == 0 => {
            "the policy allows none, or the pool has no hosts by the policy: raise the limit".to_owned()
        }
        (Some(first), _) => {
            format!(
                "{} of host {} must end, by {:.0} at the latest",
                first.saga, first.disruption.host, first.until
            )
        }
        (None, missing) => format!("{missing} unhealthy hosts must be healthy again"),
    }
}

/// Whether so many of all are at least so many in a hundred. Of none, none are.
fn is_over(some: u32, all: u32, percent: u32) -> bool {
    some > 0 && u64::from(some) * 100 >= u64::from(all) * u64::from(percent)
}

/// So many in a hundred of all, rounded up.
fn part_of(all: u32, percent: u32) -> u32 {
    u32::try_from((u64::from(all) * u64::from(percent)).div_ceil(100)).unwrap_or(u32::MAX)
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn before(now: Timestamp, seconds: u32) -> Timestamp {
    now.checked_sub(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MIN)
}
