"""What an order asks of AWS stays within the budget that the document states."""

from __future__ import annotations

import re
from pathlib import Path

from infra.local import call_counts
from tests.system.shopper import Town

DOCUMENT = Path(__file__).parents[2] / "docs" / "calls-per-order.md"


def test_an_order_of_one_line_stays_within_its_budget_of_calls(town: Town) -> None:
    budget = {
        call: int(count)
        for call, count in re.findall(r"\| `(\w+\.\w+)` \| (\d+) \|", DOCUMENT.read_text())
    }
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    before = call_counts.counted()

    guest.put("/v1/cart/lines/MUG", {"quantity": 1})
    guest.checks_out(1250)
    town.settles()

    after = call_counts.counted()
    made = {call: after[call] - before.get(call, 0) for call in after}
    assert {call: count for call, count in made.items() if count > budget.get(call, 0)} == {}
