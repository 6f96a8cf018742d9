"""Logins of directory users: what passes and what does not, what follows from groups, and what happens when groups
change, users go, and the directory dies."""

import json
import os
import subprocess
import sys
import time
import warnings
from typing import Any

import sushy
from sushy import auth

from lib.checks import Checks, among, equal, expect, until
from lib.redfish import Answer, Client
from lib.service import LOGS, WORK, Service, mistaken, rackfish, says, sound
from lib.toml import node, table, value
from rig import (AD, AD_PASSWORD, AD_SERVICE, DEAD, LDAP, LDAPS, PASSWORD, ROOT_PASSWORD, SERVICE, SERVICE_PASSWORD, SUFFIX,
                 Directory, dn, group_dn)

warnings.filterwarnings("ignore")
V1 = "/redfish/v1"
SESSIONS, SYSTEMS, ACCOUNTS = f"{V1}/SessionService/Sessions", f"{V1}/Systems", f"{V1}/AccountService/Accounts"
ROLES = [
    {"group": group_dn("admins"), "role": "Administrator"},
    {"group": group_dn("ops").upper(), "role": "Operator"},
    {"group": group_dn("rack1"), "role": "Operator", "groups": ["rack1"]},
    {"group": group_dn("readers"), "role": "ReadOnly"},
]
# In seconds, as the service is told below.
TIMEOUT, RECHECK, GRACE = 2, 1, 6
STRANGE = ["*", "a*", ")(uid=*", "ann)(uid=*", "*)(objectClass=*", "*))(|(uid=*", "a\\6en", "ann\\00", "(", "\\",
           "uid=ann", dn("ann"), "ünn", "a" * 300]


def ldap(directory: Directory, **more: Any) -> dict[str, Any]:
    """`[auth.ldap]`"""
    secret = directory.folder / "bind.password"
    secret.write_text(SERVICE_PASSWORD + "\n")
    secret.chmod(0o600)
    given = {"url": LDAPS, "ca_file": str(directory.folder / "ca.pem"), "bind_dn": SERVICE,
             "bind_password": {"file": str(secret)}, "user_base": SUFFIX, "group_base": f"ou=groups,{SUFFIX}",
             "roles": ROLES, "timeout": f"{TIMEOUT}s", "retry": "1s", "recheck": f"{RECHECK}s", "grace": f"{GRACE}s",
             "cache": "1m"}
    return {key: item for key, item in {**given, **more}.items() if item is not None}


def nodes() -> list[str]:
    """Two nodes that can be switched without any device."""
    command = lambda word: ["/bin/true", word, "{unit}"]
    relay = table("endpoints.relay", driver="exec", units=["a", "b"], on=command("on"), off=command("off"))
    return [relay, node("n1", feeds=["relay/a"], groups=["rack1"]), node("n2", feeds=["relay/b"], groups=["rack2"])]


def configure(service: Service, directory: dict[str, Any], failures: int = 10_000) -> None:
    """The whole configuration."""
    service.configure(*nodes(), table("auth", failures_per_minute=failures, ldap=directory))


