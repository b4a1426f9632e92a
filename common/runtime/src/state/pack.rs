//! Packing entries into calls, by count and by bytes.

use std::ops::Range;

/// Splits entries of the given sizes into runs of at most `count_max` entries and `bytes_max` bytes. An entry
/// that is too large by itself gets a run of its own: the service's answer to it is the honest one.
#[must_use]
pub fn pack(sizes: &[usize], count_max: usize, bytes_max: usize) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let (mut start, mut bytes) = (0, 0usize);
    for (index, size) in sizes.iter().enumerate() {
        let full = index - start >= count_max || bytes.saturating_add(*size) > bytes_max;
        if full && index > start {
            runs.push(start..index);
            (start, bytes) = (index, 0);
        }
        bytes = bytes.saturating_add(*size);
    }
    if start < sizes.len() {
        runs.push(start..sizes.len());
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_cover_everything_in_order_within_both_limits(
            sizes in proptest::collection::vec(0usize..300, 0..60), count in 1usize..12, bytes in 1usize..500,
        ) {
            let runs = pack(&sizes, count, bytes);
            let covered: Vec<usize> = runs.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..sizes.len()).collect::<Vec<_>>());
            for run in runs {
                let total: usize = sizes[run.clone()].iter().sum();
                prop_assert!(run.len() <= count && !run.is_empty());
                prop_assert!(total <= bytes || run.len() == 1);
            }
        }
    }
}
