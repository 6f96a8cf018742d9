"""The state: backed up while it is used and while it is not, restored by tar, opened from every released version."""

import json
import os
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

from lib import procs
from lib.checks import Checks, equal, expect, until
from lib.demo import Demo
from lib.redfish import Client

ROOT, WORK = Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"])
PROGRAM, PORT = os.environ["RACKFISH_BIN"], int(os.environ["CONF_PORT_BASE"])
PASSWORD = "a password of the fixture"


class Plain:
    """`rackfish serve` on a state folder, with no rack."""

    def __init__(self, name: str, state: Path, *wrap: str, more: str = "") -> None:
        self.state, self.url = state, f"https://127.0.0.1:{PORT + 10}"
        config = WORK / f"{name}.toml"
        config.write_text(f'[server]\nlisten = ["127.0.0.1:{PORT + 10}"]\nstate_dir = "{state}"\n{more}')
        self.log = Path(os.environ["CONF_LOGS"]) / f"{name}.log"
        self.command = [*wrap, PROGRAM, "serve", "--config", str(config)]
        self.child: subprocess.Popen | None = None

    def __enter__(self) -> "Plain":
        with self.log.open("w") as log:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          start_new_session=True)
        until(lambda: "ready" in self.log.read_text() or self.child.poll() is not None, True, 30, "ready")
        expect(self.child.poll() is None, f"it ended: {self.log.read_text()[-400:]}")
        return self

    def __exit__(self, *_: object) -> None:
        procs.end(self.child)

    def client(self, user: str, password: str) -> Client:
        """Trusts what the restored authority has signed."""
        return Client(self.url, user, password, str(self.state / "tls/ca.pem"))


def backup(state: Path, file: Path) -> dict:
    """`rackfish backup`."""
    done = subprocess.run([PROGRAM, "backup", str(file), "--state-dir", str(state), "--json"], capture_output=True,
                          text=True, check=False)
    expect(done.returncode == 0, f"rackfish backup ended with {done.returncode}: {done.stderr[-300:]}")
    equal(file.stat().st_mode & 0o777, 0o600, "mode of the archive")
    expect(not [p for p in file.parent.iterdir() if p.name.endswith(".new")], "something was left beside it")
    return json.loads(done.stdout)


def restored(name: str, file: Path) -> Path:
    """As docs/operations.md says: into an empty folder."""
    place = WORK / f"restored-{name}"
    place.mkdir(mode=0o700)
    subprocess.run(["tar", "-xpf", str(file), "-C", str(place)], check=True)
    return place


def backups(checks: Checks) -> None:
    """A demo that is written to while it is backed up."""
    with Demo("demo", PORT, nodes=3) as demo:
        state = demo.work / "state"
        client = demo.client()
        made = client.request("POST", "/redfish/v1/AccountService/Accounts",
                              {"UserName": "bob", "Password": "bobs-password-1", "RoleId": "Operator"})
        equal(made.status, 201, "status of the new account")
        session = client.request("POST", "/redfish/v1/SessionService/Sessions",
                                 {"UserName": "bob", "Password": "bobs-password-1"})
        token = session.headers["x-auth-token"]
        system = demo.node("pdu").system
        equal(client.patch(system, {"AssetTag": "kept"}).status, 200, "status of the PATCH")
        stop = threading.Event()

        def writes() -> None:
            n = 0
            while not stop.is_set():
                client.patch(system, {"AssetTag": f"kept-{(n := n + 1)}"})

        writer = threading.Thread(target=writes)
        writer.start()
        try:
            with checks.check("backup-while-running"):
                for n in range(3):
                    told = backup(state, WORK / f"running-{n}.tar")
                    equal(told["parts"][0], "rackfish.db", "first part")
                    expect("tls/ca-key.pem" in told["parts"], f"the authority's key is not in it: {told['parts']}")
                with tarfile.open(WORK / "running-2.tar") as archive:
                    equal([item.name for item in archive if item.isfile()], told["parts"], "names in the archive")
        finally:
            stop.set()
            writer.join()
    with checks.check("backup-while-stopped"):
        told = backup(state, WORK / "stopped.tar")
        expect("rackfish.db" in told["parts"], f"it has {told['parts']}")
    with checks.check("backup-of-nothing-refused"):
        done = subprocess.run([PROGRAM, "backup", str(WORK / "none.tar"), "--state-dir", str(WORK / "nowhere")],
                              capture_output=True, text=True, check=False)
        expect(done.returncode != 0 and "no state in" in done.stderr, f"it says {done.stderr!r}")
        expect(not (WORK / "none.tar").exists(), "it left an archive all the same")
    for name in ("running-2", "stopped"):
        with checks.check(f"restore-{'running' if name != 'stopped' else name}"):
            place = restored(name, WORK / f"{name}.tar")
            with Plain(f"restored-{name}", place) as service:
                # The same authority: clients that trusted it go on; the same accounts, and sessions too.
                client = service.client("bob", "bobs-password-1")
                equal(client.get("/redfish/v1/Systems").status, 200, "status for the account that was kept")
                client.user, client.token = "", token
                equal(client.get("/redfish/v1/Systems").status, 200, "status for the session that was kept")


def released(checks: Checks) -> None:
    """fixtures/state/: a state file of each released version of the schema."""
    for folder in sorted(p for p in (ROOT / "fixtures/state").iterdir() if p.is_dir()):
        with checks.check(f"state-{folder.name}-opens"):
            place = WORK / f"state-{folder.name}"
            place.mkdir(mode=0o700)
            shutil.copyfile(folder / "rackfish.db", place / "rackfish.db")
            with Plain(f"state-{folder.name}", place) as service:
                equal(service.client("fixture-operator", PASSWORD).get("/redfish/v1/Systems").status, 200,
                      "status for an account of the fixture")


def limits(checks: Checks) -> None:
    """Too few descriptors are said at the start."""
    with checks.check("descriptors-too-few-said"):
        with Plain("few", WORK / "few-state", "prlimit", "--nofile=300:300") as service:
            said = service.log.read_text()
            expect("too few open files are allowed: 300" in said and "LimitNOFILE" in said, f"it says {said[-300:]}")
    with checks.check("second-process-refused"):
        with Plain("first", WORK / "one-state") as service:
            done = subprocess.run(service.command, capture_output=True, text=True, timeout=20, check=False)
            expect(done.returncode == 1 and "is in use by process" in done.stderr, f"the second says {done.stderr!r}")


def run(checks: Checks) -> None:
    """All of it."""
    backups(checks)
    released(checks)
    limits(checks)
