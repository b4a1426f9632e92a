//! With Ansible: real roles on hosts that are folders, each with a `dpkg` database of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use hostler_drivers::{AnsibleConfiguration, ApplyRole, Applying, Configuration, RunnerSettings};
use hostler_localstack::{ConfigurationRunner, Configured, SiteOptions, needs};
use hostler_tests::root;
use serde_json::{Value, json};

use crate::world::{World, fleet};

/// A role that fails for good, with its reason.
const BROKEN: &str = "
- name: Write a file
  ansible.builtin.copy: {content: x, dest: \"{{ host_root }}/etc/half\", mode: \"0644\"}
- name: Look at the disk
  ansible.builtin.fail: {msg: the disk is too small for the role}
";
/// A role that takes long enough to be interrupted, and leaves a mark before.
const SLOW: &str = "
- name: Note that it runs
  ansible.builtin.copy: {content: \"\", dest: \"{{ host_root }}/etc/began\", mode: \"0644\"}
- name: Take its time
  ansible.builtin.wait_for: {timeout: 6}
";

/// The roles of the product, and those that are here to be broken.
fn roles() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&root().join("infra/roles/web"), &folder.path().join("web"));
    for (name, tasks) in [("broken", BROKEN), ("slow", SLOW)] {
        let place = folder.path().join(name).join("tasks");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::write(place.join("main.yaml"), tasks).unwrap();
    }
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        match path.is_dir() {
            true => copy(&path, &target),
            false => assert!(std::fs::copy(path, target).is_ok()),
        }
    }
}

fn runner(world: &World) -> &ConfigurationRunner {
    world.site.configuration.as_ref().unwrap()
}

fn disk(world: &World, host: &Value) -> PathBuf {
    runner(world).roots().of(host.as_str().unwrap())
}

/// What `dpkg` itself says is installed on a host.
fn installed(disk: &Path) -> Vec<String> {
    let admin = format!("--admindir={}", disk.join("var/lib/dpkg").display());
    let query =
        Command::new("dpkg-query").args([&admin, "-W", "-f=${Package} ${db:Status-Status}\n"]).output();
    String::from_utf8(query.unwrap().stdout).unwrap().lines().map(str::to_owned).collect()
}

/// One request for one host of this role, to its end.
async fn provision(world: &World, id: &str, role: &str) -> Value {
    ask(world, id, role).await;
    world.settled(id, 1).await.remove(0)
}

async fn ask(world: &World, id: &str, role: &str) {
    let command = json!({ "request": id, "pool": "web", "role": role, "image": "debian-12", "count": 1 });
    world.accepted("request-hosts", &command).await;
}

/// The events of a host of this type, the newest last.
async fn events(world: &World, host: &Value, event_type: &str) -> Vec<Value> {
    let (status, timeline) =
        world.get(&format!("/hosts/{}/timeline?limit=200", host.as_str().unwrap())).await;
    assert_eq!(status, 200, "{timeline}");
    let commits = timeline["commits"].as_array().unwrap();
    let events = commits.iter().flat_map(|commit| commit["events"].as_array().cloned().unwrap_or_default());
    events.filter(|event| event["eventType"] == event_type).map(|event| event["data"].clone()).collect()
}

/// Hands the role in once more, and gives the runner's word about its end.
async fn apply_again(world: &World, host: &Value) -> Value {
    let (url, token) = (runner(world).url(), runner(world).token().to_owned());
    let settings =
        RunnerSettings { url: url.clone(), token: token.clone(), timeout: RunnerSettings::TIMEOUT };
    let order = ApplyRole {
        saga: "provisioning#again".to_owned(),
        step: "again/apply-role/1".to_owned(),
        token: "nobody waits for it".to_owned(),
        host: host.as_str().unwrap().to_owned(),
        role: "web".to_owned(),
        ..ApplyRole::default()
    };
    let driver = AnsibleConfiguration::new(&settings).unwrap();
    assert_eq!(driver.apply_role(&order).await.unwrap(), Applying::Begun);
    assert_eq!(driver.apply_role(&order).await.unwrap(), Applying::Begun, "a repeat is the same job");
    let job = format!("{url}/jobs/provisioning%23again/again/apply-role/1");
    let client = reqwest::Client::new();
    world
        .until("the job has ended", async || {
            let answer = client.get(&job).bearer_auth(&token).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            (answer["state"] == "ended").then_some(answer)
        })
        .await
}

