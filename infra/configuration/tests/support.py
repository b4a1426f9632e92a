"""What the tests share: a runner in a process of its own, a Hostler that notes what it is told, and roles made on the spot."""

import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = "t" * 32
WAIT_SECONDS_MAX = 180


class Heard(http.server.ThreadingHTTPServer):
    """Hostler's side of the callbacks."""

    daemon_threads = True

    def __init__(self):
        self.reports, self.answers = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(inner):
                body = json.loads(inner.rfile.read(int(inner.headers["Content-Length"])))
                address = urllib.parse.urlsplit(inner.path)
                query = {name: value for name, value in urllib.parse.parse_qsl(address.query)}
                status = self.answers.pop(0) if self.answers and body["state"] == "ended" else 202
                self.reports.append((status, address.path, query, body))
                inner.send_response(status)
                inner.send_header("Content-Length", "0")
                inner.end_headers()

            def log_message(inner, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ends(self):
        return [body for status, _, _, body in self.reports if body["state"] == "ended" and status < 300]


class RunnerTest(unittest.TestCase):
    """Each test has a folder of roles, hosts that are folders, and a runner."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.heard = Heard()
        self.addCleanup(self.heard.server_close)
        self.addCleanup(self.heard.shutdown)
        self.process = None
        self.addCleanup(self.clean_up)
        os.makedirs(self.path("roles"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def role(self, name, tasks):
        self.write(f"roles/{name}/tasks/main.yaml", tasks)

    def host(self, name):
        os.makedirs(self.path("hosts", name), exist_ok=True)

    def start(self, **settings):
        given = {"roles": self.path("roles"), "state": self.path("state"), "token": TOKEN, "hostler_url": self.heard.url,
                 "root": self.path("hosts", "{host}"), "heartbeat_seconds": 3600, "jobs_at_once": 2, **settings}
        self.write("settings.json", json.dumps(given))
        log = open(self.path("log"), "a+", encoding="utf-8")
        self.addCleanup(log.close)
        before = os.path.getsize(self.path("log"))
        self.process = subprocess.Popen([sys.executable, "-m", "runner", self.path("settings.json")], stdin=subprocess.DEVNULL,
                                        stderr=log, stdout=log, cwd=os.path.dirname(HERE))
        self.port = None
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while self.port is None:
            said = self.read("log")[before:]
            lines = [line for line in said.splitlines() if "listening on" in line]
            if lines:
                self.port = int(lines[0].rsplit(":", 1)[1])
            elif self.process.poll() is not None or time.monotonic() > deadline:
                self.fail(f"the runner did not start: {said}")
            time.sleep(0.05)

    def kill(self):
        """As a machine's failure does, without a word."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def left_over(self):
        """The processes of jobs that are there."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
            try:
                with open(f"/proc/{entry}/environ", "rb") as file:
                    if f"HOSTLER_CONFIGURATION_JOB={self.folder}".encode() in file.read():
                        found.append(entry)
            except OSError:
                pass
        return found

    def clean_up(self):
        """A killed runner leaves what it ran, and that still writes below the test's folder."""
        self.kill()
        while self.left_over():
            for entry in self.left_over():
                try:
                    os.kill(int(entry), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.05)

    def call(self, method, path, body=None, token=TOKEN):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        text = body if isinstance(body, (str, bytes, type(None))) else json.dumps(body)
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        said = json.loads(answer.read())
        connection.close()
        return answer.status, said

    def job(self, name="p-1/apply-role/1", host="h-1", role="web", **more):
        return {"id": name, "host": host, "role": role, "callback": {"step": name, "token": "secret"}, **more}

    def hand_in(self, *arguments, **more):
        status, said = self.call("POST", "/jobs", self.job(*arguments, **more))
        self.assertEqual(status, 202, said)
        return said

    def until(self, what, is_so):
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not is_so():
            self.assertLess(time.monotonic(), deadline, f"waited in vain for {what}; the log: {self.read('log')[-2000:]}")
            time.sleep(0.05)

    def end_of(self, job_id):
        """How a job ended, as the runner says."""
        found = {}

        def has_ended():
            found.clear()
            found.update(self.call("GET", "/jobs/" + urllib.parse.quote(job_id, safe=""))[1])
            return found.get("state") == "ended"

        self.until(f"the end of {job_id}", has_ended)
        return found
