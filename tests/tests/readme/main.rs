//! The README as a test: every command of its shell blocks runs in order on the local cloud, and its outcome is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod blocks;
mod expected;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blocks::commands;
use expected::{EXPECTED, Outcome};

/// The longest that starting the local cloud takes, and one command.
const UP: Duration = Duration::from_secs(600);
const COMMAND_SECONDS: &str = "300";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The local cloud in the background, as a reader leaves it running in another terminal.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // The program ends what it started when it is asked to; its standard input is of no use for that.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// A shell in which `cargo hostler` is the program that was built, so that no command waits for cargo.
fn shell(binary: &Path, state: &Path, script: &str) -> Command {
    let prelude = "cargo() { if [ \"$1\" = hostler ]; then shift; timeout \"$LIMIT\" \"$HOSTLER\" \"$@\"; else \
                   command cargo \"$@\"; fi; }\n";
    let mut command = Command::new("bash");
    command.arg("-c").arg(format!("{prelude}{script}")).current_dir(root()).stdin(Stdio::null());
    command.env("HOSTLER", binary).env("LIMIT", COMMAND_SECONDS).env("HOSTLER_STATE_DIR", state);
    command.env_remove("HOSTLER_STACK").env_remove("HOSTLER_APP");
    command
}

fn build() -> PathBuf {
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--bin", "hostler"])
        .current_dir(root())
        .status()
        .unwrap();
    assert!(built.success(), "the program is built");
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap();
    metadata.target_directory.join("debug/hostler").into_std_path_buf()
}

fn run(binary: &Path, state: &Path, command: &str, code: i32, says: &str) {
    let begun = Instant::now();
    let output = shell(binary, state, command).output().unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    eprintln!("{:>7.2?} {command}", begun.elapsed());
    assert_eq!(output.status.code(), Some(code), "{command}\n{text}");
    assert!(text.contains(says), "{command} does not say {says:?}:\n{text}");
}

#[test]
fn every_command_of_the_readme_has_an_expectation() {
    let found = commands(&std::fs::read_to_string(root().join("README.md")).unwrap());
    let expected: Vec<&str> = EXPECTED.iter().map(|(command, _)| *command).collect();
    let found: Vec<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, expected, "tests/tests/readme/expected.rs lists the README's commands in order");
}

#[test]
fn every_command_of_the_readme_is_well_formed() {
    for command in commands(&std::fs::read_to_string(root().join("README.md")).unwrap()) {
        let parsed =
            Command::new("bash").args(["-n", "-c", &command.replace(['<', '>'], "")]).output().unwrap();
        assert!(parsed.status.success(), "{command}: {}", String::from_utf8_lossy(&parsed.stderr));
    }
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    if std::env::var("HOSTLER_TEST_CLOUD").is_ok_and(|cloud| cloud != "ministack") {
        eprintln!("NOT RUN: the README's commands need the default endpoint; unset HOSTLER_TEST_CLOUD");
        return;
    }
    let (binary, state) =
        (build(), std::env::temp_dir().join(format!("hostler-readme-{}", std::process::id())));
    std::fs::create_dir_all(&state).unwrap();
    let mut up: Option<Up> = None;
    for (command, outcome) in EXPECTED {
        match outcome {
            Outcome::NotRun(why) => eprintln!("NOT RUN  {command}: {why}"),
            Outcome::Before { says } => run(&binary, &state, command, 0, says),
            Outcome::Ends { code, says } => {
                if up.is_none() {
                    up = Some(start(&binary, &state));
                }
                run(&binary, &state, command, *code, says);
            }
        }
    }
    drop(up);
    // A temporary folder; what cannot be removed is of no harm.
    let _ = std::fs::remove_dir_all(state);
}

/// `cargo hostler up`, which the text says to leave running.
fn start(binary: &Path, state: &Path) -> Up {
    let log = std::fs::File::create(state.join("up.log")).unwrap();
    let child = Command::new(binary)
        .arg("up")
        .current_dir(root())
        .env("HOSTLER_STATE_DIR", state)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut up = Up(child);
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(state.join("up.log")).unwrap_or_default();
        if text.contains("The local cloud is up") {
            return up;
        }
        let ended = up.0.try_wait().unwrap();
        assert!(ended.is_none() && begun.elapsed() < UP, "the local cloud did not start:\n{text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
