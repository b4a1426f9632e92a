//! Deadlines and attempts. A running saga keeps the policy that it started with.

use hostler_core::saga::RetryPolicy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest delay between two attempts.
const BACKOFF_SECONDS_MAX: u32 = 900;

/// How long one step may take, and how often it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepPolicy {
    /// Seconds from asking until the answer is given up for lost.
    #[schemars(range(min = 1, max = 604_800))]
    pub deadline_seconds: u32,
    /// Tries in all, the first one included.
    #[schemars(range(min = 1, max = 20))]
    pub attempts: u32,
    /// Seconds before the second try; doubled for each one after it, up to 15 minutes.
    #[schemars(range(min = 0, max = 900))]
    pub retry_seconds: u32,
}

impl StepPolicy {
    const fn new(deadline_seconds: u32, attempts: u32, retry_seconds: u32) -> Self {
        Self { deadline_seconds, attempts, retry_seconds }
    }

    /// Checks the ranges that the schema gives.
    ///
    /// # Errors
    /// [`PolicyError`] names the number.
    pub fn check(&self, step: &'static str) -> Result<(), PolicyError> {
        let numbers = [
            ("deadlineSeconds", self.deadline_seconds, 1, 604_800),
            ("attempts", self.attempts, 1, 20),
            ("retrySeconds", self.retry_seconds, 0, 900),
        ];
        match numbers.into_iter().find(|(_, value, min, max)| !(min..=max).contains(&value)) {
            Some((name, value, min, max)) => Err(PolicyError { step, name, value, min, max }),
            None => Ok(()),
        }
    }

    /// Seconds to wait after the given attempt (1 for the first) has failed.
    #[must_use]
    pub fn delay_seconds(&self, attempt: u32) -> u32 {
        RetryPolicy::from(*self).delay_seconds(attempt)
    }
}

impl From<StepPolicy> for RetryPolicy {
    fn from(policy: StepPolicy) -> Self {
        let StepPolicy { deadline_seconds, attempts, retry_seconds } = policy;
        let (backoff_seconds, backoff_seconds_max) = (retry_seconds, BACKOFF_SECONDS_MAX);
        Self { deadline_seconds, attempts, backoff_seconds, backoff_seconds_max }
    }
}

/// A number of a policy that is out of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{name} of {step} is {value}: give {min} to {max}")]
pub struct PolicyError {
    step: &'static str,
    name: &'static str,
    value: u32,
    min: u32,
    max: u32,
}

/// The policy of a provisioning saga. Fields that are left out have their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProvisioningPolicy {
    /// Names this set of numbers in the events that were decided by it.
    pub version: u32,
    /// Finding and holding a host: 30 s.
    pub reserve_host: StepPolicy,
    /// From power-on to the host's own callback: 30 min.
    pub deploy_image: StepPolicy,
    /// Role-based configuration: 15 min.
    pub apply_role: StepPolicy,
    /// Registration and the first healthy sample: 5 min.
    pub register_monitoring: StepPolicy,
    /// Undoing the registration: 5 min.
    pub deregister_monitoring: StepPolicy,
    /// Undoing the deployment, with all tries at cleaning: 100 min.
    pub undeploy_host: StepPolicy,
    /// Giving the host back: 30 s.
    pub release_reservation: StepPolicy,
}

impl ProvisioningPolicy {
    /// Checks every number's range.
    ///
    /// # Errors
    /// [`PolicyError`] names the first that is out of it.
    pub fn check(&self) -> Result<(), PolicyError> {
        self.reserve_host.check("reserveHost")?;
        self.deploy_image.check("deployImage")?;
        self.apply_role.check("applyRole")?;
        self.register_monitoring.check("registerMonitoring")?;
        self.deregister_monitoring.check("deregisterMonitoring")?;
        self.undeploy_host.check("undeployHost")?;
        self.release_reservation.check("releaseReservation")
    }
}

impl Default for ProvisioningPolicy {
    fn default() -> Self {
        Self {
            version: 1,
            // Tries are so many that, when 22 % of the calls of steps fail by themselves, of a thousand sagas less than
            // three have to be undone: 0.22⁵ + 2 · 0.22⁶ is 0.08 %.
            reserve_host: StepPolicy::new(30, 4, 2),
            deploy_image: StepPolicy::new(30 * 60, 5, 5),
            apply_role: StepPolicy::new(15 * 60, 6, 5),
            register_monitoring: StepPolicy::new(5 * 60, 6, 5),
            deregister_monitoring: StepPolicy::new(5 * 60, 5, 5),
            undeploy_host: StepPolicy::new(100 * 60, 8, 30),
            release_reservation: StepPolicy::new(30, 10, 2),
        }
    }
}

/// The policy of a host's own life: verification and cleaning. Fields that are left out have their defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct HostPolicy {
    /// Reaching the BMC and reading the hardware: 5 min.
    pub verify: StepPolicy,
    /// Cleaning: 30 min, 3 tries, then quarantine.
    pub clean: StepPolicy,
}

impl HostPolicy {
    /// Checks every number's range.
    ///
    /// # Errors
    /// [`PolicyError`] names the first that is out of it.
    pub fn check(&self) -> Result<(), PolicyError> {
        self.verify.check("verify")?;
        self.clean.check("clean")
    }
}

impl Default for HostPolicy {
    fn default() -> Self {
        Self { verify: StepPolicy::new(5 * 60, 3, 10), clean: StepPolicy::new(30 * 60, 3, 10) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(ProvisioningPolicy::default().check(), Ok(()));
        assert_eq!(HostPolicy::default().check(), Ok(()));
        let mut policy = ProvisioningPolicy::default();
        policy.deploy_image.deadline_seconds = 0;
        let said = policy.check().map_err(|error| error.to_string());
        assert_eq!(said, Err("deadlineSeconds of deployImage is 0: give 1 to 604800".to_owned()));
    }

    #[test]
    fn retries_wait_twice_as_long_each_time_and_never_over_fifteen_minutes() {
        let policy = StepPolicy::new(60, 20, 5);
        let delays: Vec<u32> = (1..=10).map(|attempt| policy.delay_seconds(attempt)).collect();
        assert_eq!(delays, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
        assert_eq!(policy.delay_seconds(u32::MAX), 900);
    }
}
