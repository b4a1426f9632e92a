//! The disks of simulated hosts, where roles write files and packages are installed: each a folder with a `dpkg` database.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// What a system has when it was installed, before any package.
const FOLDERS: [&str; 8] = [
    "etc",
    "tmp",
    "usr/share",
    "var/log",
    "var/tmp",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/dpkg/triggers",
];
/// The database of packages, of which there are none yet.
const DATABASE: [&str; 2] = ["var/lib/dpkg/status", "var/lib/dpkg/available"];

/// Where a package leaves what keeps the host's service from running: files that end so.
const SHARED: &str = "usr/share/hostler";
const FAILS: &str = ".fails";
/// What a package leaves that works after a reboot only, as Debian's do. It is gone with the next boot.
pub(super) const REBOOT: &str = "run/reboot-required";

/// The folder of all hosts' disks.
#[derive(Debug, Clone)]
pub struct HostRoots(PathBuf);

impl HostRoots {
    pub(crate) fn below(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// The disk of a host. It is there while a system is installed.
    #[must_use]
    pub fn of(&self, host_id: &str) -> PathBuf {
        self.0.join(host_id)
    }

    /// Removes all there is.
    pub(crate) fn wipe(&self, host_id: &str) -> Result<(), Error> {
        let root = self.of(host_id);
        match fs::remove_dir_all(&root) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(Error::file("remove", root)),
        }
    }

    /// Whether something is installed that keeps the host's service from running.
    pub(crate) fn has_what_fails(&self, host_id: &str) -> bool {
        let files = fs::read_dir(self.of(host_id).join(SHARED)).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().ends_with(FAILS))
    }

    /// The system on the disk was started.
    pub(crate) fn booted(&self, host_id: &str) {
        let _ = fs::remove_file(self.of(host_id).join(REBOOT));
    }

    /// Makes a fresh system.
    pub(crate) fn install(&self, host_id: &str) -> Result<(), Error> {
        self.wipe(host_id)?;
        let root = self.of(host_id);
        let file = |path: &Path, text: &str| fs::write(path, text).map_err(Error::file("write", path));
        for folder in FOLDERS {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(Error::file("create", &path))?;
        }
        file(&root.join("etc/hostname"), &format!("{host_id}\n"))?;
        DATABASE.iter().try_for_each(|name| file(&root.join(name), ""))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_boot_ends_the_wish_for_one_and_what_fails_is_seen_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let roots = HostRoots::below(folder.path().join("hosts"));
        roots.install("h-01").unwrap();
        roots.booted("h-01");
        let root = roots.of("h-01");
        for folder in ["run", SHARED] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join(REBOOT), "").unwrap();
        roots.booted("h-01");
        assert!(!root.join(REBOOT).exists() && !roots.has_what_fails("h-01"));
        fs::write(root.join(SHARED).join("web.fails"), "").unwrap();
        assert!(roots.has_what_fails("h-01") && !roots.has_what_fails("h-02"));
    }

    #[test]
    fn an_installation_is_fresh_and_nothing_is_left_of_a_wiped_host() {
        let folder = tempfile::tempdir().unwrap();
        let roots = HostRoots::below(folder.path().join("hosts"));
        roots.wipe("h-01").unwrap();
        roots.install("h-01").unwrap();
        let old = roots.of("h-01").join("etc/old");
        fs::write(&old, "x").unwrap();
        roots.install("h-01").unwrap();
        assert!(!old.exists() && roots.of("h-01").join("var/lib/dpkg/status").is_file());
        roots.wipe("h-01").unwrap();
        assert!(!roots.of("h-01").exists());
    }
}
