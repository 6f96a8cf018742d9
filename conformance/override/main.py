"""rackfish dies at every named point of an operation and of a boot override, and is started again.

Then: the node ends on; the devices, which lived on, counted exactly the transitions of one operation; the one-time
override was used by that one start and by no other; nothing that was acknowledged is lost.
"""

import http.client
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from cases import SCENARIOS, Scenario, allowed, points
from lib.checks import Checks, among, equal, expect, log, until
from rig import MAC, Rig

PXE = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}
# As many at a time as two cores carry: most of a case is waiting for relays and controllers.
AT_ONCE = int(os.environ.get("CONF_JOBS", "6"))


def patch(rig: Rig) -> None:
    """Arms the override; it is acknowledged."""
    answer = rig.client.patch(rig.system, PXE)
    among(answer.status, (200, 204), f"status of the PATCH ({answer})")


def boot(rig: Rig) -> tuple[str, str]:
    """The override as it is served."""
    shown = rig.client.read(rig.system)["Boot"]
    return shown["BootSourceOverrideEnabled"], shown["BootSourceOverrideTarget"]


def booted_from(rig: Rig) -> str:
    """What the last start was told, where it counts: at the BMC, else at the hint for whatever steers PXE."""
    if rig.bmc:
        selector = rig.bmc.stats()["booted_from"]
        # Data 2 of the boot flags: bits 5 to 2 are the device, 1 is PXE (IPMI 2.0, table 28-14).
        device = ((selector or 0) >> 2) & 0x0F
        return {0: "None", 1: "Pxe"}.get(device, str(device))
    hint = rig.client.get(f"/boot/{MAC}")
    if hint.status == 404:
        return "None"
    equal(hint.status, 200, f"status of the boot hint ({hint})")
    return hint.body["target"]


def unanswered(call) -> None:
    """The request that kills the service: its answer is lost, or an error."""
    try:
        answer = call()
    except (OSError, http.client.HTTPException) as why:
        log(f"no answer: {why}")
    else:
        log(f"answer: {answer.status}")


def one(scenario: Scenario, point: str, name: str) -> None:
    """One life, one death, one life."""
    with Rig(name, scenario.kind, on=scenario.on, dark=scenario.dark) as rig:
        rig.start(point)
        until(lambda: rig.client.power(rig.system), "On" if scenario.on else "Off", 30, "PowerState before")
        before = rig.counts()
        if point == "override.armed":
            unanswered(lambda: rig.client.patch(rig.system, PXE))
            rig.dies()
            rig.start()
            # Never acknowledged: it may be there or not, but as a whole.
            among(boot(rig), (("Once", "Pxe"), ("Disabled", "None")), "Boot after the death")
            patch(rig)
            answer = rig.client.reset(rig.system, scenario.reset)
            among(answer.status, (200, 202, 204), f"status of {scenario.reset} ({answer})")
        else:
            patch(rig)
            unanswered(lambda: rig.client.reset(rig.system, scenario.reset))
            rig.dies()
            rig.start()
        after = rig.rest()
        equal(rig.client.power(rig.system), "On", "PowerState in the end")
        made = {key: after[key] - before[key] for key in after}
        expect(made in allowed(scenario, point), f"transitions are {made}, expected {allowed(scenario, point)[0]}")
        if not any(made.values()):
            return  # nothing was started, so nothing used the override up
        equal(boot(rig)[0], "Disabled", "BootSourceOverrideEnabled after the start")
        equal(booted_from(rig), "Pxe", "what the start was told")
        used_once(rig, scenario)


def used_once(rig: Rig, scenario: Scenario) -> None:
    """The next start is not told the same. Another type of Reset: an equal one would be taken for a resent request."""
    answer = rig.client.reset(rig.system, "ForceRestart" if scenario.reset == "PowerCycle" else "PowerCycle")
    among(answer.status, (200, 202, 204), f"status of the next start ({answer})")
    rig.rest()
    equal(booted_from(rig), "None", "what the start after that was told")


def main() -> int:
    checks = Checks()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for scenario in SCENARIOS:
            for point in points(scenario):
                name = f"{scenario.name}.{point}"
                pool.submit(checks.run, name, lambda s=scenario, p=point, n=name: one(s, p, n))
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
