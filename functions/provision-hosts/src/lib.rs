//! The provisioning saga's orchestrator: each message is one reaction of one saga.

use async_trait::async_trait;
use hostler_core::{Decider, Failure, Incoming, Payload, StreamId};
use hostler_domain::{ProvisioningDecider, ProvisioningInput, provisioning_of, provisioning_of_reservation};
use hostler_events::{HostEvent, ProvisioningId, ReservationEvent, StepCommand};
use hostler_runtime::{Cause, ExecuteError, Handler, Shell};

/// Reacts for all provisioning sagas.
pub struct ProvisionHosts {
    /// Where sagas are loaded and appended.
    pub shell: Shell,
}

#[async_trait]
impl Handler for ProvisionHosts {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let Some((provisioning, input)) = route(message)? else { return Ok(()) };
        let stream =
            StreamId::new(ProvisioningDecider::CATEGORY, provisioning.as_str()).map_err(Failure::invalid)?;
        match self.shell.execute::<ProvisioningDecider>(&stream, &Cause::of(message), &input).await {
            Ok(done) => {
                tracing::info!(%stream, version = done.fold.version.0, outcome = ?done.outcome, "saga reacted")
            }
            Err(ExecuteError::Refused(refusal)) => tracing::info!(%stream, %refusal, "saga refused"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The saga that a message concerns, and what it tells the saga; none for hosts that no saga holds.
fn route(message: &Incoming) -> Result<Option<(ProvisioningId, ProvisioningInput)>, Failure> {
    match message {
        Incoming::Command(_) => match message.command::<StepCommand>()? {
            StepCommand::StartProvisioning(start) => {
                Ok(Some((start.provisioning.clone(), ProvisioningInput::Start(start))))
            }
            _ => Err(message.misplaced("start-provisioning")),
        },
        Incoming::Timer(timer) => {
            let provisioning = ProvisioningId::new(timer.stream.key()).map_err(Failure::invalid)?;
            Ok(Some((provisioning, ProvisioningInput::Timer { name: timer.name.clone() })))
        }
        Incoming::Event(event) if HostEvent::NAMES.contains(&event.event_type.as_str()) => {
            let event = HostEvent::from_data(&event.event_type, event.schema_version, &event.data)?;
            Ok(provisioning_of(&event).cloned().map(|saga| (saga, ProvisioningInput::Host(event))))
        }
        Incoming::Event(event) => {
            let event = ReservationEvent::from_data(&event.event_type, event.schema_version, &event.data)?;
            Ok(Some((provisioning_of_reservation(&event).clone(), ProvisioningInput::Reservation(event))))
        }
    }
}
