//! The phases of a host, and the one table that says what leads from which phase to which.
//!
//! Deciders and steps ask the table whether something may happen to a host ([`Phase::allows`]); none of them lists
//! phases. `docs/hosts.md` is drawn from it.
//!
//! A new phase is a variant of [`HostPhase`], its name, and rows in [`TRANSITIONS`]. No decider for other moves changes with
//! it.

use hostler_events::StepId;
use serde::{Deserialize, Serialize};

/// Where a host is in its life.
///
/// Enrolled and inspecting are no phases: the commit that enrols a host also asks for its verification, and the
/// commit that records a verification also sends the host to cleaning. [`TRANSITIONS`] has what
/// leads from which phase to which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum HostPhase {
    /// Nobody has enrolled it.
    #[default]
    Unknown,
    /// Its BMC is being reached and its hardware read.
    Verifying {
        /// The verification. After a failure it is the next one, whose delay still runs.
        step: StepId,
        /// The number of the attempt, from 1.
        attempt: u32,
    },
    /// It is being wiped.
    Cleaning {
        /// The cleaning. After a failure it is the next one, whose delay still runs.
        step: StepId,
        /// The number of the attempt, from 1.
        attempt: u32,
        /// Whether the cleaning image has reported that it is done.
        booted: bool,
        /// Whether the delay before this attempt still runs, so that nobody is cleaning yet.
        delayed: bool,
    },
    /// Clean, at rest, free.
    Available,
    /// Clean, at rest, held by a saga.
    Reserved,
    /// Booted from its image; it has not called back yet.
    Deploying {
        /// The deployment.
        step: StepId,
    },
    /// Its own system runs; its role is being applied.
    Configuring,
    /// Configured; waiting for monitoring.
    RegisteringMonitoring,
    /// Serves its pool. The reservation stays on record.
    InService,
    /// It is given back: it leaves monitoring, and whatever sends it traffic, before its deployment is undone.
    Draining,
    /// Its deployment is being undone; cleaning follows.
    Deprovisioning {
        /// The undoing.
        step: StepId,
    },
    /// Out of use until an operator has looked at it.
    Quarantined {
        /// Why.
        reason: String,
    },
    /// Out of use, clean or not, until an operator requalifies it.
    Retired {
        /// Why.
        reason: String,
    },
}

impl HostPhase {
    /// The phase, without what the host knows in it.
    #[must_use]
    pub fn kind(&self) -> Phase {
        match self {
            Self::Unknown => Phase::Unknown,
            Self::Verifying { .. } => Phase::Verifying,
            Self::Cleaning { .. } => Phase::Cleaning,
            Self::Available => Phase::Available,
            Self::Reserved => Phase::Reserved,
            Self::Deploying { .. } => Phase::Deploying,
            Self::Configuring => Phase::Configuring,
            Self::RegisteringMonitoring => Phase::RegisteringMonitoring,
            Self::InService => Phase::InService,
            Self::Draining => Phase::Draining,
            Self::Deprovisioning { .. } => Phase::Deprovisioning,
            Self::Quarantined { .. } => Phase::Quarantined,
            Self::Retired { .. } => Phase::Retired,
        }
    }

    /// The name in views, such as `in-service`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether this may happen to a host in this phase.
    #[must_use]
    pub fn allows(&self, what: Move) -> bool {
        self.kind().allows(what)
    }

    /// Why the host is out of use, where it is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        if let Self::Quarantined { reason } | Self::Retired { reason } = self { Some(reason) } else { None }
    }

    /// The step whose end the host waits for, if any.
    #[must_use]
    pub fn step(&self) -> Option<&StepId> {
        match self {
            Self::Verifying { step, .. }
            | Self::Cleaning { step, .. }
            | Self::Deploying { step }
            | Self::Deprovisioning { step } => Some(step),
            Self::Unknown
            | Self::Available
            | Self::Reserved
            | Self::Configuring
            | Self::RegisteringMonitoring
            | Self::InService
            | Self::Draining
            | Self::Retired { .. }
            | Self::Quarantined { .. } => None,
        }
    }
}

