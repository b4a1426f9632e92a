//! Packages of a host in service.

use hostler_core::saga::{Answers, SagaCommand, StepOutcome, StepReply};
use hostler_events::host::{PackageChangeKind, PackagesReport, RunOutcome, RunReport};
use hostler_events::patching::{InstalledPackages, PackageChange, PackageFailed};
use hostler_events::{PatchCommand, RecoverCommand};
use jiff::SignedDuration;

use super::*;

const INSTALL: &str = "c.h-1/install-packages/1";
const BACK: &str = "c.h-1/roll-back-packages/1";

fn replies(commands: &[StepCommand]) -> Vec<&StepReply> {
    let reply = |command| {
        if let &StepCommand::Saga(SagaCommand::Answer(ref reply)) = command { Some(reply) } else { None }
    };
    commands.iter().filter_map(reply).collect()
}

fn refused(decision: &HostDecision) -> bool {
    let [reply] = replies(&decision.commands)[..] else { panic!("{decision:?}") };
    matches!(reply.outcome, StepOutcome::Failed { category: Category::Business, uncertain: false, .. })
}

fn succeeded(decision: &HostDecision) -> serde_json::Value {
    let [reply] = replies(&decision.commands)[..] else { panic!("{decision:?}") };
    let StepOutcome::Succeeded { output } = &reply.outcome else { panic!("{reply:?}") };
    output.clone()
}

fn report(outcome: RunOutcome, changed: &[(&str, &str, &str)]) -> PackagesReport {
    let changed = changed.iter().map(|(package, from, to)| PackageChange {
        package: (*package).to_owned(),
        from: (*from).to_owned(),
        to: (*to).to_owned(),
    });
    let (changed, message) = (changed.collect(), "the archive is damaged".to_owned());
    PackagesReport { outcome, message, changed, failed: Vec::new(), reboot_pending: true }
}

fn ends(step: &str, report: PackagesReport) -> HostInput {
    packages("r-1", step, PatchInput::Changed { report })
}

/// The runner's word, which names its step alone.
fn reported(step: &str, report: RunReport) -> HostInput {
    HostInput::ConfigurationReported { step: id(step), report, policies: std::sync::Arc::default() }
}

fn installing() -> Host {
    let mut host = at("cordoned");
    host.when(&packages_found("r-1", INSTALL)).unwrap();
    host
}

fn installed() -> Host {
    let mut host = installing();
    host.when(&ends(INSTALL, report(RunOutcome::Succeeded, &[("openssl", "1.0", "1.1")]))).unwrap();
    host
}

#[test]
fn what_was_installed_is_on_record_in_the_commit_that_has_it_changed() {
    let mut host = at("cordoned");
    assert!(host.ignores(&packages("r-1", INSTALL, PatchInput::StartInstall)), "nothing is known yet");
    let found = host.when(&packages_found("r-1", INSTALL)).unwrap();
    let [HostEvent::PackageChangeStarted(started)] = &found.events[..] else { panic!("{found:?}") };
    assert_eq!((started.change, &started.before), (PackageChangeKind::Install, &fixes("1.0")));
    let [StepCommand::Patch(PatchCommand::ChangePackages(change))] = &found.commands[..] else { panic!() };
    assert_eq!((&change.saga, &change.step), (&recovery("r-1"), &id(INSTALL)));
    let change = host.state.package_change(&recovery("r-1"), &id(INSTALL)).unwrap();
    assert_eq!(change.to, fixes("1.1"));
    assert!(host.state.package_change(&recovery("r-2"), &id(INSTALL)).is_none());
}

#[test]
fn only_the_saga_that_has_cordoned_the_host_changes_its_packages() {
    let mut host = at("cordoned");
    assert!(refused(&host.when(&packages("r-2", INSTALL, PatchInput::StartInstall)).unwrap()));
    assert!(host.ignores(&packages_found("r-2", INSTALL)));
    let mut free = at("in-service");
    assert!(refused(&free.when(&packages("r-1", INSTALL, PatchInput::StartInstall)).unwrap()));
}

