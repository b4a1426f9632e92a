"""Runs the configuration runner of infra/configuration on loopback, tied to the process that started it.

Reads from settings.json in its work directory: `runner` (the folder of the runner), `packages` (the folders with the sources of
packages, by the name of the folder that they are built into), and `settings` of the runner, in which `{work}` stands for the work directory. The hosts are folders there. SIGHUP has
the settings read again.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lifetime

WORK = os.environ["HOSTLER_WORK_DIR"]
BUILD_SECONDS_MAX = 60
# What dpkg runs itself.
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def filled(value):
    if isinstance(value, dict):
        return {name: filled(item) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return value.replace("{work}", WORK) if isinstance(value, str) else value


def write_settings():
    """Gives the settings of the runner a file of their own."""
    with open(os.path.join(WORK, "settings.json"), encoding="utf-8") as file:
        given = json.load(file)
    path = os.path.join(WORK, "runner.json")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(filled(given["settings"]), file)
    return given, path


def build_packages(name, source):
    """Each folder of `source` as a .deb in the folder of this name, by dpkg-deb itself."""
    built = os.path.join(WORK, name)
    if os.path.isdir(built):
        return
    os.makedirs(built)
    for package in sorted(pathlib.Path(source).iterdir()):
        copy = pathlib.Path(WORK, "building", package.name)
        shutil.copytree(package, copy)
        for path in [copy, *copy.rglob("*")]:
            # Whatever the umask of whoever checked it out.
            path.chmod(0o755 if path.is_dir() or path.name in SCRIPTS else 0o644)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", str(copy), built], check=True,
                       stdin=subprocess.DEVNULL, timeout=BUILD_SECONDS_MAX)
    shutil.rmtree(os.path.join(WORK, "building"), ignore_errors=True)


def main():
    given, path = write_settings()
    sys.path.insert(0, given["runner"])
    from runner.__main__ import Running

    running = Running(path, port=int(os.environ["HOSTLER_PORT"]))
    lifetime.watch_parent(running.jobs.end)
    lifetime.raise_file_limit()
    for name, source in given["packages"].items():
        build_packages(name, source)

    def read_again(*_):
        write_settings()
        running.read_again()

    signal.signal(signal.SIGHUP, read_again)
    running.serve(lifetime.announce)


main()
