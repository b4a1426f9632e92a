"""What comes of a run: the real ansible applies roles to hosts that are folders."""

import os

from support import RunnerTest

WRITES = """
- name: Write a file
  ansible.builtin.copy: {content: "for {{ inventory_hostname }} in {{ host_labels.site | default('no site') }}", dest: "{{ host_root }}/file", mode: "0644"}
"""
LOOPS = """
- name: Write several
  ansible.builtin.copy: {content: "in {{ item }}", dest: "{{ host_root }}/{{ item }}", mode: "0644"}
  loop: [one, two]
- name: Write a secret
  ansible.builtin.copy: {content: "hunter2", dest: "{{ host_root }}/secret", mode: "0644"}
  no_log: true
"""
TEMPLATES = """
- name: Write from a template
  ansible.builtin.template: {src: t.j2, dest: "{{ host_root }}/templated", mode: "0644"}
"""
MANY = """
- name: Write many
  ansible.builtin.copy: {content: "{{ 'x' * 5000 }}", dest: "{{ host_root }}/file-{{ item }}", mode: "0644"}
  loop: "{{ range(30) | list }}"
"""
FAILS = """
- name: Look whether it is fit
  ansible.builtin.fail: {msg: the disk is too small}
"""
SLEEPS = """
- name: Note that it runs
  ansible.builtin.copy: {content: "", dest: "{{ host_root }}/began", mode: "0644"}
- name: Take long
  ansible.builtin.wait_for: {timeout: 120}
"""


