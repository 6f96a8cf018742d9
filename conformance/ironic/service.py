"""A standalone Ironic: API and conductor in one process on SQLite, without broker, Keystone or Neutron.

Everything it writes lies below the suite's scratch folder; its log below the suite's logs.
"""

import json
import os
import subprocess
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Iterator

from lib import procs

START = 90.0  # seconds, with imports from a cold disk

CONFIG = """
[DEFAULT]
auth_strategy = noauth
rpc_transport = none
transport_url = fake://
host = conformance
my_ip = 127.0.0.1
debug = true
state_path = {run}
tempdir = {run}/tmp
log_file = {log}
enabled_hardware_types = redfish
enabled_bios_interfaces = no-bios,redfish
enabled_boot_interfaces = ipxe,pxe,redfish-virtual-media
enabled_console_interfaces = no-console
enabled_deploy_interfaces = direct
enabled_firmware_interfaces = no-firmware,redfish
enabled_inspect_interfaces = redfish,no-inspect
enabled_management_interfaces = redfish,noop
enabled_network_interfaces = noop
enabled_power_interfaces = redfish
enabled_raid_interfaces = no-raid
enabled_rescue_interfaces = no-rescue
enabled_storage_interfaces = noop
enabled_vendor_interfaces = redfish,no-vendor

[api]
host_ip = 127.0.0.1
port = {port}

[database]
# The default of 5 s for a locked database is too short on a busy machine.
connection = sqlite:///{run}/ironic.db?timeout=60

[conductor]
automated_clean = false
# Power that others switched must show up soon and must not be undone.
# Each look costs Ironic the better part of a second of its own time (600,000 rounds of PBKDF2 for its session cache).
sync_power_state_interval = 20
force_power_state_during_sync = false
power_state_sync_max_retries = 3
file_url_allowed_paths = {run}/images-given

[deploy]
default_boot_mode = uefi
http_root = {run}/http
http_url = http://127.0.0.1:{http_port}

[dhcp]
dhcp_provider = none

[inventory]
data_backend = database

[oslo_messaging_notifications]
# Sensor readings end up as one JSON line each in the log.
driver = log

[pxe]
tftp_root = {run}/tftp
tftp_master_path = {run}/tftp-master
images_path = {run}/images
instance_master_path = {run}/images-master

[redfish]
# The defaults but for the first: a service that is not there is not waited for.
connection_attempts = 2
boot_mode_config_timeout = 60

[service_catalog]
auth_type = none
endpoint_override = http://127.0.0.1:{port}

[sensor_data]
send_sensor_data = true
interval = 30
enable_for_undeployed_nodes = true
enable_for_conductor = false
"""


class Ironic:
    """`with Ironic(port) as ironic:`"""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.port, self.http_port = port, port + 1
        self.run = Path(os.environ["CONF_WORK"]) / "ironic"
        self.bin = Path(os.environ["CONF_VENV"]) / "bin"
        self.log = Path(os.environ["CONF_LOGS"]) / "ironic.log"
        self.child: subprocess.Popen | None = None
        self.images: ThreadingHTTPServer | None = None

    def __enter__(self) -> "Ironic":
        folders = ("http", "tftp", "tftp-master", "images", "images-master", "images-given", "tmp")
        for name in folders:
            (self.run / name).mkdir(parents=True, exist_ok=True)
        for name in ("kernel", "ramdisk"):
            (self.run / "images-given" / name).write_bytes(b"not a ramdisk: nothing boots it\n")
        config = self.run / "ironic.conf"
        config.write_text(CONFIG.format(run=self.run, log=self.log, port=self.port, http_port=self.http_port))
        with (self.log.parent / "ironic-start.log").open("w") as out:
            subprocess.run([self.bin / "ironic-dbsync", "--config-file", config, "create_schema"], check=True,
                           stdout=out, stderr=out, cwd=self.run)
            self.child = subprocess.Popen([self.bin / "ironic", "--config-file", config], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=out, start_new_session=True, cwd=self.run)
        # Serves what Ironic publishes for machines to boot from.
        handler = partial(SimpleHTTPRequestHandler, directory=str(self.run / "http"))
        self.images = ThreadingHTTPServer(("127.0.0.1", self.http_port), handler)
        threading.Thread(target=self.images.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.images:
            self.images.shutdown()
        if self.child:
            procs.end(self.child, patience=20)

    def wait(self, answering) -> None:
        """Until its API answers."""
        deadline = time.monotonic() + START
        while not answering():
            if self.child.poll() is not None:
                raise RuntimeError(f"Ironic ended with {self.child.returncode}; see ironic-start.log and ironic.log")
            if time.monotonic() > deadline:
                raise RuntimeError(f"Ironic did not answer within {START:.0f} s")
            time.sleep(0.5)

    def kernel_and_ramdisk(self) -> dict[str, str]:
        """`driver_info` for what a node would boot into for cleaning."""
        given = self.run / "images-given"
        return {"deploy_kernel": f"file://{given}/kernel", "deploy_ramdisk": f"file://{given}/ramdisk"}

    def notifications(self, event: str) -> Iterator[dict]:
        """Payloads of the notifications of a type that have been logged so far."""
        with self.log.open(errors="replace") as lines:
            for line in lines:
                if event not in line or '{"' not in line:
                    continue
                try:
                    message = json.loads(line[line.index('{"'):])
                except ValueError:
                    continue
                if message.get("event_type") == event:
                    yield message["payload"]
