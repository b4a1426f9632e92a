//! Mutants of the product: deliberate mistakes, of which tests switch one on to see who notices it.
//!
//! A mutation point stands where the decision is that it spoils, and is one call of [`on`] with its name. They are listed,
//! each with what it breaks and who must notice, in `tests/tests/mutants/table.rs`. Without the feature `mutants`, which no
//! manifest asks for, [`on`] is the constant `false`, and the compiler leaves the point out.

/// The environment variable that names the mutant to be switched on.
#[cfg(feature = "mutants")]
pub const VARIABLE: &str = "HOSTLER_MUTANT";

/// Whether this mutant is switched on. It is read once: a process has one mutant, or none.
#[cfg(feature = "mutants")]
#[must_use]
pub fn on(name: &str) -> bool {
    static MUTANT: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var(VARIABLE).unwrap_or_default());
    *MUTANT == name
}

/// Whether this mutant is switched on: never, in a build without the feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn on(_name: &str) -> bool {
    false
}
