//! Commands of Run Command that have ended: whose they were, and what is made of them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use hostler_core::{Failure, RecordedEvent};
use hostler_drivers::RunCommandConfiguration;
use hostler_events::host::{ReadRoleRun, RunCommandEnd};
use hostler_runtime::ports::{
    CommandStatus, EntryFailure, Invocation, ManagedNode, NodeCommand, NodeCommands, Parameters,
};
use hostler_runtime::serving::callback::CallbackKey;

use super::{World, serving, stream};

const APPLIED: &str = include_str!("../../../../common/drivers/tests/run_command/applied.txt");
const STEP: &str = "p/apply-role/1";

/// One node, and what the last command on it did.
#[derive(Default)]
struct Node {
    sent: Mutex<Vec<NodeCommand>>,
    invocation: Mutex<Option<Invocation>>,
}

#[async_trait]
impl NodeCommands for Node {
    async fn nodes(&self, _: &str, _: &str) -> Result<Vec<ManagedNode>, EntryFailure> {
        Ok(vec![ManagedNode { id: "mi-1".to_owned(), registered_at: None, is_online: true }])
    }

    async fn send(&self, _: &str, command: &NodeCommand) -> Result<(), EntryFailure> {
        self.sent.lock().unwrap().push(command.clone());
        Ok(())
    }

    async fn invocation(&self, _: &str, _: &str, _: &str) -> Result<Option<Invocation>, EntryFailure> {
        Ok(self.invocation.lock().unwrap().clone())
    }

    async fn status(&self, _: &str, _: &str) -> Result<Option<CommandStatus>, EntryFailure> {
        Ok(None)
    }
}

#[async_trait]
impl Parameters for Node {
    async fn parameter(&self, _: &str) -> Result<Option<String>, EntryFailure> {
        Ok(Some("8".to_owned()))
    }
}

/// A world whose roles are applied by Run Command.
fn by_run_command(mut world: World) -> (World, Arc<Node>) {
    let node = Arc::new(Node::default());
    let roles = "https://s3.test/roles/web".parse().unwrap();
    let driver = RunCommandConfiguration::new(node.clone(), node.clone(), roles);
    world.function.configuration = Arc::new(driver.clone());
    world.function.run_command = Some(driver);
    (world, node)
}

impl Node {
    fn ended(&self, number: usize, output: &str) {
        let comment = self.sent.lock().unwrap()[number].comment.clone();
        let (output, details) = (output.to_owned(), "Failed".to_owned());
        *self.invocation.lock().unwrap() =
            Some(Invocation { comment, details, code: 2, output, errors: String::new() });
    }
}

impl World {
    async fn read(&self, end: RunCommandEnd) -> Result<(), Failure> {
        let command = ReadRoleRun { command: "c-1".to_owned(), node: "mi-1".to_owned(), end };
        self.function.read(&self.cause(), &command).await
    }
}

#[tokio::test]
async fn the_end_of_a_command_is_told_to_its_host_with_the_request_that_it_belongs_to() {
    let (world, node) = by_run_command(World::new().await);
    let asked = world.cause();
    world.run(&asked, STEP).await.unwrap();
    node.ended(0, APPLIED);
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    let state = world.state().await;
    assert_eq!((state.configuration, state.revision.as_deref()), (None, Some("8")));
    let commits = world.function.worker.shell.store().load(&stream()).await.unwrap();
    let last = commits.last().unwrap();
    assert_eq!((last.correlation_id, last.events.len()), (asked.correlation_id, 2));
}

/// A step that fails with the newest revision goes on with the last good one, and is the same step then.
#[tokio::test]
async fn the_end_of_the_newest_revision_is_not_taken_for_that_of_one_that_was_asked_for() {
    let (world, node) = by_run_command(serving(None).await);
    let order = world.restore().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    node.ended(0, APPLIED);
    let with = |asked: &str| {
        let mut invocation = node.invocation.lock().unwrap();
        let told = invocation.as_mut().unwrap();
        told.comment = told.comment.replace("/asked/", asked);
    };
    with("/newest/");
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    assert!(world.state().await.is_checked_by(&order.step), "another's");
    node.ended(0, APPLIED);
    with("/asked/6");
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    assert!(world.state().await.is_checked_by(&order.step), "another revision's");
    node.ended(0, APPLIED);
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    assert_eq!(world.state().await.drift.run, None);
}

