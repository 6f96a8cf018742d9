"""Everything that sushy does, against one demo: the service first, then the three kinds of node and virtual media side by side."""

import os
import sys
import threading
import warnings

import door
import media
import node
import races
import restart
import service
from lib.checks import Checks
from lib.demo import KINDS, Demo

warnings.filterwarnings("ignore")


def main() -> int:
    checks = Checks()
    with Demo("demo", int(os.environ["CONF_PORT_BASE"]), nodes=6, redfish=1) as demo:
        service.run(checks, demo)

        def kind(name: str) -> None:
            node.Walk(checks, demo, name).run()
            races.run(checks, demo, name)

        walks = [threading.Thread(target=kind, args=(name,)) for name in KINDS]
        walks.append(threading.Thread(target=media.run, args=(checks, demo)))
        for walk in walks:
            walk.start()
        for walk in walks:
            walk.join()
        races.connection_close(checks, demo)
        door.run(checks, demo)
        restart.run(checks, demo)
    return checks.status()


if __name__ == "__main__":
    STATUS = main()
    sys.stdout.flush()
    # sushy logs out when its objects are collected, and asks a service that is gone ten times, 3 s apart, for each.
    os._exit(STATUS)
