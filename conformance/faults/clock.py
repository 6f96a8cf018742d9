"""The wall clock steps back and forth by an hour, under a running service and between two lives of it.

libfaketime gives the service a wall clock of its own; the monotonic clock stays what it is, as when somebody sets the
time of a machine.
"""

import calendar
import glob
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib.checks import Checks, Failure, equal, expect, until
from lib.sims import Sim
from lib.toml import node, table
from rig import Service, done, pdu, refused, sim, system

LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
HOUR = 3600
SESSIONS = "/redfish/v1/SessionService/Sessions"
OFF_TIME = 6.0


class Bench:
    """A service whose wall clock is ours, before a PDU."""

    def __init__(self, name: str) -> None:
        found = glob.glob(LIBRARY)
        if not found:
            raise RuntimeError(f"there is no {LIBRARY}: apt-get install faketime")
        self.it = Service(name)
        self.file = self.it.work / "clock"
        self.it.env = {"LD_PRELOAD": found[0], "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                       "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        self.step(0)
        self.pdu = sim(f"{name}-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", "4", "--relay-delay", "100ms")
        self.it.configure(
            table("patience", action="20s"), table("auth", session_timeout="30s"),
            pdu("pdu", self.pdu.port, poll="3s", off_time=f"{OFF_TIME:.0f}s"),
            *(node(f"n{n}", feeds=[f"pdu/{n}"]) for n in (1, 2, 3)), server={"watch": False})

    def step(self, seconds: int) -> None:
        """The wall clock shows that much more than the right time from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)

    def clock(self) -> float:
        """How far the service's clock is off, in seconds, by what it says itself."""
        text = self.it.client().read("/redfish/v1/TaskService")["DateTime"]
        parsed = time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
        return calendar.timegm(parsed) - time.time()

    def end(self) -> None:
        """Ends both."""
        self.it.__exit__()
        self.pdu.end()


def moved(device: Sim, outlet: int) -> tuple[int, int]:
    """Offs and ons."""
    counts = device.stats()["outlets"][str(outlet)]
    return counts["off"], counts["on"]


def steps(bench: Bench) -> None:
    """The means themselves: the service's clock is what we set, and it goes on serving."""
    for offset in (HOUR, -HOUR, 0):
        bench.step(offset)
        expect(abs(bench.clock() - offset) < 5, f"the clock is off by {bench.clock():.0f} s, not by {offset}")
        # What was read a moment ago is not an hour old, nor from the future.
        body = bench.it.client().read(system("n1"))
        equal(body["PowerState"], "On", f"PowerState at {offset:+d} s")
        age = body["Oem"]["Rackfish"]["Power"]["AgeSeconds"]
        expect(0 <= age <= 2 * HOUR, f"age is {age} s")
        time.sleep(4)
        equal(bench.it.power("n1"), "On", f"PowerState at {offset:+d} s, later")


def sessions(bench: Bench) -> None:
    """A session lives as long as it is used, and ends 30 s after its last use, whatever the clock says."""
    def log_in() -> tuple:
        client = bench.it.client()
        answer = client.request("POST", SESSIONS, {"UserName": client.user, "Password": client.password})
        equal(answer.status, 201, "status of a login")
        client.token = answer.headers["x-auth-token"]
        return client, answer.headers["location"]

    used, _ = log_in()
    idle, begun = log_in(), time.monotonic()
    for turn in range(20):
        bench.step((HOUR, -HOUR, 0, -HOUR, HOUR)[turn % 5])
        equal(used.get(system("n1")).status, 200, "status with a session in use")
        if time.monotonic() - begun < 25:
            # Looked at by somebody else: that is no use of it.
            equal(used.get(idle[1]).status, 200, "status of a session that is 25 s old at most")
        time.sleep(2)
    until(lambda: used.get(idle[1]).status, 404, 30, "status of a session that nobody used for 40 s", pause=1)
    equal(idle[0].get(system("n1")).status, 401, "status with the token of a session that has ended")
    # Sessions of both hours survive a restart, or are asked to log in anew; nobody is refused.
    bench.step(-HOUR)
    equal(used.get(system("n1")).status, 200, "status with a session in use")
    equal(log_in()[0].get(system("n1")).status, 200, "status with a new session")


def off_times(bench: Bench) -> None:
    """6 s off are 6 s off, not an hour, and not none."""
    for turn, offset in enumerate((-HOUR, HOUR), 1):
        bench.step(0)
        done(bench.it.client().reset(system("n2"), "ForceOff"), "ForceOff")
        begun = time.monotonic()
        bench.step(offset)
        answer = bench.it.client().reset(system("n2"), "On")
        took = time.monotonic() - begun
        done(answer, f"On at {offset:+d} s")
        # The relay was seen open some moments after it was.
        expect(OFF_TIME - 1 <= took <= OFF_TIME + 8, f"switched on {took:.1f} s after it went off")
        equal(moved(bench.pdu, 2), (turn, turn), "offs and ons")
    bench.step(0)


def holds(bench: Bench) -> None:
    """A hold with an end lasts until the clock says so, and a clock that is set right again brings it back."""
    done(bench.it.client().reset(system("n3"), "ForceOff"), "ForceOff")
    said = bench.it.cli("node", "hold", "n3", "--reason", "hands inside", "--for", "90m")
    equal(said.returncode, 0, f"exit status of hold ({said.stderr})")
    for offset, held in ((0, True), (HOUR, True), (-HOUR, True), (2 * HOUR, False), (0, True)):
        bench.step(offset)
        shown = "Hold" in bench.it.client().read(system("n3"))["Oem"]["Rackfish"]
        equal(shown, held, f"held at {offset:+d} s")
        if held:
            refused(bench.it.client().reset(system("n3"), "On"), 409, "hands inside")
    bench.step(2 * HOUR)
    done(bench.it.client().reset(system("n3"), "On"), "On after the hold has ended")
    bench.step(0)


def tasks(bench: Bench) -> None:
    """A task that ends before it has begun, by the clock, has not: and nobody takes it away early."""
    bench.pdu.tell("outlet 1 delay 21s")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(bench.it.client().reset, system("n1"), "ForceOff").result()
    equal(answer.status, 202, "status of a Reset that takes longer than its client's patience")
    path = answer.body["@odata.id"]
    bench.step(-HOUR)
    until(lambda: bench.it.client().read(path)["TaskState"], "Completed", 30, "state of the task")
    task = bench.it.client().read(path)
    expect(task["EndTime"] >= task["StartTime"], f"it ended at {task['EndTime']}, before {task['StartTime']}")
    for offset in (HOUR, -HOUR, 0):
        bench.step(offset)
        equal(bench.it.client().get(path).status, 200, f"status of the task at {offset:+d} s")
    equal(moved(bench.pdu, 1), (1, 0), "offs and ons")


def restart(offset: int) -> None:
    """Dead right after it has cut a node, and an hour later, or earlier, by the clock, started again: it ends on."""
    bench = Bench(f"clock-restart{offset:+d}")
    try:
        bench.it.env["RACKFISH_INSECURE_CRASH_AT"] = "supply-off.sent"
        bench.it.start()
        bench.it.sees("n1", "On")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: bench.it.client().reset(system("n1"), "ForceRestart"))
            equal(bench.it.ends(30), -6, "exit status at the crash point")
        until(lambda: moved(bench.pdu, 1), (1, 0), 10, "offs and ons when it died")
        del bench.it.env["RACKFISH_INSECURE_CRASH_AT"]
        bench.step(offset)
        bench.it.start()
        bench.it.sees("n1", "On", 60)
        equal(moved(bench.pdu, 1), (1, 1), "offs and ons")
        threading.Event().wait(2)
        equal(moved(bench.pdu, 1), (1, 1), "offs and ons, later")
        if "panicked" in bench.it.said():
            raise Failure("something has panicked")
    finally:
        bench.end()


def run(checks: Checks) -> None:
    """On one clock, one after the other; restarts and sessions have one of their own."""
    with ThreadPoolExecutor(4) as pool:
        pool.submit(checks.run, "clock.restart-an-hour-later", lambda: restart(HOUR))
        pool.submit(checks.run, "clock.restart-an-hour-earlier", lambda: restart(-HOUR))
        pool.submit(checks.run, "clock.sessions", lambda: on_its_own("clock-sessions", (sessions,)))
        bench = Bench("clock")
        try:
            bench.it.start()
            for n in (1, 2, 3):
                bench.it.sees(f"n{n}", "On")
            for name, case in (("steps", steps), ("off-times", off_times), ("holds", holds), ("tasks", tasks)):
                checks.run(f"clock.{name}", lambda case=case: case(bench))
        finally:
            bench.end()


def on_its_own(name: str, cases: tuple) -> None:
    """Cases with a service that nobody else sets the clock of."""
    bench = Bench(name)
    try:
        bench.it.start()
        bench.it.sees("n1", "On")
        for case in cases:
            case(bench)
    finally:
        bench.end()
