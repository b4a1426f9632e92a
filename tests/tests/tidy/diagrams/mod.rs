//! docs/sagas.md and docs/hosts.md are drawn from the code: by running the deciders, and from plans and tables.

mod hosts;
mod phases;

use std::collections::BTreeSet;
use std::fs;

use hostler_app::Hostler;
use hostler_core::saga::SagaDefinition;
use hostler_core::{Payload, saga};
use hostler_events::samples;
use hostler_runtime::register::{Application, Entities, Entity, SagaEntry, Viewed};
use hostler_testkit::sample_saga::OrderSaga;
use serde_json::Value;

use hostler_tests::root;

const DOCUMENT: &str = "docs/sagas.md";
const COMMAND: &str = "HOSTLER_BLESS=1 cargo test -p hostler-tests --test tidy diagrams";

/// Lines of a diagram, each once, in the order of their finding.
#[derive(Default)]
struct Lines {
    seen: BTreeSet<String>,
    text: String,
}

impl Lines {
    fn add(&mut self, line: String) {
        if self.seen.insert(line.clone()) {
            self.text.push_str("    ");
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }
}

/// The golden sample of an event, with some of its fields changed.
fn sample<E: Payload>(event_type: &str, changes: &[(&str, &str)]) -> E {
    let text = samples::sample_text(event_type, 1).unwrap();
    let mut data = serde_json::from_str::<Value>(text).unwrap()["data"].take();
    for (field, value) in changes {
        if data.get(field).is_some() {
            data[*field] = Value::String((*value).to_owned());
        }
    }
    E::from_data(event_type, 1, &data.into()).unwrap()
}

/// The plan of a definition's newest version, for its first example.
fn plan_of<D: SagaDefinition>() -> String {
    saga::mermaid(&D::plan(D::VERSION, &D::examples()[0]).unwrap())
}

/// The sagas of the register.
#[derive(Default)]
struct Orchestrated(String);

impl Entities for Orchestrated {
    fn viewed<E: Viewed>(&mut self) {}

    fn hidden<E: Entity>(&mut self) {}

    fn saga<S: SagaEntry>(&mut self) {
        let (kind, plan) = (S::Definition::KIND, plan_of::<S::Definition>());
        self.0.push_str(&format!(
            "## Orchestrated: {kind}\n\n\
             The plan of `common/domain/src/{kind}`, with the default policy.\n\n\
             ```mermaid\n{plan}```\n\n"
        ));
    }
}

fn document() -> String {
    let (mut orchestrated, sample) = (Orchestrated::default(), plan_of::<OrderSaga>());
    Hostler::entities(&mut orchestrated);
    format!(
        "# Sagas\n\n\
         Drawn from the code by running it; do not edit. `{COMMAND}` draws it again.\n\n\
         When a step fails for good, or a person cancels, the compensations of what was begun run in reverse order; one that \
         several steps share runs once. Whatever happens, a saga ends completed, compensated or stuck.\n\n\
         {}\
         ## Choreographed: making a host available\n\n\
         No saga leads here: each host reacts to what it hears. An arrow says what is heard, what is recorded, \
         and what is asked for.\n\n\
         ```mermaid\n{}```\n\n\
         ## As data: the sample saga\n\n\
         `common/core/src/saga` runs any plan of stages, branches, child sagas, callbacks and approvals. This \
         is the one its rules are told with (`common/testkit/src/sample_saga.rs`).\n\n\
         ```mermaid\n{sample}```\n",
        orchestrated.0,
        hosts::drawn(),
    )
}

#[test]
fn the_sagas_are_drawn_as_they_run() {
    is_drawn_in(DOCUMENT, &document());
}

/// Fails where the document is not what was drawn; writes it where it is asked to.
fn is_drawn_in(name: &str, drawn: &str) {
    let path = root().join(name);
    if std::env::var_os("HOSTLER_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, drawn).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == drawn, "{name} does not show what the code does: draw it again with {COMMAND}");
}
