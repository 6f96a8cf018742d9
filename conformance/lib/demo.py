"""A running `rackfish demo`: started, waited for, asked, ended."""

import json
import os
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import procs
from .redfish import Client

KINDS = ("ipmi", "pdu", "mixed")  # of `nodes`; those of `redfish` are of kind "redfish"
START = 30.0  # seconds until the ready file has to be there


@dataclass(frozen=True)
class Node:
    """A node of the demo, as its ready file tells."""

    name: str
    kind: str
    system: str


class Demo:
    """`with Demo("name", port, ...) as demo:`; logs go to `$CONF_LOGS/name.log`."""

    def __init__(self, name: str, port: int, *options: str, nodes: int = 6, redfish: int = 0) -> None:
        work = Path(os.environ["CONF_WORK"]) / name
        work.mkdir(parents=True, exist_ok=True)
        self.name, self.port, self.work = name, port, work
        self.password = "p" + secrets.token_urlsafe(18)  # clients take a dash for an option
        self.password_file, self.ready_file = work / "password", work / "ready.json"
        self.password_file.write_text(self.password + "\n")
        self.password_file.chmod(0o600)
        self.log_file = Path(os.environ["CONF_LOGS"]) / f"{name}.log"
        self.command = [
            os.environ["RACKFISH_BIN"], "demo", "--listen", f"127.0.0.1:{port}",
            "--admin-password-file", str(self.password_file), "--ready-file", str(self.ready_file),
            "--state-dir", str(work / "state"), "--nodes", str(nodes),
            "--redfish-nodes", str(redfish), *options,
        ]
        self.child: subprocess.Popen | None = None
        self.ready: dict[str, Any] = {}

    def __enter__(self) -> "Demo":
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> "Demo":
        """Starts it and waits for the ready file."""
        self.ready_file.unlink(missing_ok=True)
        with self.log_file.open("a") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)
        deadline = time.monotonic() + START
        while not self.ready_file.exists():
            if self.child.poll() is not None:
                raise RuntimeError(f"rackfish demo ended with {self.child.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"rackfish demo was not ready within {START:.0f} s: {self.tail()}")
            time.sleep(0.05)
        self.ready = json.loads(self.ready_file.read_text())
        return self

    def stop(self) -> None:
        """Ends it."""
        if self.child:
            procs.end(self.child)

    def tail(self) -> str:
        """The end of its log."""
        return self.log_file.read_text(errors="replace")[-600:]

    @property
    def url(self) -> str:
        """`https://127.0.0.1:PORT`"""
        return self.ready["redfish"]

    @property
    def ca(self) -> str:
        """PEM file to trust."""
        return self.ready["ca_file"]

    @property
    def user(self) -> str:
        """The administrator."""
        return self.ready["user"]

    def doors(self, at: dict[str, str]) -> None:
        """Gives nodes addresses of their own, and takes those of others away: the configuration is read again."""
        path = self.work / "state" / "demo.toml"
        lines = [line for line in path.read_text().splitlines() if not line.startswith("door = ")]
        for node, door in at.items():
            lines.insert(lines.index(f"[nodes.{node}]") + 1, f'door = "{door}"')
        new = path.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text("\n".join(lines) + "\n")
        new.replace(path)

    def client(self, **more: Any) -> Client:
        """An independent client with the administrator's password."""
        return Client(self.url, self.user, self.password, self.ca, **more)

    def nodes(self, kind: str | None = None) -> list[Node]:
        """The nodes, or those of a kind."""
        nodes = [Node(n["name"], n["kind"], n["system"]) for n in self.ready["nodes"]]
        return [node for node in nodes if kind in (None, node.kind)]

    def node(self, kind: str, index: int = 0) -> Node:
        """One node of a kind."""
        return self.nodes(kind)[index]

    def control(self, **command: Any) -> dict[str, Any]:
        """One line to the simulators' socket, one line back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(10)
            link.connect(self.ready["control"])
            link.sendall(json.dumps(command).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                part = link.recv(65536)
                if not part:
                    break
                data += part
        return json.loads(data)

    def switched(self, node: Node) -> dict[str, int]:
        """What the simulated hardware of a node was made to do: `on`, `off` (transitions), `reset`, `nmi`."""
        counts = self.control(cmd="stats")["nodes"][node.name]
        return {name: counts[name] for name in ("on", "off", "reset", "nmi")}

    def media(self, node: Node) -> dict[str, str | None]:
        """What is in the slots of a node's simulated Redfish BMC."""
        return self.control(cmd="stats")["nodes"][node.name]["media"]

    def mains(self, node: Node, on: bool) -> None:
        """Somebody in the rack switches a node's outlets."""
        self.control(cmd="power", node=node.name, on=on)
