//! Scenarios: a file of infra/scenarios each.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use hostler_events::PoolId;
use hostler_localstack::fleet::Condition;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::application::Application;
use crate::error::CliError;
use crate::near::hint;
use crate::render::time;
use crate::values::duration;

/// Where they are, below the application's root.
const FOLDER: &str = "infra/scenarios";
/// The largest file.
const BYTES_MAX: u64 = 64 * 1024;
/// The most steps of one.
const STEPS_MAX: usize = 100;

/// What happens, and what is waited for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Scenario {
    /// In a sentence.
    pub(super) title: String,
    /// The pool that it happens to.
    pub(super) pool: PoolId,
    /// How many of its hosts are in service before it begins.
    pub(super) hosts: u32,
    /// How long it may take.
    #[serde(deserialize_with = "length")]
    pub(super) lasts: Duration,
    /// More hosts than these must not be repaired.
    #[serde(default)]
    pub(super) repairs_max: Option<usize>,
    /// One after the other.
    pub(super) steps: Vec<Step>,
}

/// A step of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Step {
    /// The pool has so much to do, for each host that was in service at the beginning.
    Load(f64),
    /// Hosts break.
    Break(Break),
    /// What is broken works again.
    Mend,
    /// A dependency is not called.
    Away(String),
    /// It is called again.
    Back(String),
    /// Nothing happens.
    #[serde(deserialize_with = "length")]
    Pause(Duration),
    /// The CMDB tells of the pool's hosts in service.
    Record(Record),
    /// A vulnerability of a package becomes known.
    Publish(Package),
    /// It is exploited.
    Exploit,
    /// Until something is so.
    Wait(Until),
}

/// What the CMDB says of where hosts stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Record {
    /// Where they are enrolled.
    AsIs,
    /// In another rack.
    Elsewhere,
}

/// A package that has a vulnerability, in all versions before the one that fixes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Package {
    /// Its name.
    pub(super) package: String,
    /// The distribution and its release, as OSV names them.
    pub(super) ecosystem: String,
    /// The version that fixes it.
    pub(super) fixed: String,
}

/// What breaks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Break {
    /// How much of the pool.
    #[serde(rename = "where")]
    pub(super) place: Place,
    /// What is wrong then.
    pub(super) fault: Fault,
}

/// How much of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    Host,
    /// The one that broke before, if it still serves.
    SameHost,
    Rack,
    PowerDomain,
}

/// What is wrong with a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Fault {
    Hang,
    ServiceDown,
    Disk,
}

impl Scenario {
    /// Whether hosts break or have more to do in it. Otherwise it is played by what others say.
    pub(super) fn disturbs_hosts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Load(_) | Step::Break(_)))
    }
}

impl Fault {
    /// What the fleet calls it.
    pub(super) fn condition(self) -> Condition {
        match self {
            Self::Hang => Condition::Hangs,
            Self::ServiceDown => Condition::ServiceDown,
            Self::Disk => Condition::DiskFails,
        }
    }

    /// Its name in a scenario's file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hang => "hang",
            Self::ServiceDown => "service-down",
            Self::Disk => "disk",
        }
    }

    /// The alert of infra/monitoring/rules.yaml and the class of fault that it is labelled with.
    pub(super) fn alert(self) -> (&'static str, &'static str) {
        match self {
            Self::Hang => ("HostDown", "unreachable"),
            Self::ServiceDown => ("ServiceDown", "service"),
            Self::Disk => ("DiskFailing", "disk"),
        }
    }
}

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Until {
    /// The pool has grown, none of its hosts is on the way, and its load is not above its threshold.
    Served,
    /// It has as many hosts as at the beginning, and none leaves.
    AsBefore,
    /// What broke is an incident.
    Detected,
    /// What the broken hosts share has an incident of its own.
    CommonIncident,
    /// No incident of what broke goes on.
    Closed,
    /// The inventory knows what the CMDB says, and whether it is as expected.
    AsRecorded,
    /// Hosts are known that have the vulnerability.
    Found,
    /// None of them has it any more.
    Patched,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Served => "the load is served",
            Self::AsBefore => "the pool is as before",
            Self::Detected => "what broke is detected",
            Self::CommonIncident => "what the broken hosts share is one incident",
            Self::Closed => "all incidents are closed",
            Self::AsRecorded => "the inventory knows what the CMDB says",
            Self::Found => "hosts are known that have the vulnerability",
            Self::Patched => "no host has the vulnerability any more",
        })
    }
}

/// A scenario as it is listed.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    pub(super) scenario: String,
    pub(super) pool: String,
    pub(super) hosts: u32,
    pub(super) lasts: String,
    pub(super) title: String,
}

/// A scenario by its name.
///
/// # Errors
/// [`CliError::NotFound`] with the nearest name, and what is wrong with its file.
pub(super) fn find(application: &Application, name: &str) -> Result<Scenario, CliError> {
    let mut files = files(application)?;
    let Some(path) = files.remove(name) else {
        let hint = hint(name, files.keys().map(String::as_str));
        let list = Some("hostler simulate list".to_owned());
        return Err(CliError::NotFound { what: "scenario".into(), name: name.to_owned(), hint, list });
    };
    read(&path)
}

