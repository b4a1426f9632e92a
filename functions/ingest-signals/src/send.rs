//! What was understood, as commands. Their ids follow from what they say, so that a repeat is known as one.

use std::collections::BTreeSet;

use hostler_core::{
    Actor, Addressed, CausationId, CommandEnvelope, CommandId, CorrelationId, Failure, Header, Incoming,
    Payload,
};
use hostler_events::signal::{SignalHeader, TakeSignals};
use hostler_events::{
    ConfigureCommand, FindingsCommand, IngestCommand, RecoverCommand, SOURCE, ScaleCommand,
};
use hostler_runtime::ports::{EntryFailure, Outbound};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::IngestSignals;
use crate::forms::Reading;
use crate::hash::uuid_of;

/// What is observed within so many seconds is the same observation.
const WINDOW_SECONDS: i64 = 900;

/// A command for someone who decides.
struct Told {
    queue: &'static str,
    envelope: CommandEnvelope,
}

impl IngestSignals {
    /// Sends what was understood.
    ///
    /// # Errors
    /// What a queue did not take: what was sent already is a repeat the next time.
    pub(crate) async fn tell(
        &self,
        message: &Incoming,
        received_at: Timestamp,
        reading: Reading,
    ) -> Result<(), Failure> {
        let signals = reading.signals.into_iter().map(|report| {
            let id = id_of(&report.signal.header, &json!(["host", report.host, report.signal.fault]));
            let window = window(report.signal.header.observed_at);
            told(message, id, window, &RecoverCommand::from(report))
        });
        let thresholds = reading.thresholds.into_iter().map(|report| {
            let about = json!(["pool", report.pool, report.metric, report.direction]);
            let (id, window) = (id_of(&report.header, &about), window(report.header.observed_at));
            told(message, id, window, &ScaleCommand::from(report))
        });
        // What is published, or read of packages, is the same whenever it comes: these are known by what they say, and their
        // ids follow from the message.
        let of_message = |n: usize, about: Value| CommandId(uuid_of(&json!([message.cause(), n, about])));
        let advisories = reading.advisories.into_iter().enumerate().map(|(n, record)| {
            let id = of_message(n, json!(["advisory", record.advisory, record.record.id]));
            told(message, id, message.since(), &FindingsCommand::from(record))
        });
        let packages = reading.packages.into_iter().enumerate().map(|(n, list)| {
            let id = of_message(n, json!(["packages", list.host]));
            told(message, id, message.since(), &FindingsCommand::from(list))
        });
        let runs = reading.runs.into_iter().map(|run| {
            // A command ends on a node once.
            let id = CommandId(uuid_of(&json!(["run", run.command, run.node])));
            told(message, id, received_at, &ConfigureCommand::from(run))
        });
        let inventory = reading.inventory.into_iter().chain(reading.beside).map(|command| {
            let id = json!([command.type_name(), command.to_data().to_value()]);
            // The same message says it again; whoever says it anew says something newer.
            told(message, CommandId(uuid_of(&id)), received_at, &command)
        });
        let mut seen = BTreeSet::new();
        let told: Vec<Told> = signals
            .chain(thresholds)
            .chain(advisories)
            .chain(packages)
            .chain(runs)
            .chain(inventory)
            .filter(|told| seen.insert(told.envelope.command_id))
            .collect();
        let queues: BTreeSet<&str> = told.iter().map(|told| told.queue).collect();
        for queue in queues {
            let of_queue = told.iter().filter(|told| told.queue == queue);
            let messages: Vec<Outbound> =
                of_queue.map(|told| self.outbound(&told.envelope)).collect::<Result<_, _>>()?;
            let mut answers = self.queues.send(queue, &messages).await.into_iter();
            for _ in &messages {
                answers.next().unwrap_or_else(|| Err(EntryFailure::no_answer(queue)))?;
            }
        }
        Ok(())
    }

    /// A command as it is sent.
    pub(crate) fn outbound(&self, envelope: &CommandEnvelope) -> Result<Outbound, Failure> {
        let signed = self.integrity.signed(envelope.clone());
        let body = serde_json::to_string(&signed).map_err(Failure::invalid)?;
        Ok(Outbound { body, ..Outbound::default() })
    }
}

/// The moment from which on a command of this id can have been handled: looking for repeats ends there.
fn window(observed_at: Timestamp) -> Timestamp {
    let seconds = observed_at.as_second();
    Timestamp::from_second(seconds - seconds.rem_euclid(WINDOW_SECONDS)).unwrap_or(Timestamp::MIN)
}

/// The id of a claim. An alert that goes on is told again and again: within a quarter of an hour, which is its shelf life,
/// that is the same; later it is news, for by then the first was worth nothing any more.
fn id_of(header: &SignalHeader, about: &Value) -> CommandId {
    let SignalHeader { source, fingerprint, status, starts_at, observed_at, expires_at: _ } = header;
    let claim = json!([source, fingerprint, status, starts_at, window(*observed_at), about]);
    CommandId(uuid_of(&claim))
}

fn told<C: Payload + Addressed>(
    message: &Incoming,
    id: CommandId,
    timestamp: Timestamp,
    command: &C,
) -> Told {
    let envelope = CommandEnvelope {
        command_id: id,
        command_type: command.type_name().to_owned(),
        schema_version: command.schema_version(),
        timestamp,
        source: SOURCE.to_owned(),
        header: Header {
            correlation_id: message.correlation_id(),
            causation_id: message.cause(),
            trace_context: message.trace_context().cloned(),
            hops: message.hops().saturating_add(1),
            actor: message.actor().clone(),
        },
        data: command.to_data(),
        signature: None,
    };
    Told { queue: command.queue(), envelope }
}

/// A command of our own that nothing of ours has caused.
pub(crate) fn first(id: Uuid, at: Timestamp, actor: String, taken: TakeSignals) -> CommandEnvelope {
    let command = IngestCommand::from(taken);
    let command_id = CommandId(id);
    CommandEnvelope {
        command_id,
        command_type: command.type_name().to_owned(),
        schema_version: command.schema_version(),
        timestamp: at,
        source: SOURCE.to_owned(),
        header: Header {
            correlation_id: CorrelationId(id),
            causation_id: CausationId::from(command_id),
            trace_context: None,
            hops: 0,
            actor: Actor(actor),
        },
        data: command.to_data(),
        signature: None,
    }
}
