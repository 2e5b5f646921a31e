"""What an order asks of AWS stays within the budget that the document states."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from infra.local import call_counts
from tests.system.shopper import Person, Town

DOCUMENT = Path(__file__).parents[2] / "docs" / "calls-per-order.md"


def test_a_promotion_and_tax_cost_a_checkout_no_call_more(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the checkout itself asks, without the execution that it starts.
    never_starts = SimpleNamespace(start=lambda order_id, correlation_id: None)
    monkeypatch.setattr(sys.modules["functions_carts_app"], "runner", lambda: never_starts)
    town.sells("MUG", on_hand=10, amount_minor=1000)
    promotion = {"kind": "percent", "basis_points": 1000, "starts_at": "2020-01-01T00:00:00Z"}
    rate = {"tax_class": "standard", "rate_ppm": 200_000, "valid_from": "2020-01-01"}
    plain, reduced = town.guest(), town.guest()
    for guest in (plain, reduced):
        guest.fills_cart(MUG=1)
    made = [asked_by(plain, 1000)]

    town.admin.put("/v1/staff/promotions/SPRING", promotion)
    town.admin.put("/v1/staff/taxes/GB", {"prices_include_tax": True, "rates": [rate]})
    reduced.put("/v1/cart/promotions/SPRING", None)
    made.append(asked_by(reduced, 900))

    assert made[0] == made[1]
    assert made[0]["dynamodb.BatchGetItem"] == 1


def asked_by(guest: Person, total: int) -> dict[str, int]:
    before = call_counts.counted()
    assert guest.checks_out(total).status_code == 202
    after = call_counts.counted()
    made = {call: after[call] - before.get(call, 0) for call in after}
    return {call: count for call, count in made.items() if count}


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
