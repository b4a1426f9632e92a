//! Building the functions' binaries with cargo, and finding them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

use crate::error::Error;
use crate::package::folder_of;
use crate::progress::Progress;
use crate::template::Template;

/// What cargo says of one artefact it has built.
#[derive(Debug, Deserialize)]
struct Artefact {
    reason: String,
    #[serde(default)]
    executable: Option<PathBuf>,
    #[serde(default)]
    target: Target,
}

#[derive(Debug, Default, Deserialize)]
struct Target {
    #[serde(default)]
    name: String,
}

/// How functions are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Build {
    /// Quickly, for trying them.
    Dev,
    /// As they are deployed.
    Release,
}

/// Builds every function of the application at `root`, and says where each one's binary is.
///
/// # Errors
/// [`Error::File`] when the folder cannot be read, [`Error::Build`] with what cargo said.
pub async fn build_functions(
    root: &Path,
    build: Build,
    progress: &Progress,
) -> Result<BTreeMap<String, PathBuf>, Error> {
    let names = function_names(root)?;
    progress.tell(&format!("building {} functions", names.len()));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(&cargo);
    // By binary and of the whole workspace: all its parts then share one build of their dependencies, also where the
    // application is one package of several.
    command.args(["build", "--workspace", "--message-format=json-render-diagnostics"]).current_dir(root);
    if build == Build::Release {
        command.arg("--release");
    }
    for name in &names {
        command.args(["--bin", name]);
    }
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_the_running_package) {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let spawn = |source| Error::Spawn { program: cargo.to_string_lossy().into_owned(), source };
    let mut child = command.spawn().map_err(spawn)?;
    let stderr = child.stderr.take();
    let said = tokio::spawn(async move {
        let mut text = String::new();
        if let Some(mut stderr) = stderr {
            // What cannot be read of an error text is left out of it.
            let _ = stderr.read_to_string(&mut text).await;
        }
        text
    });
    let mut built = BTreeMap::new();
    if let Some(stdout) = child.stdout.take() {
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(spawn)? {
            let Ok(artefact) = serde_json::from_str::<Artefact>(&line) else { continue };
            if artefact.reason != "compiler-artifact" {
                continue;
            }
            match artefact.executable {
                Some(binary) if names.contains(&artefact.target.name) => {
                    built.insert(artefact.target.name, binary);
                }
                _ => progress.tell(&format!("building functions: {}", artefact.target.name)),
            }
        }
    }
    let ended = child.wait().await.map_err(spawn)?;
    let said = said.await.unwrap_or_default();
    if !ended.success() || built.len() != names.len() {
        let tail: Vec<&str> = said.lines().rev().take(60).collect();
        let output = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
        return Err(Error::Build { output });
    }
    Ok(built)
}

/// Whether a variable is one of those that `cargo run` and `cargo test` set to describe what they run. Who runs cargo from
/// such a program leaves them out: build scripts look at them, and all that stands on these would be built again.
#[must_use]
pub fn is_of_the_running_package(name: &str) -> bool {
    let described = ["CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_"];
    described.iter().any(|prefix| name.starts_with(prefix))
        || ["CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR"].contains(&name)
}

/// The folders below `functions/`; where there are none, what the template has in `target/lambda/`.
fn function_names(root: &Path) -> Result<Vec<String>, Error> {
    let folder = root.join("functions");
    if !folder.is_dir() {
        let template = Template::load(root.join("template.yaml"))?;
        let functions = template.resources("AWS::Serverless::Function");
        return Ok(functions.filter_map(|(_, function)| folder_of(function)).collect());
    }
    let entries = std::fs::read_dir(&folder).map_err(Error::file("read", &folder))?;
    let mut names: Vec<String> = entries
        .filter_map(Result::ok)
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    Ok(names)
}
