"""Racks of 1,000 and 10,000 nodes: what can be counted there, and Ironic's power sync through trouble.

Nothing here is timed. The service and its rack are processes of their own, so memory, threads and descriptors are the
service's alone.
"""

import os
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import soak
from lib.checks import Checks, equal, expect, log, until
from lib.scale import Rack, Service, rack_and_service

PORT = int(os.environ["CONF_PORT_BASE"])
# Megabytes resident, all nodes read and listed page by page. What a service at rest may take is measured by benches/run;
# these bounds, a little higher, find what has grown.
BUDGETS = {1_000: 80, 10_000: 215}
# The runtime's workers, one HTTP worker a core, the store's writer, blocking work that comes and goes.
MOST_THREADS = 40
# Files, listeners, the store, clients of the moment.
OWN_DESCRIPTORS = 80


def endpoints(rack: Rack) -> int:
    """Configured devices."""
    return len(re.findall(r"^\[endpoints\.", rack.config.read_text(), re.MULTILINE))


def all_known(service: Service, nodes: int, seconds: float = 90) -> None:
    """The power of every node has been read."""
    until(service.known, nodes, seconds, "the number of nodes whose power is known", pause=1)


def at_rest(checks: Checks, name: str, rack: Rack, service: Service) -> None:
    """All nodes read, nothing asked for."""
    nodes, devices = rack.nodes, endpoints(rack)
    checks.run(f"{name}.all-read", lambda: all_known(service, nodes))
    with checks.check(f"{name}.one-login-each"):
        totals = rack.totals()
        equal(totals["logins"], totals["bmcs"], "the number of logins")
        equal(totals["most_logins"], 1, "the number of logins of one BMC")
    with checks.check(f"{name}.packets"):
        # Power every 30 s, sensors and lights every 60 s: what a minute costs, from the device's side.
        # Logins are followed by what is asked once: records, inventory, the log.
        settled = rack.totals()["bmc_packets"]
        for _ in range(12):
            time.sleep(10)
            now = rack.totals()["bmc_packets"]
            if now - settled <= 6 * rack.totals()["bmcs"]:
                break
            settled = now
        first, before = rack.totals(), service.metrics()
        time.sleep(60)
        last, after = rack.totals(), service.metrics()
        pdus = last["pdu_packets"] - first["pdu_packets"]
        bmcs = last["bmc_packets"] - first["bmc_packets"]
        log(f"{name}: packets a minute: {bmcs / last['bmcs']:.1f} a BMC, {pdus / last['pdus']:.1f} a PDU")
        # 24 outlets: two packets for power, a few for meters and totals.
        expect(pdus <= 16 * last["pdus"], f"{pdus} packets a minute to {last['pdus']} PDUs")
        # Two power reads, one of lights, one for each of its sensors.
        expect(bmcs <= 24 * last["bmcs"], f"{bmcs} packets a minute to {last['bmcs']} BMCs")
        expect(pdus >= 2 * last["pdus"] and bmcs >= 2 * last["bmcs"], f"{pdus} and {bmcs}: they are not all polled")
        failures = after["rackfish_exchange_failures_total"] - before["rackfish_exchange_failures_total"]
        expect(failures <= devices / 100, f"{failures} exchanges failed within a minute")
    checks.run(f"{name}.threads", lambda: expect(service.threads <= MOST_THREADS, f"{service.threads} threads"))
    with checks.check(f"{name}.descriptors"):
        expect(service.descriptors <= devices + OWN_DESCRIPTORS, f"{service.descriptors} files for {devices} endpoints")
    with checks.check(f"{name}.memory"):
        log(f"{name}: {service.rss:.0f} MB resident, {service.descriptors} descriptors, {service.threads} threads")
        expect(service.rss <= BUDGETS[nodes], f"{service.rss:.0f} MB resident, the budget is {BUDGETS[nodes]}")


