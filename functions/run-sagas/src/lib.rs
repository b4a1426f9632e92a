//! The sagas of the data centre.

use hostler_app::Register;
use hostler_core::saga::SagaRefusal;
use hostler_runtime::serving::sagas::Sagas;
use hostler_runtime::state::shell::Shell;

/// All sagas; their definitions are checked.
///
/// # Errors
/// What is wrong with a definition.
pub fn sagas(shell: Shell) -> Result<Sagas, SagaRefusal> {
    Register::sagas(shell)
}
