"""The sample of docs/CONTRIBUTING.md: the file, and the lines by which it is known."""

import re
from dataclasses import dataclass
from pathlib import Path

from lib.checks import Failure, expect

FILE = re.compile(r"`(src/api/redfish/resources/\w+\.rs)`:\n\n```rust\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINES = re.compile(r"^```diff\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SCHEMA = re.compile(r'schema: "(\w+)",\s+version: "(\w+)",\s+uris: &\[URI\]')
URI = re.compile(r'pub const URI: &str = "([^"]+)";')


@dataclass
class Sample:
    """As printed."""

    path: str
    text: str
    lines: str

    @staticmethod
    def read(page: Path) -> "Sample":
        """Finds it on the page; there is one."""
        text = page.read_text()
        files, lines = FILE.findall(text), LINES.findall(text)
        expect(len(files) == 1 and len(lines) == 1, f"{page.name} prints {len(files)} samples and {len(lines)} diffs")
        return Sample(files[0][0], files[0][1], lines[0])

    @property
    def type(self) -> tuple[str, str]:
        """`ServiceConditions`, `v1_0_1`."""
        found = SCHEMA.search(self.text)
        if not found:
            raise Failure("the sample has no descriptor")
        return found[1], found[2]

    @property
    def uri(self) -> str:
        """Where it is."""
        found = URI.search(self.text)
        if not found:
            raise Failure("the sample says no URI")
        return found[1]

    def into(self, tree: Path) -> list[Path]:
        """Does what the page says: writes the file and puts each line behind the one that is printed before it.
        Returns what was touched."""
        target = tree / self.path
        expect(not target.exists(), f"{self.path} is in the tree already: print another sample")
        target.write_text(self.text)
        touched, file, before = [target], None, None
        for line in self.lines.splitlines():
            if line.startswith("+++ "):
                file = tree / line[4:].removeprefix("b/")
                touched.append(file)
            elif line.startswith(" "):
                before = line[1:]
            elif line.startswith("+"):
                expect(file and before, f"no line is printed before {line!r}")
                found = file.read_text().splitlines()
                expect(found.count(before) == 1, f"{file.name} has {before!r} {found.count(before)} times")
                found.insert(found.index(before) + 1, line[1:])
                file.write_text("\n".join(found) + "\n")
        expect(len(touched) == 4, f"the page names {len(touched) - 1} more files, expected three")
        return touched
