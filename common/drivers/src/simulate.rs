//! Labels by which a host asks the plain drivers to misbehave, so that failures can be shown and tested.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::error::{At, DriverError};

/// A host's labels.
pub type Labels = BTreeMap<String, String>;

/// The label that configuration runs obey.
pub const CONFIGURE_LABEL: &str = "simulate.configure";
/// The label that the installation of packages obeys.
pub const INSTALL_LABEL: &str = "simulate.install";
/// The label that rolling packages back obeys.
pub const ROLL_BACK_LABEL: &str = "simulate.roll-back";
/// The label that monitoring obeys.
pub const MONITOR_LABEL: &str = "simulate.monitor";
/// The longest that `slow:<seconds>` may ask for.
pub const SLOW_SECONDS_MAX: u64 = 600;

const ALLOWED: &str = "fail, fail-transient, fail-once, slow:<seconds up to 600>";

/// What a label asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Simulation {
    None,
    Fail,
    FailTransient,
    FailOnce,
    Slow(Duration),
}

impl Simulation {
    fn of(labels: &Labels, label: &'static str, at: &At) -> Result<Self, DriverError> {
        let Some(value) = labels.get(label) else {
            return Ok(Self::None);
        };
        let slow_seconds = value
            .strip_prefix("slow:")
            .and_then(|seconds| seconds.parse::<u64>().ok())
            .filter(|seconds| *seconds <= SLOW_SECONDS_MAX);
        match (value.as_str(), slow_seconds) {
            ("fail", _) => Ok(Self::Fail),
            ("fail-transient", _) => Ok(Self::FailTransient),
            ("fail-once", _) => Ok(Self::FailOnce),
            (_, Some(seconds)) => Ok(Self::Slow(Duration::from_secs(seconds))),
            (_, None) => {
                Err(DriverError::BadLabel { at: at.clone(), label, value: value.clone(), allowed: ALLOWED })
            }
        }
    }
}

/// What becomes of a step under simulation.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Go on.
    Go,
    /// Fail with this, and nothing to remember.
    Fail(DriverError),
    /// Fail with this, now that the step is noted among those that failed once.
    FailNoted(DriverError),
}

/// Does what a label asks for at a step: waits, or says how to fail. `failed_once` is the row's memory of it.
pub(crate) async fn simulate(
    labels: &Labels,
    label: &'static str,
    step: &'static str,
    failed_once: &mut BTreeSet<String>,
    at: &At,
) -> Result<Verdict, DriverError> {
    let failure = |transient| {
        let kind = if transient { "for now" } else { "for good; remove the label to let it work" };
        DriverError::StepFailed {
            at: at.clone(),
            reason: format!("step `{step}` fails as label `{label}` asks, {kind}"),
            transient,
        }
    };
    Ok(match Simulation::of(labels, label, at)? {
        Simulation::None => Verdict::Go,
        Simulation::Fail => Verdict::Fail(failure(false)),
        Simulation::FailTransient => Verdict::Fail(failure(true)),
        Simulation::FailOnce if failed_once.insert(step.to_owned()) => Verdict::FailNoted(failure(true)),
        Simulation::FailOnce => Verdict::Go,
        Simulation::Slow(time) => {
            tokio::time::sleep(time).await;
            Verdict::Go
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    fn read(value: &str) -> Result<Simulation, DriverError> {
        let labels = Labels::from([(CONFIGURE_LABEL.to_owned(), value.to_owned())]);
        let at = At { system: "h-01".to_owned(), doing: "applying a role" };
        Simulation::of(&labels, CONFIGURE_LABEL, &at)
    }

    #[test]
    fn every_value_is_understood_or_refused_by_name() {
        assert_eq!(read("fail").unwrap(), Simulation::Fail);
        assert_eq!(read("fail-transient").unwrap(), Simulation::FailTransient);
        assert_eq!(read("fail-once").unwrap(), Simulation::FailOnce);
        assert_eq!(read("slow:600").unwrap(), Simulation::Slow(Duration::from_secs(600)));
        for wrong in ["", "slow", "slow:", "slow:-1", "slow:601", "Fail", "explode"] {
            let error = read(wrong).unwrap_err();
            assert!(!error.is_transient());
            let text = error.to_string();
            assert!(text.contains("simulate.configure") && text.contains("fail-once"), "{text}");
        }
    }
}
