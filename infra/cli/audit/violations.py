"""What is told of a rule that does not hold: where, which two figures disagree, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

Figure = tuple[str, int | str]  # whose word it is, and the number or state


class Remedy(StrEnum):
    """What mends a violation; every one of them is there without the audit."""

    RECONCILE = "tradepost reconcile --repair"
    RESUME = "resume or cancel the order: docs/runbooks/needs-attention.md"
    REDRIVE = "tradepost dlq show, then dlq redrive: docs/runbooks/dead-letters.md"
    SWEEP = "the sweep does it each minute; see why it did not: docs/audit.md#sweeps"
    STOCK = "a person has to judge: docs/audit.md#stock"
    JUDGE = "a person has to judge: docs/runbooks/books-differ.md"


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing of which a rule does not hold. `subject` is what it is about, and unlike others.

    `day` is the UTC day under which reconciling finds it, where that mends it.
    """

    rule: str
    subject: str
    one: Figure
    other: Figure
    remedy: Remedy
    day: str | None = None

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """Tell it from others, whatever the figures are at the moment."""
        return self.rule, self.subject, self.one[0], self.other[0]

    @property
    def told(self) -> str:
        return f"{self.subject}: {_said(self.one)}, {_said(self.other)}"

    @property
    def plan(self) -> str:
        """Say what to do in one line."""
        day = f" --day {self.day}" if self.day else ""
        return f"{self.remedy}{day}"


def _said(figure: Figure) -> str:
    return f"{figure[0]} {figure[1]}"


@dataclass(frozen=True, slots=True)
class Checked:
    """A rule, how many things it was checked on, and those of which it does not hold."""

    rule: str
    promise: str
    count: int
    of: str  # what was counted
    violations: tuple[Violation, ...]