def dead_fifth(checks: Checks, name: str, rack: Rack, service: Service) -> None:
    """A fifth of the endpoints vanishes: nobody waits for them, and they cost little."""
    # Two of five nodes with nothing but a BMC: a third of the nodes, half of the BMCs.
    dead = [n for i, n in enumerate(rack.names(1)) if i % 5 < 2]
    alive = next(n for i, n in enumerate(rack.names(1)) if i % 5 == 3)
    for node in dead:
        rack.ask(cmd="fault", node=node, fault="vanish", value=True)
    client = service.client()
    with checks.check(f"{name}.dead-fifth.found"):
        def down() -> int:
            found = re.search(r'^rackfish_endpoints\{state="down"\} (\d+)', client.get("/metrics").raw.decode(), re.MULTILINE)
            return int(found[1])
        until(down, lambda seen: seen >= len(dead), 120, "the number of endpoints known as down", pause=2)
    with checks.check(f"{name}.dead-fifth.reads"):
        for node in dead[:30] + [alive]:
            equal(client.get(f"/redfish/v1/Systems/{node}").status, 200, f"status of {node}")
    with checks.check(f"{name}.dead-fifth.traffic"):
        # Breakers are open: a probe each at their cool-down of up to 50 s, a login of a few packets.
        before = rack.totals()["bmc_packets"]
        probes = service.metrics()["rackfish_exchange_failures_total"]
        time.sleep(30)
        again = service.metrics()["rackfish_exchange_failures_total"] - probes
        expect(again <= 4 * len(dead), f"{again} failed exchanges with {len(dead)} dead devices within 30 s")
        log(f"{name}: {again:.0f} failures in 30 s, {rack.totals()['bmc_packets'] - before} packets")
    with checks.check(f"{name}.dead-fifth.others-act"):
        answer = client.reset(f"/redfish/v1/Systems/{alive}", "On")
        expect(answer.status in (200, 204), f"On of a living node: {answer}")
    for node in dead:
        rack.ask(cmd="fault", node=node, fault="vanish", value=False)
    checks.run(f"{name}.dead-fifth.back", lambda: all_known(service, rack.nodes, 150))


def reload_one(checks: Checks, name: str, rack: Rack, service: Service) -> None:
    """One node is changed among all: it is there, and no session was dropped."""
    with checks.check(f"{name}.reload"):
        logins = rack.totals()["logins"]
        node = rack.names(1)[0]
        text = rack.config.read_text()
        table = f"[nodes.{node}]"
        expect(table in text, f"{table} is not in the configuration")
        rack.config.write_text(text.replace(table, table + '\nasset_tag = "changed"', 1))
        read = service.client().read
        until(lambda: read(f"/redfish/v1/Systems/{node}").get("AssetTag"), "changed", 60, "the asset tag")
        equal(rack.totals()["logins"], logins, "the number of logins")
        equal(len(read("/redfish/v1/Systems")["Members"]), rack.nodes, "the number of nodes")


def restart(checks: Checks, name: str, rack: Rack, service: Service) -> None:
    """Stopped and started again: sessions on devices are closed, everything is read again."""
    with checks.check(f"{name}.stop-closes-sessions"):
        service.end()
        until(lambda: rack.totals()["sessions"], 0, 30, "the number of sessions left open on BMCs")
    with checks.check(f"{name}.restart"):
        service.start()
        all_known(service, rack.nodes)


def rack_of(checks: Checks, nodes: int, port: int) -> None:
    """One size."""
    name = str(nodes)
    rack, service = rack_and_service(name, nodes, port, "--relay-delay", "200ms")
    try:
        service.start()
        log(f"{name}: serves after {service.started:.2f} s")
        at_rest(checks, name, rack, service)
        reload_one(checks, name, rack, service)
        dead_fifth(checks, name, rack, service)
        restart(checks, name, rack, service)
        if nodes == 1_000:
            with checks.check("soak.ran"):
                soak.run(checks, rack, service)
    finally:
        service.end()
        rack.end()


def main() -> int:
    """Both sizes side by side: nothing is timed, and most of it is waiting for polls."""
    checks = Checks()
    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(rack_of, checks, nodes, PORT + at) for at, nodes in enumerate((1_000, 10_000))]:
            each.result()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
