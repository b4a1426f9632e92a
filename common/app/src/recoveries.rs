//! Sagas that repair hosts.

use hostler_domain::Recovery;
use hostler_runtime::register::SagaEntry;

/// Recoveries, listed by status.
#[derive(Debug, Clone, Copy)]
pub struct Recoveries;

impl SagaEntry for Recoveries {
    type Definition = Recovery;
    const VIEW: &'static str = "recoveries";
}
