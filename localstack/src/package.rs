//! What `sam package` does: a code archive per function in S3, and the template pointing to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use aws_sdk_s3::primitives::ByteStream;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

use crate::account::Account;
use crate::error::Error;
use crate::template::Template;
use crate::venv::hex;

const FUNCTION: &str = "AWS::Serverless::Function";

/// Uploads the code of every function of the template and lets the template point to it. Gives the bucket.
pub(crate) async fn upload_code(
    account: &Account,
    template: &mut Template,
    binaries: &BTreeMap<String, PathBuf>,
    runs_here: bool,
) -> Result<String, Error> {
    check_binaries(template, binaries)?;
    let s3 = account.s3();
    let bucket = format!("hostler-code-{}", account.id());
    create_bucket(&s3, &bucket).await?;
    for (_, function) in template.resources_mut(FUNCTION) {
        let Some((folder, binary)) = folder_of(function).and_then(|folder| {
            let binary = binaries.get(&folder)?;
            Some((folder, binary))
        }) else {
            continue;
        };
        let archive = if runs_here { pointing_archive(binary)? } else { full_archive(binary)? };
        let key = format!("{folder}-{}.zip", &hex(&Sha256::digest(&archive))[..16]);
        upload(&s3, &bucket, &key, archive).await?;
        function["Properties"]["CodeUri"] = json!(format!("s3://{bucket}/{key}"));
    }
    Ok(bucket)
}

/// Uploads the template itself and gives its address: inline, a template may have 51,200 bytes only.
pub(crate) async fn upload_template(account: &Account, bucket: &str, body: &Value) -> Result<String, Error> {
    let text = body.to_string().into_bytes();
    let key = format!("template-{}.json", &hex(&Sha256::digest(&text))[..16]);
    upload(&account.s3(), bucket, &key, text).await?;
    Ok(format!("{}/{bucket}/{key}", account.endpoint()))
}

async fn create_bucket(s3: &aws_sdk_s3::Client, bucket: &str) -> Result<(), Error> {
    match s3.create_bucket().bucket(bucket).send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error.as_service_error().is_some_and(|refusal| refusal.is_bucket_already_owned_by_you()) =>
        {
            Ok(())
        }
        Err(error) => Err(Error::aws(format!("creating bucket {bucket}"))(error)),
    }
}

async fn upload(s3: &aws_sdk_s3::Client, bucket: &str, key: &str, body: Vec<u8>) -> Result<(), Error> {
    let put = s3.put_object().bucket(bucket).key(key).body(ByteStream::from(body)).send().await;
    put.map(drop).map_err(Error::aws(format!("uploading {key} to bucket {bucket}")))
}

/// Every function with local code needs a binary; all that are missing are named at once.
fn check_binaries(template: &Template, binaries: &BTreeMap<String, PathBuf>) -> Result<(), Error> {
    let missing: Vec<String> = template
        .resources(FUNCTION)
        .filter_map(|(id, function)| Some((id, folder_of(function)?)))
        .filter(|(_, folder)| !binaries.get(folder).is_some_and(|path| path.is_file()))
        .map(|(id, folder)| match binaries.get(&folder) {
            Some(path) => format!("{id} ({folder}, but {} is no file)", path.display()),
            None => format!("{id} ({folder})"),
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let given: Vec<&str> = binaries.keys().map(String::as_str).collect();
    Err(Error::NoBinary { missing: missing.join(", "), given: given.join(", ") })
}

/// The last part of a local CodeUri, as `relay-outbox` of `target/lambda/relay-outbox/`.
pub(crate) fn folder_of(function: &Value) -> Option<String> {
    let uri = function.get("Properties")?.get("CodeUri")?.as_str()?;
    if uri.starts_with("s3://") {
        return None;
    }
    uri.trim_end_matches('/').rsplit('/').next().map(str::to_owned)
}

/// An archive whose `bootstrap` runs the binary where it lies: no need to pack big debug binaries.
fn pointing_archive(binary: &Path) -> Result<Vec<u8>, Error> {
    let binary = fs::canonicalize(binary).map_err(Error::file("find", binary))?;
    let about = fs::metadata(&binary).map_err(Error::file("read", &binary))?;
    let built = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    // The build time makes a new build a new archive, so that a redeployment replaces running functions.
    let script = format!(
        "#!/bin/sh\n# built {} ms after 1970\nexec '{}' \"$@\"\n",
        built.unwrap_or_default().as_millis(),
        binary.display().to_string().replace('\'', "'\\''"),
    );
    archive(script.as_bytes(), &binary)
}

/// An archive with the binary itself as `bootstrap`.
fn full_archive(binary: &Path) -> Result<Vec<u8>, Error> {
    archive(&fs::read(binary).map_err(Error::file("read", binary))?, binary)
}

fn archive(bootstrap: &[u8], binary: &Path) -> Result<Vec<u8>, Error> {
    let write = || -> zip::result::ZipResult<Vec<u8>> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        // A fixed time: the same code makes the same archive.
        let options =
            SimpleFileOptions::default().unix_permissions(0o755).last_modified_time(zip::DateTime::default());
        zip.start_file("bootstrap", options)?;
        zip.write_all(bootstrap)?;
        Ok(zip.finish()?.into_inner())
    };
    write().map_err(|error| Error::file("pack", binary)(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    fn template() -> Template {
        let text = "Resources:\n  Relay:\n    Type: AWS::Serverless::Function\n    \
                    Properties: {CodeUri: target/lambda/relay-outbox/}\n";
        Template::parse(text, Path::new("template.yaml")).unwrap()
    }

    #[test]
    fn a_function_without_a_binary_is_named() {
        let error = check_binaries(&template(), &BTreeMap::new()).unwrap_err();
        assert!(error.to_string().contains("Relay (relay-outbox)"), "{error}");
        let absent = BTreeMap::from([("relay-outbox".to_owned(), PathBuf::from("/nonexistent"))]);
        let error = check_binaries(&template(), &absent).unwrap_err();
        assert!(error.to_string().contains("/nonexistent is no file"), "{error}");
    }

    #[test]
    fn archives_are_reproducible() {
        let path = Path::new("/bin/sh");
        assert_eq!(pointing_archive(path).unwrap(), pointing_archive(path).unwrap());
    }
}
