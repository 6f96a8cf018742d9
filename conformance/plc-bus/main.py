"""Power-line boards written in Python behind rackfish, sushy in front; and rackfish's simulated boards under a master
written in Python."""

import os
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import sushy
from bus import TYPES, Boards, Master
from sushy import auth

from lib import procs
from lib.checks import Checks, equal, expect, until
from lib.redfish import Answer
from lib.service import BIN, LOGS, WORK, Service, mistaken, says, sound
from lib.toml import node, table

warnings.filterwarnings("ignore")
SYSTEMS = "/redfish/v1/Systems"
FIXTURES = Path(__file__).resolve().parents[2] / "fixtures/plc-bus"
LOCK = WORK / "OpenDCRE.lock"


class Walk:
    """All checks that need the service."""

    def __init__(self, checks: Checks, service: Service, boards: Boards, own: Boards, far: Boards) -> None:
        self.check, self.service, self.boards, self.own, self.far = checks.check, service, boards, own, far
        self.reader = service.client()
        basic = auth.BasicAuth(username="admin", password=service.password)
        self.root = sushy.Sushy(service.url, auth=basic, verify=str(service.ca))

    def system(self, name: str) -> dict:
        """As it is shown."""
        return self.reader.read(f"{SYSTEMS}/{name}")

    def shown(self, name: str) -> tuple[str | None, str | None]:
        """Power and how it is known."""
        body = self.system(name)
        return body["PowerState"], body["Oem"]["Rackfish"]["Power"].get("Origin")

    def reset(self, name: str, kind: str) -> Answer:
        """Through the independent client."""
        return self.reader.reset(f"{SYSTEMS}/{name}", kind)

    def settle(self, name: str, power: str) -> None:
        """Waits until it is shown."""
        until(lambda: self.shown(name), (power, "read"), 10, f"power of {name}")

    def run(self) -> None:
        """All of them."""
        self.power()
        self.about()
        self.boot()
        self.lost()
        self.broken()
        self.lines()

    def power(self) -> None:
        """Every power action, counted at the relay."""
        board = self.boards.boards[0x0A]
        with self.check("first-state"):
            for name in ("n1", "n2", "own", "far"):
                self.settle(name, "Off")
        system = self.root.get_system(f"{SYSTEMS}/n1")
        with self.check("sushy.allowed-resets"):
            offered = {value.value for value in system.get_allowed_reset_system_values()}
            equal(offered, {"On", "ForceOn", "ForceOff", "ForceRestart", "PowerCycle"}, "resets of a board")
        for name, kind, commands, on in (
                ("on", sushy.RESET_ON, ["P1"], True), ("restart", sushy.RESET_FORCE_RESTART, ["P0", "P1"], True),
                ("power-cycle", sushy.RESET_TYPE_POWER_CYCLE, ["P0", "P1"], True), ("off", sushy.RESET_FORCE_OFF, ["P0"], False)):
            with self.check(f"sushy.{name}"):
                commanded, moved = len(board.commands), board.moves
                system.reset_system(kind)
                equal((board.commands[commanded:], board.moves - moved, board.on), (commands, len(commands), on), "relay")
                system.refresh(force=True)
                equal((system.power_state.value == "On", self.shown("n1")[1]), (on, "read"), "power state")
        with self.check("feed"):
            equal(self.reset("n2", "On").status, 204, "status")
            equal(self.boards.boards[0x0B].commands, ["P1"], "commands of board b")
        with self.check("own-cycle"):
            own = self.own.boards[0x21]
            equal(self.reset("own", "On").status, 204, "status of On")
            equal(self.reset("own", "PowerCycle").status, 204, "status of PowerCycle")
            equal((own.commands, own.moves), (["P1", "PC"], 3), "relay")
        with self.check("switched-by-hand"):
            board.set(True)
            self.settle("n1", "On")
            # An equal ForceOff soon after the last would be answered from memory.
            equal((self.reset("n1", "On").status, board.moves), (204, moved + 2), "On of what is on")
        with self.check("socket"):
            equal(self.reset("far", "On").status, 204, "status")
            equal(self.far.boards[0x31].on, True, "relay behind the serial server")

    def about(self) -> None:
        """What a board tells."""
        with self.check("sensors"):
            def readings() -> dict:
                members = self.reader.read("/redfish/v1/Chassis/n1/Sensors?$expand=.")["Members"]
                return {m["Id"]: (m["Reading"], m["ReadingUnits"]) for m in members}
            wanted = {
                "thermistor-01ff": (28.78, "Cel"), "humidity-02ff": (38.43, "%"), "humidity-02ff-temperature": (16.24, "Cel"),
                "fan_speed-0400": (4100, "{rev}/min"), "power-0001-input-power": (198.58, "W"),
                "power-0001-input-voltage": (12.5, "V"), "power-0001-output-current": (15.88, "A")}

            def seen() -> dict:
                return {name: (round(value, 2) if value else value, unit) for name, (value, unit) in readings().items()}
            until(seen, wanted, 10, "readings")
        with self.check("inventory"):
            body = self.system("n1")
            found = {key: body[key] for key in ("Manufacturer", "Model", "SerialNumber", "AssetTag")}
            equal(found, {"Manufacturer": "Maker", "Model": "Node Model", "SerialNumber": "SN-10", "AssetTag": "tag-10"}, "identity")
        with self.check("indicator"):
            for word, led in (("Lit", "1"), ("Off", "0")):
                answer = self.reader.patch(f"{SYSTEMS}/n1", {"IndicatorLED": word})
                equal((answer.status, self.boards.boards[0x0A].led), (200, led), f"light ({answer})")
        with self.check("cli.endpoint-show"):
            said = says("endpoint", "show", "bus", "--config", str(self.service.config))
            expect("plc-bus" in said and "0000000a/01ff" in said, f"it says {said}")
        with self.check("cli.probe"):
            says("endpoint", "probe", "bus", "--config", str(self.service.config))

    def boot(self) -> None:
        """A boot target for one start, and for all."""
        board = self.boards.boards[0x0A]
        system = self.root.get_system(f"{SYSTEMS}/n1")
        for name, enabled, wanted in (("once", sushy.BOOT_SOURCE_ENABLED_ONCE, ["B2", "B0"]),
                                      ("continuous", sushy.BOOT_SOURCE_ENABLED_CONTINUOUS, ["B2", "B2"])):
            with self.check(f"boot.{name}"):
                self.reset("n1", "ForceOff")
                system.set_system_boot_options(sushy.BOOT_SOURCE_TARGET_PXE, enabled=enabled)
                started = len(board.starts)
                for kind in ("On", "ForceOff", "On"):
                    equal(self.reset("n1", kind).status, 204, f"status of {kind}")
                equal(board.starts[started:], wanted, "boot targets at two starts")
        system.set_system_boot_options(enabled=sushy.BOOT_SOURCE_ENABLED_DISABLED)

    def lost(self) -> None:
        """Answers that are lost or spoilt: the relay moves once, and `?` never follows a command."""
        board, own = self.boards.boards[0x0A], self.own.boards[0x21]
        for name, fault in (("lost", self.boards.lose), ("spoilt", self.boards.spoil)):
            for kind, word, on in (("ForceOff", "P0", False), ("On", "P1", True)):
                with self.check(f"{name}-answer.{kind.lower()}"):
                    self.boards.heard.clear()
                    moved = board.moves
                    fault.append(word)
                    equal(self.reset("n1", kind).status, 204, "status")
                    equal((board.moves - moved, board.on), (1, on), "relay")
                    asked = [said for said in self.boards.heard if said.startswith("0000000a/")]
                    after = [asked[n + 1] for n, said in enumerate(asked[:-1]) if said.endswith(("P0", "P1"))]
                    expect(all(not said.endswith("?") or said.endswith("P?") for said in after), f"after a command: {after}")
        for name, fault in (("lost", self.own.lose), ("spoilt", self.own.spoil)):
            with self.check(f"{name}-answer.cycle"):
                equal(self.reset("own", "On").status, 204, "status of On")
                commands, moves = len(own.commands), own.moves
                fault.append("PC")
                answer = self.reset("own", "PowerCycle")
                equal((answer.status, own.commands[commands:], own.moves - moves), (503, ["PC"], 2), f"cycle ({answer})")
                expect("not known" in answer.message, f"the error says {answer.message}")
        with self.check("spoilt-reading"):
            self.boards.heard.clear()
            self.boards.spoil += ["R", "P?"]
            until(lambda: list(self.boards.spoil), [], 10, "answers that are still to be spoilt")
            # It is read again; to `?` some boards would carry out their last command once more.
            expect(not any(said.endswith(" ?") for said in self.boards.heard), f"asked to answer again: {self.boards.heard}")
            equal(self.shown("n1"), ("On", "read"), "power")

    def broken(self) -> None:
        """Boards that are stuck or dead, and a line that babbles."""
        board = self.boards.boards[0x0A]
        with self.check("stuck-relay"):
            board.stuck = True
            answer = self.reset("n1", "ForceOff")
            equal(answer.status, 503, f"status ({answer})")
            expect("still shows On" in answer.message, f"the error says {answer.message}")
            board.stuck = False
        with self.check("dead-board"):
            board.gone = True
            until(lambda: "0000000a" in str(self.system("n1")["Status"].get("Conditions")), True, 10, "condition of n1")
        with self.check("dead-board.neighbour"):
            equal((self.reset("n2", "ForceOff").status, self.shown("n2")), (204, ("Off", "read")), "neighbour")
            board.gone = False
            until(lambda: self.system("n1")["Status"].get("Conditions"), None, 10, "condition of n1")
        with self.check("babble"):
            self.boards.babble = True
            begun = time.monotonic()
            answer = self.reset("n2", "On")
            expect(answer.status == 503 and time.monotonic() - begun < 25, f"{time.monotonic() - begun:.0f} s, {answer}")
            self.boards.babble = False
            until(lambda: self.reset("n2", "On").status, 204, 15, "status of On", pause=0.5)

    def lines(self) -> None:
        """Adapters and lock files."""
        board = self.boards.boards[0x0A]
        with self.check("adapter.pulled"):
            self.boards.pull()
            answer = self.reset("n1", "ForceOff")
            equal(answer.status, 503, f"status ({answer})")
            expect("bus" in answer.message and board.on, f"the error says {answer.message}")
        with self.check("adapter.others"):
            begun = time.monotonic()
            equal(self.reset("own", "ForceOff").status, 204, "status on another bus")
            expect(time.monotonic() - begun < 3, f"it took {time.monotonic() - begun:.1f} s")
        with self.check("adapter.back"):
            self.boards.plug()
            until(lambda: self.reset("n1", "ForceOff").status, 204, 15, "status of ForceOff", pause=0.5)
            equal((board.on, self.shown("n1")), (False, ("Off", "read")), "relay")
        held = Path(f"{LOCK}.lock")
        with self.check("lock.held"):
            # As another process of this machine that lives: the suite itself.
            owner = LOCK.with_name(f"{socket.gethostname()}-7f00.{os.getpid()}-1")
            owner.write_text("")
            until(lambda: linked(owner, held), True, 5, "lock", pause=0.001)
            answer = self.reset("own", "On")
            equal(answer.status, 503, f"status ({answer})")
            expect("OpenDCRE.lock" in answer.message, f"the error says {answer.message}")
            held.unlink()
            owner.unlink()
            until(lambda: self.reset("own", "On").status, 204, 10, "status of On", pause=0.5)
        with self.check("lock.stale"):
            dead = subprocess.Popen(["true"])
            dead.wait()
            owner = LOCK.with_name(f"{socket.gethostname()}-7f00.{dead.pid}-1")
            owner.write_text("")
            until(lambda: linked(owner, held), True, 5, "lock", pause=0.001)
            # Its process may be another machine's or container's: a minute is left to it.
            equal(self.reset("own", "ForceOff").status, 503, "status at first")
            until(lambda: self.reset("own", "ForceOff").status, 204, 90, "status", pause=2)
            expect("stale lock" in self.service.log.read_text(), "the log says nothing about it")
        with self.check("lock.tty-is-free"):
            # Between two exchanges the line is anybody's.
            until(lambda: opened(self.own.link), True, 5, "the tty")


