"""What a runner is told: one JSON file, checked when it starts."""

import dataclasses
import json
import os
import re

TOKEN_CHARS_MIN = 32
URL = re.compile(r"https?://[^?#@\s]+")


class BadSettings(Exception):
    """The settings cannot be used; the text says which and why."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where things are, and how much is done at once. Times are in seconds."""

    # The folder of the roles, and the folder where jobs and the revisions of roles are kept.
    roles: str
    state: str
    # The bearer token that whoever hands in jobs must send.
    token: str
    # Where Hostler's API is: jobs report there. Empty until it is known, and then nothing is reported yet.
    hostler_url: str = ""
    listen: str = "127.0.0.1"
    port: int = 0
    # How hosts are reached: `address` with `{host}` for the host's id, by ssh, or `root`, a folder of this machine.
    address: str = ""
    root: str = ""
    # The user of ssh, and the file of its key.
    user: str = ""
    key_file: str = ""
    # Variables that all roles see.
    variables: dict = dataclasses.field(default_factory=dict)
    jobs_at_once: int = 4
    jobs_waiting_max: int = 1000
    limit_seconds: float = 900
    heartbeat_seconds: float = 60
    # How long the end of a job is reported in vain before it is given up.
    report_seconds_max: float = 6 * 3600
    # How long jobs that have ended are kept.
    keep_seconds: float = 7 * 86400


def read(path):
    """The settings of a file."""
    try:
        with open(path, encoding="utf-8") as file:
            given = json.load(file)
    except (OSError, ValueError) as error:
        raise BadSettings(f"{path} does not read: {error}") from error
    if not isinstance(given, dict):
        raise BadSettings(f"{path} holds no JSON object")
    return check(given)


def check(given):
    """Settings from what a file says."""
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    unknown = sorted(set(given) - set(fields))
    if unknown:
        raise BadSettings(f"unknown settings: {', '.join(unknown)}; there are {', '.join(fields)}")
    missing = [name for name in ("roles", "state", "token") if not given.get(name)]
    if missing:
        raise BadSettings(f"missing settings: {', '.join(missing)}")
    for name, value in given.items():
        wanted = fields[name].type
        fits = isinstance(value, (int, float) if wanted is float else wanted) and not isinstance(value, bool)
        if not fits:
            raise BadSettings(f"{name} is {value!r}: it must be of type {wanted.__name__}")
        if wanted in (int, float) and value < (0 if name == "port" else 1e-3):
            raise BadSettings(f"{name} is {value}: it must be greater")
    settings = Settings(**given)
    if len(settings.token) < TOKEN_CHARS_MIN:
        raise BadSettings(f"the token has {len(settings.token)} characters: give it {TOKEN_CHARS_MIN} or more")
    if settings.hostler_url and not URL.fullmatch(settings.hostler_url):
        raise BadSettings(f"hostler_url is {settings.hostler_url!r}: give an http(s) URL without user, query and fragment")
    if bool(settings.address) == bool(settings.root):
        raise BadSettings("give either address, to reach hosts by ssh, or root, the folder of hosts on this machine")
    for name, text in (("address", settings.address), ("root", settings.root)):
        if text and "{host}" not in text:
            raise BadSettings(f"{name} is {text!r}: it must hold {{host}}, the host's id")
    if not os.path.isdir(settings.roles):
        raise BadSettings(f"roles is {settings.roles!r}: there is no such folder")
    return settings
