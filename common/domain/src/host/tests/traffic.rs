//! A host joins traffic once it is in service, and is out of it before anything is done to it.

use hostler_core::Payload;
use hostler_core::saga::{SagaCommand, StepOutcome};
use hostler_events::commands::LabelHost;
use hostler_events::{StepCommand, TrafficPolicy};

use super::*;

fn policy() -> TrafficPolicy {
    TrafficPolicy { backend: id("web"), port: 80, drain_seconds: 30 }
}

fn join(saga: SagaRef, step: &str) -> HostInput {
    let (policy, address) = (policy(), "10.0.0.7:80".to_owned());
    HostInput::Traffic { saga, step: id(step), told: TrafficInput::Joined { policy, address } }
}

fn drain(saga: SagaRef, step: &str) -> HostInput {
    HostInput::Traffic { saga, step: id(step), told: TrafficInput::StartDrain { policy: policy() } }
}

fn left(saga: SagaRef, step: &str, sessions_cut: u64) -> HostInput {
    HostInput::Traffic { saga, step: id(step), told: TrafficInput::Left { sessions_cut } }
}

fn in_traffic(phase: &str) -> Host {
    let mut host = at("in-service");
    host.when(&join(saga_ref("p-1"), "s/join-traffic/1")).unwrap();
    if phase == "cordoned" {
        host.when(&cordon("r-1", "r/cordon/1")).unwrap();
    }
    host
}

fn part(host: &Host) -> &'static str {
    host.state.traffic.as_ref().unwrap().part.name()
}

/// The events, and whether the saga was told that it is done.
fn told(host: &mut Host, input: &HostInput) -> (Vec<&'static str>, bool) {
    let decision = host.when(input).unwrap();
    let done = decision.commands.iter().any(|command| {
        matches!(command, StepCommand::Saga(SagaCommand::Answer(reply)) if matches!(reply.outcome, StepOutcome::Succeeded { .. }))
    });
    (decision.events.iter().map(Payload::type_name).collect(), done)
}

#[test]
fn a_host_in_service_joins_once_and_each_attempt_is_answered() {
    let mut host = in_traffic("in-service");
    assert!(host.state.is_in_traffic());
    assert_eq!(told(&mut host, &join(saga_ref("p-1"), "s/join-traffic/2")), (vec![], true));
}

#[test]
fn who_does_not_have_the_host_for_itself_sends_it_no_requests() {
    let mut early = at("registering-monitoring");
    assert!(early.ignores(&join(saga_ref("p-1"), "s/join-traffic/1")));
    let mut other = at("in-service");
    assert!(other.ignores(&join(saga_ref("p-2"), "t/join-traffic/1")));
    let mut cordoned = at("cordoned");
    assert!(cordoned.ignores(&join(saga_ref("p-1"), "s/join-traffic/1")), "it is being repaired");
    assert_eq!(told(&mut cordoned, &join(recovery("r-1"), "r/join-traffic/1")).0, ["host.joined-traffic"]);
    let mut draining = at("draining");
    let holder = draining.state.reservation.clone().unwrap();
    assert!(draining.ignores(&join(holder, "d/join-traffic/1")));
}

#[test]
fn a_host_is_drained_until_one_moment_whatever_the_number_of_attempts() {
    let mut host = in_traffic("cordoned");
    assert_eq!(host.names(&drain(recovery("r-1"), "r/leave-traffic/1")), ["host.drain-started"]);
    let until = host.state.drained_by(&recovery("r-1")).unwrap().1;
    assert_eq!(until.duration_since(host.now).as_secs(), 30);
    host.now = host.now.checked_add(jiff::SignedDuration::from_secs(20)).unwrap();
    assert!(host.ignores(&drain(recovery("r-1"), "r/leave-traffic/2")));
    assert_eq!((host.state.drained_by(&recovery("r-1")).unwrap().1, part(&host)), (until, "draining"));
    let leaves = told(&mut host, &left(recovery("r-1"), "r/leave-traffic/2", 3));
    assert_eq!((leaves, part(&host)), ((vec!["host.left-traffic"], true), "out-of-traffic"));
    assert!(host.state.is_taken_out_by(&recovery("r-1")));
}

