//! Says how a host is, before it is repaired and after that. The host's health keeps the record.
//!
//! It is looked at in band, by monitoring, and where that finds it well also out of band, by its BMC: a host that answers may
//! have hardware that is about to fail.

use std::sync::Arc;

use hostler_core::mutants;
use hostler_domain::{Condition, HealthDecider, HealthInput, HealthState};
use hostler_drivers::{Bmc, BmcLogin, Bmcs, DriverError, Patience, PowerState};
use hostler_events::health::CheckKind;
use hostler_events::recovery::CheckHost;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};
use jiff::{SignedDuration, Timestamp};

use crate::MonitorHost;

/// Before a repair a sample may be so old: nothing was done since that could have changed it.
const BEFORE: SignedDuration = SignedDuration::from_secs(60);

/// What a BMC says of a host whose hardware has failed (*Redfish specification: Resource.Health*).
const CRITICAL: &str = "Critical";

/// How BMCs are read.
pub struct OutOfBand {
    /// Where BMCs are found.
    pub bmcs: Arc<dyn Bmcs>,
    /// How they let it in.
    pub login: BmcLogin,
    /// How long two readings of a power state are waited for.
    pub patience: Patience,
}

impl OutOfBand {
    /// What is wrong with a host by its BMC. A BMC that gives no answer says nothing of its host: many a host runs for years with
    /// one that hangs, and what needs the BMC for its repair asks it itself.
    async fn faulty(&self, system_url: &str) -> Option<String> {
        match self.read(system_url).await {
            Ok(faulty) => faulty.filter(|_| !mutants::on("monitor-host.believes-monitoring-alone")),
            Err(error) => {
                tracing::info!(system_url, %error, "the BMC does not say how its host is");
                None
            }
        }
    }

    async fn read(&self, system_url: &str) -> Result<Option<String>, DriverError> {
        let bmc = self.bmcs.connect(&self.login.at(system_url))?;
        let facts = bmc.inspect().await?;
        if facts.health.as_deref() == Some(CRITICAL) {
            return Ok(Some("its BMC says that its hardware is Critical".to_owned()));
        }
        Ok(match self.has_power(bmc.as_ref(), &facts.power_state).await? {
            true => None,
            false => Some("its BMC says that it has no power".to_owned()),
        })
    }

    /// One reading may be stale: that a host is off is believed when two say so.
    async fn has_power(&self, bmc: &dyn Bmc, read: &PowerState) -> Result<bool, DriverError> {
        Ok(*read == PowerState::On || bmc.settled_power_state(&self.patience).await? != PowerState::Off)
    }
}

/// A look at a host, with the address of its BMC where it has one.
pub(crate) struct Check {
    pub(crate) command: CheckHost,
    pub(crate) system_url: Option<String>,
}

/// What is wrong with the host; none where it is healthy.
type Faulty = Option<String>;

impl Step<Check> for MonitorHost {
    type Entity = HealthDecider;
    type Output = Faulty;

    fn target(&self, Check { command, .. }: &Check) -> Target {
        Target::of(command.host.as_str()).calling("monitoring")
    }

    /// From when on a sample counts is recorded first, so that each attempt waits for the same one.
    fn begin(&self, Check { command, .. }: &Check, _: &HealthState) -> Option<Begin<HealthInput>> {
        let CheckHost { saga, step, host, check } = command.clone();
        Some(Begin::once(HealthInput::BeginCheck { host, saga, step, check }))
    }

    fn is_wanted(&self, Check { command, .. }: &Check, health: &HealthState) -> Wanted<HealthInput> {
        match not_before(command, health) {
            Some(_) => Wanted::Yes,
            None => {
                let error = StepError::refused("the host's health does not wait for this saga any more");
                Wanted::Record(failed(command, &error))
            }
        }
    }

    async fn perform(
        &self,
        Check { command, system_url }: &Check,
        health: &HealthState,
        _: Fence,
    ) -> Result<Faulty, StepError> {
        let not_before = not_before(command, health).unwrap_or(Timestamp::MAX);
        let sample = self.monitoring.newest_sample(command.host.as_str(), not_before).await?;
        Ok(match system_url {
            _ if !sample.healthy => Some("monitoring still sees it unhealthy".to_owned()),
            Some(url) => self.out_of_band.faulty(url).await,
            None => None,
        })
    }

