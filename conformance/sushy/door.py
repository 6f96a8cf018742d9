"""A node's own door: sushy and Ironic's way of taking the only System, at an address where there is no other."""

import socket

import sushy
from sushy import auth, exceptions

import service
from lib.checks import Checks, equal, expect, until
from lib.demo import Demo
from lib.redfish import Client

V1 = "/redfish/v1"


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(checks: Checks, demo: Demo) -> None:
    """All checks at doors; the nodes are the demo's last of each kind."""
    mixed, pdu = (demo.nodes(kind)[-1] for kind in ("mixed", "pdu"))
    at = {node.name: f"127.0.0.1:{_port()}" for node in (mixed, pdu)}
    reader = demo.client()

    def answers(door: str) -> bool:
        try:
            return Client(f"https://{door}", ca=demo.ca).get(f"{V1}/").status == 200
        except OSError:
            return False

    demo.doors(at)
    with checks.check("door.opens-with-a-reload"):
        for door in at.values():
            until(lambda: answers(door), True, 15, f"answer at {door}")
    url = f"https://{at[mixed.name]}"
    login = auth.SessionAuth(username=demo.user, password=demo.password)
    root = sushy.Sushy(url, auth=login, verify=demo.ca)
    with checks.check("door.only-system"):
        equal(root.get_system_collection().members_identities, (mixed.system,), "systems")
        equal(root.get_system().identity, mixed.name, "the only system, without its name")
        equal(root.get_manager().path, reader.read(mixed.system)["Links"]["ManagedBy"][0]["@odata.id"], "the only manager")
        equal(root.get_chassis().identity, mixed.name, "the only chassis")
    with checks.check("door.power-cycle"):
        system, before = root.get_system(), demo.switched(mixed)
        for reset, state in ((sushy.ResetType.ON, "On"), (sushy.ResetType.FORCE_OFF, "Off"), (sushy.ResetType.ON, "On")):
            system.reset_system(reset)
            until(lambda: reader.power(mixed.system), state, 30, "PowerState at the service's own port")
        after = demo.switched(mixed)
        expect(after["on"] >= before["on"] + 1, f"the hardware was switched {after}, before {before}")
    with checks.check("door.nothing-else"):
        for path in (pdu.system, f"{V1}/Chassis/{pdu.name}", f"{V1}/AggregationService", f"{V1}/Managers/rackfish"):
            try:
                root.get_system(path)
            except exceptions.ResourceNotFoundError:
                continue
            expect(False, f"{path} is there")
    with checks.check("door.session-is-held-to-it"):
        token = Client(demo.url, ca=demo.ca)
        made = Client(url, ca=demo.ca).request("POST", service.SESSIONS,
                                               {"UserName": demo.user, "Password": demo.password})
        token.token = made.headers["x-auth-token"]
        equal(token.members(f"{V1}/Systems"), [mixed.system], "systems at the service's own port")
        equal(token.get(pdu.system).status, 404, "status of another node there")
        elsewhere = Client(f"https://{at[pdu.name]}", ca=demo.ca)
        elsewhere.token = token.token
        equal(elsewhere.get(f"{V1}/Systems").status, 401, "status at another door")
    with checks.check("door.closes-with-a-reload"):
        demo.doors({pdu.name: at[pdu.name]})
        until(lambda: answers(at[mixed.name]), False, 15, "answer of the closed door")
        expect(answers(at[pdu.name]), "the other door has closed too")
        equal(root_status(demo), 200, "status of the service's own port")


def root_status(demo: Demo) -> int:
    """Of the root at the service's own port."""
    return Client(demo.url, ca=demo.ca).get(f"{V1}/").status
