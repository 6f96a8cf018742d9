"""A rackfish whose devices are the script `relay`: boards are folders, and what was called stands in their logs."""

import json
import os
import re
import subprocess
from pathlib import Path

from lib import procs
from lib.checks import Failure, until
from lib.redfish import Client

BIN = os.environ["RACKFISH_BIN"]
WORK = Path(os.environ["CONF_WORK"])
LOGS = Path(os.environ["CONF_LOGS"])
RELAY = str(Path(__file__).with_name("relay"))
START = 40.0


class Board:
    """A folder with units. Its name is what `{address}` stands for: no shell may ever read it."""

    def __init__(self, name: str, *units: str) -> None:
        self.folder = WORK / name
        self.folder.mkdir(parents=True)
        for unit in units:
            self.set(unit, "off")

    def set(self, unit: str, state: str) -> None:
        """Somebody at the board switches it."""
        (self.folder / unit).write_text(f"{state}\n")

    def state(self, unit: str) -> str:
        """What it is."""
        return (self.folder / unit).read_text().strip()

    def fault(self, unit: str, kind: str, word: str | None) -> None:
        """`fails`, `hangs`, `sticks`; `None` ends it."""
        path = self.folder / f"{unit}.{kind}"
        path.write_text(word) if word else path.unlink()

    def calls(self) -> list[str]:
        """What was called so far, but for looks."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith(("status", "line"))]

    def command(self, word: str) -> str:
        """The command of a configuration."""
        return json.dumps([RELAY, "{address}", word, "{unit}"])

    def endpoint(self, name: str, units: list[str], *more: str) -> list[str]:
        """Lines of a configuration."""
        return [f"[endpoints.{name}]", 'driver = "exec"', f"units = {json.dumps(units)}",
                f"address = {json.dumps(str(self.folder))}", f"on = {self.command('on')}",
                f"off = {self.command('off')}", 'timeout = "1s"', 'off_time = "300ms"', 'poll = "500ms"', *more, ""]


class Service:
    """`rackfish serve` on a configuration; `with` ends it."""

    def __init__(self, lines: list[str]) -> None:
        self.config, self.state = WORK / "rackfish.toml", WORK / "state"
        self.log = LOGS / "rackfish.log"
        head = ["[server]", 'listen = "127.0.0.1:0"', f"state_dir = {json.dumps(str(self.state))}", ""]
        self.config.write_text("\n".join(head + lines) + "\n")
        self.child: subprocess.Popen | None = None
        self.url, self.password = "", ""

    @property
    def ca(self) -> str:
        """PEM file to trust."""
        return str(self.state / "tls" / "ca.pem")

    def __enter__(self) -> "Service":
        with self.log.open("w") as log:
            self.child = subprocess.Popen([BIN, "serve", "--config", str(self.config)], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True,
                                          env={**os.environ, "RELAY_TOKEN": "t0ken", "LEFT_OUT": "1"})

        def address() -> str | None:
            if self.child.poll() is not None:
                raise Failure(f"rackfish serve ended with {self.child.returncode}: {self.log.read_text()[-400:]}")
            found = re.search(r"serving Redfish.*?(127\.0\.0\.1:\d+)", self.log.read_text())
            return f"https://{found[1]}" if found else None

        try:
            self.url = until(address, bool, START, "address in the log", pause=0.1)
            self.password = (self.state / "first-password").read_text().strip()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        procs.end(self.child)

    def client(self) -> Client:
        """An independent client."""
        return Client(self.url, "admin", self.password, self.ca, timeout=60)


def rackfish(*words: str) -> tuple[int, str]:
    """The command line: exit code and all that it said."""
    done = subprocess.run([BIN, *words], text=True, capture_output=True, timeout=60, check=False,
                          env={**os.environ, "RELAY_TOKEN": "t0ken"})
    return done.returncode, done.stdout + done.stderr
