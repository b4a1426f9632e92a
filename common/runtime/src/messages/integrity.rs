//! Signatures of messages: HMAC-SHA-256 over all that a message says, under a key with a name.
//!
//! It is optional for each deployment. Who may write to the queues and the bus is the business of IAM; a signature
//! tells besides that a message was made by this deployment and that nothing on the way changed it.
//!
//! Keys are rotated without a pause: give every function the new key beside the old one; sign with the new one; once
//! the queues' retention is over (14 days at most), take the old one away. To turn it on in a running deployment, sign
//! first, and require signatures once nothing unsigned is on its way any more.

use hostler_core::mutants;
use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use hostler_core::{Category, CommandEnvelope, Data, Envelope, Failure, Header, Incoming, TimerFired};
use serde::Deserialize;

/// What each signature begins with; the key's name and 64 hexadecimal digits follow, each after a colon.
const ALGORITHM: &str = "hmac-sha256";
/// The shortest key in bytes: that of the hash, as RFC 2104 asks.
const KEY_BYTES_MIN: usize = 32;
/// What the header of a message is about: enough for most.
const HEADER_BYTES: usize = 512;

/// The keys of a deployment as they are configured.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SigningKeys {
    /// All keys by their names, in hexadecimal digits, of 32 bytes or more.
    pub keys: BTreeMap<String, String>,
    /// The name of the key that signs; absent: nothing is signed.
    #[serde(default)]
    pub sign: Option<String>,
    /// Whether messages without a signature are refused.
    #[serde(default)]
    pub require: bool,
}

/// Keys that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is no text of hexadecimal digits.
    #[error(
        "the signing key {key:?} is not written in hexadecimal digits: make one by `openssl rand -hex 32`"
    )]
    NotHex {
        /// The key's name.
        key: String,
    },
    /// It is too short to be safe.
    #[error(
        "the signing key {key:?} has {bytes} bytes, and the least is 32: make one by `openssl rand -hex 32`"
    )]
    Short {
        /// The key's name.
        key: String,
        /// Its length.
        bytes: usize,
    },
    /// A name that signatures cannot hold.
    #[error("{key:?} is no name of a signing key: use letters, digits, '-', '_' and '.'")]
    Name {
        /// The name.
        key: String,
    },
    /// The key to sign with is none of the keys.
    #[error("{key:?} is to sign, and there is no key of that name: add it to `keys`, or name another")]
    Unknown {
        /// The name.
        key: String,
    },
}

/// Signs messages and checks signatures.
#[derive(Clone, Default)]
pub struct Integrity {
    keys: BTreeMap<String, hmac::Key>,
    sign: Option<(String, hmac::Key)>,
    require: bool,
}

impl fmt::Debug for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = self.sign.as_ref().map(|(name, _)| name);
        let keys: Vec<_> = self.keys.keys().collect();
        f.debug_struct("Integrity")
            .field("keys", &keys)
            .field("sign", &sign)
            .field("require", &self.require)
            .finish()
    }
}

impl Integrity {
    /// Signatures by these keys.
    ///
    /// # Errors
    /// [`KeyError`] names the key.
    pub fn new(configured: &SigningKeys) -> Result<Self, KeyError> {
        let mut keys = BTreeMap::new();
        for (key, text) in &configured.keys {
            let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if key.is_empty() || !key.bytes().all(named) {
                return Err(KeyError::Name { key: key.clone() });
            }
            let bytes = hex::decode(text).map_err(|_| KeyError::NotHex { key: key.clone() })?;
            if bytes.len() < KEY_BYTES_MIN {
                return Err(KeyError::Short { key: key.clone(), bytes: bytes.len() });
            }
            keys.insert(key.clone(), hmac::Key::new(HMAC_SHA256, &bytes));
        }
        let sign = match &configured.sign {
            Some(name) => {
                let key = keys.get(name).ok_or_else(|| KeyError::Unknown { key: name.clone() })?;
                Some((name.clone(), key.clone()))
            }
            None => None,
        };
        Ok(Self { keys, sign, require: configured.require })
    }

