"""docs/redfish-properties.md is true: what is served is on the page, and what is on the page somebody writes.

The page also has what no rack at hand shows (a directory that is configured, a subscription with every filter): such names
have to stand in the source of the face. `DMTF_BLESS=1 conformance/run dmtf` adds to the page what was seen.
"""

import os
import re
from pathlib import Path
from typing import Any, Iterable, Iterator

from lib.checks import equal, expect

ROW = re.compile(r"^\| ([A-Z]\w+) \| (.*) \|$", re.MULTILINE)
HEAD = "| Resource | Properties |\n| --- | --- |\n"
# Below these a name is data.
DATA = {"Messages"}
SOURCE = Path("src/api/redfish")


def paths(body: dict, within: str = "") -> Iterator[str]:
    """`Boot/BootSourceOverrideTarget` of every property; what belongs to other resources is left out."""
    for key, value in body.items():
        if "@" in key or key.startswith("#"):
            continue
        path = f"{within}{key}"
        inner = [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, dict)]
        if not within:
            inner = [v for v in inner if not {"@odata.type", "@odata.id"} <= set(v)]  # resources of their own
        if key in DATA:
            path, inner = f"{path}/*", [v for item in inner for v in item.values()]
        yield from sorted({below for item in inner for below in paths(item, f"{path}/")}) or [path]


def of(body: Any) -> Iterator[tuple[str, set[str]]]:
    """Type and properties of a resource, and of those that it holds whole."""
    if not isinstance(body, dict):
        return
    kind = str(body.get("@odata.type", "")).lstrip("#").partition(".")[0]
    if kind:
        yield kind, set(paths(body))
    for value in body.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and "@odata.id" in item:
                yield from of(item)


def gathered(bodies: Iterable[tuple[str, Any]]) -> dict[str, set[str]]:
    """Of everything that was read."""
    found: dict[str, set[str]] = {}
    for _, body in bodies:
        for kind, names in of(body):
            found.setdefault(kind, set()).update(names)
    return {kind: names for kind, names in found.items() if not kind.endswith("Collection")}


def page(root: Path) -> Path:
    """Where it is."""
    return root / "docs/redfish-properties.md"


def listed(text: str) -> dict[str, set[str]]:
    """What the page says."""
    rows = ROW.findall(text.partition(HEAD)[2])
    return {kind: set(re.findall(r"`([^`]+)`", names)) for kind, names in rows}


def check(root: Path, seen: dict[str, set[str]], kinds: set[str]) -> None:
    """Both ways; `kinds` are all types that are declared."""
    text = page(root).read_text()
    known = listed(text)
    if os.environ.get("DMTF_BLESS"):
        for kind, names in seen.items():
            # What is an object now was perhaps an empty one before.
            known[kind] = {n for n in known.get(kind, set()) | names if not any(m.startswith(f"{n}/") for m in names)}
        rows = "".join(f"| {kind} | {', '.join(f'`{n}`' for n in sorted(known[kind]))} |\n" for kind in sorted(known))
        page(root).write_text(text.partition(HEAD)[0] + HEAD + rows)
    equal(sorted(kinds - set(known)), [], "types that the page does not have")
    new = [f"{kind}: {', '.join(sorted(extra)[:5])}" for kind, names in seen.items()
           if (extra := {n for n in names - known.get(kind, set()) if not any(k.startswith(f"{n}/") for k in known.get(kind, ()))})]
    equal(new, [], "served and not on the page (DMTF_BLESS=1 adds it)")
    source = "\n".join(file.read_text() for file in (root / SOURCE).rglob("*.rs"))
    written = set(re.findall(r'"(\w+)"', source)) | {"*"}
    gone = [f"{kind}: {name}" for kind, names in known.items() for name in names
            if not written.issuperset(name.split("/"))]
    equal(gone, [], "on the page, and nothing writes it")
