"""The Debian package: built, linted, installed, started as its unit says, reloaded, upgraded, purged."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import manager
from lib.checks import Checks, equal, expect
from lib.throwaway import Throwaway

ROOT, WORK = Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"])
CONFIG = "/etc/rackfish/rackfish.toml"
# path in the package -> mode
CONTENTS = {
    "usr/bin/rackfish": "-rwxr-xr-x",
    "lib/systemd/system/rackfish.service": "-rw-r--r--",
    "etc/rackfish/rackfish.toml": "-rw-r--r--",
    "etc/logrotate.d/rackfish": "-rw-r--r--",
    "usr/share/man/man1/rackfish.1.gz": "-rw-r--r--",
    "usr/share/doc/rackfish/copyright": "-rw-r--r--",
    "usr/share/doc/rackfish/operations.md": "-rw-r--r--",
    "usr/share/bash-completion/completions/rackfish": "-rw-r--r--",
}


def field(package: Path, name: str) -> str:
    """A field of the package's control file."""
    return subprocess.run(["dpkg-deb", "--field", str(package), name], capture_output=True, text=True,
                          check=True).stdout.strip()


def build(checks: Checks) -> Path | None:
    """Builds it from the program that the suites were given."""
    with checks.check("deb-builds"):
        env = {**os.environ, "PATH": f"{os.environ['CONF_VENV']}/bin:{os.environ['PATH']}"}
        done = subprocess.run([str(ROOT / "packaging/deb/build"), str(WORK / "deb")], env=env, text=True, cwd=ROOT,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        print(done.stdout, flush=True)
        expect(done.returncode == 0, f"packaging/deb/build ended with {done.returncode}: {done.stdout[-400:]}")
        packages = list((WORK / "deb").glob("*.deb"))
        equal(len(packages), 1, "number of packages made")
        return packages[0]
    return None


def contents(package: Path) -> None:
    """Files, modes, fields."""
    listed = subprocess.run(["dpkg-deb", "--contents", str(package)], capture_output=True, text=True,
                            check=True).stdout
    print(listed, flush=True)
    seen = {line.split()[5].removeprefix("./"): line.split()[0] for line in listed.splitlines()}
    for path, mode in CONTENTS.items():
        equal(seen.get(path), mode, f"mode of {path}")
    owners = {line.split()[1].replace("root", "0") for line in listed.splitlines()}
    equal(owners, {"0/0"}, "owners of the files")
    for name, wanted in (("Package", "rackfish"), ("Section", "admin"), ("Priority", "optional")):
        equal(field(package, name), wanted, name)
    depends = field(package, "Depends")
    expect(re.search(r"\blibssl3\b", depends) and "adduser" in depends and "libc6" in depends, f"Depends: {depends}")
    conffiles = subprocess.run(["dpkg-deb", "--info", str(package), "conffiles"], capture_output=True, text=True,
                               check=True).stdout.split()
    equal(sorted(conffiles), ["/etc/logrotate.d/rackfish", "/etc/rackfish/rackfish.toml"], "conffiles")


# Not of Debian's archive: no bug to close, fields that cargo-deb writes.
SUPPRESSED = ["initial-upload-closes-no-bugs", "unknown-field"]


def lint(package: Path) -> None:
    """Debian's own checker: no error, no warning."""
    command = ["lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", ",".join(SUPPRESSED),
               str(package)]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(done.stdout, flush=True)
    expect(done.returncode == 0, f"lintian says {done.stdout[-400:]}")


def run(checks: Checks, machine: Throwaway, package: Path) -> None:
    """Everything that is done with it on a machine."""
    checks.run("deb-contents", lambda: contents(package))
    checks.run("deb-lintian", lambda: lint(package))
    with checks.check("deb-installs"):
        machine.run("dpkg", "--install", str(package))
        equal(machine.run("stat", "-c", "%U:%G %a", "/etc/rackfish", CONFIG, "/var/lib/rackfish").split("\n")[:3],
              ["root:rackfish 750", "root:rackfish 640", "rackfish:rackfish 700"], "owners and modes")
        expect("nologin" in machine.run("getent", "passwd", "rackfish"), "the user can log in")
        machine.run("dpkg", "--verify", "rackfish")
    with checks.check("unit-verifies"):
        said = machine.run("systemd-analyze", "verify", "--recursive-errors=no", "/lib/systemd/system/rackfish.service")
        expect("rackfish" not in said, f"systemd-analyze verify says {said[-300:]}")
    unit = manager.Unit(machine.outside("/lib/systemd/system/rackfish.service").read_text())
    service = manager.Service(machine, unit, trace=True)
    try:
        runs(checks, machine, service)
    finally:
        service.end()
    with checks.check("deb-upgrade-keeps"):
        machine.run("sh", "-c", f"echo '# mine' >>{CONFIG}")
        machine.run("dpkg", "--install", str(package))
        expect("# mine" in machine.outside(CONFIG).read_text(), "the configuration was replaced")
        machine.run("test", "-s", "/var/lib/rackfish/rackfish.db")
    with checks.check("deb-removes"):
        machine.run("dpkg", "--remove", "rackfish")
        machine.run("test", "-s", "/var/lib/rackfish/rackfish.db")
        machine.run("test", "-s", CONFIG)
    with checks.check("deb-purges"):
        # Files that the package did not bring would keep the folder: they are somebody's secrets.
        machine.run("dpkg", "--purge", "rackfish")
        machine.run("test", "-s", "/etc/rackfish/secrets/pdu01.community")
        machine.run("rm", "/etc/rackfish/secrets/pdu01.community")
        machine.run("dpkg", "--install", str(package))
        machine.run("dpkg", "--purge", "rackfish")
        left = machine.run("sh", "-c", "ls -d /var/lib/rackfish /var/log/rackfish /etc/rackfish /usr/bin/rackfish "
                           "/lib/systemd/system/rackfish.service 2>/dev/null; true").split()
        equal(left, [], "what is left")


def runs(checks: Checks, machine: Throwaway, service: manager.Service) -> None:
    """The installed service, from start to stop."""
    with checks.check("service-starts"):
        service.start()
        said = service.hears(lambda lines: "READY=1" in lines, 1, "READY=1")
        expect("STATUS=0 nodes, 0 endpoints, serving at 0.0.0.0:8443" in said, f"it says {said!r}")
        status = json.loads(machine.run("rackfish", "status", "--json"))
        equal((status["nodes"], status["state_dir"]), (0, "/var/lib/rackfish"), "what root hears from rackfish status")
    with checks.check("service-answers"):
        ca = "/var/lib/rackfish/tls/ca.pem"
        root = json.loads(machine.run("curl", "-sS", "--cacert", ca, "https://localhost:8443/redfish/v1/").splitlines()[-1])
        expect(root["RedfishVersion"], "no service root")
        expect("rackfish_endpoints" in machine.run("curl", "-sS", "http://127.0.0.1:9643/metrics"), "no metrics")
        password = machine.outside("/var/lib/rackfish/first-password").read_text().strip()
        answer = machine.run("curl", "-sS", "--cacert", ca, "-K", "-", "-o", "/dev/null", "-w", "%{http_code}",
                             "https://localhost:8443/redfish/v1/Systems", stdin=f'user = "admin:{password}"')
        equal(answer, "200", "status of Systems with the first password")
    with checks.check("service-user-and-limits"):
        status = Path(f"/proc/{service.main_pid()}/status").read_text()
        uid = machine.run("id", "-u", "rackfish").strip()
        expect(re.search(rf"^Uid:\s+{uid}\s+{uid}\s", status, re.MULTILINE), "it runs as somebody else")
        for name in ("CapEff", "CapBnd"):
            expect(re.search(rf"^{name}:\s+0+$", status, re.MULTILINE), f"{name} is not empty")
        limits = Path(f"/proc/{service.main_pid()}/limits").read_text()
        expect(re.search(r"^Max core file size\s+0\s+0\s", limits, re.MULTILINE), "core dumps are not forbidden")
        most = service.descriptors
        expect(re.search(rf"^Max open files\s+{most}\s+{most}\s", limits, re.MULTILINE), "the limit of open files")
    with checks.check("service-watchdog"):
        before = len(service.heard)
        service.hears(lambda lines: "WATCHDOG=1" in lines, 5, "WATCHDOG=1", after=before)
    with checks.check("service-reloads"):
        before = len(service.heard)
        machine.outside("/etc/rackfish/nodes.d/rack.toml").write_text(
            '[endpoints.pdu01]\ndriver = "snmp-pdu"\nmodel = "apc-rpdu2"\naddress = "127.9.9.9"\n'
            'community = { file = "../secrets/pdu01.community" }\n[nodes.n1]\nfeeds = ["pdu01/1"]\n')
        machine.outside("/etc/rackfish/secrets/pdu01.community").write_text("a-community\n")
        service.control("ExecReload")
        service.hears(lambda lines: "RELOADING=1" in lines and any(line.startswith("MONOTONIC_USEC=") for line in lines),
                      5, "RELOADING=1", after=before)
        said = service.hears(lambda lines: "READY=1" in lines, 5, "READY=1 after it", after=before)
        expect("STATUS=1 nodes, 1 endpoints" in said, f"it says {said!r}")
    with checks.check("service-reload-refused"):
        before = len(service.heard)
        machine.outside("/etc/rackfish/nodes.d/rack.toml").write_text("[nodes.n1]\nfeeds = [\"pdu02/1\"]\n")
        said = service.control("ExecReload", status=3)
        expect("pdu02" in said, f"the reload does not say what is wrong: {said[-300:]}")
        said = service.hears(lambda lines: "READY=1" in lines, 5, "READY=1 after it", after=before)
        expect("refused" in said and "1 nodes" in said, f"it says {said!r}")
        service.control("ExecStartPre", status=3)
        machine.outside("/etc/rackfish/nodes.d/rack.toml").unlink()
    with checks.check("service-logrotate"):
        # What the package's logrotate file asks for: SIGHUP, after which the entries go to a new file.
        audit = machine.outside("/var/log/rackfish/audit.jsonl")
        audit.rename(audit.with_suffix(".1"))
        os.kill(service.main_pid(), 1)
        deadline = time.monotonic() + 10
        while not audit.exists():
            expect(time.monotonic() < deadline, "no new audit file after SIGHUP")
            time.sleep(0.1)
        machine.run("logrotate", "--debug", "/etc/logrotate.d/rackfish") if machine.outside(
            "/usr/sbin/logrotate").exists() else None
    with checks.check("service-stops"):
        equal(service.stop(), 0, "exit status after SIGTERM")
        expect(any("STOPPING=1" in said for said in service.heard), "STOPPING=1 was not said")
    with checks.check("service-system-calls"):
        lines = manager.traced(machine.outside("/run/trace").read_text(errors="replace"), "/usr/bin/rackfish")
        made = manager.calls(lines)
        expect(len(made) > 30, f"only {len(made)} different calls were seen")
        outside = made - manager.filtered(service.unit)
        expect(not outside, f"calls that SystemCallFilter= would refuse: {sorted(outside)}")
    with checks.check("service-address-families"):
        families = {match[1] for line in lines if (match := re.search(r"\bsocket(?:pair)?\((AF_\w+)", line))}
        allowed = set(service.unit.one("RestrictAddressFamilies").split())
        expect(families and families <= allowed, f"sockets of {sorted(families - allowed)}")
    with checks.check("service-no-writable-code"):
        bad = [line for line in lines if re.search(r"\bm(map|protect)\(.*PROT_WRITE\|PROT_EXEC", line)]
        expect(not bad, f"MemoryDenyWriteExecute= would refuse {bad[:2]}")
