//! Where a host's own agent is: a label that operators give it.

use hostler_events::Labels;

/// The label with the address of the agent on a host, as `https://10.0.0.7:9101`.
pub const AGENT_URL: &str = "agent.url";

/// Where the agent of a host with these labels is; none when they do not say so.
#[must_use]
pub fn agent_url(labels: &Labels) -> Option<&str> {
    labels.get(AGENT_URL).map(String::as_str)
}
