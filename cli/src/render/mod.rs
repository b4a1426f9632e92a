//! What people read: tables, timelines, times.

pub(crate) mod describe;
pub(crate) mod table;
pub(crate) mod time;
pub(crate) mod timeline;

mod describe_campaign;
pub(crate) mod describe_drift;
mod describe_failure;
mod describe_finding;
mod describe_health;
mod describe_host;
pub(crate) mod describe_inventory;
mod describe_packages;
mod describe_pool;
mod describe_request;
mod describe_saga;

use std::fmt::Display;

/// So many of them, in words: `1 host`, `3 hosts`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str) -> String {
    if count == N::from(1) { format!("1 {one}") } else { format!("{count} {one}s") }
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_told_as_one() {
        assert_eq!([0_u32, 1, 2].map(|count| counted(count, "rack")), ["0 racks", "1 rack", "2 racks"]);
    }
}
