"""A rackfish in front of a simulated PDU, killed and started at will, and a client that subscribes."""

import os
import re
from pathlib import Path
from typing import Any, Self

from lib.checks import equal, expect, until
from lib.redfish import Answer, Client
from lib.service import LOGS, Service
from lib.sims import Sim
from lib.toml import node, table

PORT = int(os.environ["CONF_PORT_BASE"])
EVENTS = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{EVENTS}/Subscriptions"
SUBMIT = f"{EVENTS}/Actions/EventService.SubmitTestEvent"
STREAM = f"{EVENTS}/SSE"
PASSWORD = "a Tenant's password 1"


def system(name: str) -> str:
    """Its path."""
    return f"/redfish/v1/Systems/{name}"


class Rig(Service):
    """`with Rig(ca) as rig:`; `ca`: what rackfish trusts."""

    END = 40.0

    def __init__(self, ca: Path) -> None:
        super().__init__("rackfish", env={"SSL_CERT_FILE": str(ca)})
        self.pdu = Sim(LOGS / "pdu.log", "pdu", "--listen", "127.0.0.1:0", "--outlets", "8", "--relay-delay", "50ms")
        self.local = True
        self.admin: Client | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.admin = self.client()
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        self.end()
        self.pdu.end()

    def start(self) -> Self:
        """Up with four nodes on one PDU, and every node read."""
        self.configure(
            table("patience", action="2s"),
            table("endpoints.pdu", driver="snmp-pdu", model="apc-rpdu2", address="127.0.0.1", port=self.pdu.port,
                  community="private", verify_every="100ms", off_time="200ms"),
            *(node(f"n{n}", feeds=[f"pdu/{n}"]) for n in (1, 2, 4)),
            # Its restarts outlast the patience, and become tasks.
            node("n3", feeds=[{"unit": "pdu/3", "off_time": "3s"}]),
            server={"listen": [f"127.0.0.1:{PORT}"], "insecure_local_event_destinations": self.local,
                    "event_retry_attempts": 2, "event_retry_interval": "1s"})
        begin = self.log.stat().st_size if self.log.exists() else 0
        super().start()
        until(lambda: " ready" in self.said(begin) or self.child.poll() is not None, True, 40, "ready", pause=0.05)
        expect(self.child.poll() is None, f"the service ended: {self.tail()}")
        if self.admin:
            until(lambda: self.admin.power(system("n1")) is not None, True, 20, "state of n1", pause=0.1)
        return self

    def stop(self, seconds: float = 40) -> int:
        """SIGTERM; its exit status."""
        return super().stop(seconds)

    def subscribe(self, destination: str, **more: Any) -> str:
        """The URI of a new subscription."""
        answer = self.ask(destination, **more)
        equal(answer.status, 201, f"status of the subscription ({answer})")
        location = answer.headers["location"]
        equal(answer.body["@odata.id"], location, "@odata.id of the subscription")
        return location

    def ask(self, destination: str, **more: Any) -> Answer:
        """What it says to a subscription."""
        return self.admin.request("POST", SUBSCRIPTIONS, {"Destination": destination, "Protocol": "Redfish", **more})

    def test(self, text: str, **more: Any) -> None:
        """One test event."""
        answer = self.admin.request("POST", SUBMIT, {"MessageId": "Rackfish.1.0.Test", "Message": text, **more})
        equal(answer.status, 204, f"status of SubmitTestEvent ({answer})")

    def remove(self, *paths: str) -> None:
        """Ends subscriptions."""
        for path in paths:
            equal(self.admin.request("DELETE", path).status, 204, f"status of DELETE {path}")

    def switch(self, node: str, kind: str, who: Client | None = None) -> None:
        """Reset, and it is done."""
        answer = (who or self.admin).reset(system(node), kind)
        expect(answer.status in (200, 204), f"{kind} of {node}: {answer}")

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def warned(self, pattern: str) -> bool:
        """Whether its log says so."""
        return re.search(pattern, self.log.read_text(errors="replace")) is not None
