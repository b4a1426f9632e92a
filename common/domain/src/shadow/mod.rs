//! Shadow mode: what would other policies have decided on what is on record?
//!
//! The deciders are pure, and the streams hold what they were told: signals, ends of repairs, people's words. [`try_policies`]
//! tells it to them again, in virtual time, under other policies; and under those that held at the time, as the control. What
//! the control decides otherwise than is on record is named, so that a reader knows how far to trust the rest.
//!
//! What a replay cannot know, it takes for granted and says so:
//!
//! - A fault goes on until it ended on record: by itself, or by a repair. Where that repair is not made here, it goes on.
//! - A repair that was made on record ends as it did there. What would have come of any other is not known
//!   ([`What::Unknown`]); the others are decided on as if it had helped, and its host's next incident begins as on record.
//! - A person says the same, after as long, as on record. Who was not asked there does not answer here.
//! - Of hosts that did not come on record nobody knows the racks, which are no limit to those that leave. What is measured is
//!   shared by the hosts: twice as many measure half.

mod account;
mod compare;
mod hosts;
mod others;
mod pool_tape;
mod pools;
mod recording;
mod run;
#[cfg(test)]
mod tests;

use hostler_events::SitePolicy;
use jiff::Timestamp;
use serde::Serialize;

pub use account::{Said, Subject, Totals, What};
pub use compare::{Compared, Pair};
pub use recording::{Recorded, Recording};

use run::{Followed, Run, Tapes};

/// What other policies would have decided.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// From when on it was replayed.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// How many incidents of hosts, and pools with a decision, were compared.
    pub compared: usize,
    /// Those about which the other policies decide otherwise.
    pub differences: Vec<Compared>,
    /// Those in which the control differs from the record: there the replay is not to be trusted.
    pub not_reproduced: Vec<Compared>,
    /// What was decided on record.
    pub recorded: Totals,
    /// What the control has decided, by the policies that held.
    pub control: Totals,
    /// What the other policies would have decided.
    pub would: Totals,
}

/// Replays a recording under other policies.
#[must_use]
pub fn try_policies(recording: &Recording, policies: &SitePolicy) -> Report {
    let tapes = Tapes::read(recording);
    let recorded = account::recorded(recording, &tapes);
    let control = Run::of(recording, &tapes, &Followed::as_recorded(&recording.policies));
    let would = Run::of(recording, &tapes, &Followed::only(policies, &recording.policies));
    let (differences, compared) = compare::by_the_second(&recorded, &control, &would);
    Report {
        since: recording.since,
        until: recording.until,
        compared,
        differences,
        not_reproduced: compare::by_and_large(&recorded, &control),
        recorded: Totals::of(&recorded),
        control: Totals::of(&control),
        would: Totals::of(&would),
    }
}