/// Policies by which a host that has drifted is put right at once.
async fn repairs_drift_by_itself(world: &World) {
    let pool = json!({ "role": "web", "image": "debian-12", "hosts": 2 });
    let policy = json!({ "configuration": { "autonomy": "auto" }, "pools": { "web": pool } });
    let apply =
        json!({ "policies": "site", "policy": policy, "reason": "hosts are kept as they were configured" });
    world.accepted("apply-policies", &apply).await;
}

/// The host is checked, and the newest event of this type that follows.
async fn checked(world: &World, host: &Value, event_type: &str) -> Value {
    let before = events(world, host, event_type).await.len();
    world.accepted("check-configuration", &json!({ "host": host })).await;
    let came = async || events(world, host, event_type).await.into_iter().nth(before);
    world.until(&format!("{event_type} comes"), came).await
}

/// A file of the role is changed by hand and one of its packages removed: a check finds exactly these, and they are put right.
async fn drifts_and_is_repaired(world: &World, host: &Value) {
    let (disk, revision) =
        (disk(world, host), events(world, host, "host.role-run").await[0]["revision"].clone());
    checked(world, host, "host.configuration-checked").await;
    let conf = disk.join("etc/hostler/web.conf");
    let as_configured = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, as_configured.replace("8080", "80")).unwrap();
    let root = format!("--root={}", disk.display());
    let flags = ["--force-not-root", "--force-script-chrootless", "--force-bad-path"];
    let removed =
        Command::new("dpkg").arg(root).args(flags).args(["--purge", "hostler-web"]).output().unwrap();
    assert!(removed.status.success(), "{removed:?}");
    assert_eq!(installed(&disk), ["hostler-agent installed"]);

    let drifted = checked(world, host, "host.configuration-drifted").await;
    let changes = drifted["changes"].as_array().unwrap();
    let named: Vec<_> = changes.iter().map(|change| (&change["task"], &change["path"])).collect();
    let (install, write) =
        (json!("Install the packages below the root folder"), json!("Write the configuration"));
    assert_eq!(named, [(&install, &json!("")), (&write, &json!("/etc/hostler/web.conf"))], "{drifted:#}");
    assert!(changes[0]["diff"].as_str().unwrap().starts_with("+hostler-web "), "{drifted:#}");
    assert_eq!(changes[1]["diff"], "-listen = 80\n+listen = 8080\n");
    assert_eq!((&drifted["revision"], &drifted["repair"]["decision"]), (&revision, &json!("begun")));

    let restored = async || events(world, host, "host.configuration-restored").await.pop();
    let restored = world.until("the host is put right", restored).await;
    assert_eq!((&restored["changed"], &restored["revision"]), (&json!(true), &revision));
    assert_eq!(std::fs::read_to_string(&conf).unwrap(), as_configured);
    assert_eq!(installed(&disk), ["hostler-agent installed", "hostler-web installed"]);

    // The second check finds nothing, and all of it is in the timeline.
    checked(world, host, "host.configuration-checked").await;
    let counts = [
        ("host.configuration-check-started", 3),
        ("host.configuration-checked", 2),
        ("host.configuration-drifted", 1),
        ("host.configuration-restore-started", 1),
        ("host.configuration-restored", 1),
        ("host.configuration-run-failed", 0),
    ];
    for (event_type, count) in counts {
        assert_eq!(events(world, host, event_type).await.len(), count, "{event_type}");
    }
}

