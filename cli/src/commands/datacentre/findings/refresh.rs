//! `findings refresh`.

use std::collections::BTreeMap;

use hostler_domain::views::AdvisoryView;
use hostler_events::findings::{EpssScore, RefreshAdvisory};
use serde_json::json;

use super::args::RefreshArgs;
use super::catalogues;
use crate::api::{AdvisoryRow, Said, View};
use crate::error::CliError;
use crate::output::Out;
use crate::target::Target;

/// Tells of each vulnerability that is on record what the catalogues say of it and is not known yet.
pub(super) async fn run(args: &RefreshArgs, target: &Target, out: Out) -> Result<(), CliError> {
    let exploited = args.kev.as_deref().map(catalogues::exploited).transpose()?.unwrap_or_default();
    let scores = args.epss.as_deref().map(catalogues::scores).transpose()?.unwrap_or_default();
    let rows: Vec<AdvisoryRow> = target.api.rows(None).await?;
    let news: Vec<RefreshAdvisory> =
        rows.iter().filter_map(|row| news(&row.advisory, &exploited, &scores)).collect();
    for refresh in &news {
        let on = (View::Advisory, refresh.advisory.as_str());
        target.api.command_on(Said("findings refresh"), on, "refresh-advisory", &json!(refresh)).await?;
    }
    if out.json {
        return out.document(&json!({ "onRecord": rows.len(), "told": news.len() }));
    }
    out.line(format!(
        "Of {} vulnerabilities on record, the catalogues say something new of {}.",
        rows.len(),
        news.len()
    ))
}

/// What is not known yet; none where all of it is.
fn news(
    advisory: &AdvisoryView,
    exploited: &BTreeMap<String, String>,
    scores: &BTreeMap<String, EpssScore>,
) -> Option<RefreshAdvisory> {
    let id = advisory.advisory.as_str();
    let exploited_since = exploited.get(id).filter(|_| advisory.exploited_since.is_none()).cloned();
    let is_new = |score: &&EpssScore| advisory.facts.epss != Some(score.score);
    let epss = scores.get(id).filter(is_new).cloned();
    let is_news = exploited_since.is_some() || epss.is_some();
    is_news.then(|| RefreshAdvisory { advisory: advisory.advisory.clone(), exploited_since, epss })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn only_what_is_not_known_yet_is_told_and_only_of_what_is_on_record() {
        let advisory = |since: Option<&str>, epss: Option<f64>| -> AdvisoryView {
            serde_json::from_value(json!({
                "advisory": "CVE-2026-1", "summary": "", "records": [], "exploitedSince": since,
                "facts": { "knownExploited": since.is_some(), "automatable": false, "totalImpact": false, "epss": epss },
            }))
            .unwrap()
        };
        let exploited = BTreeMap::from([("CVE-2026-1".to_owned(), "2026-11-28".to_owned())]);
        let score = EpssScore { score: 0.5, date: "2026-11-28".to_owned() };
        let scores = BTreeMap::from([("CVE-2026-1".to_owned(), score.clone())]);
        let told = |of: &AdvisoryView| {
            news(of, &exploited, &scores).map(|of| (of.exploited_since.is_some(), of.epss))
        };
        assert_eq!(told(&advisory(None, None)), Some((true, Some(score))));
        assert_eq!(told(&advisory(None, Some(0.5))), Some((true, None)));
        assert_eq!(told(&advisory(Some("2026-11-01"), Some(0.5))), None);
        assert_eq!(news(&advisory(None, None), &BTreeMap::new(), &BTreeMap::new()), None);
    }
}
