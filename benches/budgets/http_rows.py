"""GET System beside a bare handler and beside sushy-emulator: ratios of `cargo bench --bench http`."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Iterator

from rows import Row

LINE = re.compile(r"^(?P<what>\S.*?)\s{2,}(?P<ratio>[\d.]+) \((?P<range>[\d.]+-[\d.]+)\)\s+(?P<goal>[\d.]+|-)\s")


def emulator(root: Path) -> Path:
    """sushy-emulator in an environment of its own."""
    venv = root / "target" / "bench-venv"
    program = venv / "bin" / "sushy-emulator"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        subprocess.run([str(venv / "bin" / "pip"), "-q", "install", "sushy-tools==2.2.0"], check=True)
    return program


def ratios(root: Path) -> Iterator[Row]:
    """Medians of seven rounds."""
    env = {**os.environ, "SUSHY_EMULATOR": str(emulator(root))}
    said = subprocess.run(["cargo", "bench", "--locked", "--bench", "http"], cwd=root, env=env, text=True,
                          capture_output=True, check=True).stdout
    for line in said.splitlines():
        found = LINE.match(line)
        if found:
            what, _, beside = found["what"].partition(", beside ")
            least = None if found["goal"] == "-" else float(found["goal"])
            if beside:
                name = f"GET System, {what}, beside {beside}"
                yield Row(name, float(found["ratio"]), "x", beside, least=least, note=found["range"])


ALL = (ratios,)
