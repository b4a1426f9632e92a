//! What leases do.

use futures::future::join_all;
use hostler_core::CausationId;
use hostler_runtime::effects::leases::{Claim, Claimed, Leases};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::fresh;

/// Runs the suite.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn leases(leases: &dyn Leases) {
    a_lease_is_taken_once(leases).await;
    the_repeat_of_a_claim_is_granted(leases).await;
    a_result_is_kept_for_whoever_asks(leases).await;
    a_lease_that_ran_out_is_taken_over_and_its_owner_is_fenced_off(leases).await;
    a_lease_that_ran_out_over_something_else_is_not_taken_over(leases).await;
    a_lease_given_back_is_free(leases).await;
    an_expired_row_is_void(leases).await;
    of_concurrent_claims_one_wins(leases).await;
    a_lease_is_over_for_whoever_knows_what_settled_it(leases).await;
    a_lease_that_is_not_settled_does_not_vouch_for_what_was_done(leases).await;
}

/// A claim at this second, for 30 seconds.
fn claim(key: &str, second: i64) -> Claim {
    let now = Timestamp::from_second(1_800_000_000 + second).unwrap();
    Claim {
        key: key.to_owned(),
        payload_hash: "a".to_owned(),
        owner: Uuid::now_v7(),
        now,
        lease_until: now + SignedDuration::from_secs(30),
        expires_at: now + SignedDuration::from_hours(1),
        settled_by: None,
        settled: Vec::new(),
    }
}

async fn a_lease_is_taken_once(leases: &dyn Leases) {
    let key = fresh("effect");
    let first = claim(&key, 0);
    assert_eq!(leases.claim(&first).await.unwrap(), Claimed::Ours);
    let busy = Claimed::Busy {
        until: Some(first.lease_until),
        payload_hash: Some("a".to_owned()),
        settled_by: None,
    };
    assert_eq!(leases.claim(&claim(&key, 30)).await.unwrap(), busy, "its last moment is not over");
}

async fn the_repeat_of_a_claim_is_granted(leases: &dyn Leases) {
    let first = claim(&fresh("effect"), 0);
    assert_eq!(leases.claim(&first).await.unwrap(), Claimed::Ours);
    assert_eq!(leases.claim(&first).await.unwrap(), Claimed::Ours, "its answer may have been lost");
}

async fn a_result_is_kept_for_whoever_asks(leases: &dyn Leases) {
    let key = fresh("effect");
    let first = claim(&key, 0);
    leases.claim(&first).await.unwrap();
    for _ in 0..2 {
        assert!(leases.complete(&key, first.owner, "{\"n\":1}", first.expires_at).await.unwrap());
    }
    let done = Claimed::Done { result: "{\"n\":1}".to_owned(), payload_hash: Some("a".to_owned()) };
    assert_eq!(leases.claim(&claim(&key, 600)).await.unwrap(), done);
    assert!(!leases.release(&first).await.unwrap(), "what is done is not given back");
    assert_eq!(leases.claim(&first).await.unwrap(), done);
}

async fn a_lease_that_ran_out_is_taken_over_and_its_owner_is_fenced_off(leases: &dyn Leases) {
    let key = fresh("effect");
    let (late, newer) = (claim(&key, 0), claim(&key, 31));
    leases.claim(&late).await.unwrap();
    assert_eq!(leases.claim(&newer).await.unwrap(), Claimed::Ours);
    assert!(!leases.complete(&key, late.owner, "0", late.expires_at).await.unwrap());
    assert!(!leases.release(&late).await.unwrap());
    assert!(leases.complete(&key, newer.owner, "1", newer.expires_at).await.unwrap());
    assert!(!leases.complete(&key, late.owner, "0", late.expires_at).await.unwrap());
    let done = leases.claim(&claim(&key, 32)).await.unwrap();
    assert!(matches!(done, Claimed::Done { result, .. } if result == "1"));
}

