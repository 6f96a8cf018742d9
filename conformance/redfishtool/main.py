"""redfishtool's commands against one demo, each with Basic authentication and with a session.

A command holds when it ends with 0, what it prints agrees with what an independent client reads, and what it set is
there afterwards.
"""

import json
import os
import subprocess
import sys
from typing import Any

from lib.checks import Checks, equal, expect, until
from lib.demo import KINDS, Demo, Node
from lib.redfish import Client

from login import Login

V1 = "/redfish/v1"


class Tool:
    """The command, with the options that every call has."""

    def __init__(self, demo: Demo, auth: str) -> None:
        host = demo.url.removeprefix("https://")
        self.demo, self.auth = demo, auth
        self._command = [f"{os.environ['CONF_VENV']}/bin/redfishtool", "-r", host, "-u", demo.user,
                         "-p", demo.password, "-A", auth, "-S", "Always", "-T", "60"]

    def call(self, *words: str) -> tuple[int, str]:
        """Exit status and everything it said."""
        done = subprocess.run([*self._command, *words], text=True, capture_output=True, timeout=120, check=False)
        for line in (f"$ redfishtool -A {self.auth} {' '.join(words)}\n" + done.stdout + done.stderr).splitlines():
            print(f"   {line}", flush=True)
        return done.returncode, done.stdout + done.stderr

    def json(self, *words: str) -> Any:
        """What it printed, decoded; it must have ended well."""
        status, said = self.call(*words)
        equal(status, 0, f"exit status ({said[-200:]})")
        begin = min((at for at in (said.find("{"), said.find("[")) if at >= 0), default=-1)
        expect(begin >= 0, f"it printed no JSON: {said[-200:]}")
        return json.JSONDecoder().raw_decode(said[begin:])[0]

    def done(self, *words: str) -> None:
        """It must end well; what it prints does not matter."""
        status, said = self.call(*words)
        equal(status, 0, f"exit status ({said[-200:]})")

    def refused(self, *words: str) -> str:
        """It must not end well."""
        status, said = self.call(*words)
        expect(status != 0, "it ended with 0")
        return said


