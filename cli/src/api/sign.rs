//! Signing a request with AWS's Signature Version 4.

use std::time::SystemTime;

use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use crate::error::CliError;

const SERVICE: &str = "execute-api";
const NOT_SIGNED: &str = "the request cannot be signed: check its address and headers";

/// What is signed.
pub(super) struct Signable<'a> {
    /// The method, upper-case.
    pub(super) method: &'a str,
    /// The whole address, encoded.
    pub(super) url: &'a str,
    /// Headers besides Host.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// The body.
    pub(super) body: &'a [u8],
}

/// The headers that prove who sends a request.
pub(super) async fn signature(
    credentials: &SharedCredentialsProvider,
    region: &str,
    request: Signable<'_>,
) -> Result<Vec<(String, String)>, CliError> {
    let identity = credentials
        .provide_credentials()
        .await
        .map_err(CliError::failed(
            "no AWS credentials were found: set AWS_PROFILE or AWS_ACCESS_KEY_ID; after `aws sso login`, \
             `eval \"$(aws configure export-credentials --format env)\"` passes them on",
        ))?
        .into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .map_err(CliError::failed(NOT_SIGNED))?
        .into();
    let Signable { method, url, headers, body } = request;
    let signable = SignableRequest::new(method, url, headers.into_iter(), SignableBody::Bytes(body))
        .map_err(CliError::failed(NOT_SIGNED))?;
    let signed = sign(signable, &params).map_err(CliError::failed(NOT_SIGNED))?;
    let (instructions, _signature) = signed.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use aws_credential_types::Credentials;

    use super::*;

    #[tokio::test]
    async fn the_service_and_the_session_are_signed() {
        let credentials = Credentials::new("AKID", "secret", Some("session".to_owned()), None, "test");
        let headers = signature(
            &SharedCredentialsProvider::new(credentials),
            "eu-west-1",
            Signable {
                method: "GET",
                url: "https://ab12.execute-api.eu-west-1.amazonaws.com/hosts?group=web%2Favailable",
                headers: vec![("idempotency-key", "k")],
                body: b"",
            },
        )
        .await
        .unwrap();
        let header = |wanted: &str| {
            headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.as_str())
        };
        let authorization = header("authorization").unwrap();
        assert!(authorization.contains("/eu-west-1/execute-api/aws4_request"), "{authorization}");
        assert!(
            authorization.contains("SignedHeaders=host;idempotency-key;x-amz-date;x-amz-security-token"),
            "{authorization}"
        );
        assert_eq!(header("x-amz-security-token"), Some("session"));
    }
}
