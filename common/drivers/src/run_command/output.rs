//! What `ansible-playbook -v` writes, read: which tasks changed something or failed, and what they say of it.

use serde_json::{Deserializer, Value};

use super::{RanTask, RanTaskResult};

/// Where a playbook begins: before it nothing was run.
const PLAY: &str = "PLAY [";
const RECAP: &str = "PLAY RECAP ";
const TASKS: [&str; 2] = ["TASK [", "RUNNING HANDLER ["];
/// What the line of each host says after the recap.
const OF_HOST: &str = ": ok=";
/// From how many bytes on an output is taken for one that was cut: the agent keeps 24,000.
const CUT_BYTES: usize = 23_000;
/// What follows the failure of a task that may fail.
const IGNORED: &str = "...ignoring";

/// What was read of an output.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Whether a playbook began.
    pub(super) has_begun: bool,
    /// Whether its last lines are there: the beginning of an output is all that is kept.
    pub(super) is_whole: bool,
    /// Whether it is so long that its end was not kept.
    pub(super) is_cut: bool,
    /// Whether its last lines name a host on which tasks were run.
    pub(super) has_hosts: bool,
    /// The tasks that changed something or failed, in their order.
    pub(super) tasks: Vec<RanTask>,
}

/// Reads the output of a run on one host.
pub(super) fn read(output: &str) -> Read {
    let (mut read, mut task) = (Read::default(), String::new());
    let (mut at, mut has_recap) = (0, false);
    for line in output.split_inclusive('\n') {
        let rest = &output[at..];
        at += line.len();
        let line = line.trim_end();
        if line.starts_with(RECAP) {
            has_recap = true;
        } else if has_recap && line.contains(OF_HOST) {
            read.has_hosts = true;
        } else if line.starts_with(PLAY) {
            read.has_begun = true;
        } else if let Some(named) = TASKS.iter().find_map(|prefix| line.strip_prefix(prefix)) {
            task = named.rsplit_once(']').map_or(named, |(name, _stars)| name).to_owned();
        } else if line == IGNORED {
            if read.tasks.last().is_some_and(|last| last.result != RanTaskResult::Changed) {
                read.tasks.pop();
            }
        } else if let Some(result) = result(line) {
            note(&mut read.tasks, ran(&task, result, &told(rest)));
        }
    }
    read.is_cut = output.len() >= CUT_BYTES;
    // The end may be missing from right behind the recap on.
    read.is_whole = has_recap && (read.has_hosts || !read.is_cut);
    read
}

fn result(line: &str) -> Option<RanTaskResult> {
    if line.starts_with("changed: [") {
        return Some(RanTaskResult::Changed);
    }
    let failed = line.starts_with("fatal: [") || line.starts_with("failed: [");
    // What is behind the arrow are the task's own words.
    let head = line.split_once("=>").map_or(line, |(head, _told)| head);
    failed.then(|| match head.trim_end().ends_with(": UNREACHABLE!") {
        true => RanTaskResult::Unreachable,
        false => RanTaskResult::Failed,
    })
}

/// The JSON behind the last arrow of the line that a text begins with; it may go on over the next lines.
fn told(text: &str) -> Value {
    let line = text.lines().next().unwrap_or_default();
    let Some(json) = line.find("=> {").map(|arrow| &text[arrow + 3..]) else { return Value::Null };
    Deserializer::from_str(json).into_iter::<Value>().next().and_then(Result::ok).unwrap_or_default()
}

fn ran(task: &str, result: RanTaskResult, told: &Value) -> RanTask {
    let text = |fields: &[&str]| {
        let found = fields.iter().filter_map(|field| told[*field].as_str()).find(|text| !text.is_empty());
        found.unwrap_or_default().to_owned()
    };
    let message = match result {
        RanTaskResult::Changed => String::new(),
        RanTaskResult::Failed | RanTaskResult::Unreachable => text(&["msg", "stderr", "module_stderr"]),
    };
    RanTask { task: task.to_owned(), result, message, path: text(&["path", "dest"]) }
}

/// Each item of a loop has a line of its own, and all of them are one task.
fn note(tasks: &mut Vec<RanTask>, ran: RanTask) {
    let is_same = tasks.last().is_some_and(|last| last.task == ran.task && last.result == ran.result);
    if !is_same {
        tasks.push(ran);
    }
}
