//! Contracts: the payloads of an application by name and version, with their schemas, and the macro that declares them.

use schemars::{JsonSchema, Schema};
use serde::de::{DeserializeOwned, Error};
use serde_json::{Map, Value};

use crate::data::Data;
use crate::payload::{ContractError, Payload};

/// Whether a contract is an event or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Something that happened. It travels on the bus.
    Event,
    /// Something to do. It travels on a queue.
    Command,
}

/// One payload type in one version.
#[derive(Debug, Clone)]
pub struct Contract {
    /// The type's name on the wire.
    pub name: &'static str,
    /// The version that this code writes.
    pub version: u32,
    /// Event or command.
    pub kind: Kind,
    /// A command's queue.
    pub queue: Option<&'static str>,
    /// The JSON Schema of the payload (`data`).
    pub schema: fn() -> Schema,
    /// Reads a payload as the type, for checks that a schema cannot make.
    pub check: fn(&Data) -> Result<(), serde_json::Error>,
}

/// A closed set of payloads that says which contracts it has: what [`contracts!`](crate::contracts) declares.
pub trait Contracts: Payload {
    /// The wire names of the set.
    const NAMES: &'static [&'static str];

    /// Its contracts, each in the version that this code writes.
    fn contracts() -> Vec<Contract>;
}

/// A set of commands that operators give.
pub trait OperatorCommands: Contracts {
    /// What a command is about, such as `host/h-42`: commands about the same are handled in the order in which they come.
    /// None where order does not matter.
    fn subject(&self) -> Option<String>;
}

/// One command type, as the set that has it declares it.
pub trait CommandType: DeserializeOwned + Send + Sync + 'static {
    /// Its name on the wire.
    const TYPE: &'static str;
    /// The version that this code writes.
    const VERSION: u32;
    /// The queue on which it is handled.
    const QUEUE: &'static str;

    /// What the command is about: what it is called in answers, such as `host`, and its id.
    fn about(&self) -> Option<(&'static str, &str)>;

    /// Reads a command of this version.
    ///
    /// # Errors
    /// [`ContractError`] for a version newer than this code, or data that breaks the contract.
    fn from_data(version: u32, data: &Data) -> Result<Self, ContractError> {
        let type_name = || Self::TYPE.to_owned();
        if !(1..=Self::VERSION).contains(&version) {
            let newest = Self::VERSION;
            return Err(ContractError::Version { type_name: type_name(), found: version, newest });
        }
        let misfit = |source| ContractError::Data { type_name: type_name(), schema_version: version, source };
        read(data).map_err(misfit)
    }
}

/// Reads a payload; an error begins with the path of the field that is wrong, such as `policy.deployImage`.
///
/// # Errors
/// When the data does not have the type's form.
pub fn read<T: DeserializeOwned>(data: &Data) -> Result<T, serde_json::Error> {
    // Keeping the path takes time, so it is found only after something was wrong.
    data.read().or_else(|_| {
        let mut text = serde_json::Deserializer::from_str(data.text());
        serde_path_to_error::deserialize(&mut text).map_err(serde_json::Error::custom)
    })
}

/// The schema of one variant of an enum that serde tags with the field `event`, without that field. This is the form
/// of a payload of a set that `tagged_contracts!` declares.
#[must_use]
pub fn variant_schema<T: JsonSchema>(tag: &str) -> Schema {
    let whole = schemars::schema_for!(T).to_value();
    let is_it = |schema: &&Value| schema["properties"]["event"]["const"] == tag;
    let mut variants = whole["oneOf"].as_array().into_iter().flatten();
    let mut variant = variants.find(is_it).cloned().unwrap_or_default();
    if let Some(fields) = variant["properties"].as_object_mut() {
        fields.remove("event");
    }
    if let Some(required) = variant["required"].as_array_mut() {
        required.retain(|name| name != "event");
    }
    if !whole["$schema"].is_null() {
        variant["$schema"] = whole["$schema"].clone();
    }
    let definitions = used_definitions(&variant, &whole["$defs"]);
    if !definitions.is_empty() {
        variant["$defs"] = definitions.into();
    }
    Schema::try_from(variant).unwrap_or_default()
}

/// The definitions that a schema refers to, directly or through other definitions.
fn used_definitions(schema: &Value, all: &Value) -> Map<String, Value> {
    let mut used = Map::new();
    let mut text = schema.to_string();
    loop {
        let referred = |name: &str| text.contains(&format!("\"#/$defs/{name}\""));
        let all = all.as_object().into_iter().flatten();
        let more: Vec<_> = all.filter(|(name, _)| referred(name) && !used.contains_key(*name)).collect();
        if more.is_empty() {
            return used;
        }
        for (name, definition) in more {
            text += &definition.to_string();
            used.insert(name.clone(), definition.clone());
        }
    }
}

