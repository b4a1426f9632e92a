//! Starts the function that has hosts join traffic and leave it.

use std::sync::Arc;

use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::{
    ControlState, HaproxyAddress, HaproxyLoadBalancer, LoadBalancer, PlainLoadBalancer,
    TargetGroupLoadBalancer, TargetGroupsError,
};
use hostler_runtime::effects::steps::StepWorker;
use shift_traffic::ShiftTraffic;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("shift-traffic").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let (haproxy, groups) = (variable("HAPROXY_ADDRESS"), variable("TARGET_GROUPS"));
    let balancer: Arc<dyn LoadBalancer> = match (haproxy.as_str(), groups.as_str()) {
        ("", "") => Arc::new(PlainLoadBalancer::new(ControlState(function.control()?))),
        (address, "") => {
            let address = address
                .parse::<HaproxyAddress>()
                .map_err(|error| format!("the environment variable HAPROXY_ADDRESS: {error}"))?;
            Arc::new(HaproxyLoadBalancer::new(address, HaproxyLoadBalancer::TIMEOUT))
        }
        ("", groups) => Arc::new(TargetGroupLoadBalancer::new(function.target_groups(), groups.parse()?)),
        (_, _) => return Err(TargetGroupsError::BesideHaproxy.into()),
    };
    let (shell, once, breakers) = (function.shell()?, function.once()?, function.breakers()?);
    let handler = ShiftTraffic { worker: StepWorker { shell, once, breakers }, balancer };
    function.serve_queue("shift-traffic", handler).await
}
