//! Why a host's health is not told something.

use hostler_events::HostId;

/// Why an input is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HealthRefusal {
    /// Nobody has enrolled the host. The source means another site, or names it otherwise.
    #[error(
        "no host of this name is enrolled: enrol it, or have {alert} name the host by its id in the label `host`"
    )]
    UnknownHost {
        /// The signal.
        alert: String,
    },
    /// The host has no incident that is open.
    #[error("there is no open incident of this host: see `hostler incidents list`")]
    NoIncident,
    /// No remediation waits for a person's word.
    #[error("the incident of host {host} is {condition}, and does not wait for approval (any more)")]
    NotAwaited {
        /// The host.
        host: HostId,
        /// Where it is.
        condition: &'static str,
    },
    /// A saga works on the host.
    #[error("{saga} works on host {host}: wait until it has ended, or cancel it first")]
    Acting {
        /// The host.
        host: HostId,
        /// The saga.
        saga: String,
    },
    /// A decision needs a reason.
    #[error("no reason was given: it is recorded, so say why")]
    NoReason,
}

impl HealthRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::UnknownHost { .. } => "unknown-host",
            Self::NoIncident => "no-incident",
            Self::NotAwaited { .. } => "not-awaited",
            Self::Acting { .. } => "acting",
            Self::NoReason => "no-reason",
        }
    }
}
