"""One node, its devices as processes that outlive rackfish, and a rackfish that can be told where to die."""

import signal
import threading
import time
from typing import Any

from lib.checks import Failure, equal
from lib.redfish import Client
from lib.service import Service
from lib.sims import Sim
from lib.toml import node, table

MAC = "52:54:00:00:0c:01"


class Rig:
    """`with Rig(name, kind, on=True) as rig:`"""

    def __init__(self, name: str, kind: str, *, on: bool, dark: bool = False) -> None:
        self.kind, self.on, self.dark = kind, on, dark
        self.fed = on or (kind == "mixed" and not dark)
        self.service = Service(name)
        self.bmc: Sim | None = None
        self.pdu: Sim | None = None
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
        self.service.end()
        for sim in (self.bmc, self.pdu):
            if sim:
                sim.end()

    def _devices(self) -> None:
        if self.kind != "pdu":
            extra = ["--on"] if self.on else []
            self.bmc = Sim(self.service.log.with_suffix(".bmc"), "ipmi", "--listen", "127.0.0.1:0", "--boot-delay", "1s",
                           "--soft-delay", "1s", "--cycle-off", "1s", *extra)
        if self.kind != "ipmi":
            extra = [] if self.fed else ["--off"]
            self.pdu = Sim(self.service.log.with_suffix(".pdu"), "pdu", "--listen", "127.0.0.1:0", "--outlets", "2",
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
        parts: list[str] = []
        keys: dict[str, Any] = {"macs": [MAC], "cpus": 4, "cpu_arch": "x86_64", "memory_gib": 8}
        if self.bmc:
            parts.append(table("endpoints.bmc", driver="ipmi", address="127.0.0.1", port=self.bmc.port, username="admin",
                               password="password"))
            keys |= {"host": "bmc", "controller_ready": "20s"}
        if self.pdu:
            parts.append(table("endpoints.pdu", driver="snmp-pdu", model="apc-rpdu2", address="127.0.0.1",
                               port=self.pdu.port, community="private", verify_every="200ms"))
            keys |= {"feeds": [{"unit": "pdu/1", "off_time": "1s"}]}
        self.service.configure(*parts, node("n1", **keys))

    def start(self, crash_at: str | None = None) -> None:
        """Starts rackfish; with a point, it will die there."""
        self.service.env = {"RACKFISH_INSECURE_CRASH_AT": crash_at} if crash_at else {}
        self.service.start()
        self.client = self.service.client()

    def dies(self) -> None:
        """It has to be dead soon, and by its own hand."""
        equal(self.service.ends(60), -signal.SIGABRT, "exit status at the point")

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