    /// The message with its signature, where this deployment signs. A message whose payload cannot be signed goes without:
    /// whoever requires signatures refuses it.
    #[must_use]
    pub fn signed<M: Signed>(&self, mut message: M) -> M {
        if let Some((name, key)) = &self.sign {
            // Sent as it was signed, so that whoever checks it need not spell it again.
            match message.data().map(Data::canonical).transpose() {
                Ok(canonical) => {
                    if let Some((data, canonical)) = message.data_mut().zip(canonical) {
                        *data = canonical;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a message was not signed");
                    *message.signature_mut() = None;
                    return message;
                }
            }
            let tag = hmac::sign(key, &signed_bytes(&message, message.data().map_or("", Data::text)));
            *message.signature_mut() = Some(format!("{ALGORITHM}:{name}:{}", hex::encode(tag)));
        }
        message
    }

    /// A body as it is sent by this deployment: signed, where it signs. What is no message stays as it is.
    #[must_use]
    pub fn signed_body(&self, body: String) -> String {
        if self.sign.is_none() {
            return body;
        }
        let signed = match Incoming::decode(&body) {
            Ok(Incoming::Event(event)) => serde_json::to_string(&self.signed(*event)),
            Ok(Incoming::Command(command)) => serde_json::to_string(&self.signed(*command)),
            Ok(Incoming::Timer(timer)) => serde_json::to_string(&self.signed(*timer)),
            Err(_) => return body,
        };
        signed.unwrap_or(body)
    }

    /// Checks a message that came.
    ///
    /// # Errors
    /// [`Failure::Terminal`] when the signature does not belong to the message, or is missing where it is required.
    pub fn verify(&self, message: &Incoming) -> Result<(), Failure> {
        // Without keys this deployment has nothing to check by.
        if self.keys.is_empty() && !self.require {
            return Ok(());
        }
        let refusal = match message {
            Incoming::Event(event) => self.refusal(&**event),
            Incoming::Command(command) => self.refusal(&**command),
            Incoming::Timer(timer) => self.refusal(&**timer),
        };
        match refusal {
            None => Ok(()),
            Some(why) => {
                let name = message.type_name();
                let reason = format!("{name} {} is not taken: {why}", message.cause());
                Err(Failure::terminal(Category::Validation, reason))
            }
        }
    }

    /// Whether this deployment signs.
    pub(crate) fn signs(&self) -> bool {
        self.sign.is_some()
    }

    /// The signature of some bytes, where this deployment signs.
    pub(crate) fn tag(&self, bytes: &[u8]) -> Option<String> {
        let (name, key) = self.sign.as_ref()?;
        Some(format!("{ALGORITHM}:{name}:{}", hex::encode(hmac::sign(key, bytes))))
    }

    /// Why a signature is not the one of these bytes; none where it is, or where nothing is to be checked.
    pub(crate) fn refusal_of_tag(
        &self,
        signature: Option<&str>,
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Option<String> {
        if self.keys.is_empty() && !self.require {
            return None;
        }
        let Some(signature) = signature else {
            let why = "they have no signature, and this deployment requires one";
            return self.require.then(|| why.to_owned());
        };
        let (key, said) = match self.read(signature) {
            Ok(read) => read,
            Err(why) => return Some(why),
        };
        let why = "their signature does not belong to them, to this body and to this queue";
        hmac::verify(key, &bytes(), &said).is_err().then(|| why.to_owned())
    }

    /// The key that a signature names, and the tag that it says.
    fn read(&self, signature: &str) -> Result<(&hmac::Key, [u8; 32]), String> {
        let parts =
            signature.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix(':')?.split_once(':'));
        let Some((name, hex)) = parts else {
            return Err(format!("its signature does not read {ALGORITHM}:<key>:<64 hexadecimal digits>"));
        };
        let Some(key) = self.keys.get(name) else {
            return Err(format!(
                "it is signed with the key {name:?}, which this function does not know: give it that key, or sign with another"
            ));
        };
        let mut said = [0; 32];
        match hex::decode_to_slice(hex, &mut said) {
            Ok(()) => Ok((key, said)),
            Err(_) => Err("its signature is not 64 hexadecimal digits".to_owned()),
        }
    }

    fn refusal(&self, message: &impl Signed) -> Option<String> {
        let Some(signature) = message.signature() else {
            let why = "it has no signature, and this deployment requires one; send it through Hostler, or sign it with one of the deployment's keys";
            return self.require.then(|| why.to_owned());
        };
        let (key, said) = match self.read(signature) {
            Ok(read) => read,
            Err(why) => return Some(why),
        };
        let text = message.data().map_or("", Data::text);
        if matches(key, message, text, &said) || mutants::on("signatures.any-will-do") {
            return None;
        }
        // What carries a message may spell its JSON in another way: with spaces, escapes, or in another order.
        match message.data().map(Data::canonical) {
            Some(Ok(data)) if matches(key, message, data.text(), &said) => return None,
            Some(Err(_)) if mutants::on("signatures.fail-open") => return None,
            Some(Err(error)) => return Some(format!("its signature cannot be checked: {error}")),
            Some(Ok(_)) | None => {}
        }
        Some("its signature does not belong to it: it was changed on the way, or signed with another key of that name".to_owned())
    }
}

/// A message that can be signed.
pub trait Signed {
    /// Its payload; timers have none.
    fn data(&self) -> Option<&Data>;
    /// Where its payload is.
    fn data_mut(&mut self) -> Option<&mut Data>;
    /// Its signature.
    fn signature(&self) -> Option<&str>;
    /// Where its signature goes.
    fn signature_mut(&mut self) -> &mut Option<String>;
    /// All that it says beside its payload, each part in the same place.
    fn parts(&self, to: &mut SignedBytes);
}

/// The parts of a message in one run of bytes, each with its length before it, so that none can pass for two.
#[derive(Default)]
pub struct SignedBytes(Vec<u8>);

impl SignedBytes {
    pub(crate) fn bytes(&mut self, part: &[u8]) {
        self.0.extend_from_slice(&(part.len() as u64).to_le_bytes());
        self.0.extend_from_slice(part);
    }

