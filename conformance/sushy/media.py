"""Virtual media of a node with a Redfish BMC, as Ironic uses them: found, inserted, booted from, ejected."""

import sushy
from sushy import exceptions

import service
from lib.checks import Checks, equal, expect, until
from lib.demo import Demo

IMAGE = "http://images.example/redfish/boot-0123.iso?signature=abc"


def refused(call, status: int) -> exceptions.HTTPError:
    """sushy has to hear that status."""
    try:
        call()
    except exceptions.HTTPError as error:
        equal(error.status_code, status, f"status ({error})")
        return error
    raise AssertionError("it was taken")


def run(checks: Checks, demo: Demo) -> None:
    """All of them."""
    node, reader = demo.node("redfish"), demo.client()
    system = service.basic(demo).get_system(node.system)
    path = f"{node.system}/VirtualMedia"
    until(lambda: reader.get(f"{path}/Cd").status, 200, 20, "status of the slot")

    def slot(kind: sushy.VirtualMediaType):
        """Ironic takes the first that has the type."""
        members = service.basic(demo).get_system(node.system).virtual_media.get_members()
        return next(member for member in members if kind in member.media_types)

    cd = slot(sushy.VirtualMediaType.CD)
    with checks.check("media.found"):
        equal((cd.identity, cd.name, cd.inserted, cd.image), ("Cd", "Virtual CD", False, None), "the slot")
        equal(slot(sushy.VirtualMediaType.USB_STICK).identity, "Usb", "the slot for sticks")
        managers = {manager.identity for manager in system.managers}
        expect(managers, "Links.ManagedBy is empty: Ironic ejects nothing then")
    with checks.check("media.insert"):
        cd.insert_media(IMAGE)
        equal(demo.media(node)["Cd"], IMAGE, "at the BMC")
        cd.refresh(force=True)
        equal((cd.inserted, cd.image, cd.image_name), (True, IMAGE, "boot-0123.iso"), "the slot")
    with checks.check("media.resent"):
        cd.insert_media(IMAGE)
        equal(demo.control(cmd="stats")["nodes"][node.name]["inserts"], 1, "insertions at the BMC")
    with checks.check("media.full"):
        error = refused(lambda: cd.insert_media("http://images.example/other.iso"), 409)
        expect("signature" not in str(error), f"the other image's signature is told: {error}")
        equal(demo.media(node)["Cd"], IMAGE, "at the BMC")
    with checks.check("media.booted-from"):
        system.set_system_boot_options(target=sushy.BOOT_SOURCE_TARGET_CD, enabled=sushy.BOOT_SOURCE_ENABLED_ONCE)
        system.reset_system(sushy.RESET_ON)
        until(lambda: reader.power(node.system), "On", 20, "PowerState")
        equal(demo.control(cmd="stats")["nodes"][node.name]["booted_from"], f"Cd {IMAGE}", "the host started from")
    with checks.check("media.eject"):
        system.reset_system(sushy.RESET_FORCE_OFF)
        until(lambda: reader.power(node.system), "Off", 20, "PowerState")
        cd.eject_media()
        cd.refresh(force=True)
        equal((cd.inserted, cd.image, demo.media(node)["Cd"]), (False, None, None), "the slot")
    with checks.check("media.eject-again"):
        cd.eject_media()
        equal(demo.control(cmd="stats")["nodes"][node.name]["ejects"], 1, "ejections at the BMC")
    with checks.check("media.lost-answer"):
        demo.control(cmd="fault", node=node.name, fault="lose-answer", value=True)
        cd.insert_media(IMAGE)  # the answer never comes; what the slot shows decides
        stats = demo.control(cmd="stats")["nodes"][node.name]
        equal((stats["media"]["Cd"], stats["inserts"]), (IMAGE, 2), "slot and insertions at the BMC")
        cd.eject_media()
    with checks.check("media.stuck"):
        demo.control(cmd="fault", node=node.name, fault="stuck", value=True)
        answer = reader.request("POST", f"{path}/Cd/Actions/VirtualMedia.InsertMedia", {"Image": IMAGE})
        demo.control(cmd="fault", node=node.name, fault="stuck", value=False)
        equal(answer.status, 503, f"status ({answer})")
        equal(reader.read(f"{path}/Cd")["Inserted"], False, "Inserted")
    with checks.check("media.no-image"):
        for image in ("", "file:///etc/passwd", "boot.iso", "http://u:geheim@images.example/a.iso"):
            error = refused(lambda image=image: cd.insert_media(image), 400)
            expect("geheim" not in str(error), "a password is repeated")
    with checks.check("media.absent"):
        for other in (demo.node("ipmi"), demo.node("pdu")):
            try:
                expect(not service.basic(demo).get_system(other.system).virtual_media, f"{other.name} has virtual media")
            except exceptions.MissingAttributeError:
                pass
