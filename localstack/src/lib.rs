//! The local cloud: starts an AWS endpoint, deploys template.yaml into it, starts a fleet of BMCs.
//!
//! - [`Cloud`] is an AWS endpoint: by default a local one that needs no Docker. [`needs!`] says what a test needs of it.
//! - [`Account`] is one tenant of it; give each test its own.
//! - [`Cloud::deploy`] brings the template up in an account and gives a [`Stack`].
//! - [`Fleet`] is a number of simulated hosts with Redfish BMCs, and faults on demand.
//! - [`ConfigurationRunner`] has Ansible apply roles to the hosts, which are folders for it.
//! - [`Monitoring`] is the Prometheus and the Alertmanager that are installed on this machine, [`Balancer`] the HAProxy.
//!
//! Nothing outlives its owner: what is started here ends when its handle is dropped, and also when the
//! process dies without dropping anything.

mod account;
mod application;
mod balancer;
mod configuration;
mod container;
mod deploy;
mod dynamodb;
mod endpoint;
mod error;
pub mod fleet;
mod functions;
mod http;
mod kind;
mod monitoring;
mod package;
mod process;
mod progress;
mod site;
mod stack;
pub mod template;
mod translate;
mod venv;

pub use account::{Account, Chain};
pub use application::ApplicationOptions;
pub use balancer::{Balancer, BalancerOptions};
pub use configuration::{ConfigurationOptions, ConfigurationRunner};
pub use deploy::{DeployOptions, Edit};
pub use endpoint::{Cloud, CloudOptions};
pub use error::Error;
pub use fleet::{Fleet, FleetOptions};

pub use functions::{Build, build_functions, is_of_the_running_package};
pub use http::{CallbackRoute, HttpApi};
pub use kind::{Capability, EndpointKind, lacks_balancer, lacks_monitoring, skips};
pub use monitoring::{Monitoring, MonitoringOptions, Watched};
pub use process::group_members;
pub use progress::Progress;
pub use site::{Configured, Site, SiteOptions, site_parameters};
pub use stack::{Resource, Stack};
pub use venv::{ensure_environment, ensure_python, ensure_runner_python};
