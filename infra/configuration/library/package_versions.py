#!/usr/bin/python
"""Ansible module: gives packages that are installed other versions, one by one, by dpkg's own rules."""

import os
import re

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: package_versions
short_description: Versions of installed packages, on a machine or below a root folder of this one
options:
  root: {description: The root folder of the host; empty on a machine of its own., type: str, default: ""}
  folders: {description: The folders of the .deb files for a root folder. On a machine of its own apt has them., type: list, elements: str, default: []}
  packages: {description: Each package with its version., type: list, elements: dict, required: true}
  roll_back: {description: Whether a package may get an older version than it has., type: bool, default: false}
"""

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9-]+)?")
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+:~-]*")
# As whoever runs it, without a chroot: scripts of packages find the root folder in DPKG_ROOT.
FLAGS = ["--force-not-root", "--force-script-chrootless", "--force-bad-path", "--force-downgrade", "--force-confold"]
APT = ["apt-get", "install", "--yes", "--no-install-recommends", "--only-upgrade", "--allow-downgrades",
       "--allow-change-held-packages", "-o", "Dpkg::Options::=--force-confold"]
# What Debian's packages leave where the system is to be rebooted.
REBOOT = "run/reboot-required"
MESSAGE_CHARS_MAX = 300


class Host:
    """The package system of a host."""

    def __init__(self, module):
        self.module = module
        self.root, self.folders = module.params["root"].rstrip("/"), module.params["folders"]

    def installed(self, name):
        """The version of an installed package; none where it is not installed."""
        place = [f"--admindir={self.root}/var/lib/dpkg"] if self.root else []
        code, out, _ = self.module.run_command(["dpkg-query", *place, "-W", "-f=${db:Status-Abbrev}|${Version}\n", name])
        status, _, version = out.splitlines()[0].partition("|") if code == 0 and out else ("", "", "")
        return version if status.strip() in ("ii", "hi") else None

    def is_older(self, version, other):
        return self.module.run_command(["dpkg", "--compare-versions", version, "lt", other])[0] == 0

    def change(self, name, version):
        """Why it did not work; none where it did."""
        if not self.root:
            code, out, err = self.module.run_command([*APT, f"{name}={version}"],
                                                     environ_update={"DEBIAN_FRONTEND": "noninteractive"})
        else:
            path = self.file_of(name, version)
            if path is None:
                return f"there is no {name} {version} in {' or '.join(self.folders)}"
            code, out, err = self.module.run_command(["dpkg", f"--root={self.root}", *FLAGS, "--install", path])
        if code != 0:
            said = " ".join((err.strip() or out.strip()).split())
            return f"{'dpkg' if self.root else 'apt-get'} ended with {code}: {said[-MESSAGE_CHARS_MAX:]}"
        has = self.installed(name)
        return None if has == version else f"it has version {has} afterwards"

    def file_of(self, name, version):
        for folder, entry in [(folder, entry) for folder in self.folders for entry in sorted(os.listdir(folder))]:
            if entry.endswith(".deb") and entry.split("_")[0] == name.split(":")[0]:
                path = os.path.join(folder, entry)
                _, found, _ = self.module.run_command(["dpkg-deb", "--field", path, "Version"], check_rc=True)
                if found.strip() == version:
                    return path
        return None

    def wants_reboot(self):
        return os.path.exists(f"{self.root}/{REBOOT}")


def main():
    options = {
        "root": {"type": "str", "default": ""},
        "folders": {"type": "list", "elements": "str", "default": []},
        "packages": {"type": "list", "elements": "dict", "required": True},
        "roll_back": {"type": "bool", "default": False},
    }
    module = AnsibleModule(options, supports_check_mode=False)
    wanted = [(str(item.get("package")), str(item.get("version"))) for item in module.params["packages"]]
    wrong = [f"{name} {version}" for name, version in wanted if not (NAME.fullmatch(name) and VERSION.fullmatch(version))]
    if wrong:
        module.fail_json(msg=f"no packages with a version: {', '.join(wrong)}")
    host = Host(module)
    if host.root and not os.path.isdir(f"{host.root}/var/lib/dpkg"):
        module.fail_json(msg="no system is installed there: it has no database of packages")
    changed, failed = [], []
    for name, version in wanted:
        has = host.installed(name)
        # A host without the package is never touched, and a newer version than the fix has the fix.
        if has is None or has == version or (not module.params["roll_back"] and host.is_older(version, has)):
            continue
        reason = host.change(name, version)
        if reason is None:
            changed.append({"package": name, "from": has, "to": version})
        else:
            failed.append({"package": name, "reason": reason})
    # What worked is told beside what did not: the task itself succeeds, and the runner says how the job ended.
    module.exit_json(changed=bool(changed), packages_changed=changed, packages_failed=failed, reboot_pending=host.wants_reboot())


main()
