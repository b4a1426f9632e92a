//! How urgent vulnerabilities are, as data: a section of the site's policies.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::advisory::{AdvisoryFacts, Priority};
use crate::ids::PoolId;
use crate::site::Problems;

/// How urgent vulnerabilities are: a decision table in the manner of SSVC, and what its outcomes mean in days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct VulnerabilityPolicy {
    /// The version of the table. Decisions name it.
    pub version: u32,
    /// The table: the first line that fits decides. The last one names no condition.
    pub decisions: Vec<DecisionLine>,
    /// What the outcomes mean.
    pub deadlines: DeadlinePolicy,
    /// The outcomes whose campaigns are emergencies.
    pub emergency: BTreeSet<Priority>,
    /// Pools whose hosts are all exposed. Elsewhere a host is, if its label `exposed` is `true`.
    pub exposed_pools: BTreeSet<PoolId>,
}

/// A line of the table. A condition that it does not name may be either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecisionLine {
    /// Whether it is known to be exploited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_exploited: Option<bool>,
    /// Whether the host is exposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed: Option<bool>,
    /// Whether an attacker can automate it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub automatable: Option<bool>,
    /// Whether it gives an attacker everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_impact: Option<bool>,
    /// How urgent it is then.
    pub priority: Priority,
}

/// The deadlines, in days. What is only tracked waits for the next upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct DeadlinePolicy {
    /// Of `act`.
    #[schemars(range(min = 1, max = 365))]
    pub act_days: u32,
    /// Of `attend`.
    #[schemars(range(min = 1, max = 365))]
    pub attend_days: u32,
    /// Of `track-star`.
    #[schemars(range(min = 1, max = 365))]
    pub track_star_days: u32,
}

impl Default for DeadlinePolicy {
    fn default() -> Self {
        Self { act_days: 3, attend_days: 14, track_star_days: 60 }
    }
}

impl DeadlinePolicy {
    /// How many days there are; none where the next upgrade will do.
    #[must_use]
    pub fn days(self, priority: Priority) -> Option<u32> {
        match priority {
            Priority::Act => Some(self.act_days),
            Priority::Attend => Some(self.attend_days),
            Priority::TrackStar => Some(self.track_star_days),
            Priority::Track => None,
        }
    }
}

impl DecisionLine {
    const fn of(conditions: [Option<bool>; 4], priority: Priority) -> Self {
        let [known_exploited, exposed, automatable, total_impact] = conditions;
        Self { known_exploited, exposed, automatable, total_impact, priority }
    }

    fn fits(&self, facts: &AdvisoryFacts, exposed: bool) -> bool {
        let fits = |condition: Option<bool>, is: bool| condition.is_none_or(|must| must == is);
        fits(self.known_exploited, facts.known_exploited)
            && fits(self.exposed, exposed)
            && fits(self.automatable, facts.automatable)
            && fits(self.total_impact, facts.total_impact)
    }

    fn is_for_all(&self) -> bool {
        let Self { known_exploited, exposed, automatable, total_impact, priority: _ } = self;
        [known_exploited, exposed, automatable, total_impact].iter().all(|condition| condition.is_none())
    }
}

impl Default for VulnerabilityPolicy {
    fn default() -> Self {
        const YES: Option<bool> = Some(true);
        Self {
            version: 1,
            decisions: vec![
                DecisionLine::of([YES, YES, None, None], Priority::Act),
                DecisionLine::of([YES, None, YES, YES], Priority::Act),
                DecisionLine::of([YES, None, None, None], Priority::Attend),
                DecisionLine::of([None, YES, YES, YES], Priority::Attend),
                DecisionLine::of([None, YES, YES, None], Priority::TrackStar),
                DecisionLine::of([None, YES, None, YES], Priority::TrackStar),
                DecisionLine::of([None, None, YES, YES], Priority::TrackStar),
                DecisionLine::of([None, None, None, None], Priority::Track),
            ],
            deadlines: DeadlinePolicy::default(),
            emergency: BTreeSet::from([Priority::Act]),
            exposed_pools: BTreeSet::new(),
        }
    }
}

impl VulnerabilityPolicy {
    /// How urgent a vulnerability with these facts is, on a host that is exposed or not.
    #[must_use]
    pub fn priority(&self, facts: &AdvisoryFacts, exposed: bool) -> Priority {
        let line = self.decisions.iter().find(|line| line.fits(facts, exposed));
        line.map_or(Priority::Track, |line| line.priority)
    }

    /// Checks the ranges, and that something decides in every case.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let DeadlinePolicy { act_days, attend_days, track_star_days } = self.deadlines;
        let days = [("actDays", act_days), ("attendDays", attend_days), ("trackStarDays", track_star_days)];
        for (name, value) in days {
            problems.range(&["vulnerabilities", "deadlines", name], value, 1, 365);
        }
        if !self.decisions.last().is_some_and(DecisionLine::is_for_all) {
            let problem =
                "its last line has a condition, or there is none: end with one that has a priority alone";
            problems.add(&["vulnerabilities", "decisions"], problem.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::SitePolicy;

    fn facts(known_exploited: bool, automatable: bool, total_impact: bool) -> AdvisoryFacts {
        AdvisoryFacts { known_exploited, automatable, total_impact, ..AdvisoryFacts::default() }
    }

    /// DOMAIN C: a decision table over known-exploited, exposed, automatable, total impact: 3 days, 14 days, 60 days, next
    /// upgrade.
    #[test]
    fn the_decision_table_gives_three_days_fourteen_sixty_or_the_next_upgrade() {
        let policy = VulnerabilityPolicy::default();
        let days = |facts, exposed| policy.deadlines.days(policy.priority(&facts, exposed));
        assert_eq!(days(facts(true, false, false), true), Some(3));
        assert_eq!(days(facts(true, true, true), false), Some(3));
        assert_eq!(days(facts(true, false, true), false), Some(14));
        assert_eq!(days(facts(false, true, true), true), Some(14));
        assert_eq!(days(facts(false, true, true), false), Some(60));
        assert_eq!(days(facts(false, false, true), true), Some(60));
        assert_eq!(days(facts(false, false, true), false), None);
        assert_eq!(days(facts(false, false, false), true), None);
    }

    #[test]
    fn being_exposed_never_makes_it_less_urgent() {
        let policy = VulnerabilityPolicy::default();
        for bits in 0..8_u8 {
            let facts = facts(bits & 1 > 0, bits & 2 > 0, bits & 4 > 0);
            assert!(policy.priority(&facts, true) <= policy.priority(&facts, false), "{facts:?}");
        }
    }

    #[test]
    fn a_table_that_does_not_decide_every_case_is_named() {
        let policy: SitePolicy = serde_json::from_value(serde_json::json!({ "vulnerabilities": {
            "version": 2, "deadlines": { "actDays": 0 },
            "decisions": [{ "knownExploited": true, "priority": "act" }],
        } }))
        .unwrap();
        let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "vulnerabilities.deadlines.actDays: it is 0: give 1 to 365",
                "vulnerabilities.decisions: its last line has a condition, or there is none: end with one that has a priority alone",
            ]
        );
    }
}
