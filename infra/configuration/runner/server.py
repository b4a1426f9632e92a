"""The runner's HTTP interface: `POST /jobs`, `GET /jobs/<id>`, `POST /packages`, `GET /health`."""

import hmac
import http.server
import json
import re
import urllib.parse

from . import packages
from .jobs import Busy, Differs, Occupied
from .roles import Refused

BODY_BYTES_MAX = 65_536
LABELS_MAX = 200
MODES = ("apply", "check", "packages")
PACKAGES_MAX = 50
READ_SECONDS_MAX = 20
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,299}")
# A host's id is a name in the inventory and may be a folder: nothing in it leads anywhere else.
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Malformed(Exception):
    """The body is no job."""


def job_of(body):
    """A job, read strictly: what is unknown, missing or of another form is refused."""
    try:
        given = json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Malformed("the body is no JSON object")
    fields = {"id": text, "mode": mode, "host": text, "labels": labels, "callback": callback}
    if given.get("mode") == "packages":
        fields.update(packages=versions, rollBack=flag)
    else:
        fields.update(role=text, revision=text_or_none)
    unknown, missing = sorted(set(given) - set(fields)), sorted(set(fields) - set(given) - {"mode", "revision", "labels"})
    if unknown or missing:
        raise Malformed(f"a job has {', '.join(fields)}: unknown {unknown}, missing {missing}")
    given = {"mode": "apply", "revision": None, "labels": {}, **given}
    job = {name: form(name, given[name]) for name, form in fields.items()}
    if job["mode"] == "packages":
        job.update(role=packages.ROLE, revision=None)
    for name, pattern in (("id", ID), ("host", HOST)):
        if not pattern.fullmatch(job[name]):
            raise Malformed(f"{name} is {job[name]!r}: it must match {pattern.pattern}")
    return job


def text(name, value):
    if not isinstance(value, str) or not 0 < len(value) <= 1_000:
        raise Malformed(f"{name} must be a text of up to 1000 characters")
    return value


def mode(name, value):
    if value not in MODES:
        raise Malformed(f"{name} is {value!r}: give {' or '.join(MODES)}")
    return value


def text_or_none(name, value):
    return None if value is None else text(name, value)


def flag(name, value):
    if not isinstance(value, bool):
        raise Malformed(f"{name} must be true or false")
    return value


def versions(name, value):
    fits = isinstance(value, list) and 0 < len(value) <= PACKAGES_MAX
    if not fits or not all(isinstance(item, dict) and set(item) == {"package", "version"} for item in value):
        raise Malformed(f"{name} must be 1 to {PACKAGES_MAX} objects with package and version")
    return [{key: text(f"{name}.{key}", item[key]) for key in ("package", "version")} for item in value]


def host_of(body):
    """The host whose packages are asked for."""
    try:
        given = json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is no JSON: {error}") from error
    if not isinstance(given, dict) or set(given) != {"host"} or not HOST.fullmatch(str(given["host"])):
        raise Malformed(f"give the host, which must match {HOST.pattern}, and nothing else")
    return given["host"]


def labels(name, value):
    fits = isinstance(value, dict) and len(value) <= LABELS_MAX and all(isinstance(item, str) for item in value.values())
    if not fits:
        raise Malformed(f"{name} must be at most {LABELS_MAX} texts by name")
    return value


def callback(name, value):
    if not isinstance(value, dict) or set(value) != {"step", "token"}:
        raise Malformed(f"{name} must hold step and token")
    return {key: text(f"{name}.{key}", item) for key, item in value.items()}


def handler(jobs, settings):
    """The request handler of a runner."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "hostler-configuration"
        sys_version = ""
        timeout = READ_SECONDS_MAX

        def do_GET(self):
            path = urllib.parse.urlsplit(self.path).path
            if path == "/health":
                return self.answer(200, {"status": "ok"})
            if not self.is_known():
                return self.unknown()
            if not path.startswith("/jobs/"):
                return self.answer(404, {"error": "no-such-path", "message": "there is /jobs and /jobs/<id>"})
            job = jobs.find(urllib.parse.unquote(path.removeprefix("/jobs/")))
            return self.answer(200, job) if job else self.answer(404, {"error": "no-such-job", "message": "there is no such job"})

        def do_POST(self):
            if not self.is_known():
                return self.unknown()
            path = urllib.parse.urlsplit(self.path).path
            if path not in ("/jobs", "/packages"):
                return self.refuse(404, "no-such-path", "jobs are posted to /jobs, and hosts to /packages for what they have")
            length = self.headers.get("Content-Length", "")
            if not length.isdigit():
                return self.refuse(411, "no-length", "send a Content-Length")
            if int(length) > BODY_BYTES_MAX:
                return self.refuse(413, "too-large", f"a job has at most {BODY_BYTES_MAX} bytes")
            body = self.rfile.read(int(length))
            return self.listed(body) if path == "/packages" else self.handed_in(body)

        def handed_in(self, body):
            try:
                return self.answer(202, jobs.hand_in(job_of(body)))
            except Malformed as error:
                return self.answer(400, {"error": "malformed", "message": str(error)})
            except Refused as error:
                return self.answer(422, {"error": "no-such-role", "message": str(error)})
            except Differs as error:
                return self.answer(409, {"error": "differs", "message": str(error)})
            except Occupied as error:
                return self.answer(409, {"error": "occupied", "message": str(error)})
            except Busy as error:
                return self.answer(503, {"error": "busy", "message": str(error)}, {"Retry-After": "30"})

        def listed(self, body):
            """What a host has, by its own package system. It is asked at once, and nothing is kept."""
            try:
                return self.answer(200, packages.listed(host_of(body), settings))
            except Malformed as error:
                return self.answer(400, {"error": "malformed", "message": str(error)})
            except packages.Unknown as error:
                return self.answer(422, {"error": "no-system", "message": str(error)})
            except packages.Unreachable as error:
                return self.answer(502, {"error": "unreachable", "message": str(error)})

        def is_known(self):
            given = self.headers.get("Authorization", "").encode()
            return hmac.compare_digest(given, f"Bearer {settings.token}".encode())

        def unknown(self):
            return self.refuse(401, "unauthorized", "send the runner's token as a bearer token")

        def refuse(self, status, error, message):
            """The body was not read, so that the connection is of no more use."""
            self.close_connection = True
            self.answer(status, {"error": error, "message": message}, {"Connection": "close"})

        def answer(self, status, document, headers=None):
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    return Handler


class Server(http.server.ThreadingHTTPServer):
    """One thread for each connection; they end with the process."""

    daemon_threads = True
    request_queue_size = 128
