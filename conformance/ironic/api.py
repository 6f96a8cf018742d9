"""Ironic's API, as far as the suite needs it."""

import http.client
import json
import time
from typing import Any, Callable

from lib.checks import Failure, log, until

VERSION = "1.109"
# What a node may be doing; between them it holds a lock, and a request gets 409.
BUSY = 409


class IronicError(Exception):
    """An answer from 400 up."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"Ironic answered {status}: {text[:500]}")
        self.status, self.text = status, text


class Api:
    """Requests to one Ironic; locked nodes are asked again for a while."""

    def __init__(self, port: int) -> None:
        self._port = port

    def call(self, method: str, path: str, body: Any = None, patience: float = 40) -> Any:
        """One request; a node that is busy is asked again."""
        deadline = time.monotonic() + patience
        while True:
            try:
                return self._once(method, path, body)
            except IronicError as why:
                locked = why.status == BUSY and "locked" in why.text
                if not locked or time.monotonic() > deadline:
                    raise
            time.sleep(0.7)

    def _once(self, method: str, path: str, body: Any) -> Any:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        try:
            link.request(method, path, None if body is None else json.dumps(body),
                         {"X-OpenStack-Ironic-API-Version": VERSION, "Content-Type": "application/json",
                          "Accept": "application/json", "Connection": "close"})
            reply = link.getresponse()
            text = reply.read().decode()
        finally:
            link.close()
        if reply.status >= 400:
            raise IronicError(reply.status, text)
        return json.loads(text) if text else None

    def answering(self) -> bool:
        """Whether it is up, with a conductor that has its drivers."""
        try:
            return bool(self._once("GET", "/v1/drivers", None)["drivers"])
        except (OSError, IronicError, http.client.HTTPException):
            return False


class Baremetal:
    """One node as Ironic knows it."""

    def __init__(self, api: Api, name: str, driver_info: dict[str, Any], **more: Any) -> None:
        self.api, self.name = api, name
        self.uuid = api.call("POST", "/v1/nodes", {"driver": "redfish", "name": name, "driver_info": driver_info,
                                                   **more})["uuid"]

    def url(self, tail: str = "") -> str:
        """Its path."""
        return f"/v1/nodes/{self.uuid}{tail}"

    def show(self) -> dict[str, Any]:
        """All fields."""
        return self.api.call("GET", self.url())

    def get(self, tail: str) -> Any:
        """GET below it."""
        return self.api.call("GET", self.url(tail))

    def put(self, tail: str, body: Any = None) -> Any:
        """PUT below it."""
        return self.api.call("PUT", self.url(tail), body)

    def patch(self, *changes: dict[str, Any]) -> Any:
        """JSON patch."""
        return self.api.call("PATCH", self.url(), list(changes))

    def passthru(self, verb: str, method: str, body: Any = None) -> Any:
        """Vendor passthru."""
        return self.api.call(verb, self.url(f"/vendor_passthru?method={method}"), body)

    def provision(self, target: str, wanted: str, seconds: float, **more: Any) -> dict[str, Any]:
        """Changes the provision state and waits for it."""
        self.put("/states/provision", {"target": target, **more})
        return self.until_provision(wanted, seconds)

    def until_provision(self, wanted: str, seconds: float) -> dict[str, Any]:
        """Waits for a provision state; ends early in one that nothing leads out of."""
        def over(node: dict[str, Any]) -> bool:
            stuck = node["target_provision_state"] is None or node["provision_state"].endswith("failed")
            return node["provision_state"] == wanted or (stuck and node["reservation"] is None and node["last_error"])

        node = self.wait(over, seconds, f"provision state {wanted}")
        if node["provision_state"] != wanted:
            raise Failure(f"{self.name} is {node['provision_state']}, expected {wanted}: {node['last_error']}")
        return node

    def wait(self, good: Callable[[dict[str, Any]], bool], seconds: float, what: str) -> dict[str, Any]:
        """Waits for whatever a function takes for good."""
        try:
            return until(self.show, good, seconds, what, pause=1.0)
        except Failure:
            node = self.show()
            raise Failure(f"{self.name} did not reach {what} within {seconds:.0f} s: {node['provision_state']}, power "
                          f"{node['power_state']}, last error {node['last_error']}") from None

    def power(self, target: str, wanted: str, seconds: float = 90, **more: Any) -> dict[str, Any]:
        """A power action, to its end: it must succeed."""
        begun = time.monotonic()
        node = self.power_ends(target, seconds, **more)
        log(f"{self.name}: {target} took Ironic {time.monotonic() - begun:.1f} s")
        if node["last_error"]:
            raise Failure(f"{target} of {self.name}: {node['last_error']}")
        if node["power_state"] != wanted:
            raise Failure(f"{self.name} is {node['power_state']} after {target}, expected {wanted}")
        return node

    def power_ends(self, target: str, seconds: float, **more: Any) -> dict[str, Any]:
        """A power action, to whatever end it comes to."""
        self.put("/states/power", {"target": target, **more})
        return self.wait(lambda node: node["target_power_state"] is None and node["reservation"] is None, seconds,
                          f"the end of {target}")

    def delete(self) -> None:
        """Forgets it."""
        self.api.call("DELETE", self.url())
