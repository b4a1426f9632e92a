"""What comes of changes of packages: the real dpkg works on the databases of hosts that are folders."""

import os
import shutil
import subprocess
import unittest

from support import RunnerTest

REBOOTS = '#!/bin/sh\nset -e\nmkdir -p "$DPKG_ROOT/run"\ntouch "$DPKG_ROOT/run/reboot-required"\n'
FAILS = "#!/bin/sh\necho the disk is full >&2\nexit 1\n"


@unittest.skipUnless(shutil.which("dpkg-deb"), "there is no dpkg here")
class PackagesTest(RunnerTest):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("packages"))
        os.makedirs(self.path("hosts/h-1/var/lib/dpkg/info"))
        os.makedirs(self.path("hosts/h-1/var/lib/dpkg/updates"))
        for name in ("status", "available"):
            self.write(f"hosts/h-1/var/lib/dpkg/{name}", "")
        for name, version in (("openssl", "3.0-1~deb12u1"), ("openssl", "3.0-1~deb12u2"), ("curl", "1:8.0"), ("curl", "1:8.1")):
            self.package(name, version)

    def package(self, name, version, postinst=None):
        source = f"building/{name}-{version}"
        self.write(f"{source}/DEBIAN/control", f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n")
        self.write(f"{source}/usr/share/{name}", version)
        if postinst:
            self.write(f"{source}/DEBIAN/postinst", postinst)
            os.chmod(self.path(source, "DEBIAN/postinst"), 0o755)
        os.chmod(self.path(source, "DEBIAN"), 0o755)
        subprocess.run(["dpkg-deb", "--root-owner-group", "--build", self.path(source), self.path("packages")], check=True,
                       stdout=subprocess.DEVNULL)

    def install(self, *names):
        files = [self.path("packages", name) for name in names]
        flags = ["--force-not-root", "--force-script-chrootless", "--force-bad-path"]
        subprocess.run(["dpkg", f"--root={self.path('hosts/h-1')}", *flags, "--install", *files], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self, **settings):
        super().start(variables={"package_folders": [self.path("packages")]}, **settings)

    def change(self, name, packages, roll_back=False, host="h-1"):
        wanted = [{"package": package, "version": version} for package, version in packages]
        job = {"id": name, "mode": "packages", "host": host, "packages": wanted, "rollBack": roll_back,
               "callback": {"step": name, "token": "secret"}}
        status, said = self.call("POST", "/jobs", job)
        self.assertEqual(status, 202, said)
        return self.end_of(name)

    def has(self, host="h-1"):
        status, said = self.call("POST", "/packages", {"host": host})
        self.assertEqual(status, 200, said)
        return {package["name"]: package["version"] for package in said["packages"]}, said["rebootPending"]

    def test_packages_get_their_versions_and_are_rolled_back_and_a_host_without_one_is_not_touched(self):
        self.install("openssl_3.0-1~deb12u1_all.deb")
        self.start()
        self.assertEqual(self.has(), ({"openssl": "3.0-1~deb12u1"}, False))
        ended = self.change("a", [("openssl", "3.0-1~deb12u2"), ("curl", "1:8.1")])
        self.assertEqual(ended["outcome"], "succeeded", ended)
        changed = [{"package": "openssl", "from": "3.0-1~deb12u1", "to": "3.0-1~deb12u2"}]
        self.assertEqual((ended["packages_changed"], ended["packages_failed"]), (changed, []))
        self.assertEqual(self.has()[0], {"openssl": "3.0-1~deb12u2"})
        self.until("the report", lambda: self.heard.reports)
        _, path, query, body = self.heard.reports[-1]
        self.assertEqual((path, query["step"], body["state"]), ("/callbacks/configuration", "a", "packages-changed"))
        self.assertEqual((body["changed"], body["rebootPending"], body["outcome"]), (changed, False, "succeeded"))
        again = self.change("b", [("openssl", "3.0-1~deb12u2")])
        self.assertEqual((again["outcome"], again["packages_changed"]), ("succeeded", []))
        # What is newer than the fix has the fix: only who rolls back gets an older version.
        older = self.change("c", [("openssl", "3.0-1~deb12u1")])
        self.assertEqual((older["outcome"], older["packages_changed"]), ("succeeded", []))
        back = self.change("d", [("openssl", "3.0-1~deb12u1")], roll_back=True)
        self.assertEqual((back["outcome"], len(back["packages_changed"])), ("succeeded", 1), back)
        self.assertEqual(self.has()[0], {"openssl": "3.0-1~deb12u1"})

    def test_each_package_is_told_by_itself_and_a_reboot_that_is_asked_for_too(self):
        self.package("kernel", "1")
        self.package("kernel", "2", REBOOTS)
        self.package("db", "1")
        self.package("db", "2", FAILS)
        self.install("kernel_1_all.deb", "db_1_all.deb", "curl_8.0_all.deb")
        self.start()
        ended = self.change("a", [("kernel", "2"), ("db", "2"), ("curl", "1:8.9")])
        self.assertEqual((ended["outcome"], ended["reboot_pending"]), ("failed", True), ended)
        self.assertEqual(ended["packages_changed"], [{"package": "kernel", "from": "1", "to": "2"}])
        reasons = {failed["package"]: failed["reason"] for failed in ended["packages_failed"]}
        self.assertIn("the disk is full", reasons["db"])
        self.assertIn("there is no curl 1:8.9", reasons["curl"])
        self.assertIn("db: dpkg ended with", ended["message"])
        self.assertTrue(self.has()[1])

    def test_what_cannot_be_is_refused_before_it_is_a_job(self):
        self.start()
        job = {"id": "a", "mode": "packages", "host": "h-1", "packages": [{"package": "curl", "version": "1"}], "rollBack": False,
               "callback": {"step": "a", "token": "secret"}}
        for wrong in ({"packages": []}, {"packages": [{"package": "curl"}]}, {"rollBack": "no"}, {"role": "web"},
                      {"packages": [{"package": "curl", "version": "1"}] * 51}):
            status, said = self.call("POST", "/jobs", {**job, **wrong})
            self.assertEqual((status, said["error"]), (400, "malformed"), wrong)
        for wrong in ({}, {"host": "../h"}, {"host": "h-1", "more": 1}):
            self.assertEqual(self.call("POST", "/packages", wrong)[0], 400, wrong)
        self.assertEqual(self.call("POST", "/packages", {"host": "h-9"})[0], 422)
        self.assertEqual(self.call("POST", "/packages", {"host": "h-1"}, token="wrong")[0], 401)
        ended = self.change("b", [("curl", "1; reboot")])
        self.assertEqual(ended["outcome"], "failed", ended)
        self.assertIn("no packages with a version", ended["message"])

    def test_a_host_that_does_not_answer_is_told_so(self):
        self.start(root="", address="{host}.hostler.invalid")
        self.assertEqual(self.call("POST", "/packages", {"host": "h-1"})[0], 502)
        ended = self.change("a", [("curl", "1:8.1")])
        self.assertEqual(ended["outcome"], "unreachable", ended)
        self.assertEqual(ended["packages_changed"], [])

    def test_a_runner_that_died_says_that_the_change_is_lost(self):
        self.package("slow", "1")
        self.package("slow", "2", '#!/bin/sh\ntouch "$DPKG_ROOT/began"\nsleep 120\n')
        self.install("slow_1_all.deb")
        self.start()
        wanted = [{"package": "slow", "version": "2"}]
        job = {"id": "a", "mode": "packages", "host": "h-1", "packages": wanted, "rollBack": False,
               "callback": {"step": "a", "token": "secret"}}
        self.assertEqual(self.call("POST", "/jobs", job)[0], 202)
        self.until("its script", lambda: os.path.exists(self.path("hosts/h-1/began")))
        self.kill()
        self.start()
        self.assertEqual(self.end_of("a")["outcome"], "lost")
        lost = lambda: [body for _, _, _, body in self.heard.reports if body["state"] == "packages-changed"]
        self.until("the report", lost)
        self.assertEqual((lost()[0]["outcome"], lost()[0]["changed"]), ("lost", []))


if __name__ == "__main__":
    unittest.main()
