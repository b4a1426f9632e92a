//! The steps of recoveries that need nothing but streams.

use hostler_core::saga::SagaDefinition;
use hostler_core::{Failure, StreamId};
use hostler_domain::{HealthInput, HostDecider, HostInput, HostPhase, Recovery, RecoverySaga};
use hostler_events::HostId;
use hostler_events::recovery::{
    AbandonRecovery, BeginRecovery, ConcludeRecovery, CordonHost, GiveBackHost, UncordonHost,
};
use hostler_runtime::state::shell::{Cause, ExecuteError};

use crate::{RecoverHosts, host_stream, part};

impl RecoverHosts {
    pub(crate) async fn begin(&self, cause: &Cause, command: BeginRecovery) -> Result<(), Failure> {
        let BeginRecovery { saga, step, host } = command;
        let seen = self.seen(&host).await?;
        self.tell(&host, cause, HealthInput::Begin { saga, step, seen }).await.map(drop)
    }

    /// From here on the host is disturbed, and the budget counts it as begun.
    pub(crate) async fn cordon(&self, cause: &Cause, command: CordonHost) -> Result<(), Failure> {
        let CordonHost { saga, step, host, reason } = command;
        if !self.begins(cause, &saga, &step).await? {
            return Ok(());
        }
        self.tell_host(&host, cause, &HostInput::Cordon { saga, step, reason }).await.map(drop)
    }

    /// A host that was installed again in vain is out of use by now, and its cordon is over.
    pub(crate) async fn uncordon(&self, cause: &Cause, command: UncordonHost) -> Result<(), Failure> {
        let UncordonHost { saga, step, host } = command;
        self.tell_host(&host, cause, &HostInput::Uncordon { saga, step }).await.map(drop)
    }

    /// It leaves by a deprovisioning of its own, and stays out of use until an operator requalifies it. One that has left already
    /// has nothing to give back.
    pub(crate) async fn give_back(&self, cause: &Cause, command: GiveBackHost) -> Result<(), Failure> {
        let GiveBackHost { saga, step, host, reason } = command;
        let give_back = HostInput::GiveBack { retire: true, reason, policy: Box::new(self.provisioning) };
        let refused = self.tell_host(&host, &part(cause, "given-back")?, &give_back).await?;
        let state = self.shell.load::<HostDecider>(&host_stream(&host)?).await?.state;
        let refused = refused.filter(|_| state.phase == HostPhase::InService);
        self.tell(&host, cause, HealthInput::GivenBack { saga, step, refused }).await.map(drop)
    }

    /// Tells a host something, and gives why it refuses, where it does.
    async fn tell_host(
        &self,
        host: &HostId,
        cause: &Cause,
        input: &HostInput,
    ) -> Result<Option<String>, Failure> {
        match self.shell.execute::<HostDecider>(&host_stream(host)?, cause, input).await {
            Ok(_) => Ok(None),
            Err(ExecuteError::Refused(refusal)) => {
                tracing::info!(%host, %refusal, "the host has moved on");
                Ok(Some(refusal.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn conclude(&self, cause: &Cause, command: ConcludeRecovery) -> Result<(), Failure> {
        let ConcludeRecovery { saga, step, host, outcome } = command;
        let seen = self.seen(&host).await?;
        self.tell(&host, cause, HealthInput::Concluded { saga, step, outcome, seen }).await.map(drop)
    }

    /// Why it was given up is on record with the saga.
    pub(crate) async fn abandon(&self, cause: &Cause, command: AbandonRecovery) -> Result<(), Failure> {
        let AbandonRecovery { saga, step, host } = command;
        let stream = StreamId::new(Recovery::KIND, saga.id()).map_err(Failure::invalid)?;
        let state = self.shell.load::<RecoverySaga>(&stream).await?.state;
        let reason = state.status.reason().unwrap_or("it was given up").to_owned();
        let seen = self.seen(&host).await?;
        self.tell(&host, cause, HealthInput::Abandoned { saga, step, reason, seen }).await.map(drop)
    }
}
