//! `env`: how other tools reach the local cloud.

use serde_json::{Map, Value};

use crate::error::CliError;
use crate::output::Out;
use crate::target::{Global, Target};

/// The variables by which the AWS CLI and SDKs find an account of a local endpoint.
pub(crate) fn variables(endpoint: &str, account: &str) -> [(&'static str, String); 5] {
    [
        ("AWS_ENDPOINT_URL", endpoint.to_owned()),
        ("AWS_ACCESS_KEY_ID", account.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
    ]
}

/// Prints the environment.
pub(crate) async fn run(global: &Global, out: Out) -> Result<(), CliError> {
    let target = Target::open(global).await?;
    let state = target.local()?;
    let endpoint = state.endpoint.clone().unwrap_or_default();
    let account = state.stack.as_ref().map(|stack| stack.account.clone()).unwrap_or_default();
    let mut pairs: Vec<(String, String)> =
        variables(&endpoint, &account).map(|(name, value)| (name.to_owned(), value)).into();
    let plain = |value: &String| !value.contains(['\'', '\n']);
    // The template names the API by its address on AWS, which leads nowhere from here.
    let outputs = target.outputs().iter().filter(|(name, value)| plain(value) && *name != "ApiUrl");
    pairs.extend(outputs.map(|(name, value)| (format!("HOSTLER_{}", upper_snake(name)), value.clone())));
    pairs.extend(state.stack.as_ref().map(|stack| ("HOSTLER_API_URL".to_owned(), stack.api_url.clone())));
    if out.json {
        let document: Map<String, Value> =
            pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
        return out.document(&document);
    }
    for (name, value) in pairs {
        out.line(format!("export {name}='{value}'"))?;
    }
    Ok(())
}

/// `EventsTable` as `EVENTS_TABLE`.
fn upper_snake(name: &str) -> String {
    let mut text = String::new();
    for (place, letter) in name.chars().enumerate() {
        if letter.is_uppercase() && place > 0 {
            text.push('_');
        }
        text.push(letter.to_ascii_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_become_variables() {
        assert_eq!(upper_snake("EventsTable"), "EVENTS_TABLE");
        assert_eq!(upper_snake("ApiUrl"), "API_URL");
    }
}
