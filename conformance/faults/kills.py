"""kill -9 at random moments, while several clients write: what was acknowledged is there, nothing is half there."""

import json
import os
import random
import shutil
import sqlite3
import threading
from pathlib import Path

from lib.checks import Checks, Failure, equal, expect, log, until
from lib.toml import node, table
from rig import LONG, Service, pdu, sim, system
from writers import Accounts, Overrides, Subscriptions, Tags, Tasks, Writer

ROUNDS = 400 if LONG else 40
FIRST_STARTS = 60 if LONG else 8
SEED = int(os.environ.get("FAULTS_SEED", "0")) or random.SystemRandom().getrandbits(32)
# What a state folder holds; a kill may leave one of the last two for the next start to take away.
OURS = {"rackfish.db", "rackfish.db-wal", "rackfish.db-shm", "lock", "control.sock", "first-password", "tls",
        "events"}
CUT = {"rackfish.db.new", "rackfish.db.new-journal"}
# A restart that was cut takes its 15 s to be sure before it says "on" again: enough nodes, so that some are idle.
RESTARTED = tuple(f"t{n}" for n in range(1, 9))


class Losses:
    """The service, its devices, its writers, and what was found wrong, by check."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pdu = sim("kills-pdu", "pdu", "--listen", "127.0.0.1:0", "--outlets", "16", "--relay-delay", "150ms")
        self.service = Service("kills")
        self.writers: list[Writer] = [
            Overrides("n1", 1), Overrides("n2", 2), Tags("n3", 3), Tags("n1", 4), Accounts("ann", 5),
            Accounts("bob", 6), Subscriptions("s", 7), Subscriptions("u", 8),
            *(Tasks(name, 9 + n) for n, name in enumerate(RESTARTED)),
        ]
        self.wrong: dict[str, str] = {}
        self.told = threading.Event()
        for writer in self.writers:
            writer.told = self.told

    def configure(self) -> None:
        """Restarts take longer than actions may, so that each becomes a task."""
        names = ("n1", "n2", "n3", *RESTARTED)
        self.service.configure(
            table("patience", action="100ms"), pdu("pdu", self.pdu.port, off_time="200ms"),
            *(node(name, feeds=[f"pdu/{outlet}"]) for outlet, name in enumerate(names, 1)),
            server={"insecure_local_event_destinations": True, "watch": False})

    def say(self, check: str, why: object) -> None:
        """The first thing that went wrong is the one to look at."""
        self.wrong.setdefault(check, f"seed {SEED}: {why}")

    def round(self, number: int) -> None:
        """One life: writers write, the service is killed, and started again."""
        dead = threading.Event()
        threads = [writer.until(dead, self.service.client(timeout=20)) for writer in self.writers]
        if number % 2:
            # Right after somebody was told of a task.
            self.told.clear()
            self.told.wait(1.2)
            dead.wait(self.chance.uniform(0, 0.1))
        else:
            dead.wait(self.chance.uniform(0, 1.2))
        self.service.kill()
        dead.set()
        for thread in threads:
            thread.join(60)
        trouble = [writer.trouble for writer in self.writers if writer.trouble]
        if trouble:
            raise Failure("; ".join(trouble))
        self.look_into_the_file(number)
        if self.chance.random() < 0.2:
            # Killed again before it has come up.
            self.service.launch()
            threading.Event().wait(self.chance.uniform(0, 0.25))
            self.service.kill()
        self.service.start()
        for writer in self.writers:
            try:
                writer.check(self.service.client())
            except Failure as why:
                self.say(kind_of(writer), f"round {number}: {why}")

    def look_into_the_file(self, number: int) -> None:
        """The file as SQLite reads it, each document as JSON."""
        copy = self.service.work / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in ("rackfish.db", "rackfish.db-wal"):
            if (self.service.state / name).exists():
                shutil.copy(self.service.state / name, copy / name)
        try:
            with sqlite3.connect(copy / "rackfish.db") as base:
                verdict = base.execute("PRAGMA integrity_check").fetchone()[0]
                equal(verdict, "ok", "integrity of the file")
                for kind, key, body in base.execute("SELECT kind, key, body FROM doc"):
                    try:
                        json.loads(body)
                    except ValueError:
                        raise Failure(f"{kind} {key} is {body[:80]!r}") from None
        except (Failure, sqlite3.Error) as why:
            self.say("whole", f"round {number}: {why}")

    def leftovers(self) -> None:
        """No temporary files pile up."""
        there = {entry.name for entry in self.service.state.iterdir()}
        expect(there <= OURS, f"in the state folder: {sorted(there - OURS)}")
        tls = {entry.name for entry in (self.service.state / "tls").iterdir()}
        expect(len(tls) <= 6, f"in tls: {sorted(tls)}")

    def restarts(self) -> None:
        """No node is left off, and no relay has moved more often than it was told to."""
        for name in RESTARTED:
            self.service.sees(name, "On", 60)
        cycles = 0
        busy = lambda name: self.service.client().read(system(name))["Oem"]["Rackfish"].get("Operation")
        for name in RESTARTED:
            until(lambda name=name: busy(name), None, 60, f"operation of {name}")
            writer = next(w for w in self.writers if isinstance(w, Tasks) and w.node == name)
            counts = self.pdu.stats()["outlets"][str(4 + RESTARTED.index(name))]
            log(f"{name}: {writer.sent} restarts sent, {counts}")
            equal(counts["off"], counts["on"], f"offs and ons of {name}")
            expect(counts["off"] <= writer.sent, f"{name} was cut {counts['off']} times for {writer.sent} restarts")
            cycles += counts["off"]
        expect(cycles >= len(RESTARTED), f"{cycles} restarts were made: nothing was proven")


def kind_of(writer: Writer) -> str:
    """Which check it belongs to."""
    return {Overrides: "overrides", Tags: "overrides", Accounts: "accounts", Subscriptions: "subscriptions",
            Tasks: "tasks"}[type(writer)]


def first_starts(chance: random.Random) -> None:
    """Killed while it starts for the first time, at any moment: the next start makes the rest."""
    for number in range(FIRST_STARTS):
        with Service(f"kills-first-{number}") as it:
            it.configure()
            for _ in range(chance.randint(1, 3)):
                it.launch()
                threading.Event().wait(chance.uniform(0, 0.4))
                it.kill()
            it.start()
            equal(it.client().get("/redfish/v1/Systems").status, 200, "status with the first password")
            there = {entry.name for entry in it.state.iterdir()}
            expect(there <= OURS, f"in the state folder: {sorted(there - OURS - CUT)}, {sorted(there & CUT)}")
            expect(it.stop() == 0, "it did not end well")
            shutil.rmtree(Path(it.work))


def run(checks: Checks) -> None:
    """All rounds, then what they have shown."""
    log(f"kills: seed {SEED} (FAULTS_SEED), {ROUNDS} rounds")
    chance = random.Random(SEED)
    checks.run("kills.first-start", lambda: first_starts(chance))
    losses = Losses(chance)
    try:
        losses.configure()
        losses.service.start()
        with checks.check("kills.opens"):
            for number in range(ROUNDS):
                losses.round(number)
        for name in ("overrides", "accounts", "subscriptions", "tasks", "whole"):
            with checks.check(f"kills.{name}"):
                if name in losses.wrong:
                    raise Failure(losses.wrong[name])
        writes = sum(writer.count for writer in losses.writers)
        log(f"kills: {writes} writes")
        checks.run("kills.leftovers", losses.leftovers)
        checks.run("kills.restarts", losses.restarts)
        with checks.check("kills.enough"):
            counts = {writer.name: writer.count for writer in losses.writers}
            expect(all(count >= ROUNDS // 4 for count in counts.values()), f"too few writes: {counts}")
    finally:
        losses.service.__exit__()
        losses.pdu.end()
