"""What a service costs that manages 1,000 and 10,000 nodes; its rack is a process of its own."""

import http.client
import json
import os
import random
import re
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator

from lib import ports
from lib.checks import until
from lib.redfish import Client
from lib.scale import Rack, Service, rack_and_service
from rows import Row


def system(name: str) -> str:
    """Its path."""
    return f"/redfish/v1/Systems/{name}"


class Kept:
    """A connection that stays open."""

    def __init__(self, client: Client) -> None:
        self.client, self.link = client, client.connection()

    def ask(self, method: str, path: str, body: object = None) -> tuple[float, float, int]:
        """Seconds to the first byte and to the last, and the status."""
        data = json.dumps(body).encode() if body is not None else None
        headers = {**self.client.auth(), **({"Content-Type": "application/json"} if data else {})}
        begun = time.perf_counter()
        self.link.request(method, path, body=data, headers=headers)
        reply = self.link.getresponse()
        first = time.perf_counter() - begun
        reply.read()
        return first, time.perf_counter() - begun, reply.status


def p99(service: Service, names: list[str], seconds: float = 8.0) -> float:
    """Slowest hundredth of GETs of single Systems, in ms: four clients, at a rate that leaves the machine room."""
    times: list[float] = []

    def client(seed: int) -> None:
        dice, kept, end = random.Random(seed), Kept(service.client()), time.monotonic() + seconds
        while time.monotonic() < end:
            times.append(kept.ask("GET", system(dice.choice(names)))[1])
            time.sleep(0.002)

    threads = [threading.Thread(target=client, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.quantiles(times, n=100)[98] * 1000


def lists(service: Service, nodes: int) -> Iterator[Row]:
    """The collection of all Systems."""
    kept = Kept(service.client())
    asked = [kept.ask("GET", "/redfish/v1/Systems") for _ in range(15)]
    single = statistics.median(kept.ask("GET", "/redfish/v1/")[1] for _ in range(15)) * 1000
    first = statistics.median(a[0] for a in asked) * 1000
    whole = statistics.median(a[1] for a in asked) * 1000
    yield Row(f"GET Systems, {nodes:,} members, first byte", first, "ms", f"GET of the service root: {single:.2f} ms")
    yield Row(f"GET Systems, {nodes:,} members, whole", whole, "ms", f"GET of the service root: {single:.2f} ms")


def size(nodes: int, memory: float) -> Iterator[Row]:
    """One size: start, memory, lists, polling, reload, dead endpoints."""
    rack, service = rack_and_service(f"size-{nodes}", nodes, ports.free_row(), "--relay-delay", "200ms")
    try:
        service.start()
        begun = time.monotonic() - service.started
        until(service.known, nodes, 120, "nodes known", pause=0.5)
        read = time.monotonic() - begun
        label = f"{nodes:,} nodes"
        yield Row(f"start to serving, {label}", service.started, "s", "the process's start", most=2)
        yield Row(f"all read, logins included, {label}", read, "s", "the process's start", most=60)
        if nodes >= 10_000:
            yield from polling(rack, service, nodes)
        yield from lists(service, nodes)
        # What a login takes goes back with the thread that worked for it.
        time.sleep(15)
        yield Row(f"resident memory, {label}", service.rss, "MB", "all read and listed, logins over since 15 s", most=memory)
        yield from reload(rack, service, nodes)
        yield from dead(rack, service, nodes)
    finally:
        service.end()
        rack.end()


def polling(rack: Rack, service: Service, nodes: int) -> Iterator[Row]:
    """Two minutes at rest."""
    first, cpu, begun = rack.totals(), service.cpu, time.monotonic()
    time.sleep(120)
    last, took = rack.totals(), time.monotonic() - begun
    packets = sum(last[k] - first[k] for k in ("bmc_packets", "pdu_packets")) / took
    used = (service.cpu - cpu) / took
    yield Row(f"polling {nodes:,} nodes every 30 s", used, "cores", f"{packets:.0f} requests a second to devices", most=1)


def reload(rack: Rack, service: Service, nodes: int) -> Iterator[Row]:
    """One node is changed, and the service told."""
    node, text = rack.names(1)[3], rack.config.read_text()
    table, logins = f"[nodes.{node}]", rack.totals()["logins"]
    kept = Kept(service.client())
    rack.config.write_text(text.replace(table, f'{table}\nasset_tag = "anew"', 1))
    begun = time.monotonic()
    service.child.send_signal(1)
    while True:
        kept.link.request("GET", system(node), headers=kept.client.auth())
        if json.loads(kept.link.getresponse().read()).get("AssetTag") == "anew":
            break
        if time.monotonic() > begun + 60:
            raise RuntimeError("the reload did not come")
        time.sleep(0.005)
    dropped = rack.totals()["logins"] - logins
    took = time.monotonic() - begun
    yield Row(f"reload, one of {nodes:,} nodes changed", took, "s", f"{dropped} sessions dropped", most=1)


def dead(rack: Rack, service: Service, nodes: int) -> Iterator[Row]:
    """Every fifth endpoint vanishes."""
    names = rack.names()
    healthy = p99(service, names)
    gone = [n for i, n in enumerate(rack.names(1)) if i % 5 < 2]
    for node in gone:
        rack.ask(cmd="fault", node=node, fault="vanish", value=True)
    time.sleep(45)
    trouble = p99(service, names)
    yield Row(f"p99 of GET System with 20 % dead, {nodes:,} nodes", trouble / healthy, "x",
              f"the same, all healthy: {healthy:.2f} ms", most=2)


def thousand(_: Path) -> Iterator[Row]:
    """1,000 nodes."""
    yield from size(1_000, 64)


def ten_thousand(_: Path) -> Iterator[Row]:
    """10,000 nodes."""
    yield from size(10_000, 200)


def reads(_: Path) -> Iterator[Row]:
    """As many polls as one core makes: the service is bound to one, its rack to the other."""
    # PDUs are asked for all outlets at once: no rack here has enough of them to keep a core busy.
    for name, driver, goal in (("IPMI", "ipmi", 5_000),):
        rack, service = rack_and_service(f"reads-{driver}", 3_000, ports.free_row())
        try:
            text = rack.config.read_text()
            slow = 'poll_sensors = "1h"\npoll = "1h"'
            fast = 'poll_sensors = "1h"\npoll = "100ms"\ncredentials_retry = "1h"'
            for which in ("ipmi", "snmp-pdu"):
                text = text.replace(f'driver = "{which}"', f'driver = "{which}"\n{fast if which == driver else slow}')
            rack.config.write_text(text)
            service.start()
            os.sched_setaffinity(rack.child.pid, {0})
            for task in os.listdir(f"/proc/{service.child.pid}/task"):
                os.sched_setaffinity(int(task), {1})
            time.sleep(15)
            before, cpu, theirs = service.metrics(), service.cpu, _cpu(rack.child.pid)
            begun = time.monotonic()
            time.sleep(20)
            after, took = service.metrics(), time.monotonic() - begun
            count = after["rackfish_exchanges_total"] - before["rackfish_exchanges_total"]
            failed = after["rackfish_exchange_failures_total"] - before["rackfish_exchange_failures_total"]
            busy, their = (service.cpu - cpu) / took, (_cpu(rack.child.pid) - theirs) / took
            yield Row(f"{name} reads a second, one core", count / took, "/s",
                      f"service {busy:.2f} cores, simulators {their:.2f} cores, {failed:.0f} failed", least=goal)
        finally:
            service.end()
            rack.end()


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def commands(_: Path) -> Iterator[Row]:
    """A power command, and 24 of them on one slow PDU."""
    rack, service = rack_and_service("commands", 72, ports.free_row(), "--relay-delay", "0s")
    try:
        service.start()
        until(service.known, 72, 60, "nodes known", pause=0.5)
        time.sleep(61)  # in its first minute a service says things twice
        for name, node in (("IPMI", rack.names(1)[0]), ("SNMP", rack.names(2)[0])):
            times = []
            for number in range(24 if name == "IPMI" else 8):
                kind = "ForceOff" if number % 2 else "On"
                if kind == "On" and name == "SNMP":
                    time.sleep(5.5)  # the off-time is not ours to save
                kept = Kept(service.client())
                kept.ask("GET", "/redfish/v1/")
                _, took, status = kept.ask("POST", f"{system(node)}/Actions/ComputerSystem.Reset", {"ResetType": kind})
                if status in (200, 204) and kind == "ForceOff":
                    times.append(took * 1000)
            yield Row(f"ForceOff of a node, {name}, device without delay", statistics.median(times), "ms",
                      "two or three exchanges and one durable write are in it", most=5)
        outlets = [n for n in rack.names() if int(re.search(r"\d+$", n)[0]) % 3 != 1][:24]
        for node in outlets:
            rack.ask(cmd="delay", node=node, seconds=4)
        time.sleep(11)
        client = service.client(timeout=100)
        begun = time.monotonic()
        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(lambda n: client.request(
                "POST", f"{system(n)}/Actions/ComputerSystem.Reset", {"ResetType": "FullPowerCycle"}).status, outlets))
        took = time.monotonic() - begun
        good = sum(1 for status in answers if status in (200, 202, 204))
        yield Row("24 outlets of one APC, relays of 4 s, off and on again", took, "s",
                  f"one such outlet: 13 s (4 off, 5 off-time, 4 on); {good} of 24 taken", most=45)
    finally:
        service.end()
        rack.end()


ALL = (thousand, ten_thousand, reads, commands)
