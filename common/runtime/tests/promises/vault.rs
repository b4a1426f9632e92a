//! Sensitive fields can be forgotten although events are never deleted.

use std::sync::Arc;

use hostler_core::Failure;
use hostler_runtime::ports::Control;
use hostler_runtime::state::vault::{Opened, Sealed, Vault, VaultError};
use hostler_testkit::memory::MemoryControl;
use serde_json::json;

const ADA: &str = "person/42";

fn fixture() -> (MemoryControl, Vault) {
    let control = MemoryControl::default();
    (control.clone(), Vault::new(Arc::new(control)))
}

/// Given a sealed value, when it is opened, then it is what was sealed, and its text does not show it.
#[tokio::test]
async fn a_sealed_value_is_opened_and_its_text_does_not_show_it() {
    let (_, vault) = fixture();
    let sealed = vault.seal(ADA, &"Ada Lovelace").await.unwrap();
    assert!(!serde_json::to_string(&sealed).unwrap().contains("Ada"));
    assert_eq!(vault.open::<String>(&sealed).await.unwrap(), Opened::Value("Ada Lovelace".to_owned()));
    let again = vault.seal(ADA, &"Ada Lovelace").await.unwrap();
    assert_ne!(sealed, again, "equal values do not look equal");
}

/// Given values of two people, when one is forgotten, then hers are gone for good and the other's are not.
#[tokio::test]
async fn who_is_forgotten_is_forgotten_for_good_and_nobody_else() {
    let (control, vault) = fixture();
    let (ada, bob) = (vault.seal(ADA, &1).await.unwrap(), vault.seal("person/43", &2).await.unwrap());
    vault.forget(ADA).await.unwrap();
    vault.forget(ADA).await.unwrap();
    assert_eq!(vault.open::<u32>(&ada).await.unwrap(), Opened::Forgotten);
    assert_eq!(vault.open::<u32>(&bob).await.unwrap(), Opened::Value(2));
    assert_eq!(control.entries()["vault/person/42"].value, json!({ "key": null }), "the key is nowhere");
    assert!(matches!(vault.seal(ADA, &3).await, Err(VaultError::Forgotten { .. })), "and no new one is made");
}

/// Given a value, when it or its subject was changed, then it is not opened, and the error says so.
#[tokio::test]
async fn a_value_that_was_changed_or_moved_is_not_opened() {
    let (_, vault) = fixture();
    let sealed = vault.seal(ADA, &"x").await.unwrap();
    vault.seal("person/43", &"y").await.unwrap();
    let first = if sealed.sealed.starts_with('0') { "1" } else { "0" };
    let changed = Sealed { sealed: format!("{first}{}", &sealed.sealed[1..]), ..sealed.clone() };
    let moved = Sealed { subject: "person/43".to_owned(), ..sealed.clone() };
    let short = Sealed { sealed: "00".to_owned(), ..sealed.clone() };
    let odd = Sealed { sealed: "zzz".to_owned(), ..sealed.clone() };
    let keyless = Sealed { subject: "person/99".to_owned(), ..sealed };
    for damaged in [changed, moved, short, odd, keyless] {
        let error = vault.open::<String>(&damaged).await.unwrap_err();
        assert!(matches!(error, VaultError::Damaged { .. }), "{error}");
    }
}

/// Given keys that cannot be read or written, when a value is sealed, then nothing is sealed and it may be tried again;
/// a key whose answer was lost is the key.
#[tokio::test]
async fn a_store_of_keys_that_does_not_answer_is_tried_again() {
    let (control, vault) = fixture();
    control.faults().fail_next(1);
    let failed = vault.seal(ADA, &1).await.unwrap_err();
    assert!(matches!(Failure::from(failed), Failure::Retryable { .. }));
    control.faults().lose_answer_next(1);
    assert!(vault.seal(ADA, &1).await.is_err());
    let sealed = vault.seal(ADA, &1).await.unwrap();
    assert_eq!(control.get("vault/person/42").await.unwrap().unwrap().revision, 1);
    assert_eq!(vault.open::<u32>(&sealed).await.unwrap(), Opened::Value(1));
}
