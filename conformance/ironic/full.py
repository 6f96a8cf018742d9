"""One node of a kind through its life in Ironic: every answer is compared with what the service says to others."""

import time
from typing import Any

from api import Api, Baremetal, IronicError
from lib.checks import Checks, Failure, among, equal, expect, until
from lib.demo import Demo
from service import Ironic

DEVICES = {"pxe": "Pxe", "disk": "Hdd", "cdrom": "Cd", "bios": "BiosSetup"}
METRICS = "hardware.redfish.metrics"


def enrolment(demo: Demo, system: str, **more: Any) -> dict[str, Any]:
    """`driver_info` of a node."""
    return {"redfish_address": demo.url, "redfish_system_id": system, "redfish_username": demo.user,
            "redfish_password": demo.password, "redfish_verify_ca": demo.ca, **more}


class Full:
    """The checks of one kind, named `KIND.CHECK`."""

    def __init__(self, checks: Checks, api: Api, ironic: Ironic, demo: Demo, kind: str) -> None:
        self.name = f"full-{kind}"
        self.checks, self.api, self.ironic, self.demo, self.kind = checks, api, ironic, demo, kind
        self.node, self.reader = demo.node(kind), demo.client()
        self.path = self.node.system
        self.metal: Baremetal | None = None

    def check(self, name: str):
        """`checks.check` with the kind's name before it."""
        return self.checks.check(f"{self.kind}.{name}")

    def body(self) -> dict[str, Any]:
        """The System as others read it."""
        return self.reader.read(self.path)

    def run(self) -> None:
        """All of them, in the order of a machine's life."""
        self.wrong_password()
        with self.check("enrol"):
            info = enrolment(self.demo, self.path, **self.ironic.kernel_and_ramdisk())
            self.metal = Baremetal(self.api, self.name, info, boot_interface="ipxe", deploy_interface="direct",
                                   inspect_interface="redfish", bios_interface="no-bios",
                                   firmware_interface="no-firmware")
        if not self.metal:
            return
        try:
            self.manage()
            self.inspect()
            self.power()
            self.boot()
            self.indicators()
            self.subscriptions()
            self.sensors()
            self.cleaning()
        finally:
            self.remove()

    def wrong_password(self) -> None:
        """Ironic must be able to tell, and the node must not move."""
        with self.check("wrong-password"):
            info = enrolment(self.demo, self.path, redfish_password="not-the-password")
            wrong = Baremetal(self.api, f"{self.name}-wrong", info)
            try:
                wrong.put("/states/provision", {"target": "manage"})
                node = wrong.wait(lambda node: node["target_provision_state"] is None, 60, "the end of manage")
                equal(node["provision_state"], "enroll", "provision state")
                expect(node["last_error"], "no last_error")
            finally:
                wrong.delete()

    def manage(self) -> None:
        """From enrolled to manageable."""
        with self.check("validate"):
            said = self.metal.get("/validate")
            for part in ("power", "management", "inspect"):
                expect(said[part]["result"], f"{part}: {said[part].get('reason')}")
        with self.check("manage"):
            node = self.metal.provision("manage", "manageable", 90)
            equal(node["power_state"], f"power {self.body()['PowerState'].lower()}", "power state")
        with self.check("vendor"):
            vendor = self.metal.show()["properties"].get("vendor")
            root = self.reader.read("/redfish/v1/").get("Vendor")
            equal(vendor, root or self.body()["Manufacturer"], "vendor")
        with self.check("boot-mode-known"):
            mode = {"UEFI": "uefi", "Legacy": "bios"}[self.body()["Boot"]["BootSourceOverrideMode"]]
            equal(self.metal.show()["boot_mode"], mode, "boot_mode")

    def inspect(self) -> None:
        """In-band knowledge by out-of-band means."""
        with self.check("inspect"):
            self.metal.provision("inspect", "manageable", 90)
        with self.check("properties"):
            properties = self.metal.show()["properties"]
            memory = self.body()["MemorySummary"]["TotalSystemMemoryGiB"]
            equal(int(properties["memory_mb"]), int(memory * 1024), "memory_mb")
            expect(properties.get("cpu_arch"), "no cpu_arch")
        with self.check("inventory"):
            inventory = self.metal.get("/inventory")["inventory"]
            processors = [self.reader.read(path) for path in self.reader.members(f"{self.path}/Processors")]
            equal(inventory["cpu"]["count"], sum(cpu["TotalThreads"] for cpu in processors), "cpu.count")
            vendor = inventory["system_vendor"]
            equal(vendor["manufacturer"], self.body()["Manufacturer"], "system_vendor.manufacturer")
            equal(vendor.get("serial_number"), self.body().get("SerialNumber"), "system_vendor.serial_number")
        with self.check("ports"):
            members = self.reader.members(f"{self.path}/EthernetInterfaces")
            macs = sorted(self.reader.read(path)["MACAddress"].lower() for path in members)
            ports = self.api.call("GET", f"/v1/ports?node={self.metal.uuid}")["ports"]
            equal(sorted(port["address"] for port in ports), macs, "addresses of the ports")

    def power_is(self, state: str) -> None:
        """On both sides."""
        equal(self.reader.power(self.path), state, f"PowerState of {self.node.name}")

    def power(self) -> None:
        """All that Ironic can ask for."""
        with self.check("power-on"):
            self.metal.power("power on", "power on")
            self.power_is("On")
        with self.check("power-off"):
            self.metal.power("power off", "power off")
            self.power_is("Off")
        with self.check("power-on-from-off"):
            self.metal.power("power on", "power on")
            self.power_is("On")
        with self.check("reboot"):
            before = self.demo.switched(self.node)
            self.metal.power("rebooting", "power on")
            self.power_is("On")
            after = self.demo.switched(self.node)
            equal((after["off"] - before["off"], after["on"] - before["on"]), (1, 1), "offs and ons of a reboot")
        with self.check("reboot-from-off"):
            self.metal.power("power off", "power off")
            self.metal.power("rebooting", "power on")
            self.power_is("On")
        soft = (("soft-off", "soft power off", "power off", "Off"), ("soft-reboot", "soft rebooting", "power on", "On"))
        for name, target, state, word in soft:
            if self.kind == "pdu":
                with self.check(f"{name}-refused"):
                    # The API knows the hardware type, not the node: the refusal is the conductor's, in words.
                    try:
                        error = self.metal.power_ends(target, 60)["last_error"]
                    except IronicError as why:
                        error = why.text
                    expect("graceful" in (error or "").lower(), f"Ironic's last_error: {error}")
                    equal(self.metal.show()["power_state"], "power on", "power state afterwards")
                    self.power_is("On")
            else:
                with self.check(name):
                    self.metal.power("power on", "power on")
                    self.metal.power(target, state, timeout=60)
                    self.power_is(word)
        with self.check("back-on"):
            self.metal.power("power on", "power on")
            self.power_is("On")
        with self.check("nmi" if self.kind != "pdu" else "nmi-refused"):
            before = self.demo.switched(self.node)["nmi"]
            if self.kind == "pdu":
                try:
                    self.metal.put("/management/inject_nmi", {})
                except IronicError as why:
                    expect("Nmi" in why.text or "NMI" in why.text, f"Ironic says: {why}")
                else:
                    raise Failure("an outlet took a diagnostic interrupt")
            else:
                self.metal.put("/management/inject_nmi", {})
                equal(self.demo.switched(self.node)["nmi"] - before, 1, "diagnostic interrupts at the controller")
        self.noticed()

    def noticed(self) -> None:
        """Power that others switch shows up in Ironic, and Ironic leaves it alone."""
        for kind, word in (("ForceOff", "off"), ("On", "on")):
            with self.check(f"noticed-{word}"):
                answer = self.reader.reset(self.path, kind)
                among(answer.status, (200, 202, 204), f"status of {kind} ({answer})")
                # Ironic's pass over all nodes waits for one that is busy for 45 s, and only then the next begins.
                until(lambda: self.metal.show()["power_state"], f"power {word}", 180, "power state in Ironic", pause=1)
                self.power_is(word.capitalize())

    def boot_device(self, device: str, persistent: bool) -> None:
        """Sets it, and reads it back on both sides."""
        self.metal.put("/management/boot_device", {"boot_device": device, "persistent": persistent})
        boot = self.body()["Boot"]
        wanted = (DEVICES[device], "Continuous" if persistent else "Once")
        equal((boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]), wanted, "Boot")
        said = self.metal.get("/management/boot_device")
        equal((said["boot_device"], said["persistent"]), (device, persistent), "boot device in Ironic")

    def boot(self) -> None:
        """Boot devices, once and for good, and the boot mode."""
        with self.check("boot-supported"):
            known = self.metal.get("/management/boot_device/supported")["supported_boot_devices"]
            expect(set(DEVICES) <= set(known), f"supported boot devices: {known}")
        for device in DEVICES:
            with self.check(f"boot-once-{device}"):
                self.boot_device(device, False)
        with self.check("boot-once-used"):
            self.boot_device("pxe", False)
            self.metal.power("rebooting", "power on")
            until(lambda: self.body()["Boot"]["BootSourceOverrideEnabled"], "Disabled", 10, "Boot after the reboot")
        with self.check("boot-once-again"):
            self.boot_device("pxe", False)
        for device in ("pxe", "disk"):
            with self.check(f"boot-always-{device}"):
                self.boot_device(device, True)
        with self.check("boot-always-stays"):
            self.metal.power("rebooting", "power on")
            equal(self.body()["Boot"]["BootSourceOverrideEnabled"], "Continuous", "Boot after the reboot")
        for mode, word in (("bios", "Legacy"), ("uefi", "UEFI")):
            with self.check(f"boot-mode-{mode}"):
                self.metal.put("/states/boot_mode", {"target": mode})
                until(lambda: self.body()["Boot"]["BootSourceOverrideMode"], word, 40, "BootSourceOverrideMode")
                until(lambda: self.metal.show()["boot_mode"], mode, 40, "boot_mode in Ironic", pause=1)

    def indicators(self) -> None:
        """The identification light of the System."""
        uuid = self.body()["UUID"]
        with self.check("indicators"):
            known = self.metal.get("/management/indicators")["indicators"]
            found = [item["name"] for item in known if item["component"] == "system"]
            equal(found, [] if self.kind == "pdu" else [f"{uuid}@system"], "indicators of the system")
        for state, word in (("on", "Lit"), ("off", "Off")):
            if self.kind == "pdu":
                break
            with self.check(f"indicator-{state}"):
                place = f"/management/indicators/{uuid}@system"
                self.metal.put(place, {"state": state})
                equal(self.body()["IndicatorLED"], word, "IndicatorLED")
                equal(self.metal.get(place)["state"], state, "state in Ironic")

    def subscriptions(self) -> None:
        """Through vendor passthru, as operators do."""
        made: dict[str, Any] = {}
        with self.check("subscription-create"):
            body = {"Destination": f"https://127.0.0.1:9/{self.name}", "Context": self.name, "Protocol": "Redfish"}
            made.update(self.metal.passthru("POST", "create_subscription", body))
            served = self.reader.read(f"/redfish/v1/EventService/Subscriptions/{made['Id']}")
            equal(served["Destination"], body["Destination"], "Destination")
            equal((made["Destination"], made["Context"]), (body["Destination"], self.name), "subscription in Ironic")
        with self.check("subscription-list"):
            members = self.metal.passthru("GET", "get_all_subscriptions")["Members"]
            own = f"/redfish/v1/EventService/Subscriptions/{made['Id']}"
            expect(own in [member["@odata.id"] for member in members], f"{own} is not listed")
        with self.check("subscription-get"):
            said = self.metal.passthru("GET", "get_subscription", {"id": made["Id"]})
            equal(said["Context"], self.name, "Context")
        with self.check("subscription-delete"):
            self.metal.passthru("DELETE", "delete_subscription", {"id": made["Id"]})
            equal(self.reader.get(f"/redfish/v1/EventService/Subscriptions/{made['Id']}").status, 404, "its status")

    def sensors(self) -> None:
        """Readings as Ironic sends them on."""
        with self.check("sensors"):
            def sent() -> dict[str, Any] | None:
                own = [p for p in self.ironic.notifications(METRICS) if p["node_uuid"] == self.metal.uuid]
                return own[-1]["payload"] if own else None

            payload = until(sent, bool, 60, f"sensor notification of {self.node.name}", pause=1)
            chassis = self.body()["Links"]["Chassis"][0]["@odata.id"]
            known = self.reader.read(chassis)
            thermal = self.reader.read(f"{chassis}/Thermal") if "Thermal" in known else {}
            equal(len(payload.get("Temperature", {})), len(thermal.get("Temperatures", [])), "number of temperatures")
            equal(len(payload.get("Fan", {})), len(thermal.get("Fans", [])), "number of fans")
            if self.kind != "pdu":
                expect(any(t["reading_celsius"] is not None for t in payload["Temperature"].values()), f"{payload}")
                expect(payload["Fan"], "no fans")
            supplies = self.reader.read(f"{chassis}/Power").get("PowerSupplies", [])
            equal(len(payload.get("Power", {})), len(supplies), "number of power supplies")

    def cleaning(self) -> None:
        """As far as it goes without a ramdisk that answers."""
        with self.check("provide"):
            self.metal.provision("provide", "available", 60)
        with self.check("manage-again"):
            self.metal.provision("manage", "manageable", 60)
        with self.check("clean-without-ramdisk"):
            steps = [{"interface": "power", "step": name} for name in ("power_off", "power_on", "reboot")]
            self.metal.provision("clean", "manageable", 120, clean_steps=steps, disable_ramdisk=True)
            self.power_is("On")
        with self.check("clean-into-ramdisk"):
            # The node is told to boot from the network, once, and started: then Ironic waits for what runs there.
            before = self.demo.switched(self.node)
            steps = [{"interface": "deploy", "step": "erase_devices"}]
            self.metal.provision("clean", "clean wait", 150, clean_steps=steps)
            self.power_is("On")
            after = self.demo.switched(self.node)
            equal(after["on"] - before["on"] + after["reset"] - before["reset"], 1, "starts")
        with self.check("clean-abort"):
            self.metal.put("/states/provision", {"target": "abort"})
            time.sleep(1)
            self.metal.wait(lambda node: node["provision_state"] == "clean failed" and not node["reservation"], 90,
                            "clean failed")
            self.metal.provision("manage", "manageable", 60)

    def remove(self) -> None:
        """Ironic forgets it; the machine runs on."""
        with self.check("delete"):
            before = self.reader.power(self.path)
            until(lambda: self.metal.show()["reservation"], None, 60, "reservation")
            self.metal.delete()
            equal(self.reader.power(self.path), before, "PowerState afterwards")
