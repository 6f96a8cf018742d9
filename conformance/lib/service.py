"""A `rackfish serve` in a folder of its own: configured, started, asked, killed, ended; and the command line beside it."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

from . import procs
from .checks import Checks, Failure, equal, expect, until
from .redfish import Client, quietly
from .toml import table

BIN = os.environ["RACKFISH_BIN"]
WORK, LOGS = Path(os.environ["CONF_WORK"]), Path(os.environ["CONF_LOGS"])


class Service:
    """`with Service("name") as it: it.configure(...); it.start()`; its log is `$CONF_LOGS/name.log`."""

    # Seconds until it has to answer, and to have ended; and as long as Ironic waits for an answer.
    START, END, PATIENCE = 40.0, 10.0, 60.0

    def __init__(self, name: str, state: Path | None = None, env: dict[str, str] | None = None) -> None:
        self.work = WORK / name
        self.work.mkdir(parents=True, exist_ok=True)
        self.state = state or self.work / "state"
        self.config, self.log = self.work / "rackfish.toml", LOGS / f"{name}.log"
        self.ca = self.state / "tls" / "ca.pem"
        self.env = env or {}
        self.child: subprocess.Popen | None = None
        self.url = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it, by force if it takes its time."""
        if self.child:
            procs.end(self.child, patience=self.END)

    def configure(self, *parts: str, server: dict[str, Any] | None = None, more: str = "") -> None:
        """Writes the configuration, whole or not at all."""
        head = table("server", **{"listen": "127.0.0.1:0", "state_dir": str(self.state), **(server or {})})
        new = self.work / ".new"
        new.write_text("\n".join([head, more, *parts]))
        new.replace(self.config)

    def launch(self) -> subprocess.Popen:
        """Starts the process and does not wait for anything."""
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                [BIN, "serve", "--config", str(self.config)], env={**os.environ, "RUST_BACKTRACE": "0", **self.env},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self.child

    def start(self) -> Self:
        """Starts it and waits until it answers."""
        before = self.log.stat().st_size if self.log.exists() else 0
        self.launch()

        def address() -> str | None:
            if self.child.poll() is not None:
                raise Failure(f"rackfish serve ended with {self.child.returncode}: {self.tail()}")
            found = re.search(r"serving Redfish.*?(127\.0\.0\.1:\d+)", self.said(before))
            return f"https://{found[1]}" if found else None

        self.url = until(address, bool, self.START, "address in the log", pause=0.03)
        until(lambda: quietly(self.client().get, "/redfish/v1/"), lambda a: a and a.status == 200, self.START,
              "answer of the service", pause=0.03)
        return self

    def said(self, since: int = 0) -> str:
        """Its log from that byte on."""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode(errors="replace")

    def tail(self) -> str:
        """The end of its log."""
        return self.said(max(0, self.log.stat().st_size - 800))

    def kill(self) -> None:
        """As a power loss ends it."""
        self.child.kill()
        self.child.wait()

    def stop(self, seconds: float = 45) -> int:
        """SIGTERM; its exit status."""
        self.child.send_signal(signal.SIGTERM)
        return self.ends(seconds)

    def ends(self, seconds: float = 45) -> int:
        """Waits for its end; its exit status."""
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failure(f"rackfish still runs after {seconds:.0f} s: {self.tail()}") from None

    @property
    def password(self) -> str:
        """The first administrator's."""
        return (self.state / "first-password").read_text().strip()

    def client(self, user: str = "admin", password: str | None = None, **more: Any) -> Client:
        """A client, the first administrator's unless told otherwise."""
        return Client(self.url, user, password or self.password, str(self.ca), **{"timeout": self.PATIENCE, **more})


def rackfish(*words: str, env: dict[str, str] | None = None, seconds: float = 60) -> subprocess.CompletedProcess:
    """A subcommand, run to its end."""
    return subprocess.run([BIN, *words], env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=seconds, check=False)


def says(*words: str, status: int = 0, env: dict[str, str] | None = None) -> str:
    """All that a subcommand says; it has to end with that exit status."""
    done = rackfish(*words, env=env)
    said = done.stdout + done.stderr
    equal(done.returncode, status, f"exit code of {' '.join(words)} ({said})")
    return said


def sound(checks: Checks, config: Path, env: dict[str, str] | None = None) -> None:
    """`rackfish check` finds nothing wrong with a configuration."""
    with checks.check("check.sound"):
        says("check", "--config", str(config), env=env)


def mistaken(config: Path, text: str, *hints: str, env: dict[str, str] | None = None) -> str:
    """`rackfish check` refuses a configuration, and all these hints are in what it says."""
    config.write_text(text)
    said = says("check", "--config", str(config), status=3, env=env)
    for hint in hints:
        expect(hint in said, f"{hint!r} is not in: {said}")
    return said
