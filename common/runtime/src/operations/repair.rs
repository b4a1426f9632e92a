//! Repairs what the stream gave up: the commits of such a batch are in the store, and what they say is said again from there.
//!
//! It goes through the store in slices that fit an invocation, and notes in `control` how far it is. Whoever dies in the middle
//! goes on from there; what is said twice is known by its ids.

use std::sync::Arc;
use std::time::Duration;

use hostler_core::triage::{DeadLetter, FailureId, FailureInput};
use hostler_core::{Category, Failure};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::messages::relay::Relay;
use crate::operations::parked::GivenUpBatch;
use crate::operations::replay::{EventLog, ReplayError, Replayer, Selection, Told};
use crate::operations::triage::{REASON_CHARS_MAX, cut};
use crate::ports::{Clock, Control, PortError};
use crate::state::control::read;

/// When a slice ends: after the page during which so much time has passed. The function that repairs has half a minute.
const SLICE: SignedDuration = SignedDuration::from_secs(10);
/// How long it lets others go first before it goes on.
const BETWEEN_SLICES: Duration = Duration::from_secs(1);
/// How many commits are published again in a second, beside what is published meanwhile.
const RATE: u32 = 200;
/// How often a slice is begun and not ended: its function crashed or ran out of time. Each time is a visibility timeout.
const DEATHS_MAX: u32 = 5;

/// How far a repair is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repaired {
    /// Something is left: go on.
    InPart,
    /// Everything is said again.
    Wholly,
}

/// Says again what a batch said that the stream gave up.
#[derive(Clone)]
pub struct Repair {
    replayer: Replayer,
    relay: Relay,
    control: Arc<dyn Control>,
    clock: Arc<dyn Clock>,
}

/// What is noted of a repair, in the form in which operators' republishing is recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Note {
    action: String,
    actor: String,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    /// Which try of the failure this is; another one begins anew.
    resend: u32,
    /// Where to go on.
    after: Option<String>,
    /// Slices that were begun and not ended since one was.
    deaths: u32,
    state: State,
    commits: u64,
    events: u64,
    commands: u64,
    timers: u64,
    parked: u64,
    failed: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    #[default]
    Began,
    Ended,
}

impl Note {
    fn begun(batch: &GivenUpBatch, resend: u32) -> Self {
        let (action, actor) = ("republish".to_owned(), "triage".to_owned());
        Self { action, actor, since: Some(batch.since), until: Some(batch.until), resend, ..Self::default() }
    }

    fn add(&mut self, told: &Told) {
        self.commits += told.commits;
        self.events += told.events;
        self.commands += told.commands;
        self.timers += told.timers;
        self.parked += told.parked;
        self.failed += told.failed;
    }
}

/// The key of what is noted of a failure's repair.
#[must_use]
pub fn note_key(failure: &FailureId) -> String {
    format!("audit/republish/{failure}")
}

impl Repair {
    /// Reads all commits from `log`, and publishes by `relay`.
    pub fn new(
        log: Arc<dyn EventLog>,
        relay: Relay,
        control: Arc<dyn Control>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { replayer: Replayer::new(log, clock.clone(), RATE), relay, control, clock }
    }

    /// Says again the next slice of a batch.
    ///
    /// # Errors
    /// [`Failure::Retryable`] when the store, `control` or both a target and the relay's failure queue do not answer: what was
    /// said does no harm. [`Failure::Terminal`] when its function has died at the same place again and again.
    pub(super) async fn go_on(
        &self,
        failure: &FailureId,
        resend: u32,
        batch: &GivenUpBatch,
    ) -> Result<Repaired, Failure> {
        let key = note_key(failure);
        let (noted, revision) = read::<Note>(&*self.control, &key).await.map_err(unavailable)?;
        let mut note = if noted.resend == resend { noted } else { Note::begun(batch, resend) };
        if note.state == State::Ended {
            return Ok(Repaired::Wholly);
        }
        if note.deaths >= DEATHS_MAX {
            let place = note.after.as_deref().unwrap_or("the beginning");
            return Err(Failure::terminal(
                Category::Unknown,
                format!("its function died {DEATHS_MAX} times while it published again from {place} on"),
            ));
        }
        note.deaths += 1;
        self.write(&key, &note, revision).await?;
        let said = self.slice(&mut note, batch).await;
        note.deaths = 0;
        self.write(&key, &note, revision + 1).await?;
        tracing::info!(%failure, commits_republished = note.commits, parked = note.parked, failed = note.failed, "repaired");
        said
    }

    /// What there is time for. The note is right also when it fails in the middle.
    async fn slice(&self, note: &mut Note, batch: &GivenUpBatch) -> Result<Repaired, Failure> {
        let selection =
            Selection { since: Some(batch.since), until: Some(batch.until), ..Selection::default() };
        let begun = self.clock.now();
        loop {
            let mut told = Told::default();
            let page = self
                .replayer
                .republish_page(&selection, &self.relay, note.after.as_deref(), &mut told, &mut |_| {})
                .await;
            note.after = page.map_err(not_all)?;
            note.add(&told);
            if note.after.is_none() {
                note.state = State::Ended;
                return Ok(Repaired::Wholly);
            }
            if self.clock.now().duration_since(begun) >= SLICE {
                return Ok(Repaired::InPart);
            }
        }
    }

    async fn write(&self, key: &str, note: &Note, revision: u64) -> Result<(), Failure> {
        match self.control.put(key, &json!(note), revision).await.map_err(unavailable)? {
            true => Ok(()),
            false => Err(Failure::retryable(format!("somebody else is at {key} as well"))),
        }
    }
}

/// What triage makes of a slice: the end, or a person who must look at it.
///
/// # Errors
/// [`Failure::Deferred`] where something is left, and what the slice failed with that may pass.
pub(super) fn next_input(
    failure: &FailureId,
    dead_letter: DeadLetter,
    repaired: Result<Repaired, Failure>,
) -> Result<FailureInput, Failure> {
    let failure = failure.clone();
    match repaired {
        Ok(Repaired::Wholly) => Ok(FailureInput::Resolve { failure, ordering_key: None }),
        Ok(Repaired::InPart) => {
            Err(Failure::deferred(BETWEEN_SLICES, "the rest of the batch is published next"))
        }
        Err(given_up @ Failure::Terminal { category, .. }) => {
            let reason = cut(&given_up.chain(), REASON_CHARS_MAX);
            let dead_letter = Box::new(DeadLetter { category: Some(category), reason, ..dead_letter });
            // Nothing is scheduled for what does not pass, so that nothing is left to chance.
            Ok(FailureInput::DeadLetter { failure, dead_letter, random: 0 })
        }
        Err(later) => Err(later),
    }
}

fn unavailable(error: PortError) -> Failure {
    Failure::retryable(error)
}

fn not_all(error: ReplayError) -> Failure {
    match error {
        ReplayError::Relay(failure) => failure,
        other => Failure::retryable(other),
    }
}
