//! How the fleet is patched, as a site's policies say: in which waves, when, and by whose word.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::site::{Autonomy, Problems};

/// How many windows a site may have.
const WINDOWS_MAX: usize = 50;
/// How many waves a policy may name.
const WAVES_MAX: usize = 20;

/// How the fleet is patched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CampaignsPolicy {
    /// Whose word it takes. The autonomy of each pool is the most that it can be for the pool's hosts.
    pub autonomy: Autonomy,
    /// The size of the first wave, in a hundred of all hosts that have the vulnerability; one host at least.
    #[schemars(range(min = 1, max = 100))]
    pub canary_percent: u32,
    /// Seconds between two waves, in which people and monitoring can see what the last one has done.
    #[schemars(range(max = 604_800))]
    pub soak_seconds: u32,
    /// The sizes of the waves after the first, each in a hundred of the hosts that are left then. The last one is 100.
    pub waves: Vec<u32>,
    /// How many hosts of a wave may fail. With one more, the wave is halted.
    #[schemars(range(max = 10_000))]
    pub errors: u32,
    /// How many hosts of a wave may fail, in a hundred of its hosts. What allows more counts: this or the number.
    #[schemars(range(max = 100))]
    pub errors_percent: u32,
    /// When hosts may be patched. Without any, at all times.
    pub windows: Vec<WindowPolicy>,
    /// What is done otherwise where the matter cannot wait.
    pub emergency: EmergencyPolicy,
}

impl Default for CampaignsPolicy {
    fn default() -> Self {
        Self {
            autonomy: Autonomy::Observe,
            canary_percent: 1,
            soak_seconds: 3_600,
            waves: vec![5, 10, 25, 50, 100],
            errors: 2,
            errors_percent: 5,
            windows: Vec::new(),
            emergency: EmergencyPolicy::default(),
        }
    }
}

/// For emergencies: larger waves, a shorter soak, and no windows. The disruption budget holds all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EmergencyPolicy {
    /// As [`CampaignsPolicy::canary_percent`].
    #[schemars(range(min = 1, max = 100))]
    pub canary_percent: u32,
    /// As [`CampaignsPolicy::soak_seconds`].
    #[schemars(range(max = 604_800))]
    pub soak_seconds: u32,
    /// As [`CampaignsPolicy::waves`].
    pub waves: Vec<u32>,
}

impl Default for EmergencyPolicy {
    fn default() -> Self {
        Self { canary_percent: 1, soak_seconds: 900, waves: vec![25, 100] }
    }
}

/// A maintenance window, which comes again each week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowPolicy {
    /// The days on which it begins, in UTC; every day, where none is named.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// When it begins, in UTC, as `22:00`.
    pub start: String,
    /// For how many minutes it is open.
    #[schemars(range(min = 1, max = 10_080))]
    pub minutes: u32,
    /// How many minutes before its end the last host is begun, so that it is done by then. What runs is finished.
    #[serde(default = "half_an_hour")]
    #[schemars(range(max = 10_079))]
    pub cutoff_minutes: u32,
}

const fn half_an_hour() -> u32 {
    30
}

