"""One node, its devices as processes that outlive rackfish, and a rackfish that can be told where to die."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

from lib import procs
from lib.checks import Failure, until
from lib.redfish import Client
from lib.sims import Sim

BIN = os.environ["RACKFISH_BIN"]
START = 40.0  # seconds; several rigs start at once on two cores
MAC = "52:54:00:00:0c:01"


class Rig:
    """`with Rig(name, kind, on=True) as rig:`"""

    def __init__(self, name: str, kind: str, *, on: bool, dark: bool = False) -> None:
        self.kind, self.on, self.dark = kind, on, dark
        self.fed = on or (kind == "mixed" and not dark)
        self.work = Path(os.environ["CONF_WORK"]) / name
        self.state = self.work / "state"
        self.state.mkdir(parents=True)
        self.log = Path(os.environ["CONF_LOGS"]) / f"{name}.log"
        self.bmc: Sim | None = None
        self.pdu: Sim | None = None
        self.child: subprocess.Popen | None = None
        self.client: Client | None = None
        self.system = "/redfish/v1/Systems/n1"
        self._wired = threading.Event()

    def __enter__(self) -> "Rig":
        try:
            self._devices()
            self._configure()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._wired.set()
        if self.child:
            procs.end(self.child)
        for sim in (self.bmc, self.pdu):
            if sim:
                sim.end()

    def _devices(self) -> None:
        if self.kind != "pdu":
            extra = ["--on"] if self.on else []
            self.bmc = Sim(self.log.with_suffix(".bmc"), "ipmi", "--listen", "127.0.0.1:0", "--boot-delay", "1s",
                           "--soft-delay", "1s", "--cycle-off", "1s", *extra)
        if self.kind != "ipmi":
            extra = [] if self.fed else ["--off"]
            self.pdu = Sim(self.log.with_suffix(".pdu"), "pdu", "--listen", "127.0.0.1:0", "--outlets", "2",
                           "--relay-delay", "300ms", *extra)
        if self.kind == "mixed":
            self.bmc.say(f"mains {'off' if self.dark else 'on'}")
            threading.Thread(target=self._wire, daemon=True).start()

    def _wire(self) -> None:
        """The outlet feeds the BMC."""
        fed = self.fed
        while not self._wired.wait(0.05):
            try:
                now = self.outlet()["is_on"]
            except (OSError, ValueError):
                return  # the devices have been ended
            if now != fed:
                fed = now
                self.bmc.say(f"mains {'on' if now else 'off'}")

    def _configure(self) -> None:
        text = ["[server]", 'listen = "127.0.0.1:0"', f'state_dir = "{self.state}"', ""]
        node = ["[nodes.n1]", f'macs = ["{MAC}"]', 'cpus = 4', 'cpu_arch = "x86_64"', 'memory_gib = 8']
        if self.bmc:
            text += ["[endpoints.bmc]", 'driver = "ipmi"', 'address = "127.0.0.1"', f"port = {self.bmc.port}",
                     'username = "admin"', 'password = "password"', ""]
            node += ['host = "bmc"', 'controller_ready = "20s"']
        if self.pdu:
            text += ["[endpoints.pdu]", 'driver = "snmp-pdu"', 'model = "apc-rpdu2"', 'address = "127.0.0.1"',
                     f"port = {self.pdu.port}", 'community = "private"', 'verify_every = "200ms"', ""]
            node += ['feeds = [{ unit = "pdu/1", off_time = "1s" }]']
        (self.work / "rackfish.toml").write_text("\n".join(text + node) + "\n")

    def start(self, crash_at: str | None = None) -> None:
        """Starts rackfish; with a point, it will die there."""
        env = {**os.environ, "RUST_BACKTRACE": "0"}
        if crash_at:
            env["RACKFISH_INSECURE_CRASH_AT"] = crash_at
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as log:
            self.child = subprocess.Popen([BIN, "serve", "--config", str(self.work / "rackfish.toml")], env=env,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def address() -> str | None:
            if self.child.poll() is not None:
                raise Failure(f"rackfish serve ended with {self.child.returncode}: {self.log.read_text()[-400:]}")
            with self.log.open() as log:
                log.seek(before)
                found = re.search(r"serving Redfish.*?(127\.0\.0\.1:\d+)", log.read())
            return f"https://{found[1]}" if found else None

        url = until(address, bool, START, "address in the log", pause=0.1)
        password = (self.state / "first-password").read_text().strip()
        self.client = Client(url, "admin", password, str(self.state / "tls" / "ca.pem"), timeout=60)
        until(self.answers, True, START, "answer of the service", pause=0.1)

    def answers(self) -> bool:
        """Whether Redfish answers."""
        try:
            return self.client.get("/redfish/v1/").status == 200
        except OSError:
            return False

    def dies(self) -> None:
        """It has to be dead soon, and by its own hand."""
        try:
            status = self.child.wait(60)
        except subprocess.TimeoutExpired:
            raise Failure("the point was never reached: rackfish still runs") from None
        if status != -6:  # SIGABRT
            raise Failure(f"rackfish ended with {status}, expected an abort")

    def outlet(self) -> dict:
        """Counters and state of the outlet."""
        counts = {"on": 0, "off": 0, **self.pdu.stats()["outlets"].get("1", {})}
        return {**counts, "is_on": self.fed + counts["on"] - counts["off"] > 0}

    def counts(self) -> dict[str, int]:
        """Transitions of what makes the node run, resets, and those of the mains."""
        found = {"on": 0, "off": 0, "reset": 0, "mains_on": 0, "mains_off": 0}
        if self.pdu:
            outlet = self.outlet()
            found["mains_on"], found["mains_off"] = outlet["on"], outlet["off"]
        if self.bmc:
            stats = self.bmc.stats()
            found.update(on=stats["power_on"], off=stats["power_off"], reset=stats["resets"])
        else:
            found.update(on=found["mains_on"], off=found["mains_off"])
        return found

    def rest(self, seconds: float = 75) -> dict[str, int]:
        """Waits until the service is done with the node and nothing changes any more. Returns the counts.

        After a death it gives a command that may have been sent the device's own time before it sends it again.
        """
        deadline, last, since = time.monotonic() + seconds, None, 0.0
        while time.monotonic() < deadline:
            body = self.client.read(self.system)
            busy = body["Oem"]["Rackfish"].get("Operation")
            now = (self.counts(), body["PowerState"], busy and busy["Step"])
            if now != last:
                last, since = now, time.monotonic()
            elif not busy and now[1] in ("On", "Off") and time.monotonic() - since > 3:
                return now[0]
            time.sleep(0.2)
        raise Failure(f"the node does not come to rest: {last}")
