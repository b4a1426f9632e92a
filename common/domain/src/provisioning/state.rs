//! What is known of a provisioning saga.

use std::collections::BTreeMap;

use hostler_events::provisioning::ProvisioningStarted;
use hostler_events::{HostId, ProvisioningPolicy, StepId, StepKind, StepPolicy};
use serde::{Deserialize, Serialize};

/// What an attempt waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Waiting {
    /// The answer, or its deadline.
    Answer,
    /// The end of the delay before the next attempt.
    Retry,
}

/// One attempt at one step, or at one compensation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// What is done.
    pub kind: StepKind,
    /// Which attempt it is, from 1; counted on after a resume.
    pub attempt: u32,
    /// Its id, by which its answer is recognised.
    pub step: StepId,
    /// What it waits for.
    pub waiting: Waiting,
    /// How often it was given more time, for what it needs was away.
    #[serde(default)]
    pub deferrals: u32,
}

/// How a saga stands. `current` is absent only between two events of one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Status {
    /// Nobody has asked for it.
    #[default]
    NotStarted,
    /// Its steps are being done.
    Running {
        /// The attempt at work.
        current: Option<Attempt>,
    },
    /// What was done is being undone.
    Compensating {
        /// Why.
        reason: String,
        /// What is to be done after the current compensation, in this order.
        remaining: Vec<StepKind>,
        /// The attempt at work.
        current: Option<Attempt>,
    },
    /// The host is in service.
    Completed,
    /// Everything is undone.
    Compensated {
        /// Why it was undone.
        reason: String,
    },
    /// A compensation cannot succeed; an operator is needed.
    Stuck {
        /// The compensation.
        kind: StepKind,
        /// Why it is stuck, and what to do.
        reason: String,
        /// Why it was undoing at all.
        compensating: String,
        /// What is to be done after that compensation, in this order.
        remaining: Vec<StepKind>,
    },
}

/// How often a step was tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tries {
    /// Attempts begun in all: ids are made from it and never repeat.
    pub begun: u32,
    /// Attempts that do not count any more, since an operator had the saga try again.
    pub forgiven: u32,
}

/// What is known of a provisioning saga.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningState {
    /// How it stands.
    pub status: Status,
    /// What it is to do, and by which policy; absent until it is started.
    pub order: Option<ProvisioningStarted>,
    /// The host that it holds or held.
    pub host: Option<HostId>,
    /// Whether that host was quarantined instead of cleaned.
    pub host_quarantined: bool,
    /// The steps that are done, in their order.
    pub completed: Vec<StepKind>,
    /// How often each step was tried.
    pub tries: BTreeMap<StepKind, Tries>,
}

impl ProvisioningState {
    /// The name in views: `not-started`, `running`, `compensating`, `completed`, `compensated` or `stuck`.
    #[must_use]
    pub fn status_name(&self) -> &'static str {
        match &self.status {
            Status::NotStarted => "not-started",
            Status::Running { .. } => "running",
            Status::Compensating { .. } => "compensating",
            Status::Completed => "completed",
            Status::Compensated { .. } => "compensated",
            Status::Stuck { .. } => "stuck",
        }
    }

    /// The attempt at work, while the saga waits for something.
    #[must_use]
    pub fn current(&self) -> Option<&Attempt> {
        match &self.status {
            Status::Running { current } | Status::Compensating { current, .. } => current.as_ref(),
            Status::NotStarted | Status::Completed | Status::Compensated { .. } | Status::Stuck { .. } => {
                None
            }
        }
    }

    /// The name of the one timer that can wake the saga now; every other one is void.
    #[must_use]
    pub fn live_timer(&self) -> Option<String> {
        self.current().map(Attempt::timer)
    }

    /// How often the step was tried so far.
    pub(super) fn tries(&self, kind: StepKind) -> Tries {
        self.tries.get(&kind).copied().unwrap_or_default()
    }
}

impl Attempt {
    /// The name of the timer that ends the wait.
    pub(super) fn timer(&self) -> String {
        match self.waiting {
            Waiting::Answer if self.deferrals > 0 => format!("deadline:{}:{}", self.step, self.deferrals),
            Waiting::Answer => format!("deadline:{}", self.step),
            Waiting::Retry => format!("retry:{}", self.step),
        }
    }

    /// Whether this attempt waits for an answer under this id.
    pub(super) fn awaits(&self, step: &StepId) -> bool {
        self.waiting == Waiting::Answer && self.step == *step
    }
}

/// The policy of a step.
pub(super) fn policy_of(policy: &ProvisioningPolicy, kind: StepKind) -> StepPolicy {
    match kind {
        StepKind::ReserveHost => policy.reserve_host,
        StepKind::DeployImage => policy.deploy_image,
        StepKind::ApplyRole => policy.apply_role,
        StepKind::RegisterMonitoring => policy.register_monitoring,
        StepKind::DeregisterMonitoring => policy.deregister_monitoring,
        StepKind::UndeployHost => policy.undeploy_host,
        StepKind::ReleaseReservation => policy.release_reservation,
    }
}
