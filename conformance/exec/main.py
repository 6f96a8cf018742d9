"""Nodes behind commands of a site's own: every power action, failing, hanging and lying commands, and configurations
with mistakes."""

import os
import sys
import time
import warnings

import sushy
from sushy import auth, exceptions

from lib.checks import Checks, equal, expect, until
from lib.redfish import Answer
from lib.service import WORK, Service, mistaken, says, sound
from lib.toml import node
from rig import TOKEN, Board

warnings.filterwarnings("ignore")
SYSTEMS = "/redfish/v1/Systems"
# A folder's name that every shell would stumble over.
ODD = "a board; touch pwned $(touch pwned) `touch pwned` '\"&"


class Walk:
    """All checks that need the service."""

    def __init__(self, checks: Checks, service: Service, boards: dict[str, Board]) -> None:
        self.check, self.service, self.boards = checks.check, service, boards
        self.reader = service.client()
        basic = auth.BasicAuth(username="admin", password=service.password)
        self.root = sushy.Sushy(service.url, auth=basic, verify=str(service.ca))

    def path(self, node: str) -> str:
        """Its system."""
        return f"{SYSTEMS}/{node}"

    def shown(self, node: str) -> tuple[str | None, str | None]:
        """Power and how it is known."""
        body = self.reader.read(self.path(node))
        return body["PowerState"], body["Oem"]["Rackfish"]["Power"].get("Origin")

    def settle(self, node: str, power: str, origin: str = "read") -> None:
        """Waits until it is shown."""
        until(lambda: self.shown(node), (power, origin), 10, f"power of {node}")

    def reset(self, node: str, kind: str) -> Answer:
        """Through the independent client."""
        return self.reader.reset(self.path(node), kind)

    def run(self) -> None:
        """All of them."""
        self.power()
        self.failing()
        self.hanging()
        self.blind()
        self.others()

    def power(self) -> None:
        """On, off and restart through sushy, counted at the script."""
        board = self.boards["relays"]
        with self.check("first-state"):
            for node in ("n1", "n2"):
                self.settle(node, "Off")
        system = self.root.get_system(self.path("n1"))
        with self.check("sushy.allowed-resets"):
            offered = {value.value for value in system.get_allowed_reset_system_values()}
            expect({"On", "ForceOff", "ForceRestart"} <= offered and "Nmi" not in offered, f"offered: {offered}")
        for name, kind, calls in (("on", sushy.RESET_ON, ["on a"]), ("off", sushy.RESET_FORCE_OFF, ["off a"]),
                                  ("restart", sushy.RESET_FORCE_RESTART, ["on a", "off a", "on a"])):
            with self.check(f"sushy.{name}"):
                before = len(board.calls())
                if name == "restart":
                    system.reset_system(sushy.RESET_ON)
                system.reset_system(kind)
                wanted = "Off" if name == "off" else "On"
                equal(board.state("a"), wanted.lower(), "state of the relay when sushy was answered")
                system.refresh(force=True)
                equal(system.power_state.value, wanted, "power state through sushy")
                equal(self.shown("n1"), (wanted, "read"), "power state")
                equal(board.calls()[before:], calls, "commands")
        with self.check("neighbour-untouched"):
            equal([call for call in board.calls() if call.endswith(" b")], [], "commands for b")
            equal(self.shown("n2"), ("Off", "read"), "power of n2")
        with self.check("switched-by-hand"):
            board.set("b", "on")
            self.settle("n2", "On")
            board.set("b", "off")
            self.settle("n2", "Off")
        with self.check("no-shell"):
            found = [str(path) for path in WORK.rglob("pwned")]
            equal(found, [], "files that only a shell would have made")
        with self.check("environment"):
            names = {line.partition("=")[0] for line in (board.folder / "environment").read_text().splitlines()}
            # A shell adds some of its own.
            equal(names - {"PWD", "OLDPWD", "SHLVL", "_"}, {"PATH", "LANG", "TOKEN"}, "variables of the command")
            expect("TOKEN=t0ken" in (board.folder / "environment").read_text(), "the secret is not what it should be")
            expect("t0ken" not in self.service.log.read_text(), "the secret is in the log")

    def failing(self) -> None:
        """A command that fails is quoted; its neighbour is none the worse."""
        board = self.boards["relays"]
        with self.check("failing-command"):
            self.reset("n1", "ForceOff")
            board.fault("a", "fails", "on")
            answer = self.reset("n1", "On")
            equal(answer.status, 503, f"status ({answer})")
            for word in ("relays", "exit status: 7", "the coil is burnt"):
                expect(word in answer.message, f"{word!r} is not in the error: {answer.message}")
            equal(self.shown("n1"), ("Off", "read"), "power of n1")
        with self.check("failing-command.sushy"):
            try:
                self.root.get_system(self.path("n1")).reset_system(sushy.RESET_ON)
            except exceptions.HTTPError as why:
                expect("the coil is burnt" in str(why), f"sushy says {why}")
            else:
                raise AssertionError("sushy was told that it is done")
        with self.check("failing-command.neighbour"):
            equal(self.reset("n2", "On").status, 204, "status of On of n2")
            equal(self.reset("n2", "ForceOff").status, 204, "status of ForceOff of n2")
        board.fault("a", "fails", None)
        with self.check("failing-command.mended"):
            equal(self.reset("n1", "On").status, 204, "status")
        with self.check("lying-command"):
            board.fault("a", "sticks", "yes")
            answer = self.reset("n1", "ForceOff")
            equal(answer.status, 503, f"status ({answer})")
            expect("still shows On" in answer.message, f"the error says {answer.message}")
            board.fault("a", "sticks", None)

    def hanging(self) -> None:
        """A command that hangs is ended with its children, and slows nobody else down."""
        board = self.boards["relays"]
        with self.check("hanging-command"):
            equal(self.reset("n1", "ForceOff").status, 204, "status of ForceOff")
            board.fault("a", "hangs", "on")
            begun = time.monotonic()
            answer = self.reset("n1", "On")
            equal(answer.status, 503, f"status ({answer})")
            expect(time.monotonic() - begun < 22, f"it took {time.monotonic() - begun:.0f} s")
            expect("not known" in answer.message and "relays" in answer.message, f"the error says {answer.message}")
        with self.check("hanging-command.killed"):
            pid = (board.folder / "hung").read_text().strip()
            # A zombie that nobody has collected yet has no command line.
            alive = lambda: os.path.exists(f"/proc/{pid}/cmdline") and open(f"/proc/{pid}/cmdline").read() != ""
            until(alive, False, 5, f"the process {pid} that the command had started")
        with self.check("hanging-command.others"):
            begun = time.monotonic()
            equal(self.reset("n3", "On").status, 204, "status of On on another endpoint")
            expect(time.monotonic() - begun < 2, f"another endpoint took {time.monotonic() - begun:.1f} s")
        board.fault("a", "hangs", None)
        with self.check("hanging-command.mended"):
            until(lambda: self.reset("n1", "On").status, 204, 30, "status of On", pause=1)
            self.settle("n1", "On")
        with self.check("hanging-status"):
            board.fault("a", "hangs", "status")
            until(lambda: self.reader.read(self.path("n1"))["Status"].get("Conditions"), bool, 30, "conditions of n1")
            conditions = str(self.reader.read(self.path("n1"))["Status"]["Conditions"])
            expect("relays/a" in conditions and "not done within" in conditions, f"conditions: {conditions}")
            begun = time.monotonic()
            for _ in range(20):
                self.reader.read(self.path("n1"))
            expect(time.monotonic() - begun < 2, f"20 GETs took {time.monotonic() - begun:.1f} s")
            board.fault("a", "hangs", None)
        with self.check("hanging-status.mended"):
            until(lambda: self.shown("n1"), ("On", "read"), 60, "power of n1", pause=0.5)

    def blind(self) -> None:
        """Without a status command states are assumed, and commands sent whatever is assumed."""
        board = self.boards["blind"]
        with self.check("blind.unknown"):
            equal(self.shown("n4")[0], None, "PowerState before the first command")
        with self.check("blind.on"):
            equal(self.reset("n4", "On").status, 204, "status")
            equal((self.shown("n4"), board.state("c")), (("On", "assumed"), "on"), "power")
        with self.check("blind.restart"):
            equal(self.reset("n4", "ForceRestart").status, 204, "status")
            equal((self.shown("n4"), board.state("c")), (("On", "assumed"), "on"), "power")
        with self.check("blind.off"):
            equal(self.reset("n4", "ForceOff").status, 204, "status")
            equal((self.shown("n4"), board.state("c")), (("Off", "assumed"), "off"), "power")
        with self.check("blind.commands"):
            equal(board.calls(), ["on c", "off c", "on c", "off c"], "commands")
        with self.check("blind.not-repeated"):
            board.fault("c", "hangs", "on")
            answer = self.reset("n4", "On")
            equal(answer.status, 503, f"status ({answer})")
            equal(board.calls()[4:], ["on c"], "commands")
            board.fault("c", "hangs", None)

    def others(self) -> None:
        """A host that cycles, a status by its output, and the command line."""
        with self.check("host.cycle"):
            board = self.boards["host"]
            equal(self.reset("n5", "On").status, 204, "status of On")
            equal(self.reset("n5", "PowerCycle").status, 204, "status of PowerCycle")
            equal(board.calls(), ["on host", "cycle host"], "commands")
            equal(self.shown("n5"), ("On", "read"), "power")
        with self.check("status-by-output"):
            board = self.boards["lines"]
            for kind, wanted in (("On", "On"), ("ForceOff", "Off")):
                equal(self.reset("n3", kind).status, 204, f"status of {kind}")
                equal((self.shown("n3"), board.state("d")), ((wanted, "read"), wanted.lower()), "power")
            board.set("d", "half way")
            until(lambda: "half way" in self.service.log.read_text(), True, 10, "a line in the log about that status")
            board.set("d", "off")
        with self.check("cli.endpoint-show"):
            said = says("endpoint", "show", "relays", "--config", str(self.service.config), env=TOKEN)
            expect("exec" in said and "state: ok" in " ".join(said.split()), f"it says {said}")
        with self.check("cli.probe"):
            for name in ("relays", "blind"):
                says("endpoint", "probe", name, "--config", str(self.service.config), env=TOKEN)


