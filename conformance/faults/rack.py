"""One rackfish before a rack of which most is out of order, each device in a way of its own.

All of them are ill at the same time, so that the healthy two among them have every reason to suffer.
"""

import threading
import time

from lib.checks import Failure, equal, expect
from lib.redfish import Answer, quietly
from lib.toml import node, table
from rig import Meter, Service, bmc, pdu, sim, system

# Where the simulated devices live; each has an address of its own, all of a kind share a port.
BMCS, PDUS = "127.77.1.", "127.77.2."
# A read may take that long on a machine with two busy cores; the slow devices here need 3 s for one answer, and a
# login takes several.
WORST = 4.0
# Polls are close together, so that there is always one under way; breakers close soon.
SICK = {"poll": "2s", "breaker_cool_down": "1s"}


class Bench:
    """The devices, the service before them, and what the themes ask of both."""

    def __init__(self) -> None:
        # The last of each kind is in good health.
        self.bmc_names = ["dead", "dying", "slow", "flapping", "foreign", "late", "full", "creds", "well"]
        self.pdu_names = ["pdead", "pdying", "pslow", "pflapping", "pforeign", "ptwice", "stuck", "sluggish",
                          "feed1", "feed2", "feed3", "pwell"]
        self.bmcs = sim("devices-bmcs", "ipmi", "--listen", f"{BMCS}1:0", "--count", str(len(self.bmc_names)), "--on")
        self.pdus = sim("devices-pdus", "pdu", "--listen", f"{PDUS}1:0", "--count", str(len(self.pdu_names)),
                        "--outlets", "4", "--relay-delay", "100ms")
        self.service = Service("devices")
        self.secret = self.service.work / "creds.password"
        self.switched = {"well": 0, "pwell": 0}
        self.slowest = 0.0
        self.trouble: list[str] = []
        self._end = threading.Event()

    def start(self) -> None:
        """Those that are dead from the start are so before anybody looks."""
        self.secret.write_text("password\n")
        self.secret.chmod(0o600)
        for name, fault in (("dead", "vanish=on"), ("slow", "delay=3s"), ("full", "table_full=on")):
            self.fault(name, fault)
        for name, fault in (("pdead", "vanish on"), ("pslow", "delay 3s")):
            self.fault(name, fault)
        parts = [table("patience", action="55s", refresh_after="1s")]
        for index, name in enumerate(self.bmc_names, 1):
            keys = {} if name == "well" else dict(SICK)
            if name == "slow":
                keys["timeout"] = "5s"
            if name == "creds":
                keys["password"] = {"file": str(self.secret)}
            parts += [bmc(name, self.bmcs.port, f"{BMCS}{index}", **keys), node(name, host=name)]
        for index, name in enumerate(self.pdu_names, 1):
            keys = {} if name == "pwell" else dict(SICK)
            if name == "pslow":
                keys["timeout"] = "5s"
            parts.append(pdu(name, self.pdus.port, f"{PDUS}{index}", **keys))
            if not name.startswith("feed"):
                parts.append(node(name, feeds=[f"{name}/1"]))
        parts.append(node("three", feeds=["feed1/1", "feed2/1", "feed3/1"]))
        self.service.configure(*parts, server={"watch": False})
        self.service.start()

    def end(self) -> None:
        """Ends everything."""
        self.service.__exit__()
        self.bmcs.end()
        self.pdus.end()

    def place(self, name: str) -> tuple[str, str]:
        """Which simulator, and how it calls the device."""
        if name in self.bmc_names:
            return "bmcs", f"@{self.bmc_names.index(name) + 1}"
        return "pdus", f"@{PDUS}{self.pdu_names.index(name) + 1}"

    def say(self, name: str, line: str) -> None:
        """A control line for one device."""
        which, at = self.place(name)
        getattr(self, which).tell(f"{at} {line}")

    def fault(self, name: str, what: str) -> None:
        """`vanish=on` of a BMC, `vanish on` of a PDU; `clear`."""
        self.say(name, f"fault {what}")

    def stats(self, name: str) -> dict:
        """A device's counters."""
        which, at = self.place(name)
        return getattr(self, which).stats(at)

    def moved(self, name: str, outlet: int = 1) -> dict[str, int]:
        """Transitions of the host of a BMC, or of an outlet."""
        stats = self.stats(name)
        if name in self.bmc_names:
            return {"on": stats["power_on"], "off": stats["power_off"]}
        counts = stats["outlets"][str(outlet)]
        return {"on": counts["on"], "off": counts["off"], "sets": counts["sets"]}

    def reset(self, name: str, kind: str) -> Answer:
        """A Reset; its answer."""
        return self.service.client(timeout=90).reset(system(name), kind)

    def off_and_on(self, name: str) -> None:
        """The healthy one is switched until the end: each command is answered well, and moves something once."""
        kinds = ("ForceOff", "On")
        while not self._end.is_set():
            kind = kinds[self.switched[name] % 2]
            begun = time.monotonic()
            answer = quietly(self.reset, name, kind)
            self.slowest = max(self.slowest, time.monotonic() - begun)
            if answer is None or answer.status not in (200, 204):
                self.trouble.append(f"{kind} of {name}: {answer}")
                return
            self.switched[name] += 1
            self._end.wait(0.3)

    def beside(self) -> "Beside":
        """What goes on beside the troubles."""
        return Beside(self)


class Beside:
    """Healthy devices are switched and everything is read, as long as the block runs."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        paths = [system(name) for name in (*bench.bmc_names, *bench.pdu_names) if not name.startswith("feed")]
        self.meter = Meter(bench.service.client(), [*paths, system("three"), "/redfish/v1/Systems"], pause=0.02)
        self._switchers = [threading.Thread(target=bench.off_and_on, args=(name,)) for name in bench.switched]

    def __enter__(self) -> "Beside":
        for name in self._bench.switched:
            self._bench.service.sees(name, "On")
        self.meter.start()
        for switcher in self._switchers:
            switcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bench._end.set()
        for switcher in self._switchers:
            switcher.join()
        self.meter.__exit__()

    def reads(self) -> None:
        """Nobody's read waited for a device."""
        self.meter.quick(least=200, worst=WORST)

    def switches(self) -> None:
        """Every command at a healthy device was carried out, once, without waiting for a dead one."""
        bench = self._bench
        expect(not bench.trouble, "; ".join(bench.trouble))
        for name, count in bench.switched.items():
            expect(count >= 10, f"{name} was switched only {count} times")
            moved = bench.moved(name)
            equal(moved["on"] + moved["off"], count, f"transitions of {name}")
        # The relay's own time and the off-time of the outlet are in it.
        if bench.slowest > 2 * WORST:
            raise Failure(f"a command at a healthy device took {bench.slowest:.1f} s")
