//! The token that lets an outsider answer for one step: of a saga, or of an entity that waits on its own account.

use hostler_core::mutants;
use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use hostler_core::saga::SagaRef;
use hostler_core::{StepId, StreamId};

/// The least bytes that a key must have.
pub const KEY_BYTES_MIN: usize = 16;

/// The key is too short to protect anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the callback key has {bytes} bytes; give it at least {KEY_BYTES_MIN} random ones, better 32")]
pub struct WeakKey {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The secret that callback tokens are made with: HMAC-SHA256 of the step and the stream that waits for it. One per
/// deployment; while it is rotated, the one before it is still believed.
#[derive(Clone)]
pub struct CallbackKey {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

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
        Ok(Self { current: hmac_key(secret)?, previous: None })
    }

    /// Believes tokens of the key that was used before, too: outsiders who were given one still answer. New tokens are
    /// made with the current key. An empty secret is none.
    ///
    /// # Errors
    /// [`WeakKey`] when it has fewer than [`KEY_BYTES_MIN`] bytes.
    pub fn after(self, previous: &[u8]) -> Result<Self, WeakKey> {
        let previous = (!previous.is_empty()).then(|| hmac_key(previous)).transpose()?;
        let previous = previous.filter(|_| !mutants::on("callback.previous-key-is-refused"));
        Ok(Self { previous, ..self })
    }

    /// The token for one step: 64 hexadecimal digits. `stream` is who waits, such as `order#o-1`.
    #[must_use]
    pub fn token(&self, stream: &StreamId, step: &StepId) -> String {
        token(&self.current, stream, step)
    }

    /// The token that the previous key made for this step, if there is one: what is already under way has it.
    #[must_use]
    pub fn previous_token(&self, stream: &StreamId, step: &StepId) -> Option<String> {
        self.previous.as_ref().map(|key| token(key, stream, step))
    }

    /// Whether a token is the one of this step, by the current key or the previous one. Takes the same time wherever it
    /// differs.
    #[must_use]
    pub fn verify(&self, stream: &StreamId, step: &StepId, token: &str) -> bool {
        let signed = signed(stream, step);
        hex::decode(token).is_ok_and(|token| {
            let mut keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
            keys.any(|key| hmac::verify(key, &signed, &token).is_ok())
        })
    }

    /// The URL that the outsider is given: `url` is where the application serves `POST /callbacks`.
    #[must_use]
    pub fn url(&self, url: &str, saga: &SagaRef, step: &StepId) -> String {
        // Ids have no characters that a query cannot hold, but for the one between kind and id.
        let named = saga.as_str().replace('#', "%23");
        format!("{url}?saga={named}&step={step}&token={}", self.token(saga.stream(), step))
    }
}

fn hmac_key(secret: &[u8]) -> Result<hmac::Key, WeakKey> {
    match secret.len() {
        bytes if bytes < KEY_BYTES_MIN => Err(WeakKey { bytes }),
        _ => Ok(hmac::Key::new(HMAC_SHA256, secret)),
    }
}

fn token(key: &hmac::Key, stream: &StreamId, step: &StepId) -> String {
    hex::encode(hmac::sign(key, &signed(stream, step)))
}

/// Ids have no line breaks, so no two pairs are signed alike.
fn signed(stream: &StreamId, step: &StepId) -> Vec<u8> {
    let step = if mutants::on("callback.any-step-will-do") { "" } else { step.as_str() };
    format!("{stream}\n{step}").into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    #[test]
    fn only_the_right_saga_step_and_key_verify() {
        let key = CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap();
        let (saga, step): (SagaRef, _) =
            ("order#o-1".parse().unwrap(), StepId::new("o-1/deliver/1").unwrap());
        let order = saga.stream();
        let token = key.token(order, &step);
        assert!(key.verify(order, &step, &token));
        assert!(!key.verify(&"order#o-2".parse().unwrap(), &step, &token));
        assert!(!key.verify(order, &StepId::new("o-1/deliver/2").unwrap(), &token));
        assert!(!key.verify(order, &step, &token[2..]));
        assert!(!key.verify(order, &step, ""));
        let other = CallbackKey::new(b"another key of 32 bytes or so...").unwrap();
        assert!(!other.verify(order, &step, &token));
        let url = key.url("https://shop.test/callbacks", &saga, &step);
        assert_eq!(
            url,
            format!("https://shop.test/callbacks?saga=order%23o-1&step=o-1/deliver/1&token={token}")
        );
    }

    #[test]
    fn after_a_rotation_the_previous_keys_tokens_are_believed_and_new_ones_are_the_current_keys() {
        let (first, second) = (&b"the first key of 32 bytes or so."[..], b"the second key of 32 bytes or so");
        let before = CallbackKey::new(first).unwrap();
        let rotated = CallbackKey::new(second).unwrap().after(first).unwrap();
        let (stream, step) = ("host#h-1".parse().unwrap(), StepId::new("p-1/deploy/1").unwrap());
        let old = before.token(&stream, &step);
        assert!(rotated.verify(&stream, &step, &old), "who boots meanwhile is not refused");
        assert_eq!(rotated.previous_token(&stream, &step), Some(old.clone()));
        let new = rotated.token(&stream, &step);
        assert_ne!(new, old);
        assert!(rotated.verify(&stream, &step, &new) && !before.verify(&stream, &step, &new));
        // The rotation ends when the previous key is taken away.
        let ended = rotated.after(b"").unwrap();
        assert!(!ended.verify(&stream, &step, &old));
        assert_eq!(ended.previous_token(&stream, &step), None);
        assert_eq!(ended.after(b"short").unwrap_err(), WeakKey { bytes: 5 });
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(CallbackKey::new(b"short").unwrap_err(), WeakKey { bytes: 5 });
        let key = CallbackKey::new(b"0123456789abcdef").unwrap();
        assert!(!format!("{key:?}").contains("0123"));
    }
}
