"""What systemd does with a unit, as far as it can be done without being its init: the commands in their order, the user,
the limits, the socket for notifications. What only the kernel's sandboxes do (file systems, system calls) is not done; the
system calls that the service makes are recorded instead, and held against the unit's filter.
"""

import os
import re
import resource
import shlex
import socket
import subprocess
import threading
import time
from pathlib import Path

from lib.checks import Failure, expect
from lib.throwaway import Throwaway


class Unit:
    """A unit file; keys that stand there several times keep all their values."""

    def __init__(self, text: str) -> None:
        self.values: dict[str, list[str]] = {}
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith(("#", ";")):
                self.values.setdefault(key.strip(), []).append(value.strip())

    def one(self, key: str) -> str:
        """The value of a key that stands there once."""
        values = self.values.get(key, [])
        expect(len(values) == 1, f"{key}= stands {len(values)} times in the unit")
        return values[0]


class Service:
    """A unit's service in a throw-away machine."""

    def __init__(self, machine: Throwaway, unit: Unit, trace: bool = False) -> None:
        self.machine, self.unit, self.trace = machine, unit, trace
        # Not every root may raise its own limit.
        self.descriptors = min(int(unit.one("LimitNOFILE")), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self.heard: list[str] = []
        self.status: int | None = None
        self._child: subprocess.Popen | None = None
        self._pid: int | None = None
        self._log = Path(os.environ["CONF_LOGS"]) / "service.log"

    def _as_user(self) -> list[str]:
        user, group = self.unit.one("User"), self.unit.one("Group")
        return ["prlimit", f"--nofile={self.descriptors}", f"--core={self.unit.one('LimitCORE')}",
                "setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs",
                "--bounding-set=-all", "--inh-caps=-all", "sh", "-c", f'umask {self.unit.one("UMask")}; exec "$@"', "sh"]

    def control(self, key: str, status: int = 0) -> str:
        """Runs the command of `ExecStartPre=`, `ExecReload=`."""
        return self.machine.run(*self._as_user(), *shlex.split(self.unit.one(key)), status=status)

    def start(self, **env: str) -> None:
        """Up to `READY=1`."""
        self.control("ExecStartPre")
        place = self.machine.outside("/run/notify")
        place.unlink(missing_ok=True)
        self._ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ear.bind(str(place))
        place.chmod(0o777)
        threading.Thread(target=self._listen, args=(self._ear,), daemon=True).start()
        tracer = ["strace", "-f", "-qq", "-o", "/run/trace"] if self.trace else []
        given = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "4000000", **env}
        command = self.machine.command(*tracer, *self._as_user(), *shlex.split(self.unit.one("ExecStart")), env=given)
        with self._log.open("a") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           start_new_session=True)
        self.hears(lambda said: "READY=1" in said, 60, "READY=1")

    def _listen(self, ear: socket.socket) -> None:
        while True:
            try:
                data = ear.recv(65536)
            except OSError:
                return
            self.heard.append(data.decode())

    def hears(self, wanted, seconds: float, what: str, after: int = 0) -> str:
        """Waits for a notification."""
        deadline = time.monotonic() + seconds
        while True:
            for said in self.heard[after:]:
                if wanted(said.splitlines()):
                    return said
            if self._child.poll() is not None:
                raise Failure(f"the service ended with {self._child.returncode} before {what}: {self.log()[-500:]}")
            if time.monotonic() > deadline:
                raise Failure(f"no {what} within {seconds:.0f} s; heard {self.heard[-3:]}")
            time.sleep(0.05)

    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text(errors="replace")

    def main_pid(self) -> int:
        """The service's own process, below strace and setpriv."""
        children = [self._child.pid]
        while children:
            pid = children.pop()
            if Path(f"/proc/{pid}/comm").read_text().strip() == "rackfish":
                return pid
            for task in Path(f"/proc/{pid}/task").iterdir():
                children += [int(child) for child in (task / "children").read_text().split()]
        raise Failure("the service's process is not there")

    def stop(self) -> int:
        """SIGTERM to the main process. Returns the exit status."""
        os.kill(self.main_pid(), 15)
        self.status = self._child.wait(60)
        time.sleep(0.2)
        self._ear.close()
        return self.status

    def end(self) -> None:
        """Whatever is left of it."""
        if self._child and self._child.poll() is None:
            self._child.kill()
            self._child.wait()


def filtered(unit: Unit) -> set[str]:
    """The system calls that the unit's `SystemCallFilter=` lets through."""
    def members(name: str) -> set[str]:
        if not name.startswith("@"):
            return {name}
        said = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], capture_output=True, text=True,
                              check=True).stdout
        found = [line.strip() for line in said.splitlines()[1:] if line.strip() and not line.strip().startswith("#")]
        return set().union(*(members(one) for one in found))

    allowed: set[str] = members("@default")
    for line in unit.values["SystemCallFilter"]:
        names = set().union(*(members(name) for name in line.lstrip("~").split()))
        allowed = allowed - names if line.startswith("~") else allowed | names
    # What is always there stays, whatever is taken out.
    return allowed | members("@default")


CALL = re.compile(r"^\d+\s+([a-z_0-9]+)\(")


def traced(text: str, program: str) -> list[str]:
    """The lines of a trace from the start of `program` on."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if f'execve("{program}"' in line and line.endswith(" = 0"):
            return lines[at + 1:]
    raise Failure(f"the trace does not show the start of {program}")


def calls(lines: list[str]) -> set[str]:
    """Names of the system calls."""
    return {match[1] for line in lines if (match := CALL.match(line))}
