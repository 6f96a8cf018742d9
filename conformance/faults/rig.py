"""The service under faults, the text of its configuration, and small things that several themes need."""

import http.client
import os
import subprocess
import threading
import time
from typing import Any

from lib import service
from lib.checks import expect, until
from lib.redfish import Answer, Client
from lib.service import LOGS
from lib.sims import Sim
from lib.toml import table

LONG = bool(os.environ.get("FAULTS_LONG"))


def sim(name: str, *options: str) -> Sim:
    """`rackfish sim ...` with its log."""
    return Sim(LOGS / f"{name}.log", *options)


def bmc(name: str, port: int, address: str = "127.0.0.1", **keys: Any) -> str:
    """An endpoint of driver `ipmi`."""
    return table(f"endpoints.{name}", driver="ipmi", address=address, port=port,
                 **{"username": "admin", "password": "password", **keys})


def pdu(name: str, port: int, address: str = "127.0.0.1", **keys: Any) -> str:
    """An endpoint of driver `snmp-pdu`."""
    given = {"model": "apc-rpdu2", "community": "private", "verify_every": "200ms", "off_time": "1s", **keys}
    return table(f"endpoints.{name}", driver="snmp-pdu", address=address, port=port, **given)


def system(name: str) -> str:
    """Its path."""
    return f"/redfish/v1/Systems/{name}"


class Service(service.Service):
    """One among several that start at once on two cores."""

    START, END = 60.0, 45.0

    def cli(self, *words: str, seconds: float = 90) -> subprocess.CompletedProcess:
        """A subcommand that talks to this service, or to its state while it does not run."""
        return service.rackfish(*words, "--state-dir", str(self.state), seconds=seconds)

    def power(self, name: str) -> str | None:
        """A node's `PowerState`."""
        return self.client().power(system(name))

    def sees(self, name: str, state: str, seconds: float = 30) -> None:
        """Waits until it shows a power state."""
        until(lambda: self.power(name), state, seconds, f"PowerState of {name}")


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
        self.join(Service.PATIENCE)

    def quick(self, least: int, worst: float) -> None:
        """All good, at least so many, the slowest within a generous bound, and half of them far within it."""
        expect(not self.bad, f"{len(self.bad)} reads failed: {self.bad[:2]}")
        expect(len(self.took) >= least, f"only {len(self.took)} reads, expected {least}")
        slowest, middle = max(self.took), sorted(self.took)[len(self.took) // 2]
        expect(slowest[0] <= worst, f"a read took {slowest[0]:.1f} s ({slowest[1]})")
        expect(middle[0] <= worst / 4, f"half of the reads took {middle[0]:.1f} s or more")
