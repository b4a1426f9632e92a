//! The configuration runner: its own tests, in the environment that its lock makes, and that nothing of it stays running.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hostler_localstack::{
    ConfigurationOptions, ConfigurationRunner, Progress, ensure_runner_python, group_members,
};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[tokio::test]
async fn the_runner_passes_its_own_tests() {
    let python = ensure_runner_python(&Progress::default()).await.unwrap();
    let folder = root().join("infra/configuration");
    let mut command = Command::new(python);
    command.args(["-B", "-m", "unittest", "discover", "-s", "tests"]).current_dir(&folder);
    command.env("PYTHONPATH", &folder).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("\nOK"), "{said}");
}

/// The processes that Ansible runs for this runner, which have sessions of their own.
fn working(work_dir: &Path) -> Vec<String> {
    let mark = format!("HOSTLER_CONFIGURATION_JOB={}", work_dir.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            fs::read(entry.path().join("environ")).is_ok_and(|text| contains(&text, mark.as_bytes()))
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_a_runner_runs_ends_with_it() {
    if ConfigurationRunner::missing_here().is_some() || !Path::new("/proc").is_dir() {
        return;
    }
    let roles = tempfile::tempdir().unwrap();
    fs::create_dir_all(roles.path().join("slow/tasks")).unwrap();
    let tasks = "- ansible.builtin.copy: {content: '', dest: '{{ host_root }}', mode: '0644'}\n- ansible.builtin.wait_for: {timeout: 300}\n";
    fs::write(roles.path().join("slow/tasks/main.yaml"), tasks).unwrap();
    let options = ConfigurationOptions {
        root: root(),
        roles: Some(roles.path().to_owned()),
        ..ConfigurationOptions::default()
    };
    let runner = ConfigurationRunner::start(options).await.unwrap();
    let (work_dir, group) = (runner.work_dir().to_owned(), runner.process_group());
    fs::create_dir_all(work_dir.join("hosts")).unwrap();
    let job = json!({ "id": "a", "host": "h-01", "role": "slow", "callback": { "step": "a", "token": "x" } });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/jobs", runner.url());
    let answer = client.post(&url).bearer_auth(runner.token()).json(&job).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["host"], "h-01", "{answer}");
    until("the role runs", || work_dir.join("hosts/h-01").exists()).await;
    assert!(!working(&work_dir).is_empty());
    drop(runner);
    until("nothing works any more", || working(&work_dir).is_empty() && group_members(group).is_empty())
        .await;
    assert!(!work_dir.exists(), "its files go with it");
}