/// Spells each phase once, with its name in views.
macro_rules! phases {
    ($($(#[$doc:meta])* $phase:ident = $name:literal,)+) => {
        /// Where a host is in its life, without what it knows there.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Phase {
            $($(#[$doc])* $phase,)+
        }

        impl Phase {
            /// Every phase, in the order in which a host passes through them.
            pub const ALL: &'static [Self] = &[$(Self::$phase),+];

            /// The name in views, such as `in-service`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$phase => $name,)+
                }
            }
        }
    };
}

phases! {
    /// Nobody has enrolled it.
    Unknown = "unknown",
    /// Its BMC is being reached and its hardware read.
    Verifying = "verifying",
    /// It is being wiped.
    Cleaning = "cleaning",
    /// Clean, at rest, free.
    Available = "available",
    /// Clean, at rest, held by a saga.
    Reserved = "reserved",
    /// Booted from its image; it has not called back yet.
    Deploying = "deploying",
    /// Its own system runs; its role is being applied.
    Configuring = "configuring",
    /// Configured; waiting for monitoring.
    RegisteringMonitoring = "registering-monitoring",
    /// Serves its pool.
    InService = "in-service",
    /// It is given back, and leaves monitoring.
    Draining = "draining",
    /// Its deployment is being undone; cleaning follows.
    Deprovisioning = "deprovisioning",
    /// Out of use until an operator has looked at it.
    Quarantined = "quarantined",
    /// Out of use until an operator requalifies it.
    Retired = "retired",
}

/// What may happen to a host. Deciders ask for it by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It is made known, and verified.
    Enrol,
    /// A verification failed, and is tried again.
    RetryVerification,
    /// A try at cleaning begins.
    Clean,
    /// A cleaning failed, and is tried again.
    RetryCleaning,
    /// It is clean and at rest.
    FinishCleaning,
    /// A saga holds it.
    Reserve,
    /// Its saga gives it back without having touched it.
    Release,
    /// It is booted from its image.
    Deploy,
    /// Its own system runs, and the image is out.
    FinishDeploy,
    /// Its role is applied.
    Configure,
    /// Monitoring knows it, and it serves its pool.
    Serve,
    /// It is given back from service.
    Drain,
    /// It is taken out of use while nobody uses it.
    Retire,
    /// Its deployment is undone.
    Undeploy,
    /// A saga wants its deployment undone, and there is nothing to undo: the host says so.
    ConfirmReturn,
    /// It is taken out of use.
    Quarantine,
    /// An operator gives it another chance.
    Requalify,
    /// A saga has it for itself, while it is in service.
    Cordon,
    /// That saga is done with it.
    Uncordon,
    /// Its power is cut, and given back.
    PowerCycle,
    /// It is installed again, from service.
    Reimage,
    /// A service of it is restarted.
    RestartService,
    /// Its packages are changed.
    ChangePackages,
    /// It is looked for drift of its configuration.
    CheckConfiguration,
    /// Its role is applied again, while it serves.
    RestoreConfiguration,
}

impl Move {
    /// Every move.
    pub const ALL: &'static [Self] = &[
        Self::Enrol,
        Self::RetryVerification,
        Self::Clean,
        Self::RetryCleaning,
        Self::FinishCleaning,
        Self::Reserve,
        Self::Release,
        Self::Deploy,
        Self::FinishDeploy,
        Self::Configure,
        Self::Serve,
        Self::Drain,
        Self::Retire,
        Self::Undeploy,
        Self::ConfirmReturn,
        Self::Quarantine,
        Self::Requalify,
        Self::Cordon,
        Self::Uncordon,
        Self::PowerCycle,
        Self::Reimage,
        Self::RestartService,
        Self::ChangePackages,
        Self::CheckConfiguration,
        Self::RestoreConfiguration,
    ];

    /// The names of the phases in which one of these moves may happen, for a refusal.
    pub(super) fn possible_in(moves: &[Self]) -> String {
        let rows = TRANSITIONS.iter().filter(|row| moves.contains(&row.what));
        let mut names: Vec<&str> = rows.flat_map(|row| row.from).map(|phase| phase.name()).collect();
        names.dedup();
        names.join(" or ")
    }
}

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Transition {
    /// What happens.
    pub what: Move,
    /// In which phases it may happen.
    pub from: &'static [Phase],
    /// Where it leads.
    pub to: Phase,
    /// The type of the event that records it; a test compares it with what the decider records.
    pub event: &'static str,
    /// What it takes, as the diagram says it.
    pub when: &'static str,
}

