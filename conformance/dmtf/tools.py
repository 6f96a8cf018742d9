"""The validators as processes: how each is called, and where it says what it found.

Three of them print a table of counts and write an HTML report with a row for every finding; the Protocol Validator
writes JSON and a table of its own.
"""

import csv
import html
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from lib.checks import Failure, log
from lib.demo import Demo

LIMIT = 300  # seconds for one tool
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
HEADING = re.compile(r"\|\s*PASS\s*\|\s*WARN\s*\|\s*FAIL\s*\|\s*NOT TESTED\s*\|")
NUMBERS = re.compile(r"\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|\s*(\d+)\s*\|")
# The Protocol Validator invents this answer when it got none, and lets it pass here and there.
NO_ANSWER = "building HTTP 600 response"


@dataclass
class Findings:
    """What a tool found: counts, and one line for each thing that did not pass."""

    passed: int
    warned: int
    failed: int
    untested: int
    failures: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"PASS {self.passed}, WARN {self.warned}, FAIL {self.failed}, NOT_TESTED {self.untested}"


class Tools:
    """Everything that the tools need beside the service itself."""

    def __init__(self, schemas: Path, profile: Path) -> None:
        self.bin = Path(os.environ["CONF_VENV"]) / "bin"
        self.schemas, self.profile = schemas, profile

    def execute(self, name: str, folder: Path, command: list[str], limit: float = LIMIT) -> tuple[int, str]:
        """Status and output of one command; the output is kept as a log."""
        folder.mkdir(parents=True, exist_ok=True)
        begun = time.monotonic()
        try:
            done = subprocess.run([str(self.bin / command[0]), *command[1:]], cwd=folder, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, check=False)
        except subprocess.TimeoutExpired as late:
            (folder / "output.log").write_bytes(late.stdout or b"")
            raise Failure(f"{name} was not done after {limit:.0f} s") from late
        said = COLOUR.sub("", done.stdout.decode(errors="replace"))
        with (folder / "output.log").open("a") as out:
            out.write(said)
        log(f"{name} in {folder.name}: {time.monotonic() - begun:.0f} s, status {done.returncode}")
        return done.returncode, said

    def service(self, demo: Demo, folder: Path) -> Findings:
        """Service Validator: every resource that can be reached, against CSDL."""
        return self._tabled("rf_service_validator", folder, [
            *_login(demo), "--authtype", "Session", "--schema_directory", str(self.schemas), "--skipschema",
            "--logdir", str(folder), "--timeout", "60", "--config", os.devnull])

    def interop(self, demo: Demo, folder: Path) -> Findings:
        """Interop Validator: Ironic's profile."""
        return self._tabled("rf_interop_validator", folder, [
            *_login(demo), "--authtype", "Session", "--logdir", str(folder), "--timeout", "60", str(self.profile)])

    def usecase(self, demo: Demo, folder: Path) -> Findings:
        """Use Case Checkers: accounts, power, boot override, query parameters."""
        return self._tabled("rf_use_case_checkers", folder, [*_login(demo), "--report-dir", str(folder)])

    def protocol(self, demo: Demo, folder: Path) -> Findings:
        """Protocol Validator: HTTP as DSP0266 wants it."""
        _, said = self.execute("rf_protocol_validator", folder, [
            "rf_protocol_validator", *_login(demo), "--report-dir", str(folder), "--report-type", "tsv",
            "--config", os.devnull, "--ca-bundle", demo.ca])
        result = folder / "results.json"
        if not result.exists():
            raise Failure(f"it wrote no result: {_last(said)}")
        counts = json.loads(result.read_text())["TestResults"]["Protocol Validations"]
        found = Findings(counts["pass"], counts["warn"], counts["fail"], counts["skip"])
        kinds = {"FAIL": found.failures, "WARN": found.warnings, "NOT_TESTED": found.skipped}
        for report in folder.glob("*.tsv"):
            with report.open(newline="") as table:
                for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE):
                    if row["Result"] in kinds:
                        kinds[row["Result"]].append(f"{row['Assertion']}: {row['URI']} {row['Message']}")
        lost = said.count(NO_ANSWER)
        if lost:
            found.failed += lost
            found.failures.append(f"{lost} requests got no answer")
        return found

    def _tabled(self, name: str, folder: Path, arguments: list[str]) -> Findings:
        _, said = self.execute(name, folder, [name, *arguments])
        heading = HEADING.search(said)
        numbers = heading and NUMBERS.search(said, heading.end())
        if not numbers:
            raise Failure(f"it printed no result: {_last(said)}")
        found = Findings(*map(int, numbers.groups()))
        for report in folder.glob("**/*.html"):
            for cells in _rows(report.read_text(errors="replace")):
                kind = {"FAIL": found.failures, "WARN": found.warnings}.get(cells[-1])
                if kind is not None and len(cells) > 2:
                    kind.append(": ".join(cells[:-1]))
        return found


def _login(demo: Demo) -> list[str]:
    return ["-r", demo.url, "-u", demo.user, "-p", demo.password]


def _rows(page: str) -> list[list[str]]:
    rows = []
    for row in re.findall(r"<tr[ >].*?</tr>", page, re.DOTALL):
        cells = re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)
        rows.append([" ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in cells])
    return [cells for cells in rows if cells]


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
