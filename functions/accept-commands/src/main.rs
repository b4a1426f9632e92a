//! Starts the function that takes commands.

use accept_commands::AcceptCommands;
use hostler_app::{Settings, setting, start};
use hostler_aws::lambda::Error;
use hostler_events::{HostPolicy, ProvisioningPolicy};
use hostler_runtime::serving::callback::CallbackKey;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("accept-commands").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let provisioning_policy: ProvisioningPolicy =
        setting("PROVISIONING_POLICY", &variable("PROVISIONING_POLICY"))?;
    provisioning_policy.check().map_err(|error| format!("PROVISIONING_POLICY: {error}"))?;
    let host_policy: HostPolicy = setting("HOST_POLICY", &variable("HOST_POLICY"))?;
    host_policy.check().map_err(|error| format!("HOST_POLICY: {error}"))?;
    let approval_above = variable("APPROVAL_ABOVE");
    let approval_above: u32 = match approval_above.as_str() {
        "" => 0,
        text => text
            .parse()
            .map_err(|error| format!("APPROVAL_ABOVE is {text:?}: {error}; give a whole number"))?,
    };
    let callback_key = CallbackKey::new(variable("CALLBACK_KEY").as_bytes())
        .map_err(|error| format!("the environment variable CALLBACK_KEY cannot be used: {error}"))?;
    let callback_key = callback_key
        .after(variable("PREVIOUS_CALLBACK_KEY").as_bytes())
        .map_err(|error| format!("the environment variable PREVIOUS_CALLBACK_KEY cannot be used: {error}"))?;
    let approval_above = (approval_above > 0).then_some(approval_above);
    let settings = Settings { provisioning_policy, approval_above, host_policy };
    let (shell, backpressure, control) = (function.shell()?, function.backpressure()?, function.control()?);
    let handler = AcceptCommands::new(shell, backpressure, control, callback_key, settings);
    function.keeping_order()?.serve_queue_and_http("commands", handler).await
}
