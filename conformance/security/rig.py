"""A service with a secret of every kind, each with a mark of its own, in front of simulated devices that take them."""

import json
import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from lib import procs
from lib.checks import expect, until
from lib.redfish import Client

WORK, LOGS = Path(os.environ["CONF_WORK"]), Path(os.environ["CONF_LOGS"])
PROGRAM, PORT = os.environ["RACKFISH_BIN"], int(os.environ["CONF_PORT_BASE"])


def mark(kind: str, length: int = 24) -> str:
    """A secret that is found again wherever it turns up."""
    return (f"MARK-{kind}-" + secrets.token_hex(12))[:length]


@dataclass
class Rig:
    """Device simulators, configuration, service."""

    state: Path = WORK / "state"
    marks: dict[str, str] = field(default_factory=dict)
    children: list[subprocess.Popen] = field(default_factory=list)

    def secret(self, kind: str, length: int = 24, file: bool = True) -> str:
        """A new marked secret; in a file, how the configuration names it."""
        self.marks[kind] = mark(kind, length)
        if not file:
            return self.marks[kind]
        path = WORK / f"secret-{kind}"
        path.write_text(self.marks[kind] + "\n")
        path.chmod(0o600)
        return f'{{ file = "{path}" }}'

    def simulators(self) -> None:
        """A BMC and a PDU that want marked secrets, and an SNMP 3 agent that is not there."""
        bmc, community = self.secret("bmc", 16), self.secret("comm")
        write = self.secret("wcomm")
        (WORK / "communities").write_text(f"{self.marks['comm']}\n{self.marks['wcomm']}\n")
        self.spawn("sim-bmc", ["sim", "ipmi", "--listen", f"127.0.0.1:{PORT + 1}", "--password-file",
                               str(WORK / "secret-bmc"), "--on"])
        self.spawn("sim-pdu", ["sim", "pdu", "--listen", f"127.0.0.1:{PORT + 2}", "--community-file",
                               str(WORK / "communities")])
        (WORK / "rackfish.toml").write_text(f"""
[server]
listen = ["127.0.0.1:{PORT}"]
operations_listen = "127.0.0.1:{PORT + 9}"
state_dir = "{self.state}"
log = "trace"
audit_file = "{WORK / 'audit.jsonl'}"
insecure_local_event_destinations = true

[endpoints.bmc]
driver = "ipmi"
address = "127.0.0.1"
port = {PORT + 1}
username = "admin"
password = {bmc}

[endpoints.bmc-kg]
driver = "ipmi"
address = "127.0.0.1"
port = {PORT + 1}
username = "admin"
password = {self.secret("wrong", 16)}
kg = {self.secret("kg", 18)}

[endpoints.pdu]
driver = "snmp-pdu"
model = "apc-rpdu2"
address = "127.0.0.1"
port = {PORT + 2}
community = {community}
write_community = {write}

[endpoints.pdu-v3]
driver = "snmp-pdu"
model = "apc-rpdu2"
address = "127.0.0.1"
port = {PORT + 2}
user = "operator"
auth_key = {self.secret("auth")}
priv_key = {{ env = "RACKFISH_SUITE_PRIV" }}

[nodes.n1]
host = "bmc"
[nodes.n2]
feeds = ["pdu/1"]
macs = ["52:54:00:00:00:02"]
shutdown = {{ http = {{ url = "http://127.0.0.1:{PORT + 3}/off", authorization = {self.secret("hook")} }} }}
[nodes.n3]
host = "bmc-kg"
[nodes.n4]
feeds = ["pdu-v3/1"]
boot = {{ hook = {{ command = ["/usr/bin/env"] }} }}
""")
        self.secret("priv", file=False)

    def spawn(self, name: str, words: list[str], **env: str) -> subprocess.Popen:
        """A process of the program."""
        with (LOGS / f"{name}.log").open("a") as log:
            child = subprocess.Popen([PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                     env={**os.environ, **env}, start_new_session=True)
        self.children.append(child)
        return child

    def start(self) -> "Rig":
        """Everything up, and the BMC read once."""
        self.simulators()
        self.service = self.spawn("service", ["serve", "--config", str(WORK / "rackfish.toml")],
                                  RACKFISH_SUITE_PRIV=self.marks["priv"])
        log = LOGS / "service.log"
        until(lambda: " ready" in log.read_text() or self.service.poll() is not None, True, 30, "ready")
        expect(self.service.poll() is None, f"the service ended: {log.read_text()[-500:]}")
        self.marks["first"] = (self.state / "first-password").read_text().strip()
        return self

    def stop(self) -> None:
        """The service, then its devices."""
        for child in reversed(self.children):
            procs.end(child)

    def client(self) -> Client:
        """The first administrator."""
        return Client(f"https://127.0.0.1:{PORT}", "admin", self.marks["first"], str(self.state / "tls/ca.pem"))

    def command(self, *words: str, stdin: str = "") -> str:
        """A subcommand's output, both kinds, whatever its exit status."""
        done = subprocess.run([PROGRAM, *words, "--config", str(WORK / "rackfish.toml")], input=stdin, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "RACKFISH_SUITE_PRIV": self.marks["priv"]})
        return done.stdout


def found(marks: dict[str, str], data: bytes) -> list[str]:
    """The kinds of secrets that stand in there, in any of the forms in which they travel."""
    import base64

    seen = []
    for kind, secret in marks.items():
        raw = secret.encode()
        forms = {raw, json.dumps(secret)[1:-1].encode(), raw.hex().encode(), raw.hex().upper().encode(),
                 str(list(raw)).encode(), str(list(raw))[1:-1].replace(" ", "").encode()}
        # Base64 of a text that holds it, whatever stands before it.
        for shift in range(3):
            coded = base64.b64encode(b"\0" * shift + raw)
            forms.add(coded[(shift * 8 + 5) // 6:-4])
        if any(form in data for form in forms):
            seen.append(kind)
    return seen
