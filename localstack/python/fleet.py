"""Runs sushy-emulator's Redfish service for many fake systems, tied to the process that started it.

Reads from settings.json in its work directory: `systems` (uuid, name, mac, uefi_http), `notify_url`, `notify_headers`, `username`, `password`,
`power_seconds` (shortest and longest delay of a power change). What differs from the stock emulator:

1. The delay of power changes is a setting. As in stock, a change shows only when the system is read.
2. State is kept in memory and not in SQLite, and a password is hashed once and not at every request:
   otherwise one process does not carry the polling of 200 hosts.
3. Virtual media are not downloaded at insertion. A BMC mounts them over the network, and the simulated
   host only looks at the address.
4. Some systems (`uefi_http`) have no virtual media and boot by UEFI HTTP. Stock has every system do both, keeps one address
   for all of them with libvirt's driver only, and says `Cd` where `UefiHttp` was set.
"""

import functools
import json
import logging
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bcrypt
import flask
import lifetime
import requests
from sushy_tools import error
from sushy_tools.emulator import auth_basic, memoize
from sushy_tools.emulator.resources import vmedia
from sushy_tools.emulator.resources.systems import fakedriver

LOG = logging.getLogger("fleet")


class Delay:
    """Stands in for the `random` module of the driver, which asks it for whole seconds from now."""

    def __init__(self, shortest, longest):
        self._shortest, self._longest = shortest, longest

    def randint(self, _low, _high):
        # The driver adds this to the time cut down to whole seconds.
        return time.time() % 1 + random.uniform(self._shortest, self._longest)


def keep_in_memory():
    """State in plain dictionaries: quick, and gone with the process."""
    memoize.PersistentDict = dict


def mount_by_address():
    """Insertion of media records the address; nothing is fetched, so there is no file to remove."""

    def get_image(self, image_url, auth, verify_media_cert, custom_cert):
        return os.path.basename((image_url or "").split("?", 1)[0]), image_url

    insert = vmedia.StaticDriver.insert_image

    def insert_image(self, identity, device, *args, **kwargs):
        path = insert(self, identity, device, *args, **kwargs)
        self._devices[(identity, device)].pop("_local_file", None)
        return path

    # Stock copies the device types by reference; in memory every system needs its own.
    get_device = vmedia.StaticDriver._get_device

    def own_device(self, identity, device):
        if (identity, device) not in self._devices and device in self._device_types:
            self._devices[(identity, device)] = dict(self._device_types[device])
        return get_device(self, identity, device)

    vmedia.StaticDriver._get_image = get_image
    vmedia.StaticDriver.insert_image = insert_image
    vmedia.StaticDriver._get_device = own_device


def boot_by_http(app, uuids):
    """Has these systems boot from an address, as a BMC without virtual media does: `HttpBootUri` is kept with the system,
    and the boot target is what was set."""

    def system_of(path):
        parts = path.strip("/").split("/")
        known = len(parts) >= 4 and parts[2] in ("Systems", "Managers") and parts[3] in uuids
        return (parts[3], parts[2], parts[4:]) if known else (None, None, None)

    @app.before_request
    def change():
        uuid, kind, below = system_of(flask.request.path)
        if uuid is None:
            return None
        if below[:1] == ["VirtualMedia"]:
            raise error.NotFound("this BMC has no virtual media")
        boot = (flask.request.get_json(silent=True) or {}).get("Boot") if flask.request.method == "PATCH" else None
        if kind != "Systems" or below or not boot:
            return None
        changes = {}
        if "HttpBootUri" in boot:
            changes["http_boot_uri"] = boot["HttpBootUri"] or None
        if boot.get("BootSourceOverrideTarget"):
            changes["boot_device"] = boot["BootSourceOverrideTarget"]
        if not changes:
            return None
        if changes.get("boot_device") == "Cd":
            raise error.BadRequest("this BMC boots no CD")
        app.systems._update(uuid, **changes)
        return "", 204

    @app.after_request
    def show(response):
        uuid, _, below = system_of(flask.request.path)
        if uuid is None or below or flask.request.method != "GET" or response.status_code != 200:
            return response
        shown = response.get_json()
        shown.pop("VirtualMedia", None)
        if "Boot" in shown:
            shown["Boot"]["BootSourceOverrideTarget@Redfish.AllowableValues"] = ["Pxe", "UefiHttp", "Hdd"]
            shown["Boot"]["HttpBootUri"] = app.systems._get(uuid).get("http_boot_uri")
        response.set_data(json.dumps(shown))
        return response


def notify_in_order(headers):
    """External notifications over one kept connection per thread; a lost one is logged, not an error of
    the request that caused it."""
    local = threading.local()

    def send(self, system):
        if not hasattr(local, "session"):
            local.session = requests.Session()
        try:
            local.session.put(self._config["EXTERNAL_NOTIFICATION_URL"], json=dict(system), headers=headers, timeout=5)
        except requests.RequestException as lost:
            LOG.warning("notification about %s was lost: %s", system["name"], lost)

    fakedriver.FakeDriver._send_external_notification = send


def hash_once(settings):
    """A password file as the emulator wants it, checked by the emulator, with the answers remembered."""
    path = os.path.join(os.environ["HOSTLER_WORK_DIR"], "passwords")
    digest = bcrypt.hashpw(settings["password"].encode(), bcrypt.gensalt(rounds=4)).decode()
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{settings['username']}:{digest}\n")
    # Refusals are exceptions, which lru_cache does not keep.
    auth_basic.authenticate = functools.lru_cache(maxsize=64)(auth_basic.authenticate)
    return path


def main():
    lifetime.watch_parent()
    lifetime.raise_file_limit()
    logging.basicConfig(level=logging.WARNING)
    with open(os.path.join(os.environ["HOSTLER_WORK_DIR"], "settings.json"), encoding="utf-8") as file:
        settings = json.load(file)
    keep_in_memory()
    mount_by_address()
    notify_in_order(settings["notify_headers"])
    fakedriver.random = Delay(*settings["power_seconds"])

    from sushy_tools.emulator.main import app
    from werkzeug.serving import WSGIRequestHandler, make_server

    app.configure(extra_config={
        "SUSHY_EMULATOR_FAKE_DRIVER": True,
        "SUSHY_EMULATOR_AUTH_FILE": hash_once(settings),
        "SUSHY_EMULATOR_FAKE_SYSTEMS": [
            {"uuid": s["uuid"], "name": s["name"], "power_state": "Off", "external_notifier": True,
             "nics": [{"mac": s["mac"], "ip": "192.0.2.1"}]}
            for s in settings["systems"]],
        "EXTERNAL_NOTIFICATION_URL": settings["notify_url"],
    })
    app.systems, app.managers, app.chassis, app.vmedia, app.indicators  # made once, before the threads

    boot_by_http(app, {s["uuid"] for s in settings["systems"] if s["uefi_http"]})

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_request(self, code="-", size="-"):
            pass

    listener = lifetime.listen()
    server = make_server("127.0.0.1", listener.getsockname()[1], app, threaded=True,
                         request_handler=Handler, fd=listener.fileno())
    lifetime.announce(listener.getsockname()[1])
    server.serve_forever()


main()