#[test]
fn a_saga_without_the_host_drains_nothing_and_has_its_answer() {
    let mut host = in_traffic("in-service");
    assert!(host.ignores(&drain(recovery("r-9"), "x/leave-traffic/1")));
    assert_eq!(told(&mut host, &left(recovery("r-9"), "x/leave-traffic/1", 0)), (vec![], true));
    assert_eq!(part(&host), "in-traffic");
}

#[test]
fn a_host_that_never_joined_is_left_alone_by_who_repairs_it() {
    let mut host = at("cordoned");
    assert!(host.ignores(&drain(recovery("r-1"), "r/leave-traffic/1")));
    assert_eq!(told(&mut host, &left(recovery("r-1"), "r/leave-traffic/1", 0)), (vec![], true));
    assert!(!host.state.is_taken_out_by(&recovery("r-1")), "so that it is not put there afterwards");
}

/// The saga that brings a host into service may have sent it into traffic without a record. Its undoing takes the host out whatever
/// is known, and a join that comes later is refused.
#[test]
fn undoing_takes_a_host_out_that_may_have_joined_and_nothing_brings_it_back() {
    let mut host = at("in-service");
    let set = [("metrics.address".to_owned(), "10.0.0.7:9100".to_owned())].into();
    let command = LabelHost { host: id("h-1"), set, remove: Default::default() };
    host.when(&HostInput::Label { command }).unwrap();
    assert_eq!(host.names(&drain(saga_ref("p-1"), "s/leave-traffic/1")), ["host.drain-started"]);
    assert_eq!(host.state.traffic.as_ref().unwrap().address, "10.0.0.7:80");
    assert!(host.ignores(&join(saga_ref("p-1"), "s/join-traffic/1")));
    assert_eq!(told(&mut host, &left(saga_ref("p-1"), "s/leave-traffic/1", 0)).0, ["host.left-traffic"]);
    let mut unknown = at("in-service");
    assert!(unknown.ignores(&drain(saga_ref("p-1"), "s/leave-traffic/1")), "nobody knows where it could be");
    assert_eq!(
        told(&mut unknown, &left(saga_ref("p-1"), "s/leave-traffic/1", 0)),
        (vec!["host.left-traffic"], true)
    );
    assert!(unknown.ignores(&join(saga_ref("p-1"), "s/join-traffic/2")));
}

#[test]
fn a_host_in_traffic_is_given_back_with_the_backend_that_it_leaves() {
    let order = |host: &mut Host| {
        let decision = host.when(&phases::give_back(false)).unwrap();
        let [StepCommand::Saga(SagaCommand::Start(start))] = &decision.commands[..] else { panic!() };
        start.order.clone()
    };
    let mut host = in_traffic("in-service");
    let started = order(&mut host);
    assert_eq!(
        (&started["traffic"]["backend"], &started["traffic"]["drainSeconds"]),
        (&"web".into(), &30.into())
    );
    let saga = host.state.reservation.clone().unwrap();
    assert_eq!(host.names(&drain(saga.clone(), "d/leave-traffic/1")), ["host.drain-started"]);
    assert_eq!(told(&mut host, &left(saga, "d/leave-traffic/1", 0)), (vec!["host.left-traffic"], true));
    assert!(order(&mut at("in-service")).get("traffic").is_none());
}

#[test]
fn what_a_host_was_in_traffic_is_forgotten_once_it_is_undeployed() {
    let mut host = at("in-service");
    host.when(&left(saga_ref("p-1"), "s/leave-traffic/1", 0)).unwrap();
    let mut host =
        Host { state: HostState { traffic: in_traffic("in-service").state.traffic, ..host.state }, ..host };
    let traffic = host.state.traffic.as_mut().unwrap();
    traffic.part = TrafficPart::Out { saga: saga_ref("p-1") };
    host.when(&undeploy("p-1", "s/undeploy/1")).unwrap();
    assert_eq!(host.state.traffic, None);
}
