"""Certificates and configurations that change under load: no request is lost, no session, and nothing changes by halves."""

import hashlib
import ssl
import subprocess
import threading
import time
from pathlib import Path

from lib.checks import Checks, equal, expect, until
from lib.redfish import Client, quietly
from lib.toml import node
from rig import Service, bmc, sim, system

# Rounds of a replacement, clients that read meanwhile, and reads that it takes to prove something.
TURNS, CLIENTS, LEAST = 6, 4, 100


class Authority:
    """Makes certificates for 127.0.0.1 that one file is trusted for."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)
        self.ca = place / "ca.pem"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                      "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=faults",
                      "-addext", "keyUsage=critical,keyCertSign")

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.place, check=True, capture_output=True)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """A certificate and its key."""
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
                      "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.place / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1",
                      "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.pem")
        return (self.place / f"{name}.pem").read_bytes(), (self.place / f"{name}.key").read_bytes()


class Load:
    """Clients that read as fast as they can: with new connections and with kept ones, with passwords and with sessions."""

    def __init__(self, clients: list[Client]) -> None:
        self.good, self.bad, self._end, self._lock = 0, [], threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._new if n % 2 else self._kept, args=(client,))
                         for n, client in enumerate(clients)]

    def _count(self, why: str | None) -> None:
        with self._lock:
            if why is None:
                self.good += 1
            else:
                self.bad.append(why)

    def _new(self, client: Client) -> None:
        while not self._end.is_set():
            try:
                answer = client.get(system("n1"))
            except Exception as why:  # whatever it is, it is a lost request
                self._count(f"{type(why).__name__}: {why}")
            else:
                self._count(None if answer.status == 200 else str(answer))

    def _kept(self, client: Client) -> None:
        """One connection for as long as the service keeps it: it may never close it between two requests."""
        link = client.connection()
        while not self._end.is_set():
            try:
                link.request("GET", system("n1"), headers=client.auth())
                answer = link.getresponse()
                answer.read()
            except Exception as why:
                self._count(f"kept connection: {type(why).__name__}: {why}")
                link = client.connection()
            else:
                self._count(None if answer.status == 200 else str(answer.status))
        link.close()

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Enough to prove something, however busy the machine is.
        deadline = time.monotonic() + 30
        while self.good < LEAST and time.monotonic() < deadline:
            time.sleep(0.1)
        self._end.set()
        for thread in self._threads:
            thread.join()

    def nothing_lost(self) -> None:
        """As many good answers as it takes to prove something, and no other."""
        expect(not self.bad, f"{len(self.bad)} of {self.good + len(self.bad)} requests were lost: {self.bad[:2]}")
        expect(self.good >= LEAST, f"only {self.good} requests were made")


class Bench:
    """A service with a certificate of its own, before one healthy BMC."""

    def __init__(self) -> None:
        self.it = Service("certificates")
        self.authority = Authority(self.it.work / "ca")
        self.it.ca = self.authority.ca
        self.files = (self.it.work / "server.pem", self.it.work / "server.key")
        self.bmc = sim("certificates-bmc", "ipmi", "--listen", "127.0.0.1:0", "--on")
        self.put(self.authority.issue("first"))
        self.configure()
        self.it.start()
        self.it.sees("n1", "On")

    def put(self, pair: tuple[bytes, bytes]) -> None:
        """Writes certificate and key, one after the other, as deployments do."""
        for file, content in zip(self.files, pair):
            file.write_bytes(content)
            file.chmod(0o600)

    def configure(self, *more: str, text: str = "") -> None:
        """The configuration with further parts, or with text that makes no sense."""
        tls = {"certificate": str(self.files[0]), "key": str(self.files[1])}
        self.it.configure(bmc("bmc", self.bmc.port), node("n1", host="bmc"), *more, text,
                          server={"watch": True, "tls": tls})

    def client(self, token: bool = False) -> Client:
        """One that trusts the authority."""
        client = self.it.client()
        if token:
            body = {"UserName": client.user, "Password": client.password}
            client.token = client.request("POST", "/redfish/v1/SessionService/Sessions", body).headers["x-auth-token"]
        return client

    def load(self) -> Load:
        """Half of the clients with sessions."""
        return Load([self.client(token=n >= CLIENTS // 2) for n in range(CLIENTS)])

    def served(self) -> str:
        """Digest of the certificate that is served to a new connection."""
        host, port = self.it.url.removeprefix("https://").split(":")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port))))).hexdigest()


def digest(pem: bytes) -> str:
    """Of a certificate in a file."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode())).hexdigest()


