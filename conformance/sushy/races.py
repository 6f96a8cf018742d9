"""What goes wrong on wires: lost answers and their resends, two clients at once, connections that close.

Counted at the simulated device, not at what the service says about itself.
"""

import json
import threading
import time

import requests

from lib.checks import Checks, among, equal, expect, until
from lib.demo import Demo, Node
from lib.redfish import Client


def settled(demo: Demo, reader: Client, node: Node) -> None:
    """On, and nothing changes any more."""
    until(lambda: reader.power(node.system), "On", 40, f"PowerState of {node.name}")
    last = demo.switched(node)
    for _ in range(20):
        time.sleep(1)
        now = demo.switched(node)
        if now == last and reader.power(node.system) == "On":
            return
        last = now
    raise AssertionError(f"{node.name} does not come to rest: {last}")


def cut(client: Client, node: Node, kind: str) -> None:
    """Sends a Reset and hangs up without reading the answer."""
    link = client.connection(10)
    body = json.dumps({"ResetType": kind}).encode()
    link.request("POST", f"{node.system}/Actions/ComputerSystem.Reset", body,
                 {"Content-Type": "application/json", "Connection": "close", **client.auth()})
    time.sleep(0.05)
    link.close()


def once(demo: Demo, node: Node, before: dict[str, int], what: str) -> None:
    """One restart and not two: a reset at the BMC, or one off and one on."""
    after = demo.switched(node)
    change = {name: after[name] - before[name] for name in after}
    if node.kind == "pdu":
        equal((change["off"], change["on"]), (1, 1), f"offs and ons of {node.name} for {what}")
    else:
        equal((change["off"], change["on"], change["reset"]), (0, 0, 1),
              f"offs, ons and resets of {node.name} for {what}")


def run(checks: Checks, demo: Demo, kind: str) -> None:
    """The races of one kind of node."""
    node, reader = demo.node(kind, 1), demo.client()

    def prepare() -> dict[str, int]:
        reader.reset(node.system, "On")
        settled(demo, reader, node)
        return demo.switched(node)

    with checks.check(f"{kind}.resent-post"):
        before = prepare()
        for _ in range(9):
            cut(reader, node, "ForceRestart")
        answer = reader.reset(node.system, "ForceRestart")
        among(answer.status, (200, 202, 204), f"status of the tenth ({answer})")
        settled(demo, reader, node)
        once(demo, node, before, "the same Reset ten times")
    time.sleep(11)  # longer than `repeat_window`
    with checks.check(f"{kind}.two-clients"):
        before = prepare()
        answers = []
        clients = [threading.Thread(target=lambda: answers.append(demo.client().reset(node.system, "ForceRestart")))
                   for _ in range(2)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        expect(all(a.status in (200, 202, 204) for a in answers), f"answers: {[str(a) for a in answers]}")
        settled(demo, reader, node)
        once(demo, node, before, "two clients at once")
    with checks.check(f"{kind}.off-and-on"):
        # Order of arrival: what was asked last is what the node comes to, with one switch each.
        before = prepare()
        off = threading.Thread(target=lambda: demo.client().reset(node.system, "ForceOff"))
        off.start()
        time.sleep(0.3)
        answer = reader.reset(node.system, "On")
        off.join()
        among(answer.status, (200, 202, 204), f"status of On ({answer})")
        settled(demo, reader, node)
        after = demo.switched(node)
        equal((after["off"] - before["off"], after["on"] - before["on"]), (1, 1), "offs and ons")


def connection_close(checks: Checks, demo: Demo) -> None:
    """sushy asks for `Connection: close` each time and needs to be told the same."""
    losses, silent = [], 0
    with requests.Session() as session:
        session.verify, session.auth = demo.ca, (demo.user, demo.password)
        session.headers["Connection"] = "close"
        for _ in range(300):
            try:
                answer = session.get(demo.url + demo.nodes()[0].system, timeout=20)
            except requests.ConnectionError as why:
                losses.append(str(why))
                continue
            silent += answer.headers.get("Connection", "").lower() != "close"
    with checks.check("connection-close-echoed"):
        equal(silent, 0, "answers of 300 without `Connection: close`")
    with checks.check("connection-close-losses"):
        equal(len(losses), 0, f"lost requests of 300 ({losses[:1]})")
