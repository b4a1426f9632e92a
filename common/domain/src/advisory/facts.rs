//! What a vulnerability's CVSS vectors say of it.

use hostler_events::advisory::{AdvisoryFacts, AdvisoryRecord};

/// The facts by which it is decided how urgent it is.
pub(super) fn facts<'a>(
    records: impl Iterator<Item = &'a AdvisoryRecord>,
    known_exploited: bool,
    epss: Option<f64>,
) -> AdvisoryFacts {
    let mut facts = AdvisoryFacts { known_exploited, epss, ..AdvisoryFacts::default() };
    for vector in records.filter(|record| record.withdrawn_at.is_none()).flat_map(|record| &record.cvss) {
        let Ok(cvss) = vector.parse::<cvss::Cvss>() else { continue };
        let score = cvss.score();
        // Of several vectors the most severe one is believed.
        facts.cvss = Some(facts.cvss.map_or(score, |known| known.max(score)));
        facts.automatable |= is_automatable(vector);
        facts.total_impact |= is_total(vector);
    }
    facts
}

/// Over the network, easily, without rights, and without a person's help.
fn is_automatable(vector: &str) -> bool {
    ["AV:N", "AC:L", "PR:N", "UI:N"].iter().all(|metric| has(vector, metric))
}

/// Confidentiality, integrity and availability are lost. CVSS 4 names them of the vulnerable system.
fn is_total(vector: &str) -> bool {
    let all = |metrics: [&str; 3]| metrics.iter().all(|metric| has(vector, metric));
    all(["C:H", "I:H", "A:H"]) || all(["VC:H", "VI:H", "VA:H"])
}

fn has(vector: &str, metric: &str) -> bool {
    vector.split('/').any(|part| part == metric)
}
