"""An independent Redfish client, plain http.client: what it reads is what the real clients' answers are compared with.

One connection per request, as sushy does; nothing is cached, nothing is repeated.
"""

import base64
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any, Callable
from urllib.parse import urlsplit


@dataclass
class Answer:
    """Status, headers (names in lower case) and the body, decoded if it is JSON."""

    status: int
    headers: dict[str, str]
    body: Any
    raw: bytes

    def __str__(self) -> str:
        return f"{self.status} {self.raw[:300].decode(errors='replace')}"

    @property
    def message(self) -> str:
        """The error's texts in one line."""
        error = self.body.get("error", {}) if isinstance(self.body, dict) else {}
        parts = [error.get("message", "")] + [i.get("Message", "") for i in error.get("@Message.ExtendedInfo", [])]
        return " ".join(parts)


class Client:
    """Talks to one service with Basic authentication, a token, or nothing."""

    def __init__(self, url: str, user: str = "", password: str = "", ca: str | None = None,
                 timeout: float = 60) -> None:
        parts = urlsplit(url)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.host, self.port, self.tls = parts.hostname, parts.port, parts.scheme == "https"
        self.user, self.password, self.ca, self.timeout = user, password, ca, timeout
        self.token: str | None = None
        self._context = ssl.create_default_context(cafile=ca) if self.tls else None

    def connection(self, timeout: float | None = None) -> http.client.HTTPConnection:
        """A fresh connection."""
        patience = timeout or self.timeout
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=patience, context=self._context)
        return http.client.HTTPConnection(self.host, self.port, timeout=patience)

    def auth(self) -> dict[str, str]:
        """The headers that say who we are."""
        if self.token:
            return {"X-Auth-Token": self.token}
        if self.user:
            pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            return {"Authorization": f"Basic {pair}"}
        return {}

    def request(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None,
                timeout: float | None = None) -> Answer:
        """One request on a connection of its own."""
        sent = {"Accept": "application/json", "Connection": "close", **self.auth(), **(headers or {})}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        link = self.connection(timeout)
        try:
            link.request(method, path, body=data, headers=sent)
            reply = link.getresponse()
            raw = reply.read()
        finally:
            link.close()
        fields = {name.lower(): value for name, value in reply.getheaders()}
        try:
            decoded = json.loads(raw) if raw else None
        except ValueError:
            decoded = None
        return Answer(reply.status, fields, decoded, raw)

    def get(self, path: str, **more: Any) -> Answer:
        """GET."""
        return self.request("GET", path, **more)

    def read(self, path: str) -> dict:
        """The JSON object at a path; anything but 200 is an error."""
        answer = self.get(path)
        if answer.status != 200 or not isinstance(answer.body, dict):
            raise RuntimeError(f"GET {path}: {answer}")
        return answer.body

    def power(self, system: str) -> str | None:
        """`PowerState` as it is served now."""
        return self.read(system).get("PowerState")

    def reset(self, system: str, kind: str, **more: Any) -> Answer:
        """`ComputerSystem.Reset`."""
        return self.request("POST", f"{system}/Actions/ComputerSystem.Reset", {"ResetType": kind}, **more)

    def patch(self, path: str, body: Any, **more: Any) -> Answer:
        """PATCH."""
        return self.request("PATCH", path, body, **more)

    def members(self, path: str) -> list[str]:
        """Paths of a collection's members."""
        return [member["@odata.id"] for member in self.read(path)["Members"]]


def quietly(call: Callable[..., Any], *words: Any, **more: Any) -> Any:
    """What it returns; `None` when nobody answers."""
    try:
        return call(*words, **more)
    except (OSError, ValueError, http.client.HTTPException):
        return None
