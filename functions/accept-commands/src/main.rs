//! Starts the function that takes commands.

use accept_commands::{AcceptCommands, setting};
use hostler_aws::lambda::{Error, Function};
use hostler_drivers::CallbackKey;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let function = Function::start("accept-commands").await?;
    let variable = |name| std::env::var(name).unwrap_or_default();
    let handler = AcceptCommands {
        shell: function.shell()?,
        callback_key: CallbackKey::new(variable("CALLBACK_KEY").as_bytes())
            .map_err(|error| format!("the environment variable CALLBACK_KEY cannot be used: {error}"))?,
        provisioning_policy: setting("PROVISIONING_POLICY", &variable("PROVISIONING_POLICY"))?,
        host_policy: setting("HOST_POLICY", &variable("HOST_POLICY"))?,
    };
    function.serve_queue_and_http("commands", handler).await
}
