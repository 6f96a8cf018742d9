"""The OData documents, which no validator reads: `$metadata` and the service document, against what is served.

Every reference has to lead to a schema that defines what it is said to include, every type that a resource names has
to be included, and the service document has to list what the service root links to.
"""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Iterator

import yaml

from lib.checks import Checks, equal, expect
from lib.redfish import Client

EDMX = "{http://docs.oasis-open.org/odata/ns/edmx}"
EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
V1 = "/redfish/v1"
METADATA = f"{V1}/$metadata"
# The vocabularies of OData itself, which no Redfish release publishes.
ELSEWHERE = "docs.oasis-open.org"
MOST = 2000  # resources


def check(checks: Checks, prefix: str, reader: Client, stranger: Client, schemas: Path) -> None:
    """`reader` has logged in, `stranger` has not: both documents are open."""
    included: dict[str, str] = {}
    answer = stranger.get(METADATA, headers={"Accept": "application/xml"})
    with checks.check(f"{prefix}.metadata-references"):
        equal(answer.status, 200, "status")
        equal(answer.headers["content-type"].split(";")[0], "application/xml", "Content-Type")
        tree = ElementTree.fromstring(answer.raw)
        wrong = []
        for reference in tree.iter(f"{EDMX}Reference"):
            uri = reference.get("Uri", "")
            names = {include.get("Namespace", "") for include in reference.iter(f"{EDMX}Include")}
            included.update(dict.fromkeys(names, uri))
            if ELSEWHERE not in uri:
                missing = names - _namespaces(uri, stranger, schemas)
                wrong += [f"{uri} does not define {name}" for name in sorted(missing)]
        equal(wrong, [], "references that lead nowhere")
        expect(len(included) > 20, f"only {len(included)} namespaces")
    with checks.check(f"{prefix}.metadata-container"):
        containers = list(ElementTree.fromstring(answer.raw).iter(f"{EDM}EntityContainer"))
        equal(len(containers), 1, "number of entity containers")
        base = containers[0].get("Extends", "").rpartition(".")[0]
        expect(base in included, f"it extends something of {base!r}, which is not included")
    with checks.check(f"{prefix}.metadata-types"):
        types = dict(_types(reader))
        expect(len(types) > 15, f"only {len(types)} types were found")
        absent = {name: where for name, where in types.items() if name not in included}
        equal(absent, {}, "types in use that $metadata does not include")
    with checks.check(f"{prefix}.openapi"):
        answer = reader.get(f"{V1}/openapi.yaml", headers={"Accept": "application/yaml"})
        equal(answer.headers.get("content-type"), "application/yaml", "Content-Type")
        _openapi(yaml.safe_load(answer.raw), reader)
    with checks.check(f"{prefix}.service-document"):
        document = stranger.read(f"{V1}/odata")
        equal(document.get("@odata.context"), METADATA, "@odata.context")
        listed = {entry["url"] for entry in document["value"] if {"name", "kind", "url"} <= set(entry)}
        equal(len(listed), len(document["value"]), "number of whole entries")
        root = stranger.read(f"{V1}/")
        links = {value["@odata.id"] for value in root.values() if isinstance(value, dict) and "@odata.id" in value}
        equal(sorted((links | {f"{V1}/"}) - listed), [], "links of the root that are not listed")


def _namespaces(uri: str, stranger: Client, schemas: Path) -> set[str]:
    if uri.startswith("/"):
        answer = stranger.get(uri, headers={"Accept": "application/xml"})
        document = ElementTree.fromstring(answer.raw) if answer.status == 200 else None
    else:
        file = schemas / uri.rpartition("/")[2]
        document = ElementTree.parse(file).getroot() if file.is_file() else None
    return set() if document is None else {schema.get("Namespace", "") for schema in document.iter(f"{EDM}Schema")}


def _openapi(document: dict, reader: Client) -> None:
    """Every resource has a path, which has the methods that it allows and no others."""
    expect(document["openapi"].startswith("3."), "it is no OpenAPI 3")
    paths = {re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$"): {m.upper() for m in item} - {"PARAMETERS"}
             for path, item in document["paths"].items()}
    wrong = []
    for uri in {where for _, where in _types(reader)}:
        found = [methods for path, methods in paths.items() if path.match(uri)]
        allowed = set(reader.get(uri).headers["allow"].split(", ")) - {"HEAD"}
        if allowed not in found:
            wrong.append(f"{uri} allows {sorted(allowed)}, the document says {found}")
    equal(wrong, [], "paths that are wrong")


def crawl(reader: Client) -> Iterator[str]:
    """The URI of everything that links lead to."""
    seen, todo = set(), [f"{V1}/"]
    while todo and len(seen) < MOST:
        uri = todo.pop()
        if uri in seen:
            continue
        seen.add(uri)
        yield uri
        for key, value in _members(reader.get(uri).body):
            if key == "@odata.id" and value.startswith("/") and "#" not in value:
                todo.append(value)


def _types(reader: Client) -> Iterator[tuple[str, str]]:
    """Namespace of every type in use, and one place where it is."""
    for uri in crawl(reader):
        for key, value in _members(reader.get(uri).body):
            if key == "@odata.type":
                yield value.lstrip("#").rpartition(".")[0], uri


def _members(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str):
                yield key, value
            else:
                yield from _members(value)
    elif isinstance(node, list):
        for value in node:
            yield from _members(value)
