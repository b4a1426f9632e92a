"""Jobs: kept on disk, worked on a few at a time and one for each host.

A job is waiting, running or ended. Its id comes from whoever hands it in, and the same id is the same job. What was running
when the runner died is lost, and is said to be lost, never to be done.
"""

import hashlib
import json
import logging
import os
import shutil
import threading
import time

from . import packages, play
from .roles import Refused

LOG = logging.getLogger("runner.jobs")
SAME = ("mode", "host", "role", "revision_asked", "labels", "packages", "rollBack")


class Busy(Exception):
    """Too many jobs wait."""


class Differs(Exception):
    """There is a job of this id that asks for something else."""


class Occupied(Exception):
    """A check gives way to whatever else is done to its host."""


class Jobs:
    """All jobs of a runner. `reports` is told of each that has ended, and of those that are still alive."""

    def __init__(self, settings, roles, reports, clock=time.time):
        self._settings, self._roles, self._reports, self._clock = settings, roles, reports, clock
        self._folder = os.path.join(settings.state, "jobs")
        os.makedirs(self._folder, mode=0o700, exist_ok=True)
        self._changed = threading.Condition()
        self._jobs, self._waiting, self._running, self._cancelled = {}, [], {}, set()
        self._ended = False

    def start(self):
        """Takes up what an earlier runner left, and begins to work."""
        self._take_up()
        for number in range(self._settings.jobs_at_once):
            threading.Thread(target=self._work, name=f"worker-{number}", daemon=True).start()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def hand_in(self, asked):
        """The job of this id: a new one that waits, or the one that there is."""
        with self._changed:
            job = self._jobs.get(asked["id"])
            asked = {**asked, "revision_asked": asked["revision"]}
            if job:
                if any(job.get(name) != asked.get(name) for name in SAME):
                    raise Differs(f"the job {asked['id']} is there already, and asks for something else")
                return shown(job)
            if len(self._waiting) >= self._settings.jobs_waiting_max:
                raise Busy(f"{len(self._waiting)} jobs wait already")
            if asked["mode"] == "check":
                self._refuse_beside(asked["host"])
            # Refused before it is a job: whoever hands it in is told at once.
            revision, _ = self._role(asked, asked["revision_asked"])
            job = {**asked, "revision": revision, "state": "waiting", "handed_in": self._clock(), "reported": False}
            self._end_older(job)
            self._keep(job)
            self._jobs[job["id"]] = job
            self._waiting.append(job["id"])
            self._changed.notify()
            return shown(job)

    def find(self, job_id):
        """A job, or none."""
        with self._changed:
            job = self._jobs.get(job_id)
            return shown(job) if job else None

    def reported(self, job_id):
        """The end of a job was heard, or given up: its token is of no more use."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job:
                job.update(reported=True, callback=None)
                self._keep(job)

    def end(self):
        """Ends what runs, without a word to anybody: the next runner calls it lost."""
        with self._changed:
            self._ended = True
            running = list(self._running)
        for job_id in running:
            play.end_processes(self._place(job_id))

    def _refuse_beside(self, host):
        for job in self._jobs.values():
            if job["host"] == host and job["state"] != "ended" and job["mode"] != "check":
                raise Occupied(f"the job {job['id']} is {job['state']} on the host {host}: check it when that has ended")

    def _end_older(self, newer):
        """A host has one job. A newer one ends the older, for whoever waited for that has given it up."""
        for job in self._jobs.values():
            if job["host"] != newer["host"] or job["state"] == "ended":
                continue
            self._cancelled.add(job["id"])
            if job["state"] == "waiting":
                self._waiting.remove(job["id"])
                self._finish(job, play.Ran("superseded", False, "a newer job came for this host", [], 0))

    def _work(self):
        while True:
            with self._changed:
                job = self._next()
                while not job:
                    self._changed.wait()
                    job = self._next()
                job["state"] = "running"
                self._running[job["id"]] = job["host"]
                self._keep(job)
            ran = self._run(job)
            with self._changed:
                del self._running[job["id"]]
                self._finish(job, ran)
                self._forget_old()
                self._changed.notify_all()

    def _next(self):
        busy = set(self._running.values())
        for job_id in self._waiting if not self._ended else []:
            if self._jobs[job_id]["host"] not in busy:
                self._waiting.remove(job_id)
                return self._jobs[job_id]
        return None

    def _role(self, job, revision):
        """Packages are changed by a role of the runner itself, which has no revisions."""
        return (None, packages.FOLDER) if job["mode"] == "packages" else self._roles.take(job["role"], revision)

    def _run(self, job):
        try:
            _, folder = self._role(job, job["revision"])
            cancelled = lambda: job["id"] in self._cancelled
            limit = self._settings.limit_seconds
            begun = lambda name, number: self._begun(job, name, number)
            return play.run(job, self._place(job["id"]), folder, self._settings, cancelled, limit, begun)
        except Refused as refused:
            return play.Ran("failed", False, str(refused), [], 0)
        except Exception as error:  # a fault of ours ends this job, and no other
            LOG.exception("the job %s could not be run", job["id"])
            return play.Ran("lost", False, play.clip(f"the runner failed: {error!r}"), [], 0)

    def _begun(self, job, name, number):
        with self._changed:
            job["task"] = {"name": name, "number": number}

    def _finish(self, job, ran):
        """Under the lock."""
        if self._ended:
            return
        job.pop("task", None)
        job.update(state="ended", ended=self._clock(), outcome=ran.outcome, changed=ran.changed,
                   message=ran.message, tasks=ran.tasks, tasks_left_off=ran.tasks_left_off,
                   changes=ran.changes, changes_left_off=ran.changes_left_off)
        if ran.packages:
            job.update(packages_changed=ran.packages.changed, packages_failed=ran.packages.failed,
                       reboot_pending=ran.packages.reboot_pending)
        self._cancelled.discard(job["id"])
        if ran.outcome == "superseded":
            job.update(reported=True, callback=None)
        self._keep(job)
        if not job["reported"]:
            self._reports.ended(dict(job), self.reported)

    def _beat(self):
        while True:
            time.sleep(self._settings.heartbeat_seconds)
            with self._changed:
                alive = [dict(job) for job in self._jobs.values() if job["state"] != "ended"]
            for job in alive:
                self._reports.alive(job)

    def _take_up(self):
        for name in sorted(os.listdir(self._folder)):
            try:
                with open(os.path.join(self._folder, name, "job.json"), encoding="utf-8") as file:
                    job = json.load(file)
            except (OSError, ValueError) as error:
                LOG.warning("what is left of a job in %s does not read, and is removed: %s", name, error)
                shutil.rmtree(os.path.join(self._folder, name), ignore_errors=True)
                continue
            # Of a runner that knew no other mode.
            job.setdefault("mode", "apply")
            self._jobs[job["id"]] = job
        waiting = [job for job in self._jobs.values() if job["state"] == "waiting"]
        self._waiting = [job["id"] for job in sorted(waiting, key=lambda job: job["handed_in"])]
        with self._changed:
            for job in list(self._jobs.values()):
                if job["state"] == "running":
                    play.end_processes(self._place(job["id"]))
                    self._finish(job, play.Ran("lost", False, "the runner ended while it was at work", [], 0))
                elif job["state"] == "ended" and not job["reported"]:
                    self._reports.ended(dict(job), self.reported)
            self._forget_old()

    def _forget_old(self):
        oldest = self._clock() - self._settings.keep_seconds
        for job in [job for job in self._jobs.values() if job["reported"] and job.get("ended", oldest) < oldest]:
            del self._jobs[job["id"]]
            shutil.rmtree(self._place(job["id"]), ignore_errors=True)

    def _place(self, job_id):
        return os.path.join(self._folder, hashlib.sha256(job_id.encode()).hexdigest()[:32])

    def _keep(self, job):
        """Written beside and moved: what is there is whole. Only we read it, for it holds the token of its callback."""
        place = self._place(job["id"])
        os.makedirs(place, mode=0o700, exist_ok=True)
        path = os.path.join(place, "job.json")
        with open(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(job, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)


def shown(job):
    """What others see of a job: not the token of its callback."""
    names = ("id", "mode", "host", "role", "revision", "state", "task", "outcome", "changed", "message", "tasks", "tasks_left_off",
             "changes", "changes_left_off", "packages", "packages_changed", "packages_failed", "reboot_pending")
    return {name: job[name] for name in names if name in job}
