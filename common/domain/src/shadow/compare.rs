//! Two accounts beside each other, incident by incident.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::account::{Said, Subject, What};

/// By how much later the same decision is another one.
const MOVED_SECONDS: u64 = 1;

/// An incident of a host, or all that was decided about a pool, in two accounts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Whose.
    pub of: Subject,
    /// When it began on record.
    pub incident_at: Timestamp,
    /// The decisions, in order.
    pub decisions: Vec<Pair>,
}

/// One decision in two accounts.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pair {
    /// What was decided on record; absent where it was not.
    pub recorded: Option<Said>,
    /// What would have been decided; absent where it would not.
    pub would: Option<Said>,
    /// Whether the two differ.
    pub differs: bool,
}

type Incident = (Subject, Timestamp);

fn incidents(said: &[Said]) -> BTreeMap<Incident, Vec<&Said>> {
    let mut incidents: BTreeMap<Incident, Vec<&Said>> = BTreeMap::new();
    // Hosts that leave one by one were decided on together.
    for said in said.iter().filter(|said| said.what != What::LetGo) {
        incidents.entry((said.of.clone(), said.incident_at)).or_default().push(said);
    }
    incidents
}

/// What the other policies decide otherwise than the control, and how many incidents there were. What is shown beside it is
/// the record, as far as the control has met it.
pub(super) fn by_the_second(recorded: &[Said], control: &[Said], would: &[Said]) -> (Vec<Compared>, usize) {
    let (recorded, control, would) = (incidents(recorded), incidents(control), incidents(would));
    let mut keys: Vec<&Incident> = control.keys().chain(would.keys()).collect();
    keys.sort();
    keys.dedup();
    let all = keys.len();
    let none = Vec::new();
    let mut compared = Vec::new();
    for key in keys {
        let on_record = recorded.get(key).unwrap_or(&none);
        let before = control.get(key).unwrap_or(&none);
        let after = would.get(key).unwrap_or(&none);
        let pairs = paired(before, after);
        let differs = |(before, after): &(Option<&Said>, Option<&Said>)| match (before, after) {
            (Some(before), Some(after)) => {
                let moved = before.at.duration_since(after.at).unsigned_abs().as_secs() >= MOVED_SECONDS;
                moved || before.what.says_otherwise(&after.what)
            }
            (_, _) => true,
        };
        if pairs.iter().any(differs) {
            let met: Vec<_> = paired(on_record, before);
            let shown = |of: &Said| {
                let same =
                    met.iter().find(|(_, control)| control.is_some_and(|control| std::ptr::eq(control, of)));
                same.and_then(|(recorded, _)| *recorded).unwrap_or(of).clone()
            };
            let decisions = pairs.iter().map(|pair| Pair {
                recorded: pair.0.map(shown),
                would: pair.1.cloned(),
                differs: differs(pair),
            });
            let (of, incident_at) = key.clone();
            compared.push(Compared { of, incident_at, decisions: decisions.collect() });
        }
    }
    compared.sort_by_key(|compared| compared.incident_at);
    (compared, all)
}

/// What the control decides otherwise than is on record, whenever it was: messages take their time there.
pub(super) fn by_and_large(recorded: &[Said], control: &[Said]) -> Vec<Compared> {
    let (recorded, control) = (incidents(recorded), incidents(control));
    let mut keys: Vec<&Incident> = recorded.keys().chain(control.keys()).collect();
    keys.sort();
    keys.dedup();
    let none = Vec::new();
    let compared = keys.into_iter().filter_map(|key| {
        let pairs = paired(recorded.get(key).unwrap_or(&none), control.get(key).unwrap_or(&none));
        let differs = |(before, after): &(Option<&Said>, Option<&Said>)| before.is_none() || after.is_none();
        let decisions = pairs.iter().map(|pair| Pair {
            recorded: pair.0.cloned(),
            would: pair.1.cloned(),
            differs: differs(pair),
        });
        let (of, incident_at) = key.clone();
        let decisions = decisions.collect();
        pairs.iter().any(differs).then_some(Compared { of, incident_at, decisions })
    });
    compared.collect()
}

/// The same decisions of two accounts, the first with the first; in the order of their moments.
fn paired<'a>(before: &[&'a Said], after: &[&'a Said]) -> Vec<(Option<&'a Said>, Option<&'a Said>)> {
    let mut open: BTreeMap<String, VecDeque<&Said>> = BTreeMap::new();
    for said in after {
        open.entry(said.what.key()).or_default().push_back(said);
    }
    let mut pairs: Vec<(Option<&Said>, Option<&Said>)> = Vec::new();
    for said in before {
        let same = open.get_mut(&said.what.key()).and_then(VecDeque::pop_front);
        pairs.push((Some(said), same));
    }
    pairs.extend(open.into_values().flatten().map(|said| (None, Some(said))));
    pairs.sort_by_key(|(before, after)| before.or(*after).map(|said| said.at));
    pairs
}
