"""Virtual media through sushy: of sushy-emulator, which fetches images; of a BMC that is patched; of another rackfish."""

from typing import TYPE_CHECKING

import sushy
from sushy import exceptions

from lib.checks import equal, expect, until
from rig import PORT, Images

if TYPE_CHECKING:
    from main import Walk

IMAGES = f"http://127.0.0.1:{PORT + 3}"


def slot(walk: "Walk", node: str, name: str):
    """A slot, read anew through sushy."""
    members = walk.system(node).virtual_media.get_members()
    return next(member for member in members if member.identity == name)


def slots(walk: "Walk", node: str) -> int:
    """How many there are, as far as they are known yet."""
    answer = walk.reader.get(f"{walk.path(node)}/VirtualMedia")
    return len(answer.body["Members"]) if answer.status == 200 else 0


def refused(call, *status: int) -> None:
    """sushy has to hear one of these."""
    try:
        call()
    except exceptions.HTTPError as error:
        expect(error.status_code in status, f"status {error.status_code}: {error}")
        return
    raise AssertionError("it was taken")


def run(walk: "Walk") -> None:
    """All of them."""
    emulated(walk)
    recorded(walk)
    ourselves(walk)
    absent(walk)


def emulated(walk: "Walk") -> None:
    """sushy-emulator."""
    check, bmc, path = walk.check, walk.emulator, f"{walk.path('emu')}/VirtualMedia/Cd"
    with check("media.emulator.slots"):
        until(lambda: slots(walk, "emu"), 2, 15, "slots")
        cd = slot(walk, "emu", "Cd")
        equal((cd.inserted, [kind.value for kind in cd.media_types]), (False, ["CD", "DVD"]), "the slot")
    with check("media.emulator.insert"):
        cd.insert_media(f"{IMAGES}/ipa.iso")
        seen = bmc.slot()
        equal((seen["Inserted"], seen["Image"], seen["WriteProtected"]), (True, f"{IMAGES}/ipa.iso", True), "at the BMC")
        cd = slot(walk, "emu", "Cd")
        equal((cd.inserted, cd.image, cd.image_name), (True, f"{IMAGES}/ipa.iso", "ipa.iso"), "the slot")
    with check("media.emulator.same-again"):
        # What sushy does when an answer is lost on its way.
        cd.insert_media(f"{IMAGES}/ipa.iso")
        equal(bmc.slot()["Image"], f"{IMAGES}/ipa.iso", "at the BMC")
    with check("media.emulator.full"):
        refused(lambda: cd.insert_media(f"{IMAGES}/other.iso"), 409)
        equal(bmc.slot()["Image"], f"{IMAGES}/ipa.iso", "at the BMC")
    with check("media.emulator.eject"):
        cd = slot(walk, "emu", "Cd")
        cd.eject_media()
        equal(bmc.slot()["Inserted"], False, "at the BMC")
        equal((walk.reader.read(path)["Inserted"], walk.reader.read(path)["Image"]), (False, None), "the slot")
        cd.eject_media()  # an empty slot stays empty
    with check("media.emulator.login"):
        cd.insert_media(f"{IMAGES}/locked.iso", username=Images.LOGIN[0], password=Images.LOGIN[1], write_protected=False)
        seen = bmc.slot()
        equal((seen["Inserted"], seen["UserName"], seen["WriteProtected"]), (True, Images.LOGIN[0], False), "at the BMC")
        said = walk.reader.get(path)
        expect(Images.LOGIN[1] not in str(said.raw) and "*" not in str(said.body.get("Password")), "a password is shown")
        cd.eject_media()
    with check("media.emulator.image-that-is-not-there"):
        answer = walk.reader.request("POST", f"{path}/Actions/VirtualMedia.InsertMedia", {"Image": f"{IMAGES}/nothing"})
        expect(answer.status >= 400 and "404" in answer.message, f"answer: {answer}")
        equal((bmc.slot()["Inserted"], walk.reader.read(path)["Inserted"]), (False, False), "the slot")
    with check("media.emulator.bad-images"):
        asked = bmc.log.read_text().count("InsertMedia")
        for image in ("", "file:///etc/passwd", "ipa.iso", f"http://u:geheim@127.0.0.1:{PORT + 3}/ipa.iso", 5, None):
            answer = walk.reader.request("POST", f"{path}/Actions/VirtualMedia.InsertMedia", {"Image": image})
            equal(answer.status, 400, f"status for {image!r} ({answer})")
            expect("geheim" not in str(answer), "a password is repeated")
        equal(bmc.log.read_text().count("InsertMedia"), asked, "requests that the BMC heard of")