def linked(owner: Path, lock: Path) -> bool:
    """Takes the lock as OpenDCRE does."""
    try:
        lock.hardlink_to(owner)
    except FileExistsError:
        return False
    return True


def opened(path: Path) -> bool:
    """Whether a master may open it now."""
    try:
        Master(str(path)).close()
    except Exception:
        return False
    return True


class Simulated:
    """`rackfish sim plc-bus` and a master."""

    def __init__(self, *options: str) -> None:
        self.child = subprocess.Popen([BIN, "sim", "plc-bus", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                      stderr=(LOGS / "sim.log").open("a"), start_new_session=True)
        self.path = self.child.stdout.readline().removeprefix("ready ").strip()

    def __enter__(self) -> Master:
        self.master = Master(self.path)
        return self.master

    def __exit__(self, *_: object) -> None:
        self.master.close()
        procs.end(self.child)


def simulator(checks: Checks) -> None:
    """Our boards, asked by a stranger."""
    power, thermistor = TYPES["power"], TYPES["thermistor"]
    with checks.check("sim.rack"), Simulated("--boards", "2") as master:
        equal(len(master.scan(0x80000000 | 0x41454B)), 12, "devices of two boards")
        equal({of for of, _, _ in master.scan(2)}, {2}, "board that answers its own scan")
        said = [master.ask(power, 1, 0x0100, word) for word in (b"P?", b"P1", b"P?", b"P0")]
        equal([text.split(",")[0] for text in said], ["64", "0", "0", "64"], "status words")
        equal(master.ask(thermistor, 1, 0x01FF, b"R"), "656", "thermistor")
        equal((master.ask(thermistor, 1, 0x0CFF, b"R"), master.ask(0xFF, 9, 0xFFFF, b"V")), (None, None), "wrong type, no board")
    with checks.check("sim.emulator"), Simulated(str(FIXTURES / "f-bus.json")) as master:
        equal(len(master.scan(0)), 6, "devices of board 0")
        equal(master.scan(0xB4), [], "a scan with a bad trailer")
        equal([master.ask(power, 0x1E, 0x01FF, b"P?") for _ in range(7)][::2],
              ["0,0,0,0", "2048,0,0,0", "2064,0,0,0", "0,0,0,0"], "list of answers, round and round")
        equal([master.ask(power, 0x1E, 0x06FF, b"P?") for _ in range(2)], ["0", None], "list of one, once")
        equal(len(master.ask(0xFF, 0x12, 0xFFFF, b"V")), 100, "long version")
    for mode in ([], ["--compat"]):
        with checks.check(f"sim.emulator-order{''.join(mode)}"), Simulated(*mode, str(FIXTURES / "f-emu.json")) as master:
            for board in range(0x10, 0x15):
                said = [master.ask(thermistor, board, 0x01FF, b"R"), master.ask(power, board, 0x02FF, b"P?"),
                        master.ask(0xFF, board, 0xFFFF, b"V")]
                equal(said, ["656", "0,0,0,0", "12345"] if board <= 0x12 else [None] * 3, f"board {board:x}")
                if board == 0x14:
                    equal(master.sequence, 46, "number of the next frame")
            for count in range(42):
                equal(master.ask(TYPES["temperature"], 1, 0x01FF, b"R"), str(100 + count % 21), "counter")
            equal(len({of for of, _, _ in master.scan(0x80000000)}), 8, "boards of scan 88")
    with checks.check("sim.state"), Simulated(str(FIXTURES / "f-state.json")) as master:
        said = [master.ask(power, 1, 1, word).split(",")[0] for word in (b"P0", b"P?", b"PC", b"P1")]
        equal(said, ["64", "64", "64", "0"], "power of a device that keeps its state")
        equal((master.ask(0x82, 1, 2, b"W\xff1200"), master.ask(0x82, 1, 2, b"R")), ("W1", "1200"), "fan")
    with checks.check("sim.wrapper"), Simulated(str(FIXTURES / "wrapper.json")) as master:
        equal(master.ask(power, 10, 0x02FF, b"P?"), "64,0,0,0", "board 10")
    with checks.check("sim.mistake"):
        (WORK / "bad.json").write_text('{"boards": [{"board_id": "0A", "devices": [{"device_id": "1"}]}]}')
        said = says("sim", "plc-bus", str(WORK / "bad.json"), status=1)
        expect("bad.json: board 0A: device 1" in said and "device_type" in said, f"it says {said}")


def configurations(checks: Checks, service: Service) -> None:
    """`rackfish check`, without a service."""
    sound(checks, service.config)
    with checks.check("check.all-mistakes-at-once"):
        wrong = "\n".join([
            "[endpoints.x]", 'driver = "plc-bus"', 'device = "ttyUSB0"', "bps = 1", 'quirks = ["Q-99"]', 'lock = "link"',
            "[endpoints.y]", 'driver = "plc-bus"', 'device = "/dev/ttyUSB0"', "[nodes.y]", 'host = "y/A"',
        ])
        mistaken(WORK / "wrong.toml", wrong, "whole path", "bps", "Q-99", "no `lockfile`", "y (plc-bus) has no unit A")


def main() -> int:
    checks = Checks()
    boards, own, far = Boards(WORK / "tty", 0x0A, 0x0B), Boards(WORK / "tty-own", 0x21), Boards(WORK / "tty-far", 0x31)
    port = far.listen()
    keys = {"driver": "plc-bus", "timeout": "150ms", "confirm_within": "1s", "poll": "1s", "poll_sensors": "1s", "off_time": "300ms",
            "breaker_cool_down": "500ms"}
    service = Service("rackfish")
    service.configure(
        table("endpoints.bus", device=str(boards.link), **keys),
        table("endpoints.own", device=str(own.link), cycle="board", lockfile=str(LOCK), lock_wait="1s", **keys),
        table("endpoints.far", device=f"socket://127.0.0.1:{port}", **keys),
        node("n1", host="bus/0000000a"), node("n2", feeds=["bus/0000000b/0001"]), node("own", host="own/00000021"),
        node("far", host="far/00000031"),
    )
    configurations(checks, service)
    with service:
        service.start()
        Walk(checks, service, boards, own, far).run()
    simulator(checks)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
