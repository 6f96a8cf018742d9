"""Nothing is served that the schemas don't know: neither what the descriptors declare, nor a property of any body.

What is declared is read from the table in docs/redfish.md, which a unit test holds to the descriptors: so this covers
resources too that no rack at hand has.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator

from jsonschema import Draft7Validator, FormatChecker

import documents
import properties
from csdl import Schemas, shape
from lib.checks import Checks, equal, expect
from lib.redfish import Client

ROW = re.compile(r"^\| ([^|]+?) \| ([^|]*?) \| ([^|]+?) \| ([^|]+?) \|", re.MULTILINE)
METHOD = re.compile(r"\b(GET|POST|PATCH|PUT|DELETE) \(")
# Not resource types: the documents of the protocol itself, whose names are in small letters, and Task monitors.
LEAST = 60
DMTF = re.compile(r"^http://redfish\.dmtf\.org/schemas/v1/(\w+)\.json#/definitions/(\w+)$")
# DSP0266, "POST (create)": the URI of a collection's members takes POST too.
MEMBERS = "/Members"


def rows(page: Path) -> Iterator[tuple[str, str, list[str], set[str]]]:
    """Name, version, URIs and methods of all that is declared."""
    table = page.read_text().partition("<!-- resources:")[2].partition("<!-- resources end")[0]
    for name, version, uris, methods in ROW.findall(table):
        if name[0].isupper() and name != "Resource":
            yield name, version, re.findall(r"`([^`]+)`", uris), set(METHOD.findall(methods))


def declared(page: Path, schemas: Schemas) -> None:
    """Types, versions, URIs, methods, actions."""
    wrong, seen = [], 0
    for name, version, uris, methods in rows(page):
        seen += 1
        kind, _, action = name.partition(".")
        entity = schemas.entity(kind)
        if entity is None:
            wrong.append(f"no schema defines {kind}")
            continue
        versions = {known.lstrip("v").replace("_", ".") for known in entity.versions} or {""}
        if not action and version not in versions:
            wrong.append(f"{kind} has no version {version or 'at all'}")
        if action and action not in entity.actions:
            wrong.append(f"{kind} has no action {action}")
        for uri in uris:
            place = uri.removesuffix(f"/Actions/{name}").removesuffix(MEMBERS)
            if entity.uris and shape(place) not in entity.uris:
                wrong.append(f"{uri} is no place for {kind}")
        if not action and methods - entity.methods:
            wrong.append(f"{kind} does not take {', '.join(sorted(methods - entity.methods))}")
    expect(seen >= LEAST, f"only {seen} rows were found")
    equal(wrong, [], "what no schema knows")


def bodies(reader: Client) -> Iterator[tuple[str, Any]]:
    """URI and body of everything that can be reached, and the registries, which nothing but a `Uri` leads to."""
    for uri in documents.crawl(reader):
        body = reader.get(uri).body
        yield uri, body
        for place in body.get("Location", []) if isinstance(body, dict) and "Registry" in body else []:
            yield place["Uri"], reader.read(place["Uri"])


def oem(reader: Client, root: Path, schemas: Schemas, everything: list[tuple[str, Any]]) -> None:
    """Our JSON Schemas are what our CSDL says, are schemas, are served, and hold for what is served."""
    made = subprocess.run([sys.executable, str(root / "redfish-schemas/json-schema"), "--check"], text=True,
                          capture_output=True, check=False)
    equal(made.returncode, 0, f"status of the script that makes them ({made.stderr.strip()})")
    judges = {}
    for file in (root / "redfish-schemas/oem").glob("*.json"):
        listed = reader.read(f"/redfish/v1/JsonSchemas/{file.stem}")
        served = reader.read(listed["Location"][0]["Uri"])
        equal(served, json.loads(file.read_text()), f"{file.name} as served")
        Draft7Validator.check_schema(served)
        equal(f"#{file.stem}.{listed['Schema'].rpartition('.')[2]}", listed["Schema"], "Schema")
        judges[listed["Schema"]] = Draft7Validator(_resolved(served, schemas), format_checker=FormatChecker())
    wrong, seen = [], set()
    for uri, body in everything:
        for part in _ours(body):
            seen.add(part["@odata.type"])
            wrong += [f"{uri}: {fault.message}" for fault in judges[part["@odata.type"]].iter_errors(part)]
    equal(wrong[:5], [], "what does not follow our schemas")
    expect(len(seen) >= 3, f"only {sorted(seen)} were seen")


def _resolved(node: Any, schemas: Schemas) -> Any:
    """With DMTF's enumerations in place of references to them."""
    if isinstance(node, list):
        return [_resolved(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    found = DMTF.match(node.get("$ref", "")) if isinstance(node.get("$ref", ""), str) else None
    if found:
        return {"enum": sorted(schemas.members(f"{found[1]}.{found[2]}") or ())}
    return {key: _resolved(value, schemas) for key, value in node.items()}


def _ours(node: Any) -> Iterator[dict]:
    if isinstance(node, dict):
        if str(node.get("@odata.type", "")).startswith("#Rackfish"):
            yield node
        for value in node.values():
            yield from _ours(value)
    elif isinstance(node, list):
        for value in node:
            yield from _ours(value)


def check(checks: Checks, prefix: str, reader: Client, root: Path, folder: Path) -> None:
    """`folder` has the schemas, which come from outside this repository."""
    schemas = Schemas(folder)
    checks.run(f"{prefix}.table", lambda: declared(root / "docs/redfish.md", schemas))
    everything = list(bodies(reader))
    kinds = {name for name, version, _, _ in rows(root / "docs/redfish.md") if version}
    checks.run(f"{prefix}.properties", lambda: properties.check(root, properties.gathered(everything), kinds))
    with checks.check(f"{prefix}.known"):
        wrong, seen = [], set()
        for uri, body in everything:
            kind = body.get("@odata.type", "").lstrip("#") if isinstance(body, dict) else ""
            if kind:
                seen.add(kind)
                wrong += [f"{uri}#{fault}" for fault in schemas.faults(body)]
        expect(len(seen) > 15, f"only {len(seen)} types were seen")
        expect(any(kind.startswith("MessageRegistry.") for kind in seen), "no registry was seen")
        equal(wrong[:8], [], "what no schema knows")
    checks.run(f"{prefix}.oem", lambda: oem(reader, root, schemas, everything))
    with checks.check(f"{prefix}.registry-file"):
        served = reader.read("/redfish/v1/Registries/Rackfish.1.0.0/Rackfish.1.0.0.json")
        equal(served, json.loads((root / "redfish-schemas/registries/Rackfish.1.0.0.json").read_text()), "the registry")