class Walk:
    """All checks against the running service."""

    def __init__(self, checks: Checks, service: Service, directory: Directory) -> None:
        self.check, self.service, self.directory = checks.check, service, directory
        self.local = service.client()

    def user(self, name: str, password: str = PASSWORD) -> Client:
        """Somebody with Basic authentication."""
        return self.service.client(name, password)

    def session(self, name: str, password: str = PASSWORD) -> Client:
        """Somebody with a session."""
        client = self.service.client(name, password)
        answer = client.request("POST", SESSIONS, {"UserName": name, "Password": password})
        equal(answer.status, 201, f"status of the login of {name} ({answer})")
        client.token = answer.headers["x-auth-token"]
        client.session = answer.headers["location"]
        return client

    def status(self, name: str, password: str = PASSWORD) -> int:
        """Of a request with Basic authentication."""
        return self.user(name, password).get(SYSTEMS).status

    def quick(self, who: str = "a local account") -> None:
        """A local account is as quick as ever."""
        begun = time.monotonic()
        equal(self.local.get(SYSTEMS).status, 200, f"status of {who}")
        took = time.monotonic() - begun
        expect(took < 0.8, f"{who} took {took:.2f} s")

    def run(self) -> None:
        """All of them."""
        self.passwords()
        self.rights()
        self.shown()
        self.clients()
        self.changes()
        self.outages()
        self.restart()

    def passwords(self) -> None:
        """What passes and what does not."""
        with self.check("basic.right"):
            equal(self.status("ann"), 200, "status")
        with self.check("basic.wrong"):
            equal(self.status("ann", "wrong"), 401, "status")
        with self.check("basic.empty-password"):
            before = self.directory.mark()
            nothing = self.user("ann")
            nothing.password = ""
            equal(nothing.get(SYSTEMS).status, 401, "status")
            answer = Client(self.service.url, ca=str(self.service.ca)).request(
                "POST", SESSIONS, {"UserName": "ann", "Password": ""})
            among(answer.status, (400, 401), f"status of a session ({answer})")
            time.sleep(0.1)
            equal(self.directory.binds(before, dn("ann")), 0, "binds")
        with self.check("basic.unknown"):
            equal(self.status("nobody"), 401, "status")
        with self.check("basic.cached"):
            before = self.directory.mark()
            client = self.user("eve")
            for _ in range(20):
                equal(client.get(SYSTEMS).status, 200, "status")
            equal(self.directory.binds(before, dn("eve")), 1, "binds for 20 requests")
            before = self.directory.mark()
            for _ in range(5):
                equal(self.status("eve", "again and again"), 401, "status")
            equal(self.directory.binds(before, dn("eve")), 1, "binds for the same wrong password")
        with self.check("injection.refused"):
            for name in STRANGE:
                equal(self.status(name), 401, f"status of {name!r}")
        with self.check("injection.as-a-value"):
            before = self.directory.mark()
            self.status(")(uid=*", "another")
            said = self.directory.said(before)
            expect("(&(objectClass=person)(uid=\\29\\28uid=\\2A))" in said, f"slapd was asked: {said[-400:]}")
        with self.check("ambiguous.refused"):
            equal(self.status("twin"), 401, "status of a name that two entries have")
        with self.check("strange-name.refused"):
            equal(self.status("a b"), 401, "status of a name that no account may have")
        with self.check("no-role.refused"):
            equal(self.status("carl"), 401, "status of somebody without a group that counts")
        with self.check("local-account-wins"):
            equal(self.status("admin"), 401, "status of the directory's admin")
            for name in ("ADMIN", "admin ", " admin"):
                equal(self.status(name), 401, f"status of {name!r}")
            equal(self.local.get(SYSTEMS).status, 200, "status of the local admin")
        with self.check("name.canonical"):
            answer = self.session("ANN")
            equal(answer.read(answer.session)["UserName"], "ann", "user name of a session")

    def rights(self) -> None:
        """What follows from groups."""
        with self.check("nested.circle"):
            equal(self.user("ann").reset(f"{SYSTEMS}/n2", "On").status, 204, "status of On by an Operator")
            equal(self.user("ann").get(ACCOUNTS).status, 200, "status of the accounts")
            equal(self.user("ann").members(ACCOUNTS), [], "accounts that an Operator sees")
        with self.check("role.administrator"):
            expect(len(self.user("dora").members(ACCOUNTS)) >= 1, "an Administrator sees no accounts")
        with self.check("role.readonly"):
            equal(self.user("eve").reset(f"{SYSTEMS}/n1", "On").status, 403, "status of On by a ReadOnly")
        with self.check("scope"):
            bob = self.user("bob")
            equal(bob.members(SYSTEMS), [f"{SYSTEMS}/n1"], "systems of somebody limited to rack1")
            equal(bob.reset(f"{SYSTEMS}/n1", "On").status, 204, "status of On")
            equal(bob.reset(f"{SYSTEMS}/n2", "On").status, 404, "status of On elsewhere")

    def shown(self) -> None:
        """What Redfish and the command line say."""
        with self.check("session.user-name"):
            client = self.session("ann")
            equal(client.read(client.session)["UserName"], "ann", "user name")
            equal(client.request("DELETE", client.session).status, 204, "status of the logout")
            equal(client.get(SYSTEMS).status, 401, "status afterwards")
        with self.check("no-account"):
            equal(self.local.members(ACCOUNTS), [f"{ACCOUNTS}/admin"], "accounts")
            equal(self.local.get(f"{ACCOUNTS}/ann").status, 404, "status of the account of a directory user")
        with self.check("account-service"):
            shown = self.local.read(f"{V1}/AccountService")
            equal(shown["LDAP"]["ServiceEnabled"], True, "ServiceEnabled")
            equal(shown["LDAP"]["ServiceAddresses"], [DEAD, LDAPS], "ServiceAddresses")
            expect({"RemoteGroup": group_dn("rack1"), "LocalRole": "Operator"} in shown["LDAP"]["RemoteRoleMapping"],
                   f"RemoteRoleMapping is {shown['LDAP']['RemoteRoleMapping']}")
            expect(SERVICE_PASSWORD not in json.dumps(shown), "the secret is shown")
            seen = self.user("eve").read(f"{V1}/AccountService")["LDAP"]
            expect("RemoteRoleMapping" not in seen, "somebody who only reads sees groups of the directory")
        config = ["--config", str(self.service.config)]
        with self.check("cli.test"):
            said = json.loads(says("account", "test", "bob", "--json", *config))
            equal((said["role"], said["limits"], said["dn"]), ("Operator", ["@rack1"], dn("bob")), "what bob would get")
            equal(said["server"], LDAPS, "server")
            said = says("account", "test", "ann", *config)
            for word in (group_dn("team"), group_dn("ops"), "Operator", "not tried"):
                expect(word in said, f"{word!r} is not in: {said}")
        with self.check("cli.test-password"):
            for password, status, word in ((PASSWORD, 0, "right"), ("wrong", 1, "refuses the password")):
                file = WORK / "tried"
                file.write_text(password + "\n")
                said = says("account", "test", "ann", "--password-file", str(file), *config, status=status)
                expect(word in said, f"{word!r} is not in: {said}")
        with self.check("cli.test-refused"):
            for name, word in (("carl", "none of the user's groups"), ("nobody", "no such user"),
                               ("twin", "several entries")):
                expect(word in says("account", "test", name, *config, status=1), f"{name}: {word!r} is not said")

    def clients(self) -> None:
        """Real clients as a directory user."""
        with self.check("sushy.session"):
            login = auth.SessionAuth(username="ann", password=PASSWORD)
            root = sushy.Sushy(self.service.url, auth=login, verify=str(self.service.ca))
            equal(len(root.get_system_collection().get_members()), 2, "systems through sushy")
            root.get_system(f"{SYSTEMS}/n1").reset_system(sushy.RESET_FORCE_OFF)
        with self.check("redfishtool"):
            for kind in ("Basic", "Session"):
                host = self.service.url.removeprefix("https://")
                done = subprocess.run(
                    [f"{os.environ['CONF_VENV']}/bin/redfishtool", "-r", host, "-u", "bob", "-p", PASSWORD, "-A", kind, "-S",
                     "Always", "Systems", "collection"], text=True, capture_output=True, timeout=60, check=False)
                equal(done.returncode, 0, f"exit status with {kind} ({done.stderr})")
                expect('"n1"' in done.stdout or "Systems/n1" in done.stdout, f"it said {done.stdout}")
                expect("Systems/n2" not in done.stdout, f"it said {done.stdout}")

    def changes(self) -> None:
        """Groups change and users go while they have sessions."""
        with self.check("recheck.role-changes"):
            mover = self.session("mover")
            equal(mover.reset(f"{SYSTEMS}/n2", "On").status, 204, "status of On")
            self.directory.member("add", "rack1", dn("mover"))
            self.directory.member("delete", "ops", dn("mover"))
            until(lambda: mover.members(SYSTEMS), [f"{SYSTEMS}/n1"], 4 * RECHECK + 2, "systems of somebody who moved")
        with self.check("recheck.group-lost"):
            self.directory.member("delete", "rack1", dn("mover"))
            until(lambda: mover.get(SYSTEMS).status, 401, 4 * RECHECK + 2, "status of a session without a role")
            expect(mover.session not in self.local.members(SESSIONS), "the session is still there")
            equal(self.status("mover"), 401, "status of a new login")
        with self.check("recheck.user-deleted"):
            gone = self.session("gone")
            equal(gone.get(SYSTEMS).status, 200, "status of a session")
            self.directory.change(f"dn: {dn('gone')}\nchangetype: delete\n")
            until(lambda: gone.get(SYSTEMS).status, 401, 4 * RECHECK + 2, "status of a session of a deleted user")
            until(lambda: self.status("gone"), 401, 4 * RECHECK + 2, "status with Basic authentication")

    def outage(self, what: str) -> None:
        """Nobody answers: outside logins are refused for now, local ones do not notice."""
        begun = time.monotonic()
        answer = self.user("bob", "not in the cache").get(SYSTEMS)
        took = time.monotonic() - begun
        equal(answer.status, 503, f"status with {what} ({answer})")
        expect(int(answer.headers.get("retry-after", 0)) >= 1, f"no Retry-After: {answer.headers}")
        expect("directory" in answer.message and "127.0.0.1" not in answer.message, f"it says {answer.message}")
        expect(took < 2 * TIMEOUT + 1.5, f"it took {took:.1f} s")

    def outages(self) -> None:
        """The directory dies, hangs, and comes back."""
        ann = self.session("ann")
        self.directory.kill()
        with self.check("down.unavailable"):
            self.outage("a dead directory")
        with self.check("down.local-is-quick"):
            self.quick()
        with self.check("down.nobody-waits"):
            begun = time.monotonic()
            for _ in range(10):
                equal(self.status("bob", "not in the cache"), 503, "status")
            expect(time.monotonic() - begun < 3, f"ten refusals took {time.monotonic() - begun:.1f} s")
        with self.check("down.grace"):
            time.sleep(RECHECK + 0.5)
            equal(ann.get(SYSTEMS).status, 200, "status of a session within its grace")
        self.directory.start()
        with self.check("down.back"):
            until(lambda: self.status("bob", PASSWORD), 200, 8, "status of a login")
            equal(ann.get(SYSTEMS).status, 200, "status of the session")
        time.sleep(RECHECK + 0.1)
        with self.check("hanging.unavailable"):
            self.directory.stopped(True)
            self.outage("a directory that hangs")
        with self.check("hanging.local-is-quick"):
            for _ in range(5):
                self.quick()
        with self.check("grace.over"):
            until(lambda: ann.get(SYSTEMS).status, 401, GRACE + 4, "status of a session after its grace")
        self.directory.stopped(False)
        with self.check("hanging.back"):
            until(lambda: self.status("bob", PASSWORD), 200, 10, "status of a login")

    def restart(self) -> None:
        """Sessions survive the service's end."""
        with self.check("restart.session"):
            eve = self.session("eve")
            equal(self.service.stop(), 0, "exit status")
            self.service.start()
            again = Client(self.service.url, "eve", PASSWORD, str(self.service.ca))
            again.token = eve.token
            equal(again.get(SYSTEMS).status, 200, "status of the session")
            equal(again.reset(f"{SYSTEMS}/n1", "On").status, 403, "status of On by a ReadOnly")
            self.local = self.service.client()


