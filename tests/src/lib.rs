//! Tests of the whole: journeys in memory, the local cloud, and tidiness of the repository. Here is what they have in common.

#![expect(clippy::expect_used, reason = "what only tests use fails where it stands")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use cargo_metadata::{Metadata, MetadataCommand};

/// The top of the repository.
///
/// # Panics
/// Never where tests run: this crate is in a folder of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate is in a folder").to_owned()
}

/// The workspace as Cargo sees it, by what is here already.
///
/// # Panics
/// When Cargo cannot say.
#[must_use]
pub fn workspace() -> &'static Metadata {
    static METADATA: OnceLock<Metadata> = OnceLock::new();
    METADATA.get_or_init(|| {
        let mut command = MetadataCommand::new();
        command.manifest_path(root().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
        command.exec().expect("cargo tells what is in its workspace")
    })
}
