"""README.md is true: each of its command blocks runs as it is written, in the order of the text."""

import os
import re
import subprocess
import sys

from blocks import Block, blocks, links
from lib import procs
from lib.checks import Checks, equal, expect
from shell import ROOT, WORK, Shell

BASE = int(os.environ["CONF_PORT_BASE"])
# The PDU of the text: a simulated one, at an address of its own and at SNMP's port, as a real one would be.
PDU, COMMUNITY, OUTLETS = "127.77.0.1", "conformance-community", 8
BUILD = 900.0  # seconds: the copy's own crate is compiled anew


class Walk:
    """The recipes: one method for each marked block."""

    def __init__(self, checks: Checks, shell: Shell) -> None:
        self.checks, self.shell = checks, shell

    def demo(self, block: Block) -> None:
        """The demo answers, its three lines to paste work, and Ctrl-C ends it."""
        with self.shell.terminal(f"exec {block.text}", "demo") as terminal:
            with self.checks.check("demo"):
                printed = terminal.shows("Ctrl-C", BUILD)
            pasted = re.findall(r"^  ((?:curl|redfishtool|python3) .*?)(?=^\s*$)", printed, re.DOTALL | re.MULTILINE)
            equal([text.split()[0] for text in pasted], ["curl", "redfishtool", "python3"], "lines to paste")
            for text in pasted:
                with self.checks.check(f"demo-{text.split()[0]}"):
                    self.shell.run(re.sub(r"^  ", "", text, flags=re.MULTILINE), 60)
            with self.checks.check("demo-ends"):
                equal(terminal.interrupt(), 0, "exit status after Ctrl-C")

    def own_pdu(self, block: Block) -> None:
        """A first configuration, made by asking a PDU."""
        with self.checks.check("own-pdu"):
            said = self.shell.run(block.text, BUILD)
            made = (self.shell.place / "rack").rglob("*.toml")
            text = "\n".join(path.read_text() for path in made)
            expect("pdu01" in text and "feeds" in text, f"the configuration names no outlet: {text[-300:]}")
            expect(COMMUNITY not in text, "the community is in the configuration, not in a file of its own")
            expect("rror" not in said, f"check says {said[-300:]}")

    def serve(self, block: Block, then: Block) -> None:
        """The service, and the commands of the other terminal."""
        with self.shell.terminal(f"exec {block.text}", "serve") as terminal:
            with self.checks.check("serve"):
                printed = terminal.shows("serving Redfish", 60)
                expect("first-password" in printed, "it does not say where the first password lies")
            with self.checks.check("with-service"):
                said = self.shell.run(then.text, 60)
                expect(f"pdu01-outlet-{OUTLETS}" in said, f"node list has no outlet {OUTLETS}: {said[-300:]}")
                expect(PDU in said, f"endpoint list does not name {PDU}")
                expect("redfish_system_id" in said, "export ironic prints no enrolment")
            with self.checks.check("serve-ends"):
                equal(terminal.interrupt(), 0, "exit status after Ctrl-C")


def pdu() -> subprocess.Popen:
    """A simulated PDU in a process of its own."""
    community = WORK / "community"
    community.write_text(f"{COMMUNITY}\n{COMMUNITY}\n")
    command = [os.environ["RACKFISH_BIN"], "sim", "pdu", "--listen", f"{PDU}:161", "--outlets", str(OUTLETS),
               "--community-file", str(community)]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
    first = child.stdout.readline()
    expect("ready" in first, f"the simulated PDU says {first!r} (port 161 needs root)")
    return child


def main() -> int:
    checks = Checks()
    readme = (ROOT / "README.md").read_text()
    found = [block for block in blocks(readme) if block.language in ("sh", "bash", "console", "shell")]
    marks = {block.mark: block for block in found}
    with checks.check("blocks-are-marked"):
        unmarked = [block.text.splitlines()[0] for block in found if not block.mark]
        expect(not unmarked, f"no `<!-- readme: ... -->` before: {unmarked}")
        known = {"demo", "own-pdu", "serve", "with-service"}
        odd = {mark for mark in marks if not mark.startswith("skip (")} ^ known
        expect(not odd, f"without a recipe or without a block: {odd}")
    with checks.check("links"):
        missing = [link for link in links(readme) if not (ROOT / link).exists()]
        expect(not missing, f"linked but not there: {missing}")
    shell = Shell(PDU=PDU, COMMUNITY=COMMUNITY)
    walk = Walk(checks, shell)
    with checks.check("conformance"):
        # The block that runs this suite: not within itself, but it has to be there and know itself.
        skipped = [block.text.split()[0] for mark, block in marks.items() if mark.startswith("skip (")]
        equal(skipped, ["conformance/run"], "skipped blocks")
        expect("readme" in shell.run("conformance/run --list", 30), "conformance/run does not list this suite")
    walk.demo(marks["demo"])
    # A user's service would keep its state in /var/lib and listen on every address: not on somebody's machine.
    shell.env["RACKFISH_SERVER__STATE_DIR"] = str(WORK / "state")
    shell.env["RACKFISH_SERVER__LISTEN"] = f"127.0.0.1:{BASE}"
    device = pdu()
    try:
        walk.own_pdu(marks["own-pdu"])
        walk.serve(marks["serve"], marks["with-service"])
    finally:
        procs.end(device)
    return checks.status()


if __name__ == "__main__":
    sys.exit(main())
