//! The README and the tutorial as tests: every command of their shell blocks runs in order on the local cloud, and its outcome
//! is checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod blocks;
mod expected;
mod scenarios;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use blocks::commands;
use expected::{Outcome, README, TUTORIAL};
use hostler_localstack::{is_of_the_running_package, lacks_monitoring};
use hostler_tests::{root, workspace};

/// The longest that starting the local cloud takes, and one command.
const UP: Duration = Duration::from_secs(600);
const COMMAND_SECONDS: &str = "300";
/// How long something may take to be told that readers are slower than.
const SOON: Duration = Duration::from_secs(30);
/// Where the README has a new application made; here it is below the state's folder.
const NEW: &str = "~/shop";

/// A document whose commands are run.
struct Document {
    path: &'static str,
    expected: &'static [(&'static str, Outcome)],
    /// What it says to leave running: `hostler` with these arguments.
    up: &'static [&'static str],
}

const DOCUMENTS: [Document; 2] = [
    Document { path: "README.md", expected: README, up: &["up"] },
    Document { path: "docs/tutorial.md", expected: TUTORIAL, up: &["up", "--example", "orders"] },
];

/// One document at a time: each has commands that wait for no more than so long.
static TURN: Mutex<()> = Mutex::new(());

/// The local cloud in the background, as a reader leaves it running in another terminal.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        // The program ends what it started when it is asked to; its standard input is of no use for that.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Takes away what cargo tells this test of itself, so that nothing is built again for it.
fn as_from_a_terminal(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_the_running_package) {
            command.env_remove(name);
        }
    }
}

/// What was built, and where the local cloud's state is.
struct Fixture {
    binary: PathBuf,
    target: PathBuf,
    state: PathBuf,
}

impl Fixture {
    fn of(document: &Document) -> Self {
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        build.args(["build", "--quiet", "--bin", "hostler"]).current_dir(root());
        as_from_a_terminal(&mut build);
        let built = build.status().unwrap();
        assert!(built.success(), "the program is built");
        let target = workspace().target_directory.clone().into_std_path_buf();
        let name = format!("hostler-{}-{}", document.path.replace('/', "-"), std::process::id());
        let state = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&state).unwrap();
        Self { binary: target.join("debug/hostler"), target, state }
    }

    /// A shell in which `cargo hostler` is the program that was built, so that no command waits for cargo. Applications are
    /// built beside the others, and of what is here already.
    fn shell(&self, state: &Path, script: &str) -> Command {
        let prelude = "cargo() { if [ \"$1\" = hostler ]; then shift; timeout \"$LIMIT\" \"$HOSTLER\" \"$@\"; else \
                       command cargo \"$@\"; fi; }\n";
        let script = script.replace(NEW, &self.state.join("shop").display().to_string());
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("{prelude}{script}")).current_dir(root()).stdin(Stdio::null());
        command.env("HOSTLER", &self.binary).env("LIMIT", COMMAND_SECONDS).env("HOSTLER_STATE_DIR", state);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_NET_OFFLINE", "true");
        command.env_remove("HOSTLER_STACK").env_remove("HOSTLER_APP");
        as_from_a_terminal(&mut command);
        command
    }

    /// Runs a command, and gives its exit code and what it says.
    fn run(&self, state: &Path, command: &str) -> (Option<i32>, String) {
        let begun = Instant::now();
        let output = self.shell(state, command).output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        eprintln!("{:>7.2?} {command}", begun.elapsed());
        (output.status.code(), text)
    }

    fn expect(&self, state: &Path, command: &str, code: i32, says: &str) {
        let (ended, text) = self.run(state, command);
        assert_eq!(ended, Some(code), "{command}\n{text}");
        assert!(text.contains(says), "{command} does not say {says:?}:\n{text}");
    }

    fn expect_soon(&self, command: &str, says: &str) {
        let begun = Instant::now();
        loop {
            let (ended, text) = self.run(&self.state, command);
            if ended == Some(0) && text.contains(says) {
                return;
            }
            assert!(begun.elapsed() < SOON, "{command} does not say {says:?}:\n{text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn every_command_has_an_expectation() {
    for Document { path, expected, .. } in DOCUMENTS {
        let found = commands(&std::fs::read_to_string(root().join(path)).unwrap());
        let expected: Vec<&str> = expected.iter().map(|(command, _)| *command).collect();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        assert_eq!(found, expected, "tests/tests/readme/expected.rs lists the commands of {path} in order");
    }
}

#[test]
fn every_command_is_well_formed() {
    for Document { path, .. } in DOCUMENTS {
        for command in commands(&std::fs::read_to_string(root().join(path)).unwrap()) {
            let parsed =
                Command::new("bash").args(["-n", "-c", &command.replace(['<', '>'], "")]).output().unwrap();
            let said = String::from_utf8_lossy(&parsed.stderr);
            assert!(parsed.status.success(), "{path}: {command}: {said}");
        }
    }
}

#[test]
fn the_readmes_commands_do_what_it_says() {
    play(&DOCUMENTS[0]);
}

#[test]
fn the_tutorials_commands_do_what_it_says() {
    play(&DOCUMENTS[1]);
}

/// Whether the endpoint is not the one that the commands start; says so.
fn is_elsewhere() -> bool {
    let elsewhere = std::env::var("HOSTLER_TEST_CLOUD").is_ok_and(|cloud| cloud != "ministack");
    if elsewhere {
        eprintln!("NOT RUN: the commands need the default endpoint; unset HOSTLER_TEST_CLOUD");
    }
    elsewhere
}

fn play(document: &Document) {
    if is_elsewhere() {
        return;
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let fixture = Fixture::of(document);
    let state = &fixture.state;
    let mut up: Option<Up> = None;
    for (command, outcome) in document.expected {
        if matches!(outcome, Outcome::Ends { .. } | Outcome::Soon { .. } | Outcome::Watched { .. })
            && up.is_none()
        {
            up = Some(start(&fixture, document));
        }
        match outcome {
            Outcome::NotRun(why) => eprintln!("NOT RUN  {command}: {why}"),
            Outcome::Before { says } => fixture.expect(state, command, 0, says),
            Outcome::Watched { .. } if lacks_monitoring() => eprintln!("NOT RUN  {command}"),
            Outcome::Watched { says } => fixture.expect(state, command, 0, says),
            Outcome::Ends { code, says } => fixture.expect(state, command, *code, says),
            Outcome::Soon { says } => fixture.expect_soon(command, says),
            Outcome::Apart { says } => fixture.expect(&state.join("apart"), command, 0, says),
        }
    }
    drop(up);
    // A temporary folder; what cannot be removed is of no harm.
    let _ = std::fs::remove_dir_all(state);
}

/// The local cloud, which the text says to leave running.
fn start(fixture: &Fixture, document: &Document) -> Up {
    let state = &fixture.state;
    let log = std::fs::File::create(state.join("up.log")).unwrap();
    let child = Command::new(&fixture.binary)
        .args(document.up)
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
