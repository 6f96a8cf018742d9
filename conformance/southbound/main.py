"""Redfish BMCs behind rackfish: sushy in front, three foreign and own services behind."""

import hashlib
import ssl
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import sushy
from sushy import auth

from lib.checks import Checks, equal, expect, log, until
from lib.demo import Demo
from lib.redfish import Answer
from lib.service import WORK, Service, mistaken, rackfish, says, sound
from lib.toml import node
import media
from rig import PORT, Emulator, Images, Mockup, endpoint, secret

warnings.filterwarnings("ignore")
SYSTEMS = "/redfish/v1/Systems"
SESSIONS = "/redfish/v1/SessionService/Sessions"


class Walk:
    """All checks that need the service."""

    def __init__(self, checks: Checks, service: Service, emulator: Emulator, mockup: Mockup, demo: Demo) -> None:
        self.check, self.service = checks.check, service
        self.emulator, self.mockup, self.demo = emulator, mockup, demo
        self.reader = service.client()
        self.peer = demo.client()
        basic = auth.BasicAuth(username="admin", password=service.password)
        self.root = sushy.Sushy(service.url, auth=basic, verify=str(service.ca))

    def path(self, node: str) -> str:
        """Its system."""
        return f"{SYSTEMS}/{node}"

    def system(self, node: str) -> sushy.resources.system.system.System:
        """The same through sushy."""
        return self.root.get_system(self.path(node))

    def power(self, node: str) -> str | None:
        """As it is shown."""
        return self.reader.power(self.path(node))

    def settle(self, node: str, power: str, seconds: float = 15) -> None:
        """Waits until it is shown."""
        until(lambda: self.power(node), power, seconds, f"power of {node}")

    def reset(self, node: str, kind: str) -> Answer:
        """Through the independent client."""
        return self.reader.reset(self.path(node), kind)

    def readings(self, node: str) -> dict[str, float | None]:
        """Name and value of each sensor."""
        path = f"/redfish/v1/Chassis/{node}/Sensors"
        if self.reader.get(path).status == 404:
            return {}  # not read yet
        bodies = [self.reader.read(member) for member in self.reader.members(path)]
        return {body["Name"]: body.get("Reading") for body in bodies}

    def told(self, name: str) -> str:
        """What the command line says of an endpoint, in one line."""
        done = rackfish("endpoint", "show", name, "--config", str(self.service.config))
        return " ".join((done.stdout + done.stderr).split())

    # ------------------------------------------------------------------------------------------------ sushy-emulator

    def emulated(self) -> None:
        """A BMC without sessions and ETags, with a certificate of its own, that takes its time."""
        with self.check("emulator.first-state"):
            self.settle("emu", "Off")
        system = self.system("emu")
        with self.check("emulator.identity"):
            until(lambda: self.reader.read(self.path("emu")).get("Manufacturer"), "Sushy Emulator", 10, "maker")
        with self.check("emulator.allowed-resets"):
            offered = {value.value for value in system.get_allowed_reset_system_values()}
            wanted = {"On", "ForceOff", "GracefulShutdown", "ForceRestart", "Nmi"}
            expect(wanted <= offered, f"offered: {offered}")
        with self.check("emulator.boot"):
            system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE,
                                           mode=sushy.BOOT_SOURCE_MODE_BIOS)
            equal(self.emulator.system()["Boot"]["BootSourceOverrideTarget"], "Hdd", "target at the BMC before the start")
            system.reset_system(sushy.RESET_ON)
            seen = self.emulator.system()
            equal(seen["Boot"]["BootSourceOverrideTarget"], "Cd", "target at the BMC")
            equal(seen["Boot"]["BootSourceOverrideMode"], "Legacy", "mode at the BMC")
            equal(self.reader.read(self.path("emu"))["Boot"]["BootSourceOverrideEnabled"], "Disabled", "after the start")
        with self.check("emulator.on"):
            equal((self.emulator.system()["PowerState"], self.power("emu")), ("On", "On"), "power")
        with self.check("emulator.restart"):
            system.reset_system(sushy.RESET_FORCE_RESTART)
            self.settle("emu", "On")
            until(lambda: self.emulator.system()["PowerState"], "On", 15, "power at the BMC")
        with self.check("emulator.off"):
            system.reset_system(sushy.RESET_FORCE_OFF)
            equal((self.emulator.system()["PowerState"], self.power("emu")), ("Off", "Off"), "power")
        with self.check("emulator.neighbour-untouched"):
            equal(self.emulator.system(1)["PowerState"], "Off", "power of the other system of that service")
        with self.check("emulator.nmi-advertised-but-missing"):
            equal(self.reset("emu", "On").status, 204, "status of On")
            answer = self.reset("emu", "Nmi")
            expect(answer.status >= 400, f"it was taken: {answer}")
        with self.check("emulator.sensors"):
            until(lambda: self.readings("emu").get("Chassis Intake Temp"), 25, 15, "Chassis Intake Temp")
            readings = self.readings("emu")
            equal((readings["CPU Temp"], readings["BaseBoard System Fan"]), (41, 2100), "temperature and fan")
        with self.check("emulator.indicator"):
            system.set_indicator_led(sushy.IndicatorLED.BLINKING)
            equal(self.emulator.system()["IndicatorLED"], "Blinking", "light at the BMC")
            until(lambda: self.reader.read(self.path("emu")).get("IndicatorLED"), "Blinking", 10, "light")
            system.set_indicator_led(sushy.IndicatorLED.OFF)
        with self.check("emulator.several-systems"):
            until(lambda: "27946b59" in self.told("several"), True, 15, "the Systems' names in what is said of it")

    def refused(self) -> None:
        """A wrong password is not tried again and again; a wrong certificate gets none."""
        with self.check("wrong-password"):
            until(lambda: "credentials refused" in self.told("locked"), True, 15, "what is said of it")
            equal(self.power("locked"), None, "power")
            before = self.emulator.log.read_text().count(" 401 ")
            time.sleep(3)
            tries = self.emulator.log.read_text().count(" 401 ") - before
            equal(tries, 0, "further tries with the wrong password")
        with self.check("wrong-password.reset"):
            answer = self.reset("locked", "On")
            expect(answer.status >= 400 and "locked" in answer.message, f"answer: {answer}")
        with self.check("wrong-fingerprint"):
            until(lambda: self.emulator.fingerprint in self.told("stranger"), True, 15, "the fingerprint that was found")
            equal(self.power("stranger"), None, "power")
        with self.check("fingerprint-of-an-issued-certificate"):
            until(lambda: "not self-signed" in self.told("issued"), True, 15, "why it is not trusted")
        with self.check("wrong-ca"):
            until(lambda: "ca_file" in self.told("unsigned"), True, 15, "the way out")

    def dead(self) -> None:
        """A BMC dies and comes back."""
        self.emulator.__exit__()
        with self.check("dead.told"):
            until(lambda: "no connection" in self.told("emu"), True, 15, "what is said of it")
        with self.check("dead.reset"):
            begun = time.monotonic()
            answer = self.reset("emu", "ForceRestart")
            equal(answer.status, 503, f"status ({answer})")
            expect("emu" in answer.message, f"the error says {answer.message}")
            expect(time.monotonic() - begun < 20, f"it took {time.monotonic() - begun:.0f} s")
        with self.check("dead.reads-are-quick"):
            begun = time.monotonic()
            for _ in range(20):
                self.reader.read(self.path("emu"))
            expect(time.monotonic() - begun < 2, f"20 GETs took {time.monotonic() - begun:.1f} s")
        self.emulator.__enter__()
        with self.check("back"):
            until(lambda: self.reset("emu", "ForceOff").status, 204, 30, "status of ForceOff", pause=1)
            equal((self.emulator.system()["PowerState"], self.power("emu")), ("Off", "Off"), "power")

    # ----------------------------------------------------------------------------------------------------- recorded BMC

    def recorded(self) -> None:
        """A BMC of full size that never changes, insists on ETags, and links itself by an address nobody reaches."""
        with self.check("mockup.first-state"):
            self.settle("mock", "On")
        with self.check("mockup.identity"):
            until(lambda: self.reader.read(self.path("mock")).get("SerialNumber"), "437XR1138R2", 10, "serial number")
            body = self.reader.read(self.path("mock"))
            equal((body["Manufacturer"], body["Model"]), ("Contoso", "3500"), "maker and model")
        with self.check("mockup.sensors"):
            until(lambda: self.readings("mock").get("CPU Temp"), 62, 10, "CPU Temp")
        with self.check("mockup.boot"):
            before = len(self.mockup.asked("PATCH"))
            system = self.system("mock")
            system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_PXE, enabled=sushy.BOOT_SOURCE_ENABLED_CONTINUOUS)
            self.reset("mock", "ForceRestart")
            patches = [line for line in self.mockup.asked("PATCH")[before:] if "BootSource" in line]
            equal(len(patches), 1, "PATCH requests")
            expect('"Continuous"' in patches[0] and '"Pxe"' in patches[0], f"it was {patches[0]}")
        with self.check("mockup.reset-is-not-believed"):
            before = len(self.mockup.asked("POST", "ComputerSystem.Reset"))
            answer = self.reset("mock", "ForceOff")
            if answer.status == 202:
                state = answer.headers["location"]
                until(lambda: self.reader.get(state).status, lambda status: status != 202, 30, "status of the task")
            else:
                equal(answer.status, 503, f"status ({answer})")
            equal(self.power("mock"), "On", "power")
            equal(self.mockup.asked("POST", "ComputerSystem.Reset")[before:],
                  [f'{SYSTEMS}/437XR1138R2/Actions/ComputerSystem.Reset {{"ResetType": "ForceOff"}}'], "resets at the BMC")
        with self.check("mockup.one-login"):
            equal(len(self.mockup.asked("POST", SESSIONS)), 1, "logins")

    # --------------------------------------------------------------------------------------------------------- rackfish

    def sessions(self) -> list[str]:
        """Sessions at the other rackfish."""
        return sorted(self.peer.members(SESSIONS))

    def ourselves(self) -> None:
        """Another rackfish is the BMC, with sessions, ETags, expansion, and a simulated BMC whose transitions are counted."""
        node = self.demo.node("ipmi")
        with self.check("self.first-state"):
            until(lambda: self.power("own"), lambda power: power in ("On", "Off"), 15, "power")
            equal(self.reset("own", "ForceOff").status, 204, "status of ForceOff")
        system = self.system("own")
        first = self.sessions()
        with self.check("self.one-session"):
            equal(len(first), 1, "sessions at the BMC")
        with self.check("self.power"):
            before = self.demo.switched(node)
            for kind in (sushy.RESET_ON, sushy.RESET_FORCE_RESTART, sushy.RESET_FORCE_OFF, sushy.RESET_ON):
                system.reset_system(kind)
                wanted = "Off" if kind == sushy.RESET_FORCE_OFF else "On"
                equal((self.peer.power(node.system), self.power("own")), (wanted, wanted), f"power after {kind.value}")
            after = self.demo.switched(node)
            counted = {name: after[name] - before[name] for name in ("on", "off", "reset")}
            equal(counted, {"on": 2, "off": 1, "reset": 1}, "what the simulated BMC was made to do")
        with self.check("self.cycle"):
            before = self.demo.switched(node)
            equal(self.reset("own", "PowerCycle").status, 204, "status")
            self.settle("own", "On")
            after = self.demo.switched(node)
            equal((after["on"] - before["on"], after["off"] - before["off"]), (1, 1), "transitions")
        with self.check("self.boot"):
            system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_HDD, enabled=sushy.BOOT_SOURCE_ENABLED_CONTINUOUS,
                                           mode=sushy.BOOT_SOURCE_MODE_UEFI)
            system.reset_system(sushy.RESET_FORCE_RESTART)
            boot = self.peer.read(node.system)["Boot"]
            seen = [boot[f"BootSourceOverride{key}"] for key in ("Target", "Enabled", "Mode")]
            equal(seen, ["Hdd", "Continuous", "UEFI"], "boot options at the BMC")
        with self.check("self.sensors"):
            path = f"/redfish/v1/Chassis/{self.peer.read(node.system)['Links']['Chassis'][0]['@odata.id'].split('/')[-1]}"

            def apart() -> list[str]:
                """Readings that differ by more than they may while both sides poll."""
                there = {b["Name"]: b.get("Reading") for b in map(self.peer.read, self.peer.members(f"{path}/Sensors"))}
                here = self.readings("own")
                if len([v for v in there.values() if v is not None]) < 5:
                    return [f"the BMC has not read its sensors since the host is on: {there}"]
                near = lambda a, b: a == b or (a is not None and b is not None and abs(a - b) <= 0.1 * max(abs(b), 20))
                return [f"{name}: {here.get(name)}, {value} there" for name, value in there.items()
                        if name not in here or not near(here[name], value)]

            until(apart, [], 20, "what differs")
        with self.check("self.indicator"):
            system.set_indicator_led(sushy.IndicatorLED.LIT)
            equal(self.peer.read(node.system)["IndicatorLED"], "Lit", "light at the BMC")
            system.set_indicator_led(sushy.IndicatorLED.OFF)
        with self.check("self.log"):
            theirs = until(lambda: self.log_of(node.name, self.peer), bool, 15, "log at the BMC")
            until(lambda: self.log_of("own", self.reader), theirs, 15, "log")
        with self.check("self.log-cleared"):
            services = self.reader.members(f"{self.path('own')}/LogServices")
            answer = self.reader.request("POST", f"{services[0]}/Actions/LogService.ClearLog", {})
            equal(answer.status, 204, f"status ({answer})")
            until(lambda: len(self.log_of(node.name, self.peer)) <= 1, True, 15, "the log at the BMC is empty")
        with self.check("self.still-one-session"):
            equal(self.sessions(), first, "sessions at the BMC")
        with self.check("self.session-ended-by-others"):
            equal(self.peer.request("DELETE", first[0]).status, 204, "status of DELETE")
            equal(self.reset("own", "ForceOff").status, 204, "status of ForceOff")
            equal(self.peer.power(node.system), "Off", "power at the BMC")
            now = self.sessions()
            expect(len(now) == 1 and now != first, f"sessions at the BMC: {now}, {first} before")
        with self.check("self.node-of-a-pdu"):
            outlets = self.demo.node("pdu")
            equal(self.reset("own-pdu", "ForceOff").status, 204, "status of ForceOff")
            equal((self.peer.power(outlets.system), self.power("own-pdu")), ("Off", "Off"), "power")
            equal(self.reset("own-pdu", "On").status, 204, "status of On")
            equal((self.peer.power(outlets.system), self.power("own-pdu")), ("On", "On"), "power")

    def log_of(self, node: str, client) -> list[str]:
        """Messages of its log, oldest first."""
        services = client.members(f"{self.path(node)}/LogServices")
        entries = client.read(f"{services[0]}/Entries")["Members"]
        bodies = [entry if "Message" in entry else client.read(entry["@odata.id"]) for entry in entries]
        return [body["Message"] for body in bodies]

    def tools(self) -> None:
        """The command line."""
        with self.check("cli.probe"):
            for name in ("emu", "mock", "own"):
                says("endpoint", "probe", name, "--config", str(self.service.config))
        with self.check("cli.init"):
            says("init", "redfish", f"127.0.0.1:{self.emulator.port}", "--user", "admin", "--name", "made",
                 "--password-file", str(WORK / "emulator.password"), "--fingerprint", self.emulator.fingerprint,
                 "--system", self.emulator.SYSTEMS[1], "--out", str(WORK / "made"))
            written = (WORK / "made/nodes.d/made.toml").read_text()
            for word in ("Sushy Emulator", 'driver = "redfish"', 'host = "made"'):
                expect(word in written, f"{word!r} is not in: {written}")
        with self.check("secrets"):
            text = self.service.log.read_text()
            for word in ("pass word", "calvin", self.demo.password, Images.LOGIN[1]):
                expect(word not in text, f"a password is in the log: {word[:4]}...")


