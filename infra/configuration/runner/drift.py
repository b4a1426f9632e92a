"""What a role in check mode would change on a host, as a report says it."""

import difflib
import re

CHANGES_MAX = 20
PATH_CHARS_MAX = 200
DIFF_CHARS_MAX = 1_000
# What a task was given to write, as it stands in the role.
WRITES = re.compile(r"(?:^|, )(?:dest|path)=(?:\{\{ *host_root *\}\})?([^,{}]+)")
# A longer text is compared by its first lines only.
TEXT_CHARS_MAX = 200_000


class Changes:
    """Takes in the results of tasks that would change something. `root` is the folder of a host that is one."""

    def __init__(self, root):
        self._root = root.rstrip("/")
        self.changes, self.left_off = [], 0

    def heard(self, task, result, arguments=""):
        """One task; one that loops has a result for each item. `arguments` are those of the role."""
        written = WRITES.search(arguments)
        otherwise = written.group(1).strip() if written else ""
        items = [item for item in result.get("results") or [] if isinstance(item, dict)]
        for item in [item for item in items if item.get("changed")] or [result]:
            found = [part for part in parts(item.get("diff")) if part] or [{}]
            for part in found:
                self._add(task, item, part, otherwise)

    def _add(self, task, item, part, otherwise):
        if len(self.changes) >= CHANGES_MAX:
            self.left_off += 1
            return
        # The other header names a file of ours. Of a file that is missing the result names neither.
        path = item.get("path") or item.get("dest") or part.get("before_header") or otherwise
        diff = part["prepared"] if isinstance(part.get("prepared"), str) else unified(part.get("before"), part.get("after"))
        self.changes.append({"task": task, "path": cut(self._on_host(str(path)), PATH_CHARS_MAX), "diff": cut(diff, DIFF_CHARS_MAX)})

    def _on_host(self, path):
        return path.removeprefix(self._root) if self._root else path


def parts(diff):
    """A module tells one difference or several, and some tell none."""
    return [part for part in (diff if isinstance(diff, list) else [diff]) if isinstance(part, dict)]


def unified(before, after):
    """The lines that differ. Ansible hides what a task with `no_log` would show, and so there is nothing of it here."""
    lines = list(difflib.unified_diff(lines_of(before), lines_of(after), lineterm="", n=0))
    return "".join(f"{line}\n" for line in lines if not line.startswith(("--- ", "+++ ", "@@")))


def lines_of(state):
    if isinstance(state, dict):
        return [f"{name}: {value}" for name, value in sorted(state.items()) if name != "path"]
    return str(state or "")[:TEXT_CHARS_MAX].splitlines()


def cut(text, chars_max):
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
