//! What all functions of this application share: the name that its commits carry, and the allocator.

use hostler_aws::SettingsError;
use hostler_aws::lambda::Function;
use hostler_events::SOURCE;

/// A message is many small pieces of memory: with this allocator a function handles a tenth more of them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Starts one of this application's functions by its name.
///
/// # Errors
/// [`SettingsError`] names the variable that is wrong.
pub async fn start(function: &'static str) -> Result<Function, SettingsError> {
    Function::start(SOURCE, function).await
}
