"""docs/CONTRIBUTING.md is true: who follows it has a resource that DMTF's Service Validator accepts."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT, WORK = Path(os.environ["CONF_ROOT"]), Path(os.environ["CONF_WORK"])
# The validator is called as that suite calls it.
sys.path.append(str(ROOT / "conformance/dmtf"))

import bounds
import material
from lib.checks import Checks, Failure, among, equal, expect, log, until
from lib.demo import Demo
from page import Sample
from tools import Tools

TREE = WORK / "tree"
BUILT = ("deps", "build", ".fingerprint")


def copy() -> None:
    """The checkout's files, and what is built of its dependencies."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.split(b"\0")
    for name in filter(None, names):
        source, target = ROOT / os.fsdecode(name), TREE / os.fsdecode(name)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    built = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug"
    for folder in BUILT:
        # Somebody else may be building there.
        for place, _, files in os.walk(built / folder):
            to = TREE / "target/debug" / Path(place).relative_to(built)
            to.mkdir(parents=True, exist_ok=True)
            for name in files:
                with contextlib.suppress(FileNotFoundError):
                    os.link(Path(place, name), to / name)


def cargo(*words: str) -> str:
    """Runs cargo in the copy."""
    log(f"$ cargo {' '.join(words)}")
    env = {**os.environ, "CARGO_TARGET_DIR": str(TREE / "target"), "CARGO_INCREMENTAL": "0"}
    done = subprocess.run(["cargo", *words], cwd=TREE, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    print(done.stdout, flush=True)
    if done.returncode:
        wrong = [line for line in done.stdout.splitlines() if line.startswith(("error", "Diff in", "test "))]
        raise Failure(f"cargo {words[0]} ended with {done.returncode}: {'; '.join(wrong[:4])}")
    return done.stdout


def validate(checks: Checks, sample: Sample) -> None:
    """Serves it and has it judged, with a node in trouble, so that it has something to say."""
    schema, version = sample.type
    # What blessing the tables would do.
    with (TREE / "redfish-schemas/served.txt").open("a") as served:
        served.write(f"{schema}.{version}\n")
    home = Path(os.environ["CONF_VENV"]).parent / "dmtf"
    with Demo("sample", int(os.environ["CONF_PORT_BASE"]), nodes=3) as demo:
        node = demo.node("pdu")
        demo.control(cmd="fault", node=node.name, fault="vanish", value=True)
        client = demo.client()
        with checks.check("served"):
            equal(client.read("/redfish/v1/")[schema], {"@odata.id": sample.uri}, "link of the service root")
            answer = client.get(sample.uri)
            equal(answer.body["@odata.type"], f"#{schema}.{version}.{schema}", "@odata.type")
            expect(f"{schema}.{version}" in answer.headers["link"], f"Link is {answer.headers['link']}")
            equal(answer.headers["allow"], "GET, HEAD", "Allow")
            metadata = client.get("/redfish/v1/$metadata", headers={"Accept": "application/xml"}).raw.decode()
            expect(f"{schema}.{version}" in metadata, "$metadata does not include it")
        with checks.check("answers"):
            told = until(lambda: client.read(sample.uri), lambda body: body["Conditions"], 60, "what needs attention")
            equal(told["HealthRollup"], "Warning", "HealthRollup")
            among(node.system, [c["OriginOfCondition"]["@odata.id"] for c in told["Conditions"]], "who lost its PDU")
        with checks.check("validator-ran"):
            tools = Tools(material.schemas(home, TREE, WORK / "csdl"), home)
            folder = Path(os.environ["CONF_LOGS"]) / "service"
            found = tools.service(demo, folder)
        with checks.check("validator-accepts"):
            equal((found.failed, found.failures), (0, []), "failures")
            new = bounds.BOUNDS["service"]["rack"].unexpected_warnings(found.warnings)
            equal(new, [], "warnings without a reason")
            report = next(folder.glob("**/*.html")).read_text(errors="replace")
            expect(sample.uri in report and "OriginOfCondition" in report, "the report does not name the resource")


def main() -> int:
    checks = Checks()
    with checks.check("printed"):
        copy()
        sample = Sample.read(TREE / "docs/CONTRIBUTING.md")
        touched = [str(path) for path in sample.into(TREE)]
    if checks.failed:
        return checks.status()
    checks.run("form", lambda: cargo("fmt", "--check", "--", *touched))
    checks.run("builds", lambda: cargo("build", "--locked", "--bin", "rackfish"))
    os.environ["RACKFISH_BIN"] = str(TREE / "target/debug/rackfish")
    validate(checks, sample)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
