//! The Python side: one virtual environment, made from the lock file and shared by all projects of a user.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::progress::Progress;

const LOCK_FILE: &str = include_str!("../requirements.txt");
const MODULES: [(&str, &str); 3] = [
    ("lifetime.py", include_str!("../python/lifetime.py")),
    ("cloud.py", include_str!("../python/cloud.py")),
    ("fleet.py", include_str!("../python/fleet.py")),
];
const OLDEST: (u32, u32) = (3, 11);
const INSTALL_SECONDS_MAX: u64 = 900;
const TAIL_LINES: usize = 12;

/// Gives the interpreter of an environment with the pinned packages, and makes it first if need be.
///
/// It lives in `$HOSTLER_CACHE`, else `$XDG_CACHE_HOME/hostler`, else `~/.cache/hostler`, under a name that
/// changes with the lock file and the Python version. Two processes at once wait for each other, and an
/// installation that was interrupted is done again. Takes a minute the first time, then milliseconds.
///
/// # Errors
/// [`Error::Python`] without a Python of version 3.11 or newer, [`Error::Install`] when packages can't be
/// installed, [`Error::File`] when the cache can't be written.
pub async fn ensure_python(progress: &Progress) -> Result<PathBuf, Error> {
    ensure_environment(LOCK_FILE, progress).await
}

/// As [`ensure_python`], with the packages of another lock file: pip's requirements with hashes.
///
/// # Errors
/// As [`ensure_python`].
pub async fn ensure_environment(lock_file: &'static str, progress: &Progress) -> Result<PathBuf, Error> {
    let progress = progress.clone();
    let made = tokio::task::spawn_blocking(move || ensure_blocking(lock_file, &progress)).await;
    made.unwrap_or_else(|panic| {
        Err(Error::Install {
            step: "make the Python environment",
            dir: PathBuf::new(),
            reason: panic.to_string(),
            log: PathBuf::new(),
        })
    })
}

/// Writes our Python modules to `dir`.
pub(crate) fn write_modules(dir: &Path) -> Result<(), Error> {
    for (name, text) in MODULES {
        let path = dir.join(name);
        fs::write(&path, text).map_err(Error::file("write", path))?;
    }
    Ok(())
}

fn ensure_blocking(lock_file: &str, progress: &Progress) -> Result<PathBuf, Error> {
    let cache = cache_dir();
    fs::create_dir_all(&cache).map_err(Error::file("create", &cache))?;
    let base = find_python()?;
    let key = hex(&Sha256::digest(format!("{lock_file}{}{}", base.program, base.version)));
    let dir = cache.join(format!("python-{}", &key[..16]));
    let python = dir.join("bin").join("python");
    if is_complete(&dir, &python) {
        return Ok(python);
    }

    let lock_path = cache.join(format!("python-{}.lock", &key[..16]));
    let lock = File::create(&lock_path).map_err(Error::file("create", &lock_path))?;
    if lock.try_lock().is_err() {
        progress.tell("waiting for another process that installs the Python packages");
        lock.lock().map_err(Error::file("lock", &lock_path))?;
    }
    // Whoever held the lock may have done it for us.
    if is_complete(&dir, &python) {
        return Ok(python);
    }
    install(lock_file, &base, &cache, &dir, progress)?;
    Ok(python)
}

