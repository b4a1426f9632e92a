//! No order of words has a host vanish without those words that it takes, and the look after them.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Said {
    word: Word,
    lost: BTreeSet<InventorySource>,
}

fn said() -> impl Strategy<Value = Said> {
    let source = prop::sample::select(InventorySource::ALL.to_vec());
    let word = prop_oneof![
        (source.clone(), 0..40_i64, any::<bool>()).prop_map(|(source, second, is_gone)| {
            if is_gone { gone(source, second) } else { says(source, second, &[]) }
        }),
        Just(Word::NoAnswer),
        Just(Word::NotLooked),
    ];
    let lost = prop::collection::btree_set(source, 0..2);
    (word, lost).prop_map(|(word, lost)| Said { word, lost })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_order_of_words_has_a_host_vanish_without_two_explicit_ones_and_a_look(
        told_so in prop::collection::vec(said(), 1..25),
    ) {
        let mut host = Host::new();
        // The newest word of each source, by a count that knows nothing of the decider's.
        let mut newest: BTreeMap<InventorySource, (Timestamp, Presence)> = BTreeMap::new();
        let mut last_look_is_empty = false;
        for Said { word, lost } in told_so {
            let input = InventoryInput { lost: Some(lost.clone()), ..told(word.clone()) };
            match &word {
                Word::Said { source, observed_at, presence, .. } => {
                    if newest.get(source).is_none_or(|(at, _)| at <= observed_at) {
                        newest.insert(*source, (*observed_at, *presence));
                    }
                }
                Word::NoAnswer => last_look_is_empty = true,
                Word::NotLooked => {}
            }
            let names = host.names(&input);
            if !names.contains(&"inventory.host-vanished") {
                continue;
            }
            let words = newest
                .iter()
                .filter(|(source, (_, presence))| {
                    **source != Reconcile && *presence == Presence::Gone && !lost.contains(source)
                })
                .count();
            prop_assert!(words >= 2, "{newest:?}");
            let looked = newest.get(&Reconcile).is_some_and(|(_, presence)| *presence == Presence::Gone);
            prop_assert!(looked || last_look_is_empty, "nobody has looked for it");
        }
    }

    #[test]
    fn silence_never_has_a_host_vanish(quiet in prop::collection::vec(any::<bool>(), 1..50)) {
        let mut host = Host::given([told(says(Cmdb, 1, &[])), told(says(Redfish, 2, &[]))]);
        for is_asked in quiet {
            host.when(&told(if is_asked { Word::NoAnswer } else { Word::NotLooked })).unwrap();
        }
        prop_assert_eq!(status(&host), "as-expected");
    }
}
