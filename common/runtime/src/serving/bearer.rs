//! Bearer tokens: how programs that cannot sign a request for AWS prove who they are.

use std::fmt;

use aws_lc_rs::constant_time;
use hostler_core::mutants;

use super::http::{Request, Response};

/// The least characters that a token must have.
pub const TOKEN_CHARS_MIN: usize = 32;

/// The token is too short to protect anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the token has {chars} characters; give it at least {TOKEN_CHARS_MIN} random ones")]
pub struct WeakToken {
    /// How many characters it has.
    pub chars: usize,
}

/// What callers of a route without AWS authorisation must send, as `Authorization: Bearer <token>` (RFC 6750). Without a
/// configured token nobody is let in.
#[derive(Clone)]
pub struct BearerToken(Option<String>);

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BearerToken(<redacted>)")
    }
}

impl BearerToken {
    /// Takes the token; an empty one is none.
    ///
    /// # Errors
    /// [`WeakToken`] when it has fewer than [`TOKEN_CHARS_MIN`] characters.
    pub fn new(token: &str) -> Result<Self, WeakToken> {
        match token.chars().count() {
            0 => Ok(Self(None)),
            chars if chars < TOKEN_CHARS_MIN => Err(WeakToken { chars }),
            _ => Ok(Self(Some(token.to_owned()))),
        }
    }

    /// Lets a request pass that has the token. The comparison takes the same time wherever the two differ.
    ///
    /// # Errors
    /// The answer 401, which says what is missing.
    pub fn check(&self, request: &Request) -> Result<(), Response> {
        let refused = |message: &str| {
            let mut answer = Response::error(401, "no-token", message);
            answer.headers.insert("www-authenticate".to_owned(), "Bearer".to_owned());
            Err(answer)
        };
        let Some(token) = &self.0 else {
            return refused(
                "no token is configured for this route, so nobody may call it: set one and deploy again",
            );
        };
        let given = request.headers.get("authorization").and_then(|header| {
            let (scheme, given) = header.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| given.trim())
        });
        let Some(given) = given else {
            return refused("send the header Authorization: Bearer <token>");
        };
        let same = constant_time::verify_slices_are_equal(given.as_bytes(), token.as_bytes()).is_ok();
        if same || mutants::on("bearer.any-token-passes") {
            return Ok(());
        }
        refused("the bearer token is not the one of this deployment")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    fn with(header: Option<&str>) -> Request {
        let mut request = Request::default();
        if let Some(header) = header {
            request.headers.insert("authorization".to_owned(), header.to_owned());
        }
        request
    }

    #[test]
    fn only_the_whole_token_passes() {
        let token = BearerToken::new(TOKEN).unwrap();
        assert!(token.check(&with(Some(&format!("Bearer {TOKEN}")))).is_ok());
        assert!(token.check(&with(Some(&format!("bearer {TOKEN}")))).is_ok());
        for header in [
            None,
            Some(""),
            Some("Bearer "),
            Some(TOKEN),
            Some("Bearer 0123456789abcdef0123456789abcde"),
            Some("Bearer 0123456789abcdef0123456789abcdee"),
            Some("Basic 0123456789abcdef0123456789abcdef"),
        ] {
            let refused = token.check(&with(header)).unwrap_err();
            assert_eq!(refused.status, 401, "{header:?}");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
            assert!(!refused.body.to_string().contains(TOKEN));
        }
    }

    #[test]
    fn without_a_configured_token_nobody_passes() {
        let token = BearerToken::new("").unwrap();
        for header in [None, Some("Bearer "), Some("Bearer x")] {
            assert_eq!(token.check(&with(header)).unwrap_err().status, 401);
        }
    }

    #[test]
    fn a_short_token_is_refused_and_none_is_shown() {
        assert_eq!(BearerToken::new("short").unwrap_err(), WeakToken { chars: 5 });
        assert_eq!(format!("{:?}", BearerToken::new(TOKEN).unwrap()), "BearerToken(<redacted>)");
    }
}
