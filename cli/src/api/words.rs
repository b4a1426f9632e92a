//! The orchestrator's answers in this program's words: its commands, not the API's routes.

use hostler_app::Register;

/// An operator's command of the API, and the command of this program that sends it.
const COMMANDS: [(&str, &str); 16] = [
    ("enrol-host", "hosts enrol"),
    ("label-host", "hosts label"),
    ("requalify-host", "hosts requalify"),
    ("request-hosts", "requests create"),
    ("approve-request", "requests approve"),
    ("reject-request", "requests reject"),
    ("cancel-saga", "sagas cancel"),
    ("resume-saga", "sagas resume"),
    ("skip-step", "sagas skip"),
    ("edit-step", "sagas edit"),
    ("approve-step", "sagas approve"),
    ("reject-step", "sagas reject"),
    ("retry-failure", "failures retry"),
    ("edit-failure", "failures edit"),
    ("discard-failure", "failures discard"),
    // Sent by booting hosts; operators have no command for it.
    ("report-boot", "events emit"),
];

/// A message in which the API's commands and routes are those of this program.
pub(crate) fn in_our_words(message: &str) -> String {
    let mut text = without_place(message).to_owned();
    for (api, ours) in COMMANDS {
        text = replaced(&text, api, &format!("`hostler {ours}`"));
    }
    for view in Register::categories().into_iter().filter_map(|category| category.view) {
        text = replaced(&text, &format!("GET /{view}"), &format!("`hostler {view} list`"));
    }
    text
}

/// A message without the place in a text of one line that this program wrote.
fn without_place(message: &str) -> &str {
    match message.rsplit_once(" at line 1 column ") {
        Some((before, column)) if column.bytes().all(|byte| byte.is_ascii_digit()) => before,
        _ => message,
    }
}

/// Replaces a word where it stands alone.
fn replaced(text: &str, word: &str, with: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(word) {
        let (before, found) = rest.split_at(at);
        let after = &found[word.len()..];
        let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '`');
        written.push_str(before);
        let alone = !written.ends_with(part) && !after.starts_with(part);
        written.push_str(if alone { with } else { word });
        rest = after;
    }
    written + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operators_command_has_a_command_here() {
        let asked = hostler_app::operations(hostler_app::Settings::default());
        for name in asked.types() {
            assert!(COMMANDS.iter().any(|(api, _)| *api == name), "{name}");
        }
    }

    #[test]
    fn answers_name_commands_of_this_program() {
        assert_eq!(
            in_our_words("this host is not known: enrol it first with enrol-host"),
            "this host is not known: enrol it first with `hostler hosts enrol`"
        );
        assert_eq!(in_our_words("list them with GET /hosts"), "list them with `hostler hosts list`");
        let misfit = "place-order v1 does not fit its schema: missing field `card` at line 1 column 15";
        assert_eq!(in_our_words(misfit), "place-order v1 does not fit its schema: missing field `card`");
        assert_eq!(in_our_words("step re-enrol-host failed"), "step re-enrol-host failed");
    }
}
