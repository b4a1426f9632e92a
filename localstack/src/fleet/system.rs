//! The operating system on a simulated host: when it runs, what is wrong with it, and what heals it.
//!
//! It runs once an image was installed on the host's disk, and for as long as the power is on. What it says of itself it
//! says at the path of the host's metrics, in the form of Prometheus' node exporter.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How long a system that hangs keeps a connection open: longer than anybody waits.
pub(crate) const HANGS_SECONDS: u64 = 300;

/// What is wrong with a host in service. As JSON: `{"condition": "hangs"}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "condition", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// Nothing.
    #[default]
    Works,
    /// Its system takes connections and never answers. A power cycle heals it.
    Hangs,
    /// Its service has failed. A restart of it, or a power cycle, heals it.
    ServiceDown,
    /// Its disk is about to fail. A new installation heals it.
    DiskFails,
    /// Its system does not run, whatever is done.
    Dead,
}

/// What the system of a host answers to whoever asks for its metrics.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Metrics {
    /// These.
    Told(String),
    /// Nothing, while the connection stays open.
    Silence,
    /// No system runs, so nobody is there.
    Nobody,
}

/// What the agent of a host answers to whoever asks it to restart a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restart {
    /// It runs again, or this order has restarted it before.
    Active,
    /// The host has no such service.
    Unknown,
    /// Nothing, while the connection stays open.
    Silence,
    /// No system runs, so nobody is there.
    Nobody,
}

/// The one service of each host.
const SERVICE: &str = "app.service";

/// The system of one host.
#[derive(Debug, Default)]
pub(crate) struct System {
    /// The orders by which its service was restarted.
    restarts: BTreeSet<String>,
    installed: bool,
    running_since: Option<SystemTime>,
    condition: Condition,
}

impl System {
    pub(crate) fn condition(&self) -> Condition {
        self.condition
    }

    /// Breaks or mends the host. One that was dead stays down until its power goes on again.
    pub(crate) fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
        if condition == Condition::Dead {
            self.running_since = None;
        }
    }

    pub(crate) fn power_on(&mut self) {
        if matches!(self.condition, Condition::Hangs | Condition::ServiceDown) {
            self.condition = Condition::Works;
        }
    }

    pub(crate) fn power_off(&mut self) {
        self.running_since = None;
    }

    /// The system that is on the disk starts, if there is one.
    pub(crate) fn start(&mut self, now: SystemTime) {
        if self.installed && self.condition != Condition::Dead {
            self.running_since = Some(now);
        }
    }

    /// An image was installed, and the system starts.
    pub(crate) fn install(&mut self, now: SystemTime) {
        self.installed = true;
        if self.condition == Condition::DiskFails {
            self.condition = Condition::Works;
        }
        self.start(now);
    }

    /// The disk was wiped.
    pub(crate) fn wipe(&mut self) {
        self.installed = false;
        self.running_since = None;
    }

    /// Whether its system does what it is there for.
    pub(crate) fn answers(&self) -> bool {
        let works = match self.condition {
            Condition::Works | Condition::DiskFails => true,
            Condition::Hangs | Condition::ServiceDown | Condition::Dead => false,
        };
        works && self.running_since.is_some()
    }

    /// Restarts a service, once for each order.
    pub(crate) fn restart(&mut self, service: &str, order: &str) -> Restart {
        match (self.running_since, self.condition) {
            (None, _) | (_, Condition::Dead) => return Restart::Nobody,
            (Some(_), Condition::Hangs) => return Restart::Silence,
            (Some(_), Condition::Works | Condition::ServiceDown | Condition::DiskFails) => {}
        }
        if service != SERVICE {
            return Restart::Unknown;
        }
        if self.restarts.insert(order.to_owned()) && self.condition == Condition::ServiceDown {
            self.condition = Condition::Works;
        }
        Restart::Active
    }

    /// How often its service was restarted.
    pub(crate) fn restarts(&self) -> usize {
        self.restarts.len()
    }

    /// What it says of itself, with a load of so many processes that want to run. What is installed may keep its service down.
    pub(crate) fn metrics(&self, load: f64, has_what_fails: bool) -> Metrics {
        match (self.running_since, self.condition) {
            (None, _) | (_, Condition::Dead) => Metrics::Nobody,
            (Some(_), Condition::Hangs) => Metrics::Silence,
            (Some(since), Condition::Works) if has_what_fails => {
                Metrics::Told(exposition(since, Condition::ServiceDown, load))
            }
            (Some(since), condition) => Metrics::Told(exposition(since, condition, load)),
        }
    }
}

