"""A recorded BMC: the resources that sushy's own tests are made of, served as they are. It never changes by itself, takes
every reset without effect, keeps what is patched, and gives ETags that it insists on.

    mockup.py PORT LOG     writes one line of the log for each request: method, path, and what was asked
"""

import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path

SYSTEM = "/redfish/v1/Systems/437XR1138R2"
MEDIA = "/redfish/v1/Managers/BMC/VirtualMedia"
SESSIONS = "/redfish/v1/SessionService/Sessions"
# Name of the sample, where it is not served at its own address. The System links a chassis that is called otherwise.
SERVED = {"root": "/redfish/v1", "system_collection": None, "system": None, "manager": None, "thermal": None,
          "session_service": None, "virtual_media_collection": None, "virtual_media": None, "chassis": "/redfish/v1/Chassis/1U", "power": "/redfish/v1/Chassis/Blade1/Power"}
TOKEN = "a-token-of-the-mockup"


def samples() -> dict[str, dict]:
    """The resources by their address."""
    folder = resources.files("sushy.tests.unit") / "json_samples"
    found = {}
    for name, place in SERVED.items():
        body = json.loads((folder / f"{name}.json").read_text())
        found[(place or body["@odata.id"]).rstrip("/")] = body
    found["/redfish/v1/Chassis/1U"]["Power"] = {"@odata.id": "/redfish/v1/Chassis/Blade1/Power"}
    # Filled and emptied by PATCH, as older BMCs have it, and a Manager's: its System links none.
    del found[f"{MEDIA}/Floppy1"]["Actions"]
    found["/redfish/v1/Systems"]["Members"] = [{"@odata.id": SYSTEM}]
    return found


class Bmc(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    known = samples()
    log = Path(sys.argv[2])

    def tag(self, path: str) -> str:
        """Weak, as many BMCs give it out."""
        return f'W/"{hashlib.sha1(json.dumps(self.known[path]).encode()).hexdigest()[:8]}"'

    def say(self, status: int, body: dict | None = None, **headers: str) -> None:
        """An answer."""
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self) -> None:
        """Any method."""
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0].rstrip("/")
        asked = json.loads(data) if data else None
        shown = {**asked, "Password": "..."} if asked and "Password" in asked else asked
        with self.log.open("a") as out:
            out.write(f"{self.command} {path} {json.dumps(shown)}\n")
        public = path == "/redfish/v1" or (self.command, path) == ("POST", SESSIONS)
        if not public and self.headers.get("X-Auth-Token") != TOKEN:
            self.say(401)
        elif (self.command, path) == ("POST", SESSIONS):
            good = asked == {"UserName": "root", "Password": "calvin"}
            # The address that the BMC believes to have: nobody reaches it there.
            self.say(*((201, {}) if good else (401, None)), X_Auth_Token=TOKEN if good else "",
                     Location=f"https://192.0.2.9{SESSIONS}/1")
        elif self.command == "DELETE":
            self.say(204)
        elif self.command == "POST":
            self.say(204)
        elif path not in self.known:
            self.say(404)
        elif self.command == "PATCH":
            if self.headers.get("If-Match") != self.tag(path):
                self.say(412 if self.headers.get("If-Match") else 428)
                return
            for key, value in asked.items():
                if isinstance(value, dict):
                    self.known[path][key].update(value)
                else:
                    self.known[path][key] = value
            self.say(200, self.known[path])
        else:
            self.say(200, self.known[path], ETag=self.tag(path), Allow="GET, HEAD, PATCH")

    do_GET = do_POST = do_PATCH = do_DELETE = serve

    def log_message(self, *_: object) -> None:
        """The log is `serve`'s."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bmc).serve_forever()
