//! Who did what by this program, recorded in the control table before it is done.

use aws_credential_types::provider::ProvideCredentials;
use hostler_aws::DynamoControl;
use hostler_runtime::ports::Control;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::CliError;
use crate::target::Target;

/// The access key by which AWS knows the caller.
pub(crate) async fn actor(target: &Target) -> String {
    let Some(provider) = target.config.credentials_provider() else { return "unknown".to_owned() };
    let credentials = provider.provide_credentials().await;
    credentials.map_or_else(|_| "unknown".to_owned(), |credentials| credentials.access_key_id().to_owned())
}

/// Records that somebody is about to do something, and gives the record's key.
///
/// # Errors
/// When it cannot be recorded: then it must not be done.
pub(crate) async fn record(target: &Target, action: &str, what: &Value) -> Result<String, CliError> {
    let key = format!("audit/{action}/{}", Uuid::now_v7());
    let mut record = what.clone();
    record["action"] = json!(action);
    record["actor"] = json!(actor(target).await);
    record["at"] = json!(jiff::Timestamp::now());
    put(target, &key, &record, 0).await?;
    Ok(key)
}

/// Writes a record in place of its revision before.
///
/// # Errors
/// When it is not accepted.
pub(crate) async fn put(target: &Target, key: &str, record: &Value, revision: u64) -> Result<(), CliError> {
    let table = target.output("ControlTable")?;
    let control = DynamoControl::new(aws_sdk_dynamodb::Client::new(&target.config), table);
    let written = control.put(key, record, revision).await.map_err(CliError::failed(
        "what is done is recorded first, and the control table did not accept the record: check the credentials' dynamodb:PutItem",
    ))?;
    if written {
        return Ok(());
    }
    Err(CliError::Usage(format!(
        "the record {key} was changed by somebody else: look at it, then start again"
    )))
}
