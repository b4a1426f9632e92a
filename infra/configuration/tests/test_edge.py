"""What a runner takes, and what it refuses."""

import os
import unittest

from support import RunnerTest
from test_runs import WRITES

import runner.roles
import runner.settings


class Edge(RunnerTest):
    def test_without_the_token_nothing_is_told_and_nothing_done(self):
        self.role("web", WRITES)
        self.start()
        for token in (None, "", "t" * 31, "t" * 33):
            self.assertEqual(self.call("POST", "/jobs", self.job(), token=token)[0], 401, token)
            self.assertEqual(self.call("GET", "/jobs/a", token=token)[0], 401)
        self.assertEqual(self.call("GET", "/health", token=None), (200, {"status": "ok"}))
        self.assertEqual(self.call("GET", "/jobs/a")[0], 404)

    def test_what_is_no_job_is_refused_with_its_reason(self):
        self.role("web", WRITES)
        self.start()
        good = self.job()
        for broken, named in [
            ("{", "no JSON"),
            ("[]", "no JSON object"),
            ({**good, "shell": "id"}, "shell"),
            ({name: value for name, value in good.items() if name != "callback"}, "callback"),
            ({**good, "host": "../h-1"}, "host"),
            ({**good, "host": "h-1\n"}, "host"),
            ({**good, "id": "a b"}, "id"),
            ({**good, "labels": {"a": 1}}, "labels"),
            ({**good, "revision": 7}, "revision"),
            ({**good, "mode": "undo"}, "mode"),
            ({**good, "callback": {"step": "s", "token": ""}}, "callback.token"),
        ]:
            status, said = self.call("POST", "/jobs", broken)
            self.assertEqual(status, 400, said)
            self.assertIn(named, said["message"])
        self.assertEqual(self.call("POST", "/jobs", b"x" * 65_537)[0], 413)
        self.assertEqual(self.call("POST", "/else", good)[0], 404)

    def test_a_role_is_a_folder_of_plain_files_below_the_folder_of_roles_and_nothing_else(self):
        self.role("web", WRITES)
        self.write("elsewhere/tasks/main.yaml", WRITES)
        os.symlink(self.path("elsewhere"), self.path("roles/linked"))
        self.role("inside", WRITES)
        os.symlink("/etc/passwd", self.path("roles/inside/tasks/other.yaml"))
        os.makedirs(self.path("roles/empty"))
        self.start()
        for role in ("../elsewhere", "web/../../elsewhere", "/etc", "..", ".", "linked", "inside", "empty", "none", "Web", "web\n"):
            status, said = self.call("POST", "/jobs", self.job(role=role))
            self.assertEqual((status, said["error"]), (422, "no-such-role"), role)
        for revision in ("0" * 16, "../../elsewhere"):
            self.assertEqual(self.call("POST", "/jobs", self.job(revision=revision))[0], 422)
        self.assertFalse(os.path.exists(self.path("hosts")))

    def test_a_repeated_job_is_the_same_and_one_that_differs_is_refused(self):
        self.role("web", WRITES)
        self.role("db", WRITES)
        self.host("h-1")
        self.start()
        first = self.hand_in("a")
        self.assertEqual(self.hand_in("a")["revision"], first["revision"])
        ended = self.end_of("a")
        self.assertEqual(self.hand_in("a"), ended)
        status, said = self.call("POST", "/jobs", self.job("a", role="db"))
        self.assertEqual((status, said["error"]), (409, "differs"))
        self.until("the report", self.heard.ends)
        self.assertEqual(len(self.heard.ends()), 1)

    def test_more_jobs_than_may_wait_are_told_to_come_later(self):
        self.role("web", "- ansible.builtin.wait_for: {timeout: 60}\n")
        self.start(jobs_at_once=1, jobs_waiting_max=1)
        self.hand_in("a", host="h-1")
        self.until("it runs", lambda: self.call("GET", "/jobs/a")[1]["state"] == "running")
        self.hand_in("b", host="h-2")
        status, said = self.call("POST", "/jobs", self.job("c", host="h-3"))
        self.assertEqual((status, said["error"]), (503, "busy"))


class Revisions(unittest.TestCase):
    def test_a_revision_says_what_is_in_a_role(self):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            os.makedirs(os.path.join(folder, "roles", "web"))
            path = os.path.join(folder, "roles", "web", "a")
            taken = lambda: runner.roles.Roles(os.path.join(folder, "roles"), os.path.join(folder, "copies")).take("web")
            seen = set()
            for content, mode in (("x", 0o644), ("y", 0o644), ("y", 0o755)):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(content)
                os.chmod(path, mode)
                revision, place = taken()
                self.assertNotIn(revision, seen)
                seen.add(revision)
                self.assertEqual(taken(), (revision, place))
                with open(os.path.join(place, "web", "a"), encoding="utf-8") as file:
                    self.assertEqual(file.read(), content)


class Settings(unittest.TestCase):
    def test_settings_that_cannot_be_used_are_named(self):
        good = {"roles": "/", "state": "/s", "token": "t" * 32, "root": "/h/{host}"}
        self.assertEqual(runner.settings.check(good).jobs_at_once, 4)
        for change, named in [
            ({"rols": "/"}, "rols"),
            ({"token": ""}, "token"),
            ({"token": "short"}, "5 characters"),
            ({"root": "/h"}, "root"),
            ({"address": "{host}"}, "either address"),
            ({"jobs_at_once": 0}, "jobs_at_once"),
            ({"jobs_at_once": "4"}, "jobs_at_once"),
            ({"hostler_url": "ftp://x"}, "hostler_url"),
            ({"roles": "/no/such/folder"}, "no such folder"),
        ]:
            with self.assertRaises(runner.settings.BadSettings) as said:
                runner.settings.check({**good, **change})
            self.assertIn(named, str(said.exception))


if __name__ == "__main__":
    unittest.main()
