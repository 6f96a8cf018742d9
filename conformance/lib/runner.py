"""`conformance/run`: installs, builds, runs the suites, counts.

Prints `ok SUITE/CHECK` or `not ok SUITE/CHECK: reason` per check and `SUITE: N passed, N failed` per suite; progress
goes to stderr. Ends with 1 when anything failed, 2 when it was called wrongly, 130 when interrupted.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

from . import install, ports, procs
from . import suite as suites

ROOT = Path(__file__).resolve().parent.parent.parent
HOME = ROOT / "target" / "conformance"
TAIL = 40
# Most suites wait for simulated hardware most of the time.
SIDE_BY_SIDE = 3


_out = threading.Lock()
# apt and pip don't like company.
_setting_up = threading.Lock()


def say(text: str) -> None:
    """Results, for people and for whoever counts."""
    with _out:
        print(text, flush=True)


def note(text: str) -> None:
    """Progress."""
    print(f"# {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Command line in, exit code out."""
    known = suites.find(ROOT / "conformance")
    names = "\n".join(f"  {name:<14}{suite.about}" for name, suite in known.items())
    parser = argparse.ArgumentParser(
        prog="conformance/run", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Builds rackfish once and runs the conformance suites against it; without a name, all of them.",
        epilog=f"suites:\n{names}\n\nRACKFISH_BIN=FILE takes a program that is built already."
               f"\nLogs: target/conformance/logs/SUITE. What suites install stays in target/conformance.",
    )
    parser.add_argument("suite", nargs="*", help="suites to run")
    parser.add_argument("--list", action="store_true", help="print the suites, each with its number of checks")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folders (target/conformance/work)")
    args = parser.parse_args()
    if args.list:
        for name, suite in known.items():
            say(f"{name:<14}{len(suite.manifest):>4} checks   {suite.about}")
        return 0
    unknown = [name for name in args.suite if name not in known]
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(known)}")
    chosen = [known[name] for name in dict.fromkeys(args.suite)] or list(known.values())

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    procs.adopt_orphans()
    try:
        return run_all(chosen, args.keep)
    except KeyboardInterrupt:
        note("interrupted")
        return 130
    finally:
        procs.end_tree(os.getpid())
        procs.reap()


def run_all(chosen: list[suites.Suite], keep: bool) -> int:
    """Builds, then runs the suites: first those that mostly wait for relays, side by side; then, one by one, those that
    load or time the machine. What is busy and in no hurry goes on behind the build and the first ones."""
    begun = time.monotonic()
    (HOME / "logs").mkdir(parents=True, exist_ok=True)
    program, why_not = None, None
    bad = []
    done = {suite.name: threading.Event() for suite in chosen}
    checks = {name: threading.Event() for suite in chosen for name in suite.after if "/" in name}

    def show(text: str) -> None:
        say(text)
        passed = checks.get(text.removeprefix("ok "))
        if passed:
            passed.set()

    def run(suite: suites.Suite) -> None:
        for name in suite.after:
            if name.partition("/")[0] in done:
                (checks.get(name) or done[name]).wait()
        try:
            passed, failed = run_one(suite, program, why_not, keep, show)
        finally:
            done[suite.name].set()
            # Whoever waits for a check that did not come waits no longer.
            for name, event in checks.items():
                if name.partition("/")[0] == suite.name:
                    event.set()
        say(f"{suite.name}: {passed} passed, {failed} failed")
        if failed or not passed:
            bad.append(suite.name)

    def in_turn(some: list[suites.Suite]) -> None:
        for suite in some:
            run(suite)

    shared = [suite for suite in chosen if not suite.alone and not suite.background]
    # Those that have to wait for others come last: they would only hold a place.
    turns = iter(sorted(shared, key=lambda suite: (bool(suite.after), -suite.takes)))
    taking = threading.Lock()

    def lane() -> None:
        while True:
            with taking:
                suite = next(turns, None)
            if suite is None:
                return
            run(suite)

    lanes = ThreadPoolExecutor(SIDE_BY_SIDE + 3)
    try:
        why_not = None if os.environ.get("RACKFISH_BIN") else toolchain()
        # What is to be had from elsewhere comes while the compiler works.
        ready = lanes.submit(prepare, chosen)
        # Two lanes: what waits for nobody, and what needs its builds.
        behind = [lanes.submit(in_turn, [s for s in chosen if s.background and bool(s.after) == waits])
                  for waits in (False, True)]
        if any(suite.program for suite in chosen) and not why_not:
            program, why_not = build()
        ready.result()
        for each in [lanes.submit(lane) for _ in range(SIDE_BY_SIDE)]:
            each.result()
        for each in behind:
            each.result()
        in_turn([suite for suite in chosen if suite.alone])
    except KeyboardInterrupt:
        for event in (*done.values(), *checks.values()):
            event.set()
        lanes.shutdown(wait=False, cancel_futures=True)
        procs.end_tree(os.getpid())
        raise
    lanes.shutdown()
    bad.sort()
    note(f"{time.monotonic() - begun:.0f} s in all; " + (f"failed: {', '.join(bad)}" if bad else "nothing failed"))
    return 1 if bad else 0


