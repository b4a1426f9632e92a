//! From a command to a commit on its stream, and what the sender is told.

use hostler_core::failure::error_chain;
use hostler_core::triage::{FailureDecider, FailureId, FailureInput, FailureRefusal};
use hostler_core::{Category, CausationId, Commit, Decider, Failure, StreamId, StreamVersion};
use hostler_domain::{
    CapacityDecider, CapacityInput, CapacityRefusal, HostDecider, HostInput, HostRefusal,
    ProvisioningDecider, ProvisioningInput, ProvisioningRefusal,
};
use hostler_events::commands::{
    ApproveRequest, DiscardFailure, EditFailure, RejectRequest, ReportBoot, RequestHosts, RetryFailure,
};
use hostler_events::{HostId, OperatorCommand, ProvisioningId, RequestId, StepId};
use hostler_runtime::triage;
use hostler_runtime::{Cause, ExecuteError, Executed, Outcome, Response};
use serde_json::{Value, json};

use crate::AcceptCommands;

/// How far back on a host's stream the commits of a step that calls back are looked for.
const COMMITS_OF_STEP_MAX: usize = 32;

/// A command that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The stream it was recorded on.
    pub stream: StreamId,
    /// The stream's version now.
    pub version: StreamVersion,
    /// Whether it was taken before; then nothing has changed.
    pub repeated: bool,
    /// What else the sender wants to know.
    pub details: Value,
}

/// A command that was not taken.
#[derive(Debug)]
pub enum Rejected {
    /// The command cannot be taken as things are.
    Refused {
        /// The HTTP status that says so.
        status: u16,
        /// The static label of the refusal.
        code: &'static str,
        /// Why, and what to do.
        reason: String,
    },
    /// Something else failed; nothing is known of the command.
    Failed(Failure),
}

impl From<Failure> for Rejected {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Accepted> for Response {
    fn from(accepted: Accepted) -> Self {
        let mut body = json!({
            "stream": accepted.stream,
            "version": accepted.version,
            "repeated": accepted.repeated,
        });
        if let (Value::Object(body), Value::Object(details)) = (&mut body, accepted.details) {
            body.extend(details);
        }
        Self::new(202, body)
    }
}

impl From<Rejected> for Response {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Refused { status, code, reason } => Self::error(status, code, reason),
            // What breaks a rule of form is the sender's to correct, such as an id that is too long.
            Rejected::Failed(failure @ Failure::Terminal { category: Category::Validation, .. }) => {
                Self::error(400, "invalid", failure.chain())
            }
            Rejected::Failed(failure) => Self::failure(&failure),
        }
    }
}

impl AcceptCommands {
    /// Decides on a command and records the decision.
    ///
    /// # Errors
    /// [`Rejected`] says why it was not taken, and what to do.
    pub async fn accept(&self, cause: &Cause, command: OperatorCommand) -> Result<Accepted, Rejected> {
        match command {
            OperatorCommand::EnrolHost(command) => {
                let host = command.host.clone();
                self.host(cause, &host, HostInput::Enrol { command, policy: self.host_policy }).await
            }
            OperatorCommand::LabelHost(command) => {
                let host = command.host.clone();
                self.host(cause, &host, HostInput::Label { command }).await
            }
            OperatorCommand::RequalifyHost(command) => {
                self.host(cause, &command.host, HostInput::Requalify).await
            }
            OperatorCommand::ReportBoot(report) => self.boot_reported(cause, report).await,
            OperatorCommand::RequestHosts(request) => self.request(cause, request).await,
            OperatorCommand::ApproveRequest(ApproveRequest { request, reason }) => {
                self.decided(cause, &request, CapacityInput::Approve { reason }).await
            }
            OperatorCommand::RejectRequest(RejectRequest { request, reason }) => {
                self.decided(cause, &request, CapacityInput::Reject { reason }).await
            }
            OperatorCommand::CancelProvisioning(cancel) => {
                let input = ProvisioningInput::Cancel { reason: cancel.reason };
                self.provisioning(cause, &cancel.provisioning, input).await
            }
            OperatorCommand::ResumeProvisioning(resume) => {
                self.provisioning(cause, &resume.provisioning, ProvisioningInput::Resume).await
            }
            OperatorCommand::SkipCompensation(skip) => {
                let input = ProvisioningInput::Skip { kind: skip.kind, reason: skip.reason };
                self.provisioning(cause, &skip.provisioning, input).await
            }
            OperatorCommand::RetryFailure(RetryFailure { failure, reason }) => {
                self.failure(cause, &failure, FailureInput::Retry { reason }).await
            }
            OperatorCommand::EditFailure(EditFailure { failure, body, reason }) => {
                let message_id = self.shell.new_id();
                self.failure(cause, &failure, FailureInput::Edit { body, message_id, reason }).await
            }
            OperatorCommand::DiscardFailure(DiscardFailure { failure, reason }) => {
                self.failure(cause, &failure, FailureInput::Discard { reason }).await
            }
        }
    }

