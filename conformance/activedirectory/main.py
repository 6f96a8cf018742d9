"""Logins of a domain's users: names, groups in groups found by the domain controller and by us, the primary group, accounts
that are disabled, expired, or have to change their password; in a network of the suite's own."""

import os
import subprocess
import sys

from lib.checks import Checks, equal, expect, until
from lib.redfish import Answer, Client
from lib.service import LOGS, WORK, Service, says
from lib.toml import node, table
from rig import ADMIN_PASSWORD, DOMAIN, PASSWORD, SERVICE_PASSWORD, URL_GC, Domain, dn, ldap

V1 = "/redfish/v1"
SESSIONS, SYSTEMS = f"{V1}/SessionService/Sessions", f"{V1}/Systems"
INSIDE = "ACTIVEDIRECTORY_INSIDE"


def outside() -> int:
    """Goes into a network that has a loopback and nothing else."""
    users = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *users, "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, __file__]
    return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode


def configure(service: Service, directory: dict) -> None:
    """Two nodes, and the directory."""
    relay = table("endpoints.relay", driver="exec", units=["a", "b"], on=["/bin/true", "{unit}"],
                  off=["/bin/true", "{unit}", "off"])
    service.configure(relay, node("n1", feeds=["relay/a"], groups=["rack1"]),
                      node("n2", feeds=["relay/b"], groups=["rack2"]), table("auth", ldap=directory))


class Walk:
    """Checks against one service."""

    def __init__(self, checks: Checks, service: Service, domain: Domain) -> None:
        self.check, self.service, self.domain = checks.check, service, domain

    def session(self, name: str, password: str = PASSWORD) -> Answer:
        """A login."""
        client = Client(self.service.url, ca=str(self.service.ca))
        return client.request("POST", SESSIONS, {"UserName": name, "Password": password})

    def role(self, name: str) -> tuple[str, list[str]]:
        """What a session shows: its role's privileges by what it may do, and the nodes that it sees."""
        answer = self.session(name)
        equal(answer.status, 201, f"status ({answer})")
        client = Client(self.service.url, ca=str(self.service.ca))
        client.token = answer.headers["x-auth-token"]
        seen = [uri.rsplit("/", 1)[1] for uri in client.members(SYSTEMS)]
        may = client.patch(f"{SYSTEMS}/{seen[0]}", {"AssetTag": "x"}).status if seen else 0
        return "switches" if may in (200, 204) else "looks", seen

    def told(self, name: str, status: int) -> str:
        """What `account test` says."""
        return says("account", "test", name, "--config", str(self.service.config), status=status)

    def run(self) -> None:
        """All of them."""
        self.names()
        self.groups()
        self.accounts()

    def names(self) -> None:
        """How people call themselves."""
        with self.check("name.sam-account-name"):
            equal(self.session("bob").body["UserName"], "bob", "user name")
        with self.check("name.upn"):
            equal(self.session("BOB@lab.example").body["UserName"], "bob", "user name")
        with self.check("name.wrong-password"):
            equal(self.session("bob", "wrong-Password-1").status, 401, "status")
        with self.check("name.empty-password"):
            equal(self.session("bob", "").status, 401, "status")
        with self.check("name.nobody"):
            for name in ("nobody", "*", "bob)(cn=*", f"{DOMAIN}\\bob", "Guest"):
                equal(self.session(name).status, 401, f"status of {name}")

    def groups(self) -> None:
        """What follows from them."""
        with self.check("groups.nested-by-the-server"):
            equal(self.role("ann"), ("switches", ["n1", "n2"]), "what ann may")
        with self.check("groups.limited"):
            equal(self.role("bob"), ("switches", ["n1"]), "what bob may")
        with self.check("groups.primary"):
            equal(self.role("carl"), ("looks", ["n2"]), "what carl may, who is in no group but Domain Users")
            said = self.told("carl", 0)
            expect(dn("Domain Users") in said and dn("everybody") in said, f"it says {said}")
        by_server = self.told("ann", 0)
        with self.check("groups.walked"):
            configure(self.service, ldap(self.domain, nested="walk"))
            equal(_groups(self.told("ann", 0)), _groups(by_server), "groups of ann")
            expect(len(_groups(by_server)) >= 4, f"it says {by_server}")
        with self.check("groups.not-nested"):
            configure(self.service, ldap(self.domain, nested="no"))
            equal(_groups(self.told("ann", 1)), {dn("team"), dn("Domain Users")}, "groups of ann")
        with self.check("groups.global-catalog"):
            configure(self.service, ldap(self.domain, url=URL_GC))
            expect("Operator" in self.told("ann", 0), "no role")
        configure(self.service, ldap(self.domain))

    def accounts(self) -> None:
        """Who may not log in."""
        for name, who, why in (("disabled", "dora", "userAccountControl"), ("expired", "eve", "accountExpires")):
            with self.check(f"account.{name}"):
                equal(self.session(who).status, 401, "status")
                expect(why in self.told(who, 1), "account test does not say why")
        with self.check("account.has-to-change-password"):
            equal(self.session("fred").status, 401, "status")
        with self.check("account.disabled-later"):
            client = Client(self.service.url, ca=str(self.service.ca))
            client.token = self.session("ann").headers["x-auth-token"]
            equal(client.get(SYSTEMS).status, 200, "status of a session")
            self.domain.people([["disable", "ann"]])
            until(lambda: client.get(SYSTEMS).status, 401, 15, "status of the session of somebody disabled")
        with self.check("directory.gone-and-back"):
            self.domain.end()
            equal(self.session("bob").status, 503, "status of a login")
            equal(self.service.client().get(SYSTEMS).status, 200, "status of a local account")
            self.domain.start()
            until(lambda: self.session("bob").status, 201, 20, "status of a login")


def _groups(said: str) -> set[str]:
    return {line.partition(":")[2].strip() for line in said.splitlines() if line.startswith("group:")}


def inside() -> int:
    """The checks."""
    checks = Checks()
    with checks.check("domain"):
        with Domain() as domain, Service("rackfish") as service:
            configure(service, ldap(domain))
            service.start()
            Walk(checks, service, domain).run()
    with checks.check("secrets.nowhere"):
        files = [*LOGS.glob("rackfish*.log"), *(p for p in (WORK / "rackfish").rglob("*") if p.is_file())]
        expect(len(files) > 3, f"only {files}")
        for path in files:
            for secret in (PASSWORD, SERVICE_PASSWORD, ADMIN_PASSWORD):
                expect(secret.encode() not in path.read_bytes(), f"{secret!r} is in {path}")
    return checks.status()


if __name__ == "__main__":
    sys.exit(inside() if os.environ.get(INSIDE) else outside())
