//! The contract of shared control state.

use futures::future::join_all;
use hostler_runtime::ports::{Control, Entry};
use serde_json::json;

use super::fresh;

/// Runs the suite.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn control(control: &dyn Control) {
    an_absent_key_is_none(control).await;
    a_value_is_put_if_absent(control).await;
    a_value_is_put_at_its_revision_only(control).await;
    of_concurrent_puts_one_wins(control).await;
}

async fn an_absent_key_is_none(control: &dyn Control) {
    let key = fresh("breaker/redfish:h-1");
    assert_eq!(control.get(&key).await.unwrap(), None);
    assert!(!control.put(&key, &json!(1), 3).await.unwrap(), "there is no revision 3");
    assert_eq!(control.get(&key).await.unwrap(), None);
}

async fn a_value_is_put_if_absent(control: &dyn Control) {
    let key = fresh("key");
    let value = json!({ "state": "closed", "failures": [1, 2.5], "text": "ünï ✓", "none": null });
    assert!(control.put(&key, &value, 0).await.unwrap());
    assert_eq!(control.get(&key).await.unwrap(), Some(Entry { value: value.clone(), revision: 1 }));
    assert!(!control.put(&key, &json!("other"), 0).await.unwrap(), "it is there already");
    assert_eq!(control.get(&key).await.unwrap(), Some(Entry { value, revision: 1 }));
}

async fn a_value_is_put_at_its_revision_only(control: &dyn Control) {
    let key = fresh("key");
    for revision in 0..12 {
        assert!(control.put(&key, &json!(revision), revision).await.unwrap());
    }
    for wrong in [0, 1, 11, 13] {
        assert!(!control.put(&key, &json!("wrong"), wrong).await.unwrap(), "revision {wrong}");
    }
    assert_eq!(control.get(&key).await.unwrap(), Some(Entry { value: json!(11), revision: 12 }));
}

async fn of_concurrent_puts_one_wins(control: &dyn Control) {
    let key = fresh("key");
    for revision in 0..3 {
        let values: Vec<_> = (0..8).map(|rival| json!({ "rival": rival })).collect();
        let results = join_all(values.iter().map(|value| control.put(&key, value, revision))).await;
        let won: Vec<_> = values
            .iter()
            .zip(results)
            .filter(|(_, won)| *won.as_ref().unwrap())
            .map(|(value, _)| value)
            .collect();
        let stored = control.get(&key).await.unwrap().unwrap();
        assert_eq!((won, stored.revision), (vec![&stored.value], revision + 1));
    }
}