#[tokio::test]
async fn a_command_that_was_sent_before_the_key_was_replaced_is_known_all_the_same() {
    let (mut world, node) = by_run_command(World::new().await);
    world.run(&world.cause(), STEP).await.unwrap();
    node.ended(0, APPLIED);
    let new = || CallbackKey::new(b"fedcba9876543210fedcba9876543210").unwrap();
    world.function.callback_key = new();
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    assert!(world.state().await.configuration.is_some(), "a stranger's");
    world.function.callback_key = new().after(b"0123456789abcdef0123456789abcdef").unwrap();
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    assert_eq!(world.state().await.configuration, None);
}

#[tokio::test]
async fn what_is_not_ours_is_passed_over_and_what_cannot_be_read_yet_is_read_later() {
    let (world, node) = by_run_command(World::new().await);
    let failure = world.read(RunCommandEnd::Succeeded).await.unwrap_err();
    assert!(matches!(failure, Failure::Retryable { .. }), "{failure}");
    for comment in ["a patch", "hostler/h-2/0123456789abcdef/newest/8"] {
        let (comment, details) = (comment.to_owned(), "Success".to_owned());
        *node.invocation.lock().unwrap() = Some(Invocation { comment, details, ..Invocation::default() });
        world.read(RunCommandEnd::Succeeded).await.unwrap();
    }
    let without = World::new().await;
    let failure = without.read(RunCommandEnd::Succeeded).await.unwrap_err();
    assert!(
        matches!(failure, Failure::Terminal { .. }) && failure.to_string().contains("RolesSource"),
        "{failure}"
    );
}

/// Run Command keeps the beginning of what was written.
#[tokio::test]
async fn a_check_of_which_the_end_is_missing_does_not_say_that_nothing_has_drifted() {
    let (world, node) = by_run_command(serving(None).await);
    let order = world.check().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    assert_eq!(node.sent.lock().unwrap()[0].parameters["Check"], "True");
    node.ended(0, "PLAY [all] ***\n\nTASK [web : one] ***\nok: [localhost] => {\"chan");
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    let state = world.state().await;
    assert_eq!((state.drift.run, state.drift.found), (None, None));
    let commits = world.function.worker.shell.store().load(&stream()).await.unwrap();
    let last = &commits.last().unwrap().events[0];
    assert_eq!(last.event_type, "host.configuration-run-failed");
    assert!(last.data.to_value()["reason"].as_str().unwrap().contains("more than Run Command keeps"));
}

/// The last event of the host.
async fn last_event(world: &World) -> RecordedEvent {
    let commits = world.function.worker.shell.store().load(&stream()).await.unwrap();
    commits.last().unwrap().events.last().unwrap().clone()
}

const CUT: &str = "PLAY [all] ***\n\nTASK [web : one] ***\nok: [localhost] => {\"chan";

#[tokio::test]
async fn a_run_of_which_the_end_is_missing_does_not_say_that_it_changed_nothing() {
    let (world, node) = by_run_command(World::new().await);
    world.run(&world.cause(), STEP).await.unwrap();
    node.ended(0, CUT);
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    let applied = last_event(&world).await;
    assert_eq!(applied.event_type, "host.configuration-applied");
    assert_eq!(applied.data.to_value()["changed"], true);
    let (world, node) = by_run_command(serving(None).await);
    let order = world.restore().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    node.ended(0, CUT);
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    let restored = last_event(&world).await;
    assert_eq!(restored.event_type, "host.configuration-restored");
    assert_eq!(restored.data.to_value()["changed"], true);
}

#[tokio::test]
async fn a_check_of_which_the_end_is_missing_says_that_there_may_be_more_than_it_found() {
    let (world, node) = by_run_command(serving(None).await);
    let order = world.check().await;
    world.function.worker.run(&world.function, &world.cause(), &order).await.unwrap();
    node.ended(0, &format!("PLAY [all] ***\n\nTASK [web : zero] ***\nchanged: [localhost] => {{}}\n{CUT}"));
    world.read(RunCommandEnd::Succeeded).await.unwrap();
    let drifted = last_event(&world).await;
    assert_eq!(drifted.event_type, "host.configuration-drifted");
    let drifted = drifted.data.to_value();
    assert_eq!(
        (drifted["changes"].as_array().map(Vec::len), &drifted["changesLeftOff"]),
        (Some(1), &1.into())
    );
}
