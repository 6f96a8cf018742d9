"""A rackfish whose devices are the script `relay`: boards are folders, and what was called stands in their logs."""

from pathlib import Path
from typing import Any

from lib.service import WORK
from lib.toml import table

RELAY = str(Path(__file__).with_name("relay"))
# What the configuration's secret is taken from.
TOKEN = {"RELAY_TOKEN": "t0ken"}


class Board:
    """A folder with units. Its name is what `{address}` stands for: no shell may ever read it."""

    def __init__(self, name: str, *units: str) -> None:
        self.folder = WORK / name
        self.folder.mkdir(parents=True)
        for unit in units:
            self.set(unit, "off")

    def set(self, unit: str, state: str) -> None:
        """Somebody at the board switches it."""
        (self.folder / unit).write_text(f"{state}\n")

    def state(self, unit: str) -> str:
        """What it is."""
        return (self.folder / unit).read_text().strip()

    def fault(self, unit: str, kind: str, word: str | None) -> None:
        """`fails`, `hangs`, `sticks`; `None` ends it."""
        path = self.folder / f"{unit}.{kind}"
        path.write_text(word) if word else path.unlink()

    def calls(self) -> list[str]:
        """What was called so far, but for looks."""
        log = self.folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if not line.startswith(("status", "line"))]

    def command(self, word: str) -> list[str]:
        """The command of a configuration."""
        return [RELAY, "{address}", word, "{unit}"]

    def endpoint(self, name: str, *units: str, **keys: Any) -> str:
        """An endpoint of driver `exec`."""
        return table(f"endpoints.{name}", driver="exec", units=units, address=str(self.folder), on=self.command("on"),
                     off=self.command("off"), timeout="1s", off_time="300ms", poll="500ms", **keys)
