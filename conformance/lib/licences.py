"""The terms of what we link, held against `deny.toml`: the same file and the same answers as `cargo deny check
licenses sources bans`, without having to install it. Advisories need its database and stay with it."""

import json
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from .checks import expect

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
TOKEN = re.compile(r"\(|\)|[^\s()/]+|/")


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences. `/` is how old manifests write OR."""
    tokens = TOKEN.findall(expression)

    def any_of() -> bool:
        result = all_of()
        while tokens and tokens[0] in ("OR", "/"):
            tokens.pop(0)
            result = all_of() or result
        return result

    def all_of() -> bool:
        result = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            result = one() and result
        return result

    def one() -> bool:
        token = tokens.pop(0)
        if token == "(":
            result = any_of()
            tokens.pop(0)
            return result
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
        return token in allowed

    try:
        return any_of() and not tokens
    except IndexError:
        return False


@dataclass
class Terms:
    """The packages of the lock file and the rules for them."""

    packages: list[dict]
    rules: dict

    @classmethod
    def load(cls, root: str) -> "Terms":
        """Reads `cargo metadata` and `deny.toml`."""
        command = ["cargo", "metadata", "--all-features", "--locked", "--format-version", "1"]
        data = json.loads(subprocess.run(command, cwd=root, check=True, capture_output=True).stdout)
        own = set(data["workspace_members"])
        packages = [package for package in data["packages"] if package["id"] not in own]
        return cls(packages, tomllib.loads((Path(root) / "deny.toml").read_text()))

    def check_licences(self) -> None:
        """Every package's licence can be met with the allowed ones."""
        rules = self.rules["licenses"]
        extra: dict[str, list[str]] = {}
        for exception in rules.get("exceptions", []):
            extra.setdefault(exception["crate"], []).extend(exception["allow"])
        stated = {entry["crate"]: entry["expression"] for entry in rules.get("clarify", [])}
        wrong = []
        for package in self.packages:
            name = package["name"]
            licence = stated.get(name) or package.get("license") or ""
            if not satisfied(licence, set(rules["allow"]) | set(extra.get(name, []))):
                wrong.append(f"{name} {package['version']} ({licence or 'no licence expression'})")
        expect(self.packages, "cargo metadata names no dependency")
        expect(not wrong, f"not within deny.toml [licenses]: {', '.join(wrong)}")

    def check_sources(self) -> None:
        """Every package comes from a registry that is allowed."""
        allowed = {f"registry+{url}" for url in self.rules["sources"]["allow-registry"]}
        expect(allowed == {CRATES_IO}, f"deny.toml [sources] allows {sorted(allowed)}, expected crates.io alone")
        wrong = [f"{p['name']} ({p['source'] or 'a path'})" for p in self.packages if p["source"] not in allowed]
        expect(not wrong, f"not from crates.io: {', '.join(wrong)}")

    def check_bans(self) -> None:
        """No package is there that we decided against."""
        denied = {entry["crate"]: entry.get("reason", "") for entry in self.rules["bans"].get("deny", [])}
        found = {p["name"] for p in self.packages} & denied.keys()
        expect(not found, "; ".join(f"{name} is banned: {denied[name]}" for name in sorted(found)))
