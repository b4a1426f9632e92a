//! docs/hosts.md is drawn from the table of a host's phases.

use std::fmt::Write as _;

use hostler_domain::host::{Phase, TRANSITIONS, Transition};

use super::{COMMAND, Lines, is_drawn_in};

const DOCUMENT: &str = "docs/hosts.md";

/// A phase in a diagram, where a name has no hyphen.
fn node(phase: Phase) -> String {
    if phase == Phase::Unknown { "[*]".to_owned() } else { phase.name().replace('-', "_") }
}

fn diagram() -> String {
    let mut lines = Lines::default();
    for Transition { from, to, when, .. } in TRANSITIONS {
        for from in from.iter().filter(|from| *from != to) {
            lines.add(format!("{} --> {}: {when}", node(*from), node(*to)));
        }
    }
    format!("stateDiagram-v2\n{}", lines.text)
}

fn table() -> String {
    let mut text = "| phase | what happens | recorded as | leads to |\n|---|---|---|---|\n".to_owned();
    for phase in Phase::ALL {
        for row in TRANSITIONS.iter().filter(|row| row.from.contains(phase)) {
            let (from, to) = (phase.name(), row.to.name());
            // Writing to text cannot fail.
            let _ = writeln!(text, "| {from} | {:?}: {} | `{}` | {to} |", row.what, row.when, row.event);
        }
    }
    text
}

#[test]
fn the_phases_of_a_host_are_drawn_from_their_table() {
    let document = format!(
        "# The phases of a host\n\n\
         Drawn from the table `common/domain/src/host/phases.rs`; do not edit. `{COMMAND}` draws it again. What the table \
         does not have does not happen: a test tries each move in each phase.\n\n\
         ```mermaid\n{}```\n\n\
         The diagram leaves out what keeps the phase. Here is every row:\n\n{}",
        diagram(),
        table(),
    );
    is_drawn_in(DOCUMENT, &document);
}
