"""One suite: what it is, how it is run, and how its lines are counted.

A suite is a folder with
  run               executable; prints `ok NAME` or `not ok NAME: reason`, one line per check; the rest is its log
  manifest          one check name per line; `#` starts a comment
  requirements.txt  optional: Python packages; `$CONF_VENV/bin/python` has them
  suite.toml        optional: about, timeout (seconds), program = false, [apt] command = "package ...", and how it shares
                    the machine: alone = true (nothing runs beside it), background = true (busy, but in no hurry: at
                    the lowest priority beside the others and the build), after = ["suite", "suite/check"] (whose builds it
                    needs: until the suite has ended, or the check has passed),
                    takes (about how many seconds: the longest begin first)
"""

import re
import subprocess
import sys
import threading
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import procs

LINE = re.compile(r"^(?P<verdict>ok|not ok|skip) (?P<name>[^:]+?)(?:: (?P<reason>.*))?$")
DEFAULT_TIMEOUT = 600.0


@dataclass
class Suite:
    """What the folder says."""

    name: str
    folder: Path
    about: str = ""
    timeout: float = DEFAULT_TIMEOUT
    program: bool = True
    alone: bool = False
    background: bool = False
    after: list[str] = field(default_factory=list)
    takes: float = 0.0
    apt: dict[str, str] = field(default_factory=dict)
    manifest: list[str] = field(default_factory=list)

    @property
    def requirements(self) -> Path | None:
        """Its Python packages, if it has any."""
        path = self.folder / "requirements.txt"
        return path if path.exists() else None


def load(folder: Path) -> Suite:
    """Reads a suite's folder."""
    suite = Suite(folder.name, folder)
    settings = folder / "suite.toml"
    if settings.exists():
        known = tomllib.loads(settings.read_text())
        suite.about = known.pop("about", "")
        suite.timeout = float(known.pop("timeout", DEFAULT_TIMEOUT))
        suite.program = known.pop("program", True)
        suite.alone = known.pop("alone", False)
        suite.background = known.pop("background", False)
        suite.after = known.pop("after", [])
        suite.takes = float(known.pop("takes", 0))
        suite.apt = known.pop("apt", {})
        if known:
            raise ValueError(f"{settings}: unknown key {', '.join(known)}")
    lines = (line.partition("#")[0].strip() for line in (folder / "manifest").read_text().splitlines())
    suite.manifest = [line for line in lines if line]
    if suite.background and suite.program:
        raise ValueError(f"{settings}: what runs in the background begins before there is a program")
    twice = {name for name in suite.manifest if suite.manifest.count(name) > 1}
    if twice:
        raise ValueError(f"{folder / 'manifest'}: named twice: {', '.join(sorted(twice))}")
    return suite


def find(root: Path) -> dict[str, Suite]:
    """All suites, the project's own checks first, then by name."""
    folders = [entry for entry in root.iterdir() if (entry / "manifest").exists()]
    folders.sort(key=lambda entry: (entry.name not in ("lint", "cargo"), entry.name))
    return {folder.name: load(folder) for folder in folders}


class Tally:
    """Counts a suite's lines against its manifest."""

    def __init__(self, suite: Suite, show: Callable[[str], None]) -> None:
        self._suite, self._show = suite, show
        self._expected = set(suite.manifest)
        self.verdicts: dict[str, str | None] = {}  # name -> None if passed, else why not

    def line(self, text: str) -> None:
        """Takes one line of the suite's output."""
        match = LINE.match(text.rstrip())
        if not match:
            return
        name, reason = match["name"], match["reason"] or "no reason given"
        if match["verdict"] == "ok":
            reason = None
        elif match["verdict"] == "skip":
            reason = f"skipped: {reason}"
        if name not in self._expected:
            reason = "not in the manifest" + (f" (and failed: {reason})" if reason else "")
        elif name in self.verdicts:
            first = self.verdicts[name]
            reason = "reported twice" + (f" ({first or reason})" if first or reason else "")
        self._record(name, reason)

    def _record(self, name: str, reason: str | None) -> None:
        self.verdicts[name] = reason
        self._show(f"ok {self._suite.name}/{name}" if reason is None else f"not ok {self._suite.name}/{name}: {reason}")

    def finish(self, trouble: str | None) -> tuple[int, int]:
        """Fails what is missing; `trouble` is what went wrong with the suite as a whole. Returns passed, failed."""
        for name in self._suite.manifest:
            if name not in self.verdicts:
                self._record(name, f"missing ({trouble})" if trouble else "missing")
        failed = sum(1 for reason in self.verdicts.values() if reason is not None)
        if trouble and not failed:
            self._record("suite", trouble)
            failed += 1
        return len(self.verdicts) - failed, failed


def execute(suite: Suite, env: dict[str, str], log: Path, tally: Tally) -> str | None:
    """Runs the suite's program to its end or its time limit. Returns what went wrong with it as a whole."""
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "lib.nurse", *(["--behind"] if suite.background else []), str(suite.folder / "run")], cwd=env["CONF_WORK"], env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )

        def listen() -> None:
            for text in child.stdout:
                out.write(text)
                out.flush()
                tally.line(text)

        ear = threading.Thread(target=listen, daemon=True)
        ear.start()
        late = False
        try:
            child.wait(suite.timeout)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            if child.poll() is None:
                # It ends what is below it; then what is left, by force.
                child.terminate()
                try:
                    child.wait(15)
                except subprocess.TimeoutExpired:
                    procs.end_tree(child.pid, patience=0)
                    child.kill()
            child.wait()
            ear.join(5)
    if late:
        return f"time limit of {suite.timeout:.0f} s reached"
    return f"the suite ended with status {child.returncode}" if child.returncode else None
