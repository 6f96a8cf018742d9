"""What goes wrong in racks, on disks and on networks, made to happen to a running rackfish.

Themes that mostly wait go on side by side; those that keep both cores busy come after each other, and last.
"""

import os
import resource
import sys
import threading
import traceback
from typing import Callable

import certificates
import clients
import clock
import damage
import devices
import disk
import floods
import kills
import lifecycle
import sweeps
from lib.checks import Checks

Theme = Callable[[Checks], None]
WAITING: tuple[tuple[Theme, ...], ...] = ((devices.run,), (lifecycle.run,), (clock.run, disk.run), (sweeps.run, kills.run))
BUSY: tuple[tuple[Theme, ...], ...] = ((clients.run, certificates.run, floods.run), (damage.run,))


def lanes(checks: Checks, themes: tuple[tuple[Theme, ...], ...]) -> None:
    """Each lane in a thread, its themes one after the other; one that breaks leaves its checks missing."""
    only = os.environ.get("FAULTS_ONLY", "").split()

    def lane(themes: tuple[Theme, ...]) -> None:
        for theme in themes:
            name = theme.__module__
            if only and name not in only:
                continue
            try:
                theme(checks)
            except Exception:  # its checks are missing then, and that counts
                traceback.print_exc(file=sys.stdout)
                checks.failed += 1

    threads = [threading.Thread(target=lane, args=(themes_,)) for themes_ in themes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    # For 10,000 connections at once; the service raises its own limit as far as it may.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    checks = Checks()
    lanes(checks, WAITING)
    lanes(checks, BUSY)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