def configurations(checks: Checks, directory: Directory) -> None:
    """What `rackfish check` finds."""
    service = Service("mistakes")
    config = service.config

    def text(**more: Any) -> str:
        configure(service, ldap(directory, **more))
        return config.read_text()

    config.write_text(text())
    sound(checks, config)
    with checks.check("check.all-mistakes-at-once"):
        mistaken(config, text(url=["http://x", LDAP], user_base="people", user_filter="(uid=ann)", schema="novell", ports=1,
                              ca_file=str(directory.folder / "server.key"), grace="1s", recheck="5s",
                              roles=[{"group": "ops", "role": "Root"}, {"role": "Operator"}]),
                 "has the scheme http", "would send passwords unencrypted", '"people" is not a distinguished name',
                 "has no {user}", '"novell" is not a value', "auth.ldap.ports: unknown key", "holds no certificate",
                 "shorter than `recheck`", '"ops" is not a distinguished name', '"Root" is not a value',
                 "auth.ldap.roles.group: is missing")
    with checks.check("check.bad-filter"):
        mistaken(config, text(user_filter="(&(uid={user})"), "is not a filter", "a ) is missing")
    with checks.check("check.no-password"):
        mistaken(config, text(bind_password=None), "bind_dn: has no password")
    with checks.check("check.limits-warned"):
        config.write_text(text(roles=[{"group": group_dn("ops"), "role": "Operator", "groups": ["rak1"], "nodes": ["n9"]}]))
        said = says("check", "--config", str(config))
        expect("node n9, group rak1" in said, f"it says {said}")


