"""A domain of Samba's: provisioned in the suite's folder, of which only the LDAP server runs. It has the ports that it
always has, so the suite has a network of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from lib import procs
from lib.checks import Failure, until
from lib.redfish import quietly
from lib.service import LOGS, WORK

# Debian has Samba's library for its own Python alone.
PYTHON = "/usr/bin/python3"
REALM, DOMAIN, BASE = "LAB.EXAMPLE", "LAB", "DC=lab,DC=example"
URL, URL_GC = "ldaps://127.0.0.1:636", "ldaps://127.0.0.1:3269"
ADMIN_PASSWORD, PASSWORD, SERVICE_PASSWORD = "Marked-Admin-1", "Marked-User-2", "Marked-Service-3"


def dn(name: str) -> str:
    """The entry of a user or group."""
    return f"CN={name},CN=Users,{BASE}"


class Domain:
    """`with Domain() as it:`"""

    def __init__(self) -> None:
        self.folder = WORK / "domain"
        self.config, self.log = self.folder / "etc/smb.conf", LOGS / "samba.log"
        self.child: subprocess.Popen | None = None

    def __enter__(self) -> "Domain":
        self.folder.mkdir(parents=True)
        self._run("samba-tool", "domain", "provision", f"--targetdir={self.folder}", f"--realm={REALM}",
                  f"--domain={DOMAIN}", "--server-role=dc", "--dns-backend=NONE", f"--adminpass={ADMIN_PASSWORD}",
                  "--host-name=dc1", "--host-ip=127.0.0.1")
        self.people([
            *[["user", name, PASSWORD] for name in ("ann", "bob", "carl", "dora", "eve", "fred")],
            ["user", "rackfish", SERVICE_PASSWORD],
            *[["group", name] for name in ("racks", "team", "everybody", "rack1")],
            # ann is in team, team is in racks; everybody has the primary group of all users.
            ["member", "team", "ann"], ["member", "racks", "team"], ["member", "rack1", "bob"],
            ["member", "everybody", "Domain Users"],
            *[["member", "team", name] for name in ("dora", "eve", "fred")],
            ["disable", "dora"], ["expire", "eve"], ["change", "fred"],
        ])
        try:
            self.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Ends it."""
        if self.child:
            procs.end(self.child)

    def start(self) -> None:
        """Starts the LDAP server and waits for it."""
        own = {"pid directory": "run", "ncalrpc dir": "ncalrpc", "winbindd socket directory": "winbindd",
               "ntp signd socket directory": "ntp"}
        settings = {"server services": "ldap", "tls cafile": self.folder / "ca.pem",
                    "tls certfile": self.folder / "server.pem", "tls keyfile": self.folder / "server.key"}
        for name, folder in own.items():
            settings[name] = self.folder / folder
            settings[name].mkdir(exist_ok=True)
        self._certificates()
        options = [f"--option={name}={value}" for name, value in settings.items()]
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                ["samba", "-F", "--no-process-group", "--model=single", "--debug-stdout", "-s", str(self.config), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def answers() -> bool:
            if self.child.poll() is not None:
                raise Failure(f"samba ended with {self.child.returncode}: {self.log.read_text()[-600:]}")
            import socket
            return quietly(lambda: socket.create_connection(("127.0.0.1", 3269), 1).close() or True) or False

        until(answers, True, 60, "samba answers", pause=0.1)

    def people(self, commands: list[list[str]]) -> None:
        """Makes or changes people."""
        text = "".join(json.dumps(command) + "\n" for command in commands)
        self._run(PYTHON, str(Path(__file__).with_name("people.py")), str(self.config), text=text)

    def _certificates(self) -> None:
        def openssl(*words: str) -> None:
            subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)

        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30"]
        openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Authority of the domain")
        openssl("req", "-x509", *key, "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=dc1.lab.example",
                "-addext", "subjectAltName=IP:127.0.0.1", "-CA", "ca.pem", "-CAkey", "ca.key")
        (self.folder / "server.key").chmod(0o600)

    def _run(self, *words: str, text: str | None = None) -> None:
        done = subprocess.run(words, input=text, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=150, check=False, env={**os.environ, "PYTHONPATH": ""})
        print(done.stdout, file=sys.stdout, flush=True)
        if done.returncode:
            raise Failure(f"{words[0]} ended with {done.returncode}: {done.stdout[-400:]}")


def ldap(domain: Domain, **more: Any) -> dict[str, Any]:
    """`[auth.ldap]`"""
    secret = WORK / "bind.password"
    secret.write_text(SERVICE_PASSWORD + "\n")
    secret.chmod(0o600)
    given = {"url": URL, "ca_file": str(domain.folder / "ca.pem"), "schema": "ad", "bind_dn": dn("rackfish"),
             "bind_password": {"file": str(secret)}, "user_base": BASE, "retry": "1s", "recheck": "1s", "cache": "1s",
             "roles": [{"group": dn("racks"), "role": "Operator"},
                       {"group": dn("rack1"), "role": "Administrator", "groups": ["rack1"]},
                       {"group": dn("everybody"), "role": "ReadOnly", "nodes": ["n2"]}]}
    return {key: item for key, item in {**given, **more}.items() if item is not None}
