//! `sagas cancel`, `resume`, `skip`, `edit`, `approve` and `reject`, and the same of nouns of one kind.

use std::path::Path;

use serde_json::Value;

use crate::api::{SagaName, SagaVerb, Said};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;
use crate::values::Reason;

/// Asks something of a saga that was named by a noun.
///
/// # Errors
/// [`CliError::NotFound`] with the nearest id, [`CliError::Refused`] with why not, and those of reaching the API.
pub(crate) async fn ask(
    (noun, saga): (&str, &SagaName),
    verb: &SagaVerb,
    reason: &Reason,
    target: &Target,
    out: Out,
) -> Result<(), CliError> {
    let said = format!("{noun} {}", verb.name());
    let accepted = target.api.saga_verb(Said(&said), saga, verb, &reason.reason).await?;
    if out.json {
        return out.document(&accepted);
    }
    let step = verb.step().map(|step| format!(" {step}")).unwrap_or_default();
    let again = if accepted.repeated { "; nothing had to change" } else { "" };
    let (verb, at) = (verb.name(), accepted.version);
    out.line(format!("Accepted: {verb}{step} of {saga}, which is at version {at}{again}."))
}

/// A step's input from a file.
pub(super) fn input(file: &Path) -> Result<Value, CliError> {
    let text = std::fs::read_to_string(file).map_err(CliError::file("read", file))?;
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let file = file.display();
        CliError::Usage(format!("{file} is not JSON: look at line {line}, column {column}"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn an_input_that_is_not_json_is_told_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.json");
        std::fs::write(&file, "{\"a\": }").unwrap();
        let error = input(&file).unwrap_err();
        assert!(error.to_string().ends_with("x.json is not JSON: look at line 1, column 7"), "{error}");
        std::fs::write(&file, "{\"a\": 1}").unwrap();
        assert_eq!(input(&file).unwrap()["a"], 1);
    }
}
