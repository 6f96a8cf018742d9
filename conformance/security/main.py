"""What docs/security.md promises, held against a running service."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from lib.checks import Checks, equal, expect, until
from rig import LOGS, PORT, PROGRAM, WORK, Rig, found, mark

VENV = os.environ["CONF_VENV"]
# Public by nature: clients are given them. All else in the state folder is its owner's alone.
PUBLIC = {"tls/ca.pem", "tls/cert.pem"}


def scan(port: int, ca: Path) -> None:
    """sslyze's check against Mozilla's profile."""
    command = [f"{VENV}/bin/python", "-m", "sslyze", "--mozilla_config", "intermediate", "--certinfo_ca_file", str(ca),
               f"127.0.0.1:{port}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    print(done.stdout, flush=True)
    verdict = done.stdout.partition("COMPLIANCE AGAINST")[2]
    expect("OK - Compliant" in verdict and done.returncode == 0, f"sslyze says {' '.join(verdict.split())[-400:]}")


def configured_certificate(checks: Checks) -> None:
    """The profile with a certificate of the operator's own."""
    with checks.check("tls-intermediate-own-certificate"):
        cert, key, ca = WORK / "own.pem", WORK / "own.key", WORK / "own-ca.pem"
        (WORK / "own.ext").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
                                      "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n")
        for words in (
            f"req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=suite-authority -keyout own-ca.key -out {ca} "
            "-addext keyUsage=critical,keyCertSign",
            f"req -newkey rsa:2048 -nodes -subj /CN=suite -keyout {key} -out own.csr",
            f"x509 -req -in own.csr -CA {ca} -CAkey own-ca.key -CAcreateserial -days 90 -extfile own.ext -out {cert}",
        ):
            subprocess.run(["openssl", *words.split()], cwd=WORK, check=True, capture_output=True)
        config = WORK / "own.toml"
        config.write_text(f'[server]\nlisten = ["127.0.0.1:{PORT + 5}"]\nstate_dir = "{WORK / "own-state"}"\n'
                          f'[server.tls]\ncertificate = "{cert}"\nkey = "{key}"\n')
        rig = Rig()
        try:
            child = rig.spawn("own", ["serve", "--config", str(config)])
            until(lambda: " ready" in (LOGS / "own.log").read_text() or child.poll() is not None, True, 30, "ready")
            scan(PORT + 5, ca)
        finally:
            rig.stop()