def replaced(bench: Bench) -> None:
    """New files are taken over by themselves; connections that are open live on."""
    with bench.load() as load:
        for turn in range(TURNS):
            pair = bench.authority.issue(f"turn{turn}")
            bench.put(pair)
            if turn % 2:
                # Somebody who does not want to wait.
                equal(bench.it.cli("reload").returncode, 0, "exit status of a reload")
            until(bench.served, digest(pair[0]), 20, "certificate that is served")
    load.nothing_lost()


def broken_certificate(bench: Bench) -> None:
    """A key that belongs to another certificate, half a file, no file: the old certificate stays, and that is said."""
    before, good = bench.served(), [file.read_bytes() for file in bench.files]
    other = bench.authority.issue("other")
    with bench.load() as load:
        for what, pair in (("another's key", (good[0], other[1])), ("half a file", (good[0][:200], good[1])),
                           ("an empty file", (b"", good[1]))):
            since = bench.it.log.stat().st_size
            bench.put(pair)
            bench.it.cli("reload")
            said = lambda: str(bench.files[0]) in bench.it.said(since) or str(bench.files[1]) in bench.it.said(since)
            until(said, True, 20, f"word of {what} in the log")
            equal(bench.served(), before, f"certificate that is served after {what}")
        bench.put((good[0], good[1]))
        equal(bench.it.cli("reload").returncode, 0, "exit status of a reload with the good files")
    load.nothing_lost()


def broken_configuration(bench: Bench) -> None:
    """All that is wrong is said, nothing changes, nobody notices."""
    logins = bench.bmc.stats()["logins"]
    with bench.load() as load:
        for text, word in (("[nodes.n2]\nhots = \"bmc\"\n", "hots"), ("[endpoints.x]\ndriver = \"none\"\n", "none"),
                           ("this is no TOML", "TOML"), ("[nodes.n3]\nhost = \"nobody\"\n", "nobody")):
            since = bench.it.log.stat().st_size
            bench.configure(text=text)
            said = bench.it.cli("reload")
            equal(said.returncode, 3, f"exit status of a reload with {text!r} ({said.stdout}{said.stderr})")
            expect(word in said.stdout + said.stderr or word == "TOML", f"{word!r} is not in {said.stdout}{said.stderr}")
            expect("the old configuration stays in force" in bench.it.said(since), "the log does not say so")
            equal(len(bench.client().members("/redfish/v1/Systems")), 1, "nodes")
        bench.configure()
        equal(bench.it.cli("reload").returncode, 0, "exit status of a reload with the good file")
    load.nothing_lost()
    equal(bench.bmc.stats()["logins"], logins, "logins at the BMC")


def good_configuration(bench: Bench) -> None:
    """Nodes come and go; sessions, connections and the devices' own sessions stay."""
    logins = bench.bmc.stats()["logins"]
    with bench.load() as load:
        for turn in range(TURNS):
            bench.configure(*(bmc(f"b{n}", 9) + node(f"m{n}", host=f"b{n}") for n in range(turn % 3)))
            equal(bench.it.cli("reload").returncode, 0, "exit status of a reload")
            equal(len(bench.client().members("/redfish/v1/Systems")), 1 + turn % 3, "nodes")
        # And without being asked to, once the file has come to rest.
        bench.configure(bmc("late", 9), node("late", host="late"))
        until(lambda: quietly(bench.client().get, system("late")).status, 200, 20, "status of a node that is new")
        bench.configure()
        until(lambda: quietly(bench.client().get, system("late")).status, 404, 20, "status of a node that is gone")
        time.sleep(0.5)
    load.nothing_lost()
    equal(bench.bmc.stats()["logins"], logins, "logins at the BMC")


def run(checks: Checks) -> None:
    """One after the other, at one service."""
    bench = Bench()
    with bench.it:
        for name, case in (("certificates.replaced", replaced), ("certificates.broken", broken_certificate),
                           ("reloads.broken", broken_configuration), ("reloads.good", good_configuration)):
            checks.run(name, lambda case=case: case(bench))
    bench.bmc.end()
