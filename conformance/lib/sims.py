"""A simulated device (`rackfish sim ...`) as a process of its own, which outlives the service under test."""

import json
import os
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

from . import procs


class Sim:
    """A simulated device, or several in one process, steered by lines on its standard input."""

    def __init__(self, log: Path, *options: str) -> None:
        with log.open("w") as err:
            self._child = subprocess.Popen([os.environ["RACKFISH_BIN"], "sim", *options], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True)
        self._lock = threading.Lock()
        first = self._child.stdout.readline()
        port = re.search(r"127\.\d+\.\d+\.\d+:(\d+)", first)
        if not port:
            raise RuntimeError(f"rackfish sim {options[0]} says {first!r}: {log.read_text()[-300:]}")
        self.port = int(port[1])

    def say(self, line: str) -> str:
        """One line there, one line back."""
        with self._lock:
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()
            return self._child.stdout.readline().strip()

    def tell(self, line: str) -> None:
        """One line that has to be understood."""
        said = self.say(line)
        if "error" in said or not said:
            raise RuntimeError(f"the simulator says {said!r} to {line!r}")

    def stats(self, which: str = "") -> Any:
        """Its counters; `which`: `@N` of several BMCs, `@ADDRESS` of several PDUs."""
        return json.loads(self.say(f"{which} stats".strip()))

    def end(self) -> None:
        """Ends it."""
        procs.end(self._child)