class Hook(http.server.BaseHTTPRequestHandler):
    """Whatever a shutdown hook or an event is posted to; keeps the secrets that arrive."""

    arrived: list[str] = []

    def do_POST(self) -> None:
        Hook.arrived += [self.headers.get("Authorization", ""), self.headers.get("X-Secret", "")]
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def exercise(rig: Rig) -> bytes:
    """Uses every secret once or twice, right and wrong. Returns all that clients and commands were told."""
    heard: list[bytes] = []
    client = rig.client()

    def ask(method: str, path: str, body: object = None, **more: object) -> object:
        answer = client.request(method, path, body, **more)
        # A session's token is told once, to its client, in a header.
        heard.append(json.dumps({k: v for k, v in answer.headers.items() if k != "x-auth-token"}).encode())
        heard.append(answer.raw)
        return answer

    rig.marks["account"], rig.marks["passwd"], rig.marks["guess"] = (mark(k) for k in ("account", "passwd", "guess"))
    rig.marks["header"] = mark("header")
    ask("POST", "/redfish/v1/AccountService/Accounts",
        {"UserName": "bob", "Password": rig.marks["account"], "RoleId": "Operator"})
    session = ask("POST", "/redfish/v1/SessionService/Sessions", {"UserName": "bob", "Password": rig.marks["account"]})
    rig.marks["token"] = session.headers["x-auth-token"]
    ask("POST", "/redfish/v1/SessionService/Sessions", {"UserName": "bob", "Password": rig.marks["guess"]})
    # Malformed on purpose: what is repeated to the client must not hold it.
    ask("POST", "/redfish/v1/SessionService/Sessions", {"UserName": "bob", "Password": [rig.marks["guess"]]})
    ask("PATCH", "/redfish/v1/AccountService/Accounts/bob", {"Password": {"x": rig.marks["guess"]}})
    ask("POST", "/redfish/v1/SessionService/Sessions", f'{{"Password": "{rig.marks["guess"]}'.encode())
    ask("PATCH", "/redfish/v1/AccountService/Accounts/bob", {"Password": rig.marks["passwd"]})
    ask("POST", "/redfish/v1/EventService/Subscriptions", {
        "Destination": f"http://127.0.0.1:{PORT + 3}/event", "Protocol": "Redfish", "Context": "suite",
        "HttpHeaders": [{"X-Secret": rig.marks["header"]}]})
    ask("GET", "/redfish/v1/Systems", headers={"X-Auth-Token": rig.marks["token"], "Authorization": ""})
    guess = rig.client()
    guess.password = rig.marks["guess"]
    heard.append(guess.get("/redfish/v1/Systems").raw)
    for node, kind in (("n1", "On"), ("n1", "ForceRestart"), ("n2", "GracefulShutdown"), ("n3", "On"), ("n4", "On")):
        ask("POST", f"/redfish/v1/Systems/{node}/Actions/ComputerSystem.Reset", {"ResetType": kind}, timeout=120)
    for path in ("", "Systems/n1", "Systems/n2", "Systems/n3", "Systems/n4", "Managers", "AccountService/Accounts/bob",
                 "SessionService/Sessions?$expand=.", "EventService/Subscriptions?$expand=.", "TaskService/Tasks?$expand=.",
                 "Managers?$expand=.", "Chassis?$expand=."):
        ask("GET", f"/redfish/v1/{path}")
    import urllib.request

    heard.append(urllib.request.urlopen(f"http://127.0.0.1:{PORT + 9}/metrics", timeout=10).read())
    for words in (("status",), ("node", "list"), ("node", "show", "*"), ("endpoint", "list"), ("endpoint", "show", "*"),
                  ("endpoint", "probe", "*"), ("account", "list"), ("export", "ironic"), ("reload",), ("check",)):
        heard += [rig.command(*words).encode(), rig.command(*words, "--json").encode()]
    heard.append(rig.command("account", "passwd", "bob", "--password-file", str(WORK / "secret-passwd2")).encode())
    return b"\n".join(heard)


def named_tests() -> None:
    """docs/security.md names a test for each threat: every name is one."""
    root = Path(os.environ["CONF_ROOT"])
    text = (root / "docs/security.md").read_text()
    checks_of = {suite.parent.name: suite.read_text().split() for suite in root.glob("conformance/*/manifest")}
    sources = {path: path.read_text() for top in ("src", "tests") for path in (root / top).rglob("*.rs")}
    seen, missing = 0, []
    for suite, name in re.findall(r"`(events|fuzz|oauth|package|security)/([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)`", text):
        seen += 1
        if name not in checks_of[suite]:
            missing.append(f"{suite}/{name}")
    for name in re.findall(r"`((?:[a-z0-9_]+::)+(?:\*|[a-z0-9_]+))`", text):
        seen += 1
        *rooms, last = name.split("::")
        rooms = [room for room in rooms if room != "tests"]
        within = [source for path, source in sources.items()
                  if all(room in (*path.relative_to(root).parts, path.stem) for room in rooms)]
        if not (any("#[test]" in source or "proptest!" in source or "::test" in source for source in within) if last == "*"
                else any(f"fn {last}(" in source for source in within)):
            missing.append(name)
    expect(seen > 40, f"only {seen} names were found")
    equal(missing, [], "names that are no test's")


def permissions(state: Path) -> None:
    """Nobody else reads what lies in the state folder."""
    equal(state.stat().st_mode & 0o777, 0o700, f"mode of {state}")
    seen = 0
    for path in state.rglob("*"):
        mode, name = path.stat().st_mode & 0o777, str(path.relative_to(state))
        wanted = 0o700 if path.is_dir() else 0o644 if name in PUBLIC else 0o600
        equal(oct(mode), oct(wanted), f"mode of {name}")
        seen += 1
    expect(seen >= 8, f"only {seen} files were looked at")
    expect((state / "control.sock").is_socket() and (state / "first-password").exists(), "socket or password are missing")


