"""Ties a server to the process that started it.

The parent holds the write end of our standard input. When it closes that end, or dies in whatever way, we
read end-of-file and kill our whole process group: this server and every function process that it started.
"""

import json
import os
import resource
import shutil
import signal
import socket
import sys
import threading


def watch_parent(before=lambda: None):
    """Starts the thread that ends the process group once the parent is gone. `before` ends what still writes to the work
    directory, which is removed first."""

    def wait_for_end():
        try:
            while os.read(0, 4096):
                pass
        except OSError:
            pass
        before()
        shutil.rmtree(os.environ["HOSTLER_WORK_DIR"], ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    if os.getpgrp() != os.getpid():
        sys.exit("refusing to run: not the leader of a process group, so stopping would hit others")
    threading.Thread(target=wait_for_end, name="watch-parent", daemon=True).start()


def raise_file_limit():
    """Each function process takes pipes and sockets here, each BMC client a connection."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError):
        pass  # some systems refuse their own limit; the soft one will do


def listen():
    """Binds a loopback socket, on HOSTLER_PORT or on a free port: bound here, so nobody can take it."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", int(os.environ.get("HOSTLER_PORT", "0"))))
    server.listen(1024)
    return server


def announce(port):
    """Tells the parent our port: a file in the work directory, complete once it has its name."""
    path = os.path.join(os.environ["HOSTLER_WORK_DIR"], "address.json")
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"port": port}, file)
    os.rename(path + ".new", path)
