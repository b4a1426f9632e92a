//! What is made of a command that has ended: whose it was, and how its run ended.

use hostler_runtime::ports::Invocation;

use super::output::{self, Read};
use super::{CommandEnd, OURS, PLAYBOOK, RUN_SECONDS, RanTask, RanTaskResult, Run, RunEnd};

/// How much is told of what a run wrote to its standard error.
const MESSAGE_CHARS_MAX: usize = 300;
/// How many tasks are told.
const TASKS_MAX: usize = 50;
/// What the document says where there is no playbook.
const NO_PLAYBOOK: &str = "Playbook file doesn't exist";
/// How Ansible ends where a task failed, and where a host did not answer.
const TASK_FAILED: i32 = 2;
const UNREACHABLE: i32 = 4;

/// What a comment of ours says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    /// The id of the host.
    pub(super) host: &'a str,
    mark: &'a str,
    was_asked_for: bool,
    revision: &'a str,
}

/// What a comment says; none where it is not ours. Ids of hosts may have slashes.
pub(super) fn order(comment: &str) -> Option<Order<'_>> {
    let mut parts = comment.strip_prefix(OURS)?.rsplitn(4, '/');
    let (revision, asked, mark, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let was_asked_for = match asked {
        "asked" => true,
        "newest" => false,
        _ => return None,
    };
    Some(Order { host, mark, was_asked_for, revision })
}

/// Whether what was read of a command is what its event speaks of. What is read may be older than the event (*API reference:
/// GetCommandInvocation*: eventually consistent), and an output that is not there yet must not be judged as an empty one.
pub(super) fn is_settled(end: CommandEnd, details: &str, is_read: bool) -> bool {
    match (end, &*plain(details)) {
        // Also without output it is known how these ended.
        (CommandEnd::TimedOut | CommandEnd::Cancelled, _) => true,
        (CommandEnd::Succeeded | CommandEnd::Failed, "" | "Pending" | "InProgress" | "Delayed") => false,
        // The step has run, and what it wrote is seen later.
        (CommandEnd::Succeeded, _) | (CommandEnd::Failed, "Success" | "Failed") => is_read,
        // It was never begun, so that there is nothing to be read.
        (CommandEnd::Failed, _) => true,
    }
}

/// The run that an invocation is.
pub(super) fn run(order: Order<'_>, invocation: &Invocation, end: CommandEnd) -> Run {
    let read = output::read(&invocation.output);
    let (end, message) = ending(invocation, end, &read);
    let Read { is_whole, mut tasks, .. } = read;
    let tasks_left_off = u32::try_from(tasks.len().saturating_sub(TASKS_MAX)).unwrap_or(u32::MAX);
    tasks.truncate(TASKS_MAX);
    Run {
        host: order.host.to_owned(),
        revision: order.revision.to_owned(),
        was_asked_for: order.was_asked_for,
        mark: order.mark.to_owned(),
        end,
        message,
        tasks,
        tasks_left_off,
        is_whole,
    }
}

/// How a run ended, and why it did not succeed.
fn ending(invocation: &Invocation, end: CommandEnd, read: &Read) -> (RunEnd, String) {
    match (end, &*plain(&invocation.details)) {
        (CommandEnd::Succeeded, _) if read.is_whole && !read.has_hosts => {
            let message = format!("no task was run: {PLAYBOOK} has no play for localhost, or no tasks in it");
            (RunEnd::Failed, message)
        }
        (CommandEnd::Succeeded, _) => (RunEnd::Succeeded, String::new()),
        (CommandEnd::Cancelled, _) => (RunEnd::Lost, "the command was cancelled".to_owned()),
        // Systems Manager also says so where an agent does not tell how a run ended.
        (CommandEnd::TimedOut, "DeliveryTimedOut" | "Delayed" | "Pending" | "")
        | (CommandEnd::Failed, "Undeliverable") => {
            let message = "the host's agent did not take the command, or did not tell its end, in time";
            (RunEnd::Unreachable, message.to_owned())
        }
        (CommandEnd::TimedOut, _) | (CommandEnd::Failed, "ExecutionTimedOut") => {
            (RunEnd::TimedOut, format!("it was ended after {RUN_SECONDS} s"))
        }
        (CommandEnd::Failed, "Success") => {
            let message = "the step that runs the role succeeded, and another one of the document failed";
            (RunEnd::FailedTransiently, message.to_owned())
        }
        (CommandEnd::Failed, _) if read.has_begun => of_play(invocation, read),
        (CommandEnd::Failed, "Failed") => without_play(invocation, read),
        (CommandEnd::Failed, details) => {
            (RunEnd::FailedTransiently, format!("the command was not begun: Run Command says {details}"))
        }
    }
}

/// How a playbook failed.
fn of_play(invocation: &Invocation, read: &Read) -> (RunEnd, String) {
    let failed = read.tasks.iter().rev().find(|task| task.result != RanTaskResult::Changed);
    match failed {
        Some(task) if task.result == RanTaskResult::Unreachable => (RunEnd::Unreachable, of_task(task)),
        // What ended the run is beyond what was kept, and a failed task before that was one that may fail.
        _ if !read.is_whole && invocation.code == UNREACHABLE => (RunEnd::Unreachable, of_code(invocation)),
        Some(task) => (RunEnd::Failed, of_task(task)),
        None => (RunEnd::Failed, of_code(invocation)),
    }
}

/// How a run failed in whose output no playbook begins.
fn without_play(invocation: &Invocation, read: &Read) -> (RunEnd, String) {
    // The document says so as well where it could not download the bundle, which another try may.
    if invocation.errors.contains(NO_PLAYBOOK) {
        let message = format!(
            "the bundle of the role is not in S3, could not be downloaded, or has no {PLAYBOOK}: see that it was uploaded with it, and that the \
             host may fetch it: {}",
            told(invocation)
        );
        return (RunEnd::FailedTransiently, message);
    }
    // The names of the bundle's files may have taken all the place.
    match invocation.code {
        TASK_FAILED if read.is_cut => return (RunEnd::Failed, of_code(invocation)),
        UNREACHABLE if read.is_cut => return (RunEnd::Unreachable, of_code(invocation)),
        _ => {}
    }
    let message = format!(
        "no task was run: see that Ansible and unzip are installed on the host: {}",
        told(invocation)
    );
    // A role that does not parse is no better the next time.
    match invocation.errors.contains("ERROR") {
        true => (RunEnd::Failed, message),
        false => (RunEnd::FailedTransiently, message),
    }
}

fn of_task(task: &RanTask) -> String {
    format!("{}: {}", task.task, task.message)
}

fn of_code(invocation: &Invocation) -> String {
    format!("the playbook ended with {}: {}", invocation.code, told(invocation))
}

/// The end of what it wrote to its standard error.
fn told(invocation: &Invocation) -> String {
    let errors = invocation.errors.trim();
    let skipped = errors.chars().count().saturating_sub(MESSAGE_CHARS_MAX);
    errors.chars().skip(skipped).collect()
}

/// `Delivery Timed Out` in answers, `DeliveryTimedOut` in the documentation.
fn plain(details: &str) -> String {
    details.chars().filter(|c| !c.is_whitespace()).collect()
}
