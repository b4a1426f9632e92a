//! What all read models do.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use hostler_runtime::ports::{Row, Views};
use serde_json::json;

use super::{Supports, fresh};
use crate::sample;

/// Runs the suite.
///
/// # Panics
/// When the implementation breaks the contract.
pub async fn views(views: &dyn Views, supports: Supports) {
    an_absent_row_is_none(views).await;
    a_row_is_read_back_whole(views).await;
    only_a_newer_version_replaces_a_row(views).await;
    a_view_is_listed_by_key_page_by_page(views).await;
    a_group_is_listed_by_key_page_by_page(views, supports).await;
    a_row_moves_between_groups(views, supports).await;
    views_do_not_mix(views, supports).await;
    a_row_that_cannot_be_stored_is_refused(views).await;
}

async fn an_absent_row_is_none(views: &dyn Views) {
    let view = fresh("view");
    assert_eq!(views.get(&view, "h-1").await.unwrap(), None);
    let page = views.list(&view, None, None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (0, None));
    let page = views.list(&view, Some("web/ready"), None, 10).await.unwrap();
    assert_eq!((page.rows.len(), page.next), (0, None));
}

async fn a_row_is_read_back_whole(views: &dyn Views) {
    let mut row = sample::row(&fresh("view"), "rack/1:h-1", "web/ready", 7);
    row.body = json!({ "text": "ünï ✓", "list": [1, 2.5, null], "big": u64::MAX });
    assert!(views.put(&row).await.unwrap());
    assert_eq!(views.get(&row.view, &row.key).await.unwrap(), Some(row.clone()));
    assert_eq!(views.list(&row.view, None, None, 1).await.unwrap().rows, [row]);
}

async fn only_a_newer_version_replaces_a_row(views: &dyn Views) {
    let view = fresh("view");
    let row = |version| sample::row(&view, "h-1", "web", version);
    assert!(views.put(&row(2)).await.unwrap());
    assert!(!views.put(&row(1)).await.unwrap(), "older");
    let mut same = row(2);
    same.body = json!("other");
    assert!(!views.put(&same).await.unwrap(), "equal");
    assert_eq!(views.get(&view, "h-1").await.unwrap(), Some(row(2)));
    assert!(views.put(&row(10)).await.unwrap(), "newer, and a number rather than text");
    assert_eq!(views.get(&view, "h-1").await.unwrap(), Some(row(10)));
}

/// All keys of a listing in pages of this size, each page checked for its limit.
async fn keys(views: &dyn Views, view: &str, group: Option<&str>, limit: usize) -> Vec<String> {
    let (mut keys, mut after): (Vec<String>, Option<String>) = (Vec::new(), None);
    for _ in 0..1_000 {
        let page = views.list(view, group, after.as_deref(), limit).await.unwrap();
        assert!(page.rows.len() <= limit);
        assert!(page.next.is_none() || page.rows.len() == limit, "only the last page is not full");
        keys.extend(page.rows.into_iter().map(|row: Row| row.key));
        after = page.next;
        if after.is_none() {
            return keys;
        }
        assert_eq!(after, keys.last().cloned(), "a page goes on after its last key");
    }
    panic!("the listing does not end");
}

async fn a_view_is_listed_by_key_page_by_page(views: &dyn Views) {
    let view = fresh("view");
    let names: BTreeSet<String> = (0..60).map(|number| format!("h-{}", number * 37 % 101)).collect();
    for name in &names {
        assert!(views.put(&sample::row(&view, name, "web", 1)).await.unwrap());
    }
    let names: Vec<String> = names.into_iter().collect();
    for limit in [1, 7, 30, 59, 60, 61, 1_000] {
        assert_eq!(keys(views, &view, None, limit).await, names, "pages of {limit}");
    }
    let page = views.list(&view, None, Some("h-5"), 1).await.unwrap();
    assert_eq!(page.rows.first().map(|row| &row.key), names.iter().find(|name| name.as_str() > "h-5"));
}

/// Lists a group until it has these keys, or the lag has passed.
async fn group_becomes(views: &dyn Views, supports: Supports, view: &str, group: &str, expected: &[String]) {
    let started = Instant::now();
    loop {
        let found = keys(views, view, Some(group), 7).await;
        if found == expected {
            return;
        }
        assert!(started.elapsed() <= supports.group_lag, "group {group}: {found:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn a_group_is_listed_by_key_page_by_page(views: &dyn Views, supports: Supports) {
    let view = fresh("view");
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    for number in 10..45 {
        let (group, names) = if number % 2 == 0 { ("even", &mut even) } else { ("odd", &mut odd) };
        let row = sample::row(&view, &format!("h-{number}"), group, 1);
        names.push(row.key.clone());
        assert!(views.put(&row).await.unwrap());
    }
    group_becomes(views, supports, &view, "even", &even).await;
    group_becomes(views, supports, &view, "odd", &odd).await;
    assert_eq!(keys(views, &view, None, 7).await.len(), 35);
    let page = views.list(&view, Some("even"), Some("h-20"), 2).await.unwrap();
    assert!(page.rows.iter().all(|row| row.group == "even" && row.view == view));
    assert_eq!(page.rows.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["h-22", "h-24"]);
    assert_eq!(page.next.as_deref(), Some("h-24"));
}

async fn a_row_moves_between_groups(views: &dyn Views, supports: Supports) {
    let view = fresh("view");
    let key = "h-1".to_owned();
    assert!(views.put(&sample::row(&view, &key, "web/available", 1)).await.unwrap());
    group_becomes(views, supports, &view, "web/available", std::slice::from_ref(&key)).await;
    assert!(views.put(&sample::row(&view, &key, "web/busy", 2)).await.unwrap());
    group_becomes(views, supports, &view, "web/busy", std::slice::from_ref(&key)).await;
    group_becomes(views, supports, &view, "web/available", &[]).await;
}

async fn views_do_not_mix(views: &dyn Views, supports: Supports) {
    let view = fresh("view");
    let longer = format!("{view}0");
    assert!(views.put(&sample::row(&view, "h-1", "web", 1)).await.unwrap());
    assert!(views.put(&sample::row(&longer, "h-2", "web", 1)).await.unwrap());
    assert_eq!(views.get(&view, "h-2").await.unwrap(), None);
    assert_eq!(keys(views, &view, None, 10).await, ["h-1"]);
    group_becomes(views, supports, &longer, "web", &["h-2".to_owned()]).await;
    group_becomes(views, supports, &view, "web", &["h-1".to_owned()]).await;
}

async fn a_row_that_cannot_be_stored_is_refused(views: &dyn Views) {
    let view = fresh("view");
    let no_group = sample::row(&view, "h-1", "", 1);
    assert!(views.put(&no_group).await.unwrap_err().to_string().contains("empty"));
    let mut large = sample::row(&view, "h-1", "web", 1);
    large.body = json!("x".repeat(400_000));
    assert!(views.put(&large).await.unwrap_err().to_string().contains("390000"));
    assert_eq!(views.get(&view, "h-1").await.unwrap(), None);
}
