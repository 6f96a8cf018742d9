"""What CSDL schemas say of a type: properties, enumerations, URIs, methods, actions. A reader of our own, so that what is
served is not judged by one tool alone."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Iterator

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
COLLECTION = re.compile(r"^Collection\((.*)\)$")
VERSION = re.compile(r"^v(\d+)_(\d+)_(\d+)$")
DEPTH = 100  # of bases, and of objects in objects


@dataclass
class Type:
    """An entity or complex type with what it inherits."""

    properties: dict[str, str] = field(default_factory=dict)  # name -> type
    required: set[str] = field(default_factory=set)
    excerpts: set[str] = field(default_factory=set)  # whose values are parts of resources
    patterns: list[tuple[re.Pattern, str]] = field(default_factory=list)  # names that nobody lists -> type
    open: bool = False


@dataclass
class Entity:
    """What the unversioned namespace of a resource type says."""

    uris: set[str] = field(default_factory=set)
    methods: set[str] = field(default_factory=lambda: {"GET"})
    actions: dict[str, set[str]] = field(default_factory=dict)  # name -> parameters
    versions: list[str] = field(default_factory=list)


def _number(namespace: str) -> tuple[int, ...] | None:
    """`(1, 20, 0)` of `ServiceRoot.v1_20_0`."""
    found = VERSION.match(namespace.partition(".")[2])
    return tuple(map(int, found.groups())) if found else None


def shape(uri: str) -> str:
    """A URI pattern without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", uri.rstrip("/"))


