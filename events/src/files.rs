//! The files of `schemas/` and `samples/` as text: the one list of them, checked against the folders by test.

/// The two files of a contract in one version.
pub(crate) struct ContractFiles {
    pub(crate) name: &'static str,
    pub(crate) version: u32,
    pub(crate) schema: &'static str,
    pub(crate) sample: &'static str,
}

macro_rules! contract_files {
    ($( $name:literal v $version:literal, )+) => {
        pub(crate) const CONTRACTS: &[ContractFiles] = &[$(
            ContractFiles {
                name: $name,
                version: $version,
                schema: include_str!(concat!("../schemas/", $name, ".v", $version, ".json")),
                sample: include_str!(concat!("../samples/", $name, ".v", $version, ".json")),
            },
        )+];
    };
}

macro_rules! lambda_files {
    ($( $function:literal . $name:literal, )+) => {
        pub(crate) const LAMBDA: &[(&str, &str, &str)] = &[$(
            ($function, $name, include_str!(concat!("../samples/lambda/", $function, ".", $name, ".json"))),
        )+];
    };
}

contract_files! {
    "apply-role" v 1,
    "approve-request" v 1,
    "cancel-provisioning" v 1,
    "capacity.approval-requested" v 1,
    "capacity.approved" v 1,
    "capacity.rejected" v 1,
    "capacity.requested" v 1,
    "clean-host" v 1,
    "deploy-image" v 1,
    "deregister-monitoring" v 1,
    "discard-failure" v 1,
    "edit-failure" v 1,
    "end-follower" v 1,
    "enrol-host" v 1,
    "failure.discarded" v 1,
    "failure.edited" v 1,
    "failure.followed" v 1,
    "failure.follower-ended" v 1,
    "failure.lane-closed" v 1,
    "failure.overdue" v 1,
    "failure.quarantined" v 1,
    "failure.recorded" v 1,
    "failure.recurred" v 1,
    "failure.released" v 1,
    "failure.resent" v 1,
    "failure.resolved" v 1,
    "failure.retry-scheduled" v 1,
    "finish-cleaning" v 1,
    "finish-deploy" v 1,
    "flow.level-changed" v 1,
    "follow-failure" v 1,
    "host.cleaned" v 1,
    "host.cleaning-booted" v 1,
    "host.cleaning-failed" v 1,
    "host.cleaning-started" v 1,
    "host.configuration-applied" v 1,
    "host.deploy-booted" v 1,
    "host.deploy-completed" v 1,
    "host.deploy-started" v 1,
    "host.enrolled" v 1,
    "host.in-service" v 1,
    "host.inspected" v 1,
    "host.labelled" v 1,
    "host.monitoring-deregistered" v 1,
    "host.monitoring-registered" v 1,
    "host.power-state-changed" v 1,
    "host.quarantined" v 1,
    "host.released" v 1,
    "host.requalified" v 1,
    "host.reserved" v 1,
    "host.step-deferred" v 1,
    "host.step-failed" v 1,
    "host.undeploy-started" v 1,
    "host.undeployed" v 1,
    "host.verification-failed" v 1,
    "host.verified" v 1,
    "label-host" v 1,
    "provisioning.cancel-requested" v 1,
    "provisioning.compensation-completed" v 1,
    "provisioning.compensation-skipped" v 1,
    "provisioning.compensation-started" v 1,
    "provisioning.completed" v 1,
    "provisioning.resumed" v 1,
    "provisioning.started" v 1,
    "provisioning.state-sla-exceeded" v 1,
    "provisioning.step-deferred" v 1,
    "provisioning.step-failed" v 1,
    "provisioning.step-started" v 1,
    "provisioning.step-succeeded" v 1,
    "provisioning.stuck" v 1,
    "register-monitoring" v 1,
    "reject-request" v 1,
    "release-failure" v 1,
    "release-reservation" v 1,
    "report-boot" v 1,
    "requalify-host" v 1,
    "request-hosts" v 1,
    "resend-failure" v 1,
    "reservation.candidate-chosen" v 1,
    "reservation.candidate-lost" v 1,
    "reservation.closed" v 1,
    "reservation.failed" v 1,
    "reservation.released" v 1,
    "reserve-host" v 1,
    "resolve-failure" v 1,
    "resume-provisioning" v 1,
    "retry-failure" v 1,
    "skip-compensation" v 1,
    "start-provisioning" v 1,
    "undeploy-host" v 1,
    "verify-host" v 1,
}

lambda_files! {
    "accept-commands" . "callback.http",
    "accept-commands" . "http",
    "accept-commands" . "sqs",
    "answer-queries" . "http",
    "answer-queries" . "past.http",
    "answer-queries" . "timeline.http",
    "configure-host" . "apply-role.sqs",
    "deploy-host" . "clean-host.sqs",
    "deploy-host" . "deploy-image.sqs",
    "deploy-host" . "finish-cleaning.sqs",
    "deploy-host" . "finish-deploy.sqs",
    "deploy-host" . "release-reservation.sqs",
    "deploy-host" . "reserve-host.sqs",
    "deploy-host" . "timer.sqs",
    "deploy-host" . "undeploy-host.sqs",
    "deploy-host" . "verify-host.sqs",
    "fire-timers" . "sqs",
    "monitor-host" . "deregister-monitoring.sqs",
    "monitor-host" . "register-monitoring.sqs",
    "project-views" . "sqs",
    "provision-hosts" . "event.sqs",
    "provision-hosts" . "start.sqs",
    "provision-hosts" . "timer.sqs",
    "relay-outbox" . "stream",
    "triage-failures" . "end-follower.sqs",
    "triage-failures" . "follow-failure.sqs",
    "triage-failures" . "letter.sqs",
    "triage-failures" . "release-failure.sqs",
    "triage-failures" . "resend-failure.sqs",
    "triage-failures" . "resolve-failure.sqs",
    "watch-flow" . "schedule",
}

/// The schemas of the envelopes: what is around every payload.
pub(crate) const ENVELOPES: &[(&str, u32, &str)] = &[
    ("envelope", 1, include_str!("../schemas/envelope.v1.json")),
    ("command", 1, include_str!("../schemas/command.v1.json")),
    ("timer", 1, include_str!("../schemas/timer.v1.json")),
];

/// An event as EventBridge hands it to its targets.
pub(crate) const ON_THE_BUS: &str = include_str!("../samples/eventbridge/host.reserved.json");