def configurations(checks: Checks, service: Service) -> None:
    """`rackfish check`, without a service."""
    sound(checks, service.config, env=TOKEN)
    with checks.check("check.unknown-unit"):
        wrong = service.config.read_text().replace('feeds = ["relays/b"]', 'feeds = ["relays/zz"]')
        said = mistaken(WORK / "wrong-unit.toml", wrong, env=TOKEN)
        place = [line for line in said.splitlines() if "nodes.n2.feeds" in line]
        expect(place and "wrong-unit.toml:" in place[0] and "relays (exec) has no unit zz" in place[0], f"it says {said}")
    with checks.check("check.all-mistakes-at-once"):
        wrong = "\n".join([
            "[endpoints.x]", 'driver = "exec"', 'units = ["a", "b"]', 'on = "relay on {unit}"',
            'off = ["bin/relay", "{outlet}"]', 'status_on = 0', 'timout = "1s"', 'secrets = { T = { env = "NOT_SET" } }',
            "[nodes.y]", 'feeds = ["z/1"]',
        ])
        mistaken(WORK / "wrong.toml", wrong, '["relay", "on", "{unit}"]', "whole path", "{outlet}", "no `status` command",
                 "timout", "NOT_SET", "no endpoint z", env=TOKEN)


def main() -> int:
    checks = Checks()
    boards = {"relays": Board(ODD, "a", "b"), "blind": Board("blind", "c"), "lines": Board("lines", "d"),
              "host": Board("host", "host")}
    looks = {"verify_every": "100ms", "confirm_within": "1s", "breaker_cool_down": "1s"}
    relays, lines, host = boards["relays"], boards["lines"], boards["host"]
    service = Service("rackfish", env={**TOKEN, "LEFT_OUT": "1"})
    service.configure(
        relays.endpoint("relays", "a", "b", status=relays.command("status"), environment={"LANG": "C"},
                        secrets={"TOKEN": {"env": "RELAY_TOKEN"}}, **looks),
        boards["blind"].endpoint("blind", "c"),
        lines.endpoint("lines", "d", status=lines.command("line"), status_on="relay * is on", status_off="relay * is off",
                       **looks),
        host.endpoint("host", "host", status=host.command("status"), cycle=host.command("cycle"), **looks),
        node("n1", feeds=["relays/a"]), node("n2", feeds=["relays/b"]), node("n3", feeds=["lines/d"]),
        node("n4", feeds=["blind/c"]), node("n5", host="host"),
    )
    configurations(checks, service)
    with service:
        service.start()
        Walk(checks, service, boards).run()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