class Schemas:
    """A folder of CSDL files."""

    def __init__(self, folder: Path) -> None:
        self._namespaces: dict[str, ElementTree.Element] = {}
        for file in sorted(folder.glob("*_v1.xml")):
            for schema in ElementTree.parse(file).getroot().iter(f"{EDM}Schema"):
                self._namespaces[schema.get("Namespace", "")] = schema

    def _find(self, name: str, *kinds: str) -> ElementTree.Element | None:
        namespace, _, local = name.rpartition(".")
        schema = self._namespaces.get(namespace)
        found = () if schema is None else (e for k in kinds for e in schema.findall(f"{EDM}{k}[@Name='{local}']"))
        return next(iter(found), None)

    def _newest(self, name: str, within: str) -> str:
        """What `ServiceRoot.v1_3_0.Links` stands for in a body whose own type is `within`, `ServiceRoot.v1_20_0`: the
        newest of that name, and of the body's own schema none that is newer than the body (DSP0266, "Schema
        versioning")."""
        namespace, _, local = name.rpartition(".")
        schema = namespace.partition(".")[0]
        ceiling = _number(within) if within.startswith(f"{schema}.") else None
        versions = [(number, candidate) for candidate in self._namespaces
                    if candidate.startswith(f"{schema}.") and (number := _number(candidate))
                    and (ceiling is None or number <= ceiling)
                    and self._find(f"{candidate}.{local}", "EntityType", "ComplexType") is not None]
        return f"{max(versions)[1]}.{local}" if versions else name

    @cache
    def type(self, name: str, within: str) -> Type | None:
        """Of a property's value, or `None` if no file defines it."""
        found, out, at = None, Type(), self._newest(name, within)
        for _ in range(DEPTH):
            element = self._find(at, "EntityType", "ComplexType")
            if element is None:
                break
            found = True
            for kind in ("Property", "NavigationProperty"):
                for prop in element.findall(f"{EDM}{kind}"):
                    out.properties.setdefault(prop.get("Name", ""), prop.get("Type", ""))
                    # What is deprecated is missed by nobody, whatever an older version required.
                    old = any(v.get("EnumMember", "").endswith("/Deprecated") for v in prop.iter(f"{EDM}PropertyValue"))
                    if prop.find(f"{EDM}Annotation[@Term='Redfish.Required']") is not None and not old:
                        out.required.add(prop.get("Name", ""))
                    if prop.find(f"{EDM}Annotation[@Term='Redfish.ExcerptCopy']") is not None:
                        out.excerpts.add(prop.get("Name", ""))
            more = element.find(f"{EDM}Annotation[@Term='OData.AdditionalProperties']")
            out.open |= more is not None and more.get("Bool", "true") == "true"
            for record in element.findall(f"{EDM}Annotation[@Term='Redfish.DynamicPropertyPatterns']//{EDM}Record"):
                said = {p.get("Property"): p.get("String", "") for p in record.findall(f"{EDM}PropertyValue")}
                out.patterns.append((re.compile(said["Pattern"]), said["Type"]))
            at = element.get("BaseType", "")
        return out if found else None

    def members(self, name: str) -> set[str] | None:
        """Values of an enumeration."""
        element = self._find(name, "EnumType")
        return None if element is None else {m.get("Name", "") for m in element.findall(f"{EDM}Member")}

    @cache
    def entity(self, schema: str) -> Entity | None:
        """A resource type."""
        element = self._find(f"{schema}.{schema}", "EntityType")
        if element is None:
            return None
        out = Entity()
        for text in element.findall(f"{EDM}Annotation[@Term='Redfish.Uris']//{EDM}String"):
            out.uris.add(shape(text.text or ""))
        for method, word in (("POST", "Insertable"), ("PATCH", "Updatable"), ("DELETE", "Deletable")):
            for value in element.iter(f"{EDM}PropertyValue"):
                if value.get("Property") == word and value.get("Bool") == "true":
                    out.methods.add(method)
        for namespace, body in self._namespaces.items():
            first, _, version = namespace.partition(".")
            if first != schema:
                continue
            if VERSION.match(version):
                out.versions.append(version)
            for action in body.findall(f"{EDM}Action"):
                out.actions[action.get("Name", "")] = {p.get("Name", "") for p in action.findall(f"{EDM}Parameter")}
        out.versions.sort(key=lambda v: tuple(map(int, VERSION.match(v).groups())))
        return out

    def faults(self, body: dict, where: str = "") -> Iterator[str]:
        """What in a body is not as its type has it: unknown names, unknown words, missing properties."""
        kind = body.get("@odata.type", "").lstrip("#")
        yield from self._object(body, kind, kind.rpartition(".")[0], where, 0)

    def _value(self, value: Any, kind: str, within: str, where: str, depth: int) -> Iterator[str]:
        inner = COLLECTION.match(kind)
        if inner and isinstance(value, list):
            for index, item in enumerate(value):
                yield from self._value(item, inner[1], within, f"{where}/{index}", depth + 1)
        elif inner or isinstance(value, list):
            yield f"{where}: {kind} is {type(value).__name__}"
        elif isinstance(value, dict) and "@odata.type" in value:
            kind = value["@odata.type"].lstrip("#")
            yield from self._object(value, kind, kind.rpartition(".")[0], where, depth + 1)
        elif isinstance(value, dict):
            yield from self._object(value, kind, within, where, depth + 1)
        elif isinstance(value, str) and (words := self.members(kind)) is not None and value not in words:
            yield f"{where}: {kind} has no {value!r}"

    def _object(self, body: dict, kind: str, within: str, where: str, depth: int) -> Iterator[str]:
        if set(body) <= {"@odata.id"}:
            return  # a link
        known = self.type(kind, within)
        if known is None or depth > DEPTH:
            yield f"{where}: nobody defines {kind}"
            return
        yield from (f"{where}: {kind} needs {name}" for name in sorted(known.required - set(body)))
        for key, value in body.items():
            at = f"{where}/{key}"
            name = key.partition("@")[0]
            if key.startswith("#") or not name:
                continue  # actions, which the schema has elsewhere, and annotations of the object itself
            inside = known.properties.get(name)
            if inside is None:
                inside = next((of for pattern, of in known.patterns if pattern.match(name)), None)
            if inside is None and not known.open:
                yield f"{at}: {kind} has no {name}"
            elif inside is not None and name == key:
                found = self._value(value, inside, within, at, depth)
                yield from (f for f in found if name not in known.excerpts or " needs " not in f)
