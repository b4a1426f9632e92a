"""One run of a role on one host, by ansible-runner."""

import dataclasses
import json
import os
import shutil
import signal
import sys
import time

import ansible_runner
import yaml

from . import packages
from .drift import Changes

TASKS_MAX = 50
NAME_CHARS_MAX = 120
TEXT_CHARS_MAX = 500
# What is told of a task that hides what it does.
HIDDEN = "a task with no_log"
# How often the processes of a job are looked for until none is left.
ROUNDS_MAX = 100
# The variable by which the processes of a job are found, also by a runner that was started anew.
MARK = "HOSTLER_CONFIGURATION_JOB"
LIBRARY = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "library")


@dataclasses.dataclass
class Ran:
    """How a run went."""

    outcome: str
    changed: bool
    message: str
    # The tasks that changed something or failed, as far as they are told.
    tasks: list
    # How many more there were.
    tasks_left_off: int
    # What the role would change, where it ran in check mode, and how many more changes there were.
    changes: list = dataclasses.field(default_factory=list)
    changes_left_off: int = 0
    # What came of packages, where they were changed.
    packages: object = None


class Tasks:
    """Takes in the events of a run."""

    def __init__(self, transient, changes=None, of_packages=None, begun=lambda name, number: None):
        self._transient, self._begun, self._number = transient, begun, 0
        self.packages = of_packages
        # What would be changed, in check mode: nothing is.
        self.would = changes
        self.tasks, self.left_off = [], 0
        self.failed, self.unreachable, self.changed = None, None, False
        self.is_transient = False
        self.said = []
        self._changed_tasks = 0

    def heard(self, event):
        """One event of ansible-runner. None is kept on disk."""
        kind, data = event.get("event", ""), event.get("event_data") or {}
        result = data.get("res") or {}
        if kind == "playbook_on_task_start":
            self._number += 1
            self._begun(clip(data.get("task") or "?", NAME_CHARS_MAX), self._number)
        if kind == "runner_on_ok" and self.packages and "packages_changed" in result:
            self.packages.heard(result)
        if kind == "runner_on_ok" and result.get("changed"):
            self._has_changed(data, result)
        elif kind == "runner_on_failed" and not data.get("ignore_errors"):
            message = message_of(result)
            self.failed = (data.get("task") or "?", message)
            self.is_transient = data.get("task") in self._transient
            self._note(data, "failed", message)
        elif kind == "runner_on_unreachable":
            self.unreachable = message_of(result)
            self._note(data, "unreachable", self.unreachable)
        elif kind == "playbook_on_stats":
            # Of a task with no_log nothing is told, but that it changed something is counted.
            for _ in range(sum((data.get("changed") or {}).values()) - self._changed_tasks):
                self._has_changed({"task": HIDDEN}, {})
        elif kind in ("error", "verbose") and event.get("stdout", "").strip():
            self.said = [*self.said[-4:], event["stdout"].strip()]
        return False

    def _has_changed(self, data, result):
        self.changed = True
        self._changed_tasks += 1
        if self.would is None:
            self._note(data, "changed", "")
        else:
            self.would.heard(clip(data.get("task") or "?", NAME_CHARS_MAX), result, str(data.get("task_args") or ""))

    def _note(self, data, result, message):
        if len(self.tasks) >= TASKS_MAX:
            # The last one is why it ended.
            if result == "changed":
                self.left_off += 1
                return
            self.tasks.pop()
            self.left_off += 1
        name = clip(data.get("task") or "?", NAME_CHARS_MAX)
        self.tasks.append({"task": name, "result": result, "message": clip(message)})


def run(job, folder, role_folder, settings, is_cancelled, limit_seconds, begun):
    """Applies a role to a host. `folder` is the job's, and what the run leaves there is removed. `begun` is told of each task."""
    place = os.path.join(folder, "run")
    shutil.rmtree(place, ignore_errors=True)
    for name in ("project", "tmp", "env"):
        os.makedirs(os.path.join(place, name), mode=0o700)
    reach = reached(job["host"], place, settings)
    write(place, "project/play.yaml", [{"hosts": "all", "gather_facts": False, "roles": [job["role"]]}])
    write(place, "inventory.yaml", {"all": {"hosts": {job["host"]: reach}}})
    write(place, "variables.yaml", {**settings.variables, **variables_of(job)})
    with open(os.path.join(place, "labels.yaml"), "w", encoding="utf-8") as file:
        file.write(labels_as_yaml(job["labels"]))
    is_check = job["mode"] == "check"
    would = Changes(reach["host_root"]) if is_check else None
    of_packages = packages.Changes() if job["mode"] == "packages" else None
    tasks = Tasks(transient_tasks(os.path.join(role_folder, job["role"])), would, of_packages, begun)
    runner = ansible_runner.interface.init_runner(
        private_data_dir=place,
        playbook="play.yaml",
        inventory=os.path.join(place, "inventory.yaml"),
        roles_path=role_folder,
        cmdline="-e @../variables.yaml -e @../labels.yaml" + (" --check --diff" if is_check else ""),
        envvars=environment(place, folder),
        settings={"job_timeout": limit_seconds, "pexpect_timeout": 1, "idle_timeout": 0},
        quiet=True,
        event_handler=tasks.heard,
        cancel_callback=is_cancelled,
    )
    # By this interpreter: the scripts beside it name the place where the environment was made, which may be another.
    runner.config.command = [sys.executable, "-m", "ansible", "playbook", *runner.config.command[1:]]
    try:
        status, code = runner.run()
    finally:
        end_processes(folder)
        shutil.rmtree(place, ignore_errors=True)
    return judged(tasks, status, code, limit_seconds)


