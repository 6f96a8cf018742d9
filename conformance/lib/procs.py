"""Child processes: found by their parent, ended by their pid.

A suite may start services in sessions of their own, and those may outlive the process that started them. The runner
declares itself the "child subreaper" (prctl(2)): whatever loses its parent below the runner becomes the runner's child.
So "everything we started" is simply the tree below a pid, and nothing else is ever touched.
"""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def adopt_orphans() -> None:
    """Orphaned descendants become children of this process from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _parents() -> dict[int, int]:
    """Parent of every process that is alive (zombies are not)."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue  # ended while we looked
        # pid (name) state ppid ...; the name may hold blanks and parentheses.
        state, parent = stat.rpartition(")")[2].split()[:2]
        if state not in "ZX":
            found[int(entry.name)] = int(parent)
    return found


def descendants(root: int) -> list[int]:
    """All living processes below `root`, without it; parents before children."""
    parents = _parents()
    known, order = {root}, []
    grew = True
    while grew:
        grew = False
        for pid, parent in parents.items():
            if parent in known and pid not in known:
                known.add(pid)
                order.append(pid)
                grew = True
    return order


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def reap() -> None:
    """Collects the exit status of adopted children that have ended."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def end_tree(root: int, *, patience: float = 5.0) -> list[int]:
    """Ends everything below `root`: politely, then, after `patience` seconds, by force. Returns what was alive."""
    found = descendants(root)
    _signal(found, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while found and time.monotonic() < deadline and descendants(root):
        time.sleep(0.05)
    # Something may have been started meanwhile: look again until nothing is left.
    for _ in range(20):
        alive = descendants(root)
        if not alive:
            break
        _signal(alive, signal.SIGKILL)
        time.sleep(0.05)
    return found


def end(child: subprocess.Popen, *, patience: float = 10.0) -> int:
    """Ends one child of ours and waits for it. Returns its exit status."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(patience)
        except subprocess.TimeoutExpired:
            child.kill()
    return child.wait()
