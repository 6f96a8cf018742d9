"""Clients that write until the service dies, and know what was acknowledged and what was under way.

Each writer has things of its own, so that what may be there afterwards is exactly: the last value that was
acknowledged, or one that was sent after it and never answered.
"""

import random
import threading
from typing import Any, Callable

from lib.checks import Failure
from lib.redfish import Answer, Client, quietly
from rig import system

ABSENT = None
ACCOUNTS = "/redfish/v1/AccountService/Accounts"
SUBSCRIPTIONS = "/redfish/v1/EventService/Subscriptions"


class Thing:
    """Something that is kept: what was acknowledged last, and what was asked for since."""

    def __init__(self, value: Any = ABSENT) -> None:
        self.acknowledged, self.asked = value, []

    def write(self, value: Any, call: Callable[[], Answer | None]) -> Answer | None:
        """Asks for a value; the answer, if one came."""
        self.asked.append(value)
        answer = call()
        if answer is None:
            return None
        if answer.status in (200, 201, 204):
            self.acknowledged, self.asked = value, []
        elif answer.status >= 500:
            raise Failure(f"refused while all is well: {answer}")
        else:
            self.asked.pop()
        return answer

    def settle(self, seen: Any, what: str) -> None:
        """After a restart: one of those that it may be."""
        allowed = [self.acknowledged, *self.asked]
        if seen not in allowed:
            raise Failure(f"{what} is {seen!r}; acknowledged was {self.acknowledged!r}, under way {self.asked!r}")
        self.acknowledged, self.asked = seen, []


class Writer:
    """Writes one kind of thing, again and again."""

    def __init__(self, name: str, seed: int) -> None:
        self.name, self.random, self.count, self.trouble = name, random.Random(seed), 0, ""
        self.client: Client | None = None
        # Set when a client was told of a task.
        self.told = threading.Event()

    def until(self, dead: threading.Event, client: Client) -> threading.Thread:
        """Starts to write."""
        self.client = client

        def work() -> None:
            try:
                while not dead.is_set() and self.step() is not None:
                    self.count += 1
            except Failure as why:
                self.trouble = f"{self.name}: {why}"

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def step(self) -> Answer | None:
        """One write; `None`: nobody answers any more."""
        raise NotImplementedError

    def check(self, client: Client) -> None:
        """What is there after a restart."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: Any = None) -> Answer | None:
        """The answer, or `None` when the service went away."""
        return quietly(self.client.request, method, path, body)


class Overrides(Writer):
    """Boot overrides of one node."""

    TARGETS, ENABLED = ("Pxe", "Hdd", "Cd", "BiosSetup"), ("Once", "Continuous")

    def __init__(self, node: str, seed: int) -> None:
        super().__init__(f"override of {node}", seed)
        self.path, self.thing = system(node), Thing(("Disabled", "None"))

    def step(self) -> Answer | None:
        value = (self.random.choice(self.ENABLED), self.random.choice(self.TARGETS))
        boot = {"BootSourceOverrideEnabled": value[0], "BootSourceOverrideTarget": value[1]}
        return self.thing.write(value, lambda: self.ask("PATCH", self.path, {"Boot": boot}))

    def check(self, client: Client) -> None:
        boot = client.read(self.path)["Boot"]
        seen = (boot["BootSourceOverrideEnabled"], boot["BootSourceOverrideTarget"])
        self.thing.settle(seen, self.name)


class Tags(Writer):
    """The asset tag of one node: a text that can't be half there without being seen."""

    def __init__(self, node: str, seed: int) -> None:
        super().__init__(f"asset tag of {node}", seed)
        self.path, self.thing = system(node), Thing()

    def step(self) -> Answer | None:
        value = f"{self.random.getrandbits(32):08x}" * 16
        return self.thing.write(value, lambda: self.ask("PATCH", self.path, {"AssetTag": value}))

    def check(self, client: Client) -> None:
        self.thing.settle(client.read(self.path)["AssetTag"], self.name)


