//! What each command of the README and of the tutorial ends with.

/// How a command ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    /// It runs before the local cloud is left running, and says this.
    Before { says: &'static str },
    /// It runs beside the local cloud, ends with this exit code, and says this.
    Ends { code: i32, says: &'static str },
    /// It runs beside the local cloud where Prometheus watches its hosts, and says this.
    Watched { says: &'static str },
    /// It runs beside the local cloud, and says this within seconds: readers are slower than programs.
    Soon { says: &'static str },
    /// It runs a local cloud of its own, or needs none, and says this.
    Apart { says: &'static str },
    /// It cannot run here, for this reason.
    NotRun(&'static str),
}

/// The README's commands in order.
pub(crate) const README: &[(&str, Outcome)] = &[
    ("cargo hostler up --demo", Outcome::Before { says: "events and effects agree" }),
    ("cargo test", Outcome::NotRun("this test is a part of it")),
    ("cargo hostler hosts list", Outcome::Ends { code: 0, says: "25 available" }),
    (
        "cargo hostler requests create --pool web --role web --count 3 --id first --wait",
        Outcome::Ends { code: 0, says: "first.1" },
    ),
    ("cargo hostler provisionings list", Outcome::Ends { code: 0, says: "3 completed" }),
    (
        "cargo hostler provisionings show first.1",
        Outcome::Ends { code: 0, says: "reserve-host completed: host h-" },
    ),
    ("cargo hostler hosts show h-07", Outcome::Ends { code: 0, says: "h-07" }),
    ("cargo hostler hosts show h-07 --version 3", Outcome::Ends { code: 0, says: "h-07" }),
    ("cargo hostler hosts label h-25 simulate.configure=fail", Outcome::Ends { code: 0, says: "Accepted" }),
    (
        "cargo hostler requests create --pool lab --role web --id broken --wait",
        Outcome::Ends { code: 1, says: "did not complete" },
    ),
    ("cargo hostler provisionings show broken.1", Outcome::Ends { code: 0, says: "everything is undone" }),
    ("cargo hostler hosts label h-25 simulate.configure-", Outcome::Ends { code: 0, says: "Accepted" }),
    ("cargo hostler faults set h-25 busy --times 3", Outcome::Ends { code: 0, says: "503" }),
    (
        "cargo hostler requests create --pool lab --role web --id busy --wait",
        Outcome::Ends { code: 0, says: "completed" },
    ),
    ("cargo hostler watch --request busy --until-done", Outcome::Ends { code: 0, says: "busy.1" }),
    ("cargo hostler stats", Outcome::Ends { code: 0, says: "" }),
    (
        "cargo hostler hosts release h-25 --reason \"the test is over\"",
        Outcome::Ends { code: 0, says: "the release of h-25" },
    ),
    ("cargo hostler hosts list --pool lab --phase available --wait", Outcome::Ends { code: 0, says: "h-25" }),
    ("cargo hostler sagas list --kind deprovisioning", Outcome::Ends { code: 0, says: "completed" }),
    (
        "cargo hostler functions invoke triage-failures --sample dead-letter.sqs",
        Outcome::Ends { code: 0, says: "" },
    ),
    ("cargo hostler failures list --wait", Outcome::Ends { code: 0, says: "quarantined" }),
    (
        "cargo hostler failures show $(cargo hostler failures list -o ids | head -1)",
        Outcome::Ends { code: 0, says: "status" },
    ),
    (
        "cargo hostler failures retry --queue commands --reason \"h-01 is enrolled now\"",
        Outcome::Ends { code: 0, says: "Put back 1 of 1" },
    ),
    (
        "cargo hostler breakers open configuration --for 30s --reason \"maintenance\"",
        Outcome::Ends { code: 0, says: "is not called until" },
    ),
    ("cargo hostler breakers list", Outcome::Ends { code: 0, says: "held-open" }),
    (
        "cargo hostler requests create --pool web --role web --id patient --wait",
        Outcome::Ends { code: 0, says: "completed" },
    ),
    ("cargo hostler provisionings show patient.1 --timeline", Outcome::Ends { code: 0, says: "waits" }),
    (
        "cargo hostler policies list --section runbooks",
        Outcome::Ends { code: 0, says: "runbooks.restart.rungs.0.rung" },
    ),
    (
        "cargo hostler policies check infra/sites/local.yaml",
        Outcome::Ends { code: 0, says: "can be followed: 2 pools" },
    ),
    ("cargo hostler policies diff infra/sites/local.yaml", Outcome::Ends { code: 0, says: "already" }),
    ("cargo hostler policies try infra/sites/local.yaml", Outcome::Ends { code: 0, says: "Replayed from" }),
    ("cargo hostler incidents list", Outcome::Ends { code: 0, says: "" }),
    ("cargo hostler approvals list", Outcome::Ends { code: 0, says: "" }),
    ("cargo hostler budgets list", Outcome::Ends { code: 0, says: "No host is being disturbed." }),
    ("cargo hostler pools list", Outcome::Ends { code: 0, says: "" }),
    ("cargo hostler roles list", Outcome::Ends { code: 0, says: "newest" }),
    ("cargo hostler simulate list", Outcome::Ends { code: 0, says: "flash-sale" }),
    (
        "cargo hostler simulate rack-loss --hosts 12",
        Outcome::Watched { says: "nothing: no host is cordoned" },
    ),
    ("cargo hostler load show", Outcome::Ends { code: 0, says: "" }),
    ("cargo hostler events list --since 15m --limit 5", Outcome::Ends { code: 0, says: "RECORDED" }),
    (
        "cargo hostler events replay --stream host#h-07 --dry-run",
        Outcome::Ends { code: 0, says: "Would send" },
    ),
    ("cargo hostler events republish --since 15m --dry-run", Outcome::Ends { code: 0, says: "Would send" }),
    ("cargo hostler sagas list --status stuck", Outcome::Ends { code: 0, says: "There are no such sagas." }),
    (
        "cargo hostler sagas show provisioning/broken.1 --timeline",
        Outcome::Ends { code: 0, says: "everything is undone" },
    ),
    ("cargo hostler sagas skip --help", Outcome::Ends { code: 0, says: "--reason" }),
    ("cargo hostler commands list", Outcome::Ends { code: 0, says: "request-hosts" }),
    (
        "cargo hostler commands send label-host '{\"host\": \"h-02\", \"set\": {\"owner\": \"infra\"}}'",
        Outcome::Ends { code: 0, says: "Accepted" },
    ),
    ("cargo hostler up --example orders --demo", Outcome::Apart { says: "everything came as it should" }),
    ("cargo hostler new ~/shop", Outcome::Apart { says: "Made the application shop" }),
    ("(cd ~/shop && cargo test)", Outcome::Apart { says: "an_order_is_held_and_paid ... ok" }),
    ("cargo hostler --app ~/shop up --demo", Outcome::Apart { says: "everything came as it should" }),
    ("cargo hostler functions list", Outcome::Ends { code: 0, says: "relay-outbox" }),
    ("cargo hostler functions invoke answer-queries --sample http", Outcome::Ends { code: 0, says: "200" }),
    ("eval \"$(cargo hostler env)\"", Outcome::Ends { code: 0, says: "" }),
    (
        "export EVENTS_TABLE=$HOSTLER_EVENTS_TABLE VIEWS_TABLE=$HOSTLER_VIEWS_TABLE",
        Outcome::Ends { code: 0, says: "" },
    ),
    (
        "cargo lambda watch --package answer-queries",
        Outcome::NotRun("needs cargo-lambda, sam or an AWS account"),
    ),
    (
        "cargo lambda invoke answer-queries --data-file events/samples/lambda/answer-queries.http.json",
        Outcome::NotRun("needs cargo-lambda, sam or an AWS account"),
    ),
    (
        "cargo hostler events emit events/samples/host.cleaned.v1.json --dry-run",
        Outcome::Ends { code: 0, says: "would go to" },
    ),
    (
        "echo '{\"type\": \"label-host\", \"data\": {\"host\": \"h-03\", \"set\": {\"owner\": \"infra\"}}}' | cargo hostler events emit -",
        Outcome::Ends { code: 0, says: "accepted" },
    ),
    (
        "cargo lambda build --locked --release --arm64",
        Outcome::NotRun("needs cargo-lambda, sam or an AWS account"),
    ),
    (
        "sam deploy --parameter-overrides BmcUsername=admin BmcPassword=<secret> ImageUrl=https://images.example.org/images",
        Outcome::NotRun("needs cargo-lambda, sam or an AWS account"),
    ),
    (
        "cargo hostler --stack hostler --region eu-central-1 hosts list",
        Outcome::NotRun("needs an AWS account"),
    ),
    (
        "cargo lambda deploy --binary-name deploy-host --alias live <name of the function>",
        Outcome::NotRun("needs cargo-lambda, sam or an AWS account"),
    ),
    (
        "cargo test --package hostler-tests --test contracts",
        Outcome::NotRun("a test target of its own, which cargo test runs"),
    ),
    (
        "HOSTLER_TEST_CLOUD=localstack-host cargo test --package hostler-tests --test contracts",
        Outcome::NotRun("a test target of its own, which .ci/endpoints runs"),
    ),
    (
        "HOSTLER_TEST_CLOUD=moto cargo test --package hostler-tests --test contracts",
        Outcome::NotRun("a test target of its own, which .ci/endpoints runs"),
    ),
    (
        "HOSTLER_TEST_CLOUD=localstack cargo test --package hostler-tests --test contracts",
        Outcome::NotRun("needs Docker, or an endpoint that runs already"),
    ),
    (
        "HOSTLER_TEST_CLOUD=http://127.0.0.1:4566 cargo test --package hostler-tests --test contracts",
        Outcome::NotRun("needs Docker, or an endpoint that runs already"),
    ),
    ("cargo hostler bench pipeline", Outcome::NotRun("takes minutes and measures this machine")),
    ("cargo hostler cost", Outcome::Ends { code: 0, says: "" }),
];

/// The tutorial's commands in order.
pub(crate) const TUTORIAL: &[(&str, Outcome)] = &[
    ("cargo hostler up --example orders --demo", Outcome::Before { says: "order/eve" }),
    ("cargo hostler --app examples/orders commands list", Outcome::Ends { code: 0, says: "place-order" }),
    (
        "cargo hostler --app examples/orders commands send stock-item '{\"item\": \"tea\", \"quantity\": 100, \"lowBelow\": 10}'",
        Outcome::Ends { code: 0, says: "stock#tea is at version 1" },
    ),
    (
        "cargo hostler --app examples/orders commands send place-order '{\"order\": \"o-1\", \"customer\": \"ann@shop.test\", \"card\": \"4711\", \"lines\": [{\"item\": \"tea\", \"quantity\": 20, \"cents\": 10000}]}'",
        Outcome::Ends { code: 0, says: "order#o-1 is at version 1" },
    ),
    ("cargo hostler --app examples/orders sagas show order/o-1", Outcome::Soon { says: "approve started" }),
    (
        "cargo hostler --app examples/orders sagas approve order/o-1 --reason \"a good customer\"",
        Outcome::Ends { code: 0, says: "Accepted: approve of order/o-1" },
    ),
    ("cargo hostler --app examples/orders sagas list", Outcome::Soon { says: "shipment/o-1.ship" }),
    (
        "cargo hostler --app examples/orders sagas cancel order/o-1 --reason \"she changed her mind\"",
        Outcome::Ends { code: 0, says: "Accepted: cancel of order/o-1" },
    ),
    (
        "cargo hostler --app examples/orders sagas show order/o-1 --timeline",
        Outcome::Soon { says: "everything is undone" },
    ),
];
