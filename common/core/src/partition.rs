//! Partition keys: they spread the load over the partitions of a table.
//!
//! A key must be an entity's id. A timestamp puts all writers of a moment on one partition; a field with few values
//! uses few partitions; an empty one uses a single partition. The first two do not compile, the last is refused:
//!
//! ```compile_fail
//! # use hostler_core::partition::PartitionKey;
//! PartitionKey::of(&jiff::Timestamp::UNIX_EPOCH);
//! ```
//!
//! ```compile_fail
//! # use hostler_core::{Category, partition::PartitionKey};
//! PartitionKey::of(&Category::Transient);
//! ```
//!
//! ```
//! # use hostler_core::{StreamId, ids::check_id, triage::FailureId, partition::PartitionKey};
//! let id = FailureId::new("0198c5e2")?;
//! assert_eq!(PartitionKey::of(&id).as_str(), "0198c5e2");
//! assert!(FailureId::new("").is_err() && StreamId::new("host", "").is_err());
//! # Ok::<(), hostler_core::InvalidId>(())
//! ```

use std::fmt::{self, Display};
use std::num::NonZeroU16;

/// Something that names one entity among very many. [`text_id!`](crate::text_id) and the ids of this crate do; times,
/// categories and flags do not.
pub trait Identifies: Display {}

/// A key that spreads the load.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartitionKey(String);

impl PartitionKey {
    /// The key of an entity.
    #[must_use]
    pub fn of(id: &impl Identifies) -> Self {
        Self(id.to_string())
    }

    /// The key of one part of an entity that many write to at once: one of `shards`, always the same for one `part`.
    /// A reader of the whole entity reads all of them.
    ///
    /// ```
    /// # use std::num::NonZeroU16;
    /// # use hostler_core::{triage::FailureId, partition::PartitionKey};
    /// let (hot, shards) = (FailureId::new("hot")?, NonZeroU16::MIN.saturating_add(15));
    /// let keys: std::collections::BTreeSet<_> =
    ///     (0..1_000).map(|n| PartitionKey::spread(&hot, &format!("host-{n}"), shards)).collect();
    /// assert_eq!(keys.len(), 16);
    /// # Ok::<(), hostler_core::InvalidId>(())
    /// ```
    #[must_use]
    pub fn spread(id: &impl Identifies, part: &str, shards: NonZeroU16) -> Self {
        // FNV-1a. It must be the same on every machine and in every build, because keys are stored.
        let hash = part.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(format!("{id}.{}", hash % u64::from(shards.get())))
    }

    /// The text itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Display for PartitionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
