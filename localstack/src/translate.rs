//! The SAM transform, done before the upload.
//!
//! AWS does it in CloudFormation, and so does ministack. LocalStack's engine resolves references first and misses the
//! resources that the transform would make. Done here, the same template deploys everywhere, and what is tested on one
//! endpoint is what another one gets.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::account::REGION;
use crate::error::Error;
use crate::progress::Progress;
use crate::template::Template;
use crate::venv;

const SCRIPT: &str = include_str!("../python/translate.py");

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Template(Value),
    Refused(String),
}

/// Replaces the template's serverless resources by those that they stand for.
pub(crate) async fn translate(
    template: &mut Template,
    parameters: &BTreeMap<String, String>,
    progress: &Progress,
) -> Result<(), Error> {
    if template.body.get("Transform").is_none() {
        return Ok(());
    }
    let python = venv::ensure_python(progress).await?;
    let asked = json!({ "template": template.body, "parameters": parameters, "region": REGION });
    let wrong = |reason: String| Error::Template {
        path: template.path().to_owned(),
        reason: format!("SAM: {reason}"),
    };
    let spawn = |source| Error::Spawn { program: python.display().to_string(), source };
    let mut child = Command::new(&python)
        .args(["-I", "-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(spawn)?;
    // It reads everything before it writes anything, so nobody waits for the other.
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(asked.to_string().as_bytes()).await.map_err(spawn)?;
    }
    let output = child.wait_with_output().await.map_err(spawn)?;
    let translated = match serde_json::from_slice(&output.stdout) {
        Ok(Answer::Template(body)) => body,
        Ok(Answer::Refused(reason)) => return Err(wrong(reason)),
        Err(_) => {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(wrong(said.lines().last().unwrap_or("no answer").to_owned()));
        }
    };
    template.body = translated;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use std::path::Path;

    #[tokio::test]
    async fn serverless_functions_become_plain_ones() {
        let text = "Transform: AWS::Serverless-2016-10-31\nParameters:\n  Seconds: {Type: Number, Default: 7}\n\
                    Resources:\n  Work: {Type: 'AWS::SQS::Queue'}\n  Worker:\n    Type: AWS::Serverless::Function\n    \
                    Properties:\n      CodeUri: s3://bucket/code.zip\n      Handler: bootstrap\n      \
                    Runtime: provided.al2023\n      Timeout: !Ref Seconds\n      RecursiveLoop: Allow\n      Events:\n        \
                    Work: {Type: SQS, Properties: {Queue: !GetAtt Work.Arn}}\n";
        let mut template = Template::parse(text, Path::new("template.yaml")).unwrap();
        translate(&mut template, &BTreeMap::new(), &Progress::default()).await.unwrap();
        let function = template.resources("AWS::Lambda::Function").next().unwrap();
        assert_eq!(function.0, "Worker");
        assert_eq!(function.1["Properties"]["RecursiveLoop"], "Allow");
        assert_eq!(function.1["Properties"]["Code"], json!({"S3Bucket": "bucket", "S3Key": "code.zip"}));
        assert_eq!(template.resources("AWS::Lambda::EventSourceMapping").count(), 1);
        assert!(template.body.get("Transform").is_none());
    }

    #[tokio::test]
    async fn what_sam_refuses_is_told() {
        let text = "Transform: AWS::Serverless-2016-10-31\nResources:\n  Worker:\n    Type: AWS::Serverless::Function\n    \
                    Properties: {Handler: bootstrap, Runtime: provided.al2023, CodeUri: 7}\n";
        let mut template = Template::parse(text, Path::new("template.yaml")).unwrap();
        let error = translate(&mut template, &BTreeMap::new(), &Progress::default()).await.unwrap_err();
        assert!(error.to_string().contains("Worker"), "{error}");
    }
}
