"""Cargo, and what it says of tests."""

import os
import re
import subprocess

from .checks import Failure, expect, log

RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;", re.MULTILINE)
IGNORED = re.compile(r"^test \S+ \.\.\. ignored(?:, (.*))?$", re.MULTILINE)
# What is ignored here is run elsewhere: by a suite that has the peer, or by another test as a process of its own.
ELSEWHERE = re.compile(r"conformance/\w+/run$|^the process that the test below kills$")


def cargo(*words: str) -> str:
    """Runs cargo; its output goes to the log. Returns stdout."""
    log(f"$ cargo {' '.join(words)}")
    done = subprocess.run(["cargo", *words], cwd=os.environ["CONF_ROOT"], text=True, capture_output=True, check=False)
    for line in (done.stdout + done.stderr).splitlines():
        print(f"   {line}", flush=True)
    if done.returncode != 0:
        wrong = [line for line in (done.stderr + done.stdout).splitlines()
                 if line.startswith(("error", "warning:", "Diff in", "test ")) and not line.endswith("... ok")]
        raise Failure(f"cargo {words[0]} ended with {done.returncode}: {'; '.join(wrong[:4]) or 'see the log'}")
    return done.stdout


def tests(*which: str, least: int) -> None:
    """Runs tests: at least `least` of them, none ignored that nobody else runs."""
    said = cargo("test", "--locked", *which)
    passed = sum(int(groups[0]) for groups in RESULT.findall(said))
    expect(passed >= least, f"{passed} tests ran, expected at least {least}")
    ignored = [reason for reason in IGNORED.findall(said) if not ELSEWHERE.search(reason or "")]
    expect(not ignored, f"{len(ignored)} tests are ignored: {ignored[:3]}")
