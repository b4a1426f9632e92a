//! Undoing a deployment: in every phase the saga hears an answer that ends its wait.

use super::*;

#[test]
fn a_deployment_is_undone_from_every_phase_that_follows_it() {
    for phase in ["deploying", "configuring", "registering-monitoring", "in-service"] {
        let mut host = at(phase);
        assert_eq!(host.names(&undeploy("p-1", "u/1")), ["host.undeploy-started"], "{phase}");
        assert!(host.ignores(&undeploy("p-1", "u/1")), "the same step again");
        assert_eq!(host.names(&undeploy("p-1", "u/2")), ["host.undeploy-started"], "another attempt");
        assert!(host.ignores(&undeployed("p-1", "u/1")), "the first one is late now");
        assert!(host.ignores(&undeployed("p-2", "u/2")), "not its saga");
        assert_eq!(host.names(&undeployed("p-1", "u/2")), ["host.undeployed", "host.cleaning-started"]);
        assert!(host.ignores(&undeploy("p-1", "u/3")), "cleaning runs and will answer");
        assert!(host.ignores(&undeployed("p-1", "u/2")));
    }
}

#[test]
fn what_was_undone_is_cleaned_and_stays_held_until_it_is_released() {
    let mut host = at("cleaning-held");
    let step = host.state.phase.step().unwrap().clone();
    host.when(&booted(step.as_str())).unwrap();
    let decision = host.when(&cleaned(step.as_str())).unwrap();
    let [HostEvent::Cleaned(event)] = &decision.events[..] else { panic!() };
    assert_eq!(event.saga, Some(saga_ref("p-1")));
    assert_eq!(host.state.phase, HostPhase::Reserved);
    assert_eq!((&host.state.role, &host.state.revision), (&None, &None));
    assert_eq!(host.when(&deploy("p-1", "s/deploy/2")).unwrap_err().label(), "undone");
    host.when(&release("p-1", "r/1")).unwrap();
    assert!(host.state.is_available());
}

#[test]
fn a_host_that_was_never_deployed_is_clean_at_once_and_is_not_deployed_later() {
    let mut host = at("reserved");
    let decision = host.when(&undeploy("p-1", "u/1")).unwrap();
    let [HostEvent::Cleaned(event)] = &decision.events[..] else { panic!() };
    assert_eq!((&event.step, &event.saga), (&id("u/1"), &Some(saga_ref("p-1"))));
    assert_eq!(host.state.phase, HostPhase::Reserved);
    assert_eq!(host.when(&deploy("p-1", "s/deploy/1")).unwrap_err().label(), "undone", "late");
    host.when(&release("p-1", "r/1")).unwrap();
    host.when(&reserve("p-2", "t/1")).unwrap();
    assert_eq!(host.names(&deploy("p-2", "t/2")), ["host.deploy-started"], "the next saga may");
}

#[test]
fn a_quarantined_host_says_so_once_more() {
    let mut host = at("quarantined");
    let decision = host.when(&undeploy("p-1", "u/9")).unwrap();
    let [HostEvent::Quarantined(event)] = &decision.events[..] else { panic!() };
    assert_eq!(event.saga, Some(saga_ref("p-1")));
    assert_eq!(host.state.phase.name(), "quarantined");
}

#[test]
fn a_host_that_the_saga_does_not_hold_any_more_says_so_and_keeps_its_phase() {
    let phases =
        ["verifying", "cleaning", "available", "reserved", "deploying", "in-service", "deprovisioning"];
    for phase in phases {
        let mut host = at(phase);
        let before = (host.state.phase.clone(), host.state.reservation.clone());
        let decision = host.when(&undeploy("p-9", "u/1")).unwrap();
        let [HostEvent::Released(event)] = &decision.events[..] else { panic!("{phase}") };
        assert_eq!((&event.saga, &event.step), (&saga_ref("p-9"), &id("u/1")));
        assert_eq!((host.state.phase.clone(), host.state.reservation.clone()), before);
    }
}
