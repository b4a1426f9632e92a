//! Giving a host back from service, and taking one out of use.

use hostler_core::Decision;
use hostler_core::failure::clip;
use hostler_core::mutants;
use hostler_core::saga::{SagaCommand, SagaDefinition, SagaRef, StartSaga};
use hostler_events::host::{HostRetired, ReleaseRequested};
use hostler_events::{HostEvent, ProvisioningPolicy};

use super::{HostDecision, HostOutcome, HostRefusal, Known, Move};
use crate::deprovisioning::{Deprovisioning, DeprovisioningOrder};
use crate::support::OWNER_ID_BYTES_MAX;

/// From service, the same commit hands the host from the saga that brought it there to the one that gives it back, and
/// starts that one. A host that nobody uses is retired at once.
pub(super) fn give_back(
    known: Known<'_>,
    retire: bool,
    reason: &str,
    policy: &ProvisioningPolicy,
) -> HostOutcome {
    let reason = clip(reason);
    if retire && known.state.phase.allows(Move::Retire) {
        return Ok(Decision::events([HostEvent::Retired(HostRetired { host: known.host(), reason })]));
    }
    if let Some(cordon) = &known.state.cordon {
        return Err(known.cordoned(cordon));
    }
    if !known.state.phase.allows(Move::Drain) {
        return Err(match retire {
            true => known.not_possible(&[Move::Retire, Move::Drain], "retired"),
            false => known.not_possible(&[Move::Drain], "released"),
        });
    }
    if known.profile.host.as_str().len() > OWNER_ID_BYTES_MAX {
        return Err(HostRefusal::HostIdTooLong { host: known.host() });
    }
    let number = known.state.own_steps.saturating_add(1);
    let saga = SagaRef::new(Deprovisioning::KIND, &format!("{}.{number}", known.host()))?;
    let traffic = known.state.traffic.as_ref().filter(|_| known.state.is_in_traffic());
    let traffic = traffic.map(|traffic| traffic.policy.clone());
    let order = DeprovisioningOrder {
        traffic,
        ..DeprovisioningOrder::new(known.host(), known.profile.pool.clone(), retire, &reason, policy)
    };
    let start = StartSaga { saga: saga.clone(), order: order.to_value(), parent: None };
    let requested = ReleaseRequested { host: known.host(), saga, retire, reason };
    Ok(Decision::events([HostEvent::ReleaseRequested(requested)]).command(SagaCommand::from(start).into()))
}

