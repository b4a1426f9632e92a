//! The archive that would be deployed.

use std::io::{Cursor, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// The size of a function's archive in bytes.
pub(crate) fn bytes(binary: &Path) -> u64 {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_level(Some(9)).unix_permissions(0o755);
    archive.start_file("bootstrap", options).unwrap();
    archive.write_all(&std::fs::read(binary).unwrap()).unwrap();
    archive.finish().unwrap().into_inner().len() as u64
}
