//! Power cycles and new installations of a host in service.

use hostler_core::saga::{Answers, SagaCommand, StepOutcome, StepReply};

use super::*;

fn replies(commands: &[StepCommand]) -> Vec<&StepReply> {
    let reply = |command| {
        if let &StepCommand::Saga(SagaCommand::Answer(ref reply)) = command { Some(reply) } else { None }
    };
    commands.iter().filter_map(reply).collect()
}

/// The saga hears that it may not, and that nothing was done.
fn is_refused(decision: &HostDecision, why: &str) {
    let [reply] = replies(&decision.commands)[..] else { panic!("{decision:?}") };
    let StepOutcome::Failed { category: Category::Business, reason, uncertain: false } = &reply.outcome
    else {
        panic!("{reply:?}")
    };
    assert!(reason.contains(why), "{reason}");
}

#[test]
fn a_power_cycle_says_what_the_bmc_saw_before_it_and_ends_when_the_host_has_power_again() {
    let mut host = at("cordoned");
    assert!(
        host.ignores(&start_power_cycle("r-1", "r/cycle/1")),
        "nothing is recorded before the BMC has answered"
    );
    let cut = host.when(&power_cut("r-1", "r/cycle/1")).unwrap();
    let [HostEvent::PowerCycleStarted(started)] = &cut.events[..] else { panic!("{cut:?}") };
    assert_eq!((started.found, started.health.as_deref()), (PowerState::On, Some("OK")));
    let [StepCommand::Deploy(DeployCommand::FinishPowerCycle(finish))] = &cut.commands[..] else { panic!() };
    assert_eq!((&finish.saga, &finish.step), (&recovery("r-1"), &id("r/cycle/1")));
    assert!(host.ignores(&power_cut("r-1", "r/cycle/1")), "a repeat");

    let cycled = host.when(&power_cycled("r-1", "r/cycle/1")).unwrap();
    assert!(matches!(cycled.events[..], [HostEvent::PowerCycled(_)]));
    let [reply] = replies(&cycled.commands)[..] else { panic!("{cycled:?}") };
    assert!(matches!((&reply.answers, &reply.outcome), (Answers::Step(_), StepOutcome::Succeeded { .. })));
    assert!(host.ignores(&power_cycled("r-1", "r/cycle/1")), "a repeat");
    assert_eq!(host.state.phase, HostPhase::InService);
}

#[test]
fn a_service_is_restarted_once_for_the_saga_that_has_cordoned_the_host_and_for_no_other() {
    let mut host = at("cordoned");
    assert!(
        host.ignores(&start_restart("r-1", "r/restart/1")),
        "nothing is recorded before the agent has answered"
    );
    is_refused(&host.when(&start_restart("r-2", "s/restart/1")).unwrap(), "not cordoned by recovery");
    assert!(host.ignores(&restarted("r-2", "s/restart/1")), "another saga's");
    let done = host.when(&restarted("r-1", "r/restart/1")).unwrap();
    let [HostEvent::ServiceRestarted(event)] = &done.events[..] else { panic!("{done:?}") };
    assert_eq!(event.service.as_str(), "nginx.service");
    let [reply] = replies(&done.commands)[..] else { panic!("{done:?}") };
    assert!(matches!((&reply.answers, &reply.outcome), (Answers::Step(_), StepOutcome::Succeeded { .. })));
    assert!(host.ignores(&restarted("r-1", "r/restart/1")), "a repeat");
    let late = host.when(&start_restart("r-1", "r/restart/2")).unwrap();
    assert_eq!(
        (late.events.len(), replies(&late.commands).len()),
        (0, 1),
        "an attempt that comes late is answered"
    );
    host.when(&uncordon("r-1", "r/return/1")).unwrap();
    is_refused(&host.when(&start_restart("r-1", "r/restart/3")).unwrap(), "not cordoned by recovery");
}

