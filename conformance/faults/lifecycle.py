"""Signals: SIGTERM with commands under way, a storm of SIGHUP, two processes on one state folder."""

import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Iterator

from lib import procs
from lib.checks import Checks, Failure, equal, expect, log, until
from lib.redfish import quietly
from lib.service import BIN
from lib.sims import Sim
from lib.toml import node, table
from rig import Meter, Service, pdu, refused, sim, system


@contextmanager
def service(name: str, delay: str, nodes: int = 1, patience: str = "25s") -> Iterator[tuple[Service, Sim]]:
    """A service before one PDU whose relays take that long."""
    device = sim(f"{name}-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", "4", "--relay-delay", delay)
    try:
        with Service(name) as it:
            it.configure(table("patience", action=patience), pdu("pdu", device.port),
                         *(node(f"n{n}", feeds=[f"pdu/{n}"]) for n in range(1, nodes + 1)), server={"watch": False})
            it.start()
            for n in range(1, nodes + 1):
                it.sees(f"n{n}", "On")
            yield it, device
    finally:
        device.end()


def moved(device: Sim, outlet: int = 1) -> tuple[int, int]:
    """Offs and ons."""
    counts = device.stats()["outlets"][str(outlet)]
    return counts["off"], counts["on"]


def idle(it: Service, name: str) -> None:
    """Waits until nothing is under way on the node."""
    body = lambda: it.client().read(system(name))["Oem"]["Rackfish"].get("Operation")
    until(body, None, 90, f"operation of {name}")


def sigterm_waits() -> None:
    """A restart that can be ended in time is: its client is answered, and the next start has nothing to do."""
    with service("term", "2s") as (it, device), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(it.client().reset, system("n1"), "ForceRestart")
        until(lambda: device.stats()["outlets"]["1"]["sets"], 1, 20, "commands to the outlet", pause=0.05)
        equal(it.stop(), 0, "exit status")
        equal(answer.result().status, 204, "status of the restart")
        equal(moved(device), (1, 1), "offs and ons")
        it.start()
        it.sees("n1", "On")
        time.sleep(3)
        equal(moved(device), (1, 1), "offs and ons after the next start")


def sigterm_outlasted() -> None:
    """Relays of 22 s: longer than a stop waits, so the node is on its way off then. Reported, and ended by the next start,
    without one switch too many."""
    with service("outlasted", "22s") as (it, device), ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        answer = pool.submit(lambda: quietly(it.client().reset, system("n1"), "ForceRestart"))
        until(lambda: device.stats()["outlets"]["1"]["sets"], 1, 20, "commands to the outlet", pause=0.05)
        equal(it.stop(60), 0, "exit status")
        log(f"stopped after {time.monotonic() - begun:.0f} s; the client was told {answer.result()}")
        expect("operations are still under way" in it.said(), "not reported in the log")
        equal(moved(device)[1], 0, "ons before the next start")
        if answer.result() is not None:
            refused(answer.result(), 503, "stopping")
        it.start()
        idle(it, "n1")
        it.sees("n1", "On")
        equal(moved(device), (1, 1), "offs and ons")


def sigterm_task() -> None:
    """The same with a client that was sent away with a task: it learns there how it ended."""
    with service("task", "22s", patience="1s") as (it, device):
        answer = it.client().reset(system("n1"), "ForceRestart")
        equal(answer.status, 202, "status of the restart")
        equal(it.stop(60), 0, "exit status")
        it.start()
        task = lambda: it.client().read(answer.body["@odata.id"])["TaskState"]
        equal(task(), "Running", "state of the task after the next start")
        until(task, "Completed", 90, "state of the task", pause=1)
        equal((it.power("n1"), moved(device)), ("On", (1, 1)), "PowerState, offs and ons")


