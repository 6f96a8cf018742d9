"""Redfish-Tacklebox's scripts: a client has to end well, and what it set has to be there afterwards."""

from pathlib import Path

from lib.checks import Checks, equal, expect, until
from lib.demo import Demo
from tools import Tools

V1 = "/redfish/v1"
PASSWORD = "Tb-first-Secret-1"
SINK = "https://127.0.0.1:9/nobody"

SERVICE = {
    "sys_inventory": ("--details",), "sensor_list": (), "accounts": (), "event_service": ("info",), "certificates": ("info",),
    "raw_request": ("--method", "GET", "--request", f"{V1}/"),
}
SYSTEM = {"power_reset": ("--info",), "boot_override": ("--info",)}
# What nothing behind the service has is not offered; the scripts have to hear that from the service itself.
ABSENT = {
    "firmware_inventory": ((), "does not have an UpdateService"),
    "virtual_media": (("--system", "{node}", "info"), "does not support virtual media"),
    "bios_settings": (("--system", "{node}"), "does not support representing BIOS"),
}


class Tacklebox:
    """All scripts against one demo; checks are named `PREFIX.SCRIPT`."""

    def __init__(self, checks: Checks, prefix: str, tools: Tools, demo: Demo, folder: Path) -> None:
        self.checks, self.prefix, self.tools, self.demo, self.folder = checks, prefix, tools, demo, folder
        self.reader = demo.client()

    def _call(self, script: str, words: tuple[str, ...]) -> tuple[int, str]:
        command = [f"rf_{script}.py", "-r", self.demo.url, "-u", self.demo.user, "-p", self.demo.password, *words]
        return self.tools.execute(script, self.folder, command, limit=90)

    def call(self, script: str, *words: str) -> str:
        """Runs a script; it must end well."""
        status, said = self._call(script, words)
        expect(status == 0 and "Traceback" not in said, f"it ended with {status}: {said[-300:]}")
        return said

    def prints(self, name: str, script: str, *words: str, part: str = "") -> None:
        """A script ends well and prints something."""
        with self.checks.check(f"{self.prefix}.{name}"):
            said = self.call(script, *words)
            expect(said.strip() and part in said, f"it does not print {part!r}: {said[-300:]}")

    def run(self) -> None:
        """All of them."""
        node = self.demo.node("ipmi")
        for script, words in SERVICE.items():
            self.prints(script, script, *words)
        for script, words in SYSTEM.items():
            self.prints(script, script, "--system", node.name, *words)
        self.prints("logs", "logs", "--system", node.name, "--log", "SEL", part="Id")
        self.prints("logs-audit", "logs", "--system", node.name, "--log", "Audit", part="Id")
        self.prints("manager_config", "manager_config", "--manager", "rackfish", "info", part="rackfish")
        self.prints("manager_config-protocol", "manager_config", "--manager", "rackfish", "getprotocol", part="HTTPS")
        for script, (words, why) in ABSENT.items():
            with self.checks.check(f"{self.prefix}.{script}-absent"):
                status, said = self._call(script, tuple(word.format(node=node.name) for word in words))
                expect(status != 0 and why in said, f"it ended with {status}: {said[-300:]}")
        self.media()
        self.system()
        self.accounts()
        with self.checks.check(f"{self.prefix}.event_service-subscribe"):
            self.call("event_service", "subscribe", "--destination", SINK)
            made = [self.reader.read(uri)["Destination"]
                    for uri in self.reader.members(f"{V1}/EventService/Subscriptions")]
            equal(made, [SINK], "destinations")

    def media(self) -> None:
        """Virtual media of each node that has such."""
        for node in self.demo.nodes("redfish"):
            with self.checks.check(f"{self.prefix}.virtual_media"):
                slot, image = f"{node.system}/VirtualMedia/Cd", "http://images.example/tackle.iso"
                expect("Cd" in self.call("virtual_media", "--system", node.name, "info"), "it does not list the slot")
                self.call("virtual_media", "--system", node.name, "insert", "--image", image, "--mediatypes", "CD")
                equal(self.reader.read(slot)["Image"], image, "Image")
                equal(self.demo.media(node)["Cd"], image, "the image at the BMC")
                self.call("virtual_media", "--system", node.name, "eject", "--id", "Cd")
                equal((self.reader.read(slot)["Inserted"], self.demo.media(node)["Cd"]), (False, None), "after the end")

    def system(self) -> None:
        """Power and boot of each node."""
        nodes = self.demo.nodes()
        with self.checks.check(f"{self.prefix}.boot_override-set"):
            for node in nodes:
                self.call("boot_override", "--system", node.name, "--target", "Pxe")
                equal(self.reader.read(node.system)["Boot"]["BootSourceOverrideTarget"], "Pxe", "target")
                self.call("boot_override", "--system", node.name, "--target", "None")
        for kind, state in (("ForceOff", "Off"), ("On", "On")):
            with self.checks.check(f"{self.prefix}.power_reset-{kind}"):
                for node in nodes:
                    self.call("power_reset", "--system", node.name, "--type", kind)
                    until(lambda at=node.system: self.reader.power(at), state, 20, "PowerState")

    def accounts(self) -> None:
        """An account's life."""
        with self.checks.check(f"{self.prefix}.accounts-life"):
            path = f"{V1}/AccountService/Accounts/tackle"
            self.call("accounts", "--add", "tackle", PASSWORD, "Operator")
            self.call("accounts", "--setrole", "tackle", "ReadOnly")
            equal(self.reader.read(path)["RoleId"], "ReadOnly", "RoleId")
            self.call("accounts", "--delete", "tackle")
            equal(self.reader.get(path).status, 404, "status of the deleted account")
