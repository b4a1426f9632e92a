//! Says how a host is, before it is repaired and after that. The host's health keeps the record.

use hostler_domain::{Condition, HealthDecider, HealthInput, HealthState};
use hostler_drivers::FirstSample;
use hostler_events::health::CheckKind;
use hostler_events::recovery::CheckHost;
use hostler_runtime::effects::breakers::BreakerOpen;
use hostler_runtime::effects::once::Fence;
use hostler_runtime::effects::steps::{Begin, Step, StepError, Target, Wanted};
use jiff::{SignedDuration, Timestamp};

use crate::MonitorHost;

/// Before a repair a sample may be so old: nothing was done since that could have changed it.
const BEFORE: SignedDuration = SignedDuration::from_secs(60);

impl Step<CheckHost> for MonitorHost {
    type Entity = HealthDecider;
    type Output = FirstSample;

    fn target(&self, command: &CheckHost) -> Target {
        Target::of(command.host.as_str()).calling("monitoring")
    }

    /// From when on a sample counts is recorded first, so that each attempt waits for the same one.
    fn begin(&self, command: &CheckHost, _: &HealthState) -> Option<Begin<HealthInput>> {
        let CheckHost { saga, step, check, .. } = command.clone();
        Some(Begin::once(HealthInput::BeginCheck { saga, step, check }))
    }

    fn is_wanted(&self, command: &CheckHost, health: &HealthState) -> Wanted<HealthInput> {
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
        command: &CheckHost,
        health: &HealthState,
        _: Fence,
    ) -> Result<FirstSample, StepError> {
        let not_before = not_before(command, health).unwrap_or(Timestamp::MAX);
        Ok(self.monitoring.newest_sample(command.host.as_str(), not_before).await?)
    }

    fn succeeded(&self, command: &CheckHost, sample: FirstSample) -> Vec<HealthInput> {
        let CheckHost { saga, step, check, .. } = command.clone();
        vec![HealthInput::Checked { saga, step, check, healthy: sample.healthy }]
    }

    fn failed(&self, command: &CheckHost, error: &StepError) -> Option<HealthInput> {
        Some(failed(command, error))
    }

    fn deferred(&self, command: &CheckHost, open: &BreakerOpen) -> Option<HealthInput> {
        let CheckHost { saga, step, .. } = command.clone();
        Some(HealthInput::CheckDeferred { saga, step, until: open.until, reason: open.to_string() })
    }
}

/// From when on a sample counts; none where the host's health does not wait for this saga.
fn not_before(command: &CheckHost, health: &HealthState) -> Option<Timestamp> {
    let Condition::Acting { claim, checks, .. } = &health.condition else { return None };
    let begun = *checks.get(&command.check).filter(|_| claim.saga == command.saga)?;
    match command.check {
        CheckKind::Before => Some(begun.checked_sub(BEFORE).unwrap_or(Timestamp::MIN)),
        CheckKind::After => Some(begun),
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
}
