"""A reset of many nodes, cut by a kill at each of its moments: taken up by the next start, each relay moved once."""

import http.client
import time

from lib.checks import Checks, among, equal, expect, until
from lib.redfish import Client
from lib.toml import node, table
from rig import Service, pdu, sim, system

SERVICE = "/redfish/v1/AggregationService"
NODES = 6


class Rack:
    """A PDU that lives on, and a rackfish that dies."""

    def __init__(self, name: str) -> None:
        self.pdu = sim(f"sweep-{name}-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", str(NODES), "--relay-delay", "200ms")
        self.it = Service(f"sweep-{name}")
        self.it.configure(
            table("patience", action="1s"), pdu("pdu", self.pdu.port, off_time="200ms"),
            *(node(f"n{n}", feeds=[f"pdu/{n}"], groups=["all"]) for n in range(1, NODES + 1)), server={"watch": False})

    def __enter__(self) -> "Rack":
        return self

    def __exit__(self, *_: object) -> None:
        self.it.__exit__()
        self.pdu.end()

    def start(self, point: str | None = None) -> Client:
        """One life; `point`: where it ends."""
        self.it.env = {"RACKFISH_INSECURE_CRASH_AT": point} if point else {}
        client = self.it.start().client(timeout=60)
        until(lambda: {client.power(system(f"n{n}")) for n in range(1, NODES + 1)} - {None, ""}, bool, 20, "known nodes")
        return client

    def moves(self) -> list[tuple[int, int]]:
        """Transitions of each relay: to on, to off."""
        counts = self.pdu.stats()["outlets"]
        return [(counts[str(n)]["on"], counts[str(n)]["off"]) for n in range(1, NODES + 1)]


def reset(client: Client, kind: str, **more: object):
    """The group, by its aggregate."""
    return client.request("POST", f"{SERVICE}/Aggregates/group-all/Actions/Aggregate.Reset", {"ResetType": kind, **more})


def ended(client: Client) -> dict:
    """The one task, when it is over."""
    def look() -> dict | None:
        tasks = [client.read(uri) for uri in client.members("/redfish/v1/TaskService/Tasks")]
        many = [task for task in tasks if "nodes" in task["Name"]]
        return many[0] if many and many[0]["TaskState"] != "Running" else None
    return until(look, bool, 60, "end of the task", pause=0.2)


def cut(name: str, point: str, kind: str, each: tuple[int, int]) -> None:
    """Dies at a point; the next life ends what was promised, and no relay moves twice."""
    with Rack(name) as rack:
        client = rack.start(point)
        before = rack.moves()
        try:
            reset(client, kind, BatchSize=2)
        except (OSError, http.client.HTTPException):
            pass
        rack.it.ends()
        client = rack.start()
        if point == "sweep.planned":
            # Nobody was told of it, and nothing was touched: it is as if it had never been asked for.
            time.sleep(2)
            equal(rack.moves(), before, "transitions of what was not promised")
            equal(client.members("/redfish/v1/TaskService/Tasks"), [], "tasks")
            return
        task = ended(client)
        equal((task["TaskState"], task["PercentComplete"]), ("Completed", 100), f"the task ({task})")
        made = [(on - was_on, off - was_off) for (on, off), (was_on, was_off) in zip(rack.moves(), before)]
        equal(made, [each] * NODES, "transitions")


def told(checks: Checks) -> None:
    """A batch at a time over HTTP: progress, the end, and who failed."""
    with Rack("told") as rack:
        client = rack.start()
        with checks.check("sweeps.progress"):
            answer = reset(client, "On", BatchSize=2, DelayBetweenBatchesInSeconds=1)
            equal(answer.status, 202, f"status ({answer})")
            seen = {client.read(answer.body["@odata.id"])["PercentComplete"]}
            until(lambda: seen.add(client.read(answer.body["@odata.id"])["PercentComplete"]) or 100 in seen, True, 30,
                  "end of the task", pause=0.1)
            expect({33, 66} & seen, f"no progress was seen between: {seen}")
            equal({client.power(system(f"n{n}")) for n in range(1, NODES + 1)}, {"On"}, "power")
        with checks.check("sweeps.who-failed"):
            rack.pdu.tell("outlet 3 stuck")
            answer = reset(client, "ForceOff")
            among(answer.status, (202, 503), f"status ({answer})")
            task = until(lambda: [t for t in map(client.read, client.members("/redfish/v1/TaskService/Tasks"))
                                  if t["Name"].startswith("ForceOff") and t["TaskState"] != "Running"], bool, 60, "the task")[0]
            equal(task["TaskState"], "Exception", "state")
            named = [m["MessageArgs"][0] for m in task["Messages"] if m["MessageId"].endswith("ResetFailedFor")]
            equal(named, ["n3"], "who failed")
            equal({client.power(system(f"n{n}")) for n in (1, 2, 4, 5, 6)}, {"Off"}, "power of the others")


def run(checks: Checks) -> None:
    """All of it."""
    told(checks)
    for name, point, kind, each in (
        ("planned", "sweep.planned", "ForceOff", (0, 0)),
        ("begun", "sweep.begun", "ForceOff", (0, 1)),
        ("sent", "supply-off.sent", "ForceOff", (0, 1)),
    ):
        with checks.check(f"sweeps.kill-at-{point}"):
            cut(name, point, kind, each)
