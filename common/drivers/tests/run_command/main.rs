//! Roles by Run Command: what is sent, and what the ends of commands are taken for. The outputs are what the document's `unzip` and
//! Ansible 2.19 write.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_drivers::run_command::{CommandEnd, RanTaskResult, Run, RunEnd};
use hostler_drivers::{ApplyRole, Applying, Checking, Configuration, DriverError, RunCommandConfiguration};
use hostler_runtime::ports::{
    CommandStatus, EntryFailure, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters,
};
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const NODE: &str = "mi-0123456789abcdef0";

/// Systems Manager in memory.
#[derive(Default)]
struct Memory {
    nodes: Vec<ManagedNode>,
    parameters: BTreeMap<String, String>,
    sent: Mutex<Vec<(String, NodeCommand)>>,
    invocation: Option<Invocation>,
    status: Option<CommandStatus>,
    failure: Option<EntryFailure>,
}

#[async_trait]
impl NodeCommands for Memory {
    async fn nodes(&self, tag: &str, value: &str) -> Result<Vec<ManagedNode>, EntryFailure> {
        assert!(tag == "hostler-host" && ["h-1", "rack-1/h-1"].contains(&value), "{tag}={value}");
        Ok(self.nodes.clone())
    }

    async fn send(&self, node: &str, command: &NodeCommand) -> Result<(), EntryFailure> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let mut sent = self.sent.lock().unwrap();
        if !sent.iter().any(|(_, of)| of.comment.starts_with(&command.same)) {
            sent.push((node.to_owned(), command.clone()));
        }
        Ok(())
    }

    async fn invocation(&self, _: &str, _: &str, step: &str) -> Result<Option<Invocation>, EntryFailure> {
        assert_eq!(step, "runShellScript");
        Ok(self.invocation.clone())
    }

    async fn status(&self, _: &str, _: &str) -> Result<Option<CommandStatus>, EntryFailure> {
        Ok(self.status.clone())
    }
}

#[async_trait]
impl Parameters for Memory {
    async fn parameter(&self, name: &str) -> Result<Option<String>, EntryFailure> {
        Ok(self.parameters.get(name).cloned())
    }
}

fn node(id: &str, registered_at: &str, is_online: bool) -> ManagedNode {
    ManagedNode { id: id.to_owned(), registered_at: registered_at.parse().ok(), is_online }
}

fn memory() -> Memory {
    Memory {
        nodes: vec![node(NODE, "2026-01-31T11:00:00Z", true)],
        parameters: BTreeMap::from([("/hostler/roles/web".to_owned(), "9f3b1c7d\n".to_owned())]),
        ..Memory::default()
    }
}

fn driver(memory: Memory) -> (Arc<Memory>, RunCommandConfiguration) {
    let memory = Arc::new(memory);
    let source = "https://s3.eu-central-1.amazonaws.com/bucket/roles/".parse().unwrap();
    (memory.clone(), RunCommandConfiguration::new(memory.clone(), memory, source))
}

fn request() -> ApplyRole {
    ApplyRole {
        saga: "provisioning#p".to_owned(),
        step: "p/apply-role/1".to_owned(),
        token: TOKEN.to_owned(),
        host: "h-1".to_owned(),
        role: "web".to_owned(),
        ..ApplyRole::default()
    }
}

fn reason(error: &DriverError) -> (String, bool) {
    (error.to_string(), error.is_transient())
}

#[tokio::test]
async fn the_newest_revision_is_sent_to_the_node_of_the_host_with_what_tells_whose_it_is() {
    let (memory, driver) = driver(memory());
    assert!(driver.calls_back());
    assert_eq!(driver.apply_role(&request()).await.unwrap(), Applying::Begun);
    let sent = memory.sent.lock().unwrap().clone();
    let [(to, command)] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!((to.as_str(), command.document.as_str()), (NODE, "AWS-ApplyAnsiblePlaybooks"));
    assert_eq!(command.comment, "hostler/h-1/0123456789abcdef/newest/9f3b1c7d");
    let told = |name: &str| command.parameters[name].as_str();
    let bundle: Value = serde_json::from_str(told("SourceInfo")).unwrap();
    let path = "https://s3.eu-central-1.amazonaws.com/bucket/roles/web/9f3b1c7d.zip";
    assert_eq!(bundle, json!({ "path": path }));
    assert_eq!((told("PlaybookFile"), told("Check"), told("SourceType")), ("playbook.yaml", "False", "S3"));
    assert_eq!(told("ExtraVariables"), "SSM=True hostler_role=web hostler_revision=9f3b1c7d");
    // A step's deadline is 15 minutes, and nothing is heard of a run before its end. The download takes its time as well.
    let run: u16 = told("TimeoutSeconds").parse().unwrap();
    assert!(command.delivery_seconds + run <= 900 - 180);
}

