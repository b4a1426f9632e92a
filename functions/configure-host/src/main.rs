//! Starts the function that applies roles.

use std::sync::Arc;

use configure_host::{ConfigureHost, ControlState};
use hostler_app::start;
use hostler_aws::lambda::Error;
use hostler_drivers::PlainConfiguration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let function = start("configure-host").await?;
    let configuration = PlainConfiguration::new(ControlState(function.control()?));
    let handler = ConfigureHost {
        shell: function.shell()?,
        once: function.once()?,
        breakers: function.breakers()?,
        configuration: Arc::new(configuration),
    };
    function.serve_queue("configure-host", handler).await
}
