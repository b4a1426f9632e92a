//! Builds the functions and learns where their binaries are.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::Stdio;

use hostler_localstack::template::Template;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::error::CliError;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// How many of the compiler's last lines are shown when it fails.
const LINES_SHOWN_MAX: usize = 60;

/// The functions' names: the last folders of their CodeUri, which are their packages' names, too.
pub(crate) fn names(template: &Template) -> Vec<String> {
    template
        .resources("AWS::Serverless::Function")
        .filter_map(|(_, function)| function["Properties"]["CodeUri"].as_str())
        .filter_map(|uri| uri.trim_end_matches('/').rsplit('/').next())
        .map(str::to_owned)
        .collect()
}

/// Builds functions; gives each one's binary.
pub(crate) async fn build(
    workspace: &Workspace,
    names: &[String],
    steps: &Steps,
) -> Result<BTreeMap<String, PathBuf>, CliError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--bins", "--message-format=json-render-diagnostics"]);
    for name in names {
        command.args(["--package", name]);
    }
    // `cargo run` describes this package to us; the cargo that we run would pass it on to build scripts.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"]
            .iter()
            .any(|start| text.starts_with(start))
        {
            command.env_remove(&name);
        }
    }
    command.current_dir(workspace.root());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let not_run = "cargo cannot be run: see `cargo hostler doctor`";
    let mut child = command.spawn().map_err(CliError::failed(not_run))?;
    let (messages, progress) = (child.stdout.take(), child.stderr.take());
    let (found, last) = tokio::try_join!(
        async { read_binaries(messages).await.map_err(CliError::failed(not_run)) },
        async { follow(progress, steps).await.map_err(CliError::failed(not_run)) },
    )?;
    let status = child.wait().await.map_err(CliError::failed(not_run))?;
    if !status.success() {
        let output = Vec::from(last).join("\n");
        return Err(CliError::Outcome(format!("the functions do not build ({status}):\n{output}")));
    }
    let missing: Vec<&str> =
        names.iter().filter(|name| !found.contains_key(*name)).map(String::as_str).collect();
    if !missing.is_empty() {
        return Err(CliError::Outcome(format!(
            "cargo built no binary for {}: each function of template.yaml is a package of that name with a binary",
            missing.join(", ")
        )));
    }
    Ok(found)
}

/// The binaries that cargo tells of, by their names.
async fn read_binaries(
    messages: Option<tokio::process::ChildStdout>,
) -> std::io::Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let Some(messages) = messages else { return Ok(found) };
    let mut lines = BufReader::new(messages).lines();
    while let Some(line) = lines.next_line().await? {
        found.extend(binary(&line));
    }
    Ok(found)
}

/// The binary that a message of cargo tells of.
fn binary(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = message["executable"].as_str()?;
    Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
}

/// Shows what cargo is at, and keeps its last lines.
async fn follow(
    progress: Option<tokio::process::ChildStderr>,
    steps: &Steps,
) -> std::io::Result<VecDeque<String>> {
    let mut last = VecDeque::new();
    let Some(progress) = progress else { return Ok(last) };
    let mut lines = BufReader::new(progress).lines();
    while let Some(line) = lines.next_line().await? {
        steps.show(format!("building the functions: {}", line.trim()));
        last.push_back(line);
        if last.len() > LINES_SHOWN_MAX {
            last.pop_front();
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn binaries_are_read_from_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"deploy-host","kind":["bin"]},"executable":"/t/deploy-host","fresh":true}"#;
        assert_eq!(binary(line), Some(("deploy-host".to_owned(), PathBuf::from("/t/deploy-host"))));
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"x","kind":["lib"]},"executable":null}"#;
        assert_eq!(binary(library), None);
        assert_eq!(binary("not json"), None);
    }

    #[test]
    fn the_template_names_the_functions() {
        let template = Template::load(Workspace::find().unwrap().template()).unwrap();
        let names = names(&template);
        assert!(names.contains(&"deploy-host".to_owned()) && names.len() >= 9, "{names:?}");
    }
}