class Accounts(Writer):
    """Accounts that are made, changed and removed."""

    ROLES = ("ReadOnly", "Operator", "Administrator")

    def __init__(self, prefix: str, seed: int) -> None:
        super().__init__(f"accounts {prefix}", seed)
        self.things = {f"{prefix}{n}": Thing() for n in range(4)}

    def step(self) -> Answer | None:
        name = self.random.choice(sorted(self.things))
        thing, role = self.things[name], self.random.choice(self.ROLES)
        if thing.acknowledged is ABSENT:
            body = {"UserName": name, "Password": f"a password of {name}", "RoleId": role}
            return thing.write(role, lambda: self.ask("POST", ACCOUNTS, body))
        if self.random.random() < 0.2:
            return thing.write(ABSENT, lambda: self.ask("DELETE", f"{ACCOUNTS}/{name}"))
        return thing.write(role, lambda: self.ask("PATCH", f"{ACCOUNTS}/{name}", {"RoleId": role}))

    def check(self, client: Client) -> None:
        for name, thing in self.things.items():
            answer = client.get(f"{ACCOUNTS}/{name}")
            seen = answer.body["RoleId"] if answer.status == 200 else ABSENT
            if answer.status not in (200, 404):
                raise Failure(f"account {name}: {answer}")
            thing.settle(seen, f"account {name}")
            if seen is ABSENT:
                continue
            own = Client(client.url, name, f"a password of {name}", client.ca)
            if own.get("/redfish/v1/Systems").status != 200:
                raise Failure(f"account {name} is there, but its password is not")


class Subscriptions(Writer):
    """Event subscriptions, known by their context."""

    def __init__(self, prefix: str, seed: int) -> None:
        super().__init__(f"subscriptions {prefix}", seed)
        self.prefix, self.things = prefix, {f"{prefix}-{n}": Thing() for n in range(4)}

    def step(self) -> Answer | None:
        context = self.random.choice(sorted(self.things))
        thing = self.things[context]
        if thing.acknowledged is not ABSENT:
            return thing.write(ABSENT, lambda: self.ask("DELETE", thing.acknowledged))
        # Port 9 discards; whether anybody listens there is not what this is about.
        body = {"Destination": "https://127.0.0.1:9/e", "Protocol": "Redfish", "Context": context}
        answer = thing.write(True, lambda: self.ask("POST", SUBSCRIPTIONS, body))
        if answer is not None and answer.status == 201:
            thing.acknowledged = answer.body["@odata.id"]
        return answer

    def check(self, client: Client) -> None:
        found: dict[str, str] = {}
        for path in client.members(SUBSCRIPTIONS):
            body = client.read(path)
            if not body["Context"].startswith(f"{self.prefix}-"):
                continue
            if body["Context"] in found:
                raise Failure(f"{body['Context']} is there twice")
            if body["Destination"] != "https://127.0.0.1:9/e":
                raise Failure(f"{body['Context']} is not what was written: {body}")
            found[body["Context"]] = path
        for context, thing in self.things.items():
            # The URI of one that was never answered is not known.
            known = thing.acknowledged is not ABSENT or True not in thing.asked
            path = found.get(context)
            thing.settle(path if known or path is None else True, f"subscription {context}")
            thing.acknowledged = path


class Tasks(Writer):
    """Restarts of one node that take longer than the patience that is configured: each is answered with a task."""

    def __init__(self, node: str, seed: int) -> None:
        super().__init__(f"tasks of {node}", seed)
        self.node, self.tasks, self.sent, self.kind = node, [], 0, 0

    def step(self) -> Answer | None:
        # Never equal to the one before: an equal one would be taken for a client that says it again.
        kind = ("ForceRestart", "PowerCycle")[self.kind % 2]
        self.sent += 1
        answer = quietly(self.client.reset, system(self.node), kind)
        if answer is None:
            self.kind += 1
            return None
        if answer.status == 202:
            self.tasks.append(answer.body["@odata.id"])
            self.told.set()
        elif answer.status not in (200, 204, 409):
            raise Failure(f"{kind}: {answer}")
        if answer.status == 409:
            # One is under way; it has been counted.
            self.sent -= 1
            threading.Event().wait(0.1)
        else:
            self.kind += 1
        return answer

    def check(self, client: Client) -> None:
        for path in self.tasks:
            answer = client.get(path)
            if answer.status != 200 or answer.body["TaskState"] not in ("Running", "Completed", "Exception"):
                raise Failure(f"{path}, of which a client was told: {answer}")
        # Looked at after each of the next few deaths, then trusted.
        self.tasks = self.tasks[-8:]
