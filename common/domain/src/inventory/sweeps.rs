//! The look at all hosts, page by page: a stream for each sweep.

use std::convert::Infallible;

use hostler_core::{Decider, Decision};
use hostler_events::inventory::{
    LookForHost, SweepCompleted, SweepEvent, SweepId, SweepInventory, SweepPaged, SweepStarted,
};
use hostler_events::{HostId, InventoryCommand};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Decides on `sweep#<sweep>`.
#[derive(Debug, Clone, Copy)]
pub struct SweepDecider;

/// How far a sweep is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SweepState {
    /// The sweep; absent before it has begun.
    pub sweep: Option<SweepId>,
    /// The last host that was asked for.
    pub after: Option<HostId>,
    /// How many hosts were asked for.
    pub hosts: u64,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it was through.
    pub completed_at: Option<Timestamp>,
}

/// A page of hosts, which was read for a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPage {
    /// The hosts, by id.
    pub hosts: Vec<HostId>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// What is told of a sweep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepInput {
    /// What was asked for.
    pub order: SweepInventory,
    /// The page that was read.
    pub page: SweepPage,
}

impl Decider for SweepDecider {
    const CATEGORY: &'static str = "sweep";
    const STATE_VERSION: u32 = 1;
    type State = SweepState;
    type Input = SweepInput;
    type Event = SweepEvent;
    type Command = InventoryCommand;
    type Refusal = Infallible;

    fn decide(
        state: &SweepState,
        input: &SweepInput,
        now: Timestamp,
    ) -> Result<Decision<SweepEvent, InventoryCommand>, Infallible> {
        let SweepInput { order: SweepInventory { sweep, after }, page } = input;
        // A page comes once; what comes again has been asked for.
        if state.completed_at.is_some() || state.after != *after || state.sweep.is_some() != after.is_some() {
            return Ok(Decision::nothing());
        }
        let mut decision = Decision::nothing();
        if after.is_none() {
            decision.events.push(SweepEvent::Started(SweepStarted { sweep: sweep.clone(), at: now }));
        }
        let count = page.hosts.len();
        if let Some(last) = page.hosts.last() {
            let hosts = u32::try_from(count).unwrap_or(u32::MAX);
            let (sweep, last) = (sweep.clone(), last.clone());
            decision.events.push(SweepEvent::Paged(SweepPaged { sweep, last, hosts }));
        }
        decision.commands.extend(page.hosts.iter().cloned().map(|host| LookForHost { host }.into()));
        match page.hosts.last().filter(|_| page.more) {
            Some(last) => {
                let next = SweepInventory { sweep: sweep.clone(), after: Some(last.clone()) };
                decision.commands.push(next.into());
            }
            None => {
                let hosts = state.hosts.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
                let completed = SweepCompleted { sweep: sweep.clone(), hosts, at: now };
                decision.events.push(SweepEvent::Completed(completed));
            }
        }
        Ok(decision)
    }

    fn evolve(mut state: SweepState, event: &SweepEvent) -> SweepState {
        match event {
            SweepEvent::Started(e) => (state.sweep, state.started_at) = (Some(e.sweep.clone()), Some(e.at)),
            SweepEvent::Paged(e) => {
                state.after = Some(e.last.clone());
                state.hosts = state.hosts.saturating_add(u64::from(e.hosts));
            }
            SweepEvent::Completed(e) => state.completed_at = Some(e.at),
        }
        state
    }
}
