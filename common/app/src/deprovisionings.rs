//! Sagas that give hosts back.

use hostler_domain::Deprovisioning;
use hostler_runtime::register::SagaEntry;

/// Deprovisionings, listed by status.
#[derive(Debug, Clone, Copy)]
pub struct Deprovisionings;

impl SagaEntry for Deprovisionings {
    type Definition = Deprovisioning;
    const VIEW: &'static str = "deprovisionings";
}
