"""A `rackfish serve` in its own folder, the text of its configuration, and small things that several themes need."""

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable

from lib import procs
from lib.checks import Failure, expect, until
from lib.redfish import Answer, Client
from lib.sims import Sim

BIN = os.environ["RACKFISH_BIN"]
WORK, LOGS = Path(os.environ["CONF_WORK"]), Path(os.environ["CONF_LOGS"])
LONG = bool(os.environ.get("FAULTS_LONG"))
START = 60.0  # seconds; several services start at once on two cores
# As long as Ironic waits for an answer.
PATIENCE = 60.0


def sim(name: str, *options: str) -> Sim:
    """`rackfish sim ...` with its log."""
    return Sim(LOGS / f"{name}.log", *options)


def value(given: Any) -> str:
    """A value in TOML: texts, numbers and lists are written as in JSON, tables with an equals sign."""
    if isinstance(given, dict):
        return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in given.items()) + " }"
    if isinstance(given, (list, tuple)):
        return "[" + ", ".join(value(item) for item in given) + "]"
    return json.dumps(given)


def table(head: str, **keys: Any) -> str:
    """A table of the configuration."""
    return f"[{head}]\n" + "".join(f"{key} = {value(item)}\n" for key, item in keys.items())


def bmc(name: str, port: int, address: str = "127.0.0.1", **keys: Any) -> str:
    """An endpoint of driver `ipmi`."""
    return table(f"endpoints.{name}", driver="ipmi", address=address, port=port,
                 **{"username": "admin", "password": "password", **keys})


def pdu(name: str, port: int, address: str = "127.0.0.1", **keys: Any) -> str:
    """An endpoint of driver `snmp-pdu`."""
    given = {"model": "apc-rpdu2", "community": "private", "verify_every": "200ms", "off_time": "1s", **keys}
    return table(f"endpoints.{name}", driver="snmp-pdu", address=address, port=port, **given)


def node(name: str, **keys: Any) -> str:
    """A node."""
    return table(f"nodes.{name}", **keys)


def system(name: str) -> str:
    """Its path."""
    return f"/redfish/v1/Systems/{name}"


class Service:
    """`with Service("name") as it: it.configure(...); it.start()`; its log is `$CONF_LOGS/name.log`."""

    def __init__(self, name: str, state: Path | None = None) -> None:
        self.work = WORK / name
        self.work.mkdir(parents=True, exist_ok=True)
        self.state = state or self.work / "state"
        self.file, self.log = self.work / "rackfish.toml", LOGS / f"{name}.log"
        self.ca = self.state / "tls" / "ca.pem"
        self.env: dict[str, str] = {}
        self.child: subprocess.Popen | None = None
        self.url = ""

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        if self.child:
            procs.end(self.child, patience=45)

    def configure(self, *parts: str, server: dict[str, Any] | None = None, more: str = "") -> None:
        """Writes the configuration, whole or not at all."""
        head = table("server", listen="127.0.0.1:0", state_dir=str(self.state), **(server or {}))
        new = self.work / ".new"
        new.write_text("\n".join([head, more, *parts]))
        new.replace(self.file)

    def launch(self) -> subprocess.Popen:
        """Starts the process and does not wait for anything."""
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                [BIN, "serve", "--config", str(self.file)], env={**os.environ, "RUST_BACKTRACE": "0", **self.env},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        return self.child

    def start(self) -> "Service":
        """Starts it and waits until it answers."""
        before = self.log.stat().st_size if self.log.exists() else 0
        self.launch()

        def address() -> str | None:
            if self.child.poll() is not None:
                raise Failure(f"rackfish serve ended with {self.child.returncode}: {self.tail()}")
            found = re.search(r"serving Redfish.*?(127\.0\.0\.1:\d+)", self.said(before))
            return f"https://{found[1]}" if found else None

        self.url = until(address, bool, START, "address in the log", pause=0.03)
        until(lambda: quietly(self.client().get, "/redfish/v1/"), lambda a: a and a.status == 200, START,
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

    def cli(self, *words: str, seconds: float = 90) -> subprocess.CompletedProcess:
        """A subcommand that talks to this service, or to its state while it does not run."""
        return subprocess.run([BIN, *words, "--state-dir", str(self.state)], capture_output=True, text=True,
                              timeout=seconds, check=False, stdin=subprocess.DEVNULL)

    def client(self, user: str = "admin", password: str | None = None, **more: Any) -> Client:
        """A client, the first administrator's unless told otherwise."""
        password = password or (self.state / "first-password").read_text().strip()
        return Client(self.url, user, password, str(self.ca), **{"timeout": PATIENCE, **more})

    def power(self, name: str) -> str | None:
        """A node's `PowerState`."""
        return self.client().power(system(name))

    def sees(self, name: str, state: str, seconds: float = 30) -> None:
        """Waits until it shows a power state."""
        until(lambda: self.power(name), state, seconds, f"PowerState of {name}")


def quietly(call: Callable[..., Any], *words: Any, **more: Any) -> Any:
    """What it returns; `None` when nobody answers."""
    try:
        return call(*words, **more)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def done(answer: Answer, what: str) -> Answer:
    """The answer says that it was done."""
    expect(answer.status in (200, 201, 204), f"{what}: {answer}")
    return answer


def refused(answer: Answer, status: int, *words: str) -> Answer:
    """The answer has that status and names these things."""
    expect(answer.status == status, f"status is not {status}: {answer}")
    missing = [word for word in words if word.lower() not in answer.message.lower()]
    expect(not missing, f"the error does not say {missing}: {answer.message[:300]}")
    return answer


class Meter(threading.Thread):
    """Reads paths round and round beside whatever else goes on; knows how long each answer took, and what failed."""

    def __init__(self, client: Client, paths: list[str], pause: float = 0.05) -> None:
        super().__init__(daemon=True)
        self._client, self._paths, self._pause, self._end = client, paths, pause, threading.Event()
        self.took: list[tuple[float, str]] = []
        self.bad: list[str] = []

    def run(self) -> None:
        while not self._end.is_set():
            for path in self._paths:
                begun = time.monotonic()
                try:
                    answer = self._client.get(path)
                except (OSError, ValueError, http.client.HTTPException) as why:
                    self.bad.append(f"{path}: {why}")
                else:
                    self.took.append((time.monotonic() - begun, path))
                    if answer.status != 200:
                        self.bad.append(f"{path}: {answer}")
                self._end.wait(self._pause)

    def __enter__(self) -> "Meter":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self.join(PATIENCE)

    def quick(self, least: int, worst: float) -> None:
        """All good, at least so many, the slowest within a generous bound, and half of them far within it."""
        expect(not self.bad, f"{len(self.bad)} reads failed: {self.bad[:2]}")
        expect(len(self.took) >= least, f"only {len(self.took)} reads, expected {least}")
        slowest, middle = max(self.took), sorted(self.took)[len(self.took) // 2]
        expect(slowest[0] <= worst, f"a read took {slowest[0]:.1f} s ({slowest[1]})")
        expect(middle[0] <= worst / 4, f"half of the reads took {middle[0]:.1f} s or more")