/// A worker that died sends again, and the newest revision may be another one by then.
#[tokio::test]
async fn a_repeat_is_the_same_order_whichever_revision_is_the_newest_by_then() {
    let (first, of_first) = driver(memory());
    of_first.apply_role(&request()).await.unwrap();
    let sent = first.sent.lock().unwrap().clone();
    let newer = BTreeMap::from([("/hostler/roles/web".to_owned(), "8".to_owned())]);
    let (memory, driver) = driver(Memory { sent: Mutex::new(sent), parameters: newer, ..memory() });
    driver.apply_role(&request()).await.unwrap();
    assert_eq!(memory.sent.lock().unwrap().len(), 1);
    // The last good revision of the same step is another order, and so is another step.
    let last_good = ApplyRole { revision: Some("7".to_owned()), ..request() };
    driver.apply_role(&last_good).await.unwrap();
    driver.apply_role(&last_good).await.unwrap();
    let next = ApplyRole { token: TOKEN.replace("01", "99"), ..request() };
    driver.apply_role(&next).await.unwrap();
    let comments: Vec<String> =
        memory.sent.lock().unwrap().iter().map(|(_, command)| command.comment.clone()).collect();
    let expected = [
        "hostler/h-1/0123456789abcdef/newest/9f3b1c7d",
        "hostler/h-1/0123456789abcdef/asked/7",
        "hostler/h-1/9923456789abcdef/newest/8",
    ];
    assert_eq!(comments, expected);
}

#[tokio::test]
async fn a_check_changes_nothing() {
    let (memory, driver) = driver(memory());
    assert_eq!(driver.check_role(&request()).await.unwrap(), Checking::Begun);
    assert_eq!(memory.sent.lock().unwrap()[0].1.parameters["Check"], "True");
}

/// A machine that is installed again is another node, and the one before it stays registered.
#[tokio::test]
async fn a_host_is_the_node_that_was_registered_last() {
    let again = vec![
        node("mi-1", "2026-01-30T11:00:00Z", false),
        node("mi-2", "2026-01-31T11:00:00Z", true),
        node("mi-3", "2026-01-29T11:00:00Z", true),
    ];
    let (memory, of_again) = driver(Memory { nodes: again, ..memory() });
    of_again.apply_role(&request()).await.unwrap();
    assert_eq!(memory.sent.lock().unwrap()[0].0, "mi-2");
    for (nodes, said, transient) in [
        (vec![], "no managed node has the tag hostler-host=h-1", true),
        (vec![node("mi-1", "2026-01-31T11:00:00Z", false)], "no agent of mi-1 is online", true),
    ] {
        let (_, driver) = driver(Memory { nodes, ..self::memory() });
        let (told, is_transient) = reason(&driver.apply_role(&request()).await.unwrap_err());
        assert!(told.contains(said) && is_transient == transient, "{told}");
    }
}

