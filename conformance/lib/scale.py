"""A service in one process, its simulated rack in another, and what the kernel says of the service."""

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from pathlib import Path

from . import procs
from .checks import Failure
from .redfish import Client

TICK = os.sysconf("SC_CLK_TCK")
UP = 120.0  # seconds until a process has to be there


class Rack:
    """`rackfish sim rack`: devices that outlive the service."""

    def __init__(self, folder: Path, nodes: int, listen: str, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.nodes, self.config = folder, nodes, folder / "demo.toml"
        with (folder / "rack.log").open("w") as log:
            self.child = subprocess.Popen(
                [os.environ["RACKFISH_BIN"], "sim", "rack", "--nodes", str(nodes), "--redfish-nodes", "0", "--dir", str(folder),
                 "--listen", listen, *options],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True)
        if not self.child.stdout.readline():
            raise Failure(f"the rack did not come up: {(folder / 'rack.log').read_text()[-400:]}")
        self._link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._link.settimeout(60)
        self._link.connect(str(folder / "simulators.sock"))
        self._file = self._link.makefile("rw")

    def ask(self, **command: object) -> dict:
        """One line there, one line back."""
        self._file.write(json.dumps(command) + "\n")
        self._file.flush()
        return json.loads(self._file.readline())

    def totals(self) -> dict:
        """Packets, logins, sessions."""
        return self.ask(cmd="totals")

    def names(self, kind: int | None = None) -> list[str]:
        """Names of the nodes: all, or those of number modulo three (1: BMC, 2: outlet, 0: both)."""
        width = max(2, len(str(self.nodes)))
        return [f"node-{n:0{width}}" for n in range(1, self.nodes + 1) if kind is None or n % 3 == kind]

    def end(self) -> None:
        """Ends it."""
        self._link.close()
        procs.end(self.child)


class Service:
    """`rackfish serve` on a rack's configuration."""

    def __init__(self, rack: Rack, port: int) -> None:
        self.rack, self.port, self.folder = rack, port, rack.folder
        self.log = self.folder / "serve.log"
        self.password = ""
        self.child: subprocess.Popen | None = None
        self.started = 0.0

    def start(self) -> "Service":
        """Starts it; returns when it serves. `started` is how long that took, in seconds."""
        begun = time.monotonic()
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                [os.environ["RACKFISH_BIN"], "serve", "--config", str(self.rack.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        while True:
            if self.child.poll() is not None:
                raise Failure(f"rackfish serve ended with {self.child.returncode}: {self.log.read_text()[-600:]}")
            if time.monotonic() > begun + UP:
                raise Failure(f"rackfish serve does not serve after {UP:.0f} s")
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    pass
                if self.client().get("/redfish/v1/").status == 200:
                    break
            except (OSError, FileNotFoundError):
                time.sleep(0.02)
        self.started = time.monotonic() - begun
        if not self.password:
            self.password = (self.folder / "first-password").read_text().strip()
        return self

    def client(self, **more: object) -> Client:
        """An administrator."""
        return Client(f"https://127.0.0.1:{self.port}", "admin", self.password, str(self.folder / "tls/ca.pem"), **more)

    def metrics(self) -> dict[str, float]:
        """Sums of all samples of each metric."""
        sums: dict[str, float] = {}
        for line in self.client().get("/metrics").raw.decode().splitlines():
            found = re.match(r"^(\w+)(?:\{[^}]*\})? (\S+)$", line)
            if found and not line.startswith("#"):
                sums[found[1]] = sums.get(found[1], 0) + float(found[2])
        return sums

    def known(self) -> int:
        """How many nodes' power is known. Page by page: one answer with all would be measured too."""
        found, client = 0, self.client(timeout=120)
        for skip in range(0, self.rack.nodes, 100):
            page = client.read(f"/redfish/v1/Systems?$expand=.($levels=1)&$top=100&$skip={skip}")["Members"]
            found += sum(1 for system in page if system.get("PowerState"))
        return found

    def proc(self, name: str) -> str:
        """A file of the kernel about it."""
        return Path(f"/proc/{self.child.pid}/{name}").read_text()

    def status(self, key: str) -> int:
        """A number of `/proc/PID/status`."""
        return int(re.search(rf"^{key}:\s+(\d+)", self.proc("status"), re.MULTILINE)[1])

    @property
    def rss(self) -> float:
        """Resident memory, MB."""
        return self.status("VmRSS") / 1024

    @property
    def threads(self) -> int:
        """Threads."""
        return self.status("Threads")

    @property
    def descriptors(self) -> int:
        """Open files."""
        return len(os.listdir(f"/proc/{self.child.pid}/fd"))

    @property
    def cpu(self) -> float:
        """CPU seconds used, user and system."""
        fields = self.proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def kill(self) -> None:
        """As a power loss of its machine would."""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def end(self) -> None:
        """Ends it."""
        if self.child:
            procs.end(self.child, patience=40)


def rack_and_service(name: str, nodes: int, port: int, *options: str) -> tuple[Rack, Service]:
    """Both, in a folder of the suite; the service is not started yet."""
    folder = Path(os.environ["CONF_WORK"]) / f"{name}-{secrets.token_hex(3)}"
    rack = Rack(folder, nodes, f"127.0.0.1:{port}", *options)
    return rack, Service(rack, port)