#[test]
fn a_host_that_has_none_of_the_packages_is_left_alone_and_the_saga_has_its_answer() {
    let mut host = at("cordoned");
    let none = PatchInput::Found { before: Vec::new(), to: Vec::new(), reboot_pending: false };
    let found = host.when(&packages("r-1", INSTALL, none)).unwrap();
    assert!(matches!(found.events[..], [HostEvent::PackagesInstalled(_)]));
    assert_eq!(succeeded(&found)["changed"], serde_json::json!([]));
}

#[test]
fn an_installation_ends_once_and_a_later_attempt_is_answered_with_what_it_did() {
    let mut host = installing();
    let end = ends(INSTALL, report(RunOutcome::Succeeded, &[("openssl", "1.0", "1.1")]));
    let decision = host.when(&end).unwrap();
    let output: InstalledPackages = serde_json::from_value(succeeded(&decision)).unwrap();
    assert!(output.reboot_pending);
    let [reply] = replies(&decision.commands)[..] else { panic!() };
    assert!(matches!(reply.answers, Answers::Step(_)), "whichever attempt the saga waits for");
    assert!(host.ignores(&end), "a repeat");
    let again = packages("r-1", "c.h-1/install-packages/2", PatchInput::StartInstall);
    let again = host.when(&again).unwrap();
    assert!(again.events.is_empty());
    assert_eq!(succeeded(&again), serde_json::to_value(output).unwrap());
}

#[test]
fn what_was_installed_in_part_is_no_failure_and_says_which_package_is_missing() {
    let mut host = installing();
    let failed = vec![PackageFailed { package: "libssl3".to_owned(), reason: "damaged".to_owned() }];
    let report = report(RunOutcome::Failed, &[("openssl", "1.0", "1.1")]);
    let decision = host.when(&ends(INSTALL, PackagesReport { failed: failed.clone(), ..report })).unwrap();
    let [HostEvent::PackagesInstalled(installed)] = &decision.events[..] else { panic!("{decision:?}") };
    assert_eq!(installed.failed, failed);
    assert_eq!(succeeded(&decision)["missing"], serde_json::json!(["libssl3"]));
}

#[test]
fn a_second_attempt_does_not_forget_what_was_there_before_the_first() {
    let mut host = installing();
    let decision = host.when(&ends(INSTALL, report(RunOutcome::Lost, &[]))).unwrap();
    let [reply] = replies(&decision.commands)[..] else { panic!("{decision:?}") };
    assert!(
        matches!(reply.outcome, StepOutcome::Failed { category: Category::Transient, uncertain: true, .. }),
        "a runner that died may have changed something"
    );
    // The first attempt had changed it after all.
    let found = PatchInput::Found { before: fixes("1.1"), to: fixes("1.1"), reboot_pending: false };
    host.when(&packages("r-1", "c.h-1/install-packages/2", found)).unwrap();
    let back = host.when(&packages("r-1", BACK, PatchInput::StartRollBack)).unwrap();
    let [HostEvent::PackageChangeStarted(started)] = &back.events[..] else { panic!("{back:?}") };
    assert_eq!((started.change, &started.to), (PackageChangeKind::RollBack, &fixes("1.0")));
}

#[test]
fn a_runner_says_that_it_is_at_work_and_how_it_ended() {
    let mut host = installing();
    let running = host.when(&reported(INSTALL, RunReport::Running { task: None })).unwrap();
    assert!(running.events.is_empty(), "signs of life are no events");
    let [reply] = replies(&running.commands)[..] else { panic!("{running:?}") };
    assert!(matches!(reply.outcome, StepOutcome::Deferred { .. }), "{reply:?}");
    let end = RunReport::PackagesChanged(report(RunOutcome::Succeeded, &[("openssl", "1.0", "1.1")]));
    assert_eq!(host.names(&reported(INSTALL, end.clone())), ["host.packages-installed"]);
    assert!(matches!(host.when(&reported(INSTALL, end)), Err(HostRefusal::NotWaiting { .. })), "told twice");
}