    async fn failure(
        &self,
        cause: &Cause,
        failure: &FailureId,
        input: FailureInput,
    ) -> Result<Accepted, Rejected> {
        let stream = triage::stream(failure);
        let done = self.shell.execute::<FailureDecider>(&stream, cause, &input).await;
        answer(stream, done, json!({ "failure": failure }), failure_says)
    }

    async fn host(&self, cause: &Cause, host: &HostId, input: HostInput) -> Result<Accepted, Rejected> {
        let stream = stream(HostDecider::CATEGORY, host.as_str())?;
        let done = self.shell.execute::<HostDecider>(&stream, cause, &input).await;
        answer(stream, done, json!({ "host": host }), host_says)
    }

    async fn boot_reported(&self, cause: &Cause, report: ReportBoot) -> Result<Accepted, Rejected> {
        let ReportBoot { host, step, token, outcome, reason } = report;
        if !self.callback_key.verify(host.as_str(), step.as_str(), &token) {
            return Err(Rejected::Refused {
                status: 403,
                code: "wrong-token",
                reason: format!(
                    "the token is not the one of step {step} of host {host}: call back with the URL that came with the image"
                ),
            });
        }
        let stream = stream(HostDecider::CATEGORY, host.as_str())?;
        let fold = self.shell.load::<HostDecider>(&stream).await.map_err(Failure::from)?;
        let cause = self.of_step(cause, &stream, fold.version, &step).await?;
        let input = HostInput::BootReported { step, outcome, reason };
        let done = self.shell.execute_from(&stream, fold, &cause, &input).await;
        answer(stream, done, json!({ "host": host }), host_says)
    }

    /// A callback knows its step, and not the request that the step belongs to. The commits around the step do, so
    /// that one request keeps one correlation, one trace and one count of hops.
    async fn of_step(
        &self,
        cause: &Cause,
        stream: &StreamId,
        newest: StreamVersion,
        step: &StepId,
    ) -> Result<Cause, Rejected> {
        let after = StreamVersion(newest.0.saturating_sub(COMMITS_OF_STEP_MAX as u64));
        let commits = self.shell.store().read(stream, after, COMMITS_OF_STEP_MAX).await;
        let commits = commits.map_err(Failure::from)?;
        let of_step = |commit: &&Commit| {
            commit.events.iter().any(|event| event.data.to_value()["step"] == step.as_str())
        };
        Ok(match commits.iter().rev().find(of_step) {
            Some(commit) => Cause {
                correlation_id: commit.correlation_id,
                trace_context: commit.trace_context.clone(),
                hops: commit.hops,
                ..cause.clone()
            },
            None => cause.clone(),
        })
    }

    async fn request(&self, cause: &Cause, command: RequestHosts) -> Result<Accepted, Rejected> {
        // The request's own id is the cause: the same request never acts twice, however it is sent.
        let id = CausationId::new(format!("request:{}", command.request)).map_err(Failure::invalid)?;
        let cause = Cause { id, ..cause.clone() };
        let stream = stream(CapacityDecider::CATEGORY, command.request.as_str())?;
        let provisionings = provisioning_ids(&command)?;
        let details = json!({ "request": command.request, "provisionings": provisionings });
        let (policy, approval_above) = (Box::new(self.provisioning_policy), self.approval_above);
        let input = CapacityInput::Request { command, provisionings, policy, approval_above };
        let mut done = self.shell.execute::<CapacityDecider>(&stream, &cause, &input).await;
        // A known cause is answered without asking the decider, and another content under the same id is an error:
        // it is asked here, so that two who send the id at the same moment are told apart, too.
        if let Ok(known) = &done
            && known.outcome != Outcome::Committed
            && let Err(refusal) = CapacityDecider::decide(&known.fold.state, &input, self.shell.now())
        {
            done = Err(ExecuteError::Refused(refusal));
        }
        answer(stream, done, details, capacity_says)
    }

    async fn decided(
        &self,
        cause: &Cause,
        request: &RequestId,
        input: CapacityInput,
    ) -> Result<Accepted, Rejected> {
        let stream = stream(CapacityDecider::CATEGORY, request.as_str())?;
        let done = self.shell.execute::<CapacityDecider>(&stream, cause, &input).await;
        answer(stream, done, json!({ "request": request }), capacity_says)
    }

    async fn provisioning(
        &self,
        cause: &Cause,
        provisioning: &ProvisioningId,
        input: ProvisioningInput,
    ) -> Result<Accepted, Rejected> {
        let stream = stream(ProvisioningDecider::CATEGORY, provisioning.as_str())?;
        let done = self.shell.execute::<ProvisioningDecider>(&stream, cause, &input).await;
        answer(stream, done, json!({ "provisioning": provisioning }), provisioning_says)
    }
}

