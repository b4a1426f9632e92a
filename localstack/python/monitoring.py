"""Runs Prometheus, Alertmanager or HAProxy on loopback, tied to the process that started it.

Reads from settings.json in its work directory: `name`, `program`, `arguments` and `files` (name and text, written to the work
directory; in both `{port}` stands for the port), `ready` (the path that answers 200 once it is ready), `password` (the one of the
user `hostler`; empty for none). SIGHUP is passed on: Prometheus and Alertmanager then read their files again.

These programs cannot be handed a socket. A port is chosen and let go again, and another one is tried when somebody else was
quicker.
"""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lifetime

TRIES_MAX = 5
READY_SECONDS_MAX = 30


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write(name, text):
    path = os.path.join(os.environ["HOSTLER_WORK_DIR"], name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def require_password(password):
    """A page in a browser can send requests to loopback, but knows no password."""
    import bcrypt

    digest = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    write("web.yaml", json.dumps({"basic_auth_users": {"hostler": digest}}))
    return ["--web.config.file=web.yaml"]


def is_ready(port, settings):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{settings['ready']}")
    if settings["password"]:
        given = base64.b64encode(f"hostler:{settings['password']}".encode()).decode()
        request.add_header("Authorization", f"Basic {given}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def start(settings, arguments, started):
    """One try: the process and its port, or none when it ended or did not become ready."""
    port = free_port()
    for name, text in settings["files"].items():
        write(name, text.replace("{port}", str(port)))
    filled = [argument.replace("{port}", str(port)) for argument in arguments]
    process = subprocess.Popen([settings["program"], *filled], stdin=subprocess.DEVNULL)
    started.append(process)
    deadline = time.monotonic() + READY_SECONDS_MAX
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready(port, settings):
            return process, port
        time.sleep(0.05)
    process.kill()
    process.wait()
    return None, port


def main():
    started, ending = [], threading.Event()

    def end_writers():
        ending.set()
        for process in started:
            process.kill()
            process.wait()

    lifetime.watch_parent(end_writers)
    lifetime.raise_file_limit()
    with open(os.path.join(os.environ["HOSTLER_WORK_DIR"], "settings.json"), encoding="utf-8") as file:
        settings = json.load(file)
    arguments = list(settings["arguments"])
    if settings["password"]:
        arguments += require_password(settings["password"])
    for _ in range(TRIES_MAX):
        process, port = start(settings, arguments, started)
        if process:
            break
    else:
        sys.exit(f"{settings['name']} did not become ready")
    signal.signal(signal.SIGHUP, lambda *_: process.send_signal(signal.SIGHUP))
    lifetime.announce(port)
    status = process.wait()
    while ending.is_set():
        # The thread that watches the parent removes our files, and then ends us.
        time.sleep(1)
    sys.exit(status)


main()
