//! A site's policies: the stream `policies#<set>`, on which every change is an event with its diff.

use std::collections::BTreeSet;

use hostler_core::saga::SagaCommand;
use hostler_core::{Decider, Decision};
use hostler_events::SitePolicy;
use hostler_events::site::{
    ApplyPolicies, PoliciesApplied, PolicyChange, PolicyEvent, PolicySet, SitePolicyError,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(test)]
mod tests;

/// How many changes are recorded one by one. The whole policy is recorded anyway.
const CHANGES_MAX: usize = 500;

/// Decides on `policies#` streams.
#[derive(Debug, Clone, Copy)]
pub struct PolicyDecider;

/// What is known of a set of policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyState {
    /// The set; absent until something was applied.
    pub policies: Option<PolicySet>,
    /// Its version; 0 until something was applied. Decisions name it.
    pub policy_version: u64,
    /// What holds.
    pub policy: SitePolicy,
    /// What the last change was.
    pub changes: Vec<PolicyChange>,
    /// Why.
    pub reason: String,
}

/// Why policies are not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyRefusal {
    /// They cannot be followed.
    #[error("the policies cannot be followed: {}", said(problems))]
    Invalid {
        /// All that is wrong.
        problems: Vec<SitePolicyError>,
    },
    /// Somebody else has changed them.
    #[error(
        "the policies are at version {version} by now, and yours were made from version {from_version}: look at what has changed with `hostler policies diff`, and apply them again"
    )]
    Changed {
        /// Their version.
        version: u64,
        /// The version that the caller knew.
        from_version: u64,
    },
    /// A change needs a reason.
    #[error("no reason was given for the change: it is recorded, so say why")]
    NoReason,
}

fn said(problems: &[SitePolicyError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl PolicyRefusal {
    /// The static label for metrics and answers.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid-policies",
            Self::Changed { .. } => "changed-meanwhile",
            Self::NoReason => "no-reason",
        }
    }
}

impl Decider for PolicyDecider {
    const CATEGORY: &'static str = "policies";
    const STATE_VERSION: u32 = 1;
    type State = PolicyState;
    type Input = ApplyPolicies;
    type Event = PolicyEvent;
    /// It asks nobody for anything.
    type Command = SagaCommand;
    type Refusal = PolicyRefusal;

    fn decide(
        state: &PolicyState,
        input: &ApplyPolicies,
        _: Timestamp,
    ) -> Result<Decision<PolicyEvent, SagaCommand>, PolicyRefusal> {
        let ApplyPolicies { policies, policy, reason, from_version } = input.clone();
        policy.check().map_err(|problems| PolicyRefusal::Invalid { problems })?;
        if reason.trim().is_empty() {
            return Err(PolicyRefusal::NoReason);
        }
        if state.policies.is_some() && policy == state.policy {
            return Ok(Decision::nothing());
        }
        let version = state.policy_version;
        if let Some(from_version) = from_version.filter(|from| *from != version) {
            return Err(PolicyRefusal::Changed { version, from_version });
        }
        let changes = changes(&state.policy, &policy);
        let policy_version = version.saturating_add(1);
        let applied = PoliciesApplied { policies, policy_version, policy, changes, reason };
        Ok(Decision::events([PolicyEvent::Applied(applied)]))
    }

    fn evolve(_: PolicyState, event: &PolicyEvent) -> PolicyState {
        let PolicyEvent::Applied(PoliciesApplied { policies, policy_version, policy, changes, reason }) =
            event.clone();
        PolicyState { policies: Some(policies), policy_version, policy, changes, reason }
    }
}

/// What differs between two policies, field by field, in the order of the fields' names.
#[must_use]
pub fn changes(before: &SitePolicy, after: &SitePolicy) -> Vec<PolicyChange> {
    // Policies are plain records with text keys, for which this cannot fail.
    let value = |policy| serde_json::to_value(policy).unwrap_or_default();
    let mut changes = Vec::new();
    compare(String::new(), Some(&value(before)), Some(&value(after)), &mut changes);
    changes.truncate(CHANGES_MAX);
    changes
}

fn compare(field: String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<PolicyChange>) {
    if before == after {
        return;
    }
    let (Some(Value::Object(old)), Some(Value::Object(new))) = (before, after) else {
        changes.push(PolicyChange { field, before: before.cloned(), after: after.cloned() });
        return;
    };
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let inner = if field.is_empty() { name.clone() } else { format!("{field}.{name}") };
        compare(inner, old.get(name), new.get(name), changes);
    }
}
