//! Sagas that patch hosts.

use hostler_domain::Patching;
use hostler_runtime::register::SagaEntry;

/// Patchings, listed by status.
#[derive(Debug, Clone, Copy)]
pub struct Patchings;

impl SagaEntry for Patchings {
    type Definition = Patching;
    const VIEW: &'static str = "patchings";
}
