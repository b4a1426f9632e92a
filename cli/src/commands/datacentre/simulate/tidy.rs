//! The end of a scenario: what was broken is mended, what was taken is given back, and what became a person's is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use hostler_domain::Phase;
use hostler_domain::views::IncidentView;
use hostler_events::HostId;
use jiff::Timestamp;
use serde_json::json;

use super::play::{ESCALATED, PAUSE, Play};
use super::site;
use crate::api::{Accepted, HostRow, Said, View};
use crate::error::CliError;

/// The commands about hosts that are sent at the end.
const RELEASE: &str = "release-host";
pub(super) const REQUALIFY: &str = "requalify-host";
/// How long a site may take to be as before once everything is mended.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

impl Play<'_> {
    /// Mends what was broken, and gives back what was taken; then waits until nothing is left, if it comes to that.
    pub(super) async fn tidy_up(&mut self) -> Result<(), CliError> {
        self.ended_at = Timestamp::now();
        if !self.touched {
            return Ok(());
        }
        // Each by itself: what fails must not keep the rest from being mended.
        let mut failed = None;
        let mut note = |result: Result<(), CliError>| {
            if let Err(error) = result {
                failed.get_or_insert(error);
            }
        };
        note(self.mend().await.map(drop));
        note(self.correct_records().await);
        note(self.withdraw().await);
        for dependency in self.away.clone() {
            note(self.back(&dependency).await);
        }
        if !self.loads.is_empty() {
            note(self.means.restore_load(self.scenario.pool.as_str()).await);
        }
        note(self.give_back().await);
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Has the pool settle, then releases the hosts that came for the scenario, and requalifies those that it had retired.
    async fn give_back(&mut self) -> Result<(), CliError> {
        let (reason, begun) = (self.why(), Instant::now());
        let mut told: BTreeSet<(String, &'static str)> = BTreeSet::new();
        if self.scenario.disturbs_hosts() {
            self.say("everything is mended")?;
        }
        while begun.elapsed() < SETTLED_WITHIN {
            let hosts = site::hosts(self.target, &self.scenario.pool).await?;
            let broken: BTreeSet<&str> = self.broken.keys().map(String::as_str).collect();
            let incidents = site::incidents(self.target, &broken).await?;
            self.close(&incidents, &reason).await?;
            let open = incidents.iter().any(|incident| incident.closed_at.is_none());
            let (surplus, wanted) = self.changed(&hosts);
            let mut said: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
            for (host, command) in wanted.into_iter().filter(|_| !open) {
                if told.insert((host.clone(), command)) {
                    site::tell_host(self.target, command, &host, &reason).await?;
                    let what = if command == RELEASE { "given back" } else { "taken into use again" };
                    said.entry(what).or_default().push(host);
                }
            }
            for (what, hosts) in said {
                self.say(&format!("{what}: {}", hosts.join(", ")))?;
            }
            if surplus == 0 && self.left().await?.is_empty() {
                return self.say("the site is as it was");
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// How many more hosts serve than at first; and what is to be done with those that came, and with those that were retired.
    fn changed(&self, hosts: &[HostRow]) -> (usize, Vec<(String, &'static str)>) {
        let was = |host: &HostRow, phase: Phase| {
            self.at_first.iter().any(|first| first.host == host.host && first.phase == phase.name())
        };
        let serving = site::in_phase(hosts, Phase::InService).count();
        let surplus = serving.saturating_sub(site::in_phase(&self.at_first, Phase::InService).count());
        let came = site::in_phase(hosts, Phase::InService)
            .filter(|host| host.cordoned_by.is_none() && !was(host, Phase::InService))
            .take(surplus);
        let retired = site::in_phase(hosts, Phase::Retired).filter(|host| !was(host, Phase::Retired));
        let release = came.map(|host| (host.host.clone(), RELEASE));
        (surplus, release.chain(retired.map(|host| (host.host.clone(), REQUALIFY))).collect())
    }

    /// Closes the incidents that became a person's: whoever has broken their hosts knows that they are mended.
    async fn close(&mut self, incidents: &[IncidentView], reason: &str) -> Result<(), CliError> {
        for incident in incidents.iter().filter(|incident| incident.status == ESCALATED) {
            let host = incident.host.as_str();
            if self.escalated.iter().any(|known| known.starts_with(&format!("{host}:"))) {
                continue;
            }
            self.escalated.push(format!("{host}: {}", incident.reason.as_deref().unwrap_or_default()));
            let body = json!({ "host": host, "reason": reason });
            let on = (View::Incident, host);
            let _closed: Accepted =
                self.target.api.command_on(Said("simulate"), on, "close-incident", &body).await?;
            self.say(&format!("closed, for it is mended: the incident of {host}"))?;
        }
        Ok(())
    }

    /// What is not as it should be.
    pub(super) async fn left(&self) -> Result<Vec<String>, CliError> {
        let hosts: BTreeSet<&str> = self.broken.keys().map(String::as_str).collect();
        let mut left = site::left(self.target, &self.scenario.pool, &self.at_first, &hosts).await?;
        left.extend(self.unpatched().await?);
        Ok(left)
    }

    /// The hosts that broke, and when.
    pub(super) fn broke(&self) -> impl Iterator<Item = (HostId, &[Timestamp])> {
        self.broken.iter().filter_map(|(host, broken)| Some((host.parse().ok()?, broken.at.as_slice())))
    }
}
