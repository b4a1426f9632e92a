//! A host in service that a saga works on.

use hostler_core::saga::{SagaCommand, StepOutcome};

use super::phases::give_back;
use super::*;

/// What sagas are told by a decision: the saga, and whether its step succeeded, or why not.
fn told(decision: &HostDecision) -> Vec<(String, Result<(), String>)> {
    let replies = decision.commands.iter().map(|command| match command {
        StepCommand::Saga(SagaCommand::Answer(reply)) => reply,
        other => panic!("{other:?}"),
    });
    replies
        .map(|reply| match &reply.outcome {
            StepOutcome::Succeeded { .. } => (reply.saga.id().to_owned(), Ok(())),
            StepOutcome::Failed { category: Category::Business, reason, uncertain: false } => {
                (reply.saga.id().to_owned(), Err(reason.clone()))
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn done(saga: &str) -> Vec<(String, Result<(), String>)> {
    vec![(saga.to_owned(), Ok(()))]
}

#[test]
fn a_host_in_service_is_cordoned_by_one_saga_and_stays_in_service() {
    let mut host = at("in-service");
    let decision = host.when(&cordon("r-1", "r/cordon/1")).unwrap();
    assert!(matches!(decision.events[..], [HostEvent::Cordoned(_)]), "{decision:?}");
    assert_eq!(told(&decision), done("r-1"), "in the same commit");
    assert_eq!(host.state.phase, HostPhase::InService);
    assert!(host.state.is_cordoned_by(&recovery("r-1")) && host.state.is_held_by(&saga_ref("p-1")));

    for step in ["r/cordon/1", "r/cordon/2"] {
        let again = host.when(&cordon("r-1", step)).unwrap();
        assert!(again.events.is_empty(), "{step}");
        assert_eq!(told(&again), done("r-1"), "{step}: answered again");
    }
    let other = host.when(&cordon("r-2", "s/cordon/1")).unwrap();
    let [(saga, Err(reason))] = &told(&other)[..] else { panic!("{other:?}") };
    assert!(saga == "r-2" && reason.contains("cordoned by recovery#r-1 (it is unreachable)"), "{reason}");
    assert!(host.state.is_cordoned_by(&recovery("r-1")));
}

#[test]
fn only_a_host_in_service_is_cordoned_and_its_saga_hears_why_not() {
    for phase in ["verifying", "available", "reserved", "deploying", "draining", "quarantined"] {
        let mut host = at(phase);
        let decision = host.when(&cordon("r-1", "r/cordon/1")).unwrap();
        assert!(matches!(decision.events[..], [HostEvent::StepFailed(_)]), "{phase}");
        let [(_, Err(reason))] = &told(&decision)[..] else { panic!("{decision:?}") };
        assert!(reason.contains(phase) && reason.contains("in-service can be cordoned"), "{reason}");
        assert_eq!(host.state.cordon, None);
    }
}

#[test]
fn a_cordoned_host_is_neither_released_nor_retired_and_the_refusal_names_the_holder() {
    for retire in [false, true] {
        let mut host = at("cordoned");
        let refusal = host.when(&give_back(retire)).unwrap_err();
        assert_eq!(refusal.label(), "cordoned");
        assert!(refusal.to_string().contains("recovery#r-1"), "{refusal}");
        host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
        assert_eq!(host.names(&give_back(retire)), ["host.release-requested"]);
    }
    assert_eq!(at("reimaging").when(&give_back(true)).unwrap_err().label(), "cordoned");
}

#[test]
fn a_saga_that_is_done_with_a_host_never_cordons_it_again() {
    let mut host = at("cordoned");
    let decision = host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
    assert!(matches!(decision.events[..], [HostEvent::Uncordoned(_)]));
    assert_eq!((told(&decision), &host.state.cordon), (done("r-1"), &None));
    assert!(host.ignores(&cordon("r-1", "r/cordon/2")), "late: nobody would ever lift it");
    let again = host.when(&uncordon("r-1", "r/uncordon/2")).unwrap();
    assert_eq!((again.events.len(), told(&again)), (0, done("r-1")), "the first answer was lost");
    assert_eq!(host.names(&cordon("r-2", "s/cordon/1")), ["host.cordoned"], "the next saga may");
}

/// The cordon timed out, so that the saga turned back; its command comes after all.
#[test]
fn a_slow_cordon_that_comes_after_its_undoing_does_not_cordon_the_host() {
    let mut host = at("in-service");
    let decision = host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
    assert_eq!((decision.events.len(), told(&decision)), (1, done("r-1")), "recorded though not cordoned");
    assert!(host.ignores(&cordon("r-1", "r/cordon/1")));

    let mut cordoned = at("cordoned");
    cordoned.when(&uncordon("r-2", "s/uncordon/1")).unwrap();
    assert!(cordoned.state.is_cordoned_by(&recovery("r-1")), "another saga's end changes nothing");
}

#[test]
fn a_host_that_leaves_service_for_its_own_saga_is_cordoned_no_more() {
    let mut host = at("cordoned");
    assert_eq!(host.names(&undeploy("p-1", "s/undeploy/1")), ["host.undeploy-started"]);
    assert_eq!((&host.state.cordon, &host.state.release), (&None, &None));
    assert!(host.state.is_held_by(&saga_ref("p-1")));
    assert!(host.ignores(&cordon("r-1", "r/cordon/2")), "late");
    let uncordoned = host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
    assert_eq!(told(&uncordoned), done("r-1"));
}
