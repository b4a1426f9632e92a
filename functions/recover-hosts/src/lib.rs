//! Decides what is done about faulty hosts, and does what takes no outside dependency.
//!
//! It tells a host's health of signals and of the ends of waits and sagas, keeps account of what fails together, asks the
//! disruption budget, and answers the steps of recoveries that need nothing but streams. Before each decision it reads how
//! the host is, and which policies hold.

mod claims;
mod steps;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, UnhealthyHosts};
use hostler_core::{Category, Decider, Failure, Incoming, StreamId};
use hostler_domain::{
    FaultDomainDecider, FaultDomainInput, HealthDecider, HealthInput, HealthState, HostDecider, HostSeen,
    MemberReport, Seen, power_key, rack_key,
};
use hostler_events::recovery::{ReportDomain, ReportMember};
use hostler_events::signal::ReportSignal;
use hostler_events::{HostId, ProvisioningPolicy, RecoverCommand};
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::state::shell::{Cause, ExecuteError, Shell};

/// Carries out the commands of the queue `recover-hosts`.
pub struct RecoverHosts {
    /// Where streams are loaded and appended.
    pub shell: Shell,
    /// The site's policies.
    pub policies: FollowedPolicies,
    /// What else is unhealthy.
    pub unhealthy: UnhealthyHosts,
    /// By which hosts are installed.
    pub provisioning: ProvisioningPolicy,
}

#[async_trait]
impl Handler for RecoverHosts {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = &Cause::of(message);
        if let Incoming::Timer(timer) = message {
            if timer.stream.category() == FaultDomainDecider::CATEGORY {
                return self.domain_waited(cause, &timer.stream, &timer.name).await;
            }
            let host = HostId::new(timer.stream.key()).map_err(Failure::invalid)?;
            let (name, seen) = (timer.name.clone(), self.seen_with_others(&host).await?);
            return self.tell(&host, cause, HealthInput::Timer { name, seen }).await.map(drop);
        }
        match message.command::<RecoverCommand>()? {
            RecoverCommand::ReportSignal(command) => self.signal(cause, command).await,
            RecoverCommand::ClaimDisruption(command) => self.claim(cause, command).await,
            RecoverCommand::ReturnDisruption(command) => self.return_disruption(cause, &command.saga).await,
            RecoverCommand::ReportMember(command) => self.member(cause, command).await,
            RecoverCommand::ReportDomain(command) => self.domain(cause, command).await,
            RecoverCommand::BeginRecovery(command) => self.begin(cause, command).await,
            RecoverCommand::CordonHost(command) => self.cordon(cause, command).await,
            RecoverCommand::UncordonHost(command) => self.uncordon(cause, command).await,
            RecoverCommand::GiveBackHost(command) => self.give_back(cause, command).await,
            RecoverCommand::ConcludeRecovery(command) => self.conclude(cause, command).await,
            RecoverCommand::AbandonRecovery(command) => self.abandon(cause, command).await,
        }
    }
}

impl RecoverHosts {
    /// Sources repeat themselves, and their repeats have one id: when it was observed tells them apart, for one that goes on is
    /// worth more than an old one. A signal of an unknown host is a dead letter with its reason.
    async fn signal(
        &self,
        cause: &Cause,
        ReportSignal { host, signal }: ReportSignal,
    ) -> Result<(), Failure> {
        let cause = part(cause, &signal.header.observed_at.as_second().to_string())?;
        let seen = self.seen(&host).await?;
        let stream = health_stream(&host)?;
        let input = HealthInput::Signal { signal, seen };
        match self.shell.execute::<HealthDecider>(&stream, &cause, &input).await {
            Ok(_) => Ok(()),
            Err(ExecuteError::Refused(refusal)) => Err(Failure::terminal(Category::Validation, refusal)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells a host's health something, and gives what is known of it by then.
    async fn tell(&self, host: &HostId, cause: &Cause, input: HealthInput) -> Result<HealthState, Failure> {
        let stream = health_stream(host)?;
        Ok(self.shell.execute::<HealthDecider>(&stream, cause, &input).await?.fold.state)
    }

    /// How the host is right now, and which policies hold.
    async fn seen(&self, host: &HostId) -> Result<Box<Seen>, Failure> {
        let state = self.shell.load::<HostDecider>(&host_stream(host)?).await?.state;
        let (policies, provisioning) = (self.policies.now().await?, self.provisioning);
        Ok(Box::new(Seen { host: HostSeen::of(&state), correlated: None, policies, provisioning }))
    }

    /// The same, and whether what it fails together with has an incident: before a person is asked or told.
    async fn seen_with_others(&self, host: &HostId) -> Result<Box<Seen>, Failure> {
        let mut seen = self.seen(host).await?;
        if let Some(host) = &seen.host {
            seen.correlated = self.unhealthy.surroundings(&host.rack, &seen.policies).await?.holds_back();
        }
        Ok(seen)
    }

    /// A host of a rack.
    async fn member(&self, cause: &Cause, command: ReportMember) -> Result<(), Failure> {
        let policies = self.policies.now().await?;
        self.report(cause, MemberReport::of_host(&command, &policies)).await
    }

    /// A rack of a power domain.
    async fn domain(&self, cause: &Cause, command: ReportDomain) -> Result<(), Failure> {
        let policies = self.policies.now().await?;
        self.report(cause, MemberReport::of_rack(&command, &policies)).await
    }

    /// An incident of a domain may go on. Of a rack without power a person is told as a part of its power domain.
    async fn domain_waited(&self, cause: &Cause, stream: &StreamId, name: &str) -> Result<(), Failure> {
        let policies = self.policies.now().await?;
        let mut places = policies.policy.topology.racks.iter();
        let place = places.find(|(rack, _)| rack_key(rack) == stream.key()).map(|(_, place)| place);
        let is_part_of_another = match place {
            Some(place) => {
                self.unhealthy.fault_domain(&power_key(&place.power_domain)).await?.open().is_some()
            }
            None => false,
        };
        let escalate_seconds = policies.policy.correlation.escalate_seconds;
        let input = FaultDomainInput::Timer { name: name.to_owned(), is_part_of_another, escalate_seconds };
        Ok(self.shell.execute::<FaultDomainDecider>(stream, cause, &input).await.map(drop)?)
    }

    async fn report(&self, cause: &Cause, report: MemberReport) -> Result<(), Failure> {
        let stream = domain_stream(&report.domain)?;
        let input = FaultDomainInput::Member(report);
        Ok(self.shell.execute::<FaultDomainDecider>(&stream, cause, &input).await.map(drop)?)
    }
}

fn health_stream(host: &HostId) -> Result<StreamId, Failure> {
    StreamId::new(HealthDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)
}

fn host_stream(host: &HostId) -> Result<StreamId, Failure> {
    StreamId::new(HostDecider::CATEGORY, host.as_str()).map_err(Failure::invalid)
}

fn domain_stream(domain: &str) -> Result<StreamId, Failure> {
    StreamId::new(FaultDomainDecider::CATEGORY, domain).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
