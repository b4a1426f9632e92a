//! Vulnerabilities as they are published, and how urgent each is: events on the streams `advisory#<advisory>`.

use hostler_core::contracts;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::ids::AdvisoryId;

contracts! {
    /// What becomes known of a vulnerability.
    pub enum AdvisoryEvent as Event {
        "advisory.recorded" v 1 => Recorded(AdvisoryRecorded),
        "advisory.exploited" v 1 => Exploited(AdvisoryExploited),
        "advisory.scored" v 1 => Scored(AdvisoryScored),
        "advisory.prioritised" v 1 => Prioritised(AdvisoryPrioritised),
    }
}

/// How urgent a vulnerability is, in the words of SSVC; the first is the most urgent. The site's policies say what each
/// means in days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// Act: at once.
    Act,
    /// Attend: sooner than other updates.
    Attend,
    /// Track*: with the usual updates, and it is watched.
    TrackStar,
    /// Track: with the next upgrade.
    Track,
}

impl Priority {
    /// The name in policies, events and views.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Attend => "attend",
            Self::TrackStar => "track-star",
            Self::Track => "track",
        }
    }
}

/// A record of a vulnerability has been published, or has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryRecorded {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// What was published.
    pub record: AdvisoryRecord,
}

/// One publisher's record of a vulnerability, as OSV has it. Of an advisory there may be several: a CVE's, and those of a
/// distribution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryRecord {
    /// The publisher's own id, such as `DSA-5678-1`.
    pub id: String,
    /// Other ids of the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// When it was last changed. An older one never replaces a newer one.
    pub modified_at: Timestamp,
    /// When it was withdrawn: from then on nothing is affected by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Timestamp>,
    /// How severe it is, as CVSS vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cvss: Vec<String>,
    /// Which versions of which packages have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub affected: Vec<Affected>,
}

/// Which versions of a package have a vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Affected {
    /// Whose package, such as `Debian:12`. Only those of Debian are compared with what is installed.
    pub ecosystem: String,
    /// The package. Debian's records name the source package.
    pub package: String,
    /// The package as a purl, where the record has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purl: Option<String>,
    /// From which version on, and up to which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<AffectedRange>,
    /// Versions that are named one by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

/// A range of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AffectedRange {
    /// The first version that has it; `0` for the very first.
    pub introduced: String,
    /// The first version that has it no more, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// The last version that has it, where that is known instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<String>,
}

/// The vulnerability is known to be exploited (CISA's catalogue KEV).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryExploited {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// Since when it is in the catalogue, as a date.
    pub added: String,
}

/// How likely it is that the vulnerability will be exploited, or how severe it is, as others have scored it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryScored {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The likelihood within 30 days, from 0 to 1 (EPSS).
    pub epss: f64,
    /// The day of the score, as a date; an older one never replaces a newer one.
    pub date: String,
}

/// It is decided how urgent the vulnerability is. New facts may lead to a new decision, and that is another such event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryPrioritised {
    /// The vulnerability.
    pub advisory: AdvisoryId,
    /// The number of the decision, from 1.
    pub revision: u32,
    /// How urgent it is on hosts that are exposed: the most that it can be.
    pub priority: Priority,
    /// The deadline of an exposed host that is known to have it by now; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// Whether its campaign is an emergency.
    pub emergency: bool,
    /// How urgent it is on the other hosts.
    pub unexposed: Priority,
    /// Their deadline; absent where the next upgrade will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexposed_deadline: Option<Timestamp>,
    /// The deadline, in days, of a host that has it later: an exposed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
    /// The same for the other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexposed_days: Option<u32>,
    /// The version of the decision table.
    pub table: u32,
    /// By which facts.
    pub facts: AdvisoryFacts,
    /// When it was decided.
    pub decided_at: Timestamp,
}

/// The facts by which it is decided how urgent a vulnerability is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdvisoryFacts {
    /// Whether it is known to be exploited.
    pub known_exploited: bool,
    /// Whether an attacker can automate it: over the network, without rights and without a person's help.
    pub automatable: bool,
    /// Whether it gives an attacker everything.
    pub total_impact: bool,
    /// The likelihood that it will be exploited, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<f64>,
    /// The score of CVSS, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cvss: Option<f64>,
}
