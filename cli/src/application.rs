//! The application: the folder with its template.yaml, and where the state of its local cloud lies.

use std::path::{Path, PathBuf};

use hostler_localstack::template::Template;

use crate::error::CliError;

/// The file that makes a folder an application's.
const TEMPLATE: &str = "template.yaml";
/// The variable that names another folder for the local cloud's state and logs.
const STATE_DIR: &str = "HOSTLER_STATE_DIR";
/// The parameters by which a template says that its functions talk to BMCs.
const BMC_PARAMETERS: [&str; 3] = ["BmcUsername", "BmcPassword", "CallbackKey"];

/// An application that is built on the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Application {
    root: PathBuf,
    state_dir: PathBuf,
}

impl Application {
    /// The application in a named folder, else in the working directory or the nearest folder above it.
    ///
    /// # Errors
    /// [`CliError::NoApplication`].
    pub(crate) fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let here = std::env::current_dir().map_err(CliError::file("read", "."))?;
        let root = match named {
            Some(folder) => Self::in_folder(&here.join(folder)),
            None => here.ancestors().find_map(Self::in_folder),
        };
        let root = root.ok_or_else(|| CliError::NoApplication {
            place: named.map_or(here.clone(), |folder| here.join(folder)),
            above: named.is_none(),
        })?;
        let state_dir = std::env::var_os(STATE_DIR).filter(|dir| !dir.is_empty());
        let state_dir = state_dir.map_or_else(|| root.join(".hostler"), PathBuf::from);
        Ok(Self { root, state_dir })
    }

    fn in_folder(folder: &Path) -> Option<PathBuf> {
        folder.join(TEMPLATE).is_file().then(|| folder.to_owned())
    }

    #[cfg(test)]
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned(), state_dir: root.join(".hostler") }
    }

    /// Its top folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Its template.
    pub(crate) fn template_file(&self) -> PathBuf {
        self.root.join(TEMPLATE)
    }

    /// Whether it works on hosts, so that the local cloud starts a fleet for it: its template takes the BMCs'
    /// credentials.
    ///
    /// # Errors
    /// When the template cannot be read.
    pub(crate) fn has_fleet(&self) -> Result<bool, CliError> {
        let template = Template::load(self.template_file())?;
        let parameters = &template.body["Parameters"];
        Ok(BMC_PARAMETERS.iter().all(|name| parameters.get(name).is_some()))
    }

    /// The folder of what belongs to the local cloud; nothing in it is kept under version control.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.state_dir.clone()
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_application_is_where_its_template_is() {
        let dir = tempfile::tempdir().unwrap();
        let error = Application::find(Some(dir.path())).unwrap_err();
        assert_eq!((error.code(), error.label()), (2, "no-application"));
        let text = error.to_string();
        assert!(text.contains("template.yaml") && text.contains("--app"), "{text}");
        let template =
            "Parameters: {Colour: {Type: String}}\nResources: {Bus: {Type: AWS::Events::EventBus}}\n";
        std::fs::write(dir.path().join(TEMPLATE), template).unwrap();
        let application = Application::find(Some(dir.path())).unwrap();
        assert_eq!(application.root(), dir.path());
        assert!(!application.has_fleet().unwrap());
    }

    #[test]
    fn the_data_centre_has_a_fleet() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(Application::find(Some(root)).unwrap().has_fleet().unwrap());
    }
}