/// A host that is given back to be retired goes out of use by the commit that says that it is clean.
pub(super) fn retired_when_clean(known: Known<'_>, decision: HostDecision) -> HostDecision {
    match &known.state.release {
        Some(release)
            if release.retire && !decision.events.is_empty() && !mutants::on("host.never-retired") =>
        {
            let (host, reason) = (known.host(), release.reason.clone());
            decision.event(HostEvent::Retired(HostRetired { host, reason }))
        }
        Some(_) | None => decision,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]
    use hostler_core::Payload;
    use hostler_core::saga::{Answers, SagaCommand, SagaRef, StepReply};
    use hostler_events::{StepCommand, StepId};

    use super::super::tests::phases::{at, give_back};
    use super::super::{HostDecider, HostInput};
    use crate::testing::{Run, id, saga_ref};

    fn saga_of(host: &Run<HostDecider>) -> SagaRef {
        host.state.reservation.clone().unwrap()
    }

    /// Undeployed for the saga that gives it back, and wiped by its image; not yet at rest.
    fn nearly_clean(retire: bool) -> (Run<HostDecider>, StepId) {
        let mut host = at("in-service");
        host.when(&give_back(retire)).unwrap();
        let (saga, step) = (saga_of(&host), id("d/undeploy-host/1"));
        host.when(&HostInput::RecordDeregistered { saga: saga.clone(), step: id("d/deregister/1") }).unwrap();
        host.when(&HostInput::StartUndeploy { saga: saga.clone(), step: StepId::clone(&step) }).unwrap();
        host.when(&HostInput::RecordUndeployed { saga, step }).unwrap();
        let cleaning = host.state.phase.step().unwrap().clone();
        let outcome = hostler_events::commands::BootOutcome::Succeeded;
        host.when(&HostInput::BootReported { step: cleaning.clone(), outcome, reason: None }).unwrap();
        (host, cleaning)
    }

    #[test]
    fn a_host_in_service_is_handed_to_the_saga_that_gives_it_back_in_one_commit() {
        let mut host = at("in-service");
        let decision = host.when(&give_back(false)).unwrap();
        assert_eq!(
            decision.events.iter().map(Payload::type_name).collect::<Vec<_>>(),
            ["host.release-requested"]
        );
        let [StepCommand::Saga(SagaCommand::Start(start))] = &decision.commands[..] else { panic!() };
        assert_eq!(start.saga, saga_of(&host));
        assert_eq!((start.saga.kind(), host.state.phase.name()), ("deprovisioning", "draining"));
        assert_eq!(start.order["host"], "h-1");
        assert!(host.state.released.contains(&saga_ref("p-1")), "the saga that brought it there has lost it");
        let late = HostInput::RecordMonitoring { saga: saga_ref("p-1"), step: id("s/register/2") };
        assert!(host.ignores(&late));
    }

    #[test]
    fn once_clean_it_is_available_and_its_saga_hears_of_it() {
        let (mut host, cleaning) = nearly_clean(false);
        let saga = saga_of(&host);
        let decision = host.when(&HostInput::RecordCleaned { step: cleaning }).unwrap();
        assert_eq!(decision.events.iter().map(Payload::type_name).collect::<Vec<_>>(), ["host.cleaned"]);
        let [StepCommand::Saga(SagaCommand::Answer(StepReply { saga: told, answers, .. }))] =
            &decision.commands[..]
        else {
            panic!("{:?}", decision.commands)
        };
        assert_eq!((told, matches!(answers, Answers::Step(_))), (&saga, true));
        assert!(host.state.is_available() && host.state.reservation.is_none());
        let reserved =
            host.names(&HostInput::Reserve { saga: saga_ref("p-9"), step: id("t/1"), lent_to: None });
        assert_eq!(reserved, ["host.reserved"], "the next saga has it");
    }

    #[test]
    fn one_that_is_to_be_retired_is_never_available() {
        let (mut host, cleaning) = nearly_clean(true);
        assert_eq!(
            host.names(&HostInput::RecordCleaned { step: cleaning.clone() }),
            ["host.cleaned", "host.retired"]
        );
        assert_eq!(host.state.phase.name(), "retired");
        assert!(host.ignores(&HostInput::RecordCleaned { step: cleaning }), "told twice");
        let reserve = HostInput::Reserve { saga: saga_ref("p-9"), step: id("t/1"), lent_to: None };
        assert_eq!(host.when(&reserve).unwrap_err().label(), "not-available");
        assert_eq!(host.names(&HostInput::Requalify), ["host.requalified"]);
    }

    #[test]
    fn one_that_cannot_be_cleaned_is_quarantined_and_can_be_retired_then() {
        let (mut host, _) = nearly_clean(true);
        for _ in 0..12 {
            let Some(step) = host.state.phase.step().cloned() else { break };
            let (category, reason) = (hostler_core::Category::Transient, "no".to_owned());
            host.when(&HostInput::FailCleaning { step: step.clone(), category, reason }).unwrap();
            let Some(next) = host.state.phase.step().cloned() else { break };
            host.when(&HostInput::Timer { name: format!("retry:{next}") }).unwrap();
        }
        assert_eq!((host.state.phase.name(), &host.state.release), ("quarantined", &None));
        assert_eq!(host.names(&give_back(true)), ["host.retired"]);
    }

    #[test]
    fn an_order_to_reserve_it_for_the_saga_that_it_served_comes_late_and_asks_for_no_other_host() {
        let late = HostInput::Reserve { saga: saga_ref("p-1"), step: id("s/reserve/2"), lent_to: None };
        let (mut host, cleaning) = nearly_clean(false);
        assert!(host.ignores(&late));
        host.when(&HostInput::RecordCleaned { step: cleaning }).unwrap();
        assert!(host.ignores(&late), "a refusal would have the step take another host");
    }

    #[test]
    fn each_release_has_a_saga_of_its_own() {
        let (mut host, cleaning) = nearly_clean(false);
        let first = saga_of(&host);
        host.when(&HostInput::RecordCleaned { step: cleaning }).unwrap();
        host.when(&HostInput::Reserve { saga: saga_ref("p-2"), step: id("t/1"), lent_to: None }).unwrap();
        for input in [
            HostInput::StartDeploy { saga: saga_ref("p-2"), step: id("t/2"), image: id("debian-13") },
            HostInput::BootReported {
                step: id("t/2"),
                outcome: hostler_events::commands::BootOutcome::Succeeded,
                reason: None,
            },
            HostInput::RecordDeployed { saga: saga_ref("p-2"), step: id("t/2") },
            HostInput::RecordConfiguration {
                saga: saga_ref("p-2"),
                step: id("t/3"),
                role: id("web"),
                revision: "r".to_owned(),
                changed: true,
            },
            HostInput::RecordMonitoring { saga: saga_ref("p-2"), step: id("t/4") },
            give_back(false),
        ] {
            host.when(&input).unwrap();
        }
        assert_ne!(saga_of(&host), first);
    }

    #[test]
    fn only_a_host_in_service_can_be_released_and_only_one_in_use_by_nobody_retired_at_once() {
        for phase in ["verifying", "reserved", "deploying", "draining", "deprovisioning", "retired"] {
            let refusal = at(phase).when(&give_back(false)).unwrap_err();
            assert_eq!(refusal.label(), "not-possible");
            assert!(refusal.to_string().contains("in-service can be released"), "{refusal}");
        }
        for phase in ["available", "quarantined"] {
            assert_eq!(at(phase).names(&give_back(true)), ["host.retired"], "{phase}");
        }
        let refusal = at("reserved").when(&give_back(true)).unwrap_err().to_string();
        assert!(refusal.contains("in-service or available or quarantined can be retired"), "{refusal}");
    }
}
