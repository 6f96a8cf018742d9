"""The table of budgets: every row of docs/performance.md, measured now."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(Path(__file__).resolve().parent))

import http_rows
import scale_rows
from lib import procs
from rows import Row

BASELINE = ROOT / "benches" / "baseline.json"


def build() -> None:
    """The program as it is shipped."""
    given = os.environ.get("RACKFISH_BIN")
    if not given:
        subprocess.run(["cargo", "build", "--release", "--locked", "--bin", "rackfish"], cwd=ROOT, check=True)
        os.environ["RACKFISH_BIN"] = str(ROOT / "target" / "release" / "rackfish")


def table(rows: list[Row], before: dict[str, float]) -> str:
    """As in docs/performance.md."""
    lines = ["| what | goal | measured | before | beside |", "| --- | --- | --- | --- | --- |"]
    for row in rows:
        old = f"{before[row.what]:.3g}" if row.what in before else ""
        mark = "" if row.met else " **missed**"
        lines.append(f"| {row.what} | {row.goal} | {row.shown}{mark} | {old} | {row.beside} |")
    return "\n".join(lines)


def main() -> int:
    build()
    procs.adopt_orphans()
    work = Path(tempfile.mkdtemp(prefix="rackfish-bench-"))
    os.environ["CONF_WORK"] = str(work)
    before = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    rows: list[Row] = []
    try:
        for measure in (*http_rows.ALL, *scale_rows.ALL):
            print(f"# {measure.__name__}", file=sys.stderr, flush=True)
            for row in measure(ROOT):
                print(f"#   {row.what}: {row.shown}", file=sys.stderr, flush=True)
                rows.append(row)
    finally:
        procs.end_tree(os.getpid())
        shutil.rmtree(work, ignore_errors=True)
    print(table(rows, before))
    if "--save" in sys.argv[1:]:
        BASELINE.write_text(json.dumps({row.what: row.figure for row in rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
