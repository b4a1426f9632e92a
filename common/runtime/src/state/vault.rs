//! Sensitive fields of events, sealed under a key of their own, so that they can be forgotten.
//!
//! Stored events are immutable and never deleted. What must be erasable one day, such as a person's name, is sealed
//! before it is recorded, under a key that belongs to its subject (crypto-shredding). To forget the subject is to
//! delete its one key: every event that speaks of it stays where it is, and nobody can read that part any more.
//! The keys live in `control`. Its backups must not outlive what a deletion is allowed to take.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use hostler_core::{Category, Failure};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ports::{Control, PortError};
use crate::state::control::{read, update};

/// The length of a key.
const KEY_BYTES: usize = 32;

/// A value that only its subject's key opens. It is part of an event's payload, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// Whom the value is about, such as `person/42`: an id, nothing sensitive itself.
    pub subject: String,
    /// Nonce, ciphertext and tag, in hexadecimal digits.
    pub sealed: String,
}

/// What a sealed value is today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened<T> {
    /// The value.
    Value(T),
    /// Its subject has been forgotten: the value is gone for good.
    Forgotten,
}

/// Why a value cannot be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key could not be read or written.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Nothing may be recorded of a subject that was forgotten.
    #[error(
        "{subject} has been forgotten: nothing more can be sealed for it; use a new id if it is somebody else"
    )]
    Forgotten {
        /// The subject.
        subject: String,
    },
    /// The value is not what was sealed, or the key is not the one it was sealed with.
    #[error("a sealed value of {subject} cannot be opened: {why}; it was changed, or its key was replaced")]
    Damaged {
        /// The subject.
        subject: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The value has no JSON form.
    #[error("a value of {subject} cannot be written or read as JSON: {source}")]
    Json {
        /// The subject.
        subject: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Port(source) => source.into(),
            error @ VaultError::Forgotten { .. } => Self::terminal(Category::Business, error),
            error @ (VaultError::Damaged { .. } | VaultError::Json { .. }) => {
                Self::terminal(Category::Unknown, error)
            }
        }
    }
}

/// Seals, opens and forgets.
#[derive(Clone)]
pub struct Vault {
    control: Arc<dyn Control>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").finish_non_exhaustive()
    }
}

/// A subject's key as it is stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    /// The key in hexadecimal digits; absent once the subject is forgotten.
    key: Option<String>,
}

impl Vault {
    /// A vault whose keys are in `control`.
    pub fn new(control: Arc<dyn Control>) -> Self {
        Self { control }
    }

    /// Seals a value. The subject's first value makes its key.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn seal<T: Serialize + Sync>(&self, subject: &str, value: &T) -> Result<Sealed, VaultError> {
        let json = |source| VaultError::Json { subject: subject.to_owned(), source };
        let mut bytes = serde_json::to_vec(value).map_err(json)?;
        let key = self.key_for_sealing(subject).await?;
        let damaged = |_| VaultError::Damaged { subject: subject.to_owned(), why: "its key is no key" };
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(damaged)?;
        // The subject is bound to the value, so that one subject's values cannot be passed off as another's.
        let nonce =
            key.seal_in_place_append_tag(Aad::from(subject.as_bytes()), &mut bytes).map_err(damaged)?;
        let sealed = hex::encode(nonce.as_ref()) + &hex::encode(&bytes);
        Ok(Sealed { subject: subject.to_owned(), sealed })
    }

    /// Opens a value, unless its subject has been forgotten.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn open<T: DeserializeOwned>(&self, sealed: &Sealed) -> Result<Opened<T>, VaultError> {
        let subject = &sealed.subject;
        let damaged = |why| VaultError::Damaged { subject: subject.clone(), why };
        let Some(stored) = read::<Option<Stored>>(&*self.control, &name(subject)).await?.0 else {
            return Err(damaged("it has no key"));
        };
        let Some(key) = stored.key else { return Ok(Opened::Forgotten) };
        let key = hex::decode(&key).map_err(|_| damaged("its key does not read"))?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| damaged("its key is no key"))?;
        let mut bytes = hex::decode(&sealed.sealed).map_err(|_| damaged("it is not hexadecimal"))?;
        let (nonce, bytes) =
            bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(|| damaged("it is too short"))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| damaged("its nonce is none"))?;
        let plain = key
            .open_in_place(nonce, Aad::from(subject.as_bytes()), bytes)
            .map_err(|_| damaged("it does not match its seal"))?;
        let value = serde_json::from_slice(plain);
        value.map(Opened::Value).map_err(|source| VaultError::Json { subject: subject.clone(), source })
    }

    /// Forgets a subject for good: its key is overwritten, and no new one is ever made. Doing it twice is harmless.
    ///
    /// # Errors
    /// [`VaultError::Port`]; the subject may or may not be forgotten then, so ask again.
    pub async fn forget(&self, subject: &str) -> Result<(), VaultError> {
        let forget = |stored: &mut Option<Stored>| {
            let forgotten = Some(Stored { key: None });
            std::mem::replace(stored, forgotten.clone()) != forgotten
        };
        update(&*self.control, &name(subject), forget).await?;
        Ok(())
    }

    async fn key_for_sealing(&self, subject: &str) -> Result<Vec<u8>, VaultError> {
        let damaged = |why| VaultError::Damaged { subject: subject.to_owned(), why };
        let mut new = [0; KEY_BYTES];
        aws_lc_rs::rand::fill(&mut new).map_err(|_| damaged("no key could be made"))?;
        // Whoever loses the race for the first key seals with the winner's.
        let make = |stored: &mut Option<Stored>| {
            let is_new = stored.is_none();
            stored.get_or_insert_with(|| Stored { key: Some(hex::encode(new)) });
            is_new
        };
        match update(&*self.control, &name(subject), make).await? {
            Some(Stored { key: Some(key) }) => {
                hex::decode(&key).map_err(|_| damaged("its key does not read"))
            }
            Some(Stored { key: None }) | None => Err(VaultError::Forgotten { subject: subject.to_owned() }),
        }
    }
}

fn name(subject: &str) -> String {
    format!("vault/{subject}")
}