impl WindowPolicy {
    /// The hour and the minute at which it begins; none where [`start`](Self::start) is no time.
    #[must_use]
    pub fn starts_at(&self) -> Option<(u8, u8)> {
        let (hour, minute) = self.start.split_once(':')?;
        let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let two_digits = |text: &str| text.parse::<u8>().ok().filter(|_| is_number(text));
        let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
        (hour < 24 && minute < 60).then_some((hour, minute))
    }
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Weekday {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl CampaignsPolicy {
    /// Checks every number's range.
    pub(crate) fn check(&self, problems: &mut Problems) {
        let at = |field| ["campaigns", field];
        problems.range(&at("canaryPercent"), self.canary_percent, 1, 100);
        problems.range(&at("soakSeconds"), self.soak_seconds, 0, 604_800);
        problems.range(&at("errors"), self.errors, 0, 10_000);
        problems.range(&at("errorsPercent"), self.errors_percent, 0, 100);
        check_waves(&at("waves"), &self.waves, problems);
        let at = |field| ["campaigns", "emergency", field];
        problems.range(&at("canaryPercent"), self.emergency.canary_percent, 1, 100);
        problems.range(&at("soakSeconds"), self.emergency.soak_seconds, 0, 604_800);
        check_waves(&at("waves"), &self.emergency.waves, problems);
        if self.windows.len() > WINDOWS_MAX {
            let problem = format!("there are {}: give {WINDOWS_MAX} at most", self.windows.len());
            problems.add(&["campaigns", "windows"], problem);
        }
        for (index, window) in self.windows.iter().take(WINDOWS_MAX).enumerate() {
            let index = index.to_string();
            let at = |field| ["campaigns", "windows", index.as_str(), field];
            if window.starts_at().is_none() {
                let problem =
                    format!("{:?} is no time of a day: give one in UTC, such as 22:00", window.start);
                problems.add(&at("start"), problem);
            }
            problems.range(&at("minutes"), window.minutes, 1, 10_080);
            let longest = window.minutes.saturating_sub(1);
            problems.range(&at("cutoffMinutes"), window.cutoff_minutes, 0, longest);
        }
    }
}

fn check_waves(path: &[&str], waves: &[u32], problems: &mut Problems) {
    if waves.last() != Some(&100) || waves.len() > WAVES_MAX {
        let problem =
            format!("give at most {WAVES_MAX} sizes, the last of which is 100, so that no host is left out");
        problems.add(path, problem);
    }
    for (index, percent) in waves.iter().take(WAVES_MAX).enumerate() {
        let index = index.to_string();
        let path: Vec<&str> = path.iter().copied().chain([index.as_str()]).collect();
        problems.range(&path, *percent, 1, 100);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;
    use crate::SitePolicy;

    #[test]
    fn a_policy_of_campaigns_that_cannot_be_is_named_with_its_place() {
        let policy: SitePolicy = serde_json::from_value(serde_json::json!({ "campaigns": {
            "canaryPercent": 0, "waves": [5, 150], "errorsPercent": 101,
            "windows": [
                { "days": ["sat"], "start": "22:00", "minutes": 240 },
                { "start": "7 o'clock", "minutes": 20 },
            ],
            "emergency": { "waves": [] },
        } }))
        .unwrap();
        let problems: Vec<String> = policy.check().unwrap_err().iter().map(ToString::to_string).collect();
        let all = "give at most 20 sizes, the last of which is 100, so that no host is left out";
        assert_eq!(
            problems,
            [
                "campaigns.canaryPercent: it is 0: give 1 to 100".to_owned(),
                "campaigns.errorsPercent: it is 101: give 0 to 100".to_owned(),
                format!("campaigns.waves: {all}"),
                "campaigns.waves.1: it is 150: give 1 to 100".to_owned(),
                format!("campaigns.emergency.waves: {all}"),
                "campaigns.windows.1.start: \"7 o'clock\" is no time of a day: give one in UTC, such as 22:00"
                    .to_owned(),
                "campaigns.windows.1.cutoffMinutes: it is 30: give 0 to 19".to_owned(),
            ]
        );
    }

    /// Without a site's word nothing is patched.
    #[test]
    fn campaigns_observe_unless_the_policies_say_otherwise() {
        let policy = CampaignsPolicy::default();
        assert_eq!(policy.autonomy, Autonomy::Observe);
        assert_eq!(SitePolicy { campaigns: policy, ..SitePolicy::default() }.check(), Ok(()));
    }

    #[test]
    fn a_time_of_a_day_has_two_digits_for_each_part() {
        let window = |start: &str| WindowPolicy {
            days: Vec::new(),
            start: start.to_owned(),
            minutes: 60,
            cutoff_minutes: 0,
        };
        assert_eq!(window("22:05").starts_at(), Some((22, 5)));
        for bad in ["24:00", "12:60", "7:00", "+7:00", "", "noon"] {
            assert_eq!(window(bad).starts_at(), None, "{bad}");
        }
    }
}
