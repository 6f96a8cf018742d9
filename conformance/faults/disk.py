"""A state folder on a disk that is full, or that can't be written: a small file system in memory, mounted for us alone."""

import errno
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.checks import Checks, equal, expect, until
from lib.service import WORK
from lib.toml import node, table
from rig import Meter, Service, done, pdu, refused, sim, system
from writers import ACCOUNTS, SUBSCRIPTIONS

SIZE = "6m"
PXE = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}
HDD = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Hdd"}}


class Disk:
    """A file system that can be filled to its last byte, and made read-only."""

    def __init__(self, name: str) -> None:
        self.place = WORK / f"{name}-disk"
        self.place.mkdir(parents=True)
        self._mount("-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "tmpfs", str(self.place))
        self.filler = self.place / "filler"

    @staticmethod
    def _mount(*words: str) -> None:
        subprocess.run(["mount", *words], check=True, capture_output=True, text=True)

    def fill(self) -> None:
        """Not a byte is left."""
        with self.filler.open("ab", buffering=0) as out:
            for size in (65536, 1024, 1):
                try:
                    while True:
                        out.write(b"x" * size)
                except OSError as why:
                    if why.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """There is space again."""
        self.filler.unlink()

    def read_only(self, yes: bool) -> None:
        """Nobody may write any more, or may again."""
        self._mount("-o", f"remount,{'ro' if yes else 'rw'}", str(self.place))

    def end(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", "--lazy", str(self.place)], check=False, capture_output=True)


class Full:
    """A service on such a disk, with two nodes on one PDU."""

    def __init__(self, checks: Checks) -> None:
        self.checks, self.disk = checks, Disk("full")
        self.pdu = sim("disk-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", "4", "--relay-delay", "100ms")
        self.it = Service("disk", state=self.disk.place / "state")
        self.it.configure(
            table("patience", action="50s"), pdu("pdu", self.pdu.port),
            *(node(f"n{n}", feeds=[f"pdu/{n}"]) for n in (1, 2, 3)),
            server={"watch": False, "insecure_local_event_destinations": True})

    def moved(self, outlet: int) -> tuple[int, int]:
        """Offs and ons of an outlet."""
        counts = self.pdu.stats()["outlets"][str(outlet)]
        return counts["off"], counts["on"]

    def end(self) -> None:
        """Ends and unmounts everything."""
        self.it.__exit__()
        self.pdu.end()
        self.disk.end()

    def run(self) -> None:
        """In this order: full, free again, full in the middle of a restart, full at the start, read-only."""
        self.it.start()
        for name in ("n1", "n2", "n3"):
            self.it.sees(name, "On")
        client = self.it.client()
        done(client.patch(system("n1"), PXE), "PATCH while there is space")
        self.disk.fill()
        with self.checks.check("disk.full-is-said"):
            for answer in (client.patch(system("n1"), HDD), client.patch(system("n2"), {"AssetTag": "new"}),
                           client.request("POST", ACCOUNTS, {"UserName": "ann", "Password": "a long one", "RoleId": "Operator"}),
                           client.request("POST", SUBSCRIPTIONS, {"Destination": "https://127.0.0.1:9/", "Protocol": "Redfish"})):
                refused(answer, 503, "space")
                expect("retry-after" in answer.headers, "no Retry-After")
            equal(client.read(system("n1"))["Boot"]["BootSourceOverrideTarget"], "Pxe", "target after the refusal")
        with self.checks.check("disk.full-switches-nothing"):
            before = self.pdu.stats()["outlets"]["1"]["sets"]
            for kind in ("ForceRestart", "PowerCycle"):
                refused(client.reset(system("n1"), kind), 503, "space")
            equal(self.pdu.stats()["outlets"]["1"]["sets"], before, "commands to the outlet")
            equal(self.it.power("n1"), "On", "PowerState")
        with self.checks.check("disk.full-off-works"):
            # It needs no journal: there is no second half that a crash could leave undone.
            done(client.reset(system("n2"), "ForceOff"), "ForceOff")
            equal(self.moved(2), (1, 0), "offs and ons")
            refused(client.reset(system("n2"), "On"), 503, "space")
            equal(self.moved(2), (1, 0), "offs and ons")
        with self.checks.check("disk.full-reads-go-on"):
            with Meter(self.it.client(), [system("n1"), system("n2"), "/redfish/v1/Systems"]) as meter:
                time.sleep(3)
            meter.quick(least=20, worst=4)
            body = {"UserName": "admin", "Password": client.password}
            answer = client.request("POST", "/redfish/v1/SessionService/Sessions", body)
            equal(answer.status, 201, f"status of a login on a full disk ({answer})")
        self.disk.free()
        with self.checks.check("disk.space-comes-back"):
            # The disk has space; nobody has to restart anything.
            done(client.patch(system("n1"), HDD), "PATCH")
            done(client.reset(system("n2"), "On"), "On")
            done(client.reset(system("n1"), "ForceRestart"), "ForceRestart")
            equal((self.moved(1), self.moved(2)), ((1, 1), (1, 1)), "offs and ons")
        with self.checks.check("disk.fills-up-midway"):
            self.pdu.tell("outlet 3 delay 2s")
            with ThreadPoolExecutor(1) as pool:
                answer = pool.submit(client.reset, system("n3"), "ForceRestart")
                until(lambda: self.pdu.stats()["outlets"]["3"]["sets"], 1, 10, "commands to the outlet", pause=0.05)
                self.disk.fill()
                done(answer.result(), "ForceRestart while the disk fills up")
            equal(self.moved(3), (1, 1), "offs and ons")
            self.it.sees("n3", "On")
        with self.checks.check("disk.ends-are-kept"):
            # That the restart is over could not be written down then. It is as soon as there is space, or the next
            # start would do it once more.
            since = self.it.log.stat().st_size
            self.disk.free()
            until(lambda: "can be written again" in self.it.said(since), True, 30, "word of the state file in the log")
            self.it.kill()
            self.it.start()
            time.sleep(3)
            equal(self.moved(3), (1, 1), "offs and ons after the next start")
        self.restarts()

    def restarts(self) -> None:
        """What a start makes of such a disk."""
        with self.checks.check("disk.start-on-full"):
            self.disk.fill()
            equal(self.it.stop(), 0, "exit status of the service on a full disk")
            size = self.it.log.stat().st_size
            self.it.launch()
            status = threading.Event().wait(4) or self.it.child.poll()
            if status is None:
                # It could do without more space: then it serves.
                self.disk.free()
                equal(self.it.stop(), 0, "exit status")
            else:
                equal(status, 1, "exit status of a start on a full disk")
                said = self.it.said(size)
                expect("space" in said and str(self.it.state) in said, f"it does not say why: {said[-300:]}")
                self.disk.free()
            self.it.start()
            self.it.sees("n3", "On")
            equal(self.it.client().read(system("n1"))["Boot"]["BootSourceOverrideEnabled"], "Disabled", "override")
        with self.checks.check("disk.read-only"):
            equal(self.it.stop(), 0, "exit status")
            self.disk.read_only(True)
            size = self.it.log.stat().st_size
            self.it.launch()
            equal(self.it.ends(20), 1, "exit status of a start on a read-only disk")
            said = self.it.said(size)
            expect("ead-only" in said and str(self.it.state) in said, f"it does not say why: {said[-300:]}")
            self.disk.read_only(False)
            self.it.start()
            done(self.it.client().patch(system("n1"), PXE), "PATCH once it can be written")


def turns_read_only() -> None:
    """A file system that is made read-only under a running service, as the kernel does when a disk has errors."""
    image, place = WORK / "errors.img", WORK / "errors-disk"
    place.mkdir()
    with image.open("wb") as out:
        out.truncate(24 << 20)
    for words in (("mkfs.ext4", "-q", "-F", str(image)), ("mount", "-o", "loop,errors=remount-ro", str(image), str(place))):
        subprocess.run(words, check=True, capture_output=True)
    device = sim("errors-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", "1", "--relay-delay", "100ms")
    try:
        with Service("errors", state=place / "state") as it:
            it.configure(pdu("pdu", device.port), node("n1", feeds=["pdu/1"]), server={"watch": False})
            it.start()
            it.sees("n1", "On")
            found = subprocess.run(["findmnt", "-no", "SOURCE", str(place)], check=True, capture_output=True, text=True)
            # ext4's own way to try what an error does (Documentation/ABI/testing/sysfs-fs-ext4).
            Path("/sys/fs/ext4", Path(found.stdout.strip()).name, "trigger_fs_error").write_text("faults\n")
            until(lambda: "emergency_ro" in Path("/proc/self/mounts").read_text() or not writable(place), True, 10,
                  "read-only file system")
            client = it.client()
            refused(client.patch(system("n1"), PXE), 503, "rackfish.db", "read-only")
            refused(client.reset(system("n1"), "ForceRestart"), 503, "rackfish.db")
            equal(device.stats()["outlets"]["1"]["sets"], 0, "commands to the outlet")
            equal((it.power("n1"), client.get("/redfish/v1/Systems").status), ("On", 200), "PowerState, status of a read")
            done(client.reset(system("n1"), "ForceOff"), "ForceOff")
            equal(it.stop(), 0, "exit status")
    finally:
        device.end()
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)


def writable(place: Path) -> bool:
    """Whether a file can be made there."""
    try:
        (place / "probe").write_text("x")
    except OSError:
        return False
    return True


def run(checks: Checks) -> None:
    """One after the other: most are about one disk."""
    full = Full(checks)
    try:
        full.run()
    finally:
        full.end()
    checks.run("disk.turns-read-only", turns_read_only)
