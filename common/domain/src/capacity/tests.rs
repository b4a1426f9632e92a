//! Rules of requests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use hostler_core::Payload;

use super::*;
use crate::testing::{Run, id, saga_ref};

fn ids(count: usize) -> Vec<ProvisioningId> {
    (0..count).map(|n| id(&format!("01890a5d-ac96-774b-bcce-{n:012}"))).collect()
}

fn request(count: u32) -> RequestHosts {
    RequestHosts {
        request: id("r-1"),
        pool: id("web"),
        role: id("web-server"),
        image: id("debian-13"),
        sku: Some(id("cpu-small")),
        count,
    }
}

fn input(command: RequestHosts, provisionings: Vec<ProvisioningId>) -> CapacityInput {
    CapacityInput::Request {
        command,
        provisionings,
        policy: Box::default(),
        traffic: None,
        approval_above: None,
    }
}

#[test]
fn a_request_starts_one_saga_for_each_host() {
    let mut run = Run::<CapacityDecider>::new();
    let decision = run.when(&input(request(3), ids(3))).unwrap();
    assert_eq!(decision.events.len(), 1);
    assert_eq!(decision.commands.len(), 3);
    for (command, provisioning) in decision.commands.iter().zip(ids(3)) {
        let SagaCommand::Start(start) = command else { panic!("{command:?}") };
        assert_eq!(start.saga, saga_ref(provisioning.as_str()));
        let order: ProvisioningOrder = serde_json::from_value(start.order.clone()).unwrap();
        assert_eq!(order.request, id("r-1"));
    }
    assert_eq!(run.state.order.unwrap().provisionings, ids(3));
}

#[test]
fn the_same_request_again_does_nothing_even_with_new_ids() {
    let mut run = Run::<CapacityDecider>::given([input(request(2), ids(2))]);
    let others = vec![id("other-1"), id("other-2")];
    assert!(run.ignores(&input(request(2), others)));
    assert_eq!(run.state.order.unwrap().provisionings, ids(2));
}

#[test]
fn the_same_id_with_other_content_is_refused_and_says_which_field() {
    type Change = fn(&mut RequestHosts);
    let change: [(&str, Change); 5] = [
        ("pool", |r| r.pool = id("db")),
        ("role", |r| r.role = id("db")),
        ("image", |r| r.image = id("debian-12")),
        ("sku", |r| r.sku = None),
        ("count", |r| r.count = 3),
    ];
    for (field, change) in change {
        let mut run = Run::<CapacityDecider>::given([input(request(2), ids(2))]);
        let mut other = request(2);
        change(&mut other);
        let refusal = run.when(&input(other, ids(2))).unwrap_err();
        assert!(
            matches!(&refusal, CapacityRefusal::PayloadMismatch { field: f, .. } if *f == field),
            "{refusal}"
        );
    }
}

#[test]
fn no_hosts_and_too_many_hosts_are_refused_with_the_limit() {
    let mut run = Run::<CapacityDecider>::new();
    let none = run.when(&input(request(0), ids(0))).unwrap_err();
    assert_eq!(none.label(), "no-hosts");
    let many = run.when(&input(request(251), ids(251))).unwrap_err();
    assert!(many.to_string().contains("250"), "{many}");
}

#[test]
fn every_host_needs_an_id_of_its_own() {
    let mut run = Run::<CapacityDecider>::new();
    assert_eq!(run.when(&input(request(2), ids(1))).unwrap_err().label(), "ids-missing");
    let twice = vec![id("p-1"), id("p-1")];
    assert_eq!(run.when(&input(request(2), twice)).unwrap_err().label(), "ids-missing");
}

#[test]
fn the_largest_request_fits_into_one_commit() {
    let mut run = Run::<CapacityDecider>::new();
    let decision = run.when(&input(request(HOSTS_PER_REQUEST_MAX), ids(250))).unwrap();
    let bytes: usize = decision.commands.iter().map(|c| c.to_data().to_string().len() + 200).sum();
    assert!(bytes < 300_000, "{bytes} bytes of commands");
}

#[test]
fn a_request_id_leaves_room_for_step_ids() {
    let mut run = Run::<CapacityDecider>::new();
    let refusal = run.when(&input(request(1), vec![id(&"p".repeat(121))])).unwrap_err();
    assert_eq!(refusal.label(), "id-too-long");
    assert!(run.when(&input(request(1), vec![id(&"p".repeat(120))])).is_ok());
}

fn large(count: u32, most: u32) -> CapacityInput {
    CapacityInput::Request {
        command: request(count),
        provisionings: ids(usize::try_from(count).unwrap()),
        policy: Box::default(),
        traffic: None,
        approval_above: Some(most),
    }
}

#[test]
fn what_is_above_the_limit_waits_for_a_person_and_starts_nothing() {
    let mut run = Run::<CapacityDecider>::new();
    let decision = run.when(&large(3, 2)).unwrap();
    assert_eq!((decision.events.len(), decision.commands.len(), decision.timers.len()), (1, 0, 1));
    assert_eq!(run.state.approval.name(), "awaits-approval");
    assert!(run.ignores(&large(3, 2)), "asked again it still waits");
    let decision = run.when(&CapacityInput::Approve { reason: "planned".to_owned() }).unwrap();
    assert_eq!((decision.events.len(), decision.commands.len()), (2, 3));
    let late = CapacityInput::Timer { name: "approval:r-1".to_owned() };
    assert!(run.ignores(&late), "the deadline is void");
    let again = run.when(&CapacityInput::Reject { reason: "no".to_owned() }).unwrap_err();
    assert_eq!(again.label(), "not-awaited");
    let mut run = Run::<CapacityDecider>::new();
    assert_eq!(run.when(&large(2, 2)).unwrap().commands.len(), 2, "up to the limit nobody is asked");
}

#[test]
fn what_is_rejected_or_not_approved_in_time_is_never_started() {
    let reject = CapacityInput::Reject { reason: "enough".to_owned() };
    let timer = CapacityInput::Timer { name: "approval:r-1".to_owned() };
    for end in [reject, timer] {
        let mut run = Run::<CapacityDecider>::given([large(3, 2)]);
        let decision = run.when(&end).unwrap();
        assert_eq!((decision.events.len(), decision.commands.len()), (1, 0));
        assert_eq!(run.state.approval.name(), "rejected");
        assert!(run.when(&CapacityInput::Approve { reason: "yes".to_owned() }).is_err());
    }
    let mut run = Run::<CapacityDecider>::given([large(3, 2)]);
    let silent = run.when(&CapacityInput::Approve { reason: " ".to_owned() }).unwrap_err();
    assert_eq!(silent.label(), "no-reason");
    let unknown = Run::<CapacityDecider>::new().when(&CapacityInput::Approve { reason: "x".to_owned() });
    assert_eq!(unknown.unwrap_err().label(), "unknown-request");
}
