//! What a pool needs now, and which of its rules hold it back.

use hostler_events::HostId;
use hostler_events::pool::{
    LimitApplied, ScalingDecided, ScalingDirection, ScalingProposed, ScalingSuppressed,
};
use hostler_events::signal::LendHosts;
use hostler_events::site::Autonomy;
use jiff::Timestamp;

use super::facts::Sizes;
use super::metrics::{NotAll, Said, say};
use super::state::Word;
use super::{APPROVED_WITHIN_SECONDS, PoolFacts, PoolState};
use crate::support::after;

/// The most hosts that are asked for at a time: what one site deploys at once.
const IN_FLIGHT_MAX: u32 = hostler_events::commands::HOSTS_PER_REQUEST_MAX;
/// The most hosts that one decision has leave.
const LEAVING_MAX: u32 = 50;
/// The shortest delay after a provisioning that failed, in seconds; doubled with each that follows.
const FAILURE_DELAY_SECONDS: u32 = 30;
/// For so long after a pool has lent hosts it does not grow above its minimum: it would take back what it has just given.
const LENT_SECONDS: u32 = 1_800;
/// The longest such delay.
const FAILURE_DELAY_SECONDS_MAX: u32 = 3_600;

/// What a pool does now.
pub(super) enum Choice {
    /// It has what it needs, or somebody is asked already.
    Nothing,
    /// It grows or shrinks.
    Act(Box<ScalingDecided>),
    /// A person is asked.
    Propose(Box<ScalingProposed>),
    /// It does not, although its metrics ask for it.
    HoldBack(Box<ScalingSuppressed>),
}

/// Decides what a pool needs now. More is looked at before less.
pub(super) fn choose(state: &PoolState, facts: &PoolFacts, now: Timestamp) -> Choice {
    let sizes = facts.sizes(state, now);
    let said = say(state, &facts.scaling, sizes.counts.in_service, now);
    let chooser = Chooser { state, facts, now, sizes, said };
    let capacity = chooser.sizes.capacity();
    let (asked, due) = chooser.said.out.unwrap_or((0, now));
    let needed = asked.max(facts.scaling.min);
    if needed > capacity {
        // The minimum waits for no window.
        let due = if facts.scaling.min > capacity { now } else { due };
        return chooser.grow(needed, due);
    }
    // Whoever asks for what there is already does not ask for less.
    if chooser.said.out.is_some() {
        return Choice::Nothing;
    }
    match &chooser.said.less {
        None | Some(Err(NotAll::Disagrees)) => Choice::Nothing,
        Some(Ok(asked)) if (*asked).max(facts.scaling.min) >= capacity => Choice::Nothing,
        Some(_) if capacity <= facts.scaling.min => Choice::Nothing,
        Some(Err(NotAll::Missing(metric))) => {
            let lifts = format!("{metric} must say something that still holds");
            chooser.hold_back(ScalingDirection::In, "missing-metric", (0, 1), lifts, None)
        }
        Some(Err(NotAll::Settles(at))) => {
            let window = facts.scaling.down_seconds;
            let lifts = format!("fewer hosts must be asked for until {at:.0}");
            chooser.hold_back(ScalingDirection::In, "stabilisation", (window, 0), lifts, Some(*at))
        }
        Some(Ok(asked)) => chooser.shrink((*asked).max(facts.scaling.min)),
    }
}

/// Decides which hosts leave so that they are free for a pool of higher priority, by the same rules as when a pool shrinks.
pub(super) fn choose_lending(
    state: &PoolState,
    facts: &PoolFacts,
    ask: &LendHosts,
    now: Timestamp,
) -> Choice {
    let sizes = facts.sizes(state, now);
    let said = say(state, &facts.scaling, sizes.counts.in_service, now);
    let chooser = Chooser { state, facts, now, sizes, said };
    let (capacity, min) = (chooser.sizes.capacity(), facts.scaling.min);
    let direction = ScalingDirection::In;
    if facts.policy.scaling_autonomy() != Some(Autonomy::Auto) {
        let lifts = format!("pool {} asks for hosts: it needs autonomy auto in scaling", ask.to);
        return chooser.hold_back(direction, "autonomy", (0, ask.hosts), lifts, None);
    }
    let target = capacity.saturating_sub(ask.hosts).max(min);
    if target >= capacity {
        let lifts = format!("pool {} asks for hosts: more of them must be in service", ask.to);
        return chooser.hold_back(direction, "min", (min, capacity), lifts, None);
    }
    // What leaves slowly would be asked for, and given, a second time.
    if let Some(open) = state.open.values().find(|open| open.lends_to.as_ref() == Some(&ask.to)) {
        let lifts = format!("hosts leave for pool {} already: they must be free", ask.to);
        return chooser.hold_back(direction, "lent", (open.requested, ask.hosts), lifts, None);
    }
    match chooser.shrink(target) {
        Choice::Act(decided) => {
            Choice::Act(Box::new(ScalingDecided { lends_to: Some(ask.to.clone()), ..*decided }))
        }
        other => other,
    }
}

