"""A state file that was cut short or in which bits have flipped: refused with a way out, or whole in every word.

Some bits mean nothing (free space, counters that nobody reads): then what is read has to be exactly what was written.
"""

import os
import random
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lib.checks import Checks, Failure, equal, expect, log
from lib.service import WORK
from lib.toml import node
from rig import LONG, Service, done, pdu, system
from writers import ACCOUNTS

FLIPS, CUTS, LOG_FLIPS = (4000, 300, 800) if LONG else (220, 24, 60)
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().getrandbits(32)
NAMES = ("rackfish.db", "rackfish.db-wal")
Dump = set[tuple]


def dump(state: Path) -> Dump:
    """All documents, as SQLite alone reads them from a copy."""
    copy = Path(f"{state}-dump")
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for name in NAMES:
        if (state / name).exists():
            shutil.copy(state / name, copy / name)
    with sqlite3.connect(copy / "rackfish.db") as base:
        return set(base.execute("SELECT kind, key, revision, body FROM doc"))


def made() -> tuple[Path, Path]:
    """Two states of a service that was used: one that ended well, one that was killed and has a log."""
    with Service("damage") as it:
        # Nobody listens there: what is read of devices would only change under our hands.
        it.configure(pdu("pdu", 9), *(node(f"n{n}", feeds=[f"pdu/{n}"]) for n in range(1, 41)),
                     server={"watch": False})
        it.start()
        client = it.client()
        for n in range(1, 41):
            done(client.patch(system(f"n{n}"), {"AssetTag": f"tag {n} " * 10}), "PATCH of a tag")
        for n in range(6):
            body = {"UserName": f"user{n}", "Password": "a long password", "RoleId": "Operator"}
            done(client.request("POST", ACCOUNTS, body), "POST of an account")
        it.kill()
        killed = it.work / "killed"
        shutil.copytree(it.state, killed, ignore=shutil.ignore_patterns("control.sock"))
        it.start()
        equal(it.stop(), 0, "exit status")
        ended = it.work / "ended"
        shutil.copytree(it.state, ended)
    return ended, killed


class Trials:
    """Many damaged copies of one state, each opened once."""

    def __init__(self, source: Path, name: str) -> None:
        self.source, self.name, self.written = source, name, dump(source)
        self.service = Service("damage-trials")
        self.outcomes = {"refused": 0, "whole": 0}

    def one(self, number: int, bytes_: bytes, what: str, older: bool = False) -> None:
        """`older`: what was written last may be missing, if everything before is there."""
        state = WORK / "damage-trials" / f"{self.name}-{number}"
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True)
        for name in NAMES:
            if (self.source / name).exists():
                shutil.copy(self.source / name, state / name)
        (state / self.name).write_bytes(bytes_)
        trial = Service("damage-trials", state=state)
        said = trial.cli("account", "list", "--json")
        if said.returncode == 0:
            read = dump(state)
            if read != self.written and not older:
                lost, new = self.written - read, read - self.written
                raise Failure(f"{what}: taken for good, with {len(lost)} documents lost or changed: "
                              f"{sorted(lost)[:1]} is {sorted(new)[:1]}")
            expect("admin" in said.stdout, f"{what}: the administrator is gone")
            self.outcomes["whole"] += 1
        else:
            named = "rackfish.db" in said.stderr
            way_out = any(word in said.stderr for word in ("backup", "newer rackfish", "move it away"))
            expect(said.returncode in (1, 4) and named and way_out, f"{what}: {said.returncode} {said.stderr[-300:]}")
            equal((state / self.name).read_bytes(), bytes_, f"{what}: bytes of the refused file")
            self.outcomes["refused"] += 1
        shutil.rmtree(state)
        shutil.rmtree(f"{state}-dump", ignore_errors=True)

    def all(self, trials: list[tuple[bytes, str, bool]]) -> None:
        """All of them, two at a time. Most have to be refused, or nothing was proven."""
        with ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(self.one, number, *trial) for number, trial in enumerate(trials)]
            for job in jobs:
                job.result()
        log(f"{self.name}: {self.outcomes}")
        expect(self.outcomes["refused"] > 0, f"nothing was refused: {self.outcomes}")


def flipped(whole: bytes, position: int, bit: int) -> bytes:
    """With one bit the other way round."""
    bent = bytearray(whole)
    bent[position] ^= 1 << bit
    return bytes(bent)