class Walk:
    """All commands with one kind of authentication; checks are named `auth.command`."""

    def __init__(self, checks: Checks, demo: Demo, auth: str) -> None:
        self.checks, self.demo, self.auth = checks, demo, auth.lower()
        self.tool, self.reader = Tool(demo, auth), demo.client()

    def check(self, name: str):
        """`checks.check` with the authentication before it."""
        return self.checks.check(f"{self.auth}.{name}")

    def same(self, name: str, path: str, *words: str, key: str = "@odata.id") -> None:
        """A resource is printed as it is served."""
        with self.check(name):
            equal(self.tool.json(*words).get(key), self.reader.read(path).get(key), f"{key} of {path}")

    def listed(self, name: str, path: str, *words: str) -> None:
        """A list has every member."""
        with self.check(name):
            said = json.dumps(self.tool.json(*words))
            missing = [member for member in self.reader.members(path) if member not in said]
            expect(not missing, f"not listed: {missing}")

    def run(self) -> None:
        """All of them."""
        self.service()
        for kind in KINDS:
            self.system(kind, self.demo.node(kind))
        self.chassis_and_managers()
        self.sessions()
        self.accounts()
        self.raw()

    def service(self) -> None:
        """What needs no member."""
        with self.check("versions"):
            equal(self.tool.json("versions").get("v1"), f"{V1}/", "v1")
        self.same("root", f"{V1}/", "root", key="UUID")
        with self.check("odata"):
            expect(self.tool.json("odata").get("value"), "the service document has no value")
        with self.check("metadata"):
            status, said = self.tool.call("metadata")
            expect(status == 0 and "edmx:Edmx" in said, f"no metadata document (exit status {status})")
        self.same("systems-collection", f"{V1}/Systems", "Systems", key="Members@odata.count")
        self.listed("systems-list", f"{V1}/Systems", "Systems", "list")
        with self.check("systems-all"):
            everyone = self.tool.json("Systems", "-a")["Members"]
            equal(sorted(member["Id"] for member in everyone), sorted(n.name for n in self.demo.nodes()), "systems")

    def system(self, kind: str, node: Node) -> None:
        """One system of a kind."""
        mine = ("Systems", "-I", node.name)
        self.same(f"{kind}.get", node.system, *mine, "get", key="UUID")
        with self.check(f"{kind}.get-property"):
            power = self.reader.power(node.system)
            equal(self.tool.json(*mine, "-P", "PowerState").get("PowerState"), power, "PowerState")
        with self.check(f"{kind}.match"):
            uuid = self.reader.read(node.system)["UUID"]
            equal(self.tool.json("Systems", "-M", f"UUID:{uuid}").get("Id"), node.name, "Id")
        resets = ["ForceOff", "On", "ForceRestart", "PowerCycle"]
        resets += [] if kind == "pdu" else ["GracefulShutdown", "ForceOn"]
        for reset in resets:
            with self.check(f"{kind}.reset-{reset}"):
                self.tool.done(*mine, "reset", reset)
                wanted = "Off" if reset in ("ForceOff", "GracefulShutdown") else "On"
                until(lambda: self.reader.power(node.system), wanted, 30, "PowerState")
        if kind == "pdu":
            with self.check(f"{kind}.reset-refused"):
                said = self.tool.refused(*mine, "reset", "GracefulShutdown")
                expect("not supported" in said, f"it says: {said[-200:]}")
            self.reader.reset(node.system, "On")
        for words in (("Once", "Pxe"), ("Continuous", "Hdd"), ("Disabled",)):
            with self.check(f"{kind}.boot-{words[0]}"):
                self.tool.done(*mine, "setBootOverride", *words)
                boot = self.reader.read(node.system)["Boot"]
                equal(boot["BootSourceOverrideEnabled"], words[0], "BootSourceOverrideEnabled")
                if len(words) == 2:
                    equal(boot["BootSourceOverrideTarget"], words[1], "BootSourceOverrideTarget")
        with self.check(f"{kind}.asset-tag"):
            tag = f"tag-{self.auth}-{kind}"
            self.tool.done(*mine, "setAssetTag", tag)
            equal(self.reader.read(node.system).get("AssetTag"), tag, "AssetTag")
        if kind != "pdu":
            with self.check(f"{kind}.indicator"):
                self.tool.done(*mine, "setIndicatorLed", "Lit")
                equal(self.reader.read(node.system)["IndicatorLED"], "Lit", "IndicatorLED")
                self.tool.done(*mine, "setIndicatorLed", "Off")
        for name in ("Processors", "EthernetInterfaces"):
            self.same(f"{kind}.{name}", f"{node.system}/{name}", *mine, name, key="Members@odata.count")
            with self.check(f"{kind}.{name}-all"):
                count = self.reader.read(f"{node.system}/{name}")["Members@odata.count"]
                equal(len(self.tool.json(*mine, name, "-a")["Members"]), count, "number of members")

    def chassis_and_managers(self) -> None:
        """The two other trees."""
        for name in ("Chassis", "Managers"):
            path = f"{V1}/{name}"
            self.same(f"{name}-collection", path, name, key="Members@odata.count")
            self.listed(f"{name}-list", path, name, "list")
        node = self.demo.node("ipmi")
        chassis = self.reader.read(node.system)["Links"]["Chassis"][0]["@odata.id"]
        mine = ("Chassis", "-I", self.reader.read(chassis)["Id"])
        self.same("Chassis-get", chassis, *mine, "get")
        self.same("Chassis-Power", f"{chassis}/Power", *mine, "Power")
        self.same("Chassis-Thermal", f"{chassis}/Thermal", *mine, "Thermal")
        manager = self.reader.read(node.system)["Links"]["ManagedBy"][0]["@odata.id"]
        self.same("Managers-get", manager, "Managers", "-I", self.reader.read(manager)["Id"], "get")
        own = ("Managers", "-I", "rackfish", "get")
        self.same("Managers-rackfish", f"{V1}/Managers/rackfish", *own, key="FirmwareVersion")

    def sessions(self) -> None:
        """SessionService."""
        path = f"{V1}/SessionService"
        self.same("SessionService-get", path, "SessionService", "get", key="SessionTimeout")
        with self.check("Sessions-login-logout"):
            made = self.tool.json("SessionService", "login")
            where = made["SessionLocation"] if "SessionLocation" in made else made["sessionLocation"]
            where = where[where.index(V1):]
            token = Client(self.demo.url, ca=self.demo.ca)
            token.token = made.get("X-Auth-Token") or made.get("x-auth-token")
            equal(token.get(where).status, 200, "status of the session with its own token")
            self.tool.done("SessionService", "logout", "-i", where.rsplit("/", 1)[-1])
            equal(self.reader.get(where).status, 404, "status of the session after the logout")
        self.same("Sessions", f"{path}/Sessions", "SessionService", "Sessions")

    def accounts(self) -> None:
        """AccountService: an account's whole life."""
        path, name = f"{V1}/AccountService", f"walker-{self.auth}"
        self.same("AccountService-get", path, "AccountService", "get")
        self.listed("Accounts-list", f"{path}/Accounts", "AccountService", "Accounts", "list")
        self.listed("Roles-list", f"{path}/Roles", "AccountService", "Roles", "list")
        with self.check("adduser"):
            self.tool.done("AccountService", "adduser", name, "first-Secret-1", "ReadOnly")
            equal(self._as(name, "first-Secret-1").status, 200, "status with the new account")
        with self.check("adduser-role-holds"):
            reader = Client(self.demo.url, name, "first-Secret-1", self.demo.ca)
            answer = reader.reset(self.demo.node("pdu").system, "ForceOff")
            equal(answer.status, 403, f"status of a Reset by a ReadOnly account ({answer})")
        with self.check("setpassword"):
            self.tool.done("AccountService", "setpassword", name, "second-Secret-2")
            equal(self._as(name, "second-Secret-2").status, 200, "status with the new password")
            equal(self._as(name, "first-Secret-1").status, 401, "status with the old password")
        with self.check("useradmin"):
            self.tool.done("AccountService", "useradmin", name, "setRoleId", "Operator")
            self.tool.done("AccountService", "useradmin", name, "disable")
            equal(self._as(name, "second-Secret-2").status, 401, "status with a disabled account")
            self.tool.done("AccountService", "useradmin", name, "enable")
            equal(self._as(name, "second-Secret-2").status, 200, "status with the enabled account")
        with self.check("deleteuser"):
            self.tool.done("AccountService", "deleteuser", name)
            equal(self._as(name, "second-Secret-2").status, 401, "status with the deleted account")

    def _as(self, user: str, password: str):
        return Client(self.demo.url, user, password, self.demo.ca).get(f"{V1}/Systems")

    def raw(self) -> None:
        """Plain methods, and logins that must not work."""
        node = self.demo.node("mixed")
        self.same("raw-GET", node.system, "raw", "GET", node.system, key="UUID")
        with self.check("raw-PATCH"):
            self.tool.done("raw", "PATCH", node.system, "-d", '{"Boot": {"BootSourceOverrideEnabled": "Disabled"}}')
        with self.check("raw-POST"):
            self.tool.done("raw", "POST", f"{node.system}/Actions/ComputerSystem.Reset", "-d", '{"ResetType": "On"}')
        with self.check("raw-aggregate"):
            group = next(uri for uri in self.reader.members(f"{V1}/AggregationService/Aggregates") if "group-" in uri)
            size = self.reader.read(group)["ElementsCount"]
            self.tool.done("raw", "POST", f"{group}/Actions/Aggregate.Reset", "-d", '{"ResetType": "On", "BatchSize": 2}')
            states = [self.reader.power(link["@odata.id"]) for link in self.reader.read(group)["Elements"]]
            equal(states, ["On"] * size, "power of the group's nodes")
        with self.check("raw-missing"):
            self.tool.refused("raw", "GET", f"{V1}/Systems/no-such-node")
        with self.check("wrong-password"):
            wrong = Tool(self.demo, self.tool.auth)
            wrong._command[wrong._command.index("-p") + 1] = "not-the-password"
            said = wrong.refused("Systems", "list")
            expect("401" in said, f"it does not say 401: {said[-200:]}")


def main() -> int:
    checks = Checks()
    with Demo("demo", int(os.environ["CONF_PORT_BASE"]), nodes=3) as demo:
        for auth in ("Basic", "Session"):
            Walk(checks, demo, auth).run()
        Login(checks, demo, Tool(demo, "Basic")).run()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