/// `<request>.<n>`, from 1: the same for each repeat of the request.
fn provisioning_ids(command: &RequestHosts) -> Result<Vec<ProvisioningId>, Failure> {
    // The decider refuses a count over the limit; this only keeps it from being counted out first.
    let count = command.count.min(hostler_events::commands::HOSTS_PER_REQUEST_MAX + 1);
    (1..=count)
        .map(|n| ProvisioningId::new(format!("{}.{n}", command.request)).map_err(Failure::invalid))
        .collect()
}

/// The HTTP status and the label of a refusal.
type Says = (u16, &'static str);

fn host_says(refusal: &HostRefusal) -> Says {
    let status = match refusal {
        HostRefusal::UnknownHost => 404,
        HostRefusal::HostIdTooLong { .. }
        | HostRefusal::BmcAddress { .. }
        | HostRefusal::TooManyLabels { .. }
        | HostRefusal::LabelKey { .. }
        | HostRefusal::LabelValue { .. }
        | HostRefusal::StepId(_) => 400,
        HostRefusal::EnrolledDifferently { .. }
        | HostRefusal::NotQuarantined { .. }
        | HostRefusal::NotWaiting { .. }
        | HostRefusal::NotAvailable { .. }
        | HostRefusal::AlreadyReleased { .. }
        | HostRefusal::NotHeld { .. }
        | HostRefusal::WrongPhase { .. }
        | HostRefusal::Dirty { .. }
        | HostRefusal::Undone { .. } => 409,
    };
    (status, refusal.label())
}

fn provisioning_says(refusal: &ProvisioningRefusal) -> Says {
    let status = match refusal {
        ProvisioningRefusal::Unknown => 404,
        ProvisioningRefusal::IdTooLong { .. }
        | ProvisioningRefusal::ReasonTooLong { .. }
        | ProvisioningRefusal::NoReason { .. }
        | ProvisioningRefusal::StepId(_) => 400,
        ProvisioningRefusal::AlreadyCompensating { .. }
        | ProvisioningRefusal::AlreadyCompleted { .. }
        | ProvisioningRefusal::AlreadyCompensated { .. }
        | ProvisioningRefusal::IsStuck { .. }
        | ProvisioningRefusal::NotStuck { .. }
        | ProvisioningRefusal::StuckElsewhere { .. }
        | ProvisioningRefusal::HoldsHost { .. }
        | ProvisioningRefusal::NoHost { .. } => 409,
    };
    (status, refusal.label())
}

fn capacity_says(refusal: &CapacityRefusal) -> Says {
    let status = match refusal {
        CapacityRefusal::NoHosts { .. }
        | CapacityRefusal::TooManyHosts { .. }
        | CapacityRefusal::IdsMissing { .. }
        | CapacityRefusal::IdTooLong { .. } => 400,
        CapacityRefusal::NoReason { .. } => 400,
        CapacityRefusal::Unknown => 404,
        CapacityRefusal::PayloadMismatch { .. } | CapacityRefusal::NotAwaited { .. } => 409,
    };
    (status, refusal.label())
}

fn failure_says(refusal: &FailureRefusal) -> Says {
    let status = match refusal {
        FailureRefusal::Unknown => 404,
        FailureRefusal::NoReason | FailureRefusal::Body(_) => 400,
        FailureRefusal::Ended { .. }
        | FailureRefusal::OnItsWay
        | FailureRefusal::Parked { .. }
        | FailureRefusal::NoQueue { .. } => 409,
    };
    (status, refusal.label())
}

fn stream(category: &str, key: &str) -> Result<StreamId, Failure> {
    StreamId::new(category, key).map_err(Failure::invalid)
}

fn answer<D: Decider>(
    stream: StreamId,
    done: Result<Executed<D>, ExecuteError<D::Refusal>>,
    details: Value,
    says: impl Fn(&D::Refusal) -> Says,
) -> Result<Accepted, Rejected> {
    match done {
        Ok(Executed { outcome, fold, .. }) => {
            Ok(Accepted { stream, version: fold.version, repeated: outcome != Outcome::Committed, details })
        }
        Err(ExecuteError::Refused(refusal)) => {
            let (status, code) = says(&refusal);
            Err(Rejected::Refused { status, code, reason: error_chain(&refusal) })
        }
        Err(mismatch @ ExecuteError::PayloadMismatch { .. }) => {
            Err(Rejected::Refused { status: 409, code: "payload-mismatch", reason: mismatch.to_string() })
        }
        Err(error) => Err(Rejected::Failed(error.into())),
    }
}