struct Chooser<'a> {
    state: &'a PoolState,
    facts: &'a PoolFacts,
    now: Timestamp,
    sizes: Sizes<'a>,
    said: Said,
}

impl Chooser<'_> {
    fn grow(&self, needed: u32, due: Timestamp) -> Choice {
        let direction = ScalingDirection::Out;
        let (state, scaling, now) = (self.state, &self.facts.scaling, self.now);
        if due > now {
            let lifts = format!("more hosts must be asked for until {due:.0}");
            return self.hold_back(direction, "stabilisation", (scaling.up_seconds, 0), lifts, Some(due));
        }
        if let Some(held) = self.not_ready(direction) {
            return held;
        }
        let is_enough = self.sizes.capacity() >= scaling.min;
        if let Some(until) = self.cools(state.lent_at.filter(|_| is_enough), LENT_SECONDS) {
            let lifts =
                format!("hosts were lent to a pool of higher priority; it may grow again at {until:.0}");
            return self.hold_back(direction, "lent", (LENT_SECONDS, 0), lifts, Some(until));
        }
        if let Some((until, failures)) = self.after_failures() {
            let lifts = format!("the last provisionings failed: look at why; it is tried again at {until}");
            return self.hold_back(direction, "failures", (0, failures), lifts, Some(until));
        }
        let arrived = state.arrived.values().max().copied();
        let warm = [state.grown_at(), arrived].into_iter().flatten().max();
        if let Some(until) = self.cools(warm, scaling.out_cooldown_seconds) {
            let lifts = format!("the cooldown ends at {until:.0}");
            return self.hold_back(
                direction,
                "cooldown",
                (scaling.out_cooldown_seconds, 0),
                lifts,
                Some(until),
            );
        }
        let capacity = self.sizes.capacity();
        let (wanted, limits) = self.within_limits(needed.saturating_sub(capacity));
        if wanted == 0 {
            return self.held_by(&limits);
        }
        let growth = limits.iter().any(|limited| limited.by == Limit::Growth);
        let limits = limits.into_iter().map(Limited::applied).collect();
        let look_at = growth.then(|| after(now, scaling.growth.seconds));
        self.act(direction, needed, capacity.saturating_add(wanted), limits, Vec::new(), look_at)
    }

    /// How many hosts may be added, and by which limits it is fewer than wanted.
    fn within_limits(&self, wanted: u32) -> (u32, Vec<Limited>) {
        let (scaling, counts, capacity) = (&self.facts.scaling, self.sizes.counts, self.sizes.capacity());
        let paid = scaling.cost.map_or(u32::MAX, |cost| cost.hosts());
        let allowed = [
            (Limit::Max, scaling.max.saturating_sub(capacity)),
            (Limit::Cost, paid.saturating_sub(capacity)),
            (Limit::InFlight, IN_FLIGHT_MAX.saturating_sub(counts.in_flight)),
            (Limit::Growth, self.may_grow_by()),
            (Limit::Spare, counts.free.saturating_sub(scaling.spare_hosts).saturating_add(counts.lendable)),
        ];
        let mut limits = Vec::new();
        let mut hosts = wanted;
        for (by, limit) in allowed {
            if hosts > limit {
                limits.push(Limited { by, limit, value: hosts });
                hosts = limit;
            }
        }
        (hosts, limits)
    }

    /// What the pool may grow by now: the percentage of what it had when the period began, or the number, whichever is more.
    fn may_grow_by(&self) -> u32 {
        let growth = self.facts.scaling.growth;
        let recent = self.state.grown.iter().filter(|(at, _)| after(*at, growth.seconds) > self.now);
        let grown = recent.fold(0_u32, |sum, (_, hosts)| sum.saturating_add(*hosts));
        let base = self.sizes.capacity().saturating_sub(grown);
        let percent = u64::from(base).saturating_mul(u64::from(growth.percent)) / 100;
        u32::try_from(percent).unwrap_or(u32::MAX).max(growth.hosts).saturating_sub(grown)
    }

    /// Nothing can be added: the last limit is the one that left nothing.
    fn held_by(&self, limits: &[Limited]) -> Choice {
        let direction = ScalingDirection::Out;
        let Some(Limited { by, limit, value }) = limits.last() else { return Choice::Nothing };
        let (scaling, counts, now) = (&self.facts.scaling, self.sizes.counts, self.now);
        let (lifts, until) = match by {
            Limit::Growth => {
                let first = self.state.grown.iter().map(|(at, _)| after(*at, scaling.growth.seconds));
                let until =
                    first.filter(|at| *at > now).min().unwrap_or_else(|| self.state.look_again_at(now));
                (format!("it may grow again at {until}"), Some(until))
            }
            Limit::Spare => {
                let (free, spare) = (counts.free, scaling.spare_hosts);
                let lifts = format!(
                    "{free} hosts of the pool are free, and {spare} of them are kept: more must be free"
                );
                (lifts, Some(self.state.look_again_at(now)))
            }
            Limit::InFlight => ("hosts that were asked for must be in service first".to_owned(), None),
            Limit::Cost => ("the policy must allow more: scaling.cost".to_owned(), None),
            Limit::Max => ("the policy must allow more: scaling.max".to_owned(), None),
        };
        self.hold_back(direction, by.name(), (*limit, *value), lifts, until)
    }

    fn shrink(&self, target: u32) -> Choice {
        let direction = ScalingDirection::In;
        let (state, scaling, now) = (self.state, &self.facts.scaling, self.now);
        if let Some(held) = self.not_ready(direction) {
            return held;
        }
        let in_flight = self.sizes.counts.in_flight;
        if in_flight > 0 {
            let lifts = "hosts that were asked for must be in service first".to_owned();
            return self.hold_back(direction, "in-flight", (0, in_flight), lifts, None);
        }
        let last = [state.grown_at(), state.shrunk_at].into_iter().flatten().max();
        if let Some(until) = self.cools(last, scaling.in_cooldown_seconds) {
            let lifts = format!("the cooldown ends at {until:.0}");
            return self.hold_back(
                direction,
                "cooldown",
                (scaling.in_cooldown_seconds, 0),
                lifts,
                Some(until),
            );
        }
        let capacity = self.sizes.capacity();
        let wanted = capacity.saturating_sub(target);
        let leaving = self.facts.to_leave(&self.sizes.in_service, wanted.min(LEAVING_MAX));
        let found = u32::try_from(leaving.len()).unwrap_or(u32::MAX);
        if leaving.is_empty() {
            let lifts =
                "its hosts are protected, or somebody works on them: remove the label protect".to_owned();
            let until = Some(state.look_again_at(now));
            return self.hold_back(direction, "protected", (0, wanted), lifts, until);
        }
        let limited = (found < wanted).then(|| {
            let rule = if wanted > LEAVING_MAX { "step" } else { "protected" };
            LimitApplied { rule: rule.to_owned(), limit: found, value: wanted }
        });
        let chosen = capacity.saturating_sub(found);
        self.act(direction, target, chosen, limited.into_iter().collect(), leaving, None)
    }

    /// Whether so much of the pool is not ready that the cause cannot be a lack of hosts.
    fn not_ready(&self, direction: ScalingDirection) -> Option<Choice> {
        let (counts, percent) = (self.sizes.counts, self.facts.scaling.not_ready_percent);
        let all = u64::from(self.sizes.unhealthy_beside) + u64::from(self.sizes.capacity());
        let is_over = counts.not_ready > 0 && u64::from(counts.not_ready) * 100 >= all * u64::from(percent);
        is_over.then(|| {
            let limit = u32::try_from(all * u64::from(percent) / 100).unwrap_or(u32::MAX);
            let lifts = format!("fewer than {percent} in a hundred of its hosts must be unhealthy");
            let until = Some(self.state.look_again_at(self.now));
            self.hold_back(direction, "not-ready", (limit, counts.not_ready), lifts, until)
        })
    }

    /// Until when nothing is asked for because the last provisionings failed, and how many did.
    fn after_failures(&self) -> Option<(Timestamp, u32)> {
        let (failures, failed_at) = (self.state.failures, self.state.failed_at?);
        let doubled = FAILURE_DELAY_SECONDS.saturating_mul(1 << failures.saturating_sub(1).min(10));
        let until = after(failed_at, doubled.min(FAILURE_DELAY_SECONDS_MAX));
        (failures > 0 && until > self.now).then_some((until, failures))
    }

    fn cools(&self, last: Option<Timestamp>, seconds: u32) -> Option<Timestamp> {
        last.map(|last| after(last, seconds)).filter(|until| *until > self.now)
    }

    /// By the pool's autonomy: do it, ask a person, or say what would be done.
    fn act(
        &self,
        direction: ScalingDirection,
        recommended: u32,
        chosen: u32,
        mut limits: Vec<LimitApplied>,
        mut leaving: Vec<HostId>,
        look_at: Option<Timestamp>,
    ) -> Choice {
        let (state, facts, now) = (self.state, self.facts, self.now);
        let capacity = self.sizes.capacity();
        let mut hosts = capacity.abs_diff(chosen);
        let number = state.decisions.saturating_add(1);
        match facts.policy.scaling_autonomy().unwrap_or_default() {
            Autonomy::Auto => {}
            Autonomy::Observe => {
                let lifts = "the policy only observes: scaling.autonomy".to_owned();
                return self.hold_back(direction, "observe", (0, hosts), lifts, None);
            }
            Autonomy::Approve => {
                let open = state.proposal.as_ref().filter(|proposal| proposal.approve_by > now);
                match open.filter(|proposal| proposal.direction == direction) {
                    Some(proposal) if proposal.word == Word::Approved => {
                        if hosts > proposal.hosts {
                            let limit = proposal.hosts;
                            limits.push(LimitApplied { rule: "approved".to_owned(), limit, value: hosts });
                            hosts = limit;
                        }
                        leaving.truncate(usize::try_from(hosts).unwrap_or(usize::MAX));
                    }
                    Some(_) => return Choice::Nothing,
                    None => {
                        let approve_by = after(now, APPROVED_WITHIN_SECONDS);
                        let decision = self.decided(number, direction, recommended, chosen, limits);
                        let decision = ScalingDecided { leaving, ..decision };
                        return Choice::Propose(Box::new(ScalingProposed { decision, approve_by }));
                    }
                }
            }
        }
        let chosen = match direction {
            ScalingDirection::Out => capacity.saturating_add(hosts),
            ScalingDirection::In => capacity.saturating_sub(hosts),
        };
        let mut decided = self.decided(number, direction, recommended, chosen, limits);
        if direction == ScalingDirection::Out {
            decided.provisionings = facts.provisionings(number, hosts);
        }
        Choice::Act(Box::new(ScalingDecided { leaving, look_at, ..decided }))
    }

    fn decided(
        &self,
        number: u64,
        direction: ScalingDirection,
        recommended: u32,
        chosen: u32,
        limits: Vec<LimitApplied>,
    ) -> ScalingDecided {
        ScalingDecided {
            pool: self.facts.pool.clone(),
            number,
            direction,
            decided_at: self.now,
            inputs: self.sizes.counts,
            per_metric: self.said.per_metric.clone(),
            recommended,
            chosen,
            limits,
            provisionings: Vec::new(),
            leaving: Vec::new(),
            policy_version: self.facts.policy_version,
            look_at: None,
            lends_to: None,
        }
    }

    fn hold_back(
        &self,
        direction: ScalingDirection,
        rule: &str,
        (limit, value): (u32, u32),
        lifts: String,
        until: Option<Timestamp>,
    ) -> Choice {
        Choice::HoldBack(Box::new(ScalingSuppressed {
            pool: self.facts.pool.clone(),
            direction,
            rule: rule.to_owned(),
            limit,
            value,
            lifts,
            since: self.now,
            until,
            inputs: self.sizes.counts,
            per_metric: self.said.per_metric.clone(),
            policy_version: self.facts.policy_version,
        }))
    }
}

/// A rule that limits how many hosts are added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Max,
    Cost,
    InFlight,
    Growth,
    Spare,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Cost => "cost",
            Self::InFlight => "in-flight",
            Self::Growth => "growth",
            Self::Spare => super::lending::SPARE,
        }
    }
}

/// So many hosts instead of so many, by this rule.
struct Limited {
    by: Limit,
    limit: u32,
    value: u32,
}

impl Limited {
    fn applied(self) -> LimitApplied {
        let Self { by, limit, value } = self;
        LimitApplied { rule: by.name().to_owned(), limit, value }
    }
}
