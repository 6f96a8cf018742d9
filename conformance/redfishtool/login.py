"""Who may log in, and how: roles of one's own, lockout, rules for passwords, certificates of server and clients.

redfishtool asks; what came of it is seen by an independent client, curl, and the openssl command, which verifies and
signs the request for a certificate as an authority would.
"""

import http.client
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

from lib.checks import Checks, equal, expect
from lib.demo import Demo
from lib.redfish import Client

V1 = "/redfish/v1"
ACCOUNTS = f"{V1}/AccountService/Accounts"
ROLES = f"{V1}/AccountService/Roles"
CLIENT_CAS = f"{V1}/AccountService/MultiFactorAuth/ClientCertificate/Certificates"
CERTIFICATES = f"{V1}/Managers/rackfish/NetworkProtocol/HTTPS/Certificates"
ACTIONS = f"{V1}/CertificateService/Actions/CertificateService"
FIRST, SECOND = "first-Secret-1", "second-Secret-2"


class From(Client):
    """A client at another address of this machine."""

    source = "127.0.0.2"

    def connection(self, timeout: float | None = None) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(self.host, self.port, timeout=timeout or self.timeout,
                                           context=self._context, source_address=(self.source, 0))


class Login:
    """All of it, in an order that leaves the demo's certificate for last."""

    def __init__(self, checks: Checks, demo: Demo, tool: Any) -> None:
        self.checks, self.demo, self.tool = checks, demo, tool
        self.admin = demo.client()
        self.work = Path(demo.work) / "pki"
        self.work.mkdir(exist_ok=True)

    def check(self, name: str):
        """`checks.check` below `login`."""
        return self.checks.check(f"login.{name}")

    def ask(self, method: str, path: str, body: Any) -> None:
        """By redfishtool; it must be taken."""
        self.tool.done("raw", method, path, "-d", json.dumps(body))

    def refused(self, method: str, path: str, body: Any = None) -> str:
        """By redfishtool; it must not be taken."""
        return self.tool.refused("raw", method, path, *(("-d", json.dumps(body)) if body else ()))

    def client(self, user: str = "ann", password: str = FIRST, kind: type[Client] = Client) -> Client:
        """Somebody else."""
        return kind(self.demo.url, user, password, self.demo.ca)

    def run(self) -> None:
        """All checks."""
        self.roles()
        self.lockout()
        self.passwords()
        self.client_authorities()
        self.server_certificate()

    def roles(self) -> None:
        """A role of one's own."""
        system = self.demo.node("pdu").system
        with self.check("role-made"):
            self.ask("POST", ROLES, {"RoleId": "night-shift", "AssignedPrivileges": ["Login"]})
            equal(self.admin.read(f"{ROLES}/night-shift")["AssignedPrivileges"], ["Login"], "privileges")
            self.refused("POST", ROLES, {"RoleId": "root", "AssignedPrivileges": ["Login", "NoAuth"]})
            self.refused("PATCH", f"{ROLES}/Operator", {"AssignedPrivileges": ["Login"]})
        session = self.client()
        with self.check("role-given"):
            self.tool.done("AccountService", "adduser", "ann", FIRST, "night-shift")
            answer = session.request("POST", f"{V1}/SessionService/Sessions", {"UserName": "ann", "Password": FIRST})
            session.token = answer.headers["x-auth-token"]
            equal(session.get(f"{V1}/Systems").status, 200, "status of a GET")
            equal(session.reset(system, "On").status, 403, "status of a Reset")
        with self.check("role-changed-at-once"):
            self.ask("PATCH", f"{ROLES}/night-shift", {"AssignedPrivileges": ["Login", "ConfigureComponents"]})
            expect(session.reset(system, "On").status in (202, 204), "the session does not have it")
        with self.check("role-in-use"):
            self.refused("DELETE", f"{ROLES}/night-shift")
            self.tool.done("AccountService", "useradmin", "ann", "setRoleId", "ReadOnly")
            equal(session.reset(system, "On").status, 403, "status of a Reset")
            self.tool.done("raw", "DELETE", f"{ROLES}/night-shift")

    def lockout(self) -> None:
        """Who guesses is shut out, and nobody else."""
        service = f"{V1}/AccountService"
        account = f"{ACCOUNTS}/ann"
        with self.check("lockout.off"):
            equal(self.admin.read(service)["AccountLockoutThreshold"], 0, "the threshold at first")
        with self.check("lockout"):
            self.ask("PATCH", service, {"AccountLockoutThreshold": 3, "AccountLockoutDuration": 600})
            for n in range(6):
                equal(self.client(password=f"guess {n}").get(f"{V1}/Systems").status, 401, "status of a guess")
            equal(self.admin.read(account)["Locked"], True, "Locked")
            equal(self.client().get(f"{V1}/Systems").status, 200, "status with the password, from the same address")
            equal(self.client(kind=From).get(f"{V1}/Systems").status, 200, "status from another address")
            equal(self.admin.read(account)["Locked"], True, "Locked after that")
            log = self.admin.read(f"{V1}/Managers/rackfish/LogServices/Events/Entries?$top=1000")
            expect("LockedOut" in json.dumps(log), "the log does not tell")
        with self.check("lockout.ended"):
            self.ask("PATCH", account, {"Locked": False})
            equal(self.admin.read(account)["Locked"], False, "Locked")
            self.ask("PATCH", service, {"AccountLockoutThreshold": 0})

    def passwords(self) -> None:
        """What a password may be."""
        with self.check("password.common"):
            for common in ("Password123!", "qwertyuiop", "annannann1"):
                self.tool.refused("AccountService", "setpassword", "ann", common)
        with self.check("password.history"):
            self.ask("PATCH", f"{V1}/AccountService", {"EnforcePasswordHistoryCount": 2})
            self.tool.refused("AccountService", "setpassword", "ann", FIRST)
            self.tool.done("AccountService", "setpassword", "ann", SECOND)
            self.tool.refused("AccountService", "setpassword", "ann", FIRST)
        with self.check("password.expired"):
            self.ask("PATCH", f"{ACCOUNTS}/ann", {"PasswordExpiration": "2020-01-01T00:00:00Z"})
            answer = self.client(password=SECOND).get(f"{V1}/Systems")
            expect(answer.status == 403 and "PasswordChangeRequired" in str(answer), f"not so: {answer}")
            own = self.client(password=SECOND)
            equal(own.patch(f"{ACCOUNTS}/ann", {"Password": "third-Secret-3"}).status, 200, "status of the change")
            equal(self.client(password="third-Secret-3").get(f"{V1}/Systems").status, 200, "status afterwards")

    def openssl(self, *words: str) -> str:
        """The command in its folder; it must end well."""
        done = subprocess.run(["openssl", *words], cwd=self.work, text=True, capture_output=True, timeout=60, check=False)
        equal(done.returncode, 0, f"openssl {words[0]} ({done.stderr[-300:]})")
        return done.stdout + done.stderr

    def authority(self, name: str) -> str:
        """A CA: its certificate as PEM, in NAME.pem with NAME.key."""
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return (self.work / f"{name}.pem").read_text()

    def sign(self, authority: str, request: str, out: str) -> str:
        """What the authority makes of a request."""
        (self.work / "request.pem").write_text(request)
        self.openssl("x509", "-req", "-in", "request.pem", "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
                     "-CAcreateserial", "-days", "1", "-copy_extensions", "copy", "-out", out)
        return (self.work / out).read_text()

    def curl(self, *words: str) -> str:
        """Status of a GET of the systems by curl; 000 without a connection."""
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", *words,
                               f"{self.demo.url}{V1}/Systems"], cwd=self.work, text=True, capture_output=True,
                              timeout=60, check=False)
        return done.stdout

    def client_authorities(self) -> None:
        """A client with a certificate, of an authority that was added over Redfish."""
        shown = ("--cacert", self.demo.ca, "--cert", "ann.pem", "--key", "ann.key")
        with self.check("client-certificate"):
            authority = self.authority("people")
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ann", "-keyout", "ann.key", "-out", "ann.csr")
            self.sign("people", (self.work / "ann.csr").read_text(), "ann.pem")
            equal(self.curl(*shown), "401", "status before the authority is known")
            body = {"CertificateString": authority, "CertificateType": "PEM"}
            self.ask("POST", CLIENT_CAS, body)
            equal(self.curl(*shown), "200", "status with the certificate")
            equal(self.curl("--cacert", self.demo.ca), "401", "status without")
            self.refused("POST", CLIENT_CAS, {**body, "CertificateString": (self.work / "ann.pem").read_text()})
        with self.check("client-certificate.switched-off"):
            for on, status in ((False, "401"), (True, "200")):
                self.ask("PATCH", f"{V1}/AccountService", {"MultiFactorAuth": {"ClientCertificate": {"Enabled": on}}})
                equal(self.curl(*shown), status, f"status with Enabled {on}")
            self.tool.done("raw", "DELETE", self.admin.members(CLIENT_CAS)[0])
            equal(self.curl(*shown), "401", "status when the authority is gone")

    def server_certificate(self) -> None:
        """A certificate of HTTPS, asked for here and signed elsewhere."""
        place = {"@odata.id": CERTIFICATES}
        wanted = {"CommonName": "127.0.0.1", "Organization": "Lab & Söhne", "Country": "DE", "CertificateCollection": place,
                  "AlternativeNames": ["rack.example"], "KeyPairAlgorithm": "TPM_ALG_ECDSA", "KeyCurveId": "TPM_ECC_NIST_P384"}
        replace = {"CertificateType": "PEM", "CertificateUri": {"@odata.id": f"{CERTIFICATES}/1"}}
        request = ""
        with self.check("csr.verified-by-openssl"):
            for more in ({"KeyPairAlgorithm": "TPM_ALG_RSA", "KeyCurveId": "TPM_ECC_NIST_P384"}, {"Country": "Germany"}):
                self.refused("POST", f"{ACTIONS}.GenerateCSR", {**wanted, **more})
            request = self.tool.json("raw", "POST", f"{ACTIONS}.GenerateCSR", "-d", json.dumps(wanted))["CSRString"]
            (self.work / "asked.pem").write_text(request)
            said = self.openssl("req", "-in", "asked.pem", "-verify", "-noout", "-text")
            for part in ("verify OK", "IP Address:127.0.0.1", "DNS:rack.example", "secp384r1", "ecdsa-with-SHA256"):
                expect(part in said, f"{part} is not in the request")
        with self.check("csr.wrong-key"):
            self.authority("lab")
            self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "x.key", "-out", "x.csr")
            other = self.sign("lab", (self.work / "x.csr").read_text(), "x.pem")
            said = self.refused("POST", f"{ACTIONS}.ReplaceCertificate", {**replace, "CertificateString": other})
            expect("400" in said, f"it does not say 400: {said[-200:]}")
        with self.check("csr.signed-and-served"):
            signed = self.sign("lab", request, "served.pem")
            self.ask("POST", f"{ACTIONS}.ReplaceCertificate", {**replace, "CertificateString": signed})
            context = ssl.create_default_context(cafile=str(self.work / "lab.pem"))
            client = Client(self.demo.url, self.demo.user, self.demo.password, str(self.work / "lab.pem"))
            expect(context.check_hostname, "names are not looked at")
            equal(client.read(f"{CERTIFICATES}/1")["Issuer"]["CommonName"], "lab", "issuer of what is served")
