//! What goes wrong in the outside world, and what the caller does about it.

use std::fmt;

use hostler_core::Category;
use hostler_core::failure::error_chain;
use hostler_runtime::effects::steps::StepError;

use crate::bmc::{PowerGoal, PowerState};

/// What a BMC lacks that can have its host boot from no image of ours.
pub(crate) const NO_WAY_TO_BOOT: &str =
    "virtual CD drive and no UEFI HTTP boot with an address (HttpBootUri)";

/// Any error of an adapter that is not ours to name.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where something happened: which system, and what was being done to it. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The URL of the system (without credentials or query), or the id of the host.
    pub system: String,
    /// What was being done, as a phrase: `reading the power state`.
    pub doing: &'static str,
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.system, self.doing)
    }
}

/// A failed call to the outside world. [`DriverError::is_transient`] says whether trying later can help.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Nobody answers at the address. Transient: a BMC that restarts does this for minutes.
    #[error(
        "{at}: no connection to the BMC; check its address, that it has power and that the network \
             lets this function through"
    )]
    Unreachable {
        /// Where it happened.
        at: At,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// The connection broke before the whole answer was there. Transient; whether the request was carried out is
    /// not known.
    #[error("{at}: the connection to the BMC broke; try again")]
    ConnectionLost {
        /// Where it happened.
        at: At,
        /// What the connection said.
        #[source]
        source: BoxError,
    },
    /// The connection was made, but no whole answer came in time. Transient.
    #[error(
        "{at}: no answer within {seconds:.1} s; the BMC may be hung: try later, restart it if this goes on"
    )]
    TimedOut {
        /// Where it happened.
        at: At,
        /// How long was waited.
        seconds: f64,
    },
    /// The BMC says that it is busy, and went on saying so. Transient.
    #[error("{at}: the BMC is busy (HTTP {status}); try again{}", after(.retry_after_seconds))]
    Busy {
        /// Where it happened.
        at: At,
        /// The HTTP status: 429, 502, 503 or 504.
        status: u16,
        /// How long the BMC asked to be left alone, in seconds.
        retry_after_seconds: Option<u64>,
    },
    /// The BMC failed by itself (5xx). Transient.
    #[error(
        "{at}: the BMC failed with HTTP {status}: {message}; try later, look into its log if this goes on"
    )]
    Failed {
        /// Where it happened.
        at: At,
        /// The HTTP status.
        status: u16,
        /// What the BMC said, shortened and without queries of URLs.
        message: String,
    },
    /// The user name or password is wrong, or may not do this. Terminal.
    #[error(
        "{at}: the BMC refuses the credentials (HTTP {status}); correct the user name and password kept \
             for this host, or the user's role on the BMC"
    )]
    Unauthorized {
        /// Where it happened.
        at: At,
        /// The HTTP status: 401 or 403.
        status: u16,
    },
    /// There is no such resource. Terminal: the system's URL is wrong, or the system is gone.
    #[error("{at}: the BMC knows no {path}; check the system URL kept for this host")]
    NotFound {
        /// Where it happened.
        at: At,
        /// The path that was asked for.
        path: String,
    },
    /// The BMC does not accept the request (4xx, or a redirect elsewhere). Terminal.
    #[error(
        "{at}: the BMC refuses the request (HTTP {status}): {message}; this host's BMC may need another \
             firmware or another way of being asked"
    )]
    Refused {
        /// Where it happened.
        at: At,
        /// The HTTP status.
        status: u16,
        /// What the BMC said, shortened and without queries of URLs.
        message: String,
    },
    /// The answer is not the JSON it should be. Transient, for overloaded BMCs cut answers short.
    #[error(
        "{at}: the answer can not be understood; try later, and if this goes on check that the address is \
             a Redfish service"
    )]
    Malformed {
        /// Where it happened.
        at: At,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// This BMC can not do what is needed. Terminal.
    #[error("{at}: this BMC offers no {feature}; the host can not be deployed this way")]
    Unsupported {
        /// Where it happened.
        at: At,
        /// What is missing.
        feature: &'static str,
    },
    /// The wanted power state did not come in time. Transient.
    #[error("{at}: power is not {wanted} after {seconds:.1} s (last read: {}); try later, go and see if this \
             goes on", known(.last_read))]
    PowerNotReached {
        /// Where it happened.
        at: At,
        /// What was wanted.
        wanted: PowerGoal,
        /// The last reading, if there was any.
        last_read: Option<PowerState>,
        /// How long was waited.
        seconds: f64,
    },
    /// No two readings of the power state agreed on `On` or `Off` in time. Transient.
    #[error("{at}: the power state did not settle within {seconds:.1} s (last read: {}); try later",
            known(.last_read))]
    PowerNotSettled {
        /// Where it happened.
        at: At,
        /// The last reading, if there was any.
        last_read: Option<PowerState>,
        /// How long was waited.
        seconds: f64,
    },
    /// The BMC took the order to insert, set or eject an image, but does not show it in time. Transient.
    #[error(
        "{at}: the BMC does not show the change of the image within {seconds:.1} s; check that the BMC can \
             reach the image server, and try again"
    )]
    MediaNotChanged {
        /// Where it happened.
        at: At,
        /// How long was waited.
        seconds: f64,
    },
    /// The time for the whole operation is over. Transient: a repeat goes on where this one stopped.
    #[error("{at}: not done within {seconds:.1} s; call again, it goes on where it stopped")]
    OutOfTime {
        /// Where it happened.
        at: At,
        /// How long was waited.
        seconds: f64,
    },
    /// Somebody else changed the power of the host meanwhile, repeatedly. Transient.
    #[error(
        "{at}: the host is switched {found} by somebody else, each time it was prepared; find out who (a \
             restore policy of the BMC, another controller), then try again"
    )]
    Interference {
        /// Where it happened.
        at: At,
        /// What state was found instead of the one just set.
        found: PowerState,
    },
    /// The endpoint of a BMC is not usable. Terminal.
    #[error("{at}: the BMC endpoint is not usable; correct what is kept for this host: {reason}")]
    BadEndpoint {
        /// Where it happened.
        at: At,
        /// What is wrong with it.
        reason: String,
        /// What the parser or the TLS library said.
        #[source]
        source: Option<BoxError>,
    },
    /// A step on the host was tried and failed; `transient` says whether to try again.
    #[error("{at}: {reason}")]
    StepFailed {
        /// Where it happened.
        at: At,
        /// What happened and what to do.
        reason: String,
        /// Whether a repeat can help.
        transient: bool,
    },
    /// A label of the host has a value that nobody understands. Terminal.
    #[error("{at}: label `{label}` has the value `{value}`; allowed are {allowed}, or leave the label away")]
    BadLabel {
        /// Where it happened.
        at: At,
        /// The name of the label.
        label: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        allowed: &'static str,
    },
    /// Something other than a BMC (a service that all hosts share, the agent on a host) gives no usable answer: none at all, an
    /// error of its own, or one of the way that leads to it (its address, its credentials). Transient.
    #[error("{at}: {service} gives no usable answer: {reason}")]
    ServiceFailed {
        /// Where it happened.
        at: At,
        /// The name of the service.
        service: &'static str,
        /// What is wrong, and what to do.
        reason: String,
        /// What the connection or the parser said.
        #[source]
        source: Option<BoxError>,
    },
    /// A service that all hosts share understood the request and refuses it. Terminal.
    #[error("{at}: {service} refuses the request (HTTP {status}): {message}")]
    ServiceRefused {
        /// Where it happened.
        at: At,
        /// The name of the service.
        service: &'static str,
        /// The HTTP status.
        status: u16,
        /// What the service said, shortened.
        message: String,
    },
    /// The store that remembers what was done does not answer. Transient.
    #[error("{at}: the state under `{key}` can not be read or written; try later")]
    Store {
        /// Where it happened.
        at: At,
        /// The key of the row.
        key: String,
        /// What the store said.
        #[source]
        source: BoxError,
    },
    /// What the store holds is not what this driver wrote. Terminal.
    #[error("{at}: the state under `{key}` is not what this driver writes; repair or remove the row")]
    CorruptState {
        /// Where it happened.
        at: At,
        /// The key of the row.
        key: String,
        /// Why it can not be read.
        #[source]
        source: serde_json::Error,
    },
}