def prepare(chosen: list[suites.Suite]) -> None:
    """Installs what the suites need. What can't be had is said by the suite that needs it."""
    log = HOME / "logs" / "install.log"
    for suite in chosen:
        try:
            with _setting_up:
                install.apt(suite.apt, log)
                if suite.requirements:
                    install.venv(HOME, suite.requirements, log)
        except install.CannotInstall:
            continue


def toolchain() -> str | None:
    """What every build needs; returns why it can't be had."""
    log = HOME / "logs" / "build.log"
    log.unlink(missing_ok=True)
    if not install.have("cargo"):
        return "there is no cargo: install Rust (https://rustup.rs); rust-toolchain.toml says which"
    try:
        install.openssl_headers(log)
    except install.CannotInstall as why:
        return str(why)
    return None


def build() -> tuple[Path | None, str | None]:
    """The program, built as it is shipped; or why there is none."""
    given = os.environ.get("RACKFISH_BIN")
    if given:
        path = Path(given).resolve()
        return (path, None) if os.access(path, os.X_OK) else (None, f"RACKFISH_BIN={given} is not a program")
    log = HOME / "logs" / "build.log"
    note("cargo build --release")
    begun = time.monotonic()
    with log.open("a") as out:
        status = subprocess.run(
            ["cargo", "build", "--release", "--locked", "--bin", "rackfish"], cwd=ROOT, stdin=subprocess.DEVNULL,
            stdout=out, stderr=subprocess.STDOUT, check=False,
        )
    if status.returncode != 0:
        show_tail(log)
        return None, f"the program does not build (see {log.relative_to(ROOT)})"
    note(f"built in {time.monotonic() - begun:.0f} s")
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return (ROOT / target / "release" / "rackfish").resolve(), None


def run_one(suite: suites.Suite, program: Path | None, why_not: str | None, keep: bool,
            show: Callable[[str], None]) -> tuple[int, int]:
    """One suite from installing to counting; `show` gets a line for each check. Returns passed, failed."""
    begun = time.monotonic()
    logs, work = HOME / "logs" / suite.name, HOME / "work" / suite.name
    for folder in (logs, work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    tally = suites.Tally(suite, show)
    if suite.program and program is None:
        return tally.finish(why_not)
    # `requests` lets these two overrule the CA file that a client was given.
    inherited = {k: v for k, v in os.environ.items() if k not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")}
    env = {
        **inherited, "CONF_ROOT": str(ROOT), "CONF_WORK": str(work), "CONF_LOGS": str(logs),
        "CONF_PORT_BASE": str(ports.free_row()), "PYTHONUNBUFFERED": "1",
        "PATH": os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin",
    }
    if program:
        env["RACKFISH_BIN"] = str(program)
    try:
        if suite.apt or suite.requirements:
            with _setting_up:
                install.apt(suite.apt, logs / "install.log")
                if suite.requirements:
                    env["CONF_VENV"] = str(install.venv(HOME, suite.requirements, logs / "install.log"))
    except install.CannotInstall as why:
        return tally.finish(str(why))
    note(f"{suite.name}: {suite.about or 'running'}")
    log = logs / "output.log"
    trouble = suites.execute(suite, env, log, tally)
    passed, failed = tally.finish(trouble)
    note(f"{suite.name} took {time.monotonic() - begun:.0f} s")
    if failed:
        show_tail(log)
    elif not keep:
        shutil.rmtree(work, ignore_errors=True)
    return passed, failed


def show_tail(log: Path) -> None:
    """The end of a log, marked so that nobody takes it for results."""
    lines = log.read_text(errors="replace").splitlines()
    note(f"the end of {log.relative_to(ROOT)}:")
    for line in lines[-TAIL:]:
        print(f"  | {line[:400]}", file=sys.stderr)
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
