//! HTTP as functions see it: a request taken apart, and an answer in JSON.

use hostler_core::mutants;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use hostler_core::Failure;
use serde_json::{Value, json};

/// The largest request body in bytes that is read: what fits one event.
pub const BODY_BYTES_MAX: usize = 250_000;

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The method, upper-case.
    pub method: String,
    /// The path as it came, from the first `/`.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// Headers by their lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body, decoded.
    pub body: String,
    /// Who asks, as the gateway has verified; absent on routes without authorisation.
    pub caller: Option<String>,
}

impl Request {
    /// The path's parts between the slashes, as they came.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    /// Who asks. Whatever is not a callback asks this first: a route whose authorisation was forgotten in a template lets
    /// nobody in.
    ///
    /// # Errors
    /// The answer 401 where the gateway has verified nobody.
    pub fn verified_caller(&self) -> Result<&str, Response> {
        if mutants::on("http.answers-strangers") {
            return Ok(self.caller.as_deref().unwrap_or("stranger"));
        }
        self.caller.as_deref().filter(|caller| !caller.is_empty()).ok_or_else(|| {
            let message = "the gateway has verified no caller: sign the request with AWS credentials (Signature Version 4), and see that the route has AuthorizationType AWS_IAM";
            Response::error(401, "no-caller", message)
        })
    }
}

/// A part of a path without its percent-encoding: `%2F` is a slash inside a part. What is no such encoding stays as it is.
#[must_use]
pub fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains('%') {
        return Cow::Borrowed(part);
    }
    let bytes = part.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let escaped = bytes.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = escaped.and_then(|digits| digits.iter().all(u8::is_ascii_hexdigit).then_some(digits));
        let escaped = escaped.and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        plain.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    match String::from_utf8(plain) {
        Ok(plain) => Cow::Owned(plain),
        Err(_) => Cow::Borrowed(part),
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Further headers by their lower-case names.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Value,
}

impl Response {
    /// An answer with a body.
    #[must_use]
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, headers: BTreeMap::new(), body }
    }

    /// An error: what happened, and what to do.
    #[must_use]
    pub fn error(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self::new(status, json!({ "error": code, "message": message.into() }))
    }

    /// The answer to a failure of our own: 503 when it may pass, 500 when it will not.
    #[must_use]
    pub fn failure(failure: &Failure) -> Self {
        match failure {
            Failure::Retryable { after, .. } => Self::unavailable(*after, failure),
            Failure::Deferred { after, .. } => Self::unavailable(Some(*after), failure),
            Failure::Terminal { .. } => Self::error(500, failure.label(), failure.chain()),
        }
    }

    fn unavailable(after: Option<Duration>, failure: &Failure) -> Self {
        let seconds = after.map_or(1, |after| after.as_secs().max(1));
        let mut response = Self::error(503, "unavailable", failure.chain());
        response.headers.insert("retry-after".to_owned(), seconds.to_string());
        response
    }
}

/// What a function does with one request.
#[async_trait]
pub trait HttpHandler: Send + Sync {
    /// Answers. Every failure is an answer, too.
    async fn answer(&self, request: &Request) -> Response;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_inside_a_part_of_a_path_is_encoded() {
        let segments = |path: &str| {
            let request = Request { path: path.to_owned(), ..Request::default() };
            request.segments().into_iter().map(|part| decoded(part).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(segments("/hosts/a/timeline"), ["hosts", "a", "timeline"]);
        assert_eq!(segments("/hosts/a%2Ftimeline"), ["hosts", "a/timeline"]);
        assert_eq!(segments("/hosts/%2fa%3A/timeline"), ["hosts", "/a:", "timeline"]);
        assert_eq!(segments("/hosts/50%/%zz/%+1/%ff"), ["hosts", "50%", "%zz", "%+1", "%ff"]);
    }
}
