"""Ironic's power sync: every node's power, eight at a time, round after round, through flapping devices and a kill."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import sushy
from lib.checks import Checks, equal, expect, log, until
from lib.scale import Rack, Service

# In every run; `SOAK_ROUNDS=30 conformance/run scale` is the long form.
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "8"))
# Ironic's [conductor]sync_power_state_workers.
WORKERS = 8
# Ironic's [conductor]power_state_sync_max_retries: so many failures in a row put a node into maintenance.
PATIENCE = 3


class Sync:
    """What Ironic remembers of each node."""

    def __init__(self, service: Service, truth: dict[str, bool]) -> None:
        self.truth = truth
        self.failures = dict.fromkeys(truth, 0)
        self.worst = dict.fromkeys(truth, 0)
        self.wrong: list[str] = []
        self.asked = 0
        self._local = threading.local()
        self._service = service

    def _sushy(self) -> sushy.Sushy:
        if not hasattr(self._local, "root"):
            auth = sushy.auth.BasicAuth("admin", self._service.password)
            self._local.root = sushy.Sushy(f"https://127.0.0.1:{self._service.port}/redfish/v1", auth=auth,
                                           verify=str(self._service.folder / "tls/ca.pem"))
        return self._local.root

    def look(self, node: str) -> None:
        """One node, once."""
        try:
            power = self._sushy().get_system(f"/redfish/v1/Systems/{node}").power_state
        except Exception as why:  # whatever it is, Ironic counts it
            self._local.__dict__.clear()
            self._count(node, f"{type(why).__name__}: {why}")
            return
        self.asked += 1
        if power is None:
            self._count(node, "unknown")
            return
        self.failures[node] = 0
        if (power == sushy.PowerState.ON) != self.truth[node]:
            self.wrong.append(f"{node} is shown {power}")

    def _count(self, node: str, why: str) -> None:
        self.failures[node] += 1
        self.worst[node] = max(self.worst[node], self.failures[node])
        if self.failures[node] == PATIENCE:
            log(f"{node} has failed {PATIENCE} times in a row: {why[:200]}")

    def round(self) -> None:
        """All nodes."""
        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(self.look, self.truth))


def run(checks: Checks, rack: Rack, service: Service) -> None:
    """The soak."""
    until(service.known, rack.nodes, 120, "the number of nodes whose power is known", pause=1)
    truth = {name: counts["is_on"] for name, counts in rack.ask(cmd="stats")["nodes"].items()}
    bmcs = rack.names(1)
    flapping = bmcs[: rack.nodes // 10]
    gone_pdu = rack.names(2)[0]
    sync = Sync(service, truth)
    for number in range(ROUNDS):
        away = number % 2 == 0
        for node in flapping:
            rack.ask(cmd="fault", node=node, fault="vanish", value=away)
        if number == ROUNDS // 3:
            service.kill()
            service.start()
            # Ironic's rounds are a minute apart: nobody asks before the first reads.
            until(service.known, lambda seen: seen >= rack.nodes * 8 // 10, 90, "the number of nodes read again", pause=1)
        if number == ROUNDS // 2:
            rack.ask(cmd="fault", node=gone_pdu, fault="vanish", value=True)
        if number == ROUNDS // 2 + 2:
            rack.ask(cmd="fault", node=gone_pdu, fault="vanish", value=False)
        if not away:
            # Ironic's rounds are a minute apart: what is back has been tried again by then.
            there = rack.nodes - 48
            until(service.known, lambda seen, there=there: seen >= there, 60, "the number of nodes read again", pause=1)
        sync.round()
        time.sleep(2)
    for node in flapping:
        rack.ask(cmd="fault", node=node, fault="vanish", value=False)
    checks.run("soak.asked", lambda: expect(sync.asked >= ROUNDS * rack.nodes * 8 // 10, f"{sync.asked} answers"))
    checks.run("soak.no-wrong-state", lambda: equal(sync.wrong[:5], [], "wrong states shown"))
    with checks.check("soak.no-maintenance"):
        lost = [node for node, worst in sync.worst.items() if worst >= PATIENCE]
        equal(lost[:5], [], "nodes that Ironic would have put into maintenance")