#[test]
fn a_host_has_one_power_cycle_under_a_cordon() {
    let mut host = at("power-cut");
    let again = host.when(&start_power_cycle("r-1", "r/cycle/2")).unwrap();
    let [StepCommand::Deploy(DeployCommand::FinishPowerCycle(finish))] = &again.commands[..] else {
        panic!()
    };
    assert_eq!(
        (again.events.len(), &finish.step),
        (0, &id("r/cycle/2")),
        "it is powered on, and not cut again"
    );
    host.when(&power_cycled("r-1", "r/cycle/1")).unwrap();
    let late = host.when(&start_power_cycle("r-1", "r/cycle/3")).unwrap();
    assert_eq!((late.events.len(), replies(&late.commands).len()), (0, 1), "answered");
    assert!(host.ignores(&power_cut("r-1", "r/cycle/3")));

    host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
    host.when(&cordon("r-2", "s/cordon/1")).unwrap();
    assert!(host.ignores(&start_power_cycle("r-2", "s/cycle/1")));
    assert_eq!(
        host.names(&power_cut("r-2", "s/cycle/1")),
        ["host.power-cycle-started"],
        "the next cordon has its own"
    );
}

#[test]
fn only_the_saga_that_has_cordoned_a_host_in_service_repairs_it() {
    for (phase, saga) in
        [("in-service", "r-1"), ("cordoned", "r-2"), ("available", "r-1"), ("reimaging", "r-1")]
    {
        let mut host = at(phase);
        let before = host.state.clone();
        is_refused(&host.when(&start_power_cycle(saga, "r/cycle/1")).unwrap(), "not cordoned by recovery");
        assert!(host.ignores(&power_cut(saga, "r/cycle/1")), "{phase}");
        assert_eq!(host.state, before);
    }
    for (phase, saga) in
        [("in-service", "r-1"), ("cordoned", "r-2"), ("available", "r-1"), ("deploying", "r-1")]
    {
        let mut host = at(phase);
        let before = host.state.clone();
        is_refused(&host.when(&reimage(saga, "r/reimage/1")).unwrap(), "not cordoned by recovery");
        assert_eq!(host.state, before, "{phase}");
    }
}

#[test]
fn what_a_step_of_the_cordoning_saga_comes_to_is_told_to_it() {
    let failure = StepFailure { category: Category::Transient, reason: "no answer".into(), uncertain: true };
    let failed = |saga| HostInput::FailStep { saga, step: id("r/cycle/1"), failure: failure.clone() };
    let until = Timestamp::from_second(1_800_000_600).unwrap();
    let deferred = |saga| HostInput::DeferStep { saga, step: id("r/cycle/1"), until, reason: "away".into() };
    let mut host = at("cordoned");
    assert_eq!(host.names(&failed(recovery("r-1"))), ["host.step-failed"]);
    assert_eq!(host.names(&deferred(recovery("r-1"))), ["host.step-deferred"]);
    assert!(host.ignores(&failed(recovery("r-2"))) && host.ignores(&deferred(recovery("r-2"))));
}

#[test]
fn a_reimaged_host_is_handed_to_the_saga_that_has_it_installed_again_and_back_into_service_by_it() {
    let mut host = at("cordoned");
    assert_eq!(host.names(&reimage("r-1", "r/reimage/1")), ["host.reimage-started"]);
    assert!(host.state.is_held_by(&recovery("r-1")) && host.state.waits_for(&id("r/reimage/1")));
    assert!(host.state.released.contains(&saga_ref("p-1")), "the saga that brought it there has lost it");
    assert!(host.ignores(&reimage("r-1", "r/reimage/1")), "the same step again");
    assert!(host.ignores(&reserve("p-1", "s/reserve/9")), "late");
    assert_eq!(host.names(&reimage("r-1", "r/reimage/2")), ["host.reimage-started"], "another attempt");
    assert_eq!(host.when(&booted("r/reimage/1")).unwrap_err().label(), "not-waiting");

    host.when(&booted("r/reimage/2")).unwrap();
    let deployed = host.when(&recovered("r/reimage/2")).unwrap();
    let [reply] = replies(&deployed.commands)[..] else { panic!("{deployed:?}") };
    assert_eq!((&reply.saga, &reply.answers), (&recovery("r-1"), &Answers::Attempt(id("r/reimage/2"))));
    assert!(host.ignores(&configured("p-1", "s/apply/9")), "not its saga any more");
    host.when(&configured_for(recovery("r-1"), "r/apply/1")).unwrap();
    assert_eq!(
        host.names(&monitored_for(recovery("r-1"), "r/register/1")),
        ["host.monitoring-registered", "host.in-service"]
    );
    assert!(host.state.is_cordoned_by(&recovery("r-1")), "until it is verified");
    assert!(host.ignores(&reimage("r-1", "r/reimage/3")), "an attempt that comes late does not wipe it");
    assert_eq!(host.names(&uncordon("r-1", "r/uncordon/1")), ["host.uncordoned"]);
    assert_eq!(host.names(&super::phases::give_back(false)), ["host.release-requested"]);
}

