//! Identifiers and versions: a newtype for each. They are made at the edge and passed on.

use crate::mutants;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest accepted identifier in bytes, well below DynamoDB's limits for keys (2,048 and 1,024 bytes).
pub const ID_BYTES_MAX: usize = 200;

/// An identifier that is empty, too long, or has a character that is not safe in keys, URLs or logs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not a valid identifier: {why}")]
pub struct InvalidId {
    what: &'static str,
    value: String,
    why: &'static str,
}

/// Checks a free-text identifier: 1 to 200 bytes of letters, digits, `.`, `_`, `:`, `/` and `-`.
///
/// An empty value is refused: as a partition key it would put everything on one partition.
///
/// # Errors
/// [`InvalidId`] names the value and the rule it broke.
pub fn check_id(what: &'static str, value: &str) -> Result<(), InvalidId> {
    let why = if value.is_empty() {
        "it is empty; give 1 to 200 characters"
    } else if value.len() > ID_BYTES_MAX {
        "it is longer than 200 bytes"
    } else if !value
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'/' | b'-'))
    {
        "only letters, digits, and . _ : / - are allowed"
    } else {
        return Ok(());
    };
    let mut shown: String = value.chars().take(60).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Err(InvalidId { what, value: shown, why })
}

/// Checks an id that becomes a place, in a URL or a folder: on top of [`check_id`], no part between its slashes is empty,
/// `.` or `..`, by which it would be another place.
///
/// # Errors
/// [`InvalidId`] names the value and the rule it broke.
pub fn check_path(what: &'static str, value: &str) -> Result<(), InvalidId> {
    check_id(what, value)?;
    if value.split('/').any(|part| matches!(part, "" | "." | "..")) {
        let why = "between slashes it has a part that is empty, . or ..; give each part a name";
        return Err(InvalidId { what, value: value.to_owned(), why });
    }
    Ok(())
}

/// Checks the key of an entity that is new: on top of [`check_path`], no part is `timeline`, which the API keeps for what
/// happened to an entity. Entities that had such keys before are still read, shown and operated.
///
/// # Errors
/// [`InvalidId`] names the value and the rule it broke.
pub fn check_new_key(what: &'static str, value: &str) -> Result<(), InvalidId> {
    if mutants::on("ids.any-new-key-will-do") {
        return Ok(());
    }
    check_path(what, value)?;
    if value.split('/').any(|part| part == "timeline") {
        let why = "timeline is the API's name for what happened to an entity; choose another";
        return Err(InvalidId { what, value: value.to_owned(), why });
    }
    Ok(())
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
        )]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }

        impl $crate::partition::Identifies for $name {}

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

/// Declares a newtype over checked text (see [`check_id`]): `text_id!(/// What it names. HostId, "host id");`
#[macro_export]
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
            schemars::JsonSchema,
        )]
        #[serde(try_from = "String", into = "String")]
        // This is on the container, because `try_from` makes schemars derive the schema from `String` and not from
        // the field.
        #[schemars(extend("minLength" = 1, "maxLength" = 200, "pattern" = "^[A-Za-z0-9._:/-]+$"))]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps the text.
            ///
            /// # Errors
            /// When it is empty, longer than 200 bytes, or has characters other than letters, digits, `. _ : / -`.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::ids::InvalidId> {
                let text = text.into();
                $crate::ids::check_id($what, &text)?;
                Ok(Self(text))
            }

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl $crate::partition::Identifies for $name {}

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::ids::InvalidId;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

uuid_id!(
    /// Names one event, for ever.
    EventId
);
uuid_id!(
    /// Names one command: the unit that is handled at most once.
    CommandId
);
uuid_id!(
    /// Names one attempt at a commit. It tells a put of our own whose answer was lost from somebody else's.
    CommitId
);
uuid_id!(
    /// Shared by everything that one request has caused.
    CorrelationId
);
uuid_id!(
    /// Names one timer.
    TimerId
);

impl CommitId {
    /// The id of the nth part of the commit (its events, then its commands, then its timers), from 0. It follows from
    /// the commit's id, so that it is not stored. The random part of the commit's id is counted up, so that the
    /// result is a UUIDv7 of the same millisecond.
    #[must_use]
    pub const fn part(self, n: usize) -> Uuid {
        const RANDOM: u128 = (1 << 62) - 1;
        let id = self.0.as_u128();
        Uuid::from_u128((id & !RANDOM) | ((id & RANDOM) + n as u128 + 1) & RANDOM)
    }
}

text_id!(
    /// Names one attempt at a step, whoever drives it: a saga's is `<saga's key>/<step>/<attempt>`.
    StepId,
    "step id"
);

text_id!(
    /// What made a commit happen: a command's, an event's or a timer's id, or a caller's request id.
    /// The same cause never commits twice on one stream.
    CausationId,
    "causation id"
);

