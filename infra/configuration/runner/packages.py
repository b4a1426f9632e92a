"""What is installed on a host, and what a change of its packages has come to."""

import datetime
import os
import subprocess

LIST_SECONDS_MAX = 30
CONNECT_SECONDS_MAX = 10
# The role of the runner itself by which packages are changed, and the folder that it is in.
ROLE = "packages"
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
# With the names by which dpkg tells architectures apart that go together.
FORMAT = "${db:Status-Abbrev}|${binary:Package}|${Version}|${Architecture}|${source:Package}|${source:Version}\\n"
FIELDS = 6
# Installed, held or not.
INSTALLED = ("ii", "hi")
REBOOT = "/run/reboot-required"
MARK = "reboot-required"


class Unknown(Exception):
    """There is no system on the host."""


class Unreachable(Exception):
    """The host does not answer."""


def listed(host, settings):
    """What is installed on a host now, by its own package system, and whether the system asks for a reboot."""
    before = datetime.datetime.now(datetime.timezone.utc)
    lines = in_folder(settings.root.replace("{host}", host)) if settings.root else by_ssh(host, settings)
    found = [line.split("|") for line in lines if line.count("|") == FIELDS - 1]
    packages = [package(*fields) for status, *fields in found if status.strip() in INSTALLED]
    return {"packages": packages, "rebootPending": MARK in lines, "observedAt": before.isoformat().replace("+00:00", "Z")}


def package(name, version, architecture, source, source_version):
    """A package as it is told, with its source where that is another."""
    told = {"name": name, "version": version, "architecture": architecture}
    if source not in ("", name.split(":")[0]):
        told["source"] = source
    if source_version not in ("", version):
        told["sourceVersion"] = source_version
    return told


def in_folder(root):
    if not os.path.isdir(f"{root}/var/lib/dpkg"):
        raise Unknown("no system is installed there: it has no database of packages")
    said = called(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", f"-f={FORMAT}"])
    return said + ([MARK] if os.path.exists(root + REBOOT) else [])


def by_ssh(host, settings):
    address = settings.address.replace("{host}", host)
    options = ["-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS_MAX}"]
    options += ["-l", settings.user] if settings.user else []
    options += ["-i", settings.key_file] if settings.key_file else []
    # Nothing of the command is from outside. The host's id is a name in the address.
    command = f"dpkg-query -W -f='{FORMAT}'; test -e {REBOOT} && echo {MARK} || true"
    return called(["ssh", *options, "--", address, command])


def called(command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              timeout=LIST_SECONDS_MAX)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"it took longer than {LIST_SECONDS_MAX} s") from error
    except OSError as error:
        raise Unreachable(f"{command[0]} cannot be run: {error}") from error
    # dpkg-query ends with 1 where nothing is installed at all.
    if done.returncode not in (0, 1):
        raise Unreachable(" ".join(done.stderr.split())[-300:] or f"{command[0]} ended with {done.returncode}")
    return done.stdout.splitlines()


class Changes:
    """Takes in the result of the one task that changes packages."""

    def __init__(self):
        self.changed, self.failed, self.reboot_pending = [], [], False

    def heard(self, result):
        self.changed = result.get("packages_changed") or []
        self.failed = result.get("packages_failed") or []
        self.reboot_pending = bool(result.get("reboot_pending"))

    def message(self):
        """Why not all of it worked; none where it did."""
        if not self.failed:
            return None
        return "; ".join(f"{failed['package']}: {failed['reason']}" for failed in self.failed)
