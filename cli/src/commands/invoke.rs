//! `invoke`: one call of one function, with a sample or a file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::LogType;
use clap::Args;
use hostler_events::samples::{lambda_sample, lambda_samples};
use serde_json::{Value, json};

use crate::error::CliError;
use crate::output::Out;
use crate::render::table;
use crate::target::{Global, Target};

const EXAMPLES: &str = "\
Examples:
  hostler invoke                                          all functions and their samples
  hostler invoke answer-queries --sample http
  hostler invoke deploy-host --file message.json";
/// The largest input of a synchronous call.
const BYTES_MAX: usize = 6 * 1024 * 1024;

/// What `invoke` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InvokeArgs {
    /// The function, such as answer-queries; without it all are listed
    function: Option<String>,
    /// The name of one of its samples
    #[arg(long, conflicts_with = "file", requires = "function")]
    sample: Option<String>,
    /// A file with its input
    #[arg(long, requires = "function")]
    file: Option<PathBuf>,
}

/// Invokes the function, or lists samples.
pub(crate) async fn run(args: InvokeArgs, global: &Global, out: Out) -> Result<(), CliError> {
    let (function, input) = match (&args.function, &args.sample, &args.file) {
        (Some(function), Some(name), _) => (function, sample(function, name)?.as_bytes().to_vec()),
        (Some(function), None, Some(file)) => {
            (function, std::fs::read(file).map_err(CliError::file("read", file))?)
        }
        (function, ..) => return list(function.as_deref(), out),
    };
    if input.len() > BYTES_MAX {
        return Err(CliError::Usage(format!(
            "the input is {} bytes, and Lambda takes at most {BYTES_MAX}: send less",
            input.len()
        )));
    }
    let target = Target::open(global).await?;
    let input = match args.sample {
        Some(_) => with_own_queues(&input, &target.queues()?),
        None => input,
    };
    let physical = target.output(&output_name(function))?;
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

fn sample(function: &str, name: &str) -> Result<&'static str, CliError> {
    lambda_sample(function, name).ok_or_else(|| {
        let names: Vec<&str> =
            lambda_samples().iter().filter(|(of, ..)| *of == function).map(|(_, name, _)| *name).collect();
        let known = if names.is_empty() {
            format!("there is no function {function} with samples: list them with `hostler invoke`")
        } else {
            format!("{function} has no sample {name}; it has {}", names.join(", "))
        };
        CliError::Usage(known)
    })
}

fn list(function: Option<&str>, out: Out) -> Result<(), CliError> {
    let samples: Vec<_> =
        lambda_samples().iter().filter(|(of, ..)| function.is_none_or(|wanted| wanted == *of)).collect();
    if let (Some(function), true) = (function, samples.is_empty()) {
        let known: BTreeSet<&str> = lambda_samples().iter().map(|(of, ..)| *of).collect();
        let known: Vec<&str> = known.into_iter().collect();
        return Err(CliError::Usage(format!(
            "there is no function {function}; there are {}",
            known.join(", ")
        )));
    }
    if out.json {
        let rows: Vec<Value> =
            samples.iter().map(|(of, name, _)| json!({ "function": of, "sample": name })).collect();
        return out.document(&rows);
    }
    let mut rows = table::plain(["FUNCTION", "SAMPLE"]);
    for (of, name, _) in samples {
        rows.add_row([*of, *name]);
    }
    out.line(table::text(&rows))?;
    out.line(out.faint("\ninvoke one with: cargo hostler invoke <function> --sample <sample>"))
}

/// The template's output that names a function: `AnswerQueriesFunction` for `answer-queries`.
fn output_name(function: &str) -> String {
    let mut name: String = function
        .split('-')
        .filter_map(|word| {
            let mut letters = word.chars();
            Some(letters.next()?.to_ascii_uppercase().to_string() + letters.as_str())
        })
        .collect();
    name.push_str("Function");
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn functions_are_found_by_their_outputs() {
        assert_eq!(output_name("answer-queries"), "AnswerQueriesFunction");
        assert_eq!(output_name("relay-outbox"), "RelayOutboxFunction");
    }

    #[test]
    fn a_wrong_sample_is_told_the_right_ones() {
        let error = sample("answer-queries", "nope").unwrap_err().to_string();
        assert!(error.contains("http"), "{error}");
        assert!(sample("nobody", "http").unwrap_err().to_string().contains("no function nobody"));
    }

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
