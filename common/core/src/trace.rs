//! W3C trace context, carried from cause to effect.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// W3C Trace Context (<https://www.w3.org/TR/trace-context/>): the two headers as they came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TraceContext {
    /// `00-<trace id>-<parent id>-<flags>`.
    pub traceparent: String,
    /// Vendors' key-value pairs, passed on untouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

impl TraceContext {
    /// How many bytes of text it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.traceparent.len() + self.tracestate.as_ref().map_or(0, String::len)
    }

    /// Accepts a well-formed `traceparent` of version 00. Anything else counts as absent, as the standard asks.
    #[must_use]
    pub fn parse(traceparent: &str, tracestate: Option<&str>) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let sized = [2, 32, 16, 2].iter().all(|len| {
            parts.next().is_some_and(|part| {
                part.len() == *len && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            })
        });
        (sized && parts.next().is_none())
            .then(|| Self { traceparent: traceparent.to_owned(), tracestate: tracestate.map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_well_formed_parents_are_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(TraceContext::parse(good, Some("a=b")).is_some());
        for bad in ["", "00-xyz", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
            assert!(TraceContext::parse(bad, None).is_none(), "{bad}");
        }
    }
}