impl From<DriverError> for StepError {
    /// A step may have made several calls, so that the earlier ones may have done something.
    fn from(error: DriverError) -> Self {
        let category = if error.is_transient() { Category::Transient } else { Category::Business };
        Self { category, reason: error_chain(&error), uncertain: true, outage: error.is_outage() }
    }
}

impl DriverError {
    /// Whether the other side did not do its part: no answer, or none that could be used. What it did and did not succeed
    /// with on one host is no outage.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Failed { .. }
            | Self::Malformed { .. }
            | Self::ServiceFailed { .. }
            | Self::Store { .. } => true,
            Self::PowerNotReached { .. }
            | Self::PowerNotSettled { .. }
            | Self::MediaNotChanged { .. }
            | Self::OutOfTime { .. }
            | Self::Interference { .. }
            | Self::StepFailed { .. }
            | Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Unsupported { .. }
            | Self::ServiceRefused { .. }
            | Self::BadEndpoint { .. }
            | Self::BadLabel { .. }
            | Self::CorruptState { .. } => false,
        }
    }

    /// Whether the same call can succeed later without anybody correcting anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::ConnectionLost { .. }
            | Self::TimedOut { .. }
            | Self::Busy { .. }
            | Self::Failed { .. }
            | Self::Malformed { .. }
            | Self::PowerNotReached { .. }
            | Self::PowerNotSettled { .. }
            | Self::MediaNotChanged { .. }
            | Self::OutOfTime { .. }
            | Self::Interference { .. }
            | Self::ServiceFailed { .. }
            | Self::Store { .. } => true,
            Self::StepFailed { transient, .. } => *transient,
            Self::Unauthorized { .. }
            | Self::NotFound { .. }
            | Self::Refused { .. }
            | Self::Unsupported { .. }
            | Self::ServiceRefused { .. }
            | Self::BadEndpoint { .. }
            | Self::BadLabel { .. }
            | Self::CorruptState { .. } => false,
        }
    }

    /// The name of the error in metrics: few values, never data.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::ConnectionLost { .. } => "connection-lost",
            Self::TimedOut { .. } => "timed-out",
            Self::Busy { .. } => "busy",
            Self::Failed { .. } => "failed",
            Self::Unauthorized { .. } => "unauthorized",
            Self::NotFound { .. } => "not-found",
            Self::Refused { .. } => "refused",
            Self::Malformed { .. } => "malformed",
            Self::Unsupported { .. } => "unsupported",
            Self::PowerNotReached { .. } => "power-not-reached",
            Self::PowerNotSettled { .. } => "power-not-settled",
            Self::MediaNotChanged { .. } => "media-not-changed",
            Self::OutOfTime { .. } => "out-of-time",
            Self::Interference { .. } => "interference",
            Self::BadEndpoint { .. } => "bad-endpoint",
            Self::StepFailed { .. } => "step-failed",
            Self::BadLabel { .. } => "bad-label",
            Self::ServiceFailed { .. } => "service-failed",
            Self::ServiceRefused { .. } => "service-refused",
            Self::Store { .. } => "store",
            Self::CorruptState { .. } => "corrupt-state",
        }
    }

    /// How long the other side asked to be left alone, in seconds, when it said so.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Busy { retry_after_seconds, .. } => *retry_after_seconds,
            _ => None,
        }
    }
}

fn after(seconds: &Option<u64>) -> String {
    seconds.map_or_else(|| " later".to_owned(), |seconds| format!(" in {seconds} s, as it asks"))
}

fn known(state: &Option<PowerState>) -> String {
    state.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
}