/// A claim for work that this cause records, by somebody who knows these.
fn turn(key: &str, second: i64, settled_by: &str, settled: &[&str]) -> Claim {
    let cause = |cause: &str| CausationId::new(cause).unwrap();
    Claim {
        settled_by: Some(cause(settled_by)),
        settled: settled.iter().map(|settled| cause(settled)).collect(),
        ..claim(key, second)
    }
}

async fn a_lease_is_over_for_whoever_knows_what_settled_it(leases: &dyn Leases) {
    let key = fresh("machine");
    let first = turn(&key, 0, "c-1", &[]);
    assert_eq!(leases.claim(&first).await.unwrap(), Claimed::Next, "nobody was at it");
    for ignorant in [claim(&key, 1), turn(&key, 1, "c-2", &[]), turn(&key, 1, "c-2", &["c-0", "c-3"])] {
        let busy = Claimed::Busy {
            until: Some(first.lease_until),
            payload_hash: Some("a".to_owned()),
            settled_by: first.settled_by.clone(),
        };
        assert_eq!(leases.claim(&ignorant).await.unwrap(), busy);
    }
    let second = turn(&key, 1, "c-2", &["c-0", "c-1"]);
    assert_eq!(leases.claim(&second).await.unwrap(), Claimed::Next);
    assert!(!leases.release(&first).await.unwrap(), "it is the next one's by now");
    let third = turn(&key, 2, "c-3", &["c-0", "c-1"]);
    assert!(matches!(leases.claim(&third).await.unwrap(), Claimed::Busy { .. }));
    assert!(leases.release(&second).await.unwrap());
}

async fn a_lease_that_is_not_settled_does_not_vouch_for_what_was_done(leases: &dyn Leases) {
    let key = fresh("machine");
    leases.claim(&turn(&key, 0, "c-1", &[])).await.unwrap();
    let later = turn(&key, 31, "c-2", &["c-0"]);
    assert_eq!(leases.claim(&later).await.unwrap(), Claimed::Ours, "it ran out");
    assert!(leases.release(&later).await.unwrap());
    let after = turn(&key, 32, "c-3", &["c-1"]);
    assert_eq!(
        leases.claim(&after).await.unwrap(),
        Claimed::Ours,
        "it was given back, by somebody who may have written"
    );
}

async fn a_lease_that_ran_out_over_something_else_is_not_taken_over(leases: &dyn Leases) {
    let key = fresh("effect");
    leases.claim(&claim(&key, 0)).await.unwrap();
    let other = Claim { payload_hash: "b".to_owned(), ..claim(&key, 31) };
    let there = leases.claim(&other).await.unwrap();
    assert!(matches!(there, Claimed::Busy { payload_hash: Some(hash), .. } if hash == "a"));
}

async fn a_lease_given_back_is_free(leases: &dyn Leases) {
    let key = fresh("effect");
    let first = claim(&key, 0);
    assert!(!leases.release(&first).await.unwrap(), "nothing is there");
    leases.claim(&first).await.unwrap();
    assert!(leases.release(&first).await.unwrap());
    assert!(!leases.complete(&key, first.owner, "0", first.expires_at).await.unwrap());
    assert_eq!(leases.claim(&claim(&key, 1)).await.unwrap(), Claimed::Ours);
}

async fn an_expired_row_is_void(leases: &dyn Leases) {
    let key = fresh("effect");
    let first = claim(&key, 0);
    leases.claim(&first).await.unwrap();
    leases.complete(&key, first.owner, "0", first.expires_at).await.unwrap();
    let later = Claim { payload_hash: "b".to_owned(), ..claim(&key, 3_601) };
    assert_eq!(leases.claim(&later).await.unwrap(), Claimed::Ours, "though nobody has removed it");
}

async fn of_concurrent_claims_one_wins(leases: &dyn Leases) {
    let key = fresh("effect");
    let claims: Vec<Claim> = (0..8).map(|_| claim(&key, 0)).collect();
    let results = join_all(claims.iter().map(|claim| leases.claim(claim))).await;
    let won = results.into_iter().filter(|result| *result.as_ref().unwrap() == Claimed::Ours);
    assert_eq!(won.count(), 1);
}
