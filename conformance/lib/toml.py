"""The text of a configuration, from Python values."""

import json
from typing import Any


def value(given: Any) -> str:
    """A value in TOML: texts, numbers and lists are written as in JSON, tables with an equals sign."""
    if isinstance(given, dict):
        return "{ " + ", ".join(f"{key} = {value(item)}" for key, item in given.items()) + " }"
    if isinstance(given, (list, tuple)):
        return "[" + ", ".join(value(item) for item in given) + "]"
    return json.dumps(given)


def table(head: str, **keys: Any) -> str:
    """A table of the configuration."""
    return f"[{head}]\n" + "".join(f"{key} = {value(item)}\n" for key, item in keys.items())


def node(name: str, **keys: Any) -> str:
    """A node."""
    return table(f"nodes.{name}", **keys)
