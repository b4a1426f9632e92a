//! A secret that callers show as it is: `Authorization: Bearer <token>`. It is for callers that can do no more than send a
//! header, such as the webhooks of monitoring systems.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};

use crate::serving::http::{Request, Response};

/// The least bytes that a token must have.
pub const TOKEN_BYTES_MIN: usize = 32;

/// The token is too short to protect anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token has {bytes} bytes; give it at least {TOKEN_BYTES_MIN} random ones")]
pub struct WeakToken {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The token of a deployment. While it is replaced, the one before it is still believed.
#[derive(Clone)]
pub struct BearerToken {
    /// Hashes have one length: comparing them says nothing about the tokens'.
    hashes: Vec<Digest>,
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(<redacted>)")
    }
}

impl BearerToken {
    /// Takes the secret.
    ///
    /// # Errors
    /// [`WeakToken`] when it has fewer than [`TOKEN_BYTES_MIN`] bytes.
    pub fn new(token: &[u8]) -> Result<Self, WeakToken> {
        Ok(Self { hashes: vec![hash(token)?] })
    }

    /// Believes the token that was used before, too. An empty one is none.
    ///
    /// # Errors
    /// [`WeakToken`] when it has fewer than [`TOKEN_BYTES_MIN`] bytes.
    pub fn after(mut self, previous: &[u8]) -> Result<Self, WeakToken> {
        if !previous.is_empty() {
            self.hashes.push(hash(previous)?);
        }
        Ok(self)
    }

    /// Whether a request shows the token. It takes the same time wherever a wrong one differs.
    ///
    /// # Errors
    /// The answer: 401 where the request shows none, 403 where it is wrong.
    pub fn check(&self, request: &Request) -> Result<(), Response> {
        let shown = request.headers.get("authorization").and_then(|header| header.trim().split_once(' '));
        let shown = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token);
        let Some(shown) = shown else {
            let message = "the request shows no token: send the header Authorization: Bearer <token>";
            let mut response = Response::error(401, "no-token", message);
            response.headers.insert("www-authenticate".to_owned(), "Bearer".to_owned());
            return Err(response);
        };
        let shown = digest(&SHA256, shown.trim().as_bytes());
        let matches = |known: &Digest| verify_slices_are_equal(known.as_ref(), shown.as_ref()).is_ok();
        // All are compared, so that the time does not tell which it was.
        if self.hashes.iter().filter(|known| matches(known)).count() > 0 {
            return Ok(());
        }
        let message = "the token is not this deployment's: give the sender the token that is used now";
        Err(Response::error(403, "wrong-token", message))
    }
}

fn hash(token: &[u8]) -> Result<Digest, WeakToken> {
    match token.len() {
        bytes if bytes < TOKEN_BYTES_MIN => Err(WeakToken { bytes }),
        _ => Ok(digest(&SHA256, token)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const NOW: &[u8] = b"0123456789abcdef0123456789abcdef";
    const BEFORE: &[u8] = b"fedcba9876543210fedcba9876543210";

    fn status(token: &BearerToken, header: Option<&str>) -> u16 {
        let mut request = Request::default();
        if let Some(header) = header {
            request.headers.insert("authorization".to_owned(), header.to_owned());
        }
        token.check(&request).err().map_or(200, |response| response.status)
    }

    #[test]
    fn who_shows_no_token_is_asked_for_one_and_who_shows_a_wrong_one_is_refused() {
        let token = BearerToken::new(NOW).unwrap();
        let right = format!("Bearer {}", str::from_utf8(NOW).unwrap());
        let before = format!("bearer {}", str::from_utf8(BEFORE).unwrap());
        for (header, expected) in [
            (None, 401),
            (Some(""), 401),
            (Some("Bearer"), 401),
            (Some("Basic YTpi"), 401),
            (Some("Bearer wrong"), 403),
            (Some("Bearer  "), 401),
            (Some(right.as_str()), 200),
            (Some(&right[..right.len() - 1]), 403),
            (Some(before.as_str()), 403),
        ] {
            assert_eq!(status(&token, header), expected, "{header:?}");
        }
        let replaced = token.after(BEFORE).unwrap();
        assert_eq!(
            [Some(right.as_str()), Some(before.as_str())].map(|header| status(&replaced, header)),
            [200, 200]
        );
    }

    #[test]
    fn a_short_token_is_refused_and_none_is_shown() {
        assert_eq!(BearerToken::new(b"short").unwrap_err(), WeakToken { bytes: 5 });
        let token = BearerToken::new(NOW).unwrap();
        assert_eq!(token.clone().after(b"short").unwrap_err(), WeakToken { bytes: 5 });
        assert_eq!(status(&token.clone().after(b"").unwrap(), Some("Bearer ")), 401);
        assert!(!format!("{token:?}").contains("0123"));
    }
}