const fn row(
    what: Move,
    from: &'static [Phase],
    to: Phase,
    event: &'static str,
    when: &'static str,
) -> Transition {
    Transition { what, from, to, event, when }
}

use Phase::{
    Available, Cleaning, Configuring, Deploying, Deprovisioning, Draining, InService, Quarantined,
    RegisteringMonitoring, Reserved, Retired, Unknown, Verifying,
};

/// Every change of phase. What is not here does not happen.
#[rustfmt::skip]
pub const TRANSITIONS: &[Transition] = &[
    row(Move::Enrol, &[Unknown], Verifying, "host.enrolled", "enrol-host"),
    row(Move::RetryVerification, &[Verifying], Verifying, "host.verification-failed", "failed, attempts left"),
    row(Move::Clean, &[Verifying], Cleaning, "host.cleaning-started", "verified, inspected"),
    row(Move::Clean, &[Cleaning], Cleaning, "host.cleaning-started", "the delay is over"),
    row(Move::Clean, &[Deprovisioning], Cleaning, "host.cleaning-started", "at rest"),
    row(Move::RetryCleaning, &[Cleaning], Cleaning, "host.cleaning-failed", "failed, attempts left"),
    row(Move::FinishCleaning, &[Cleaning], Available, "host.cleaned", "cleaned, nobody holds it any more"),
    row(Move::FinishCleaning, &[Cleaning], Reserved, "host.cleaned", "cleaned, a saga holds it"),
    row(Move::Reserve, &[Available, Reserved], Reserved, "host.reserved", "reserve-host"),
    row(Move::Release, &[Reserved], Available, "host.released", "release-reservation"),
    row(Move::Deploy, &[Reserved, Deploying, Configuring, RegisteringMonitoring], Deploying, "host.deploy-started", "deploy-image"),
    row(Move::FinishDeploy, &[Deploying], Configuring, "host.deploy-completed", "called back, its image is out"),
    row(Move::Configure, &[Configuring, RegisteringMonitoring], RegisteringMonitoring, "host.configuration-applied", "role applied"),
    row(Move::Serve, &[RegisteringMonitoring, InService], InService, "host.in-service", "first healthy sample"),
    row(Move::Drain, &[InService], Draining, "host.release-requested", "release-host, retire-host"),
    row(Move::Retire, &[Available, Quarantined], Retired, "host.retired", "retire-host, or cleaned to be retired"),
    row(Move::Undeploy, &[Deploying, Configuring, RegisteringMonitoring, InService, Draining, Deprovisioning], Deprovisioning, "host.undeploy-started", "undeploy-host"),
    row(Move::ConfirmReturn, &[Reserved], Reserved, "host.cleaned", "undeploy-host, never deployed"),
    row(Move::ConfirmReturn, &[Quarantined], Quarantined, "host.quarantined", "undeploy-host"),
    row(Move::Quarantine, &[Verifying, Cleaning], Quarantined, "host.quarantined", "attempts used up, or a reason that lasts"),
    row(Move::Requalify, &[Quarantined, Retired], Verifying, "host.requalified", "requalify-host"),
    row(Move::Cordon, &[InService], InService, "host.cordoned", "cordon-host"),
    row(Move::Uncordon, &[InService], InService, "host.uncordoned", "uncordon-host"),
    row(Move::PowerCycle, &[InService], InService, "host.power-cycled", "power-cycle-host, cordoned"),
    row(Move::Reimage, &[InService, Deploying, Configuring, RegisteringMonitoring], Deploying, "host.reimage-started", "reimage-host, cordoned"),
    row(Move::RestartService, &[InService], InService, "host.service-restarted", "restart-service, cordoned"),
    row(Move::ChangePackages, &[InService], InService, "host.package-change-started", "install-packages, cordoned"),
    row(Move::CheckConfiguration, &[InService], InService, "host.configuration-check-started", "check-configuration, or its schedule"),
    row(Move::RestoreConfiguration, &[InService], InService, "host.configuration-restore-started", "drifted, or restore-configuration"),
];

impl Phase {
    /// Whether this may happen to a host in this phase.
    #[must_use]
    pub fn allows(self, what: Move) -> bool {
        TRANSITIONS.iter().any(|row| row.what == what && row.from.contains(&self))
    }

    /// The names of the phases of hosts that are enrolled: those that a view shows.
    pub fn shown() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(|phase| **phase != Unknown).map(|phase| phase.name())
    }
}
