//! Switches on one mutant of the product after the other, and has those who must notice it try.
//!
//! The tests are built once, with the feature that has mutation points; a process of them has one mutant, or none. Without
//! one each of the named tests must pass; with one it must fail. Names after `--` choose mutants by how they begin.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a panic is how a test fails, and tests are read as code"
)]

mod table;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use cargo_metadata::Message;
use hostler_tests::{root, workspace};
use table::{MUTANTS, Mutant, SEEDS, Suite};

/// The environment variable that switches a mutant on.
const VARIABLE: &str = "HOSTLER_MUTANT";
/// How long a test may take to notice.
const TIME_MAX: Duration = Duration::from_secs(90);
/// How often it is looked whether a test has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The executables of tests, and the folders that they run in.
type Executables = BTreeMap<Suite, (PathBuf, PathBuf)>;

/// What came of a mutant.
struct Seen<'a> {
    mutant: &'a Mutant,
    /// The seed that noticed, where seeds did.
    seed: Option<String>,
    is_noticed: bool,
    took: Duration,
}

fn main() -> ExitCode {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|name| !name.starts_with('-')).collect();
    let is_chosen = |mutant: &&Mutant| {
        chosen.is_empty() || chosen.iter().any(|name| mutant.name.starts_with(name.as_str()))
    };
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(is_chosen).collect();
    let begun = Instant::now();
    let executables = build(&mutants);
    println!("built in {:.0?}", begun.elapsed());
    let begun = Instant::now();
    let quiet = without_a_mutant(&executables, &mutants);
    println!("\n{:<44} {:<9} {:<100} seconds", "mutant", "", "by");
    let seen = try_all(&executables, &mutants);
    let noticed = seen.iter().filter(|seen| seen.is_noticed).count();
    let by_seeds = seen.iter().filter(|seen| seen.is_noticed && seen.mutant.suite == SEEDS).count();
    println!(
        "\n{noticed} of {} mutants noticed, {by_seeds} by seeds of the simulation, {} by named tests, in {:.0?}",
        seen.len(),
        noticed - by_seeds,
        begun.elapsed()
    );
    match quiet && noticed == seen.len() && noticed > 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Builds the tests of the whole workspace with mutation points, so that they share the build of their dependencies with all
/// others.
fn build(mutants: &[&Mutant]) -> Executables {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(["test", "--locked", "--quiet", "--no-run", "--message-format=json"]);
    command.args(["--features", "hostler-core/mutants", "--lib", "--workspace"]);
    // They have tests of the same names, and programs that would be linked for these.
    command.args(["--exclude", "hostler-example-orders", "--exclude", "hostler-example-starter"]);
    // What this test is told by its own cargo would have others built anew.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let mut targets: Vec<&str> =
        mutants.iter().map(|mutant| mutant.suite.target).filter(|target| *target != "lib").collect();
    targets.sort_unstable();
    targets.dedup();
    command.args(targets.iter().flat_map(|target| ["--test", target]));
    let mut cargo = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut executables = Executables::new();
    for message in Message::parse_stream(BufReader::new(cargo.stdout.take().unwrap())) {
        let Message::CompilerArtifact(artifact) = message.unwrap() else { continue };
        let (Some(executable), true) = (artifact.executable, artifact.profile.test) else { continue };
        let Some(package) = workspace().packages.iter().find(|package| package.id == artifact.package_id)
        else {
            continue;
        };
        let suites = mutants.iter().map(|mutant| mutant.suite);
        let is_lib = artifact.target.is_lib();
        let target =
            |suite: &Suite| if suite.target == "lib" { is_lib } else { suite.target == artifact.target.name };
        for suite in suites.filter(|suite| suite.package == package.name.as_str() && target(suite)) {
            let folder = package.manifest_path.parent().unwrap();
            executables.insert(suite, (executable.clone().into(), folder.into()));
        }
    }
    assert!(cargo.wait().unwrap().success(), "the tests are not built");
    executables
}

/// Whether the named tests pass where nothing is broken. The seeds are run by the simulation itself.
fn without_a_mutant(executables: &Executables, mutants: &[&Mutant]) -> bool {
    let mut tests: BTreeMap<Suite, Vec<&str>> = BTreeMap::new();
    for mutant in mutants.iter().filter(|mutant| mutant.suite != SEEDS) {
        tests.entry(mutant.suite).or_default().push(mutant.test);
    }
    let mut quiet = true;
    for (suite, mut names) in tests {
        names.sort_unstable();
        names.dedup();
        let output = run(executables, suite, &names, None);
        let said = format!("test result: ok. {} passed", names.len());
        if !output.as_ref().is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(&said)) {
            let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let said = said.unwrap_or_else(|| "they do not end in time".to_owned());
            println!(
                "{suite}: not all of its tests pass without a mutant, or one of them is not there\n{said}"
            );
            quiet = false;
        }
    }
    quiet
}

/// Tries the mutants, as many at a time as there are processors.
fn try_all<'a>(executables: &Executables, mutants: &[&'a Mutant]) -> Vec<Seen<'a>> {
    let (next, seen) = (Mutex::new(mutants.iter()), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let Some(mutant) = next.lock().unwrap().next() else { return };
            let begun = Instant::now();
            let output = run(executables, mutant.suite, &[mutant.test], Some(mutant.name));
            let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let said = said.unwrap_or_default();
            let is_noticed = said.contains(&format!("test {} ... FAILED", mutant.test));
            let seed =
                said.split("\nseed ").nth(1).and_then(|rest| rest.split(':').next()).map(str::to_owned);
            let one = Seen { mutant, seed, is_noticed, took: begun.elapsed() };
            let mut seen = seen.lock().unwrap();
            print(&one);
            seen.push(one);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    seen.into_inner().unwrap()
}

/// What a test says; nothing, where it does not end in time.
fn run(executables: &Executables, suite: Suite, tests: &[&str], mutant: Option<&str>) -> Option<Output> {
    let (executable, folder) = executables.get(&suite).unwrap_or_else(|| panic!("there is no {suite}"));
    let mut command = Command::new(executable);
    command.current_dir(folder).arg("--exact").args(tests).env_remove(VARIABLE);
    command.envs(mutant.map(|name| (VARIABLE, name)));
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // Read beside it, so that it never waits for a reader.
    let mut stdout = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut said = Vec::new();
        std::io::Read::read_to_end(&mut stdout, &mut said).map(|_| said)
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if begun.elapsed() > TIME_MAX => break None,
            None => std::thread::sleep(LOOK_EVERY),
        }
    };
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let stdout = reader.join().unwrap().unwrap();
    Some(Output { status: status?, stdout, stderr: Vec::new() })
}

fn print(Seen { mutant, seed, is_noticed, took }: &Seen<'_>) {
    let by = match seed {
        Some(seed) if mutant.suite == SEEDS => format!("seed {seed} of the simulation"),
        _ => format!("{} {}", mutant.suite, mutant.test),
    };
    let what = if *is_noticed { "noticed" } else { "UNNOTICED" };
    println!("{:<44} {what:<9} {by:<100} {:.1}", mutant.name, took.as_secs_f32());
    if !is_noticed {
        println!("{:<44} it breaks: {}", "", mutant.breaks);
    }
}
