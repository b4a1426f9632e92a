//! `contracts!`: a closed set of payload types from a table of wire names and versions.

use hostler_core::Data;
use serde::de::{DeserializeOwned, Error};

/// Reads a payload; an error begins with the path of the field that is wrong, such as `policy.deployImage`.
pub(crate) fn read<T: DeserializeOwned>(data: &Data) -> Result<T, serde_json::Error> {
    // To keep the path takes time, and what is wrong can wait.
    data.read().or_else(|_| {
        let mut text = serde_json::Deserializer::from_str(data.text());
        serde_path_to_error::deserialize(&mut text).map_err(serde_json::Error::custom)
    })
}

/// Declares an enum of payloads. Each line reads `"wire.name" v1 => Variant(PayloadType)`; for commands,
/// `"wire-name" v1 @ "queue" => Variant(PayloadType)`.
macro_rules! contracts {
    (
        $(#[$doc:meta])*
        pub enum $set:ident as Event {
            $( $name:literal v $version:literal => $variant:ident($payload:ty), )+
        }
    ) => {
        contracts! { @set Event $(#[$doc])* $set { $( $name v $version, None => $variant($payload), )+ } }
    };
    (
        $(#[$doc:meta])*
        pub enum $set:ident as Command {
            $( $name:literal v $version:literal @ $queue:literal => $variant:ident($payload:ty), )+
        }
    ) => {
        contracts! {
            @set Command $(#[$doc])* $set { $( $name v $version, Some($queue) => $variant($payload), )+ }
        }

        impl hostler_core::Addressed for $set {
            fn queue(&self) -> &'static str {
                match self { $( Self::$variant(_) => $queue, )+ }
            }
        }
    };
    (
        @set $kind:ident $(#[$doc:meta])* $set:ident {
            $( $name:literal v $version:literal, $queue:expr => $variant:ident($payload:ty), )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $set {
            $( #[doc = concat!("`", $name, "`")] $variant($payload), )+
        }

        impl $set {
            /// The wire names of the set.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            pub(crate) fn contracts() -> Vec<$crate::catalogue::Contract> {
                vec![$(
                    $crate::catalogue::Contract {
                        name: $name,
                        version: $version,
                        kind: $crate::catalogue::Kind::$kind,
                        queue: $queue,
                        schema: || schemars::schema_for!($payload),
                        check: |data| $crate::macros::read::<$payload>(data).map(drop),
                    },
                )+]
            }
        }

        impl hostler_core::Payload for $set {
            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $name, )+ }
            }

            fn schema_version(&self) -> u32 {
                match self { $( Self::$variant(_) => $version, )+ }
            }

            fn to_data(&self) -> hostler_core::Data {
                match self { $( Self::$variant(payload) => hostler_core::Data::of(payload), )+ }
            }

            fn from_data(
                type_name: &str,
                schema_version: u32,
                data: &hostler_core::Data,
            ) -> Result<Self, hostler_core::ContractError> {
                match type_name {
                    $(
                        $name if schema_version >= 1 && schema_version <= $version => {
                            $crate::macros::read(data).map(Self::$variant).map_err(|source| {
                                hostler_core::ContractError::Data {
                                    type_name: $name.to_owned(),
                                    schema_version,
                                    source,
                                }
                            })
                        }
                        $name => Err(hostler_core::ContractError::Version {
                            type_name: $name.to_owned(),
                            found: schema_version,
                            newest: $version,
                        }),
                    )+
                    unknown => Err(hostler_core::ContractError::UnknownType {
                        type_name: unknown.to_owned(),
                        known: Self::NAMES.join(", "),
                    }),
                }
            }
        }
    };
}

pub(crate) use contracts;
