#!/usr/bin/python
"""Ansible module: has packages installed below a root folder, from a folder of .deb files, by dpkg itself."""

import os
import re

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: dpkg_root
short_description: Packages of a host that is a root folder of this machine
options:
  root: {description: The root folder of the host., type: path, required: true}
  folder: {description: The folder of the .deb files., type: path, required: true}
  names: {description: Which packages are to be there; of each the newest version in the folder., type: list, elements: str, required: true}
"""

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")
# As whoever runs it, without a chroot: packages of a root folder have no scripts that would need one.
FLAGS = ["--force-not-root", "--force-script-chrootless", "--force-bad-path"]


def installed(module, root, name):
    """The version of an installed package; none where it is not installed."""
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f=${Status}|${Version}", name]
    code, out, _ = module.run_command(query)
    status, _, version = out.partition("|")
    return version if code == 0 and status == "install ok installed" else None


def newest(module, folder, name):
    """The newest version of a package in the folder, and its file."""
    found = None
    for entry in sorted(os.listdir(folder)):
        parts = entry.removesuffix(".deb").split("_")
        if not entry.endswith(".deb") or len(parts) != 3 or parts[0] != name:
            continue
        path = os.path.join(folder, entry)
        _, version, _ = module.run_command(["dpkg-deb", "--field", path, "Version"], check_rc=True)
        version = version.strip()
        if found is None or is_older(module, found[0], version):
            found = (version, path)
    if found is None:
        module.fail_json(msg=f"there is no package {name} in {folder}")
    return found


def is_older(module, version, other):
    """Whether a version comes before another, by dpkg's own rules."""
    return module.run_command(["dpkg", "--compare-versions", version, "lt", other])[0] == 0


def main():
    options = {
        "root": {"type": "path", "required": True},
        "folder": {"type": "path", "required": True},
        "names": {"type": "list", "elements": "str", "required": True},
    }
    module = AnsibleModule(options, supports_check_mode=True)
    root, folder, names = (module.params[name] for name in ("root", "folder", "names"))
    wrong = [name for name in names if not NAME.fullmatch(name)]
    if wrong:
        module.fail_json(msg=f"no names of packages: {', '.join(wrong)}")
    if not os.path.isdir(f"{root}/var/lib/dpkg"):
        module.fail_json(msg=f"no system is installed below {root}: it has no database of packages")
    before, after, files = [], [], []
    for name in names:
        has = installed(module, root, name)
        version, path = newest(module, folder, name)
        if has is None or is_older(module, has, version):
            before += [f"{name} {has}\n"] if has else []
            after.append(f"{name} {version}\n")
            files.append(path)
    if files and not module.check_mode:
        code, out, err = module.run_command(["dpkg", f"--root={root}", *FLAGS, "--install", *files])
        if code != 0:
            module.fail_json(msg=f"dpkg ended with {code}: {err.strip() or out.strip()}")
    module.exit_json(changed=bool(files), diff={"before": "".join(before), "after": "".join(after)})


main()
