//! The token with which a booting host proves that it may answer for one step: HMAC-SHA256 of host and step.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The least bytes that a key must have.
pub const KEY_BYTES_MIN: usize = 16;

/// The key is too short to protect anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the callback key has {bytes} bytes; give it at least {KEY_BYTES_MIN} random ones, better 32")]
pub struct WeakKey {
    /// How many bytes it has.
    pub bytes: usize,
}

/// The secret that callback tokens are made with. One per deployment.
#[derive(Clone)]
pub struct CallbackKey {
    mac: Hmac<Sha256>,
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
        let weak = WeakKey { bytes: secret.len() };
        if secret.len() < KEY_BYTES_MIN {
            return Err(weak);
        }
        Hmac::<Sha256>::new_from_slice(secret).map(|mac| Self { mac }).map_err(|_| weak)
    }

    /// The token for one step of one host: 64 hexadecimal digits.
    #[must_use]
    pub fn token(&self, host: &str, step: &str) -> String {
        let digest = self.keyed(host, step).finalize().into_bytes();
        let mut text = String::with_capacity(digest.len() * 2);
        for byte in digest {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }

    /// Whether a token is the one of this step of this host. Takes the same time wherever it differs. A host or
    /// step with a line break in it is never right, for two different pairs could share a token then.
    #[must_use]
    pub fn verify(&self, host: &str, step: &str, token: &str) -> bool {
        if host.contains('\n') || step.contains('\n') {
            return false;
        }
        decode(token).is_some_and(|bytes| self.keyed(host, step).verify_slice(&bytes).is_ok())
    }

    fn keyed(&self, host: &str, step: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(host.as_bytes());
        mac.update(b"\n");
        mac.update(step.as_bytes());
        mac
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn decode(token: &str) -> Option<[u8; 32]> {
    let digits = token.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0_u8; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(ascii: u8) -> Option<u8> {
    match ascii {
        b'0'..=b'9' => Some(ascii - b'0'),
        b'a'..=b'f' => Some(ascii - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may fail loudly
    use super::*;

    fn key() -> CallbackKey {
        CallbackKey::new(b"0123456789abcdef0123456789abcdef").unwrap()
    }

    #[test]
    fn a_token_is_hmac_sha256_in_hex() {
        // printf 'h-01\nstep-1' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        assert_eq!(key().token("h-01", "step-1"), EXPECTED);
    }

    const EXPECTED: &str = "61d47fe5f6e6c577b9d75cc29dea528d93fa009821162dd7d6a84dfb9d66e521";

    #[test]
    fn only_the_right_host_step_and_key_verify() {
        let token = key().token("h-01", "step-1");
        assert!(key().verify("h-01", "step-1", &token));
        assert!(!key().verify("h-02", "step-1", &token));
        assert!(!key().verify("h-01", "step-2", &token));
        assert!(!key().verify("h-01", "step-1", &token[1..]));
        assert!(!key().verify("h-01", "step-1", ""));
        assert!(!key().verify("h-01", "step-1", &token.to_uppercase()));
        let other = CallbackKey::new(b"another key of 32 bytes or so...").unwrap();
        assert!(!other.verify("h-01", "step-1", &token));
    }

    #[test]
    fn a_line_break_never_verifies() {
        let token = key().token("a", "b\nc");
        assert_eq!(token, key().token("a\nb", "c"));
        assert!(!key().verify("a", "b\nc", &token));
        assert!(!key().verify("a\nb", "c", &token));
    }

    #[test]
    fn a_short_key_is_refused_and_none_is_shown() {
        assert_eq!(CallbackKey::new(b"short").unwrap_err(), WeakKey { bytes: 5 });
        assert!(!format!("{:?}", key()).contains("0123"));
    }
}