    fn succeeded(&self, Check { command, .. }: &Check, faulty: Faulty) -> Vec<HealthInput> {
        let CheckHost { saga, step, check, .. } = command.clone();
        vec![HealthInput::Checked { saga, step, check, faulty }]
    }

    fn failed(&self, Check { command, .. }: &Check, error: &StepError) -> Option<HealthInput> {
        Some(failed(command, error))
    }

    fn deferred(&self, Check { command, .. }: &Check, open: &BreakerOpen) -> Option<HealthInput> {
        let CheckHost { saga, step, .. } = command.clone();
        Some(HealthInput::CheckDeferred { saga, step, until: open.until, reason: open.to_string() })
    }
}

/// From when on a sample counts; none where the host's health does not wait for this saga.
fn not_before(command: &CheckHost, health: &HealthState) -> Option<Timestamp> {
    if command.check == CheckKind::Gate {
        return health.gate.as_ref().filter(|gate| gate.saga == command.saga).map(|gate| gate.since);
    }
    let Condition::Acting { claim, checks, .. } = &health.condition else { return None };
    let begun = *checks.get(&command.check).filter(|_| claim.saga == command.saga)?;
    match command.check {
        CheckKind::Before => Some(begun.checked_sub(BEFORE).unwrap_or(Timestamp::MIN)),
        CheckKind::After | CheckKind::Gate => Some(begun),
    }
}

fn failed(command: &CheckHost, error: &StepError) -> HealthInput {
    let CheckHost { saga, step, .. } = command.clone();
    let StepError { category, reason, .. } = error.clone();
    HealthInput::CheckFailed { saga, step, category, reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
    use hostler_core::Category;
    use hostler_domain::health::Claim;
    use hostler_drivers::PowerGoal;
    use hostler_drivers::memory::{self, MemoryBmcs, busy};

    use super::*;

    fn command(check: CheckKind, saga: &str) -> CheckHost {
        let (saga, step) = (saga.parse().unwrap(), "h-1.1/look-again/1".parse().unwrap());
        CheckHost { saga, step, host: "h-1".parse().unwrap(), check }
    }

    /// A saga acts, and monitoring was first asked at this moment.
    fn acting(at: Timestamp) -> HealthState {
        let claim = Claim { saga: "recovery#h-1.1".parse().unwrap(), rung: None, attempt: 0 };
        let checks = [(CheckKind::Before, at), (CheckKind::After, at)].into();
        let condition = Condition::Acting { claim, since: at, checks };
        HealthState { condition, ..HealthState::default() }
    }

    #[test]
    fn before_a_repair_the_newest_sample_counts_and_after_it_only_a_newer_one() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let since = |check| not_before(&command(check, "recovery#h-1.1"), &acting(at)).unwrap();
        assert_eq!(at.duration_since(since(CheckKind::Before)).as_secs(), 60);
        assert_eq!(since(CheckKind::After), at);
    }

    #[test]
    fn a_saga_that_is_not_waited_for_any_more_is_told_so() {
        let health = acting(Timestamp::UNIX_EPOCH);
        let late = command(CheckKind::Before, "recovery#h-1.9");
        assert_eq!(not_before(&late, &health), None);
        let error = StepError::refused("late");
        let HealthInput::CheckFailed { category, .. } = failed(&late, &error) else { panic!() };
        assert_eq!(category, Category::Business);
        assert_eq!(not_before(&late, &HealthState::default()), None);
    }

    #[tokio::test]
    async fn a_bmc_says_that_its_host_is_faulty_when_its_hardware_is_critical_or_it_has_no_power() {
        let patience =
            Patience { deadline: std::time::Duration::from_secs(1), poll_interval: Default::default() };
        let (bmcs, url) = (MemoryBmcs::default(), "https://10.0.0.7/redfish/v1/Systems/1");
        let bmc = bmcs.bmc(url);
        let out_of_band = OutOfBand { bmcs: Arc::new(bmcs), login: memory::login(), patience };
        assert_eq!(out_of_band.faulty(url).await.unwrap(), "its BMC says that it has no power");
        bmc.set_power(PowerGoal::On, &patience).await.unwrap();
        for (says, is_well) in
            [(None, true), (Some("OK"), true), (Some("Warning"), true), (Some("Critical"), false)]
        {
            bmc.says_of_hardware(says);
            assert_eq!(out_of_band.faulty(url).await.is_none(), is_well, "{says:?}");
        }
        bmc.fail_next(busy("h-1"));
        assert_eq!(out_of_band.faulty(url).await, None, "one that does not answer says nothing");
    }
}
