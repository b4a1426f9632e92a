//! Sample inputs of functions: those of the application's folder, or those that this program was built with.

use std::collections::BTreeMap;

use hostler_events::samples::lambda_samples;

use crate::application::Application;
use crate::error::CliError;
use crate::near::hint;

/// Where an application keeps them, as `<function>.<sample>.json`.
const FOLDER: &str = "events/samples/lambda";

/// Samples by function and name.
#[derive(Debug, Default)]
pub(super) struct Samples(BTreeMap<String, BTreeMap<String, String>>);

impl Samples {
    /// Reads those of an application; away from any folder there are those of the data centre.
    pub(super) fn read(application: Option<&Application>) -> Result<Self, CliError> {
        let mut samples = Self::default();
        let Some(application) = application else {
            for (function, name, text) in lambda_samples() {
                samples.insert(function, name, (*text).to_owned());
            }
            return Ok(samples);
        };
        let folder = application.root().join(FOLDER);
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(samples) };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((function, name)) = name.strip_suffix(".json").and_then(|name| name.split_once('.'))
            else {
                continue;
            };
            let text = std::fs::read_to_string(&path).map_err(CliError::file("read", &path))?;
            samples.insert(function, name, text);
        }
        Ok(samples)
    }

    fn insert(&mut self, function: &str, name: &str, text: String) {
        self.0.entry(function.to_owned()).or_default().insert(name.to_owned(), text);
    }

    /// The names of a function's samples.
    pub(super) fn names(&self, function: &str) -> Vec<&str> {
        self.0.get(function).into_iter().flat_map(|of| of.keys().map(String::as_str)).collect()
    }

    /// One sample.
    ///
    /// # Errors
    /// [`CliError::NotFound`] with the nearest name.
    pub(super) fn of(&self, function: &str, name: &str) -> Result<&str, CliError> {
        let found = self.0.get(function).and_then(|of| of.get(name));
        found.map(String::as_str).ok_or_else(|| CliError::NotFound {
            what: "sample".into(),
            name: name.to_owned(),
            hint: hint(name, self.names(function)),
            list: Some("hostler functions list".to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use std::path::Path;

    use super::*;

    #[test]
    fn the_folder_has_what_the_program_has() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (folder, built_in) =
            (Samples::read(Some(&Application::at(root))).unwrap(), Samples::read(None).unwrap());
        assert_eq!(folder.0, built_in.0);
        assert!(folder.of("answer-queries", "http").is_ok());
        let error = folder.of("answer-queries", "htp").unwrap_err();
        assert!(error.to_string().contains("did you mean http?"), "{error}");
    }

    #[test]
    fn an_application_without_samples_has_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Samples::read(Some(&Application::at(dir.path()))).unwrap().0.is_empty());
    }
}