    pub(crate) fn text(&mut self, part: &str) {
        self.bytes(part.as_bytes());
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    fn number(&mut self, part: impl Into<i128>) {
        self.bytes(&part.into().to_le_bytes());
    }

    /// The part that all kinds of messages have.
    fn header(&mut self, header: &Header) {
        let trace = header.trace_context.as_ref();
        self.bytes(header.correlation_id.0.as_bytes());
        self.text(header.causation_id.as_str());
        self.text(trace.map_or("", |trace| &trace.traceparent));
        self.text(trace.and_then(|trace| trace.tracestate.as_deref()).unwrap_or_default());
        self.number(header.hops);
        self.text(&header.actor.0);
    }
}

impl Signed for Envelope {
    fn data(&self) -> Option<&Data> {
        Some(&self.data)
    }

    fn data_mut(&mut self) -> Option<&mut Data> {
        Some(&mut self.data)
    }

    fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    fn signature_mut(&mut self) -> &mut Option<String> {
        &mut self.signature
    }

    fn parts(&self, to: &mut SignedBytes) {
        to.text("event");
        to.bytes(self.event_id.0.as_bytes());
        to.text(&self.event_type);
        to.number(self.schema_version);
        to.number(self.timestamp.as_nanosecond());
        to.text(&self.source);
        to.text(self.stream.as_str());
        to.number(self.stream_version.0);
        to.header(&self.header);
    }
}

impl Signed for CommandEnvelope {
    fn data(&self) -> Option<&Data> {
        Some(&self.data)
    }

    fn data_mut(&mut self) -> Option<&mut Data> {
        Some(&mut self.data)
    }

    fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    fn signature_mut(&mut self) -> &mut Option<String> {
        &mut self.signature
    }

    fn parts(&self, to: &mut SignedBytes) {
        to.text("command");
        to.bytes(self.command_id.0.as_bytes());
        to.text(&self.command_type);
        to.number(self.schema_version);
        to.number(self.timestamp.as_nanosecond());
        to.text(&self.source);
        to.header(&self.header);
    }
}

impl Signed for TimerFired {
    fn data(&self) -> Option<&Data> {
        None
    }

    fn data_mut(&mut self) -> Option<&mut Data> {
        None
    }

    fn signature(&self) -> Option<&str> {
        self.signature.as_deref()
    }

    fn signature_mut(&mut self) -> &mut Option<String> {
        &mut self.signature
    }

    fn parts(&self, to: &mut SignedBytes) {
        to.text("timer");
        to.bytes(self.timer_id.0.as_bytes());
        to.text(self.stream.as_str());
        to.text(&self.deliver_to);
        to.number(self.due_at.as_nanosecond());
        to.text(&self.name);
        to.header(&self.header);
    }
}

fn signed_bytes(message: &impl Signed, data: &str) -> Vec<u8> {
    let mut bytes = SignedBytes(Vec::with_capacity(HEADER_BYTES + data.len()));
    message.parts(&mut bytes);
    bytes.text(data);
    bytes.0
}

/// Compared in constant time.
fn matches(key: &hmac::Key, message: &impl Signed, data: &str, said: &[u8]) -> bool {
    hmac::verify(key, &signed_bytes(message, data), said).is_ok()
}
