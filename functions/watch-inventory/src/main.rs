//! Starts the function that keeps the inventory.

use std::sync::Arc;
use std::time::Duration;

use hostler_app::{FollowedPolicies, start};
use hostler_aws::lambda::Error;
use hostler_drivers::{BmcLogin, RedfishBmcs, RedfishLimits};
use watch_inventory::{WatchInventory, adopt};

/// A BMC that takes longer than this says nothing: a batch has a minute for all that it asks.
const BMC_TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("watch-inventory").await?;
    let bmc_login = BmcLogin::read(|name| std::env::var(name).ok())?;
    let bmcs = Arc::new(RedfishBmcs::new(RedfishLimits::of_one_look(BMC_TIMEOUT)));
    let (shell, views, breakers) = (function.shell()?, function.views()?, function.breakers()?);
    let policies = FollowedPolicies::new(shell.clone());
    let handler = WatchInventory { shell, views, breakers, policies, bmcs, bmc_login };
    function.adopting(adopt).serve_queue("watch-inventory", handler).await
}