/// Declares a closed set of payload types from a table of wire names and versions. Each line reads
/// `"wire.name" v 1 => Variant(PayloadType)`; for commands, `"wire-name" v 1 @ "queue" => Variant(PayloadType)`, with
/// `of field` behind it where commands about the same thing keep their order: the field holds its id.
///
/// ```
/// use hostler_core::{Contracts, Payload, contracts};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
/// pub struct OrderPlaced {
///     pub order: String,
/// }
///
/// contracts! {
///     /// What happens to orders.
///     pub enum OrderEvent as Event {
///         "order.placed" v 1 => Placed(OrderPlaced),
///     }
/// }
///
/// let event = OrderEvent::Placed(OrderPlaced { order: "o-1".to_owned() });
/// assert_eq!((event.type_name(), event.schema_version()), ("order.placed", 1));
/// assert_eq!(OrderEvent::from_data("order.placed", 1, &event.to_data()).unwrap(), event);
/// assert_eq!(OrderEvent::contracts()[0].name, "order.placed");
/// ```
#[macro_export]
macro_rules! contracts {
    (
        $(#[$doc:meta])*
        pub enum $set:ident as Event {
            $( $name:literal v $version:literal => $variant:ident($payload:ty), )+
        }
    ) => {
        $crate::contracts! { @set Event $(#[$doc])* $set { $( $name v $version, None => $variant($payload), )+ } }
    };
    (
        $(#[$doc:meta])*
        pub enum $set:ident as Command {
            $( $name:literal v $version:literal @ $queue:literal => $variant:ident($payload:ty) $(of $subject:ident)?, )+
        }
    ) => {
        $crate::contracts! {
            @set Command $(#[$doc])* $set { $( $name v $version, Some($queue) => $variant($payload), )+ }
        }

        impl $crate::Addressed for $set {
            fn queue(&self) -> &'static str {
                match self { $( Self::$variant(_) => $queue, )+ }
            }
        }

        impl $crate::OperatorCommands for $set {
            fn subject(&self) -> Option<String> {
                let about = match self { $( Self::$variant(payload) => $crate::CommandType::about(payload), )+ };
                about.map(|(what, id)| format!("{what}/{id}"))
            }
        }

        $(
            impl $crate::CommandType for $payload {
                const TYPE: &'static str = $name;
                const VERSION: u32 = $version;
                const QUEUE: &'static str = $queue;

                fn about(&self) -> Option<(&'static str, &str)> {
                    $crate::contracts!(@about self $($subject)?)
                }
            }

            impl From<$payload> for $set {
                fn from(command: $payload) -> Self {
                    Self::$variant(command)
                }
            }
        )+
    };
    (@about $command:ident) => { None };
    (@about $command:ident $subject:ident) => { Some((stringify!($subject), $command.$subject.as_str())) };
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
        }

        impl $crate::Contracts for $set {
            const NAMES: &'static [&'static str] = &[$($name),+];

            fn contracts() -> Vec<$crate::Contract> {
                vec![$(
                    $crate::Contract {
                        name: $name,
                        version: $version,
                        kind: $crate::contract::Kind::$kind,
                        queue: $queue,
                        schema: || $crate::schemars::schema_for!($payload),
                        check: |data| $crate::contract::read::<$payload>(data).map(drop),
                    },
                )+]
            }
        }

        impl $crate::Payload for $set {
            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant(_) => $name, )+ }
            }

            fn schema_version(&self) -> u32 {
                match self { $( Self::$variant(_) => $version, )+ }
            }

            fn to_data(&self) -> $crate::Data {
                match self { $( Self::$variant(payload) => $crate::Data::of(payload), )+ }
            }

            fn from_data(
                type_name: &str,
                schema_version: u32,
                data: &$crate::Data,
            ) -> Result<Self, $crate::ContractError> {
                match type_name {
                    $(
                        $name if schema_version >= 1 && schema_version <= $version => {
                            $crate::contract::read(data).map(Self::$variant).map_err(|source| {
                                $crate::ContractError::Data {
                                    type_name: $name.to_owned(),
                                    schema_version,
                                    source,
                                }
                            })
                        }
                        $name => Err($crate::ContractError::Version {
                            type_name: $name.to_owned(),
                            found: schema_version,
                            newest: $version,
                        }),
                    )+
                    unknown => Err($crate::ContractError::UnknownType {
                        type_name: unknown.to_owned(),
                        known: Self::NAMES.join(", "),
                    }),
                }
            }
        }
    };
}