#[test]
fn a_host_that_is_being_installed_again_stays_cordoned_until_it_is_undeployed() {
    for phase in ["reimaging", "reimaged", "reconfigured"] {
        let mut host = at(phase);
        is_refused(&host.when(&uncordon("r-1", "r/uncordon/1")).unwrap(), "undeploy it first");
        assert!(host.state.is_cordoned_by(&recovery("r-1")));
    }
}

/// The order to install it again never came, or comes late.
#[test]
fn undoing_a_new_installation_that_has_not_begun_leaves_the_host_in_service() {
    for phase in ["cordoned", "power-cycled"] {
        let mut host = at(phase);
        let (before, cordon) = (host.state.reservation.clone(), host.state.cordon.clone());
        let start = HostInput::StartUndeploy { saga: recovery("r-1"), step: id("r/undeploy-host/1") };
        let undone = host.when(&start).unwrap();
        assert_eq!((host.state.phase.name(), replies(&undone.commands).len()), ("in-service", 1), "{phase}");
        assert_eq!((&host.state.reservation, &host.state.cordon), (&before, &cordon), "{phase}");
        assert_eq!(host.when(&reimage("r-1", "r/reimage/9")).unwrap_err().label(), "undone", "late");
        host.when(&uncordon("r-1", "r/uncordon/1")).unwrap();
        is_refused(&host.when(&reimage("r-1", "r/reimage/9")).unwrap(), "not cordoned by");
    }
}

/// After a new installation that failed, or that did not help.
#[test]
fn a_host_that_was_installed_again_in_vain_is_out_of_use_once_it_is_undeployed() {
    for phase in ["reimaging", "reimaged", "reconfigured", "in-service-again"] {
        for is_cleaned in [true, false] {
            let mut host = at(phase);
            let start = HostInput::StartUndeploy { saga: recovery("r-1"), step: id("r/undeploy-host/1") };
            assert_eq!(host.names(&start), ["host.undeploy-started"], "{phase}");
            assert!(host.state.is_held_by(&recovery("r-1")) && host.state.cordon.is_none());
            assert!(host.ignores(&cordon("r-1", "r/cordon/9")), "late");
            let undeployed =
                HostInput::RecordUndeployed { saga: recovery("r-1"), step: id("r/undeploy-host/1") };
            assert_eq!(host.names(&undeployed), ["host.undeployed", "host.cleaning-started"]);
            let heard_before = host.commands.len();
            if is_cleaned {
                let step = host.state.phase.step().unwrap().clone();
                host.when(&booted(step.as_str())).unwrap();
                host.when(&cleaned(step.as_str())).unwrap();
                let HostPhase::Retired { reason } = &host.state.phase else { panic!("{phase}") };
                assert!(reason.contains("recovery#r-1") && reason.contains("unreachable"), "{reason}");
            } else {
                quarantine(&mut host);
            }
            assert_eq!(host.state.reservation, None, "{phase}");
            let told = replies(&host.commands[heard_before..])
                .iter()
                .filter(|reply| reply.saga == recovery("r-1"))
                .count();
            assert_eq!(told, 1, "{phase}");
        }
    }
}
