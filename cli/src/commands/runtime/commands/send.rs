//! `commands send`.

use serde_json::Value;

use super::args::SendArgs;
use crate::api::Said;
use crate::error::CliError;
use crate::near::hint;
use crate::output::Out;
use crate::target::{Global, Target};
use crate::values::text_of;

/// Sends a command.
pub(super) async fn run(args: SendArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let SendArgs { command, data, from } = args;
    let (place, text) = match (data, from) {
        (None, Some(file)) => (file.display().to_string(), text_of(&file)?),
        (data, _) => (format!("what {command} says"), data.unwrap_or_default()),
    };
    let data = object(&place, &text)?;
    let target = Target::open(global).await?;
    let known = &target.api.register().await?.commands;
    if !known.contains(&command) {
        return Err(CliError::NotFound {
            what: "command".into(),
            hint: hint(&command, known.iter().map(String::as_str)),
            name: command,
            list: Some("hostler commands list".to_owned()),
        });
    }
    let said = format!("commands send {command}");
    let accepted = target.api.command(Said(&said), &command, &data).await?;
    if out.json {
        return out.document(&accepted);
    }
    let again = if accepted.repeated { "; nothing had to change" } else { "" };
    out.line(format!("Accepted: {command} ({} is at version {}{again}).", accepted.stream, accepted.version))
}

/// A JSON object.
fn object(place: &str, text: &str) -> Result<Value, CliError> {
    let value: Value = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        CliError::Usage(format!("{place} is not JSON: look at line {line}, column {column}"))
    })?;
    if value.is_object() {
        return Ok(value);
    }
    Err(CliError::Usage(format!("{place} is no JSON object: give one such as {{\"order\": \"o-1\"}}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_a_command_says_is_an_object() {
        assert_eq!(object("x", "{\"a\": 1}").unwrap()["a"], 1);
        let said = |text: &str| object("what place-order says", text).unwrap_err().to_string();
        assert_eq!(said("{\"a\": }"), "what place-order says is not JSON: look at line 1, column 7");
        assert!(said("[1]").contains("no JSON object: give one such as"), "{}", said("[1]"));
    }
}
