//! Where things lie on this machine: the repository, and the state of the local cloud in it.

use std::path::{Path, PathBuf};

use crate::error::CliError;

/// The repository.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The repository that the working directory is in, else the one that this program was built from.
    pub(crate) fn find() -> Result<Self, CliError> {
        let here = std::env::current_dir().map_err(CliError::file("read", "."))?;
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR"));
        here.ancestors()
            .chain(built_from.ancestors())
            .find(|folder| is_root(folder))
            .map(|root| Self { root: root.to_owned() })
            .ok_or_else(|| {
                CliError::Usage(format!(
                    "neither {} nor a folder above it holds Hostler's template.yaml: change to the repository first",
                    here.display()
                ))
            })
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Its top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of what belongs to the local cloud; nothing in it is kept under version control.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.root.join(".hostler")
    }

    /// The folder of logs.
    pub(crate) fn log_dir(&self) -> PathBuf {
        self.state_dir().join("logs")
    }

    /// The local cloud's state file.
    pub(crate) fn state_file(&self) -> PathBuf {
        self.state_dir().join("local.json")
    }

    /// The file that a running local cloud holds locked.
    pub(crate) fn lock_file(&self) -> PathBuf {
        self.state_dir().join("lock")
    }
}

fn is_root(folder: &Path) -> bool {
    folder.join("template.yaml").is_file() && folder.join("cli/Cargo.toml").is_file()
}
