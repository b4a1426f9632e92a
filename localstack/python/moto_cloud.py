"""Runs moto's server on loopback, tied to the process that started it.

1. A 12-digit access key is the account's number, as with ministack and LocalStack; moto itself keeps everything in
   one account.
2. No page in a browser can call it (guard.py).
3. Calls of DynamoDB are served one after the other. moto looks at a condition and writes in two steps, with nothing
   between its threads, so that of two conditional puts at once both may succeed (seen with the contract of control).
"""

import os
import re
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import guard
import lifetime

CREDENTIAL = re.compile(r"Credential=(\d{12})/")


def accounts(app):
    """Tells moto the account of the caller."""

    def in_account(environ, start):
        found = CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
        if found:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = found.group(1)
        return app(environ, start)

    return in_account


def atomic(app):
    """Makes what DynamoDB promises to be atomic so."""
    lock = threading.Lock()

    def one_at_a_time(environ, start):
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return app(environ, start)
        with lock:
            return app(environ, start)

    return one_at_a_time


def main():
    lifetime.watch_parent()
    lifetime.raise_file_limit()
    listener = lifetime.listen()
    port = listener.getsockname()[1]
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_request(self, code="-", size="-"):
            pass

    app = guard.wsgi(accounts(atomic(DomainDispatcherApplication(create_backend_app))))
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Handler, fd=listener.fileno())
    lifetime.announce(port)
    server.serve_forever()


main()
