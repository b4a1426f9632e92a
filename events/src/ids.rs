//! The field's identifiers, each a type of its own.

use std::collections::BTreeMap;

pub use hostler_core::StepId;
use hostler_core::text_id;

text_id!(
    /// A host: one physical machine with one BMC.
    HostId,
    "host id"
);
text_id!(
    /// A pool: hosts that serve one purpose and share a disruption budget.
    PoolId,
    "pool id"
);
text_id!(
    /// What a host is to be, such as `web`: chooses its configuration.
    Role,
    "role"
);
text_id!(
    /// A model of hardware, such as `cpu-small`.
    Sku,
    "SKU"
);
text_id!(
    /// What fails together, such as a rack.
    FaultDomain,
    "fault domain"
);
text_id!(
    /// The name of an operating-system image.
    Image,
    "image"
);
text_id!(
    /// One provisioning saga.
    ProvisioningId,
    "provisioning id"
);
text_id!(
    /// An operator's request. The same id never acts twice.
    RequestId,
    "request id"
);
text_id!(
    /// A service on a host, as its system names it, such as `nginx.service`.
    Service,
    "service"
);
text_id!(
    /// An advisory, by its CVE where it has one, such as `CVE-2026-1234`.
    AdvisoryId,
    "advisory id"
);
text_id!(
    /// A campaign: one advisory, patched on all hosts that have it.
    CampaignId,
    "campaign id"
);
/// Free key-value pairs on a host. Keys under `simulate.` tell the plain drivers to be slow or to fail.
pub type Labels = BTreeMap<String, String>;
