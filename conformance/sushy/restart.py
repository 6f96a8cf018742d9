"""Manager.Reset of rackfish itself: it is there again, with its sessions, and what was under way is done."""

import threading
import time

import sushy

import service
from lib.checks import Checks, among, equal, expect, until
from lib.demo import Demo
from lib.redfish import quietly

MANAGER = "/redfish/v1/Managers/rackfish"


def run(checks: Checks, demo: Demo) -> None:
    """After everything else: whoever is connected is cut off."""
    pdu = demo.nodes("pdu")[0]
    reader = demo.client()
    root = service.session(demo)
    manager = root.get_manager(MANAGER)
    audit = f"{pdu.system}/LogServices/Audit/Entries"
    with checks.check("restart.offered"):
        equal(manager.get_allowed_reset_manager_values(), {sushy.ResetType.GRACEFUL_RESTART}, "reset types")
        among(reader.request("POST", f"{MANAGER}/Actions/Manager.Reset", {"ResetType": "ForceRestart"}).status, {400},
              "status of another reset type")
    with checks.check("restart.comes-back"):
        reader.reset(pdu.system, "ForceOff")
        until(lambda: reader.power(pdu.system), "Off", 30, "PowerState")
        answered: list[int] = []
        switch = threading.Thread(target=lambda: answered.append(reader.reset(pdu.system, "On").status))
        switch.start()
        time.sleep(0.05)
        manager.reset_manager(sushy.ResetType.GRACEFUL_RESTART)
        switch.join()
        among(answered[0], {202, 204}, "status of a command that was under way")
        until(lambda: "starts-again" if demo.log_file.read_text(errors="replace").count("serving Redfish") > 1 else "",
              "starts-again", 60, "the log")
        until(lambda: getattr(quietly(reader.get, "/redfish/v1/"), "status", None), 200, 60, "status of the root")
        expect(demo.child.poll() is None, "the process has ended")
    with checks.check("restart.keeps-what-was-under-way"):
        until(lambda: reader.power(pdu.system), "On", 30, "PowerState")
    with checks.check("restart.keeps-sessions-and-trails"):
        expect(root.get_system_collection().members_identities, "no systems with the session from before")
        entries = reader.read(audit)["Members"]
        expect(any("On of" in entry["Message"] for entry in entries), f"its audit trail has {len(entries)} entries, and no On")
        equal({entry["Username"] for entry in entries[-2:]}, {demo.user}, "accounts of the last two entries")
    with checks.check("restart.refused-with-a-broken-configuration"):
        path = demo.work / "state" / "demo.toml"
        good = path.read_text()
        path.write_text(good + "\n[nodes.broken]\n")
        answer = reader.request("POST", f"{MANAGER}/Actions/Manager.Reset", {})
        equal(answer.status, 409, f"status ({answer})")
        expect("nodes.broken" in answer.message, f"it says: {answer.message}")
        path.write_text(good)
        equal(reader.get(pdu.system).status, 200, "status of a node")
    with checks.check("restart.refused-where-it-cant-listen"):
        # RFC 5737: no machine has it.
        demo.doors({pdu.name: "192.0.2.1:443"})
        answer = reader.request("POST", f"{MANAGER}/Actions/Manager.Reset", {})
        demo.doors({})
        equal(answer.status, 409, f"status ({answer})")
        expect("192.0.2.1:443" in answer.message, f"it says: {answer.message}")
        equal(reader.get(pdu.system).status, 200, "status of a node")
        expect(demo.child.poll() is None, "the process has ended")
