//! Scenarios are sent into a running local cloud, as the README does with one of them.

use std::process::{Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use hostler_localstack::{ConfigurationRunner, lacks_monitoring};
use serde_json::Value;

use super::{Document, Fixture, TURN, is_elsewhere, start};

/// A fleet of twelve, of which all can be broken.
const SITE: Document = Document { path: "scenarios", expected: &[], up: &["up", "--hosts", "12"] };
/// How long a scenario may take until it is stopped by the test.
const SOON: Duration = Duration::from_secs(90);

/// Plays a scenario to its end, and gives its report.
fn played(fixture: &Fixture, command: &str) -> Value {
    let (ended, text) = fixture.run(&fixture.state, &format!("cargo hostler {command} -o json"));
    assert_eq!(ended, Some(0), "{command}\n{text}");
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for field in ["left", "missed", "escalated"] {
        assert_eq!(report[field], serde_json::json!([]), "{field}: {report:#}");
    }
    assert_eq!(report["budget"]["exceeded"], serde_json::json!([]), "{report:#}");
    report
}

/// Plays a scenario until it says this, and then interrupts it; gives its exit code and what it said.
fn interrupted(fixture: &Fixture, scenario: &str, says: &str) -> (Option<i32>, String) {
    let log = fixture.state.join("interrupted.log");
    let file = std::fs::File::create(&log).unwrap();
    let mut child = Command::new(&fixture.binary)
        .args(["simulate", scenario])
        .current_dir(hostler_tests::root())
        .env("HOSTLER_STATE_DIR", &fixture.state)
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !std::fs::read_to_string(&log).unwrap().contains(says) {
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(
            begun.elapsed() < SOON && child.try_wait().unwrap().is_none(),
            "{says} was not said:\n{text}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let ended = child.wait().unwrap().code();
    (ended, std::fs::read_to_string(&log).unwrap())
}

#[test]
fn a_scenario_is_played_in_a_running_system_and_whatever_it_broke_is_mended() {
    if is_elsewhere() || lacks_monitoring() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::of(&SITE);
    let up = start(&fixture, &SITE);

    let report = played(&fixture, "simulate power-domain-loss");
    let reactions = report["reactions"].as_array().unwrap();
    assert_eq!((reactions.len(), &report["repairs"]), (12, &Value::from(0)), "{report:#}");
    assert!(report["heldBack"]["correlated"].as_u64().unwrap() >= 8, "{report:#}");

    // Nothing is broken: the CMDB is wrong about two hosts, and is corrected.
    let report = played(&fixture, "simulate cmdb-drift");
    assert_eq!((&report["repairs"], &report["reactions"]), (&Value::from(0), &serde_json::json!([])));

    // A canary, and waves, each verified by a scan of what is installed. Without dpkg nothing is.
    if ConfigurationRunner::missing_here().is_none() {
        let report = played(&fixture, "simulate hot-cve");
        let of = |field: &str| report["campaign"][field].clone();
        let patched = (of("status"), of("waves"), of("patched"), of("failed"));
        assert_eq!(patched, ("completed".into(), 3.into(), 6.into(), 0.into()), "{report:#}");
    }

    // Nothing is broken: that there is an incident is said by alerts alone.
    let report = played(&fixture, "simulate rack-loss --signals");
    assert!(report["reactions"].as_array().unwrap().len() >= 4, "{report:#}");
    assert_eq!(report["repairs"], 0);

    let (ended, text) = interrupted(&fixture, "monitoring-away", "what broke is detected");
    assert_eq!(ended, Some(1), "{text}");
    assert!(text.contains("it was stopped") && text.contains("left  nothing"), "{text}");
    fixture.expect(
        &fixture.state,
        "cargo hostler breakers list --state held-open",
        0,
        "There are no such breakers",
    );
    fixture.expect(&fixture.state, "cargo hostler faults list", 0, "No faults are set");
    fixture.expect(&fixture.state, "cargo hostler hosts list --pool web", 0, "12 available");

    fixture.expect(&fixture.state, "cargo hostler simulate rack-los", 4, "did you mean rack-loss?");
    let elsewhere = "cargo hostler --stack production simulate rack-loss --signals";
    fixture.expect(&fixture.state, elsewhere, 2, "--site-is-a-test");
    drop(up);
    // A temporary folder; what cannot be removed is of no harm.
    let _ = std::fs::remove_dir_all(&fixture.state);
}
