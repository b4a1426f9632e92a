//! Outsiders' callbacks: the token that lets one answer for one step of a saga, and what comes of its call.

use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use hostler_core::StepId;
use hostler_core::saga::SagaRef;

/// The least bytes that a key must have.
pub const KEY_BYTES_MIN: usize = 16;

/// The key is too short to protect anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the callback key has {bytes} bytes; give it at least {KEY_BYTES_MIN} random ones, better 32")]
pub struct WeakKey {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The secret that callback tokens are made with: HMAC-SHA256 of saga and step. One per deployment.
#[derive(Clone)]
pub struct CallbackKey(hmac::Key);

impl fmt::Debug for CallbackKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CallbackKey(<redacted>)")
    }
}

impl CallbackKey {
    /// Takes the secret.
    ///
    /// # Errors
    /// [`WeakKey`] when it has fewer than [`KEY_BYTES_MIN`] bytes.
    pub fn new(secret: &[u8]) -> Result<Self, WeakKey> {
        match secret.len() {
            bytes if bytes < KEY_BYTES_MIN => Err(WeakKey { bytes }),
            _ => Ok(Self(hmac::Key::new(HMAC_SHA256, secret))),
        }
    }

    /// The token for one attempt of one saga: 64 hexadecimal digits.
    #[must_use]
    pub fn token(&self, saga: &SagaRef, step: &StepId) -> String {
        hex::encode(hmac::sign(&self.0, &signed(saga, step)))
    }

    /// Whether a token is the one of this attempt. Takes the same time wherever it differs.
    #[must_use]
    pub fn verify(&self, saga: &SagaRef, step: &StepId, token: &str) -> bool {
        hex::decode(token).is_ok_and(|token| hmac::verify(&self.0, &signed(saga, step), &token).is_ok())
    }

    /// The URL that the outsider is given: `url` is where the application serves `POST /callbacks`.
    #[must_use]
    pub fn url(&self, url: &str, saga: &SagaRef, step: &StepId) -> String {
        // Ids have no characters that a query cannot hold, but for the one between kind and id.
        let named = saga.as_str().replace('#', "%23");
        format!("{url}?saga={named}&step={step}&token={}", self.token(saga, step))
    }
}

/// Ids have no line breaks, so no two pairs are signed alike.
fn signed(saga: &SagaRef, step: &StepId) -> Vec<u8> {
    format!("{saga}\n{step}").into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    #[test]
    fn only_the_right_saga_step_and_key_verify() {
        let key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let (saga, step) = ("order#o-1".parse().unwrap(), StepId::new("o-1/deliver/1").unwrap());
        let token = key.token(&saga, &step);
        assert!(key.verify(&saga, &step, &token));
        assert!(!key.verify(&"order#o-2".parse().unwrap(), &step, &token));
        assert!(!key.verify(&saga, &StepId::new("o-1/deliver/2").unwrap(), &token));
        assert!(!key.verify(&saga, &step, &token[2..]));
        let other = CallbackKey::new(b"another key of 32 bytes or so...").unwrap();
        assert!(!other.verify(&saga, &step, &token));
        let url = key.url("https://shop.test/callbacks", &saga, &step);
        assert_eq!(
            url,
            format!("https://shop.test/callbacks?saga=order%23o-1&step=o-1/deliver/1&token={token}")
        );
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(CallbackKey::new(b"short").unwrap_err(), WeakKey { bytes: 5 });
        let key = CallbackKey::new(b"0123456789abcdef").unwrap();
        assert!(!format!("{key:?}").contains("0123"));
    }
}
