"""MAAS deploys: every kind of node, with relays that take nothing, 5 s and 20 s. Each demo runs beside the others."""

import os
import sys
import threading

from driver import Driver
from lib.checks import Checks, equal, expect, log, until
from lib.demo import KINDS, Demo, Node

DELAYS = (0, 5, 20)  # seconds
BASE = int(os.environ["CONF_PORT_BASE"])


def change(demo: Demo, node: Node, before: dict[str, int]) -> tuple[int, int]:
    """Offs and ons at the simulated hardware since then."""
    after = demo.switched(node)
    return after["off"] - before["off"], after["on"] - before["on"]


def one_node(checks: Checks, demo: Demo, node: Node, delay: int) -> None:
    """All that MAAS does with one machine."""
    reader = demo.client(timeout=120)
    driver = Driver(demo.client(timeout=120), node.name)
    name = f"{node.kind}.{delay}s"
    patience = 4 * delay + 30

    def at_rest(wanted: str) -> None:
        until(lambda: reader.power(node.system), wanted, patience, f"PowerState of {node.name}")

    with checks.check(f"{name}.query"):
        reader.reset(node.system, "On", timeout=120)
        at_rest("On")
        equal(driver.query(), "on", "power_query")
    with checks.check(f"{name}.deploy-from-on"):
        before, driver.attempts = demo.switched(node), 0
        driver.perform("on")
        at_rest("On")
        equal(change(demo, node, before), (1, 1), "offs and ons")
        # An On that outlasts the service's patience (25 s) is answered before it is done, and MAAS asks again.
        expect(driver.attempts <= (1 if delay < 10 else 3), f"MAAS needed {driver.attempts} attempts")
    with checks.check(f"{name}.once-used"):
        # Asking again armed a second override, which the next start will use.
        if driver.attempts == 1:
            until(lambda: reader.read(node.system)["Boot"]["BootSourceOverrideEnabled"], "Disabled", 10,
                  "BootSourceOverrideEnabled after the start")
    with checks.check(f"{name}.off"):
        before, driver.attempts = demo.switched(node), 0
        driver.perform("off")
        at_rest("Off")
        equal(change(demo, node, before), (1, 0), "offs and ons")
        equal(driver.query(), "off", "power_query")
    with checks.check(f"{name}.once-armed-while-off"):
        boot = reader.read(node.system)["Boot"]
        equal((boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"]), ("Once", "Pxe"), "Boot")
    with checks.check(f"{name}.deploy-from-off"):
        before, driver.attempts = demo.switched(node), 0
        driver.perform("on")
        at_rest("On")
        equal(change(demo, node, before), (0, 1), "offs and ons")
    for line in driver.trace:
        log(f"{name} {line}")


def one_delay(checks: Checks, delay: int) -> None:
    """One demo, its three kinds of node side by side."""
    with Demo(f"relay-{delay}s", BASE + DELAYS.index(delay), "--relay-delay", f"{delay}s", nodes=3) as demo:
        threads = [threading.Thread(target=one_node, args=(checks, demo, demo.node(kind), delay)) for kind in KINDS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if delay == 0:
            with checks.check("first-member"):
                first = demo.client().members("/redfish/v1/Systems")[0]
                equal(Driver(demo.client(), None).node_id(), first.rsplit("/", 1)[-1], "node without a configured id")
            with checks.check("first-member-on"):
                expect(Driver(demo.client(), None).query() in ("on", "off"), "no power state of the first member")


def main() -> int:
    checks = Checks()
    runs = [threading.Thread(target=one_delay, args=(checks, delay)) for delay in DELAYS]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