def connections(checks: Checks, directory: Directory) -> None:
    """Ways to the directory, with `account test`."""
    service = Service("connections")

    def tried(status: int, name: str = "ann", **more: Any) -> str:
        configure(service, ldap(directory, **more))
        return says("account", "test", name, "--config", str(service.config), status=status)

    with checks.check("tls.ldaps"):
        expect("Operator" in tried(0), "no role")
    with checks.check("tls.start-tls"):
        before = directory.mark()
        expect("Operator" in tried(0, url=LDAP, start_tls=True), "no role")
        until(lambda: "TLS established" in directory.said(before), True, 2, "TLS in slapd's log")
    with checks.check("tls.plain"):
        expect("Operator" in tried(0, url=LDAP, insecure_plain=True, ca_file=None), "no role")
    with checks.check("tls.wrong-authority"):
        for more in ({}, {"url": LDAP, "start_tls": True}):
            said = tried(4, ca_file=str(directory.folder / "other.pem"), **more)
            expect("certificate is not accepted" in said, f"it says {said}")
        said = tried(4, ca_file=None)
        expect("certificate is not accepted" in said, f"with the system's authorities it says {said}")
    with checks.check("tls.wrong-name"):
        said = tried(4, url=LDAPS.replace("127.0.0.1", "localhost"))
        expect("certificate is not accepted" in said, f"it says {said}")
    with checks.check("bind.wrong-password"):
        secret = directory.folder / "wrong.password"
        secret.write_text("the-wrong-marked-5\n")
        said = tried(4, bind_password={"file": str(secret)})
        expect("bind_dn with bind_password with code 49" in said, f"it says {said}")
    with checks.check("schema.rfc2307"):
        wheel = f"cn=wheel,ou=posix,{SUFFIX}"
        posix = {"schema": "rfc2307", "user_filter": "(uid={user})", "group_base": f"ou=posix,{SUFFIX}",
                 "roles": [{"group": wheel, "role": "Operator"}]}
        expect(wheel in tried(0, **posix) and "Operator" in tried(0, **posix), "no role")
        expect(wheel not in tried(1, name="carl", **posix), "carl is in it")
    with checks.check("nested.off"):
        said = tried(1, nested="no")
        expect("none of the user's groups" in said and group_dn("team") in said, f"it says {said}")


