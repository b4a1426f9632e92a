"""Roles and their revisions.

A role is a folder below the folder of roles. Its revision is the hash of what is in it. A revision that is applied is copied
first, so that a change of the folder meets no job half-way, and an older revision can be applied again.
"""

import hashlib
import os
import re
import shutil
import tempfile

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
REVISION = re.compile(r"[0-9a-f]{16}")
FILES_MAX = 2_000
BYTES_MAX = 50_000_000


class Refused(Exception):
    """There is no such role or revision, or it is none that may be applied."""


class Roles:
    """The roles of a folder, and the copies of the revisions that were applied."""

    def __init__(self, folder, copies):
        self._folder = os.path.realpath(folder)
        self._copies = copies

    def take(self, name, revision=None):
        """The revision of a role, the newest unless one is named, and the folder to look for the role in."""
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise Refused(f"{name!r} is no name of a role: lower-case letters, digits, - and _")
        if revision is not None:
            return revision, self._kept(name, revision)
        source = os.path.join(self._folder, name)
        files = listed(name, source)
        revision = digest(source, files)
        place = self._place(name, revision)
        if not os.path.isdir(place):
            self._copy(name, source, files, revision, place)
        return revision, place

    def _place(self, name, revision):
        return os.path.join(self._copies, name, revision)

    def _kept(self, name, revision):
        if not isinstance(revision, str) or not REVISION.fullmatch(revision):
            raise Refused(f"{revision!r} is no revision of a role: 16 hexadecimal digits")
        place = self._place(name, revision)
        if not os.path.isdir(place):
            raise Refused(f"the revision {revision} of the role {name} was never applied by this runner")
        return place

    def _copy(self, name, source, files, revision, place):
        """Copied beside its place and then moved there: what is there is complete."""
        parent = os.path.dirname(place)
        os.makedirs(parent, mode=0o700, exist_ok=True)
        new = tempfile.mkdtemp(prefix=".new-", dir=parent)
        try:
            for path in files:
                target = os.path.join(new, name, path)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy(os.path.join(source, path), target, follow_symlinks=False)
            if digest(os.path.join(new, name), files) != revision:
                raise Refused(f"the role {name} was changed while it was copied: hand the job in again")
            try:
                os.rename(new, place)
            except OSError:
                # Another job was quicker; what is there is the same.
                if not os.path.isdir(place):
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)


def listed(name, folder):
    """The files of a role, in order. Nothing in it may lead out of it."""
    if os.path.islink(folder) or not os.path.isdir(folder):
        raise Refused(f"there is no role {name}")
    files, size = [], 0
    for parent, folders, names in os.walk(folder):
        for entry in [*folders, *names]:
            path = os.path.join(parent, entry)
            if os.path.islink(path) or not (os.path.isdir(path) or os.path.isfile(path)):
                raise Refused(f"the role {name} holds {os.path.relpath(path, folder)}, which is no plain file or folder")
        for entry in names:
            path = os.path.join(parent, entry)
            files.append(os.path.relpath(path, folder))
            size += os.path.getsize(path)
    if len(files) > FILES_MAX or size > BYTES_MAX:
        raise Refused(f"the role {name} has {len(files)} files of {size} bytes: at most {FILES_MAX} of {BYTES_MAX}")
    if not files:
        raise Refused(f"the role {name} is empty")
    return sorted(files)


def digest(folder, files):
    """The hash of files by their paths, whether they can be executed, and what is in them."""
    whole = hashlib.sha256()
    for path in files:
        full = os.path.join(folder, path)
        with open(full, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
        runs = "x" if os.stat(full).st_mode & 0o100 else "-"
        whole.update(f"{len(path.encode())} {path} {runs} {content}\n".encode())
    return whole.hexdigest()[:16]