/// All scenarios, by their names.
///
/// # Errors
/// What is wrong with one of their files.
pub(super) fn all(application: &Application) -> Result<Vec<Listed>, CliError> {
    let listed = |(scenario, path): (String, std::path::PathBuf)| {
        let Scenario { title, pool, hosts, lasts, .. } = read(&path)?;
        Ok(Listed { scenario, pool: pool.to_string(), hosts, lasts: time::rough(lasts), title })
    };
    files(application)?.into_iter().map(listed).collect()
}

fn files(application: &Application) -> Result<BTreeMap<String, std::path::PathBuf>, CliError> {
    let folder = application.root().join(FOLDER);
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CliError::Usage(format!(
                "this application has no scenarios: they are files in {FOLDER}"
            )));
        }
        Err(error) => return Err(CliError::file("read", folder)(error)),
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let yaml = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let named = |path: std::path::PathBuf| Some((path.file_stem()?.to_str()?.to_owned(), path));
    Ok(yaml.filter_map(named).collect())
}

fn read(path: &Path) -> Result<Scenario, CliError> {
    let bytes = std::fs::metadata(path).map_err(CliError::file("read", path))?.len();
    if bytes > BYTES_MAX {
        let path = path.display();
        return Err(CliError::Usage(format!(
            "{path} has {bytes} bytes, and a scenario has {BYTES_MAX} at most"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(CliError::file("read", path))?;
    parse(&text).map_err(|problem| CliError::Usage(format!("{}: {problem}", path.display())))
}

fn parse(text: &str) -> Result<Scenario, String> {
    // By way of JSON: there a step is written as the name of what it does and what is said of it, without YAML's tags.
    let value: Value = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
    let scenario: Scenario = serde_path_to_error::deserialize(value)
        .map_err(|error| format!("{}: {}", error.path(), error.inner()))?;
    check(&scenario)?;
    Ok(scenario)
}

fn check(scenario: &Scenario) -> Result<(), String> {
    if !(1..=STEPS_MAX).contains(&scenario.steps.len()) {
        return Err(format!("steps: give 1 to {STEPS_MAX} of them"));
    }
    if scenario.hosts == 0 {
        return Err("hosts: give 1 or more".to_owned());
    }
    let (mut broken, mut recorded, mut published) = (false, false, false);
    for (n, step) in scenario.steps.iter().enumerate() {
        match step {
            Step::Load(load) if !(0.0..=100.0).contains(load) => {
                return Err(format!("steps[{n}].load: give a number from 0 to 100"));
            }
            Step::Break(_) => broken = true,
            Step::Record(_) => recorded = true,
            Step::Publish(_) if published => {
                return Err(format!("steps[{n}]: a scenario publishes one vulnerability"));
            }
            Step::Publish(_) => published = true,
            Step::Exploit | Step::Wait(Until::Found | Until::Patched) if !published => {
                return Err(format!("steps[{n}]: nothing is published before it"));
            }
            Step::Wait(Until::AsRecorded) if !recorded => {
                return Err(format!("steps[{n}]: nothing is recorded before it"));
            }
            Step::Mend | Step::Wait(Until::Detected | Until::CommonIncident | Until::Closed) if !broken => {
                return Err(format!("steps[{n}]: nothing is broken before it"));
            }
            Step::Load(_)
            | Step::Mend
            | Step::Away(_)
            | Step::Back(_)
            | Step::Pause(_)
            | Step::Exploit
            | Step::Wait(_) => {}
        }
    }
    Ok(())
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn every_scenario_of_the_repository_reads() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let names: Vec<String> =
            all(&Application::at(root)).unwrap().into_iter().map(|listed| listed.scenario).collect();
        assert!(names.iter().any(|name| name == "flash-sale"), "{names:?}");
        let error = find(&Application::at(root), "flash-sail").unwrap_err().to_string();
        assert!(error.contains("did you mean flash-sale?"), "{error}");
    }

    #[test]
    fn an_application_without_scenarios_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let error = all(&Application::at(folder.path())).unwrap_err().to_string();
        assert!(error.contains("no scenarios"), "{error}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        let with = |steps: &str| {
            parse(&format!("title: x\npool: web\nhosts: 2\nlasts: 1m\nsteps:\n{steps}\n")).unwrap_err()
        };
        for (steps, said) in [
            ("  - wait: closed", "steps[0]: nothing is broken before it"),
            ("  - wait: as-recorded", "steps[0]: nothing is recorded before it"),
            ("  - exploit", "steps[0]: nothing is published before it"),
            ("  - wait: patched", "steps[0]: nothing is published before it"),
            ("  - publish: { package: x, fixed: 1 }", "steps[0].publish"),
            ("  - load: -1", "steps[0].load: give a number"),
            ("  - pause: soon", "steps[0].pause: give a length of time"),
            ("  - break: { where: moon, fault: hang }", "steps[0].break.where: unknown variant `moon`"),
            ("  - explode", "steps[0]: unknown variant `explode`"),
        ] {
            let error = with(steps);
            assert!(error.contains(said), "{steps}: {error}");
        }
    }
}
