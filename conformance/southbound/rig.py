"""The BMCs behind, and how they are named in a configuration."""

import base64
import hashlib
import os
import socket
import ssl
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from lib import procs
from lib.checks import Failure, until
from lib.redfish import Client
from lib.service import LOGS, WORK
from lib.toml import table

PORT = int(os.environ["CONF_PORT_BASE"])
HERE = Path(__file__).parent
START = 40.0
PYTHON = os.environ["CONF_VENV"] + "/bin/python"


def listens(port: int) -> bool:
    """Whether somebody answers there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Process:
    """A peer: started, waited for, ended, started again."""

    def __init__(self, name: str, port: int, command: list[str]) -> None:
        self.name, self.port, self.command = name, port, command
        self.log = LOGS / f"{name}.log"
        self.child: subprocess.Popen | None = None

    def __enter__(self):
        with self.log.open("a") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)
        try:
            until(lambda: self.child.poll() is not None or listens(self.port), True, START, f"port of {self.name}", 0.1)
            if self.child.poll() is not None:
                raise Failure(f"{self.name} ended with {self.child.returncode}: {self.log.read_text()[-400:]}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        procs.end(self.child)


class Emulator(Process):
    """sushy-emulator with two fake systems, a password, and a certificate that it has signed itself."""

    SYSTEMS = ("27946b59-9e44-4fa7-8e91-f3527a1ef094", "37946b59-9e44-4fa7-8e91-f3527a1ef095")

    def __init__(self, port: int) -> None:
        folder = WORK / "emulator"
        (folder / "db").mkdir(parents=True)
        key, self.cert = folder / "key.pem", folder / "cert.pem"
        # Neither its name nor its address stands in it: that is how BMCs are shipped.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=bmc",
                        "-keyout", key, "-out", self.cert], check=True, capture_output=True)
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())
        self.fingerprint = hashlib.sha256(der).hexdigest()
        hashed = "import bcrypt; print('admin:' + bcrypt.hashpw(b'pass word', bcrypt.gensalt(4)).decode())"
        users = subprocess.run([PYTHON, "-c", hashed], check=True, capture_output=True, text=True).stdout
        (folder / "htpasswd").write_text(users)
        systems = [{"uuid": uuid, "name": f"fake{n}", "power_state": "Off", "external_notifier": False, "nics": []}
                   for n, uuid in enumerate(self.SYSTEMS)]
        (folder / "emulator.conf").write_text("\n".join([
            "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'", f"SUSHY_EMULATOR_LISTEN_PORT = {port}",
            f"SUSHY_EMULATOR_STATE_DIR = {str(folder / 'db')!r}", f"SUSHY_EMULATOR_AUTH_FILE = {str(folder / 'htpasswd')!r}",
            f"SUSHY_EMULATOR_SSL_CERT = {str(self.cert)!r}", f"SUSHY_EMULATOR_SSL_KEY = {str(key)!r}",
            "SUSHY_EMULATOR_FEATURE_SET = 'full'", f"SUSHY_EMULATOR_FAKE_SYSTEMS = {systems!r}", ""]))
        super().__init__("emulator", port, [PYTHON, str(HERE / "emulator.py"), "--fake", "--config",
                                            str(folder / "emulator.conf")])

    def system(self, number: int = 0, part: str = "") -> dict:
        """A system, or a part of it, asked without us."""
        context = ssl.create_default_context(cafile=str(self.cert))
        context.check_hostname = False
        client = Client(f"https://127.0.0.1:{self.port}", "admin", "pass word")
        client._context = context
        return client.read(f"/redfish/v1/Systems/{self.SYSTEMS[number]}{part}")


    def slot(self, number: int = 0) -> dict:
        """Its slot for a virtual CD, asked without us."""
        return self.system(number, "/VirtualMedia/Cd")


class Mockup(Process):
    """sushy's recorded BMC."""

    def __init__(self, port: int) -> None:
        self.asked_file = WORK / "mockup.asked"
        super().__init__("mockup", port, [PYTHON, str(HERE / "mockup.py"), str(port), str(self.asked_file)])

    def asked(self, method: str, part: str = "") -> list[str]:
        """What was asked of it, without the method."""
        lines = self.asked_file.read_text().splitlines() if self.asked_file.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{method} ") and part in line]


class Images(BaseHTTPRequestHandler):
    """A server of images: one that is there, and one that needs a login."""

    LOGIN = ("imager", "the-image-secret")

    def do_GET(self) -> None:  # noqa: N802  the base class wants it
        """An image of a few bytes."""
        pair = base64.b64encode(":".join(self.LOGIN).encode()).decode()
        locked = "locked" in self.path and self.headers.get("Authorization") != f"Basic {pair}"
        found = self.path.endswith(".iso")
        self.send_response(401 if locked else 200 if found else 404)
        self.send_header("Content-Length", "9")
        self.end_headers()
        self.wfile.write(b"no image!")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""

    @classmethod
    def serve(cls, port: int) -> ThreadingHTTPServer:
        """Starts one that ends with the suite."""
        server = ThreadingHTTPServer(("127.0.0.1", port), cls)
        Thread(target=server.serve_forever, daemon=True).start()
        return server


def endpoint(name: str, url: str, user: str, password: Path, **keys: Any) -> str:
    """An endpoint of driver `redfish`."""
    return table(f"endpoints.{name}", driver="redfish", address=url, username=user, password={"file": str(password)},
                 poll="1s", poll_sensors="2s", verify_every="200ms", breaker_cool_down="1s", timeout="5s", **keys)


def secret(name: str, text: str) -> Path:
    """A file that holds it."""
    path = WORK / f"{name}.password"
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return path
