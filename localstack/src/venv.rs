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
/// LocalStack and moto pin packages of the same names in other versions, so each has an environment of its own.
const LOCALSTACK_LOCK_FILE: &str = include_str!("../requirements-localstack.txt");
const MOTO_LOCK_FILE: &str = include_str!("../requirements-moto.txt");
const RUNNER_LOCK_FILE: &str = include_str!("../../infra/configuration/requirements.txt");
const MODULES: [(&str, &str); 12] = [
    ("backport.py", include_str!("../python/backport.py")),
    ("chains.py", include_str!("../python/chains.py")),
    ("cloud.py", include_str!("../python/cloud.py")),
    ("configuration.py", include_str!("../python/configuration.py")),
    ("fleet.py", include_str!("../python/fleet.py")),
    ("guard.py", include_str!("../python/guard.py")),
    ("lifetime.py", include_str!("../python/lifetime.py")),
    ("localstack_apis.py", include_str!("../python/localstack_apis.py")),
    ("localstack_cloud.py", include_str!("../python/localstack_cloud.py")),
    ("localstack_functions.py", include_str!("../python/localstack_functions.py")),
    ("monitoring.py", include_str!("../python/monitoring.py")),
    ("moto_cloud.py", include_str!("../python/moto_cloud.py")),
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
    blocking("make the Python environment", move || ensure_blocking(lock_file, &progress)).await
}

/// As [`ensure_python`], with LocalStack.
pub(crate) async fn ensure_localstack(progress: &Progress) -> Result<PathBuf, Error> {
    ensure_environment(LOCALSTACK_LOCK_FILE, progress).await
}

/// As [`ensure_python`], with moto.
pub(crate) async fn ensure_moto(progress: &Progress) -> Result<PathBuf, Error> {
    ensure_environment(MOTO_LOCK_FILE, progress).await
}

/// As [`ensure_python`], with what the configuration runner needs.
///
/// # Errors
/// As [`ensure_python`].
pub async fn ensure_runner_python(progress: &Progress) -> Result<PathBuf, Error> {
    ensure_environment(RUNNER_LOCK_FILE, progress).await
}

/// Runs an installation on a thread where it may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    step: &'static str,
    install: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(install).await.unwrap_or_else(|panic| {
        Err(Error::Install { step, dir: PathBuf::new(), reason: panic.to_string(), log: PathBuf::new() })
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
    let base = find_python()?;
    let key = hex(&Sha256::digest(format!("{lock_file}{}{}", base.program, base.version)));
    let install = |new: &Path, log: &Path| install(lock_file, &base, new, log, progress);
    let dir = cache_dir().join(format!("python-{}", &key[..16]));
    if dir.join("complete").exists() && !starts(&python_of(&dir)) {
        // The base Python is gone; what stands on it is of no use.
        fs::remove_dir_all(&dir).map_err(Error::file("remove", &dir))?;
    }
    ensure_dir("python", &key[..16], progress, install).map(|dir| python_of(&dir))
}

fn python_of(dir: &Path) -> PathBuf {
    dir.join("bin").join("python")
}

/// Gives a folder of the cache whose content is fixed by `key`, and has it filled first if need be: by one process at a
/// time, and anew when one was interrupted.
pub(crate) fn ensure_dir(
    name: &str,
    key: &str,
    progress: &Progress,
    install: impl FnOnce(&Path, &Path) -> Result<(), Error>,
) -> Result<PathBuf, Error> {
    let cache = cache_dir();
    fs::create_dir_all(&cache).map_err(Error::file("create", &cache))?;
    let dir = cache.join(format!("{name}-{key}"));
    let marker = dir.join("complete");
    if marker.exists() {
        return Ok(dir);
    }
    let lock_path = cache.join(format!("{name}-{key}.lock"));
    let lock = File::create(&lock_path).map_err(Error::file("create", &lock_path))?;
    if lock.try_lock().is_err() {
        progress.tell("waiting for another process that installs the same");
        lock.lock().map_err(Error::file("lock", &lock_path))?;
    }
    // Whoever held the lock may have done it for us.
    if marker.exists() {
        return Ok(dir);
    }
    if dir.exists() {
        fs::remove_dir_all(&dir).map_err(Error::file("remove", &dir))?;
    }
    let prefix = format!("new-{name}-{key}-");
    remove_remains(&cache, &prefix);
    let new = tempfile::Builder::new()
        .prefix(&prefix)
        .tempdir_in(&cache)
        .map_err(Error::file("create a directory in", &cache))?;
    install(new.path(), &cache.join(format!("install-{name}-{key}.log")))?;
    fs::rename(new.keep(), &dir).map_err(Error::file("move an installation to", &dir))?;
    fs::write(&marker, "").map_err(Error::file("write", marker))?;
    Ok(dir)
}

/// Whether an environment's Python still has the base Python that it stands on.
fn starts(python: &Path) -> bool {
    Command::new(python)
        .args(["-I", "-S", "-c", ""])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn install(lock_file: &str, base: &Python, new: &Path, log: &Path, progress: &Progress) -> Result<(), Error> {
    let requirements = new.join("requirements.txt");
    progress.tell("making a Python environment");
    let mut venv = Command::new(&base.program);
    venv.args(["-m", "venv"]).arg(new);
    run(venv, "make a Python environment", new, log)?;

    fs::write(&requirements, lock_file).map_err(Error::file("write", &requirements))?;
    progress.tell("installing Python packages, once; this takes a minute");
    // `python -m …` works after the move; only the scripts in bin/ name the old place, and none is used.
    let mut pip = Command::new(python_of(new));
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--require-hashes"]);
    pip.args(["--retries", "3", "--timeout", "30", "-r"]).arg(&requirements);
    run(pip, "install Python packages", new, log)
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
pub(crate) fn run(mut command: Command, step: &'static str, dir: &Path, log: &Path) -> Result<(), Error> {
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
