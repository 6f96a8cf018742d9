"""Command blocks of README.md: ```sh fences, each with a comment before it that says how it is run.

    <!-- readme: NAME -->             run by the recipe of that name in main.py
    <!-- readme: skip (why) -->       not run: a block that would run this suite within itself
"""

import re
from dataclasses import dataclass

BLOCK = re.compile(r"(?:<!-- readme: (?P<mark>[^>]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$",
                   re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|#)([^)#\s]+)")


@dataclass(frozen=True)
class Block:
    """One fence."""

    mark: str
    language: str
    text: str


def blocks(readme: str) -> list[Block]:
    """All fences, in order."""
    return [Block(m["mark"] or "", m["language"], m["text"]) for m in BLOCK.finditer(readme)]


def links(readme: str) -> list[str]:
    """Targets of links into the checkout."""
    return LINK.findall(readme)
