//! When to stop: Ctrl-C, a closed terminal, `hostler down`.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::CliError;

/// Ctrl-C, a closed terminal, `hostler down`.
pub(crate) struct Stop([Signal; 3]);

impl Stop {
    /// Listens from now on: none of them ends this process by itself any more.
    ///
    /// # Errors
    /// Where that is not possible.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let listen = |kind| signal(kind).map_err(CliError::failed("signals cannot be listened for"));
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::terminate())?,
            listen(SignalKind::hangup())?,
        ]))
    }

    /// Waits until it is asked for.
    pub(crate) async fn asked(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