/// One site for all of it, for a site takes its time.
#[tokio::test(flavor = "multi_thread")]
async fn hosts_are_configured_by_real_roles_and_undone_with_the_failed_tasks_own_message() {
    needs!(Functions, Processes, HttpApi);
    if let Some(missing) = ConfigurationRunner::missing_here() {
        eprintln!("not run: {missing}");
        return;
    }
    let roles = roles();
    let options = SiteOptions {
        fleet: fleet(2),
        configuration: Some(Configured { roles: Some(roles.path().to_owned()) }),
        ..SiteOptions::default()
    };
    let mut world = World::start_with(options).await;
    world.enrol("web").await;
    repairs_drift_by_itself(&world).await;

    // The role is on the host: its files, and its packages in the host's own database.
    let saga = provision(&world, "r-1", "web").await;
    assert_eq!(saga["status"], "completed", "{saga:#}");
    let host = saga["host"].clone();
    let conf = std::fs::read_to_string(disk(&world, &host).join("etc/hostler/web.conf")).unwrap();
    assert!(conf.contains(&format!("host = {}", host.as_str().unwrap())), "{conf}");
    assert_eq!(installed(&disk(&world, &host)), ["hostler-agent installed", "hostler-web installed"]);
    let ran = events(&world, &host, "host.role-run").await;
    assert_eq!(ran.len(), 1, "{ran:#?}");
    let changed: Vec<_> = ran[0]["tasks"].as_array().unwrap().iter().map(|task| &task["result"]).collect();
    assert!(ran[0]["outcome"] == "succeeded" && changed.len() == 3, "{ran:#?}");
    let applied = events(&world, &host, "host.configuration-applied").await;
    assert_eq!((&applied[0]["changed"], &applied[0]["revision"]), (&json!(true), &ran[0]["revision"]));
    assert_eq!(ran[0]["revision"].as_str().unwrap().len(), 16);

    // A second run changes nothing.
    let again = apply_again(&world, &host).await;
    assert_eq!((&again["outcome"], &again["changed"]), (&json!("succeeded"), &json!(false)), "{again:#}");

    drifts_and_is_repaired(&world, &host).await;

    // A role that fails is undone, and the host's timeline has the task's own message.
    let saga = provision(&world, "r-2", "broken").await;
    let reason = "task 'Look at the disk' failed: the disk is too small for the role";
    assert_eq!(saga["status"], "compensated", "{saga:#}");
    assert!(saga["reason"].as_str().unwrap().contains(reason), "{saga:#}");
    let broken = saga["host"].clone();
    let failed = events(&world, &broken, "host.step-failed").await;
    assert_eq!(failed.len(), 1, "it is not tried again: {failed:#?}");
    assert_eq!(failed[0]["reason"], reason);
    let ran = events(&world, &broken, "host.role-run").await;
    assert_eq!(ran[0]["tasks"][1]["message"], "the disk is too small for the role", "{ran:#?}");
    assert!(!disk(&world, &broken).exists(), "the host is wiped");

    // A role whose name leads elsewhere is refused by the runner, and nothing is done.
    let saga = provision(&world, "r-3", "../web").await;
    assert_eq!(saga["status"], "compensated", "{saga:#}");
    assert!(saga["reason"].as_str().unwrap().contains("is no name of a role"), "{saga:#}");

    // The runner dies in the middle of a run. It returns, says that the run is lost, and the step is tried again.
    ask(&world, "r-4", "slow").await;
    let began = disk(&world, &broken).join("etc/began");
    world.until("the role runs", async || began.exists().then_some(())).await;
    world.site.configuration.as_mut().unwrap().die_and_return().await.unwrap();
    let saga = world.settled("r-4", 1).await.remove(0);
    assert_eq!(saga["status"], "completed", "{saga:#}");
    let ran = events(&world, &broken, "host.role-run").await;
    let outcomes: Vec<_> = ran.iter().rev().take(2).map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["succeeded", "lost"], "{ran:#?}");
}
