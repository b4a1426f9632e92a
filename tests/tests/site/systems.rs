//! The systems that hosts run: which packages an image brings, who tells what is installed, and who changes a host by hand.

use std::time::Duration;

use futures::FutureExt;
use hostler_drivers::packages::PackagesRow;
use hostler_drivers::{ControlState, PlainConfiguration, PlainPackages};
use hostler_runtime::ports::{Clock, Control};
use hostler_runtime::serving::http::Request;
use hostler_testkit::TestClock;
use hostler_testkit::memory::MemoryControl;
use hostler_testkit::world::Callers;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::functions::SIGNAL_TOKEN;

/// The vulnerability that is published.
pub const CVE: &str = "CVE-2026-12345";
/// The package that has it.
pub const PACKAGE: &str = "libssl3:amd64";
/// The version that images bring.
pub const VULNERABLE: &str = "3.0.15-1~deb12u1";
/// The version that has it no more.
pub const FIXED: &str = "3.0.16-1~deb12u1";
/// What an attacker can do from the network, by himself, and then with everything.
const NETWORK: &str = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H";
/// A revision of a role that nobody has asked for.
const BY_HAND: u64 = 99;
/// How long a new system takes until its agent tells what is installed.
const AGENT: Duration = Duration::from_secs(120);

/// What of the package an image brings to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brings {
    /// The vulnerable version.
    Vulnerable,
    /// The same, and a reboot is needed once it is changed.
    NeedsReboot,
    /// The version with the fix.
    Fixed,
    /// Nothing.
    Nothing,
}

impl Brings {
    /// The same for a host whenever it is installed.
    pub fn to(host: &str) -> Self {
        let number = host.rsplit('-').next().and_then(|number| number.parse::<u32>().ok()).unwrap_or(0);
        match number % 8 {
            0 => Self::Nothing,
            1 => Self::Fixed,
            2 | 5 => Self::NeedsReboot,
            _ => Self::Vulnerable,
        }
    }

    /// Whether the host has the vulnerability until it is patched.
    pub fn is_vulnerable(self) -> bool {
        matches!(self, Self::Vulnerable | Self::NeedsReboot)
    }

    fn row(self) -> PackagesRow {
        let mut row = PackagesRow {
            installed: [("bash".to_owned(), "5.2.15-2".to_owned())].into(),
            ..PackagesRow::default()
        };
        let version = match self {
            Self::Nothing => return row,
            Self::Fixed => FIXED,
            Self::Vulnerable | Self::NeedsReboot => VULNERABLE,
        };
        row.installed.insert(PACKAGE.to_owned(), version.to_owned());
        if self == Self::NeedsReboot {
            row.needs_reboot.insert(PACKAGE.to_owned());
        }
        row
    }
}

/// All systems of a site.
pub struct Systems {
    control: MemoryControl,
    clock: TestClock,
    callers: Callers,
    /// Who changes which host by hand, and from when on.
    by_hand: Vec<(Timestamp, String)>,
}

impl Systems {
    pub fn new(control: &MemoryControl, clock: &TestClock, callers: &Callers) -> Self {
        let (control, clock, callers) = (control.clone(), clock.clone(), callers.clone());
        Self { control, clock, callers, by_hand: Vec::new() }
    }

    /// A host boots from an image. What was installed is gone; a system brings its own, and its agent tells of it, if the host
    /// still runs it then.
    pub fn boots(
        &self,
        host: &str,
        is_cleaned: bool,
        after: Duration,
        runs_it: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        let row = if is_cleaned { PackagesRow::default() } else { Brings::to(host).row() };
        write(&self.control, &PlainPackages::<ControlState>::key(host), &json!(row));
        if !is_cleaned {
            let after = after + AGENT;
            let read_at = self.clock.now() + SignedDuration::try_from(after).unwrap();
            self.callers.call_if_there(after, list(host, &row, read_at), runs_it);
        }
    }

    /// Somebody changes a host by hand, after so long.
    pub fn change_by_hand(&mut self, after: Duration, host: String) {
        self.by_hand.push((self.clock.now() + SignedDuration::try_from(after).unwrap(), host));
    }

    /// Whoever meant to change a host by now does so.
    pub fn pass_time(&mut self) {
        let now = self.clock.now();
        for (_, host) in self.by_hand.extract_if(.., |(at, _)| *at <= now) {
            let key = PlainConfiguration::<ControlState>::key(&host);
            let Some(mut row) = read(&self.control, &key) else { continue };
            row["revision"] = json!(BY_HAND);
            write(&self.control, &key, &row);
        }
    }
}

fn read(control: &MemoryControl, key: &str) -> Option<Value> {
    control.get(key).now_or_never().unwrap().unwrap().map(|entry| entry.value)
}

/// Nobody can be faster: it is one thread.
fn write(control: &MemoryControl, key: &str, value: &Value) {
    let revision = control.get(key).now_or_never().unwrap().unwrap().map_or(0, |entry| entry.revision);
    assert!(control.put(key, value, revision).now_or_never().unwrap().unwrap(), "{key} is written");
}

/// What the agent of a host tells.
fn list(host: &str, row: &PackagesRow, read_at: Timestamp) -> Request {
    let packages = row.installed.iter().map(|(name, version)| {
        let source = if name == PACKAGE { "openssl" } else { name };
        json!({ "name": name, "version": version, "source": source, "sourceVersion": version })
    });
    let body = json!({
        "host": host, "ecosystem": "Debian:12", "observedAt": read_at, "rebootPending": false,
        "packages": packages.collect::<Vec<Value>>(),
    });
    signal("packages", &body)
}

/// What the publishers of vulnerabilities tell.
pub fn advisory() -> Request {
    let body = json!({
        "schema_version": "1.7.0", "id": "DSA-6012-1", "modified": "2025-12-30T10:40:00Z", "upstream": [CVE],
        "summary": "openssl - security update", "severity": [{ "type": "CVSS_V3", "score": NETWORK }],
        "affected": [{
            "package": { "ecosystem": "Debian:12", "name": "openssl", "purl": "pkg:deb/debian/openssl?arch=source" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": FIXED }] }],
        }],
    });
    signal("osv", &body)
}

/// What another system sends.
pub fn signal(form: &str, body: &Value) -> Request {
    Request {
        method: "POST".to_owned(),
        path: format!("/signals/{form}"),
        headers: [("authorization".to_owned(), format!("Bearer {SIGNAL_TOKEN}"))].into(),
        body: body.to_string(),
        ..Request::default()
    }
}
