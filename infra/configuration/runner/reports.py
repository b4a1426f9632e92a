"""What is reported to Hostler: that a job is alive, and how it ended."""

import concurrent.futures
import json
import logging
import time
import urllib.error
import urllib.parse
import urllib.request

LOG = logging.getLogger("runner.reports")
PATH = "/callbacks/configuration"
CALL_SECONDS_MAX = 30
PAUSE_SECONDS_FIRST = 0.5
PAUSE_SECONDS_MAX = 60
CALLS_AT_ONCE = 8


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A report, whose address holds a token, goes nowhere else."""

    def redirect_request(self, *_):
        return None


class Reports:
    """Calls Hostler back. The end of a job is reported until it is heard, refused, or too old."""

    def __init__(self, hostler_url, seconds_max, sleep=time.sleep, clock=time.monotonic):
        self._url, self._seconds_max, self._sleep, self._clock = hostler_url, seconds_max, sleep, clock
        self._callers = concurrent.futures.ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="reports")
        # A sign of life must not wait behind the ends that nobody takes.
        self._beats = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="beats")
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect())

    def alive(self, job):
        """Reported once, with the task that it is at: the next one follows."""
        at = {"task": job["task"]} if "task" in job else {}
        self._beats.submit(self._call, job, {"state": "running", **at})

    def ended(self, job, heard):
        """`heard` is called with the job's id once nothing is left to report."""
        self._callers.submit(self._until_heard, job, heard)

    def _until_heard(self, job, heard):
        body = of_packages(job) if job["mode"] == "packages" else {"state": "ended", "outcome": job["outcome"], "changed": job["changed"], "message": job["message"],
                "tasks": job["tasks"], "tasksLeftOff": job["tasks_left_off"]}
        if job["mode"] == "check":
            body.update(changes=job.get("changes", []), changesLeftOff=job.get("changes_left_off", 0))
        since, pause = self._clock(), PAUSE_SECONDS_FIRST
        while not self._call(job, body):
            if self._clock() - since > self._seconds_max:
                LOG.error("the end of the job %s was reported in vain and is given up", job["id"])
                break
            self._sleep(pause)
            pause = min(pause * 2, PAUSE_SECONDS_MAX)
        heard(job["id"])

    def _call(self, job, body):
        """Whether the report is done with: heard, or refused for good."""
        url = self._url()
        if not url:
            return False
        query = urllib.parse.urlencode({"host": job["host"], "step": job["callback"]["step"], "token": job["callback"]["token"]})
        body = {"revision": job["revision"], **body}
        request = urllib.request.Request(f"{url.rstrip('/')}{PATH}?{query}", json.dumps(body, ensure_ascii=False).encode(errors="replace"),
                                         {"content-type": "application/json"}, method="POST")
        try:
            with self._opener.open(request, timeout=CALL_SECONDS_MAX):
                return True
        except urllib.error.HTTPError as answer:
            refused = 400 <= answer.code < 500 and answer.code not in (408, 425, 429)
            said = answer.read(300).decode(errors="replace")
            LOG.warning("a report of the job %s was answered with %s: %s", job["id"], answer.code, said)
            return refused
        except OSError as error:
            LOG.warning("a report of the job %s did not arrive: %s", job["id"], error)
            return False


def of_packages(job):
    """How a change of packages ended, one by one. A runner that died has nothing to tell of them."""
    return {"state": "packages-changed", "outcome": job["outcome"], "message": job["message"],
            "changed": job.get("packages_changed", []), "failed": job.get("packages_failed", []),
            "rebootPending": job.get("reboot_pending", False)}
