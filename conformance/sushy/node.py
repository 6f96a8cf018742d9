"""One node through sushy: power, boot, indicator, inventory, sensors, ETags. Read back by an independent client."""

import sushy

import service
from lib.checks import Checks, Failure, among, equal, expect, until
from lib.demo import Demo

OFFERED = {
    "ipmi": {"On", "ForceOn", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle", "Nmi"},
    "pdu": {"On", "ForceOn", "ForceOff", "ForceRestart", "PowerCycle", "FullPowerCycle"},
    "mixed": {"On", "ForceOn", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle",
              "FullPowerCycle", "Nmi"},
}
# How a Reset leaves a node; all others leave it on.
ENDS = {"ForceOff": "Off", "GracefulShutdown": "Off"}
ALL = ("On", "ForceOn", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "PowerCycle",
       "FullPowerCycle", "Nmi")
SETTLE = 30.0


class Walk:
    """The checks of one kind of node, named `KIND.CHECK`."""

    def __init__(self, checks: Checks, demo: Demo, kind: str) -> None:
        self.checks, self.kind, self.node = checks, kind, demo.node(kind)
        self.reader, self.root = demo.client(), service.session(demo)
        self.path = self.node.system
        self.system = self.root.get_system(self.path)

    def check(self, name: str):
        """`checks.check` with the kind's name before it."""
        return self.checks.check(f"{self.kind}.{name}")

    def run(self) -> None:
        """All of them."""
        self.identity()
        self.resets()
        self.boot()
        self.indicator()
        self.inventory()
        self.sensors()
        self.etags()

    def seen(self) -> str | None:
        """What sushy reads now."""
        self.system.refresh(force=True)
        return self.system.power_state.value if self.system.power_state else None

    def settle(self, wanted: str) -> None:
        """Both sushy and the independent client see the state."""
        until(self.seen, wanted, SETTLE, f"power of {self.node.name} through sushy")
        equal(self.reader.power(self.path), wanted, f"PowerState of {self.node.name}")

    def go(self, wanted: str) -> None:
        """Brings the node to a state."""
        if self.reader.power(self.path) != wanted:
            answer = self.reader.reset(self.path, "On" if wanted == "On" else "ForceOff")
            among(answer.status, (200, 202, 204), f"status of the Reset that prepares the check ({answer})")
        until(lambda: self.reader.power(self.path), wanted, SETTLE, f"PowerState of {self.node.name}")

    def reset(self, name: str) -> None:
        """Through sushy; a type that it does not know, directly."""
        if name in {kind.value for kind in sushy.ResetType}:
            self.system.reset_system(sushy.ResetType(name))
        else:
            answer = self.reader.reset(self.path, name)
            among(answer.status, (200, 202, 204), f"status of {name} ({answer})")

    def identity(self) -> None:
        """Who it is."""
        with self.check("identity"):
            body = self.reader.read(self.path)
            equal(self.system.identity, body["Id"], "Id")
            equal(self.path.rsplit("/", 1)[-1], body["Id"], "last part of the path")
            expect(self.system.uuid and self.system.uuid == body["UUID"], f"UUID is {self.system.uuid}")
            expect(self.system.manufacturer, "no Manufacturer")
        with self.check("power-state"):
            among(self.seen(), ("On", "Off"), "power state")
        with self.check("health"):
            equal(self.system.status.health.value, "OK", "Status.Health")

    def resets(self) -> None:
        """Each Reset that is offered does what it says; each that is not is refused and changes nothing."""
        with self.check("allowed-resets"):
            action = self.reader.read(self.path)["Actions"]["#ComputerSystem.Reset"]
            equal(sorted(action["ResetType@Redfish.AllowableValues"]), sorted(OFFERED[self.kind]), "allowable values")
            known = {kind.value for kind in sushy.ResetType} & OFFERED[self.kind]
            through = {value.value for value in self.system.get_allowed_reset_system_values()}
            equal(sorted(through), sorted(known), "allowable values through sushy")
        for name in ALL:
            if name in OFFERED[self.kind]:
                with self.check(f"reset-{name}"):
                    self.go("Off" if name in ("On", "ForceOn") else "On")
                    self.reset(name)
                    self.settle(ENDS.get(name, "On"))
            else:
                with self.check(f"refused-{name}"):
                    before = self.reader.power(self.path)
                    answer = self.reader.reset(self.path, name)
                    equal(answer.status, 400, f"status of {name} ({answer})")
                    expect(self.node.name in answer.message or name in answer.message,
                           f"the error names neither node nor type: {answer.message}")
                    equal(self.reader.power(self.path), before, "PowerState afterwards")
        with self.check("restart-from-off"):
            self.go("Off")
            self.system.reset_system(sushy.RESET_FORCE_RESTART)
            self.settle("On")
        with self.check("reset-unknown-type"):
            answer = self.reader.reset(self.path, "Bogus")
            equal(answer.status, 400, f"status ({answer})")
        with self.check("reset-malformed"):
            target = f"{self.path}/Actions/ComputerSystem.Reset"
            for body in (b"{", b"[]", b'"On"', b'{"ResetType": 1}', b"{}"):
                answer = self.reader.request("POST", target, body)
                equal(answer.status, 400, f"status of the body {body.decode()} ({answer})")
                expect(answer.message, f"no message for the body {body.decode()}")

    def boot_is(self, target: str, enabled: str) -> None:
        """Through both clients."""
        self.system.refresh(force=True)
        boot = self.reader.read(self.path)["Boot"]
        equal((boot["BootSourceOverrideTarget"], boot["BootSourceOverrideEnabled"]), (target, enabled), "Boot")
        equal((self.system.boot.target.value, self.system.boot.enabled.value), (target, enabled), "boot through sushy")

    def set_boot(self, target: str | None, enabled: str) -> None:
        """Through sushy."""
        self.system.set_system_boot_options(target=sushy.BootSource(target) if target else None,
                                            enabled=sushy.BootSourceOverrideEnabled(enabled))

    def boot(self) -> None:
        """Overrides: once, continuous, none; used by a start; the mode."""
        targets = {value.value for value in self.system.get_allowed_system_boot_source_values()}
        with self.check("boot-targets"):
            expect({"Pxe", "Hdd", "Cd", "BiosSetup"} <= targets, f"allowable targets: {sorted(targets)}")
        for target in ("Pxe", "Hdd", "Cd", "BiosSetup"):
            with self.check(f"boot-once-{target}"):
                self.set_boot(target, "Once")
                self.boot_is(target, "Once")
        with self.check("boot-once-used"):
            self.go("Off")
            self.set_boot("Pxe", "Once")
            self.boot_is("Pxe", "Once")
            self.system.reset_system(sushy.RESET_ON)
            self.settle("On")
            until(lambda: self.reader.read(self.path)["Boot"]["BootSourceOverrideEnabled"], "Disabled", SETTLE,
                  "BootSourceOverrideEnabled after the start")
        with self.check("boot-once-again"):
            self.set_boot("Pxe", "Once")
            self.boot_is("Pxe", "Once")
        for target in ("Pxe", "Hdd"):
            with self.check(f"boot-continuous-{target}"):
                self.set_boot(target, "Continuous")
                self.boot_is(target, "Continuous")
        with self.check("boot-continuous-stays"):
            self.set_boot("Hdd", "Continuous")
            self.go("Off")
            self.go("On")
            self.boot_is("Hdd", "Continuous")
        with self.check("boot-disabled"):
            self.set_boot(None, "Disabled")
            equal(self.reader.read(self.path)["Boot"]["BootSourceOverrideEnabled"], "Disabled", "Boot")
        for mode in ("Legacy", "UEFI"):
            with self.check(f"boot-mode-{mode}"):
                self.system.set_system_boot_options(mode=sushy.BootSourceOverrideMode(mode))
                equal(self.reader.read(self.path)["Boot"]["BootSourceOverrideMode"], mode, "BootSourceOverrideMode")
                self.system.refresh(force=True)
                equal(self.system.boot.mode.value, mode, "mode through sushy")
        with self.check("boot-bad-target"):
            before = self.reader.read(self.path)["Boot"]
            answer = self.reader.patch(self.path, {"Boot": {"BootSourceOverrideTarget": "Bogus"}})
            equal(answer.status, 400, f"status ({answer})")
            equal(self.reader.read(self.path)["Boot"], before, "Boot afterwards")

    def indicator(self) -> None:
        """The identification light, where there is one."""
        body = self.reader.read(self.path)
        if self.kind == "pdu":
            with self.check("indicator-absent"):
                expect("IndicatorLED" not in body, "an outlet has no light, yet IndicatorLED is served")
                answer = self.reader.patch(self.path, {"IndicatorLED": "Lit"})
                among(answer.status, (400, 405), f"status of the PATCH ({answer})")
            return
        with self.check("indicator-Blinking"):
            # IPMI has one light and no say in how it looks: it is refused in words, or done; never dropped in silence.
            answer = self.reader.patch(self.path, {"IndicatorLED": "Blinking"})
            if answer.status == 400:
                expect(answer.message, "refused without a word")
                equal(self.reader.read(self.path)["IndicatorLED"], body["IndicatorLED"], "IndicatorLED afterwards")
            else:
                equal(self.reader.read(self.path)["IndicatorLED"], "Blinking", "IndicatorLED")
        for led in ("Lit", "Off"):
            with self.check(f"indicator-{led}"):
                self.system.set_indicator_led(sushy.IndicatorLED(led))
                equal(self.reader.read(self.path)["IndicatorLED"], led, "IndicatorLED")
                self.system.refresh(force=True)
                equal(self.system.indicator_led.value, led, "light through sushy")

    def inventory(self) -> None:
        """What Ironic's inspection reads."""
        with self.check("processors"):
            members = self.system.processors.get_members()
            expect(members, "no processors")
            expect(all(cpu.instruction_set for cpu in members), "a processor has no InstructionSet")
            expect(sum(cpu.total_threads or 0 for cpu in members) > 0, "no TotalThreads")
        with self.check("memory-summary"):
            expect((self.system.memory_summary.size_gib or 0) > 0, "no TotalSystemMemoryGiB")
        with self.check("ethernet-interfaces"):
            found = [item.mac_address for item in self.system.ethernet_interfaces.get_members()]
            expect(found and all(found), f"MACAddress of the interfaces: {found}")
            expect(self.system.ethernet_interfaces.summary, "no interface is enabled and healthy")
        with self.check("managers"):
            managers = self.system.managers
            expect(managers, "Links.ManagedBy is empty")
            expect(managers[0].firmware_version, "the manager has no FirmwareVersion")
            own = managers[0].path.endswith("/rackfish")
            equal(own, self.kind == "pdu", "managed by rackfish itself")

    def sensors(self) -> None:
        """The node's own chassis, first of its links, with the resources that Ironic reads."""
        with self.check("chassis"):
            chassis = self.system.chassis
            expect(chassis, "Links.Chassis is empty")
            expect(chassis[0].uuid, "the chassis has no UUID")
            back = {item["@odata.id"] for item in self.reader.read(chassis[0].path)["Links"]["ComputerSystems"]}
            equal(back, {self.path}, "Links.ComputerSystems of the node's chassis")
        with self.check("thermal"):
            chassis = self.reader.read(self.system.chassis[0].path)
            if self.kind == "pdu":
                # An outlet measures no temperature: no resource is better than an empty one.
                expect("Thermal" not in chassis, "an outlet has no temperatures, yet Thermal is linked")
            else:
                self.go("On")
                until(self.readings, bool, 30, "readings of a running node", pause=1)
        with self.check("power-resource"):
            power = self.system.chassis[0].power
            expect(power.identity and power.name, "Power has no Id or Name")
        with self.check("expand-ignored"):
            answer = self.reader.get(f"{self.system.chassis[0].path}?$expand=.($levels=1)")
            equal(answer.status, 200, "status of the GET with $expand that Ironic sends")

    def readings(self) -> bool:
        """Whether sushy sees a temperature and a fan's speed; every reading has what Ironic makes its key of."""
        thermal = self.root.get_system(self.path).chassis[0].thermal
        expect(all(item.identity is not None for item in [*thermal.temperatures, *thermal.fans]), "no MemberId")
        return (any(item.reading_celsius is not None for item in thermal.temperatures)
                and any(item.reading is not None for item in thermal.fans))

    def etags(self) -> None:
        """A stale writer is told so; readings do not make a writer stale."""
        with self.check("etag-stable"):
            tags = {self.reader.get(self.path).headers.get("etag") for _ in range(5)}
            equal(len(tags), 1, f"number of ETags of a node that did not change ({tags})")
            expect(None not in tags, "no ETag header")
        with self.check("if-match"):
            tag = self.reader.get(self.path).headers["etag"]
            patch = {"Boot": {"BootSourceOverrideTarget": "Pxe", "BootSourceOverrideEnabled": "Once"}}
            first = self.reader.patch(self.path, patch, headers={"If-Match": tag})
            among(first.status, (200, 204), f"status with the ETag just read ({first})")
            stale = self.reader.patch(self.path, {"Boot": {"BootSourceOverrideTarget": "Hdd"}},
                                      headers={"If-Match": tag})
            equal(stale.status, 412, f"status with the ETag from before ({stale})")
            equal(self.reader.read(self.path)["Boot"]["BootSourceOverrideTarget"], "Pxe", "target after the 412")
        with self.check("unknown-system"):
            try:
                self.root.get_system("/redfish/v1/Systems/no-such-node")
            except sushy.exceptions.ResourceNotFoundError:
                pass
            else:
                raise Failure("a System that is not there was read")
        self.set_boot(None, "Disabled")