def active_directory(checks: Checks, directory: Directory) -> None:
    """The attributes of Active Directory. Its matching rule is not there: groups in groups are walked."""
    service = Service("ad")
    base = {"bind_dn": AD_SERVICE, "user_base": AD, "group_base": None, "schema": "ad", "nested": "walk"}
    configure(service, ldap(directory, **base, url=LDAP, start_tls=True, roles=[
        {"group": f"cn=outer,{AD}", "role": "Operator", "nodes": ["n2"]}]), failures=5)
    with service:
        service.start()

        def session(name: str) -> Answer:
            return Client(service.url, ca=str(service.ca)).request(
                "POST", SESSIONS, {"UserName": name, "Password": AD_PASSWORD})

        with checks.check("ad.sam-account-name"):
            equal(session("wanda").status, 201, "status")
        with checks.check("ad.upn"):
            answer = session("WANDA@ad.example")
            equal(answer.body["UserName"], "Wanda", "user name of a session")
        with checks.check("ad.nested-and-limited"):
            equal(service.client("wanda", AD_PASSWORD).members(SYSTEMS), [f"{SYSTEMS}/n2"], "systems")
        with checks.check("ad.disabled"):
            for name in ("walt", "past"):
                equal(session(name).status, 401, f"status of {name}, who is disabled")
            said = says("account", "test", "walt", "--config", str(service.config), status=1)
            expect("userAccountControl" in said, f"it says {said}")
        with checks.check("ad.disabled-later"):
            token = session("wanda").headers["x-auth-token"]
            client = Client(service.url, ca=str(service.ca))
            client.token = token
            equal(client.get(SYSTEMS).status, 200, "status of a session")
            directory.change(f"dn: cn=Wanda of AD,{AD}\nchangetype: modify\nreplace: userAccountControl\n"
                             "userAccountControl: 514\n", AD)
            until(lambda: client.get(SYSTEMS).status, 401, 4 * RECHECK + 2, "status of the session of somebody disabled")
        with checks.check("ad.shown"):
            shown = service.client().read(f"{V1}/AccountService")
            equal(shown["ActiveDirectory"]["ServiceEnabled"], True, "ServiceEnabled")
            equal(shown["LDAP"], {"ServiceEnabled": False}, "LDAP")
        with checks.check("guessers.throttled"):
            seen = [service.client("wanda", f"guess {n}").get(SYSTEMS).status for n in range(7)]
            expect(seen[-1] == 429 and seen[0] in (401, 429), f"seven guesses were answered {seen}")


def secrets(checks: Checks) -> None:
    """Nothing secret in logs and state."""
    with checks.check("secrets.nowhere"):
        marked = [PASSWORD, AD_PASSWORD, SERVICE_PASSWORD, ROOT_PASSWORD, "the-wrong-marked-5", "not in the cache", "guess 1"]
        files = [*LOGS.glob("*.log"), *(path for path in WORK.rglob("*") if path.is_file() and "state" in path.parts)]
        expect(len(files) > 5, f"only {files}")
        for path in files:
            text = path.read_bytes()
            for secret in marked:
                expect(secret.encode() not in text, f"{secret!r} is in {path}")


def main() -> int:
    checks = Checks()
    with Directory() as directory:
        configurations(checks, directory)
        connections(checks, directory)
        with Service("rackfish") as service:
            # The first of two servers is never there.
            configure(service, ldap(directory, url=[DEAD, LDAPS]))
            service.start()
            Walk(checks, service, directory).run()
        active_directory(checks, directory)
    secrets(checks)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
