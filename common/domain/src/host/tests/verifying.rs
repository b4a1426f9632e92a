//! Verification.

use super::*;

fn fail(step: &str) -> HostInput {
    let reason = "no route to host".to_owned();
    HostInput::FailVerification { step: id(step), category: Category::Transient, reason }
}

#[test]
fn what_is_verified_goes_to_cleaning_in_one_commit() {
    let mut host = at("verifying");
    let decision = host.when(&facts("h-1/verify/1")).unwrap();
    assert_eq!(decision.events.len(), 3);
    let StepCommand::Deploy(DeployCommand::CleanHost(clean)) = &decision.commands[0] else { panic!() };
    assert_eq!(clean.step, id("h-1/clean/2"));
    assert_eq!(decision.timers[0].name, "h-1/clean/2");
    assert_eq!(host.state.power, Some(PowerState::Off));
    assert_eq!(host.state.facts.as_ref().unwrap().memory_gib, Some(64.0));
    assert!(host.ignores(&facts("h-1/verify/1")), "a repeat is late");
}

#[test]
fn a_failed_verification_is_tried_again_after_its_delay() {
    let mut host = at("verifying");
    let failed = host.when(&fail("h-1/verify/1")).unwrap();
    assert!(failed.commands.is_empty());
    assert_eq!(failed.timers[0].name, "retry:h-1/verify/2");
    assert_eq!(failed.timers[0].due_at.duration_since(host.now).as_secs(), 10);
    assert!(host.ignores(&facts("h-1/verify/1")), "late");
    assert!(host.ignores(&timer("h-1/verify/1")), "its deadline is void");

    let again = host.when(&timer("retry:h-1/verify/2")).unwrap();
    let StepCommand::Deploy(DeployCommand::VerifyHost(verify)) = &again.commands[0] else { panic!() };
    assert_eq!(verify.step, id("h-1/verify/2"));
    assert_eq!(again.timers[0].name, "h-1/verify/2");
    host.when(&facts("h-1/verify/2")).unwrap();
    assert_eq!(host.state.phase.name(), "cleaning");
}

#[test]
fn without_a_delay_it_is_tried_again_at_once() {
    let mut host = Host::given([HostInput::Enrol { command: command(), policy: policy(0) }]);
    let failed = host.when(&fail("h-1/verify/1")).unwrap();
    assert_eq!(failed.commands.len(), 1);
    assert_eq!(failed.timers[0].name, "h-1/verify/2");
}

#[test]
fn a_silent_bmc_ends_in_quarantine() {
    let mut host = at("verifying");
    for step in 1..=3 {
        let overdue = host.names(&timer(&format!("h-1/verify/{step}")));
        assert_eq!(overdue[0], "host.verification-failed");
        if step < 3 {
            host.when(&timer(&format!("retry:h-1/verify/{}", step + 1))).unwrap();
        }
    }
    let HostPhase::Quarantined { reason } = &host.state.phase else { panic!() };
    assert!(reason.contains("no answer within 300 s") && reason.contains("requalify"), "{reason}");
    assert!(host.ignores(&facts("h-1/verify/3")), "late");
    assert!(host.ignores(&fail("h-1/verify/3")), "late");
}

#[test]
fn a_host_whose_name_begins_like_a_timers_keeps_its_deadlines() {
    let command = EnrolHost { host: id("retry:h-1"), ..command() };
    let mut host = Host::given([HostInput::Enrol { command, policy: policy(10) }]);
    assert_eq!(host.names(&timer("retry:h-1/verify/1")), ["host.verification-failed"], "its deadline");
    let again = host.when(&timer("retry:retry:h-1/verify/2")).unwrap();
    assert_eq!(again.timers[0].name, "retry:h-1/verify/2");
    assert!(host.ignores(&timer("h-1/verify/2")), "another host's");
}

#[test]
fn a_permanent_reason_is_not_tried_again() {
    for category in [Category::Business, Category::Validation] {
        let mut host = at("verifying");
        let reason = "this BMC offers no way to boot".to_owned();
        let failed = HostInput::FailVerification { step: id("h-1/verify/1"), category, reason };
        assert_eq!(host.names(&failed), ["host.verification-failed", "host.quarantined"], "{category}");
        let HostPhase::Quarantined { reason } = &host.state.phase else { panic!() };
        assert!(reason.contains("offers no way to boot") && reason.contains("requalify"), "{reason}");
        assert!(host.timers.iter().all(|timer| !timer.name.starts_with("retry:")));
    }
}
