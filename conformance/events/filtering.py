"""What events say, and who gets which: messages, names of those who acted, filters, scopes."""

import threading

from lib.checks import Checks, equal, expect, until
from receiver import Receiver, well_formed
from rig import PASSWORD, SUBMIT, Rig, system

ACCOUNTS = "/redfish/v1/AccountService/Accounts"


def messages(receiver: Receiver, name: str) -> list[tuple[str, str]]:
    """Key and origin of each event."""
    return [(r["MessageId"].rsplit(".", 1)[-1], r["OriginOfCondition"]["@odata.id"]) for r in receiver.records(name)]


def run(checks: Checks, rig: Rig, receiver: Receiver) -> None:
    """All of it."""
    admin = rig.admin
    for name, nodes in (("tenant", ["n2"]), ("boss", ["n2"])):
        role = "Operator" if name == "tenant" else "Administrator"
        made = admin.request("POST", ACCOUNTS, {"UserName": name, "Password": PASSWORD, "RoleId": role,
                                                "Oem": {"Rackfish": {"AllNodes": False, "Nodes": nodes}}})
        equal(made.status, 201, f"status of the account {name} ({made})")
    n1, n2, n3 = (system(name) for name in ("n1", "n2", "n3"))
    wanted = {
        "all": {},
        "origin": {"OriginResources": [{"@odata.id": n2}]},
        "below": {"OriginResources": [{"@odata.id": "/redfish/v1/Systems"}], "SubordinateResources": True},
        "not-below": {"OriginResources": [{"@odata.id": "/redfish/v1/Systems"}]},
        "registry": {"RegistryPrefixes": ["TaskEvent"]},
        "message": {"MessageIds": ["ResourceEvent.1.0.ResourcePoweredOff"]},
        "registry-or-message": {"RegistryPrefixes": ["TaskEvent"], "MessageIds": ["ResourceEvent.ResourcePoweredOff"]},
        "no-registry": {"ExcludeRegistryPrefixes": ["Rackfish", "TaskEvent"]},
        "no-message": {"ExcludeMessageIds": ["ResourceEvent.ResourcePoweredOn", "Rackfish.OperationDone"]},
        "severity": {"Severities": ["Critical"]},
        "types": {"EventTypes": ["StatusChange"]},
        "resource": {"ResourceTypes": ["Task"]},
    }
    paths = [rig.subscribe(receiver.url(name), Context=name, **filters) for name, filters in wanted.items()]
    boss = rig.client("boss", PASSWORD)
    answer = boss.request("POST", "/redfish/v1/EventService/Subscriptions",
                          {"Destination": receiver.url("boss"), "Protocol": "Redfish"})
    equal(answer.status, 201, "status of the subscription of an administrator of one node")
    paths.append(answer.headers["location"])
    tenant = rig.client("tenant", PASSWORD)
    tenant_refused = tenant.request("POST", "/redfish/v1/EventService/Subscriptions",
                                    {"Destination": receiver.url("x"), "Protocol": "Redfish"}).status
    for node in ("n1", "n2"):
        if admin.power(system(node)) != "Off":
            rig.switch(node, "ForceOff")
    until(lambda: [admin.power(p) for p in (n1, n2)], ["Off", "Off"], 10, "power", pause=0.05)
    rig.test("a beginning")
    until(lambda: "a beginning" in receiver.texts("all"), True, 10, "the first event", pause=0.05)
    begin = max(receiver.ids("all"))
    rig.switch("n1", "On")
    rig.switch("n2", "On", tenant)
    rig.switch("n2", "ForceOff", tenant)
    if admin.power(n3) != "On":
        rig.switch("n3", "On")
    answer = admin.reset(n3, "ForceRestart")
    equal(answer.status, 202, "status of a restart that takes long")
    monitor = answer.headers["location"]
    until(lambda: admin.get(monitor).status, 200, 20, "the task's monitor", pause=0.1)
    rig.test("bad", MessageSeverity="Critical", OriginOfCondition=n1)
    rig.test("the end")
    for name in ("all", "no-registry"):
        until(lambda name=name: "the end" in receiver.texts(name) or name != "all", True, 10, f"the end at {name}",
              pause=0.05)

    def told(name: str) -> list[dict]:
        return [r for r in receiver.records(name) if int(r["EventId"]) > begin]

    with checks.check("well-formed"):
        for body in receiver.bodies("all"):
            well_formed(body)
            equal(body["Context"], "all", "Context")
        ids = receiver.ids("all")
        equal(ids, sorted(ids), "ids in their order")
    with checks.check("power-and-who"):
        changes = [(r["OriginOfCondition"]["@odata.id"], ours.get("PreviousPowerState"), ours["PowerState"],
                    r.get("Username")) for r in told("all") for ours in [r.get("Oem", {}).get("Rackfish", {})]
                   if "PowerState" in ours and r["OriginOfCondition"]["@odata.id"] in (n1, n2)]
        for change in ((n1, "Off", "On", "admin"), (n2, "Off", "On", "tenant"), (n2, "On", "Off", "tenant")):
            expect(change in changes, f"{change} is not in {changes}")
    with checks.check("tasks"):
        keys = [r["MessageId"] for r in told("resource")]
        equal([key.split(".")[0] + "." + key.split(".")[-1] for key in keys],
              ["TaskEvent.TaskStarted", "TaskEvent.TaskCompletedOK"], "events of the task")
        origin = told("resource")[0]["OriginOfCondition"]["@odata.id"]
        equal(admin.read(origin)["@odata.id"], origin, "the task that the event names")
    complete = {(r["EventId"], r["MessageId"]): r for r in told("all")}

    def exactly(name: str, holds) -> None:
        want = [r["EventId"] for r in complete.values() if holds(r)]
        expect(want or name == "not-below", f"nothing happened that {name} lets pass")
        until(lambda: [r["EventId"] for r in told(name)], want, 5, f"ids at {name}", pause=0.1)

    origin = lambda r: r["OriginOfCondition"]["@odata.id"]
    key = lambda r: r["MessageId"].rsplit(".", 1)[-1]
    prefix = lambda r: r["MessageId"].split(".")[0]
    for name, holds in {
        "origin": lambda r: origin(r) == n2,
        "below": lambda r: origin(r).startswith("/redfish/v1/Systems/"),
        "not-below": lambda r: False,
        "registry": lambda r: prefix(r) == "TaskEvent",
        "message": lambda r: key(r) == "ResourcePoweredOff",
        "registry-or-message": lambda r: prefix(r) == "TaskEvent" or key(r) == "ResourcePoweredOff",
        "no-registry": lambda r: prefix(r) not in ("Rackfish", "TaskEvent"),
        "no-message": lambda r: key(r) not in ("ResourcePoweredOn", "OperationDone"),
        "severity": lambda r: r["MessageSeverity"] == "Critical",
        "types": lambda r: r["EventType"] == "StatusChange",
        "resource": lambda r: "/Tasks/" in origin(r),
    }.items():
        with checks.check(f"filter.{name}"):
            exactly(name, holds)
    with checks.check("scope"):
        for origin_, status in ((n1, 403), ("/redfish/v1/EventService", 403), (n2, 204)):
            answer = boss.request("POST", SUBMIT, {"MessageId": "Rackfish.1.0.Test", "Message": "by the boss",
                                                   "OriginOfCondition": origin_})
            equal(answer.status, status, f"status of a test event about {origin_} by the administrator of n2")
        until(lambda: "by the boss" in receiver.texts("all"), True, 5, "the boss's test", pause=0.05)
        complete = {(r["EventId"], r["MessageId"]): r for r in told("all")}
        equal(tenant_refused, 403, "status of a subscription by an operator")
        exactly("boss", lambda r: origin(r) == n2)
    rig.remove(*paths)
    threading.Event().wait(0.05)
