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