/// The metrics in the text form of Prometheus (*Exposition formats: Text-based format*).
fn exposition(since: SystemTime, condition: Condition, load: f64) -> String {
    let booted = since.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
    let (active, failed) = if condition == Condition::ServiceDown { (0, 1) } else { (1, 0) };
    let healthy = u8::from(condition != Condition::DiskFails);
    let gauges = [
        ("node_boot_time_seconds", String::new(), format!("{booted:.3}")),
        ("node_load1", String::new(), load.to_string()),
        ("node_systemd_unit_state", unit("active"), active.to_string()),
        ("node_systemd_unit_state", unit("failed"), failed.to_string()),
        ("smartmon_device_smart_healthy", r#"{disk="/dev/sda"}"#.to_owned(), healthy.to_string()),
    ];
    let mut text = String::new();
    let mut declared = "";
    for (name, labels, value) in &gauges {
        if declared != *name {
            // Writing to a text cannot fail.
            let _ = writeln!(text, "# TYPE {name} gauge");
            declared = name;
        }
        let _ = writeln!(text, "{name}{labels} {value}");
    }
    text
}

/// The labels of the state of the host's one service.
fn unit(state: &str) -> String {
    format!(r#"{{name="{SERVICE}",state="{state}",type="simple"}}"#)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a panic is how a test fails")]
    use super::*;

    fn running(condition: Condition) -> System {
        let mut system = System::default();
        system.install(UNIX_EPOCH + Duration::from_millis(1_500));
        system.set_condition(condition);
        system
    }

    fn cycle(system: &mut System) {
        system.power_off();
        system.power_on();
        system.start(UNIX_EPOCH + Duration::from_secs(60));
    }

    #[test]
    fn metrics_come_from_an_installed_system_whose_power_is_on() {
        let mut system = System::default();
        system.power_on();
        system.start(UNIX_EPOCH);
        assert_eq!(system.metrics(0.5, false), Metrics::Nobody, "there is nothing on its disk");
        system.install(UNIX_EPOCH + Duration::from_millis(1_500));
        let Metrics::Told(text) = system.metrics(0.5, false) else {
            panic!("{:?}", system.metrics(0.5, false))
        };
        assert!(text.contains("node_boot_time_seconds 1.500\n"), "{text}");
        assert!(text.contains("{name=\"app.service\",state=\"failed\",type=\"simple\"} 0\n"), "{text}");
        system.power_off();
        assert_eq!(system.metrics(0.5, false), Metrics::Nobody);
        cycle(&mut system);
        assert!(matches!(system.metrics(0.5, false), Metrics::Told(text) if text.contains("seconds 60.000")));
        system.wipe();
        assert_eq!(system.metrics(0.5, false), Metrics::Nobody);
        cycle(&mut system);
        assert_eq!(system.metrics(0.5, false), Metrics::Nobody);
    }

    #[test]
    fn each_condition_is_healed_by_what_it_says_and_by_nothing_less() {
        let healed_by_cycle = |condition| {
            let mut system = running(condition);
            cycle(&mut system);
            system.condition() == Condition::Works && matches!(system.metrics(0.5, false), Metrics::Told(_))
        };
        let healed_by_installation = |condition| {
            let mut system = running(condition);
            cycle(&mut system);
            system.install(UNIX_EPOCH);
            system.condition() == Condition::Works && matches!(system.metrics(0.5, false), Metrics::Told(_))
        };
        let healed = |condition| (healed_by_cycle(condition), healed_by_installation(condition));
        assert_eq!(healed(Condition::Hangs), (true, true));
        assert_eq!(healed(Condition::ServiceDown), (true, true));
        assert_eq!(healed(Condition::DiskFails), (false, true));
        assert_eq!(healed(Condition::Dead), (false, false));
    }

    #[test]
    fn a_service_is_restarted_once_for_each_order_by_a_system_that_runs() {
        let mut system = running(Condition::ServiceDown);
        assert_eq!(system.restart("web", "r-1"), Restart::Unknown);
        assert_eq!((system.condition(), system.restarts()), (Condition::ServiceDown, 0));
        assert_eq!(system.restart("app.service", "r-1"), Restart::Active);
        assert_eq!(system.condition(), Condition::Works);
        system.set_condition(Condition::ServiceDown);
        assert_eq!(system.restart("app.service", "r-1"), Restart::Active);
        assert_eq!(
            (system.condition(), system.restarts()),
            (Condition::ServiceDown, 1),
            "a repeat restarts nothing"
        );
        assert_eq!(running(Condition::Hangs).restart("app.service", "r-1"), Restart::Silence);
        assert_eq!(running(Condition::Dead).restart("app.service", "r-1"), Restart::Nobody);
        assert_eq!(System::default().restart("app.service", "r-1"), Restart::Nobody);
        let mut bad_disk = running(Condition::DiskFails);
        assert_eq!(bad_disk.restart("app.service", "r-1"), Restart::Active);
        assert_eq!(bad_disk.condition(), Condition::DiskFails);
    }

    #[test]
    fn each_condition_shows_in_the_metrics() {
        assert_eq!(running(Condition::Hangs).metrics(0.5, false), Metrics::Silence);
        assert_eq!(running(Condition::Dead).metrics(0.5, false), Metrics::Nobody);
        let says = |condition, line: &str| matches!(running(condition).metrics(0.5, false), Metrics::Told(text) if text.lines().any(|found| found == line));
        assert!(says(
            Condition::ServiceDown,
            r#"node_systemd_unit_state{name="app.service",state="failed",type="simple"} 1"#
        ));
        assert!(says(Condition::DiskFails, r#"smartmon_device_smart_healthy{disk="/dev/sda"} 0"#));
        assert!(says(Condition::Works, r#"smartmon_device_smart_healthy{disk="/dev/sda"} 1"#));
        let line = r#"node_systemd_unit_state{name="app.service",state="failed",type="simple"} 1"#;
        let on_bad_package = running(Condition::Works).metrics(0.5, true);
        assert!(matches!(on_bad_package, Metrics::Told(text) if text.lines().any(|found| found == line)));
    }
}
