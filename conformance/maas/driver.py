"""What MAAS's redfish power driver puts on the wire (MAAS 3.x, `provisioningserver/drivers/power/redfish.py` and its
base class), written anew from what it does:

* Basic authentication, `Accept: application/json`, `Content-Type: application/json; charset=utf-8` on GET as well,
  `User-Agent: MAAS`; one connection per request; no certificate check; redirects followed.
* The Systems collection without a slash; the last path part of `Members[0]` is the node unless one is configured.
* The Reset target is built from the node's id, never read from the System.
* Each step begins by reading the System anew. `PowerState` is lowered and compared with `on` and `off`; a null breaks
  it.
* `If-Match` is put into the headers of the PATCH and *stays there* for the POST that follows: that Reset carries the
  ETag from before the PATCH, and must not be refused for it.
* 404 without a trailing slash is tried again with one; anything from 400 up ends the attempt.
* Switching on is: ForceOff if on (not waited for), PATCH, On. The base class then looks after 1 s whether the node is
  on and goes through it all again if not, with longer and longer pauses.
"""

import time
from typing import Any

from lib.redfish import Answer, Client

SYSTEMS = "/redfish/v1/Systems"
PAUSES = (1, 2, 2, 4, 6, 8, 12)  # seconds; PowerDriver.wait_time of MAAS 3.x


class PowerActionError(Exception):
    """An answer from 400 up, or something that the driver can't read."""


class Driver:
    """One machine as MAAS knows it."""

    def __init__(self, client: Client, node_id: str | None) -> None:
        self._client, self._configured = client, node_id
        self.trace: list[str] = []
        self.attempts = 0

    def _request(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> Answer:
        answer = self._client.request(method, path, body, headers=headers, timeout=120)
        self.trace.append(f"{method} {path} {body or ''} -> {answer.status}")
        if answer.status == 404 and not path.endswith("/"):
            answer = self._client.request(method, path + "/", body, headers=headers, timeout=120)
            self.trace.append(f"{method} {path}/ -> {answer.status}")
        if answer.status >= 400:
            raise PowerActionError(f"{method} {path}: {answer}")
        if answer.raw and answer.body is None:
            raise PowerActionError(f"{method} {path}: no JSON: {answer}")
        return answer

    def _context(self) -> tuple[str, dict[str, str]]:
        headers = {"User-Agent": "MAAS", "Accept": "application/json",
                   "Content-Type": "application/json; charset=utf-8"}
        if self._configured:
            return self._configured, headers
        members = self._request("GET", SYSTEMS, headers).body["Members"]
        return members[0]["@odata.id"].rstrip("/").rsplit("/", 1)[-1], headers

    def node_id(self) -> str:
        """The configured node, or the first member."""
        return self._context()[0]

    def query(self) -> str:
        """`power_query`"""
        node, headers = self._context()
        return self._request("GET", f"{SYSTEMS}/{node}", headers).body["PowerState"].lower()

    def _pxe(self, node: str, headers: dict[str, str]) -> None:
        system = self._request("GET", f"{SYSTEMS}/{node}", headers)
        etag = system.body.get("@odata.etag") or system.headers.get("etag")
        if etag:
            headers["If-Match"] = etag
        patch = {"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Pxe"}}
        self._request("PATCH", f"{SYSTEMS}/{node}", headers, patch)

    def _power(self, node: str, headers: dict[str, str], kind: str) -> None:
        self._request("POST", f"{SYSTEMS}/{node}/Actions/ComputerSystem.Reset", headers, {"ResetType": kind})

    def _on(self) -> None:
        node, headers = self._context()
        if self.query() == "on":
            self._power(node, headers, "ForceOff")
        self._pxe(node, headers)
        self._power(node, headers, "On")

    def _off(self) -> None:
        node, headers = self._context()
        if self.query() != "off":
            self._power(node, headers, "ForceOff")
        self._pxe(node, headers)

    def perform(self, wanted: str) -> None:
        """`perform_power`: attempt, pause, look; the last error, or that the state never came."""
        error: Exception | None = None
        for pause in PAUSES:
            self.attempts += 1
            try:
                (self._on if wanted == "on" else self._off)()
                error = None
            except PowerActionError as why:
                error = why
                self.trace.append(f"error: {why}")
            time.sleep(pause)
            if error is None and self.query() == wanted:
                return
        raise error or PowerActionError(f"the machine never became {wanted}")
