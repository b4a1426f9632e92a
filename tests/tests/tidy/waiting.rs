//! Nobody polls: what waits has a timer, and what works has a message. A pause inside of one call to the outside is no polling,
//! and each is listed here with its reason.

use hostler_localstack::template::Template;
use hostler_tests::root;

use crate::repository::{Findings, sources};
use crate::stack::functions_of;

/// What is deployed.
const DEPLOYED: [&str; 8] = [
    "functions/",
    "common/core/src/",
    "common/runtime/src/",
    "common/aws/src/",
    "common/app/src/",
    "common/domain/src/",
    "common/drivers/src/",
    "events/src/",
];

/// What pauses, looks at a clock again and again, or asks a queue whether there is something. Put together here, so that this
/// file is not found by itself.
const PAUSES: [&str; 8] = [
    concat!("sle", "ep("),
    concat!("sle", "ep_until("),
    concat!("wait_", "until("),
    concat!("inter", "val("),
    concat!("park_", "timeout("),
    concat!("recv_", "timeout("),
    concat!("spin_", "loop("),
    concat!("receive_", "message("),
];

/// Who pauses, how often in its code, and why that is no polling for work.
const PAUSING: [(&str, usize, &str); 14] = [
    ("common/runtime/src/ports/mod.rs", 3, "the port itself, and waiting for a moment by it"),
    ("common/aws/src/process.rs", 2, "the port's adapter"),
    (
        "common/runtime/src/effects/deadline.rs",
        1,
        "the end of an invocation, which work that goes on races against",
    ),
    ("common/runtime/src/state/shell.rs", 1, "back-off after a conflict, within one message"),
    (
        "common/runtime/src/messages/relay/mod.rs",
        2,
        "back-off after entries that were refused, within one batch",
    ),
    (
        "common/runtime/src/operations/replay.rs",
        2,
        "an operator's replay goes at the rate that was asked for",
    ),
    ("common/drivers/src/redfish/wire.rs", 1, "back-off inside of one call to a BMC"),
    (
        "common/drivers/src/redfish/power.rs",
        1,
        "a power state is believed after two readings, within one step",
    ),
    ("common/drivers/src/redfish/media.rs", 1, "a BMC inserts an image while it is asked, within one step"),
    (
        "common/drivers/src/redfish/http.rs",
        1,
        "a BMC takes its boot address while it is asked, within one step",
    ),
    ("common/drivers/src/simulate.rs", 1, "a simulated dependency is as slow as a label says"),
    (
        "common/aws/src/nodes.rs",
        1,
        "a command whose answer was lost is listed a moment later, within one step",
    ),
    ("common/aws/src/answers.rs", 1, "the clock of a test, which keeps how long was waited"),
    ("common/aws/src/queues.rs", 1, "the messages of a dead letter queue, which an operator asks for"),
];

/// The functions and rules that run by the clock, and why nothing tells them instead.
const BY_THE_CLOCK: [(&str, &str); 2] = [
    ("WatchFlowFunction", "no service tells of a queue that grows; it looks at all of them once a minute"),
    (
        "InventoryRule",
        "what a BMC pushes may be lost, and then nobody tells of it; all are looked at four times a day",
    ),
];

/// The templates that are deployed, or that users begin with.
const TEMPLATES: [&str; 3] =
    ["template.yaml", "examples/orders/template.yaml", "examples/starter/template.yaml"];

#[test]
fn no_function_polls_or_sleeps_for_work() {
    let mut findings = Findings::of(
        "what is deployed waits by timers and messages; a pause inside of one call is listed in PAUSING with its reason",
    );
    let mut listed = 0;
    for file in sources().iter().filter(|file| !file.is_test()) {
        if !DEPLOYED.iter().any(|folder| file.path.starts_with(folder)) {
            continue;
        }
        let production = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        let is_code = |line: &&str| !line.trim_start().starts_with("//");
        let pauses = |line: &&str| PAUSES.iter().any(|pause| line.contains(pause));
        let found = production.lines().filter(is_code).filter(pauses).count();
        let allowed = PAUSING.iter().find(|(path, _, _)| *path == file.path);
        listed += usize::from(allowed.is_some());
        let times = allowed.map_or(0, |(_, times, _)| *times);
        findings.unless(found == times, &file.path, format!("pauses {found} times, and {times} are listed"));
    }
    findings.unless(listed == PAUSING.len(), "PAUSING", "lists a file that is not there");
    findings.none();
}

#[test]
fn nothing_runs_by_the_clock_but_what_is_listed() {
    let mut findings = Findings::of(
        "a function or a rule with a schedule is listed in BY_THE_CLOCK with its reason, and runs once a minute at most",
    );
    for file in TEMPLATES {
        // As long as the process lives, so that functions can refer to it.
        let template: &'static Template = Box::leak(Box::new(Template::load(root().join(file)).unwrap()));
        let mut schedules = 0;
        for function in functions_of(template) {
            let clocks = ["Schedule", "ScheduleV2"].map(|kind| function.sources(kind).count());
            let clocks: usize = clocks.iter().sum();
            schedules += clocks;
            let is_listed = BY_THE_CLOCK.iter().any(|(id, _)| *id == function.id);
            let place = format!("{file}: {}", function.id);
            findings.unless(clocks == usize::from(is_listed), place, format!("has {clocks} schedules"));
        }
        for (id, rule) in template.resources("AWS::Events::Rule") {
            if rule["Properties"]["ScheduleExpression"].is_string() {
                schedules += 1;
                let is_listed = BY_THE_CLOCK.iter().any(|(listed, _)| *listed == id);
                findings.unless(is_listed, format!("{file}: {id}"), "runs by the clock");
            }
        }
        // Others are found by how they say how often.
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let said = text.lines().filter(|line| line.contains("rate(") || line.contains("cron(")).count();
        findings.unless(said == schedules, file, format!("says {said} times how often something runs"));
        findings.unless(!text.contains("rate(1 second"), file, "runs something each second");
    }
    findings.none();
}
