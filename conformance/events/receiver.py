"""A receiver of events: Python's own HTTP server over TLS, which takes, refuses or delays what is posted to it."""

import json
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lib.checks import Failure, expect


class Authority:
    """A certificate authority of our own, and certificates for 127.0.0.1 that it has signed."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.ca, self.key = folder, folder / "ca.pem", folder / "ca.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                  "-subj", f"/CN={name}", "-keyout", str(self.key), "-out", str(self.ca))

    def _run(self, *words: str) -> None:
        done = subprocess.run(["openssl", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            raise Failure(f"openssl {words[0]}: {done.stdout[-300:]}")

    def certificate(self, address: str = "127.0.0.1") -> tuple[Path, Path]:
        """Certificate and key for an address."""
        cert, key, request = (self.folder / f"{address}.{end}" for end in ("pem", "key", "csr"))
        extensions = self.folder / f"{address}.ext"
        extensions.write_text(f"subjectAltName=IP:{address}\n")
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
                  f"/CN={address}", "-keyout", str(key), "-out", str(request))
        self._run("x509", "-req", "-in", str(request), "-CA", str(self.ca), "-CAkey", str(self.key), "-CAcreateserial",
                  "-days", "2", "-extfile", str(extensions), "-out", str(cert))
        return cert, key


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """A client that does not trust us is no news."""


class Receiver:
    """`/NAME` is a place of its own: what was posted there, with which headers, and what it answers."""

    def __init__(self, port: int, tls: tuple[Path, Path] | None = None) -> None:
        self.port, self._tls = port, tls
        self.lock = threading.Lock()
        self.posts: dict[str, list[tuple[dict[str, str], dict]]] = {}
        self.answers: dict[str, int] = {}
        self.delays: dict[str, float] = {}
        self._server: _Server | None = None
        self.start()

    def url(self, name: str) -> str:
        """Where to post for that place."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Listens."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:  # noqa: N802  the library's name
                name = self.path.strip("/").partition("?")[0]
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status = receiver.take(name, {k.lower(): v for k, v in self.headers.items()}, json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", self.port), Handler)
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            # The handshake belongs to the connection's thread, not to the one that accepts.
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                      do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Is gone, as a machine that is restarted."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, name: str, headers: dict[str, str], body: dict) -> int:
        """One POST."""
        time.sleep(self.delays.get(name, 0))
        status = self.answers.get(name, 204)
        with self.lock:
            if status < 300:
                self.posts.setdefault(name, []).append((headers, body))
            else:
                self.posts.setdefault(f"{name} refused", []).append((headers, body))
        return status

    def bodies(self, name: str) -> list[dict]:
        """What was taken there."""
        with self.lock:
            return [body for _, body in self.posts.get(name, [])]

    def records(self, name: str) -> list[dict]:
        """The events taken there, each once, in the order of their first arrival."""
        seen: dict[str, dict] = {}
        for body in self.bodies(name):
            for record in body["Events"]:
                seen.setdefault(record["EventId"], record)
        return list(seen.values())

    def ids(self, name: str) -> list[int]:
        """Their ids."""
        return [int(record["EventId"]) for record in self.records(name)]

    def texts(self, name: str) -> list[str]:
        """Their texts."""
        return [record["Message"] for record in self.records(name)]


def well_formed(body: Any) -> None:
    """What the Event schema wants of a body."""
    expect(body.get("@odata.type", "").startswith("#Event.v1_"), f"@odata.type in {body}")
    for member in ("Id", "Name", "Events"):
        expect(body.get(member), f"no {member} in {body}")
    for number, record in enumerate(body["Events"]):
        for member in ("EventType", "EventId", "EventTimestamp", "Message", "MessageId", "MessageSeverity", "MemberId",
                       "OriginOfCondition"):
            expect(record.get(member), f"no {member} in {record}")
        expect(record["MemberId"] == str(number), f"MemberId of {record}")