/// Instances have no date of registration.
#[tokio::test]
async fn of_nodes_of_which_none_was_registered_last_the_one_that_is_online_is_the_host() {
    let both = |one, other| vec![node("i-1", "", one), node("i-2", "", other)];
    for (one, other, expected) in [(true, false, "i-1"), (false, true, "i-2")] {
        let (memory, driver) = driver(Memory { nodes: both(one, other), ..memory() });
        driver.apply_role(&request()).await.unwrap();
        assert_eq!(memory.sent.lock().unwrap()[0].0, expected);
    }
    for (nodes, said, transient) in [
        (both(true, true), "i-1 and i-2 both have the tag", false),
        (both(false, false), "no agent of i-1 or i-2 is online", true),
    ] {
        let (_, driver) = driver(Memory { nodes, ..memory() });
        let (told, is_transient) = reason(&driver.apply_role(&request()).await.unwrap_err());
        assert!(told.contains(said) && is_transient == transient, "{told}");
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_with_what_to_do() {
    let long = "h".repeat(70);
    for (request, said) in [
        (ApplyRole { role: "db".to_owned(), ..request() }, "the parameter /hostler/roles/db"),
        (ApplyRole { role: "../web".to_owned(), ..request() }, "is no name of a role"),
        (ApplyRole { revision: Some("a/b".to_owned()), ..request() }, "is no revision of a role"),
        (ApplyRole { revision: Some("..".to_owned()), ..request() }, "is no revision of a role"),
        (ApplyRole { host: long, ..request() }, "are 11 too long"),
    ] {
        let (memory, driver) = driver(memory());
        let (told, transient) = reason(&driver.apply_role(&request).await.unwrap_err());
        assert!(told.contains(said) && !transient, "{told}");
        assert!(memory.sent.lock().unwrap().is_empty());
    }
    for retryable in [true, false] {
        let failure = EntryFailure { retryable, code: "So".to_owned(), message: "so it is".to_owned() };
        let (_, driver) = driver(Memory { failure: Some(failure), ..memory() });
        let error = driver.apply_role(&request()).await.unwrap_err();
        assert_eq!((error.is_transient(), error.is_outage()), (retryable, retryable));
    }
}

#[test]
fn the_source_of_roles_is_a_folder_in_s3() {
    use hostler_drivers::RolesSource;
    for wrong in [
        "",
        "s3://bucket/roles",
        "http://s3.amazonaws.com/bucket",
        "https://s3.amazonaws.com",
        "https://x/y?z=1",
    ] {
        let said = wrong.parse::<RolesSource>().unwrap_err().to_string();
        assert!(said.contains(&format!("{wrong:?}")) && said.contains("parameter RolesSource"), "{said}");
    }
}

/// What a command did that ended so, with this output and these errors.
async fn ended(end: CommandEnd, details: &str, code: i32, (output, errors): (&str, &str)) -> Run {
    let comment = "hostler/h-1/0123456789abcdef/newest/9f3b1c7d".to_owned();
    let (details, output, errors) = (details.to_owned(), output.to_owned(), errors.to_owned());
    let invocation = Some(Invocation { comment, details, code, output, errors });
    let (_, driver) = driver(Memory { invocation, ..memory() });
    driver.ended("c-1", NODE, end).await.unwrap().unwrap()
}

fn tasks(run: &Run) -> Vec<(&str, RanTaskResult, &str, &str)> {
    run.tasks.iter().map(|it| (&*it.task, it.result, &*it.message, &*it.path)).collect()
}

#[tokio::test]
async fn a_run_that_did_every_task_names_those_that_changed_something() {
    let run = ended(CommandEnd::Succeeded, "Success", 0, (include_str!("applied.txt"), "")).await;
    assert_eq!((run.host.as_str(), run.revision.as_str(), run.was_asked_for), ("h-1", "9f3b1c7d", false));
    assert!(run.is_of(TOKEN) && !run.is_of("0123456789abcdee") && !run.is_of(""));
    assert_eq!((run.end, run.message.as_str()), (RunEnd::Succeeded, ""));
    assert!(run.has_changed() && run.is_whole);
    // A task that fails and may is none of them.
    let expected = [
        ("web : Write the configuration", RanTaskResult::Changed, "", "/etc/hostler/web.conf"),
        ("web : Make the folders", RanTaskResult::Changed, "", "/etc/hostler/a"),
    ];
    assert_eq!(tasks(&run), expected);
    let run = ended(CommandEnd::Succeeded, "Success", 0, (include_str!("unchanged.txt"), "")).await;
    assert_eq!((run.end, run.has_changed(), run.tasks.len()), (RunEnd::Succeeded, false, 0));
}

#[tokio::test]
async fn a_role_that_fails_says_the_tasks_own_message_and_is_no_better_the_next_time() {
    let run =
        ended(CommandEnd::Failed, "Failed", 2, (include_str!("failed.txt"), "failed to run commands")).await;
    let message = "web : Check that the server would start: the configuration names no port";
    assert_eq!((run.end, run.message.as_str()), (RunEnd::Failed, message));
    assert_eq!(run.tasks.len(), 3);
    let last = tasks(&run)[2];
    assert_eq!((last.1, last.2), (RanTaskResult::Failed, "the configuration names no port"));
    let unreachable =
        "PLAY [all] ***\n\nTASK [web : x] ***\nfatal: [localhost]: UNREACHABLE! => {\"msg\": \"no sudo\"}\n";
    let run = ended(CommandEnd::Failed, "Failed", 4, (unreachable, "")).await;
    assert_eq!((run.end, run.message.as_str()), (RunEnd::Unreachable, "web : x: no sudo"));
}

#[tokio::test]
async fn a_task_whose_own_words_are_those_of_a_host_that_does_not_answer_has_failed() {
    let output = "PLAY [all] ***\n\nTASK [web : x] ***\nfatal: [localhost]: FAILED! => {\"msg\": \"db: UNREACHABLE!\"}\n";
    let run = ended(CommandEnd::Failed, "Failed", 2, (output, "")).await;
    assert_eq!((run.end, run.message.as_str()), (RunEnd::Failed, "web : x: db: UNREACHABLE!"));
    let item = "PLAY [all] ***\n\nTASK [web : x] ***\nfailed: [localhost] (item=UNREACHABLE!) => {\"msg\": \"no\"}\n";
    assert_eq!(ended(CommandEnd::Failed, "Failed", 2, (item, "")).await.end, RunEnd::Failed);
}

#[tokio::test]
async fn a_playbook_that_has_nothing_for_the_host_has_applied_nothing() {
    let recap = "PLAY RECAP ******\n";
    let output = format!("PLAY [db] ******\nskipping: no hosts matched\n\n{recap}\n");
    let run = ended(CommandEnd::Succeeded, "Success", 0, (&output, "")).await;
    assert_eq!((run.end, run.is_whole), (RunEnd::Failed, true));
    assert!(run.message.contains("playbook.yaml has no play for localhost"), "{}", run.message);
    // What was cut right behind the recap does not say so.
    let tasks = "TASK [web : one] ***\nok: [localhost] => {\"changed\": false}\n".repeat(400);
    let cut = format!("PLAY [all] ******\n{tasks}{recap}");
    let run = ended(CommandEnd::Succeeded, "Success", 0, (&cut, "")).await;
    assert_eq!((run.end, run.is_whole), (RunEnd::Succeeded, false));
}

#[tokio::test]
async fn what_a_role_would_change_is_told_by_its_tasks() {
    let run = ended(CommandEnd::Succeeded, "Success", 0, (include_str!("checked.txt"), "")).await;
    let expected = [
        ("web : Write the configuration", RanTaskResult::Changed, "", ""),
        ("web : Make the folders", RanTaskResult::Changed, "", "/etc/hostler/a"),
    ];
    assert_eq!(tasks(&run), expected);
}

/// Of a long output the beginning is kept, and the summary at its end is not.
#[tokio::test]
async fn an_output_of_which_the_end_is_missing_is_known_by_that() {
    let output = include_str!("failed.txt");
    let cut = &output[..output.find("TASK [web : Ask").unwrap()];
    let run = ended(CommandEnd::Failed, "Failed", 2, (cut, "failed to run commands: exit status 2")).await;
    assert_eq!((run.end, run.is_whole, run.tasks.len()), (RunEnd::Failed, false, 2));
    assert_eq!(run.message, "the playbook ended with 2: failed to run commands: exit status 2");
    // A line that is cut in its midst still tells which task it was.
    let cut = &output[..output.find("\"checksum\"").unwrap()];
    let run = ended(CommandEnd::Succeeded, "Success", 0, (cut, "")).await;
    assert_eq!(tasks(&run), [("web : Write the configuration", RanTaskResult::Changed, "", "")]);
}

/// The document writes the name of each file of a bundle before Ansible writes anything.
#[tokio::test]
async fn an_output_that_the_names_of_files_have_filled_is_judged_by_the_exit_code() {
    let names: String = (0..700).map(|n| format!("  inflating: roles/web/files/{n:04}.conf  \n")).collect();
    let output = format!("Archive:  ./9f3b1c7d.zip\n{}", &names[..23_975]);
    let no_playbook = "The specified Playbook file doesn't exist in the downloaded bundle.";
    for (code, errors, expected) in [
        (2, "exit status 2", RunEnd::Failed),
        (4, "exit status 4", RunEnd::Unreachable),
        (1, "exit status 1", RunEnd::FailedTransiently),
        (2, no_playbook, RunEnd::FailedTransiently),
    ] {
        let run = ended(CommandEnd::Failed, "Failed", code, (&output, errors)).await;
        assert_eq!((run.end, run.is_whole), (expected, false), "{code} {errors}");
        assert!(run.message.contains(errors), "{}", run.message);
    }
    let run = ended(CommandEnd::Succeeded, "Success", 0, (&output, "")).await;
    assert_eq!((run.end, run.is_whole), (RunEnd::Succeeded, false));
    // Where there was place for more, nothing was run.
    let few = "Archive:  ./9f3b1c7d.zip\n  inflating: playbook.yaml\n";
    assert_eq!(ended(CommandEnd::Failed, "Failed", 2, (few, "")).await.end, RunEnd::FailedTransiently);
    // The same where the end of the playbook is missing.
    let failed = include_str!("failed.txt");
    let cut = &failed[..failed.find("TASK [web : Check").unwrap()];
    assert_eq!(ended(CommandEnd::Failed, "Failed", 4, (cut, "")).await.end, RunEnd::Unreachable);
}

#[tokio::test]
async fn every_other_end_of_a_command_is_of_the_same_kinds_as_a_runners() {
    let none = "no task was run: see that Ansible and unzip are installed";
    let no_bundle = "is not in S3, could not be downloaded, or has no playbook.yaml";
    for (end, details, errors, expected, said) in [
        (CommandEnd::TimedOut, "Delivery Timed Out", "", RunEnd::Unreachable, "did not take the command"),
        (CommandEnd::TimedOut, "DeliveryTimedOut", "", RunEnd::Unreachable, "did not take the command"),
        (CommandEnd::Failed, "Undeliverable", "", RunEnd::Unreachable, "did not take the command"),
        (CommandEnd::TimedOut, "Execution Timed Out", "", RunEnd::TimedOut, "ended after 600 s"),
        (CommandEnd::Cancelled, "Cancelled", "", RunEnd::Lost, "was cancelled"),
        (CommandEnd::Failed, "Failed", "", RunEnd::FailedTransiently, none),
        (CommandEnd::Failed, "Failed", "[ERROR]: YAML parsing failed", RunEnd::Failed, "YAML parsing failed"),
        // So it says also where it could not download the bundle.
        (
            CommandEnd::Failed,
            "Failed",
            "The specified Playbook file doesn't exist",
            RunEnd::FailedTransiently,
            no_bundle,
        ),
        (CommandEnd::Failed, "Execution Timed Out", "", RunEnd::TimedOut, "ended after 600 s"),
        (CommandEnd::Failed, "Invalid Platform", "", RunEnd::FailedTransiently, "says InvalidPlatform"),
        (CommandEnd::Failed, "Success", "", RunEnd::FailedTransiently, "another one of the document failed"),
    ] {
        let run = ended(end, details, -1, ("", errors)).await;
        assert_eq!(run.end, expected, "{details}");
        assert!(run.message.contains(said), "{}", run.message);
    }
}

#[tokio::test]
async fn a_command_that_is_not_ours_is_none_and_one_that_is_not_seen_yet_is_asked_for_again() {
    for comment in ["", "patching", "hostler/", "hostler/h-1/newest/7", "hostler/h-1/0123/oldest/7"] {
        let comment = comment.to_owned();
        let status = CommandStatus { comment: comment.clone(), details: "Success".to_owned() };
        let invocation = Some(Invocation { comment, ..Invocation::default() });
        for memory in [Memory { invocation, ..memory() }, Memory { status: Some(status), ..memory() }] {
            let (_, driver) = driver(memory);
            assert_eq!(driver.ended("c-1", NODE, CommandEnd::Succeeded).await.unwrap(), None);
        }
    }
    for end in [CommandEnd::Succeeded, CommandEnd::Failed, CommandEnd::TimedOut, CommandEnd::Cancelled] {
        let (_, driver) = driver(memory());
        let error = driver.ended("c-1", NODE, end).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
    }
}

/// Whoever may send commands may write any comment.
#[tokio::test]
async fn a_command_that_names_another_host_than_its_node_is_not_ours() {
    let comment = "hostler/h-1/0123456789abcdef/newest/9f3b1c7d".to_owned();
    let invocation = Invocation { comment, details: "Success".to_owned(), ..Invocation::default() };
    let (_, driver) = driver(Memory { invocation: Some(invocation), ..memory() });
    assert!(driver.ended("c-1", NODE, CommandEnd::Succeeded).await.unwrap().is_some());
    assert_eq!(driver.ended("c-1", "mi-2", CommandEnd::Succeeded).await.unwrap(), None);
}

/// The API is eventually consistent: an event may be known before what it is about.
#[tokio::test]
async fn what_is_older_than_the_end_of_a_command_is_read_again() {
    let comment = "hostler/h-1/0123456789abcdef/newest/9f3b1c7d";
    for (end, details) in [CommandEnd::Succeeded, CommandEnd::Failed]
        .into_iter()
        .flat_map(|end| ["", "Pending", "In Progress", "InProgress", "Delayed"].map(|details| (end, details)))
    {
        let (comment, details) = (comment.to_owned(), details.to_owned());
        let invocation = Some(Invocation { comment, details, ..Invocation::default() });
        let (_, driver) = driver(Memory { invocation, ..memory() });
        let error = driver.ended("c-1", NODE, end).await.unwrap_err();
        assert!(error.is_transient() && error.to_string().contains("is not there yet"), "{error}");
    }
    // The command is known to have ended, and what its step did is not there yet.
    for (end, details) in [(CommandEnd::Succeeded, "Success"), (CommandEnd::Failed, "Failed")] {
        let status = CommandStatus { comment: comment.to_owned(), details: details.to_owned() };
        let (_, driver) = driver(Memory { status: Some(status), ..memory() });
        assert!(driver.ended("c-1", NODE, end).await.unwrap_err().is_transient(), "{details}");
    }
}

/// Where no step was begun there is no result of one, not even later.
#[tokio::test]
async fn the_end_of_a_command_that_was_never_begun_is_told_at_once() {
    for (end, details, expected) in [
        (CommandEnd::TimedOut, "Delivery Timed Out", RunEnd::Unreachable),
        (CommandEnd::TimedOut, "Pending", RunEnd::Unreachable),
        (CommandEnd::Failed, "Undeliverable", RunEnd::Unreachable),
        (CommandEnd::Failed, "Access Denied", RunEnd::FailedTransiently),
        (CommandEnd::Cancelled, "Cancelled", RunEnd::Lost),
        (CommandEnd::Cancelled, "", RunEnd::Lost),
    ] {
        let comment = "hostler/h-1/0123456789abcdef/newest/9f3b1c7d".to_owned();
        let status = CommandStatus { comment, details: details.to_owned() };
        let (_, driver) = driver(Memory { status: Some(status), ..memory() });
        let run = driver.ended("c-1", NODE, end).await.unwrap().unwrap();
        assert_eq!((run.end, run.host.as_str(), run.tasks.len()), (expected, "h-1", 0), "{details}");
        assert!(run.is_of(TOKEN) && !run.message.is_empty());
    }
}

/// Ids of hosts may have slashes.
#[tokio::test]
async fn the_host_of_a_comment_is_all_before_its_last_parts() {
    let comment = "hostler/rack-1/h-1/0123456789abcdef/asked/7".to_owned();
    let invocation = Invocation { comment, details: "Success".to_owned(), ..Invocation::default() };
    let (_, driver) = driver(Memory { invocation: Some(invocation), ..memory() });
    let run = driver.ended("c-1", NODE, CommandEnd::Succeeded).await.unwrap().unwrap();
    assert_eq!((run.host.as_str(), run.was_asked_for, run.revision.as_str()), ("rack-1/h-1", true, "7"));
}