/// Joins sets of commands, one for each function, to what a saga or a decider may send.
///
/// ```
/// use hostler_core::saga::{SagaCommand, SagaOperation, SagaRef};
/// use hostler_core::{Addressed, command_sets};
///
/// command_sets! {
///     /// What is sent.
///     pub enum Sent {
///         /// To a saga.
///         Saga(SagaCommand),
///         /// To the commands' queue.
///         Operation(SagaOperation),
///     }
/// }
///
/// let saga = SagaRef::new("order", "o-1").unwrap();
/// let cancel = hostler_core::saga::CancelSaga { saga, reason: "not needed".to_owned() };
/// assert_eq!(Sent::from(SagaOperation::from(cancel)).queue(), "commands");
/// ```
#[macro_export]
macro_rules! command_sets {
    (
        $(#[$doc:meta])*
        pub enum $joined:ident { $( $(#[$set_doc:meta])* $variant:ident($set:ty) ),+ $(,)? }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $joined { $( $(#[$set_doc])* $variant($set) ),+ }

        impl $crate::Addressed for $joined {
            fn queue(&self) -> &'static str {
                match self { $( Self::$variant(set) => $crate::Addressed::queue(set) ),+ }
            }
        }

        impl $crate::Payload for $joined {
            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant(set) => $crate::Payload::type_name(set) ),+ }
            }

            fn schema_version(&self) -> u32 {
                match self { $( Self::$variant(set) => $crate::Payload::schema_version(set) ),+ }
            }

            fn to_data(&self) -> $crate::Data {
                match self { $( Self::$variant(set) => $crate::Payload::to_data(set) ),+ }
            }

            fn from_data(
                type_name: &str,
                schema_version: u32,
                data: &$crate::Data,
            ) -> Result<Self, $crate::ContractError> {
                $(
                    if <$set as $crate::Contracts>::NAMES.contains(&type_name) {
                        let read = <$set as $crate::Payload>::from_data(type_name, schema_version, data);
                        return read.map(Self::$variant);
                    }
                )+
                Err($crate::ContractError::UnknownType {
                    type_name: type_name.to_owned(),
                    known: [$( <$set as $crate::Contracts>::NAMES ),+].concat().join(", "),
                })
            }
        }

        $(
            impl From<$set> for $joined {
                fn from(set: $set) -> Self {
                    Self::$variant(set)
                }
            }
        )+
    };
}

/// Names the variants of an enum that serde tags with the field `event` in kebab case, all in version 1: the wire name is
/// the prefix and the tag. The payload on the wire has no tag.
macro_rules! tagged_contracts {
    ($set:ident as $kind:ident, $prefix:literal, $queue:expr, { $( $tag:literal => $variant:ident, )+ }) => {
        impl $set {
            /// The wire names of the set.
            pub const NAMES: &'static [&'static str] = &[$(concat!($prefix, $tag)),+];
        }

        impl $crate::contract::Contracts for $set {
            const NAMES: &'static [&'static str] = Self::NAMES;

            fn contracts() -> Vec<$crate::contract::Contract> {
                vec![$(
                    $crate::contract::Contract {
                        name: concat!($prefix, $tag),
                        version: 1,
                        kind: $crate::contract::Kind::$kind,
                        queue: $queue,
                        schema: || $crate::contract::variant_schema::<$set>($tag),
                        check: |data| {
                            let read = <$set as $crate::payload::Payload>::from_data(concat!($prefix, $tag), 1, data);
                            read.map(drop).map_err(<serde_json::Error as serde::de::Error>::custom)
                        },
                    },
                )+]
            }
        }

        impl $crate::payload::Payload for $set {
            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => concat!($prefix, $tag), )+ }
            }

            fn schema_version(&self) -> u32 {
                1
            }

            fn to_data(&self) -> $crate::data::Data {
                $crate::payload::untagged(self)
            }

            fn from_data(
                type_name: &str,
                schema_version: u32,
                data: &$crate::data::Data,
            ) -> Result<Self, $crate::payload::ContractError> {
                $crate::payload::tagged($prefix, Self::NAMES, type_name, schema_version, data)
            }
        }
    };
}

pub(crate) use tagged_contracts;
