//! `functions invoke`: one call of one function, with a sample or a file.

use std::collections::BTreeMap;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use serde_json::{Value, json};

use super::args::InvokeArgs;
use super::functions;
use super::samples::Samples;
use crate::error::CliError;
use crate::near::hint;
use crate::output::Out;
use crate::target::Target;

/// The largest input of a synchronous call.
const BYTES_MAX: usize = 6 * 1024 * 1024;

/// Invokes a function.
pub(super) async fn run(
    args: InvokeArgs,
    target: &Target,
    samples: &Samples,
    out: Out,
) -> Result<(), CliError> {
    let function = &args.function;
    let physical = functions(target).remove(function).ok_or_else(|| CliError::NotFound {
        what: "function".into(),
        name: function.clone(),
        hint: hint(function, functions(target).keys().map(String::as_str)),
        list: Some("hostler functions list".to_owned()),
    })?;
    let input = match (&args.sample, &args.file) {
        (Some(name), _) => with_own_queues(samples.of(function, name)?.as_bytes(), &target.queues()?),
        (None, Some(file)) => std::fs::read(file).map_err(CliError::file("read", file))?,
        (None, None) => {
            return Err(CliError::Usage(format!(
                "say with what {function} is invoked: --file, or --sample with one of its samples: {}",
                samples.names(function).join(", ")
            )));
        }
    };
    if input.len() > BYTES_MAX {
        return Err(CliError::Usage(format!(
            "the input is {} bytes, and Lambda takes at most {BYTES_MAX}: send less",
            input.len()
        )));
    }
    let answer = aws_sdk_lambda::Client::new(&target.config)
        .invoke()
        .function_name(physical)
        .log_type(LogType::Tail)
        .payload(Blob::new(input))
        .send()
        .await
        .map_err(CliError::aws(format!(
            "{function} was not invoked: check that it is deployed and the credentials' lambda:InvokeFunction"
        )))?;
    let payload = answer.payload().map(|blob| String::from_utf8_lossy(blob.as_ref()).into_owned());
    let payload = payload.unwrap_or_default();
    let document: Value = serde_json::from_str(&payload).unwrap_or(Value::String(payload));
    let failed = answer.function_error();
    if out.json {
        out.document(&json!({ "function": function, "error": failed, "answer": document }))?;
    } else {
        out.document(&unpacked(document))?;
    }
    match failed {
        None => Ok(()),
        Some(kind) => Err(CliError::Outcome(format!(
            "{function} failed ({kind}); the answer says why, and its log says more"
        ))),
    }
}

/// An HTTP answer's body is JSON in a text; people get it as JSON.
fn unpacked(mut document: Value) -> Value {
    if let Some(body) = document.get("body").and_then(Value::as_str)
        && let Ok(body) = serde_json::from_str::<Value>(body)
    {
        document["body"] = body;
    }
    document
}

/// Has the records of a sample come from the queues of this stack: a function that reads several tells them apart.
fn with_own_queues(input: &[u8], queues: &BTreeMap<String, String>) -> Vec<u8> {
    let Ok(mut document) = serde_json::from_slice::<Value>(input) else { return input.to_vec() };
    let records = document.get_mut("Records").and_then(Value::as_array_mut);
    for record in records.into_iter().flatten() {
        let Some(arn) = record["eventSourceARN"].as_str().map(str::to_owned) else { continue };
        let own = queues.values().find_map(|url| {
            let (name, sample) = (url.rsplit('/').next()?, arn.rsplit(':').next()?);
            (resource_of(name)? == resource_of(sample)?).then(|| name.to_owned())
        });
        if let (Some(own), Some((before, _))) = (own, arn.rsplit_once(':')) {
            record["eventSourceARN"] = format!("{before}:{own}").into();
        }
    }
    document.to_string().into_bytes()
}

/// `DeployHostQueue` of `hostler-DeployHostQueue-AbCdEfGhIjKl`, as CloudFormation names queues.
fn resource_of(queue: &str) -> Option<&str> {
    queue.rsplit('-').nth(1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn samples_come_from_the_stacks_own_queues() {
        let queues = [("timers".to_owned(), "http://q/1/mine-TimersQueue-XyZ".to_owned())].into();
        let input = br#"{"Records":[{"eventSourceARN":"arn:aws:sqs:r:1:hostler-TimersQueue-AbC"}]}"#;
        let document: Value = serde_json::from_slice(&with_own_queues(input, &queues)).unwrap();
        assert_eq!(document["Records"][0]["eventSourceARN"], "arn:aws:sqs:r:1:mine-TimersQueue-XyZ");
    }

    #[test]
    fn bodies_are_unpacked() {
        let document = unpacked(json!({ "statusCode": 200, "body": "{\"rows\":[]}" }));
        assert_eq!(document["body"], json!({ "rows": [] }));
    }
}
