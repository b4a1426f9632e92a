//! The order of Debian's versions: `[epoch:]upstream[-revision]`, as *Debian Policy Manual* 5.6.12 and dpkg have it (November 2026).
//!
//! The crate `debversion` does the same and brings a library for dates, one for large numbers and one for regular
//! expressions; these few lines need none of them, and are compared with the real dpkg in their tests.

use std::cmp::Ordering;

use hostler_core::mutants;

/// A version in its parts.
struct Parts<'a> {
    epoch: &'a str,
    upstream: &'a str,
    revision: &'a str,
}

/// Compares two versions of a package by the rules of Debian's package system.
#[must_use]
pub fn compare(a: &str, b: &str) -> Ordering {
    let (a, b) = (parts(a), parts(b));
    let epochs =
        if mutants::on("version.ignores-epochs") { Ordering::Equal } else { by_parts(a.epoch, b.epoch) };
    epochs.then_with(|| by_parts(a.upstream, b.upstream)).then_with(|| by_parts(a.revision, b.revision))
}

/// An epoch that is missing is 0, and so is a revision.
fn parts(version: &str) -> Parts<'_> {
    let (epoch, rest) = version.trim().split_once(':').unwrap_or(("0", version.trim()));
    let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
    Parts { epoch, upstream, revision }
}

/// Text and numbers in turn: text by its characters, numbers by their values.
fn by_parts(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let (text_a, text_b) = (take(&mut a, false), take(&mut b, false));
        let text = by_text(text_a, text_b);
        let number = || by_number(take(&mut a, true), take(&mut b, true));
        let order = text.then_with(number);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Takes the leading digits, or what is before the first of them.
fn take<'a>(text: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = text.iter().position(|byte| byte.is_ascii_digit() != digits).unwrap_or(text.len());
    let (taken, rest) = text.split_at(end);
    *text = rest;
    taken
}

fn by_text(a: &[u8], b: &[u8]) -> Ordering {
    let at = |text: &[u8], index: usize| text.get(index).map_or(0, |byte| weight(*byte));
    let differs = (0..a.len().max(b.len())).map(|index| at(a, index).cmp(&at(b, index)));
    differs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// A tilde is before everything, even before the end; letters are before all other characters.
fn weight(byte: u8) -> i32 {
    match byte {
        b'~' => -1,
        byte if byte.is_ascii_alphabetic() => i32::from(byte),
        byte => i32::from(byte) + 256,
    }
}

/// Numbers of any length: what has more digits is more.
fn by_number(a: &[u8], b: &[u8]) -> Ordering {
    let significant = |digits: &[u8]| digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let (a, b) = (a.split_at(significant(a)).1, b.split_at(significant(b)).1);
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::print_stderr,
        reason = "a panic is how a test fails, and it says what it skips"
    )]
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// DOMAIN C: versions compare by the package system's own rules.
    #[test]
    fn versions_compare_by_the_rules_of_debian() {
        for (less, more) in [
            ("1.0~rc1", "1.0"),
            ("1.0~~", "1.0~"),
            ("1.0", "1.0a"),
            ("1.0a", "1.0+b"),
            ("9", "10"),
            ("1.2.9", "1.2.10"),
            ("3.0.15-1~deb12u1", "3.0.15-1"),
            ("3.0.15-1", "3.0.15-1+deb12u1"),
            ("2.9-1", "1:0.1-1"),
            ("1:9", "2:1"),
            ("1.0-1", "1.0-1.1"),
            ("1.0-9", "1.0-10"),
            ("1.0", "1.0-1"),
            ("99999999999999999999999998", "99999999999999999999999999"),
        ] {
            assert_eq!(compare(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(compare(more, less), Ordering::Greater, "{less} {more}");
        }
        for (a, b) in [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.007", "1.7"), ("1.0-1", "1.0-01")] {
            assert_eq!(compare(a, b), Ordering::Equal, "{a} {b}");
        }
    }

    fn dpkg(a: &str, relation: &str, b: &str) -> Option<bool> {
        let told = Command::new("dpkg").args(["--compare-versions", a, relation, b]).output().ok()?;
        Some(told.status.success())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(150))]

        /// Against the real dpkg, where there is one.
        #[test]
        fn versions_compare_as_dpkg_compares_them(
            a in "([0-9]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-c.+~]{1,4})?",
            b in "([0-9]:)?[0-9][0-9a-c.+~]{0,6}(-[0-9a-c.+~]{1,4})?",
        ) {
            let Some(is_less) = dpkg(&a, "lt", &b) else {
                eprintln!("skipped: there is no dpkg here");
                return Ok(());
            };
            prop_assert_eq!(compare(&a, &b).is_lt(), is_less, "{} {}", a, b);
            prop_assert_eq!(compare(&a, &b).is_eq(), dpkg(&a, "eq", &b).unwrap(), "{} {}", a, b);
        }

        /// Nothing from outside makes it fail, and it is an order.
        #[test]
        fn any_text_compares(a in ".{0,12}", b in ".{0,12}") {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &a), Ordering::Equal);
        }
    }
}
