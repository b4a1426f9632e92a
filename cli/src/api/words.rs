//! The orchestrator's answers in this program's words: its commands, not the API's routes.

/// An operator's command of the API, and the command of this program that sends it.
pub(crate) const COMMANDS: [(&str, &str); 13] = [
    ("enrol-host", "hosts enrol"),
    ("label-host", "hosts label"),
    ("requalify-host", "hosts requalify"),
    ("request-hosts", "requests create"),
    ("approve-request", "requests approve"),
    ("reject-request", "requests reject"),
    ("cancel-provisioning", "provisionings cancel"),
    ("resume-provisioning", "provisionings resume"),
    ("skip-compensation", "provisionings skip"),
    ("retry-failure", "failures retry"),
    ("edit-failure", "failures edit"),
    ("discard-failure", "failures discard"),
    // Sent by booting hosts; operators have no command for it.
    ("report-boot", "events emit"),
];

/// Views by their routes.
const VIEWS: [&str; 5] = ["hosts", "provisionings", "requests", "failures", "sagas"];

/// A message in which the API's commands and routes are those of this program.
pub(crate) fn in_our_words(message: &str) -> String {
    let mut text = message.to_owned();
    for (api, ours) in COMMANDS {
        text = replaced(&text, api, &format!("`hostler {ours}`"));
    }
    for view in VIEWS {
        text = replaced(&text, &format!("GET /{view}"), &format!("`hostler {view} list`"));
    }
    text
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
        for name in hostler_events::OperatorCommand::NAMES {
            assert!(COMMANDS.iter().any(|(api, _)| api == name), "{name}");
        }
    }

    #[test]
    fn answers_name_commands_of_this_program() {
        assert_eq!(
            in_our_words("this host is not known: enrol it first with enrol-host"),
            "this host is not known: enrol it first with `hostler hosts enrol`"
        );
        assert_eq!(in_our_words("list them with GET /hosts"), "list them with `hostler hosts list`");
        assert_eq!(in_our_words("step re-enrol-host failed"), "step re-enrol-host failed");
    }
}
