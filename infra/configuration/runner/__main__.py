"""Starts a runner: `python -m runner settings.json`. SIGHUP has it read `hostler_url` again, SIGTERM ends it."""

import logging
import os
import signal
import sys

from . import settings as of
from .jobs import Jobs
from .reports import Reports
from .roles import Roles
from .server import Server, handler


class Running:
    """A runner with all its parts."""

    def __init__(self, path, port=None):
        self._path = path
        self.settings = of.read(path)
        self._port = self.settings.port if port is None else port
        self._url = self.settings.hostler_url
        os.makedirs(self.settings.state, mode=0o700, exist_ok=True)
        roles = Roles(self.settings.roles, os.path.join(self.settings.state, "revisions"))
        reports = Reports(lambda: self._url, self.settings.report_seconds_max)
        self.jobs = Jobs(self.settings, roles, reports)

    def read_again(self):
        """The address of Hostler may be known only once it is deployed."""
        try:
            self._url = of.read(self._path).hostler_url
        except of.BadSettings as error:
            logging.error("the settings are not read again: %s", error)

    def serve(self, listener):
        """Serves until the process is told to end. `listener` is given the port once it listens."""
        signal.signal(signal.SIGTERM, self._end)
        server = Server((self.settings.listen, self._port), handler(self.jobs, self.settings))
        self.jobs.start()
        listener(server.server_address[1])
        server.serve_forever()

    def _end(self, *_):
        self.jobs.end()
        os._exit(0)


def main(arguments):
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(arguments) != 1:
        sys.exit("usage: python -m runner settings.json")
    try:
        running = Running(arguments[0])
    except of.BadSettings as error:
        sys.exit(f"the runner cannot start: {error}")

    signal.signal(signal.SIGHUP, lambda *_: running.read_again())
    running.serve(lambda port: logging.info("listening on %s:%s", running.settings.listen, port))


if __name__ == "__main__":
    main(sys.argv[1:])
