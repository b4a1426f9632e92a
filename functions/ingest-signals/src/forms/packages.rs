//! The list of what is installed on a host, as its agent sends it: `dpkg-query`'s, as JSON.
//!
//! ```json
//! { "host": "h-01", "ecosystem": "Debian:12", "observedAt": "2026-01-31T10:59:58Z", "rebootPending": false, "packages": [
//!   { "name": "libssl3:amd64", "version": "3.0.15-1~deb12u1", "source": "openssl", "sourceVersion": "3.0.15-1~deb12u1" } ] }
//! ```

use std::collections::BTreeMap;

use hostler_events::HostId;
use hostler_events::findings::{PackageReport, RecordPackages};
use hostler_events::packages::InstalledVersion;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::Reading;
use super::item::{short, time};

const SOURCE: &str = "agent";
const TEXT_BYTES_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct List {
    host: String,
    /// Such as `Debian:12`: what `/etc/os-release` says.
    ecosystem: String,
    reboot_pending: bool,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    source_version: Option<String>,
}

pub(super) fn read(body: &Value, received_at: Timestamp) -> Reading {
    match list(body, received_at) {
        Ok(list) => Reading { packages: vec![list], ..Reading::default() },
        Err(reason) => {
            let host = body["host"].as_str().unwrap_or_default();
            Reading::misread(&format!("the packages of {:?}", short(host, 60)), reason)
        }
    }
}

fn list(body: &Value, received_at: Timestamp) -> Result<RecordPackages, String> {
    let List { host, ecosystem, reboot_pending, packages } = List::deserialize(body).map_err(|error| {
        format!(
            "{}: send host, ecosystem, observedAt, rebootPending and packages, each with its name and version",
            short(&error.to_string(), 200)
        )
    })?;
    let host = HostId::new(host).map_err(|error| error.to_string())?;
    let observed_at = time(body, "observedAt", received_at)?.ok_or("it has no observedAt")?;
    let ecosystem = checked("ecosystem", &ecosystem)?;
    let mut installed = BTreeMap::new();
    for (n, package) in packages.iter().enumerate() {
        let at = |field: &str| format!("packages[{n}].{field}");
        let name = checked(&at("name"), &package.name)?;
        let version = checked(&at("version"), &package.version)?;
        let optional = |field: &str, text: &Option<String>| {
            text.as_deref().filter(|text| !text.is_empty()).map(|text| checked(&at(field), text)).transpose()
        };
        let source = optional("source", &package.source)?;
        let source_version = optional("sourceVersion", &package.source_version)?;
        let is = InstalledVersion::of(&name, version, source, source_version);
        installed.insert(name, is);
    }
    let report = PackageReport {
        source: SOURCE.to_owned(),
        ecosystem: Some(ecosystem),
        complete: true,
        packages: installed,
        gone: Vec::new(),
        reboot_pending: Some(reboot_pending),
        observed_at,
    };
    Ok(RecordPackages { host, report })
}

/// Names and versions of packages are short words.
pub(super) fn checked(what: &str, text: &str) -> Result<String, String> {
    let is_word =
        (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_word.then(|| text.to_owned()).ok_or_else(|| {
        format!("{what} is {:?}: send a word of {TEXT_BYTES_MAX} characters at most", short(text, 60))
    })
}
