"""DMTF's validators against two small racks, in a network namespace that has a loopback and nothing else.

The Protocol Validator searches by multicast and names foreign addresses: there is nobody to hear it, and nothing that a
tool could secretly fetch. What the tools compare with is fetched before (`material.py`). Each tool has a demo of its
own, because they create and delete what the others would just be reading; so they can run side by side.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bounds
import declared
import documents
import material
from lib.checks import Checks, equal, expect, log, until
from lib.demo import Demo
from lib.redfish import Client, quietly
from tacklebox import Tacklebox
from tools import Findings, Tools

# Of three nodes one is of each kind; the fourth has a Redfish BMC with virtual media.
RACKS = {"rack": {"nodes": 3, "redfish": 1}, "single": {"nodes": 1}}
# Ironic's profile wants virtual media of some node, so a rack of one has to be the one that has them.
MEDIA_ALONE = {"nodes": 0, "redfish": 1}
AT_ONCE = 4
NETWORK = "/redfish/v1/Managers/rackfish/NetworkProtocol"
INSIDE = "DMTF_INSIDE"
# DSP0266, "Discovery": searches go to this group; with a route they stay on the loopback.
LOOPBACK = ("ip link set lo up && ip link set lo multicast on && ip route add 239.255.255.250/32 dev lo"
            " && exec \"$@\"")


def outside() -> int:
    """Fetches the material and goes inside."""
    home = Path(os.environ["CONF_VENV"]).parent / "dmtf"
    home.mkdir(exist_ok=True)
    env = {**os.environ, INSIDE: "1",
           "DMTF_SCHEMAS": str(material.schemas(home, Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"], "csdl"))),
           "DMTF_PROFILE": str(material.profile(home))}
    users = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *users, "--net", "sh", "-c", LOOPBACK, "sh", sys.executable, __file__]
    return subprocess.run(command, env=env, check=False).returncode


def judge(checks: Checks, prefix: str, found: Findings, bound: bounds.Bound) -> None:
    """One tool's findings as checks."""
    log(f"{prefix}: {found}")
    with checks.check(f"{prefix}.checked-enough"):
        expect(found.passed >= bound.floor, f"it passed {found.passed} checks, expected at least {bound.floor}")
    with checks.check(f"{prefix}.no-failure"):
        equal(found.failed, len(found.failures), "number of failures, which its report names")
        open_ones = bound.unexpected_failures(found.failures)
        expect(not open_ones, f"{len(open_ones)} failed: {'; '.join(open_ones[:5])}")
    with checks.check(f"{prefix}.no-warning"):
        expect(found.warned <= len(found.warnings), f"{found.warned} warnings, its report names {len(found.warnings)}")
        new = bound.unexpected_warnings(found.warnings)
        expect(not new, f"{len(new)} warnings without a reason: {'; '.join(new[:5])}")
    if bound.untested:
        with checks.check(f"{prefix}.tested"):
            seen = {line.partition(":")[0] for line in found.skipped}
            equal(len(found.skipped), found.untested, "number of assertions without a test, which its report names")
            expect(seen == bounds.UNTESTED, f"not tested beyond what is known: {sorted(seen - bounds.UNTESTED)}; "
                   f"tested now, take it off the list: {sorted(bounds.UNTESTED - seen)}")


def inside() -> int:
    """Runs the tools."""
    checks = Checks()
    tools = Tools(Path(os.environ["DMTF_SCHEMAS"]), Path(os.environ["DMTF_PROFILE"]))
    logs, base = Path(os.environ["CONF_LOGS"]), int(os.environ["CONF_PORT_BASE"])

    def validator(rack: str, tool: str, port: int) -> None:
        prefix = f"{rack}.{tool}"
        size = MEDIA_ALONE if (rack, tool) == ("single", "interop") else RACKS[rack]
        with checks.check(f"{prefix}.ran"), Demo(prefix, port, **size) as demo:
            folder = logs / prefix
            shutil.rmtree(folder, ignore_errors=True)
            if tool == "protocol":
                # Searches are answered only where an administrator wants that.
                equal(demo.client().patch(NETWORK, {"SSDP": {"ProtocolEnabled": True}}).status, 200, "status of SSDP")
            found = getattr(tools, tool)(demo, folder)
            judge(checks, prefix, found, bounds.BOUNDS[tool][rack])

    def at_door(port: int) -> None:
        """The Service Validator at the door of a node, which is a service of its own to it."""
        prefix, door = "door.service", f"127.0.0.1:{port + 100}"
        with checks.check(f"{prefix}.ran"), Demo(prefix, port, **RACKS["rack"]) as demo:
            node = demo.node("mixed")
            demo.doors({node.name: door})
            until(lambda: quietly(Client(f"https://{door}", ca=demo.ca).get, "/redfish/v1/"), bool, 20, "answer at the door")
            demo.ready["redfish"] = f"https://{door}"
            equal(demo.client().members("/redfish/v1/Systems"), [node.system], "systems at the door")
            folder = logs / prefix
            shutil.rmtree(folder, ignore_errors=True)
            judge(checks, prefix, tools.service(demo, folder), bounds.BOUNDS["service"]["door"])

    def clients(rack: str, port: int) -> None:
        with checks.check(f"{rack}.clients.ran"), Demo(f"{rack}.clients", port, **RACKS[rack]) as demo:
            stranger = Client(demo.url, ca=demo.ca)
            documents.check(checks, f"{rack}.documents", demo.client(), stranger, tools.schemas)
            declared.check(checks, f"{rack}.declared", demo.client(), Path(os.environ["CONF_ROOT"]), tools.schemas)
            Tacklebox(checks, f"{rack}.tacklebox", tools, demo, logs / f"{rack}.tacklebox").run()

    # Those that wait longest first.
    jobs = [(validator, (rack, tool)) for tool in ("usecase", "protocol", "service", "interop") for rack in RACKS]
    jobs[2:2] = [(clients, (rack,)) for rack in RACKS]
    jobs.append((at_door, ()))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(lambda job: job[1][0](*job[1][1], base + job[0]), enumerate(jobs)):
            pass
    return checks.status()


if __name__ == "__main__":
    sys.exit(inside() if os.environ.get(INSIDE) else outside())
