"""The image: its recipe linted, its steps rehearsed, its compose file run as plain processes."""

import json
import os
import subprocess
import time
from pathlib import Path

import yaml
from lib.checks import Checks, equal, expect, until
from lib.throwaway import Throwaway

ROOT, WORK = Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"])
PROGRAM = os.environ["RACKFISH_BIN"]


def output(*words: str) -> str:
    """Runs to a good end."""
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    print(done.stdout, flush=True)
    expect(done.returncode == 0, f"`{Path(words[0]).name}` ended with {done.returncode}: {done.stdout[-400:]}")
    return done.stdout


def compose() -> dict:
    """The compose file, merged."""
    return yaml.safe_load((ROOT / "docker/compose.yaml").read_text())


def structure() -> None:
    """What the file promises its readers."""
    services = compose()["services"]
    equal(sorted(services), ["bmc", "pdu", "rackfish"], "services")
    for name, service in services.items():
        expect(service["read_only"] and service["cap_drop"] == ["ALL"], f"{name} is not confined")
        expect("no-new-privileges:true" in service["security_opt"], f"{name} may gain privileges")
    expect(all(port.startswith("127.0.0.1:") for port in services["rackfish"]["ports"]),
           "the demo is published beyond this machine")
    for name in ("pdu", "bmc"):
        equal(services[name]["network_mode"], "service:rackfish", f"network of {name}")


def compose_runs(machine: Throwaway) -> None:
    """The services' commands with their environment and files, in one network."""
    services = compose()["services"]
    machine.copy_in(Path(PROGRAM), "/usr/bin/rackfish", 0o755)
    machine.copy_in(ROOT / "docker/demo/rackfish.toml", "/etc/rackfish/rackfish.toml")
    machine.run("install", "-d", "-m", "0700", "/var/lib/rackfish")
    children = []
    try:
        for name in ("pdu", "bmc", "rackfish"):
            words = ["rackfish", *services[name].get("command", ["serve"])]
            command = machine.command(*words, env=services[name].get("environment", {}))
            with (Path(os.environ["CONF_LOGS"]) / f"compose-{name}.log").open("w") as log:
                children.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                 start_new_session=True))

        def power() -> dict[str, str]:
            said = machine.run("rackfish", "node", "list", "--json", status=None)
            try:
                return {node["name"]: (node["power"] or {}).get("value") for node in json.loads(said)}
            except ValueError:
                return {}

        until(power, {f"node-{n}": "On" for n in range(1, 9)}, 30, "power of the nodes", pause=1)
        machine.run("rackfish", "node", "off", "node-5")
        equal(power()["node-5"], "Off", "power of node-5 after `rackfish node off`")
    finally:
        for child in reversed(children):
            child.terminate()
        statuses = [child.wait(60) for child in children]
        time.sleep(0.1)
    equal(statuses, [0, 0, 0], "exit statuses after SIGTERM")


def run(checks: Checks, machine: Throwaway) -> None:
    """All of it."""
    checks.run("image-lint", lambda: output(f"{os.environ['CONF_VENV']}/bin/hadolint", str(ROOT / "docker/Dockerfile")))
    checks.run("image-rehearsed", lambda: expect("rehearsed" in output(
        str(ROOT / "docker/rehearse"), "--program", PROGRAM, "--into", str(WORK / "rehearsal")), "it did not say so"))
    checks.run("compose-confined", structure)
    checks.run("compose-runs", lambda: compose_runs(machine))
