"""One line of the table."""

from dataclasses import dataclass


@dataclass
class Row:
    """What was measured, what is wanted, and what it stands beside."""

    what: str
    figure: float
    unit: str
    beside: str
    least: float | None = None
    most: float | None = None
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the goal is."""
        return (self.least is None or self.figure >= self.least) and (self.most is None or self.figure <= self.most)

    @property
    def goal(self) -> str:
        """For people."""
        if self.least is not None:
            return f"{self.least:g} {self.unit} or more".replace("  ", " ")
        return f"{self.most:g} {self.unit} at most".replace("  ", " ") if self.most is not None else "-"

    @property
    def shown(self) -> str:
        """For people."""
        digits = f"{self.figure:.3g}" if self.figure < 1000 else f"{self.figure:.0f}"
        return f"{digits} {self.unit}".strip() + (f" ({self.note})" if self.note else "")