def configurations(checks: Checks, service: Service) -> None:
    """`rackfish check`, without a service."""
    sound(checks, service.config)
    with checks.check("check.all-mistakes-at-once"):
        wrong = "\n".join([
            "[endpoints.x]", 'driver = "redfish"', 'address = "010.0.0.5"', 'username = "a:b"', 'fingerprint = "abc"',
            'ca_file = "nowhere.pem"', 'timout = "1s"', 'auth = "digest"', "[nodes.y]", 'host = "x/1"',
        ])
        mistaken(WORK / "wrong.toml", wrong, "leading zeros", "`password`: missing", "colon", "keep one", "timout", "digest",
                 "wrong.toml:3")


def main() -> int:
    checks = Checks()
    emulator, mockup = Emulator(PORT + 1), Mockup(PORT + 2)
    demo = Demo("bmc", PORT, nodes=3, redfish=1)
    Images.serve(PORT + 3)
    with demo, emulator, mockup:
        tls = f"https://127.0.0.1:{emulator.port}"
        pin = {"fingerprint": emulator.fingerprint}
        good, bad = secret("emulator", "pass word"), secret("bad", "wrong")
        one = {"system": emulator.SYSTEMS[0]}
        shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", PORT)))
        issued = hashlib.sha256(shown).hexdigest()
        peer = (demo.url, demo.user, demo.password_file)
        bmc, outlets = demo.node("ipmi").name, demo.node("pdu").name
        names = ("emu", "locked", "several", "stranger", "issued", "unsigned", "mock", "own", "own-pdu", "own-media")
        service = Service("rackfish")
        service.configure(
            endpoint("emu", tls, "admin", good, **pin, **one),
            endpoint("locked", tls, "admin", bad, **pin, **one),
            endpoint("several", tls, "admin", good, insecure_no_verify=True),
            endpoint("stranger", tls, "admin", good, fingerprint="ab" * 32, **one),
            endpoint("issued", *peer, fingerprint=issued, system=bmc),
            endpoint("unsigned", tls, "admin", good, **one),
            endpoint("mock", f"http://127.0.0.1:{mockup.port}", "root", secret("mock", "calvin"), insecure_no_verify=True),
            endpoint("own", *peer, ca_file=demo.ca, system=bmc),
            endpoint("own-pdu", *peer, ca_file=demo.ca, auth="basic", system=outlets),
            endpoint("own-media", *peer, ca_file=demo.ca, auth="basic", system=demo.node("redfish").name),
            *(node(name, host=name) for name in names),
        )
        configurations(checks, service)
        with service:
            service.start()
            walk = Walk(checks, service, emulator, mockup, demo)
            with ThreadPoolExecutor() as pool:
                courses = (walk.emulated, walk.recorded, walk.ourselves, lambda: media.run(walk))
                for course in [pool.submit(part) for part in courses]:
                    course.result()
            walk.refused()
            walk.tools()
            walk.dead()
            media.restarted(walk)
        with checks.check("sessions-given-back"):
            left = len(mockup.asked("POST", SESSIONS)) - len(mockup.asked("DELETE", SESSIONS))
            equal((walk.sessions(), left), ([], 0), "sessions left at the BMCs")
    log("done")
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
