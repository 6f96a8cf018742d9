"""A real Ironic manages the demo's nodes: three kinds at once on a quick rack, and the slow hardware beside them."""

import os
import sys
import threading

from api import Api
from full import Full
from lib.checks import Checks, equal, until
from lib.demo import KINDS, Demo
from service import Ironic
from slow import Slow
from watch import Watch

BASE = int(os.environ["CONF_PORT_BASE"])
SLOW = ("--relay-delay", "5s", "--bmc-boot-delay", "30s")


def main() -> int:
    checks = Checks()
    with Ironic(BASE + 10) as ironic, Demo("quick", BASE, nodes=6) as quick, Demo("slow", BASE + 1, *SLOW) as slow:
        api = Api(ironic.port)
        ironic.wait(api.answering)
        checks.ok("ironic-answers")
        watch = Watch(api)
        watch.start()
        parts = [Full(checks, api, ironic, quick, kind) for kind in KINDS]
        parts += [Slow(checks, api, slow, kind) for kind in ("pdu", "mixed")]
        threads = [threading.Thread(target=part.run, name=part.name) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with checks.check("never-in-maintenance"):
            equal(watch.stop(), [], "nodes that Ironic put into maintenance")
        with checks.check("nodes-deleted"):
            until(lambda: api.call("GET", "/v1/nodes")["nodes"], [], 20, "nodes left in Ironic")
        with checks.check("no-server-error"):
            equal(server_errors(ironic), [], "answers from 500 up that Ironic saw")
    return checks.status()


def server_errors(ironic: Ironic) -> list[str]:
    """sushy says so each time it takes an answer for a server's fault and waits before it asks again."""
    with ironic.log.open(errors="replace") as lines:
        return [line.strip()[:300] for line in lines if "server side error" in line or "ServerSideError" in line][:5]


if __name__ == "__main__":
    sys.exit(main())
