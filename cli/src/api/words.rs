//! The orchestrator's answers in this program's words: its commands, not the API's routes.

use hostler_app::Register;

/// The operators' commands of the API whose names are not made of a noun and a verb of this program.
const IRREGULAR: [(&str, &str); 12] = [
    ("request-hosts", "requests create"),
    ("apply-policies", "policies apply"),
    ("approve-remediation", "approvals approve"),
    ("reject-remediation", "approvals reject"),
    ("approve-scaling", "pools approve"),
    ("reject-scaling", "pools reject"),
    ("refresh-advisory", "findings refresh"),
    ("rescan-host", "findings rescan"),
    // Sent by booting hosts; operators have no command for it.
    ("report-boot", "events emit"),
    // Sent by configuration runners.
    ("report-configuration", "events emit"),
    ("check-configuration", "hosts check"),
    ("restore-configuration", "hosts configure"),
];

/// The command of this program that sends an operator's command of the API: `enrol-host` is `hosts enrol`. The steps of
/// sagas are under `sagas`.
fn ours(command: &str) -> String {
    if let Some((_, ours)) = IRREGULAR.iter().find(|(api, _)| *api == command) {
        return (*ours).to_owned();
    }
    match command.rsplit_once('-') {
        Some((verb, "step")) => format!("sagas {verb}"),
        Some((verb, noun)) => format!("{noun}s {verb}"),
        None => command.to_owned(),
    }
}

/// A message in which the API's commands and routes are those of this program.
pub(crate) fn in_our_words(message: &str) -> String {
    let mut text = without_place(message).to_owned();
    for command in hostler_app::operations(hostler_app::Settings::default()).types() {
        text = replaced(&text, command, &format!("`hostler {}`", ours(command)));
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
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli as Program;

    #[test]
    fn every_operators_command_has_a_command_here() {
        let asked = hostler_app::operations(hostler_app::Settings::default());
        for name in asked.types() {
            let ours = ours(name);
            let (noun, verb) = ours.split_once(' ').unwrap_or_default();
            let program = Program::command();
            let found = program.find_subcommand(noun).and_then(|noun| noun.find_subcommand(verb));
            assert!(found.is_some(), "{name} would be `hostler {ours}`, which does not exist");
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
