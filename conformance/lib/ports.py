"""Free ports on the loopback, in one row, for a suite to number its services in."""

import random
import socket
import threading

ROW = 100
# Below the kernel's ephemeral range (32768 up), above most services.
LOWEST, HIGHEST = 20000, 32000


def _free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


_given: set[int] = set()
_lock = threading.Lock()


def free_row() -> int:
    """First of `ROW` ports that are all free for TCP and UDP, and that nobody else was given."""
    with _lock:
        base = _free_row()
        _given.add(base)
    return base


def _free_row() -> int:
    bases = list(range(LOWEST, HIGHEST, ROW))
    random.shuffle(bases)
    for base in bases:
        if base not in _given and all(_free(base + offset) for offset in range(ROW)):
            return base
    raise RuntimeError(f"no {ROW} free ports in a row between {LOWEST} and {HIGHEST} on 127.0.0.1")