class Runs(RunnerTest):
    def test_a_role_is_applied_and_the_second_run_changes_nothing(self):
        self.role("web", WRITES)
        self.host("h-1")
        self.start()
        taken = self.hand_in(labels={"site": "berlin"})
        self.assertIn(taken["state"], ("waiting", "running"))
        ended = self.end_of(taken["id"])
        self.assertEqual((ended["outcome"], ended["changed"]), ("succeeded", True), ended)
        self.assertEqual(ended["tasks"], [{"task": "Write a file", "result": "changed", "message": ""}])
        self.assertEqual(self.read("hosts/h-1/file"), "for h-1 in berlin")
        self.until("the report", self.heard.ends)
        _, path, query, body = self.heard.reports[-1]
        self.assertEqual((path, query), ("/callbacks/configuration", {"host": "h-1", "step": taken["id"], "token": "secret"}))
        self.assertEqual((body["outcome"], body["revision"]), ("succeeded", taken["revision"]))
        self.hand_in("p-1/apply-role/2", labels={"site": "berlin"})
        again = self.end_of("p-1/apply-role/2")
        self.assertEqual((again["outcome"], again["changed"], again["tasks"]), ("succeeded", False, []))
        self.assertEqual(again["revision"], taken["revision"])
        # What a run needs goes with it.
        left = lambda: [name for _, folders, names in os.walk(self.path("state", "jobs")) for name in names]
        self.until("nothing but the jobs is left", lambda: left() == ["job.json", "job.json"])
        # Once its end is heard, the token of its callback is forgotten.
        kept = lambda: "".join(self.read(os.path.join("state/jobs", name, "job.json")) for name in os.listdir(self.path("state/jobs")))
        self.until("both tokens are forgotten", lambda: "secret" not in kept())

    def test_a_failed_task_is_told_with_its_own_message_and_only_some_are_worth_another_try(self):
        self.role("web", FAILS)
        self.host("h-1")
        self.start()
        self.hand_in("a")
        ended = self.end_of("a")
        self.assertEqual((ended["outcome"], ended["message"]), ("failed", "task 'Look whether it is fit' failed: the disk is too small"))
        self.write("roles/web/meta/hostler.yaml", "transient_tasks: [Look whether it is fit]\n")
        self.hand_in("b")
        self.assertEqual(self.end_of("b")["outcome"], "failed-transiently")
        self.role("web", "- name: Odd\n  ansible.builtin.no_such_module: {}\n")
        self.hand_in("c")
        ended = self.end_of("c")
        self.assertEqual(ended["outcome"], "failed")
        self.assertIn("no_such_module", ended["message"])

    def test_a_check_tells_what_the_role_would_change_and_changes_nothing(self):
        self.role("web", WRITES + LOOPS)
        self.host("h-1")
        self.start()
        self.hand_in("a")
        self.assertEqual(self.end_of("a")["outcome"], "succeeded")
        self.hand_in("b", mode="check")
        clean = self.end_of("b")
        self.assertEqual((clean["outcome"], clean["changed"], clean["changes"]), ("succeeded", False, []), clean)
        self.write("hosts/h-1/file", "by hand")
        self.write("hosts/h-1/two", "2")
        os.chmod(self.path("hosts/h-1/secret"), 0o644)
        self.write("hosts/h-1/secret", "by hand")
        self.hand_in("c", mode="check")
        ended = self.end_of("c")
        self.assertEqual((ended["outcome"], ended["changed"], ended["tasks"]), ("succeeded", True, []), ended)
        self.assertEqual(ended["changes"][0], {"task": "Write a file", "path": "/file", "diff": "-by hand\n+for h-1 in no site\n"})
        self.assertEqual(ended["changes"][1], {"task": "Write several", "path": "/two", "diff": "-2\n+in two\n"})
        # What a task does not log is not told either: that it would change something is.
        self.assertEqual(ended["changes"][2], {"task": "a task with no_log", "path": "", "diff": ""})
        self.assertEqual(len(ended["changes"]), 3, ended)
        self.assertEqual(self.read("hosts/h-1/file"), "by hand")
        self.until("the report", lambda: len(self.heard.ends()) == 3)
        self.assertEqual(self.heard.ends()[-1]["changes"], ended["changes"])
        self.assertEqual(self.heard.ends()[-1]["changesLeftOff"], 0)
        # The same id is the same job, and a check is none that applies.
        self.assertEqual(self.call("POST", "/jobs", self.job("c"))[0], 409)

    def test_a_check_names_the_file_of_the_host_whether_it_was_changed_or_is_missing(self):
        self.role("web", TEMPLATES)
        self.write("roles/web/templates/t.j2", "by the role\n")
        self.host("h-1")
        self.start()
        self.hand_in("a", mode="check")
        missing = {"task": "Write from a template", "path": "/templated", "diff": "+by the role\n"}
        self.assertEqual(self.end_of("a")["changes"], [missing])
        self.write("hosts/h-1/templated", "by hand\n")
        os.chmod(self.path("hosts/h-1/templated"), 0o644)
        self.hand_in("b", mode="check")
        changed = {**missing, "diff": "-by hand\n+by the role\n"}
        self.assertEqual(self.end_of("b")["changes"], [changed])

    def test_a_check_gives_way_to_whatever_else_is_done_to_its_host(self):
        self.role("web", SLEEPS)
        self.role("db", WRITES)
        self.host("h-1")
        self.start()
        self.hand_in("a")
        self.until("its first task", lambda: os.path.exists(self.path("hosts/h-1/began")))
        status, said = self.call("POST", "/jobs", self.job("b", role="db", mode="check"))
        self.assertEqual((status, said["error"]), (409, "occupied"), said)
        self.assertEqual(self.call("GET", "/jobs/a")[1]["state"], "running")
        self.hand_in("c", role="db")
        self.assertEqual(self.end_of("c")["outcome"], "succeeded")
        self.hand_in("d", role="db", mode="check")
        self.assertEqual(self.end_of("d")["changes"], [])

    def test_a_check_that_finds_very_much_is_bounded(self):
        self.role("web", MANY)
        self.host("h-1")
        self.start()
        self.hand_in("a", mode="check")
        ended = self.end_of("a")
        self.assertEqual((ended["outcome"], len(ended["changes"]), ended["changes_left_off"]), ("succeeded", 20, 10), ended)
        self.assertTrue(all(len(change["diff"]) == 1_000 for change in ended["changes"]))
        self.assertFalse(os.path.exists(self.path("hosts/h-1/file-0")))

    def test_an_older_revision_can_be_applied_again(self):
        self.role("web", WRITES)
        self.host("h-1")
        self.start()
        first = self.hand_in("a")["revision"]
        self.end_of("a")
        self.role("web", WRITES.replace("for", "now for"))
        self.assertNotEqual(self.hand_in("b")["revision"], first)
        self.end_of("b")
        self.assertEqual(self.read("hosts/h-1/file"), "now for h-1 in no site")
        self.hand_in("c", revision=first)
        self.end_of("c")
        self.assertEqual(self.read("hosts/h-1/file"), "for h-1 in no site")

    def test_nothing_in_a_label_is_a_template(self):
        self.role("web", WRITES)
        self.host("h-1")
        self.start()
        evil = "{{ lookup('pipe', 'touch " + self.path("pwned") + "') }}"
        self.hand_in("a", labels={"site": evil, "ansible_connection": "ssh", "a: b\n- c": "x"})
        self.assertEqual(self.end_of("a")["outcome"], "succeeded")
        self.assertEqual(self.read("hosts/h-1/file"), f"for h-1 in {evil}")
        self.assertFalse(os.path.exists(self.path("pwned")))

    def test_a_job_that_takes_too_long_is_ended(self):
        self.role("web", SLEEPS)
        self.host("h-1")
        self.start(limit_seconds=8)
        self.hand_in("a")
        ended = self.end_of("a")
        self.assertEqual((ended["outcome"], ended["message"]), ("timed-out", "it took longer than 8 s and was ended"))
        self.until("the end of all processes", lambda: self.left_over() == [])

    def test_a_host_that_cannot_be_reached_is_told_so(self):
        self.role("web", WRITES)
        self.start(root="", address="{host}.hostler.invalid")
        self.hand_in("a")
        ended = self.end_of("a")
        self.assertEqual(ended["outcome"], "unreachable", ended)

    def test_a_newer_job_on_a_host_ends_the_older(self):
        self.role("web", SLEEPS)
        self.role("db", WRITES)
        self.host("h-1")
        self.start()
        self.hand_in("a")
        self.until("its first task", lambda: os.path.exists(self.path("hosts/h-1/began")))
        self.hand_in("b", role="db")
        self.assertEqual(self.end_of("a")["outcome"], "superseded")
        self.assertEqual(self.end_of("b")["outcome"], "succeeded")
        self.until("the report", self.heard.ends)
        self.assertEqual([query["step"] for _, _, query, _ in self.heard.reports], ["b"])

    def test_a_runner_that_died_says_that_what_ran_is_lost_and_goes_on_with_what_waited(self):
        self.role("web", SLEEPS)
        self.role("db", WRITES)
        for host in ("h-1", "h-2"):
            self.host(host)
        self.start(jobs_at_once=1)
        self.hand_in("a")
        self.until("its first task", lambda: os.path.exists(self.path("hosts/h-1/began")))
        self.hand_in("b", host="h-2", role="db")
        self.kill()
        self.start(jobs_at_once=1)
        lost = self.end_of("a")
        self.assertEqual((lost["outcome"], lost["changed"]), ("lost", False))
        self.assertEqual(self.end_of("b")["outcome"], "succeeded")
        # Nothing of what was lost still works on its host.
        self.until("the end of all processes", lambda: self.left_over() == [])
        self.until("both reports", lambda: len(self.heard.ends()) == 2)

    def test_signs_of_life_are_sent_while_a_job_waits_or_runs_and_an_end_until_it_is_heard(self):
        self.role("web", SLEEPS.replace("120", "4"))
        for host in ("h-1", "h-2"):
            self.host(host)
        self.heard.answers = [503, 429]
        self.start(jobs_at_once=1, heartbeat_seconds=0.5)
        self.hand_in("a")
        self.hand_in("b", host="h-2")
        alive = lambda: {query["step"] for _, _, query, body in self.heard.reports if body["state"] == "running"}
        self.until("signs of life of both", lambda: alive() == {"a", "b"})
        at = lambda: [body["task"] for _, _, query, body in self.heard.reports if query["step"] == "a" and "task" in body]
        self.until("how far it is", lambda: {"name": "web : Take long", "number": 2} in at() or {"name": "Take long", "number": 2} in at())
        self.end_of("b")
        self.until("both ends", lambda: len(self.heard.ends()) == 2)


if __name__ == "__main__":
    import unittest

    unittest.main()
