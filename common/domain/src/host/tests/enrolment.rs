//! Enrolment, labels, requalification.

use hostler_events::commands::LabelHost;

use super::*;

fn enrol_as(change: impl Fn(&mut EnrolHost)) -> HostInput {
    let mut command = command();
    change(&mut command);
    HostInput::Enrol { command, policy: policy(10) }
}

fn labels(count: usize) -> Labels {
    (0..count).map(|n| (format!("key-{n}"), "value".to_owned())).collect()
}

fn label(set: Labels, remove: &[&str]) -> HostInput {
    let remove = remove.iter().map(|key| (*key).to_owned()).collect();
    HostInput::Label { command: LabelHost { host: id("h-1"), set, remove } }
}

#[test]
fn an_enrolled_host_is_verified_at_once_and_against_a_deadline() {
    let mut host = Host::new();
    let decision = host.when(&enrol()).unwrap();
    assert_eq!(decision.events.len(), 1);
    let StepCommand::Deploy(DeployCommand::VerifyHost(verify)) = &decision.commands[0] else { panic!() };
    assert_eq!(verify.step, id("h-1/verify/1"));
    assert_eq!(decision.timers[0].name, "h-1/verify/1");
    assert_eq!(decision.timers[0].due_at.duration_since(host.now).as_secs(), 300);
    assert_eq!(decision.timers[0].deliver_to, "deploy-host");
}

#[test]
fn the_same_enrolment_again_does_nothing() {
    let mut host = at("in-service");
    assert!(host.ignores(&enrol()));
    let other_policy = HostInput::Enrol { command: command(), policy: policy(0) };
    assert!(host.ignores(&other_policy), "a host keeps its policy");
    assert_eq!(host.state.profile.as_ref().unwrap().policy, policy(10));
}

#[test]
fn another_enrolment_is_refused_and_says_which_field() {
    type Change = fn(&mut EnrolHost);
    let changes: [(&str, Change); 5] = [
        ("pool", |c| c.pool = id("db")),
        ("sku", |c| c.sku = id("gpu")),
        ("fault domain", |c| c.fault_domain = id("rack-9")),
        ("BMC address", |c| c.bmc.system_url = "https://10.0.0.8/redfish/v1/Systems/1".into()),
        ("set of labels", |c| c.labels = labels(1)),
    ];
    for (field, change) in changes {
        let refusal = at("available").when(&enrol_as(change)).unwrap_err();
        assert!(refusal.to_string().contains(field), "{field}: {refusal}");
        assert_eq!(refusal.label(), "enrolled-differently");
    }
}

#[test]
fn a_repeated_enrolment_is_recognised_after_labels_have_changed() {
    let mut host = at("available");
    host.when(&label(labels(1), &[])).unwrap();
    assert!(host.ignores(&enrol()), "the labels as they were");
    assert!(host.ignores(&enrol_as(|c| c.labels = labels(1))), "the labels as they are");
}

#[test]
fn addresses_that_cannot_be_used_are_refused() {
    for url in ["10.0.0.7", "ftp://10.0.0.7/", "https://admin:secret@10.0.0.7/redfish/v1/Systems/1"] {
        let refusal = Host::new().when(&enrol_as(|c| c.bmc.system_url = url.into())).unwrap_err();
        assert_eq!(refusal.label(), "bmc-address");
        assert!(!refusal.to_string().contains("secret"));
    }
    assert!(Host::new().when(&enrol_as(|c| c.bmc.system_url = "http://bmc/a@b".into())).is_ok());
}

#[test]
fn a_host_id_leaves_room_for_step_ids() {
    let refusal = Host::new().when(&enrol_as(|c| c.host = id(&"h".repeat(121)))).unwrap_err();
    assert_eq!(refusal.label(), "host-id-too-long");
    assert!(Host::new().when(&enrol_as(|c| c.host = id(&"h".repeat(120)))).is_ok());
}

#[test]
fn labels_are_set_and_removed_within_their_limits() {
    let mut host = at("available");
    assert_eq!(host.names(&label(labels(3), &[])), ["host.labelled"]);
    assert!(host.ignores(&label(labels(2), &["unknown"])), "no change");
    assert_eq!(host.names(&label(Labels::new(), &["key-0", "key-1"])), ["host.labelled"]);
    assert_eq!(host.state.profile.as_ref().unwrap().labels.len(), 1);

    assert_eq!(host.when(&label(labels(51), &[])).unwrap_err().label(), "too-many-labels");
    assert!(host.when(&label(labels(50), &[])).is_ok());
    let one = |key: &str, value: &str| label(Labels::from([(key.to_owned(), value.to_owned())]), &["key-0"]);
    assert_eq!(host.when(&one(&"k".repeat(64), "v")).unwrap_err().label(), "label-key");
    assert_eq!(host.when(&one("", "v")).unwrap_err().label(), "label-key");
    assert_eq!(host.when(&one("k", &"v".repeat(257))).unwrap_err().label(), "label-value");
    assert!(host.when(&one(&"k".repeat(63), &"ü".repeat(256))).is_ok());
    let refusal = Host::new().when(&enrol_as(|c| c.labels = labels(51))).unwrap_err();
    assert_eq!(refusal.label(), "too-many-labels");
}

#[test]
fn only_a_quarantined_host_is_requalified() {
    for phase in ["verifying", "cleaning", "available", "reserved", "deploying", "in-service"] {
        assert_eq!(at(phase).when(&HostInput::Requalify).unwrap_err().label(), "not-possible");
    }
    let mut host = at("quarantined");
    let decision = host.when(&HostInput::Requalify).unwrap();
    let StepCommand::Deploy(DeployCommand::VerifyHost(verify)) = &decision.commands[0] else { panic!() };
    assert_eq!(decision.timers[0].name, verify.step.as_str());
    let verified = host.names(&facts(verify.step.as_str()));
    assert_eq!(verified, ["host.verified", "host.inspected", "host.cleaning-started"]);
    let step = host.state.phase.step().unwrap().clone();
    host.when(&booted(step.as_str())).unwrap();
    host.when(&cleaned(step.as_str())).unwrap();
    assert!(host.state.is_available());
}
