"""A rackfish in front of a simulated PDU, killed and started at will, and a client that subscribes."""

import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from lib import procs
from lib.checks import equal, expect, until
from lib.redfish import Answer, Client
from lib.sims import Sim

BIN, PORT = os.environ["RACKFISH_BIN"], int(os.environ["CONF_PORT_BASE"])
WORK, LOGS = Path(os.environ["CONF_WORK"]), Path(os.environ["CONF_LOGS"])
EVENTS = "/redfish/v1/EventService"
SUBSCRIPTIONS = f"{EVENTS}/Subscriptions"
SUBMIT = f"{EVENTS}/Actions/EventService.SubmitTestEvent"
STREAM = f"{EVENTS}/SSE"
PASSWORD = "a Tenant's password 1"


def system(name: str) -> str:
    """Its path."""
    return f"/redfish/v1/Systems/{name}"


class Rig:
    """`with Rig(ca) as rig:`; `ca`: what rackfish trusts."""

    def __init__(self, ca: Path) -> None:
        self.pdu = Sim(LOGS / "pdu.log", "pdu", "--listen", "127.0.0.1:0", "--outlets", "8", "--relay-delay", "50ms")
        self.state, self.log, self.ca = WORK / "state", LOGS / "rackfish.log", ca
        self.child: subprocess.Popen | None = None
        self.local = True
        self.admin: Client | None = None

    def __enter__(self) -> "Rig":
        try:
            self.start()
            self.admin = self.client("admin", (self.state / "first-password").read_text().strip())
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        if self.child:
            procs.end(self.child, patience=40)
        self.pdu.end()

    def client(self, user: str, password: str) -> Client:
        """Somebody."""
        return Client(f"https://127.0.0.1:{PORT}", user, password, str(self.state / "tls/ca.pem"))

    def configure(self) -> Path:
        """Four nodes on one PDU."""
        file = WORK / "rackfish.toml"
        nodes = "".join(f'[nodes.n{n}]\nfeeds = ["pdu/{n}"]\n' for n in (1, 2, 4))
        # Its restarts outlast the patience, and become tasks.
        nodes += '[nodes.n3]\nfeeds = [{ unit = "pdu/3", off_time = "3s" }]\n'
        file.write_text(f"""
[server]
listen = ["127.0.0.1:{PORT}"]
state_dir = "{self.state}"
insecure_local_event_destinations = {str(self.local).lower()}
event_retry_attempts = 2
event_retry_interval = "1s"
[patience]
action = "2s"
[endpoints.pdu]
driver = "snmp-pdu"
model = "apc-rpdu2"
address = "127.0.0.1"
port = {self.pdu.port}
community = "private"
verify_every = "100ms"
off_time = "200ms"
{nodes}""")
        return file

    def start(self) -> None:
        """Up, and every node read."""
        begin = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as log:
            self.child = subprocess.Popen([BIN, "serve", "--config", str(self.configure())], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True,
                                          env={**os.environ, "SSL_CERT_FILE": str(self.ca)})
        said = lambda: self.log.read_text(errors="replace")[begin:]
        until(lambda: " ready" in said() or self.child.poll() is not None, True, 40, "ready", pause=0.05)
        expect(self.child.poll() is None, f"the service ended: {said()[-500:]}")
        if self.admin:
            until(lambda: self.admin.power(system("n1")) is not None, True, 20, "state of n1", pause=0.1)

    def kill(self) -> None:
        """kill -9"""
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def stop(self) -> int:
        """SIGTERM"""
        return procs.end(self.child, patience=40)

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