impl CausationId {
    /// The cause that is made of a caller's own key. `scope` keeps the keys of different callers apart, `payload`
    /// tells what was asked for under the key; both are hashes.
    ///
    /// # Errors
    /// [`InvalidId`] when the key is too long, or has characters that ids have not.
    pub fn keyed(scope: &str, key: &str, payload: &str) -> Result<Self, InvalidId> {
        check_id("idempotency key", key)?;
        Self::new(format!("key:{scope}:{key}/{payload}"))
    }

    /// Whether this is the same caller's same key, with another payload.
    #[must_use]
    pub fn differs_in_payload(&self, other: &Self) -> bool {
        let parts = |id: &'_ Self| {
            id.0.starts_with("key:")
                .then(|| id.0.rsplit_once('/'))
                .flatten()
                .map(|(key, payload)| (key.to_owned(), payload.to_owned()))
        };
        match (parts(self), parts(other)) {
            (Some((key, payload)), Some((other_key, other_payload))) => {
                key == other_key && payload != other_payload
            }
            _ => false,
        }
    }
}

impl From<EventId> for CausationId {
    fn from(id: EventId) -> Self {
        Self(id.to_string())
    }
}

impl From<CommandId> for CausationId {
    fn from(id: CommandId) -> Self {
        Self(id.to_string())
    }
}

impl From<TimerId> for CausationId {
    fn from(id: TimerId) -> Self {
        Self(id.to_string())
    }
}

/// A stream's name, `category#key`: one consistency boundary, such as `host#h-42`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9._:/-]{1,200}#[A-Za-z0-9._:/-]{1,200}$"))]
pub struct StreamId(String);

impl StreamId {
    /// Joins a category (lower-case letters and `-`) and an entity's key.
    ///
    /// # Errors
    /// [`InvalidId`] when either part is empty or has characters that are not allowed.
    pub fn new(category: &str, key: &str) -> Result<Self, InvalidId> {
        check_id("stream category", category)?;
        check_id("stream key", key)?;
        Ok(Self(format!("{category}#{key}")))
    }

    /// The kind of entity, such as `host`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split_once('#').map_or("", |(category, _)| category)
    }

    /// The entity within its category, such as `h-42`.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.split_once('#').map_or("", |(_, key)| key)
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        match text.split_once('#') {
            Some((category, key)) => Self::new(category, key),
            None => Err(InvalidId { what: "stream", value: text, why: "it must read category#key" }),
        }
    }
}

impl FromStr for StreamId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::try_from(text.to_owned())
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.0
    }
}

/// How many commits a stream has; the first commit is version 1, an empty stream is at 0.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StreamVersion(pub u64);

impl StreamVersion {
    /// The version of a stream without commits.
    pub const EMPTY: Self = Self(0);

    /// The version that the next commit gets.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StreamVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn what_a_commit_says_has_ids_of_its_own_in_the_same_millisecond() {
        // The highest random number is followed by the lowest.
        for id in ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bfff-ffffffffffff"] {
            let commit = CommitId(id.parse().unwrap());
            let parts: Vec<Uuid> = (0..300).map(|n| commit.part(n)).collect();
            for part in &parts {
                assert_eq!((part.get_version_num(), part.get_variant()), (7, uuid::Variant::RFC4122));
                assert_eq!(part.get_timestamp(), commit.0.get_timestamp());
            }
            let mut all: Vec<Uuid> = parts.into_iter().chain([commit.0]).collect();
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 301);
        }
    }

    #[test]
    fn a_stream_is_a_category_and_a_key() {
        let stream: StreamId = "host#h-42".parse().unwrap();
        assert_eq!((stream.category(), stream.key()), ("host", "h-42"));
        assert_eq!(serde_json::to_string(&stream).unwrap(), "\"host#h-42\"");
    }

    #[test]
    fn keys_of_new_entities_have_an_address_of_their_own() {
        for good in ["h-1", "rack/7", "retry:h-1", "a.b", "...", "timelines"] {
            check_new_key("host", good).unwrap();
        }
        for bad in [
            "/a",
            "a/",
            "a//b",
            "/",
            ".",
            "..",
            "a/../b",
            "./a",
            "a/timeline",
            "timeline",
            "",
            "a b",
            "a\u{1b}",
        ] {
            let error = check_new_key("host", bad).unwrap_err().to_string();
            assert!(error.contains("host"), "{error}");
        }
        assert!(check_path("image", "debian/timeline").is_ok());
    }

    #[test]
    fn empty_and_odd_keys_are_refused_with_their_reason() {
        for bad in ["host#", "#h", "host", "host#a b", "host#a#b", "host#é"] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad} was accepted");
        }
        let error = "host#".parse::<StreamId>().unwrap_err().to_string();
        assert!(error.contains("empty"), "{error}");
        assert!(CausationId::new("x".repeat(201)).is_err());
    }
}