def recorded(walk: "Walk") -> None:
    """A Manager's slot, filled and emptied by PATCH with ETags."""
    check, path = walk.check, f"{walk.path('mock')}/VirtualMedia/Floppy1"
    with check("media.mockup.managers-slot"):
        until(lambda: walk.reader.get(path).status, 200, 15, "status of the slot")
        body = walk.reader.read(path)
        equal((body["Inserted"], body["MediaTypes"]), (True, ["Floppy", "USBStick"]), "the slot")
    with check("media.mockup.patched"):
        stick = slot(walk, "mock", "Floppy1")
        stick.eject_media()
        stick.insert_media("nfs://images.example/share/stick.img")
        asked = [line.partition(" ")[2] for line in walk.mockup.asked("PATCH") if "Floppy1" in line]
        equal(asked, ['{"Image": null, "Inserted": false}',
                      '{"Image": "nfs://images.example/share/stick.img", "Inserted": true, "WriteProtected": true}'],
              "what the BMC was told")
        equal(walk.reader.read(path)["Image"], "nfs://images.example/share/stick.img", "Image")


def ourselves(walk: "Walk") -> None:
    """Another rackfish, and the simulated BMC behind that: a node starts from what was inserted."""
    check, demo, node = walk.check, walk.demo, walk.demo.node("redfish")
    system, image = walk.system("own-media"), "http://images.example/boot.iso"
    with check("media.self.insert"):
        until(lambda: slots(walk, "own-media"), 2, 15, "slots")
        slot(walk, "own-media", "Cd").insert_media(image)
        equal(demo.media(node), {"Cd": image, "Usb": None}, "at the BMC")
    with check("media.self.booted-from"):
        system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
        equal(walk.reset("own-media", "On").status, 204, "status of On")
        equal(demo.control(cmd="stats")["nodes"][node.name]["booted_from"], f"Cd {image}", "the host started from")
    with check("media.self.patch"):
        # What sushy sends where there are no actions, with the tag that it has read.
        path = f"{walk.path('own-media')}/VirtualMedia/Cd"
        tag = walk.reader.get(path).headers["etag"]
        answer = walk.reader.patch(path, {"Image": None, "Inserted": False}, headers={"If-Match": tag})
        equal((answer.status, demo.media(node)["Cd"]), (200, None), f"status and slot ({answer})")
        answer = walk.reader.patch(path, {"Image": image, "Inserted": True}, headers={"If-Match": tag})
        equal((answer.status, demo.media(node)["Cd"]), (412, None), "status with the old tag")


def absent(walk: "Walk") -> None:
    """Nodes whose BMC has no such thing."""
    with walk.check("media.absent"):
        for node in ("own", "own-pdu"):
            expect("VirtualMedia" not in walk.reader.read(walk.path(node)), f"{node} has a link")
            equal(walk.reader.get(f"{walk.path(node)}/VirtualMedia").status, 404, f"status for {node}")
    with walk.check("media.audit"):
        said = walk.service.log.read_text()
        for what in (f'what="Insert {IMAGES}/ipa.iso into Cd of emu"', 'what="Eject Cd of emu"'):
            expect(what in said, f"{what} is not in the audit trail")


def restarted(walk: "Walk") -> None:
    """What is in a slot is there after a restart of rackfish, because the BMC says so."""
    with walk.check("media.after-a-restart"):
        path, image = f"{walk.path('emu')}/VirtualMedia/Floppy", f"{IMAGES}/kept.iso"
        answer = walk.reader.request("POST", f"{path}/Actions/VirtualMedia.InsertMedia", {"Image": image})
        equal(answer.status, 204, f"status of InsertMedia ({answer})")
        walk.service.end()
        walk.service.start()
        reader = walk.service.client()
        until(lambda: reader.get(path).status, 200, 15, "status of the slot")
        body = reader.read(path)
        equal((body["Inserted"], body["Image"]), (True, image), "the slot")