def sigterm_queued() -> None:
    """MAAS's two commands in a row, and SIGTERM while the second one still waits: the node ends as it was asked last."""
    with service("queued", "2s") as (it, device), ThreadPoolExecutor(2) as pool:
        off = pool.submit(it.client().reset, system("n1"), "ForceOff")
        until(lambda: device.stats()["outlets"]["1"]["sets"], 1, 20, "commands to the outlet", pause=0.05)
        on = pool.submit(lambda: quietly(it.client().reset, system("n1"), "On"))
        time.sleep(0.5)
        equal(it.stop(), 0, "exit status")
        equal(off.result().status, 204, "status of ForceOff")
        equal(on.result() and on.result().status, 204, "status of On")
        equal(moved(device), (1, 1), "offs and ons")


def sighup_storm() -> None:
    """Hundreds of reloads asked for at once, while clients read: nobody notices, and SIGTERM still gets through."""
    with service("storm", "100ms", nodes=4) as (it, device):
        client = it.client()
        done = client.request("POST", "/redfish/v1/SessionService/Sessions",
                              {"UserName": "admin", "Password": client.password})
        client.token = done.headers["x-auth-token"]
        with Meter(client, [system("n1"), "/redfish/v1/Systems"]) as meter:
            for _ in range(300):
                it.child.send_signal(signal.SIGHUP)
                time.sleep(0.01)
            equal(it.client().reset(system("n2"), "ForceOff").status, 204, "status of a Reset in the storm")
        meter.quick(least=20, worst=5)
        reloads = it.said().count("configuration reloaded")
        expect(2 <= reloads, f"{reloads} reloads for 300 signals")
        logins = it.cli("endpoint", "show", "pdu")
        expect(logins.returncode == 0, f"endpoint show: {logins.stderr}")
        it.child.send_signal(signal.SIGHUP)
        equal(it.stop(), 0, "exit status")


def second_refused(it: Service) -> None:
    """It ends with 1 and names the process that is there, and its folder."""
    size = it.log.stat().st_size
    second = Service("first", state=it.state)
    second.config = it.config
    second.launch()
    equal(second.ends(20), 1, "exit status of the second process")
    said = it.said(size)
    for word in (f"process {it.child.pid} (", str(it.state), "stop it first"):
        expect(word in said, f"{word!r} is not in {said[-300:]}")
    equal(it.child.poll(), None, "exit status of the first")
    equal(it.client().get(system("n1")).status, 200, "status at the first")
    expect(it.cli("status").returncode == 0, "the control socket of the first is gone")


def second_killed(it: Service) -> None:
    """SIGKILL at any moment of the second one's life: the first does not notice, and still holds its folder."""
    for turn in range(20):
        second = subprocess.Popen([BIN, "serve", "--config", str(it.config)], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        threading.Event().wait(turn * 0.005)
        second.kill()
        procs.end(second)
    equal(it.client().patch(system("n1"), {"AssetTag": "still here"}).status, 200, "status of a write at the first")
    expect(it.cli("status").returncode == 0, "the control socket of the first is gone")
    second_refused(it)
    it.kill()
    it.start()
    equal(it.client().read(system("n1"))["AssetTag"], "still here", "AssetTag after all that")


def offline_commands(it: Service) -> None:
    """`account` goes through the service while it runs, so that two never write one file."""
    said = it.cli("account", "list")
    if said.returncode != 0 or "admin" not in said.stdout:
        raise Failure(f"account list: {said.returncode} {said.stderr}")


def run(checks: Checks) -> None:
    """Those that wait for relays side by side."""
    with ThreadPoolExecutor(5) as pool:
        for name, case in (("sigterm-waits", sigterm_waits), ("sigterm-outlasted", sigterm_outlasted),
                           ("sigterm-task", sigterm_task), ("sigterm-queued", sigterm_queued), ("sighup-storm", sighup_storm)):
            pool.submit(checks.run, f"lifecycle.{name}", case)
        with service("first", "100ms") as (it, _):
            checks.run("lifecycle.second-refused", lambda: second_refused(it))
            checks.run("lifecycle.second-killed", lambda: second_killed(it))
            checks.run("lifecycle.account-list", lambda: offline_commands(it))
