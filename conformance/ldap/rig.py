"""A `slapd` of our own: configuration, databases and certificates in the suite's folder, on the loopback, never as the
system's service. Its log tells what it was asked: binds, and filters as it understood them."""

import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

from lib import procs
from lib.checks import Failure, equal, until
from lib.service import LOGS, WORK

PORT = int(os.environ["CONF_PORT_BASE"]) + 10
LDAP, LDAPS, DEAD = f"ldap://127.0.0.1:{PORT}", f"ldaps://127.0.0.1:{PORT + 1}", f"ldaps://127.0.0.1:{PORT + 2}"
SUFFIX, AD = "dc=example,dc=org", "dc=ad,dc=example"
SERVICE, SERVICE_PASSWORD = f"cn=rackfish,{SUFFIX}", "the-service-marked-1"
AD_SERVICE = f"cn=rackfish,{AD}"
ROOT_PASSWORD = "the-root-marked-2"
# What nobody may ever read in a log.
PASSWORD, AD_PASSWORD = "the-user-marked-3", "the-ad-user-marked-4"


def entry(dn: str, *classes: str, **attributes: str | list[str]) -> str:
    """An entry as LDIF."""
    lines = [f"dn: {dn}", *[f"objectClass: {name}" for name in classes]]
    for name, values in attributes.items():
        lines += [f"{name}: {value}" for value in ([values] if isinstance(values, str) else values)]
    return "\n".join(lines) + "\n"


def user(name: str, place: str = "people") -> str:
    """Somebody of OpenLDAP's kind."""
    return entry(f"uid={name},ou={place},{SUFFIX}", "inetOrgPerson", uid=name, cn=name, sn=name, userPassword=PASSWORD)


def dn(name: str) -> str:
    """The entry of a user."""
    return f"uid={name},ou=people,{SUFFIX}"


def group(name: str, *members: str) -> str:
    """A group; members are entries."""
    return entry(group_dn(name), "groupOfNames", cn=name, member=list(members))


def group_dn(name: str) -> str:
    """The entry of a group."""
    return f"cn={name},ou=groups,{SUFFIX}"


def content() -> str:
    """A directory with nested groups that go round in a circle, and names of every kind."""
    return "\n".join([
        entry(SUFFIX, "dcObject", "organization", dc="example", o="example"),
        *[entry(f"ou={name},{SUFFIX}", "organizationalUnit", ou=name) for name in ("people", "others", "groups", "posix")],
        entry(SERVICE, "applicationProcess", "simpleSecurityObject", cn="rackfish", userPassword=SERVICE_PASSWORD),
        *[user(name) for name in ("ann", "bob", "carl", "dora", "eve", "admin", "twin", "a b", "gone", "mover")],
        user("twin", "others"),
        # ann is in team, team is in ops, and ops is in team again.
        group("team", dn("ann"), group_dn("ops")),
        group("ops", group_dn("team"), dn("mover")),
        group("rack1", dn("bob"), dn("gone")),
        group("admins", dn("dora"), dn("admin"), dn("twin"), dn("a b")),
        entry(group_dn("readers"), "groupOfUniqueNames", cn="readers",
              uniqueMember=[dn("eve"), dn("bob"), dn("dora")]),
        group("unmapped", dn("carl")),
        # Members by name (RFC 2307).
        entry(f"cn=wheel,ou=posix,{SUFFIX}", "posixGroup", cn="wheel", gidNumber="10", memberUid=["ann", "bob"]),
    ])


def ad_content() -> str:
    """Users and groups with the attributes of Active Directory (`ad.schema`)."""

    def person(name: str, control: str, expires: str = "0") -> str:
        return entry(f"cn={name} of AD,{AD}", "user", cn=f"{name} of AD", sn=name,
                     sAMAccountName=name, userPrincipalName=f"{name}@ad.example", userAccountControl=control,
                     accountExpires=expires, userPassword=AD_PASSWORD)

    def circle(name: str, *members: str) -> str:
        return entry(f"cn={name},{AD}", "group", cn=name, member=list(members))

    return "\n".join([
        entry(AD, "dcObject", "organization", dc="ad", o="ad"),
        entry(AD_SERVICE, "applicationProcess", "simpleSecurityObject", cn="rackfish", userPassword=SERVICE_PASSWORD),
        person("Wanda", "512"), person("walt", "514"), person("past", "512", "131000000000000000"),
        circle("inner", *[f"cn={name} of AD,{AD}" for name in ("Wanda", "walt", "past")]), circle("outer", f"cn=inner,{AD}"),
    ])