def judged(tasks, status, code, limit_seconds):
    """What the end of ansible-playbook means. Its exit code alone does not say: 4 is a host that could not be reached, and a role
    that cannot be parsed as well."""
    would = (tasks.would.changes, tasks.would.left_off) if tasks.would else ([], 0)
    told = (tasks.tasks, tasks.left_off, *would, tasks.packages)
    ran = lambda outcome, message: Ran(outcome, tasks.changed, clip(message), *told)
    failed = tasks.packages.message() if tasks.packages else None
    if status == "successful":
        return ran("failed", failed) if failed else ran("succeeded", "")
    if status == "canceled":
        return ran("superseded", "it was ended for a newer job on this host")
    if status == "timeout":
        return ran("timed-out", f"it took longer than {limit_seconds:g} s and was ended")
    if tasks.unreachable is not None and tasks.failed is None:
        return ran("unreachable", f"the host could not be reached: {tasks.unreachable}")
    if tasks.failed is not None:
        task, message = tasks.failed
        outcome = "failed-transiently" if tasks.is_transient else "failed"
        return ran(outcome, f"task {task!r} failed: {message}")
    said = " / ".join(tasks.said) or "it said nothing"
    return ran("failed", f"ansible-playbook ended with {code}: {said}")


def variables_of(job):
    """What the runner's own role for packages is told."""
    if job["mode"] != "packages":
        return {}
    return {"package_changes": job["packages"], "package_roll_back": job["rollBack"]}


def environment(place, folder):
    """What ansible sees beside the runner's own environment. No configuration of the machine or the user has a say."""
    config = os.path.join(place, "ansible.cfg")
    with open(config, "w", encoding="utf-8") as file:
        file.write("[defaults]\n")
    return {
        "ANSIBLE_CONFIG": config,
        "ANSIBLE_HOME": os.path.join(place, "tmp"),
        "ANSIBLE_LOCAL_TEMP": os.path.join(place, "tmp"),
        "ANSIBLE_LIBRARY": os.path.realpath(LIBRARY),
        "ANSIBLE_GATHERING": "explicit",
        "ANSIBLE_NOCOLOR": "true",
        "ANSIBLE_PIPELINING": "true",
        "ANSIBLE_DEPRECATION_WARNINGS": "false",
        "ANSIBLE_FORKS": "1",
        # Their events then have the arguments of tasks, which name files that are missing on the host.
        "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "true",
        MARK: folder,
    }


def reached(host, place, settings):
    """The variables of a host in the inventory: how it is reached. `host_root` is empty on a machine of its own."""
    if settings.root:
        return {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ansible_remote_tmp": os.path.join(place, "tmp"),
            "host_root": settings.root.replace("{host}", host),
        }
    by_ssh = {"ansible_host": settings.address.replace("{host}", host), "host_root": ""}
    if settings.user:
        by_ssh["ansible_user"] = settings.user
    if settings.key_file:
        by_ssh["ansible_ssh_private_key_file"] = settings.key_file
    return by_ssh


def labels_as_yaml(labels):
    """Labels as one variable, each marked as unsafe: nothing in a label is a template, which could run programs here."""
    lines = [f"  {json.dumps(key)}: !unsafe {json.dumps(value)}" for key, value in sorted(labels.items())]
    return "\n".join(["host_labels:", *lines]) + "\n" if lines else "host_labels: {}\n"


def transient_tasks(role):
    """The tasks of a role whose failure is worth another try, by their names: `transient_tasks` in its meta/hostler.yaml."""
    try:
        with open(os.path.join(role, "meta", "hostler.yaml"), encoding="utf-8") as file:
            said = yaml.safe_load(file) or {}
        return set(said.get("transient_tasks") or [])
    except (OSError, AttributeError, TypeError, yaml.YAMLError):
        return set()


def write(place, name, document):
    with open(os.path.join(place, name), "w", encoding="utf-8") as file:
        json.dump(document, file)


def message_of(result):
    """What a task says of its failure itself."""
    parts = [result.get("msg"), result.get("stderr"), result.get("module_stderr")]
    texts = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
    if not texts and result.get("results"):
        failed = [item for item in result["results"] if isinstance(item, dict) and item.get("failed")]
        texts = [message_of(item) for item in failed[:3]]
    return clip(": ".join(texts) or "it gave no message")


def clip(text, chars_max=TEXT_CHARS_MAX):
    text = " ".join(str(text).split())
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"


def end_processes(folder):
    """Ends what is left of a job, its children in sessions of their own as well (Linux: as /proc shows them)."""
    mark = f"{MARK}={folder}".encode()
    for _ in range(ROUNDS_MAX):
        # One that was about to start another is ended, and the other in the next round.
        if not any([end_marked(int(entry), mark) for entry in listed_processes()]):
            return
        time.sleep(0.02)


def listed_processes():
    return [entry for entry in os.listdir("/proc") if entry.isdigit()] if os.path.isdir("/proc") else []


def end_marked(pid, mark):
    """Whether this process had the mark, and was ended."""
    if pid == os.getpid():
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            is_marked = mark in file.read().split(b"\0")
        if is_marked:
            os.kill(pid, signal.SIGKILL)
        return is_marked
    except OSError:
        return False  # it is not ours, or it has just ended