/// The marker says that the installation came to its end, the call that the base Python is still there.
fn is_complete(dir: &Path, python: &Path) -> bool {
    dir.join("complete").exists()
        && Command::new(python)
            .args(["-I", "-S", "-c", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

fn install(
    lock_file: &str,
    base: &Python,
    cache: &Path,
    dir: &Path,
    progress: &Progress,
) -> Result<(), Error> {
    if dir.exists() {
        fs::remove_dir_all(dir).map_err(Error::file("remove", dir))?;
    }
    let prefix = dir.file_name().unwrap_or_default().to_string_lossy().replace("python-", "new-");
    remove_remains(cache, &prefix);
    let new = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(cache)
        .map_err(Error::file("create a directory in", cache))?;
    let log = cache.join("install.log");
    let new_python = new.path().join("bin").join("python");
    let requirements = new.path().join("requirements.txt");

    progress.tell("making a Python environment");
    let mut venv = Command::new(&base.program);
    venv.args(["-m", "venv"]).arg(new.path());
    run(venv, "make a Python environment", new.path(), &log)?;

    fs::write(&requirements, lock_file).map_err(Error::file("write", &requirements))?;
    progress.tell("installing Python packages, once; this takes a minute");
    let mut pip = Command::new(&new_python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--require-hashes"]);
    pip.args(["--retries", "3", "--timeout", "30", "-r"]).arg(&requirements);
    run(pip, "install Python packages", new.path(), &log)?;

    // `python -m …` works after the move; only the scripts in bin/ name the old place, and none is used.
    let new = new.keep();
    fs::rename(&new, dir).map_err(Error::file("move the Python environment to", dir))?;
    let marker = dir.join("complete");
    fs::write(&marker, "").map_err(Error::file("write", marker))
}

/// Removes what an installation left that was killed. We hold its lock, so nobody else is at it.
fn remove_remains(cache: &Path, prefix: &str) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix)
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::warn!(path = %entry.path().display(), %error, "could not remove an old installation");
        }
    }
}

/// Runs a command to its end with its output in `log`, for at most [`INSTALL_SECONDS_MAX`].
fn run(mut command: Command, step: &'static str, dir: &Path, log: &Path) -> Result<(), Error> {
    let failed = |reason: String| Error::Install { step, dir: dir.to_owned(), reason, log: log.to_owned() };
    let file = File::create(log).map_err(Error::file("create", log))?;
    let errors = file.try_clone().map_err(Error::file("open", log))?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let deadline = Instant::now() + Duration::from_secs(INSTALL_SECONDS_MAX);
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(_)) => return Err(failed(tail(log))),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            Ok(None) => {
                // Ended by hand below; a failure to do so changes nothing about the message.
                let _ = child.kill();
                let _ = child.wait();
                return Err(failed(format!("no end after {INSTALL_SECONDS_MAX} s")));
            }
            Err(error) => return Err(failed(error.to_string())),
        }
    }
}

/// The last lines of a log, for error messages.
pub(crate) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

struct Python {
    program: String,
    version: String,
}

/// The first interpreter that is new enough and able to make environments.
fn find_python() -> Result<Python, Error> {
    let named = env::var("HOSTLER_PYTHON").ok();
    let candidates: Vec<String> = match named {
        Some(program) => vec![program],
        None => ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]
            .map(str::to_owned)
            .to_vec(),
    };
    let mut tried = Vec::new();
    for program in candidates {
        match inspect(&program) {
            Ok(version) => return Ok(Python { program, version }),
            Err(reason) => tried.push(format!("{program} ({reason})")),
        }
    }
    Err(Error::Python { tried: tried.join(", ") })
}

/// Asks an interpreter for its full version and base directory.
fn inspect(program: &str) -> Result<String, String> {
    let code = "import sys, venv, ensurepip; print(*sys.version_info[:3], sys.base_prefix)";
    let output =
        Command::new(program).args(["-I", "-c", code]).stdin(Stdio::null()).output().map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::NotFound => "not installed".to_owned(),
                _ => error.to_string(),
            }
        })?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Err(text.lines().last().unwrap_or("failed").to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = text.split(' ').map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < OLDEST {
        return Err(format!("version {}.{}", version.0, version.1));
    }
    Ok(text)
}

fn cache_dir() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HOSTLER_CACHE")
        .or_else(|| set("XDG_CACHE_HOME").map(|dir| dir.join("hostler")))
        .or_else(|| set("HOME").map(|dir| dir.join(".cache").join("hostler")))
        .unwrap_or_else(|| env::temp_dir().join("hostler-cache"))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