def memory(rig: Rig) -> None:
    """No core dump, and no look into it for others of the same user."""
    limits = Path(f"/proc/{rig.service.pid}/limits").read_text()
    expect(re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE), "core dumps are not forbidden")
    # A process that is not dumpable belongs to root in /proc, whoever runs it (proc(5)); as root, ask it by crashing one.
    place = WORK / "crash"
    place.mkdir()
    child = subprocess.Popen([PROGRAM, "serve", "--config", str(WORK / "own.toml")], cwd=place,
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda: __import__("resource").setrlimit(
                                 __import__("resource").RLIMIT_CORE, (-1, -1)))
    until(lambda: (WORK / "own-state/control.sock").exists(), True, 20, "its control socket")
    time.sleep(0.5)
    child.send_signal(6)
    status = child.wait(20)
    equal(status, -6, "how it ended")
    expect(not list(place.glob("core*")), "it left a core file")


def main() -> int:
    checks = Checks()
    checks.run("threats-have-tests", named_tests)
    configured_certificate(checks)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT + 3), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rig = Rig()
    try:
        with checks.check("serves"):
            rig.start()
            client = rig.client()
            until(lambda: client.read("/redfish/v1/Systems/n1").get("PowerState"), "On", 20, "PowerState of n1")
            until(lambda: client.read("/redfish/v1/Systems/n2").get("PowerState"), "On", 20, "PowerState of n2")
        checks.run("tls-intermediate-made-certificate", lambda: scan(PORT, rig.state / "tls/ca.pem"))
        (WORK / "secret-passwd2").write_text(mark("passwd2"))
        rig.marks["passwd2"] = (WORK / "secret-passwd2").read_text()
        heard = exercise(rig)
        with checks.check("secrets-are-used"):
            # What was looked for really went where it belongs: the suite would prove nothing otherwise.
            expect(rig.marks["hook"] in Hook.arrived, "the hook's authorization did not arrive")
            until(lambda: rig.marks["header"] in Hook.arrived, True, 15, "the subscription's header")
            equal(found({"x": "abcdefgh"}, b"..YWJjZGVmZ2g=.."), ["x"], "what the search finds")
            equal(sorted(rig.marks), ["account", "auth", "bmc", "comm", "first", "guess", "header", "hook", "kg", "passwd",
                                      "passwd2", "priv", "token", "wcomm", "wrong"], "marked secrets")
        with checks.check("secrets-not-in-answers"):
            expect(len(heard) > 50_000, f"only {len(heard)} bytes were heard")
            equal(found(rig.marks, heard), [], "secrets in answers, JSON output and metrics")
        with checks.check("secrets-not-in-log"):
            log = (LOGS / "service.log").read_bytes()
            expect(b"TRACE" in log and len(log) > 100_000, f"the log has {len(log)} bytes and shows no traces")
            equal(found(rig.marks, log), [], "secrets in the log at level trace")
            equal(found(rig.marks, (WORK / "audit.jsonl").read_bytes()), [], "secrets in the audit file")
        with checks.check("secrets-not-in-arguments"):
            for child in rig.children:
                data = Path(f"/proc/{child.pid}/cmdline").read_bytes()
                equal(found(rig.marks, data), [], f"secrets on the command line of {data[:40]!r}")
        checks.run("permissions", lambda: permissions(rig.state))
        with checks.check("state-has-hashes-only"):
            rig.command("backup", str(WORK / "state.tar"))
            seen = found(rig.marks, (WORK / "state.tar").read_bytes())
            for path in rig.state.iterdir():
                if path.is_file() and path.name != "first-password":
                    seen += found(rig.marks, path.read_bytes())
            # What is sent to others has to be kept as it is: headers of subscriptions. The first password lies in a file
            # until it is changed, and is part of a backup. Nothing else.
            expect(set(seen) <= {"header", "first"}, f"secrets in the state: {sorted(set(seen))}")
            expect("header" in seen, "not even the header was found: the search finds nothing")
        checks.run("memory-not-dumped", lambda: memory(rig))
        with checks.check("stops"):
            rig.service.terminate()
            equal(rig.service.wait(60), 0, "exit status")
            equal(found(rig.marks, (LOGS / "service.log").read_bytes()), [], "secrets in the log after the end")
    finally:
        rig.stop()
        server.shutdown()
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
