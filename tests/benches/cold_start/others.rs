//! The same kind of function in other languages, installed from their registries into a folder that stays.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::process::Program;
use crate::root;

/// A program beside ours.
pub(crate) struct Other {
    pub(crate) name: &'static str,
    pub(crate) program: Program,
    /// What would be uploaded: handler and packages, as one archive would be.
    pub(crate) bytes: u64,
}

/// Those that could be installed here.
pub(crate) async fn install() -> Vec<Other> {
    let folder = root().join("target/cold-start");
    let mut others = Vec::new();
    for (name, installed) in
        [("Python, Powertools", python(&folder).await), ("Node, Powertools", node(&folder).await)]
    {
        match installed {
            Ok((program, packages)) => others.push(Other { name, program, bytes: packed(&packages).await }),
            Err(why) => println!("{name}: not measured, {why}"),
        }
    }
    others
}

async fn python(folder: &Path) -> Result<(Program, PathBuf), String> {
    let folder = folder.join("python");
    let packages = folder.join("packages");
    let source = root().join("tests/benches/cold_start/python");
    if !folder.join("ready").exists() {
        std::fs::create_dir_all(&packages).map_err(|error| error.to_string())?;
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv"))).await?;
        // What Node's runtime client is built with.
        run(Command::new(folder.join("venv/bin/pip")).args(["install", "--quiet", "cmake"])).await?;
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        run(pip
            .args(["install", "--quiet", "--target"])
            .arg(&packages)
            .arg("-r")
            .arg(source.join("requirements.txt")))
        .await?;
        std::fs::write(folder.join("ready"), "").map_err(|error| error.to_string())?;
    }
    std::fs::copy(source.join("handler.py"), packages.join("handler.py"))
        .map_err(|error| error.to_string())?;
    let program = Program {
        command: folder.join("venv/bin/python3"),
        arguments: ["-m", "awslambdaric", "handler.handler"].map(Into::into).into(),
        folder: packages.clone(),
    };
    Ok((program, packages))
}

async fn node(folder: &Path) -> Result<(Program, PathBuf), String> {
    let folder = folder.join("node");
    let source = root().join("tests/benches/cold_start/node");
    if !folder.join("ready").exists() {
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        std::fs::copy(source.join("package.json"), folder.join("package.json"))
            .map_err(|error| error.to_string())?;
        // Its runtime client is built on the spot.
        let cmake = folder.with_file_name("python").join("venv/bin");
        let path = format!("{}:{}", cmake.display(), std::env::var("PATH").unwrap_or_default());
        let mut npm = Command::new("npm");
        let installed = run(npm.args(["install", "--silent"]).env("PATH", path).current_dir(&folder)).await;
        installed.map_err(|why| {
            format!("{why}; aws-lambda-ric builds with cmake, g++, autoconf, automake and libtool")
        })?;
        std::fs::write(folder.join("ready"), "").map_err(|error| error.to_string())?;
    }
    std::fs::copy(source.join("handler.mjs"), folder.join("handler.mjs"))
        .map_err(|error| error.to_string())?;
    let program = Program {
        command: "node".into(),
        arguments: ["node_modules/aws-lambda-ric/bin/index.mjs", "handler.handler"].map(Into::into).into(),
        folder: folder.clone(),
    };
    Ok((program, folder))
}

async fn run(command: &mut Command) -> Result<(), String> {
    let done =
        command.stdin(Stdio::null()).output().await.map_err(|error| format!("{command:?}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    Err(format!("{command:?} failed: {}", said.lines().last().unwrap_or_default()))
}

/// The size of a folder as one compressed archive.
async fn packed(folder: &Path) -> u64 {
    let mut tar = Command::new("tar");
    let done = tar.args(["czf", "-", "--exclude", "__pycache__", "."]).current_dir(folder).output().await;
    done.map_or(0, |done| done.stdout.len() as u64)
}