def flips(chance: random.Random, source: Path) -> None:
    """Single bits: all over the file, and every byte of its header."""
    whole = (source / NAMES[0]).read_bytes()
    positions = [*range(0, 100, 1 if LONG else 3), *(chance.randrange(len(whole)) for _ in range(FLIPS))]
    trials = [(flipped(whole, at, bit := chance.randrange(8)), f"seed {SEED}: bit {bit} of byte {at}", False)
              for at in positions]
    Trials(source, NAMES[0]).all(trials)


def runs(chance: random.Random, source: Path) -> None:
    """Whole sectors of zeros or of noise."""
    whole = (source / NAMES[0]).read_bytes()
    trials = []
    for number in range(CUTS):
        at = chance.randrange(len(whole) // 512) * 512
        sector = bytes(512) if number % 2 else chance.randbytes(512)
        trials.append((whole[:at] + sector + whole[at + 512:], f"seed {SEED}: sector at {at}", False))
    Trials(source, NAMES[0]).all(trials)


def cuts(chance: random.Random, source: Path) -> None:
    """Cut at page boundaries and in between; empty."""
    whole = (source / NAMES[0]).read_bytes()
    lengths = [0, 1, 16, 100, 4095, 4096, len(whole) - 1, len(whole) - 4096]
    lengths += [chance.randrange(len(whole) // 4096) * 4096 for _ in range(CUTS // 2)]
    lengths += [chance.randrange(len(whole)) for _ in range(CUTS // 2)]
    Trials(source, NAMES[0]).all([(whole[:length], f"cut to {length} bytes", False) for length in lengths])


def log_flips(chance: random.Random, source: Path) -> None:
    """The log of a service that was killed. In its last transaction a flipped bit looks like a write that was cut."""
    whole = (source / NAMES[1]).read_bytes()
    expect(len(whole) > 20 * 4120, f"the log has only {len(whole)} bytes")
    last = len(whole) - 4 * 4120
    positions = [*range(0, 56, 4), *(chance.randrange(last) for _ in range(LOG_FLIPS))]
    trials = [(flipped(whole, at, bit := chance.randrange(8)), f"seed {SEED}: bit {bit} of byte {at} of the log", False)
              for at in positions]
    Trials(source, NAMES[1]).all(trials)


def log_cuts(chance: random.Random, source: Path) -> None:
    """A log that ends early is one that was cut by a power loss: what was before is there, and never nothing."""
    whole = (source / NAMES[1]).read_bytes()
    lengths = [0, 16, 32, *(chance.randrange(len(whole)) for _ in range(CUTS))]
    trials = Trials(source, NAMES[1])
    trials.all([(whole[:length], f"log cut to {length} bytes", True) for length in lengths])


def serve_refuses(source: Path) -> None:
    """The service itself: exit status 1, the reason and the way out, and nothing made anew."""
    whole = (source / NAMES[0]).read_bytes()
    for number, (bytes_, word) in enumerate(((whole[:len(whole) // 2], "damaged"), (b"", "not an SQLite file"),
                                             (whole.replace(b"Operator", b"Operatoz", 1), "account"))):
        with Service(f"damage-serve-{number}") as it:
            it.configure(pdu("pdu", 9), node("n1", feeds=["pdu/1"]))
            shutil.copytree(source, it.state)
            (it.state / NAMES[0]).write_bytes(bytes_)
            it.launch()
            equal(it.ends(20), 1, "exit status")
            for needed in (word, "rackfish.db", "nothing was changed", "backup"):
                expect(needed in it.said(), f"{needed!r} is not in {it.said()[-400:]}")
            equal((it.state / NAMES[0]).read_bytes(), bytes_, "bytes of the refused file")


def run(checks: Checks) -> None:
    """On copies of two states, so that all can go on side by side with something else."""
    chance = random.Random(SEED)
    ended, killed = made()
    for name, case, source in (("flipped-bits", flips, ended), ("spoilt-sectors", runs, ended), ("cut-short", cuts, ended),
                               ("log-flipped-bits", log_flips, killed), ("log-cut-short", log_cuts, killed)):
        checks.run(f"damage.{name}", lambda case=case, source=source: case(chance, source))
    checks.run("damage.serve-refuses", lambda: serve_refuses(ended))
