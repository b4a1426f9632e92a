"""The roles of infra/roles on a host that is a folder, with a real dpkg database and packages that are built on the spot."""

import os
import shutil
import subprocess
import unittest

from support import HERE, RunnerTest

INFRA = os.path.dirname(os.path.dirname(HERE))
FOLDERS = ("etc", "usr/share", "var/log", "var/tmp", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers")


@unittest.skipUnless(shutil.which("dpkg") and shutil.which("dpkg-deb"), "dpkg is not installed")
class Roles(RunnerTest):
    def setUp(self):
        super().setUp()
        for folder in FOLDERS:
            os.makedirs(self.path("hosts/h-1", folder))
        for name in ("status", "available"):
            self.write(f"hosts/h-1/var/lib/dpkg/{name}", "")
        os.makedirs(self.path("packages"))
        for package in os.listdir(os.path.join(INFRA, "packages")):
            self.build(package)
        self.start(roles=os.path.join(INFRA, "roles"), variables={"package_folder": self.path("packages")})

    def build(self, package, version=None):
        source = self.path("sources", package)
        shutil.rmtree(source, ignore_errors=True)
        shutil.copytree(os.path.join(INFRA, "packages", package), source)
        os.chmod(os.path.join(source, "DEBIAN"), 0o755)
        if version:
            control = self.read(f"sources/{package}/DEBIAN/control")
            lines = [f"Version: {version}" if line.startswith("Version:") else line for line in control.splitlines()]
            self.write(f"sources/{package}/DEBIAN/control", "\n".join(lines) + "\n")
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", source, self.path("packages")], check=True, stdout=subprocess.DEVNULL)

    def installed(self):
        query = ["dpkg-query", f"--admindir={self.path('hosts/h-1/var/lib/dpkg')}", "-W", "-f=${Package} ${Version}\n"]
        return subprocess.run(query, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]

    def changed(self, job, role="web", **more):
        self.hand_in(job, role=role, **more)
        ended = self.end_of(job)
        self.assertEqual(ended["outcome"], "succeeded", ended)
        self.assertEqual(ended["changed"], bool(ended["tasks"]))
        return [task["task"] for task in ended["tasks"]]

    def test_files_and_packages_are_there_and_only_what_differs_is_changed_again(self):
        self.assertEqual(len(self.changed("first")), 3)
        self.assertEqual(self.installed(), ["hostler-agent 1.4.2-1", "hostler-web 2.1.0-1"])
        self.assertIn("listen = 8080", self.read("hosts/h-1/etc/hostler/web.conf"))
        self.assertEqual(self.changed("second"), [])
        # What was changed by hand is put right, and nothing else is touched.
        self.write("hosts/h-1/etc/hostler/web.conf", "listen = 80\n")
        self.assertEqual(self.changed("third"), ["Write the configuration"])
        self.assertIn("listen = 8080", self.read("hosts/h-1/etc/hostler/web.conf"))
        # A newer version is one by dpkg's own rules: 2.10 comes after 2.9, and an older one is left alone.
        for version in ("2.10.0-1", "2.9.0-1"):
            self.build("hostler-web", version)
        self.assertEqual(self.changed("fourth"), ["Install the packages below the root folder"])
        self.assertIn("hostler-web 2.10.0-1", self.installed())
        self.assertEqual(len(self.changed("other", role="db")), 3)
        self.assertIn("hostler-db 1.0.3-2", self.installed())

    def test_labels_make_the_role_fail_as_they_say(self):
        for label, outcome in [("fail", "failed"), ("fail-transient", "failed-transiently"), ("fail-once", "failed-transiently")]:
            self.hand_in(label, labels={"simulate.configure": label})
            ended = self.end_of(label)
            self.assertEqual((ended["outcome"], label in ended["message"]), (outcome, True), ended)
        self.changed("again", labels={"simulate.configure": "fail-once"})

    def test_a_host_without_a_system_is_not_configured(self):
        shutil.rmtree(self.path("hosts/h-1"))
        self.hand_in("a")
        ended = self.end_of("a")
        self.assertEqual(ended["outcome"], "failed")
        self.assertIn("no system is installed", ended["message"])


if __name__ == "__main__":
    unittest.main()
