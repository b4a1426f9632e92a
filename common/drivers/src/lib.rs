//! The outside world: BMCs over Redfish, configuration, monitoring, load balancers, and the agents on hosts.
//!
//! Every port here is a small trait with an implementation that talks to the real thing and one that lives in
//! memory. Operations are idempotent: whoever calls them may die at any point and call again. What was really
//! changed is told in the answer, so that effects can be counted.

pub mod ansible;
pub mod ansible_packages;
pub mod bmc;
pub mod configuration;
pub mod error;
pub mod haproxy;
pub mod image;
pub mod load_balancer;
pub mod memory;
pub mod monitoring;
mod operations;
pub mod packages;
pub mod prometheus;
pub mod redfish;
pub mod run_command;
pub mod services;
pub mod simulate;
pub mod state;
pub mod target_groups;

pub use ansible::{AnsibleConfiguration, RunnerSettings, RunnerSettingsError};
pub use ansible_packages::{AnsiblePackages, packages_of};
pub use bmc::{
    Bmc, BmcEndpoint, Bmcs, BootMethod, BootStarted, Nic, Patience, PowerChange, PowerGoal, PowerState,
    Rested, SystemFacts, TlsTrust,
};
pub use configuration::{Applied, ApplyRole, Applying, Change, Checking, Configuration, PlainConfiguration};
pub use error::{At, BoxError, DriverError};
pub use haproxy::{HaproxyAddress, HaproxyAddressError, HaproxyLoadBalancer};
pub use image::{BootImage, ImageUrlError};
pub use load_balancer::{LoadBalancer, PlainLoadBalancer, TrafficRow, TrafficServer, TrafficState};
pub use monitoring::{Deregistered, FirstSample, Monitoring, PlainMonitoring, RegisterHost, Registered};
pub use packages::{
    ChangeOrder, ChangedPackages, Changing, HostAsked, Installed, PackageList, Packages, PlainPackages,
    Wanted,
};
pub use prometheus::{PrometheusMonitoring, PrometheusSettings};
pub use redfish::{RedfishBmc, RedfishBmcs, RedfishLimits};
pub use run_command::{RolesSource, RolesSourceError, RunCommandConfiguration};
pub use services::{AgentServices, AgentSettings, RestartService, Services};
pub use state::{ControlState, StateStore};
pub use target_groups::{Backends, TargetGroupLoadBalancer, TargetGroupsError};