def certificates(folder: Path) -> None:
    """An authority, a server's certificate for the loopback, and an authority that signed nothing."""
    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", f"/CN=Directory {name}")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "server.key",
        "-out", "server.csr", "-subj", "/CN=directory")
    (folder / "ext").write_text("subjectAltName = IP:127.0.0.1\n")
    run("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
        "-extfile", "ext", "-out", "server.pem")


class Directory:
    """`with Directory() as it:` serves both databases, plain (for StartTLS) and encrypted."""

    def __init__(self) -> None:
        self.folder = WORK / "slapd"
        self.folder.mkdir(parents=True)
        self.log = LOGS / "slapd.log"
        self.child: subprocess.Popen | None = None
        certificates(self.folder)
        path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
        # A copy: some systems confine what lies at the usual place to the usual folders (AppArmor).
        self.program = shutil.copy(shutil.which("slapd", path=path), self.folder / "slapd-copy")
        self._configure()
        for suffix, text in ((SUFFIX, content()), (AD, ad_content())):
            done = subprocess.run([self.program, "-T", "add", "-q", "-f", str(self.folder / "slapd.conf"), "-b", suffix],
                                  input=text, text=True, capture_output=True, check=False)
            equal(done.returncode, 0, f"slapadd ({done.stderr})")

    def _configure(self) -> None:
        schemas = ("core", "cosine", "inetorgperson", "nis")
        lines = [f"include /etc/ldap/schema/{name}.schema" for name in schemas]
        lines += [f"include {Path(__file__).with_name('ad.schema')}", "modulepath /usr/lib/ldap", "moduleload back_mdb", f"pidfile {self.folder}/pid",
                  f"TLSCACertificateFile {self.folder}/ca.pem", f"TLSCertificateFile {self.folder}/server.pem",
                  f"TLSCertificateKeyFile {self.folder}/server.key"]
        for name, suffix, service in (("one", SUFFIX, SERVICE), ("ad", AD, AD_SERVICE)):
            (self.folder / name).mkdir()
            lines += ["database mdb", f'suffix "{suffix}"', f'rootdn "cn=root,{suffix}"', f"rootpw {ROOT_PASSWORD}",
                      f"directory {self.folder / name}", "index objectClass,member eq", "dbnosync", "maxsize 16777216",
                      "access to attrs=userPassword by anonymous auth by * none",
                      f'access to * by dn.exact="{service}" read by * none']
        (self.folder / "slapd.conf").write_text("\n".join(lines) + "\n")

    def __enter__(self) -> "Directory":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.child:
            self.child.send_signal(signal.SIGCONT)
            procs.end(self.child, patience=3)

    def start(self) -> None:
        """Serves until it is killed."""
        with self.log.open("a") as log:
            self.child = subprocess.Popen(
                [self.program, "-d", "stats", "-h", f"{LDAP} {LDAPS}", "-f", str(self.folder / "slapd.conf")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

        def answers() -> bool:
            if self.child.poll() is not None:
                raise Failure(f"slapd ended with {self.child.returncode}: {self.log.read_text()[-600:]}")
            with socket.socket() as probe:
                probe.settimeout(1)
                return probe.connect_ex(("127.0.0.1", PORT + 1)) == 0

        until(answers, True, 20, "slapd answers", pause=0.05)

    def kill(self) -> None:
        """As a crash ends it."""
        self.child.kill()
        self.child.wait()

    def stopped(self, stopped: bool) -> None:
        """Takes connections and says nothing; or goes on."""
        self.child.send_signal(signal.SIGSTOP if stopped else signal.SIGCONT)

    def change(self, text: str, suffix: str = SUFFIX) -> None:
        """An administrator of the directory changes it."""
        done = subprocess.run(["ldapmodify", "-x", "-H", LDAP, "-D", f"cn=root,{suffix}", "-w", ROOT_PASSWORD],
                              input=text, text=True, capture_output=True, check=False)
        equal(done.returncode, 0, f"ldapmodify ({done.stderr})")

    def member(self, what: str, name: str, member: str) -> None:
        """`add` or `delete` a member of a group."""
        self.change(f"dn: {group_dn(name)}\nchangetype: modify\n{what}: member\nmember: {member}\n")

    def mark(self) -> int:
        """Where its log ends now."""
        return self.log.stat().st_size

    def said(self, since: int) -> str:
        """Its log from there on."""
        return self.log.read_bytes()[since:].decode(errors="replace")

    def binds(self, since: int, who: str) -> int:
        """How often somebody's password was checked."""
        return len(re.findall(rf'BIND dn="{re.escape(who)}" method=128', self.said(since)))
