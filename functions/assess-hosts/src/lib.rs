//! Knows what is installed on hosts, and which vulnerabilities they have because of it.
//!
//! A list of packages is compared with all advisories that speak of them; a new advisory is compared with the lists of the whole
//! fleet, a page at a time. What a comparison shows is on the host's stream, and is told to the stream of the finding. All of
//! it may be done again: what is known changes nothing.

mod advisories;
mod known;
mod packages;
mod scans;

use std::sync::Arc;

use async_trait::async_trait;
use hostler_app::{FollowedPolicies, check_due};
use hostler_core::{Category, Decider, Failure, Incoming, StreamId, TimerFired, command_sets};
use hostler_domain::advisory::again_of;
use hostler_domain::{AdvisoryDecider, AdvisoryInput, FindingDecider, FindingInput};
use hostler_drivers::Packages;
use hostler_events::findings::NoteFinding;
use hostler_events::packages::FindingEvent;
use hostler_events::{AdvisoryId, AssessCommand, FindingsCommand, HostId};
use hostler_runtime::effects::steps::StepWorker;
use hostler_runtime::messages::batch::Handler;
use hostler_runtime::ports::Views;
use hostler_runtime::state::shell::Cause;

pub use known::KnownAdvisories;

command_sets! {
    /// What is asked of it.
    pub enum Asked {
        /// About packages and vulnerabilities.
        Findings(FindingsCommand),
        /// By patchings.
        Assess(AssessCommand),
    }
}

/// Compares hosts with advisories.
pub struct AssessHosts {
    /// What carries out the steps of patchings, and where everything is decided on.
    pub worker: StepWorker,
    /// Where hosts are listed.
    pub views: Arc<dyn Views>,
    /// Which advisories speak of which packages.
    pub known: KnownAdvisories,
    /// By what is decided.
    pub policies: FollowedPolicies,
    /// What reads what is installed.
    pub packages: Arc<dyn Packages>,
}

#[async_trait]
impl Handler for AssessHosts {
    async fn handle(&self, message: &Incoming) -> Result<(), Failure> {
        let cause = &Cause::of(message);
        match message {
            // A host that was cleaned has nothing of what it had.
            Incoming::Event(event) => self.erased(cause, event.stream.key(), event.timestamp).await,
            Incoming::Timer(timer) => self.wake(cause, timer).await,
            Incoming::Command(_) => match message.command::<Asked>()? {
                Asked::Findings(command) => self.carry_out(cause, command).await,
                Asked::Assess(AssessCommand::BeginPatching(command)) => {
                    self.worker.run(self, cause, &command).await.map(drop)
                }
                Asked::Assess(AssessCommand::ScanPackages(command)) => {
                    self.worker.run(self, cause, &command).await.map(drop)
                }
            },
        }
    }
}

impl AssessHosts {
    async fn carry_out(&self, cause: &Cause, command: FindingsCommand) -> Result<(), Failure> {
        match command {
            FindingsCommand::RecordAdvisory(record) => self.record_advisory(cause, record).await,
            FindingsCommand::PrioritiseAdvisory(of) => self.prioritise(cause, &of.advisory).await,
            FindingsCommand::AssessFleet(page) => self.read_page(cause, page).await,
            FindingsCommand::MatchHosts(hosts) => self.match_hosts(cause, hosts).await,
            FindingsCommand::RecordPackages(list) => self.record_packages(cause, list).await,
            FindingsCommand::ScanHost(scan) => self.scan_host(cause, &scan.host).await,
            FindingsCommand::NoteFinding(note) => self.note(cause, note).await,
        }
    }

    async fn wake(&self, cause: &Cause, timer: &TimerFired) -> Result<(), Failure> {
        check_due(timer.due_at, self.worker.shell.now())?;
        match (timer.stream.category(), again_of(&timer.name)) {
            (AdvisoryDecider::CATEGORY, Some(revision)) => {
                let input = AdvisoryInput::Again { revision };
                Ok(self
                    .worker
                    .shell
                    .execute::<AdvisoryDecider>(&timer.stream, cause, &input)
                    .await
                    .map(drop)?)
            }
            (FindingDecider::CATEGORY, _) => {
                let input = FindingInput::Timer { name: timer.name.clone() };
                let done = self.worker.shell.execute::<FindingDecider>(&timer.stream, cause, &input).await?;
                if done.events.iter().any(|event| matches!(event, FindingEvent::DeadlineBreached(_))) {
                    tracing::warn!(
                        finding = timer.stream.key(),
                        deadlines_breached = 1,
                        "a host has a vulnerability longer than it may"
                    );
                }
                Ok(())
            }
            (_, _) => {
                let reason = format!("the timer {} of {} means nothing here", timer.name, timer.stream);
                Err(Failure::terminal(Category::Validation, reason))
            }
        }
    }

    async fn note(&self, cause: &Cause, note: NoteFinding) -> Result<(), Failure> {
        let stream =
            StreamId::new(FindingDecider::CATEGORY, note.finding.as_str()).map_err(Failure::invalid)?;
        let input = FindingInput::Note(Box::new(note));
        let done = self.worker.shell.execute::<FindingDecider>(&stream, cause, &input).await?;
        let status = done.fold.state.status().name();
        tracing::info!(%stream, outcome = ?done.outcome, status, "finding noted");
        Ok(())
    }
}

fn advisory_stream(advisory: &AdvisoryId) -> Result<StreamId, Failure> {
    StreamId::new(AdvisoryDecider::CATEGORY, advisory.as_str()).map_err(Failure::invalid)
}

fn packages_stream(host: &HostId) -> Result<StreamId, Failure> {
    let category = hostler_domain::PackagesDecider::CATEGORY;
    StreamId::new(category, host.as_str()).map_err(Failure::invalid)
}

fn part(cause: &Cause, name: &str) -> Result<Cause, Failure> {
    cause.part(name).map_err(Failure::invalid)
}
