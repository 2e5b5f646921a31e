"""An audit: the tables are read, and read again before a contradiction in them is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from infra.cli.audit.rows import Books
from infra.cli.audit.rules import checked
from infra.cli.audit.violations import Checked, Remedy, Violation

# A shop that is open moves between the reading of one table and of the next. What contradicts
# itself in each of so many readings is taken for true.
READINGS = 3
PAUSE_SECONDS = 2.0


def audited(read: Callable[[], Books], pause: Callable[[float], None]) -> list[Checked]:
    """Check every rule, and tell only of violations that stay. Raises what `read` raises."""
    found = checked(read())
    for _ in range(READINGS - 1):
        if not violations(found):
            break
        pause(PAUSE_SECONDS)
        again = checked(read())
        before = {one.identity for one in violations(found)}
        found = [
            replace(
                each,
                violations=tuple(one for one in each.violations if one.identity in before),
            )
            for each in again
        ]
    return found


def violations(found: Iterable[Checked]) -> list[Violation]:
    """List every violation, in the order of the rules."""
    return [one for each in found for one in each.violations]


def days_to_reconcile(found: Iterable[Checked], today: str) -> list[str]:
    """Name the days whose reconciliation can mend something, each once."""
    return sorted({one.day or today for one in violations(found) if one.remedy is Remedy.RECONCILE})
