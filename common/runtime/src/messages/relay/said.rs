//! What a batch of commits says, sorted by who is told.

use std::collections::BTreeMap;

use hostler_core::{Commit, Envelope, StreamId, TimerFired, mutants};
use jiff::{SignedDuration, Timestamp};

use super::{GivenUp, OfRecord, OutboxRecord, Relay, Relayed};
use crate::messages::timers::{delay_seconds, timer_message};
use crate::ports::Outbound;

/// What a batch of records says, by target.
#[derive(Default)]
pub(super) struct Said {
    pub(super) events: Vec<OfRecord<Envelope>>,
    pub(super) messages: BTreeMap<String, Vec<OfRecord<Outbound>>>,
    pub(super) timers: Vec<OfRecord<SetTimer>>,
}

/// A timer to be set.
pub(super) struct SetTimer {
    pub(super) timer: TimerFired,
    /// How long it waits at least, from when it is set. A deadline that is set together with a command is for what the command
    /// asks: where the outbox was held up, it must not pass before anybody could answer.
    at_least: SignedDuration,
}

impl SetTimer {
    fn of(commit: &Commit, timer: TimerFired) -> Self {
        let wait = timer.due_at.duration_since(commit.recorded_at);
        let at_least = if commit.commands.is_empty() { SignedDuration::ZERO } else { wait };
        Self { timer, at_least }
    }

    /// Its message. It says when it was to be due, however late it comes: by that it is the same each time it is relayed.
    pub(super) fn message(&self, now: Timestamp) -> Result<Outbound, serde_json::Error> {
        let mut message = timer_message(&self.timer, now)?;
        let at_least = now.saturating_add(self.at_least).unwrap_or(now);
        message.delay_seconds = message.delay_seconds.max(delay_seconds(at_least, now));
        Ok(message)
    }
}

impl Relay {
    /// Sorts what the records say by its targets.
    pub(super) fn collect(
        &self,
        records: &[OutboxRecord],
        done: &mut Relayed,
        given_up: &mut GivenUp,
    ) -> Said {
        let mut said = Said::default();
        let mut changed: BTreeMap<&StreamId, (usize, &Commit)> = BTreeMap::new();
        let not_json = |error: serde_json::Error| format!("cannot be written as JSON: {error}");
        for (record, OutboxRecord { commit, .. }) in records.iter().enumerate() {
            let commit = match commit {
                Ok(commit) => commit,
                Err(reason) => {
                    given_up.insert(record, reason.clone());
                    continue;
                }
            };
            let published = commit.envelopes().filter(|event| !self.internal.contains(&event.event_type));
            said.events.extend(published.map(|event| {
                let id = event.event_id.0;
                OfRecord { record, id, message: self.integrity.signed(event) }
            }));
            let timers = commit.timer_messages();
            said.timers.extend(timers.map(|timer| {
                let id = timer.timer_id.0;
                OfRecord { record, id, message: SetTimer::of(commit, self.integrity.signed(timer)) }
            }));
            if let Err(error) = self.collect_commands(record, commit, &mut said.messages) {
                given_up.insert(record, not_json(error));
            }
            // A commit may have no events: it changes nothing, and another one of the batch may.
            if !commit.events.is_empty() {
                let newest = changed.entry(&commit.stream).or_insert((record, commit));
                if newest.1.version <= commit.version {
                    *newest = (record, commit);
                }
            }
            done.commands += commit.commands.len();
            done.timers += commit.timers.len();
        }
        for (record, commit) in changed.into_values() {
            if let Err(error) = self.collect_change_notice(record, commit, &mut said.messages) {
                given_up.insert(record, not_json(error));
            }
        }
        done.events = said.events.len();
        said
    }

    fn collect_change_notice(
        &self,
        record: usize,
        commit: &Commit,
        messages: &mut BTreeMap<String, Vec<OfRecord<Outbound>>>,
    ) -> Result<(), serde_json::Error> {
        let Some(notices) = &self.change_notices else { return Ok(()) };
        let wanted =
            notices.categories.contains(commit.stream.category()) && !mutants::on("relay.notifies-nobody");
        let Some(event) = commit.envelopes().last().filter(|_| wanted) else { return Ok(()) };
        let id = event.event_id.0;
        let body = serde_json::to_string(&self.integrity.signed(event))?;
        let message = Outbound { body, ..Outbound::default() };
        messages.entry(notices.queue.clone()).or_default().push(OfRecord { record, id, message });
        Ok(())
    }

    fn collect_commands(
        &self,
        record: usize,
        commit: &Commit,
        messages: &mut BTreeMap<String, Vec<OfRecord<Outbound>>>,
    ) -> Result<(), serde_json::Error> {
        for (queue, command) in commit.command_envelopes() {
            let id = command.command_id.0;
            let command = self.integrity.signed(command);
            let message = Outbound { body: serde_json::to_string(&command)?, ..Outbound::default() };
            messages.entry(queue.to_owned()).or_default().push(OfRecord { record, id, message });
        }
        Ok(())
    }
}
