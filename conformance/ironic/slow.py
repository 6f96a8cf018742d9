"""Relays that take 5 s, a controller that answers only 30 s after mains came on: Ironic must not give up on them."""

from api import Api, Baremetal
from full import enrolment
from lib.checks import Checks, among, equal, until
from lib.demo import Demo


class Slow:
    """Power of one slow node, checks named `slow.KIND.CHECK`."""

    def __init__(self, checks: Checks, api: Api, demo: Demo, kind: str) -> None:
        self.name = f"slow-{kind}"
        self.checks, self.api, self.demo, self.kind = checks, api, demo, kind
        self.node, self.reader = demo.node(kind), demo.client(timeout=120)

    def check(self, name: str):
        """`checks.check` with the kind's name before it."""
        return self.checks.check(f"slow.{self.kind}.{name}")

    def run(self) -> None:
        """All of them."""
        self.metal = Baremetal(self.api, self.name, enrolment(self.demo, self.node.system), bios_interface="no-bios",
                               firmware_interface="no-firmware", boot_interface="ipxe")
        try:
            with self.check("manage"):
                self.metal.provision("manage", "manageable", 90)
            with self.check("off"):
                self.metal.power("power off", "power off")
                equal(self.reader.power(self.node.system), "Off", "PowerState")
            with self.check("on"):
                self.metal.power("power on", "power on")
                equal(self.reader.power(self.node.system), "On", "PowerState")
            with self.check("reboot"):
                before = self.demo.switched(self.node)
                self.metal.power("rebooting", "power on", 120)
                after = self.demo.switched(self.node)
                equal((after["off"] - before["off"], after["on"] - before["on"]), (1, 1), "offs and ons")
            if self.kind == "mixed":
                self.mains()
        finally:
            with self.check("delete"):
                until(lambda: self.metal.show()["reservation"], None, 60, "reservation")
                self.metal.delete()

    def mains(self) -> None:
        """Somebody cuts the mains; Ironic switches the machine on: mains, 30 s of nothing, then the machine."""
        with self.check("mains-lost"):
            self.demo.mains(self.node, False)
            until(lambda: self.metal.show()["power_state"], "power off", 60, "power state in Ironic", pause=1)
        with self.check("on-from-dark"):
            before = self.demo.switched(self.node)
            self.metal.power("power on", "power on", 120)
            until(lambda: self.reader.power(self.node.system), "On", 60, "PowerState")
            equal(self.demo.switched(self.node)["on"] - before["on"], 1, "starts")
        with self.check("mains-cycle"):
            before = self.demo.switched(self.node)
            answer = self.reader.reset(self.node.system, "FullPowerCycle", timeout=120)
            # 409 says that the controller is still starting: the operation goes on, and asking again joins it.
            among(answer.status, (200, 202, 204, 409), f"status of FullPowerCycle ({answer})")
            # Nobody can know: what the controller said before the mains were cut is no longer true.
            until(lambda: self.reader.power(self.node.system) == "On", False, 10, "PowerState while the controller starts is On")
            until(lambda: self.reader.power(self.node.system), "On", 120, "PowerState after FullPowerCycle")
            after = self.demo.switched(self.node)
            equal((after["off"] - before["off"], after["on"] - before["on"]), (1, 1), "offs and ons")
            until(lambda: self.metal.show()["power_state"], "power on", 60, "power state in Ironic", pause=1)
