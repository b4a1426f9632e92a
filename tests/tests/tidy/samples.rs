//! The samples, read by the adapters that will read the real thing.

use hostler_events::samples;

const BENCHMARK: &str = "tests/benches/cold_start/main.rs";

#[test]
fn the_outbox_sample_is_a_commit_to_the_adapter() {
    let text = samples::lambda_sample("relay-outbox", "stream").unwrap();
    let records = hostler_aws::outbox_records(&serde_json::from_str(text).unwrap()).unwrap();
    let commit = records[0].commit.as_ref().unwrap();
    assert_eq!((records.len(), commit.stream.as_str(), commit.version.0), (1, "provisioning#web-1.1", 1));
    assert_eq!((commit.events.len(), commit.commands.len(), commit.timers.len()), (2, 1, 1));
    assert_eq!(commit.snapshot, None);
    for (envelope, n) in commit.envelopes().zip(0..) {
        let golden = samples::sample_text(&envelope.event_type, envelope.schema_version).unwrap();
        let golden: hostler_core::Envelope = serde_json::from_str(golden).unwrap();
        assert_eq!((envelope.event_id.0, envelope.data), (commit.commit_id.part(n), golden.data));
    }
}

#[test]
fn every_function_has_an_input_to_be_tried_with() {
    let mut findings =
        crate::repository::Findings::of("every function has a sample in events/samples/lambda");
    for folder in crate::repository::folders("functions") {
        let has = samples::lambda_samples().iter().any(|(function, ..)| *function == folder);
        findings.unless(
            has,
            format!("functions/{folder}"),
            "has none: add one in events/tests/contracts/inputs.rs",
        );
    }
    findings.none();
}

#[test]
fn the_start_of_every_function_is_measured() {
    let mut findings = crate::repository::Findings::of("the benchmark of cold starts starts every function");
    let text = crate::repository::read(BENCHMARK);
    for folder in crate::repository::folders("functions") {
        let starts = text.contains(&format!("    (\"{folder}\", \"{folder}."));
        findings.unless(starts, BENCHMARK, format!("functions/{folder} has no entry in FIRST"));
    }
    findings.none();
}

/// A function ends at its start when a variable is missing, and the benchmark with it.
#[test]
fn the_benchmark_of_cold_starts_sets_every_variable_that_a_function_must_have() {
    const SETTINGS: &str = "common/aws/src/settings.rs";
    let mut findings = crate::repository::Findings::of("the benchmark of cold starts sets what is required");
    let (settings, text) = (crate::repository::read(SETTINGS), crate::repository::read(BENCHMARK));
    let required: Vec<&str> = ["Missing { name: env::", "self.value(env::"]
        .iter()
        .flat_map(|before| settings.split(before).skip(1))
        .filter_map(|rest| rest.split([' ', ')']).next())
        .collect();
    assert!(required.len() >= 8, "{SETTINGS} is read otherwise now: {required:?}");
    for name in required {
        let is_set = text.contains(&format!("        (\"{name}\", "));
        findings.unless(is_set, BENCHMARK, format!("{name} of {SETTINGS} is not set"));
    }
    findings.none();
}

/// What was decided by policies can be told apart from what was decided by later ones.
#[test]
fn every_decision_names_the_version_of_its_policies() {
    let mut findings = crate::repository::Findings::of("an event that policies decide on has their version");
    let decisions = [
        "health.suspected",
        "health.fault-confirmed",
        "health.disruption-claimed",
        "domain.incident-opened",
        "budget.granted",
        "pool.scaling-decided",
        "pool.scaling-proposed",
        "pool.scaling-suppressed",
        "policies.applied",
        "campaign.planned",
        "campaign.wave-started",
        "inventory.host-vanished",
        "source.subscription-lost",
    ];
    for decision in decisions {
        let golden = samples::sample_text(decision, 1).unwrap();
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        findings.unless(
            golden["data"]["policyVersion"].is_u64(),
            decision,
            "has no policyVersion in its sample",
        );
    }
    findings.none();
}
