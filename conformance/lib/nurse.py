"""Runs one suite and ends whatever it leaves behind: `python3 -m lib.nurse [--behind] PROGRAM`.

A process of its own, so that suites can run side by side: orphans of this suite become its children (`lib.procs`), and
nothing of another suite is below it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from . import procs


def behind() -> None:
    """At the lowest priority: within this session, and as a session, which the kernel weighs like a process of its own
    (sched(7), "The autogroup feature")."""
    os.nice(19)
    try:
        Path("/proc/self/autogroup").write_text("19")
    except OSError:
        pass  # without autogroups the line above does it all


def main() -> int:
    """The program's exit status, or 143 when the runner asks to stop."""
    procs.adopt_orphans()
    if sys.argv[1] == "--behind":
        behind()
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        return subprocess.run([sys.argv[-1]], stdin=subprocess.DEVNULL, check=False).returncode & 0xFF
    except KeyboardInterrupt:
        return 143
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        procs.end_tree(os.getpid())


if __name__ == "__main__":
    sys.exit(main())