#[test]
fn a_saga_that_turns_back_has_its_packages_back_and_nothing_installed_after_it() {
    let mut host = installed();
    host.when(&packages("r-1", BACK, PatchInput::StartRollBack)).unwrap();
    let back = report(RunOutcome::Succeeded, &[("openssl", "1.1", "1.0")]);
    assert_eq!(host.names(&ends(BACK, back)), ["host.packages-rolled-back"]);
    let late = packages("r-1", "c.h-1/install-packages/2", PatchInput::StartInstall);
    assert!(refused(&host.when(&late).unwrap()));
    assert!(host.ignores(&packages_found("r-1", "c.h-1/install-packages/2")));
    let again = host.when(&packages("r-1", "c.h-1/roll-back-packages/2", PatchInput::StartRollBack)).unwrap();
    assert!(again.events.is_empty());
    succeeded(&again);

    let mut untouched = at("cordoned");
    let back = untouched.when(&packages("r-1", BACK, PatchInput::StartRollBack)).unwrap();
    assert!(matches!(back.events[..], [HostEvent::PackagesRolledBack(_)]), "so that nothing comes late");
    succeeded(&back);
    let mut free = at("in-service");
    succeeded(&free.when(&packages("r-1", BACK, PatchInput::StartRollBack)).unwrap());
}

#[test]
fn where_rolling_back_fails_for_good_the_host_stays_out_of_traffic_and_its_health_is_told() {
    let mut host = installed();
    host.when(&packages("r-1", BACK, PatchInput::StartRollBack)).unwrap();
    let decision = host.when(&ends(BACK, report(RunOutcome::Failed, &[]))).unwrap();
    assert!(matches!(decision.events[..], [HostEvent::RollBackFailed(_)]), "{decision:?}");
    succeeded(&decision);
    let signal = decision.commands.iter().find_map(|command| {
        if let StepCommand::Recover(RecoverCommand::ReportSignal(said)) = command { Some(said) } else { None }
    });
    let signal = &signal.unwrap().signal;
    assert_eq!(signal.fault.as_str(), PATCHING_FAILED);
    assert!(signal.summary.contains("the archive is damaged"), "{}", signal.summary);
    let holds = signal.header.expires_at.duration_since(signal.header.observed_at);
    assert!(
        holds > SignedDuration::from_hours(24),
        "it is said once, and a site may tolerate a fault for a day: {holds:?}"
    );
    assert!(!host.state.may_join_traffic_for(&recovery("r-1")));
    host.when(&uncordon("r-1", "c.h-1/uncordon-host/1")).unwrap();
    host.when(&cordon("r-2", "h-1.1/cordon-host/1")).unwrap();
    assert!(host.state.may_join_traffic_for(&recovery("r-2")), "whoever repairs it puts it back");
}

#[test]
fn rolling_back_is_tried_three_times_where_another_try_may_help() {
    let mut host = installed();
    for attempt in 1..=3 {
        let step = format!("c.h-1/roll-back-packages/{attempt}");
        host.when(&packages("r-1", &step, PatchInput::StartRollBack)).unwrap();
        let names = host.names(&ends(&step, report(RunOutcome::Unreachable, &[])));
        let expected = if attempt < 3 { "host.step-failed" } else { "host.roll-back-failed" };
        assert_eq!(names, [expected], "attempt {attempt}");
    }
}

#[test]
fn what_is_said_of_packages_is_cut_and_counted() {
    let mut host = installing();
    let many: Vec<_> = (0..60).map(|n| (format!("p{n}"), "1".repeat(500))).collect();
    let many: Vec<_> = many.iter().map(|(name, version)| (name.as_str(), "0", version.as_str())).collect();
    let decision = host.when(&ends(INSTALL, report(RunOutcome::Succeeded, &many))).unwrap();
    let [HostEvent::PackagesInstalled(installed)] = &decision.events[..] else { panic!("{decision:?}") };
    assert_eq!((installed.changed.len(), installed.changed[0].to.len()), (50, 120));
}
