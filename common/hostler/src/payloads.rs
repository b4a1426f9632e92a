//! The records of an application's contracts.

/// Declares records that travel: commands, events, and what sagas are started with. They are written in camel case, and have
/// a JSON Schema.
///
/// ```
/// hostler::payloads! {
///     /// One line of an order.
///     pub struct Line {
///         pub item: String,
///         pub quantity: u32,
///     }
/// }
///
/// let line = Line { item: "tea".to_owned(), quantity: 2 };
/// assert_eq!(hostler::serde_json::to_string(&line).unwrap(), r#"{"item":"tea","quantity":2}"#);
/// ```
#[macro_export]
macro_rules! payloads {
    ($(
        $(#[$doc:meta])*
        pub struct $payload:ident { $( $(#[$field_doc:meta])* pub $field:ident: $type:ty ),* $(,)? }
    )+) => {$(
        $(#[$doc])*
        #[derive(
            Debug, Clone, PartialEq, $crate::serde::Serialize, $crate::serde::Deserialize, $crate::schemars::JsonSchema,
        )]
        #[serde(crate = "hostler::serde", rename_all = "camelCase")]
        #[schemars(crate = "hostler::schemars")]
        pub struct $payload { $( $(#[$field_doc])* pub $field: $type ),* }
    )+};
}
