//! Shared control state is changed by read-modify-write, and a value that cannot be read is never overwritten.

use std::cell::Cell;
use std::collections::BTreeMap;

use futures::FutureExt;
use hostler_core::Failure;
use hostler_runtime::ports::{Control, PortError};
use hostler_runtime::state::control::{read, update};
use hostler_testkit::memory::MemoryControl;
use serde_json::json;

const KEY: &str = "counts";

type Counts = BTreeMap<String, u64>;

fn count(counts: &mut Counts, name: &str) -> bool {
    *counts.entry(name.to_owned()).or_default() += 1;
    true
}

#[tokio::test]
async fn a_value_is_made_changed_and_left_alone() {
    let control = MemoryControl::default();
    assert_eq!(read::<Counts>(&control, KEY).await.unwrap(), (Counts::new(), 0));
    for n in 1..=2 {
        let counts = update(&control, KEY, |counts: &mut Counts| count(counts, "a")).await.unwrap();
        assert_eq!(counts["a"], n);
    }
    update(&control, KEY, |_: &mut Counts| false).await.unwrap();
    assert_eq!(control.get(KEY).await.unwrap().unwrap().revision, 2, "nothing to write is not written");
}

/// Given another writer in between, when a value is changed, then both changes are there.
#[tokio::test]
async fn a_change_is_made_anew_on_what_another_writer_has_written() {
    let control = MemoryControl::default();
    let first = Cell::new(true);
    let change = |counts: &mut Counts| {
        if first.replace(false) {
            // The in-memory port answers at once, so that the other writer is done before this change is put.
            let other = update(&control, KEY, |counts: &mut Counts| count(counts, "other"));
            other.now_or_never().unwrap().unwrap();
        }
        count(counts, "ours")
    };
    let counts = update(&control, KEY, change).await.unwrap();
    assert_eq!(counts, Counts::from([("other".to_owned(), 1), ("ours".to_owned(), 1)]));
}

/// Given a value of another form, when it is read or changed, then the error names its key and the value stays.
#[tokio::test]
async fn a_value_that_cannot_be_read_is_never_overwritten() {
    let control = MemoryControl::default();
    let newer = json!(["of", "newer", "code"]);
    assert!(control.put(KEY, &newer, 0).await.unwrap());
    let unread = read::<Counts>(&control, KEY).await.unwrap_err();
    let unchanged = update(&control, KEY, |counts: &mut Counts| count(counts, "a")).await.unwrap_err();
    for error in [unread, unchanged] {
        assert!(matches!(&error, PortError::Refused { key, .. } if key == KEY), "{error}");
        assert!(matches!(Failure::from(error), Failure::Terminal { .. }));
    }
    assert_eq!(control.get(KEY).await.unwrap().unwrap().value, newer);
}
