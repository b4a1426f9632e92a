//! What holds whatever was recorded.

use proptest::prelude::*;

use super::*;

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let heals = prop_oneof![
        3 => Just(Some(Rung::PowerCycle)),
        2 => Just(Some(Rung::Reimage)),
        1 => Just(None),
    ];
    let ends_after = prop_oneof![3 => Just(None), 1 => (1_i64..900).prop_map(Some)];
    let class = prop_oneof![3 => Just("unreachable"), 1 => Just("disk")];
    let one = (0_usize..8, 0_i64..7_000, class, heals, ends_after);
    let one = one.prop_map(|(host, at, class, heals, ends_after)| Fault {
        host,
        // No two of them at one moment, whose order nobody knows.
        at: at / 7 * 7 + i64::try_from(host).unwrap() % 7,
        class,
        heals,
        ends_after,
        out_of_use_after: None,
    });
    proptest::collection::vec(one, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is recorded, the same policies decide the same again: the replay is the deciders. Where hosts wait for each other
    /// a message may be late by less than anybody can know, so that they do not here.
    #[test]
    fn the_same_policies_make_no_difference(faults in faults(), since in 0_i64..5_000) {
        let wide = policy(|policy| {
            policy["budget"] = json!({
                "site": 99, "pool": 99, "poolPercent": 100, "rack": 99, "powerDomain": 99, "starts": 999, "brakePercent": 100,
            });
            policy["correlation"] = json!({
                "rack": { "count": 99, "percent": 100 }, "powerDomain": { "count": 99, "percent": 100 },
            });
        });
        let mut recording = Site::records(&wide, faults, 10_000);
        recording.since = moment(since);
        let report = try_policies(&recording, &wide);
        prop_assert_eq!(&report.differences, &Vec::new());
        prop_assert_eq!(&report.not_reproduced, &Vec::new());
        // What takes its time on record may overlap by that.
        let control = Totals { disturbed_at_once: report.recorded.disturbed_at_once, ..report.control };
        prop_assert_eq!(&report.recorded, &control);
    }

    /// Who may do nothing does nothing, and more can only be disturbed at once where more may be.
    #[test]
    fn no_replay_does_more_than_its_policies_allow(faults in faults(), rack in 1_u32..3) {
        let recording = Site::records(&policy(|_| {}), faults, 10_000);
        let observe = policy(|policy| policy["pools"]["web"]["autonomy"] = json!("observe"));
        let acted: u32 = try_policies(&recording, &observe).would.acted.values().sum();
        prop_assert_eq!(acted, 0);
        let narrow = policy(|policy| policy["budget"] = json!({ "site": rack, "rack": 5, "brakePercent": 90 }));
        prop_assert!(try_policies(&recording, &narrow).would.disturbed_at_once <= rack);
    }
}
