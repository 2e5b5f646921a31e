"""Executions lost without a trace: the sweeps find what was left, and bring it to its end."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest

from infra.local import call_counts
from tests.system.books import agree, items
from tests.system.faults import Fault, Faults, fails_before, is_lost_after, is_lost_before
from tests.system.kinds import ALWAYS, EVERY_STEP, PATHS, UNDO, Shop
from tests.system.shopper import Person

TICKS_MAX = 3
SWEEPS = ("tradepost-local-orders-sweep_orders", "tradepost-local-carts-sweep_checkouts")

# A hold is lost by an undo that nobody asked for: what both sweeps start would meet it anywhere.
SWEPT = PATHS.keys() - {"hold lost"}

At = Callable[[timedelta], None]


class Sweeper:
    """Lets time pass and the sweeps run, as the schedule has them run each minute."""

    def __init__(self, shop: Shop, at: At) -> None:
        self._shop = shop
        self._at = at
        self._ticks = itertools.count(7)

    def tick(self) -> int:
        """Run both sweeps once, minutes after the last writes; tell how many starts that made."""
        before = call_counts.counted().get("stepfunctions.StartExecution", 0)
        self._at(timedelta(minutes=next(self._ticks)))
        for sweep in SWEEPS:
            self._shop.town.stack.pump.fire(sweep)
        self._shop.town.settles()
        return call_counts.counted().get("stepfunctions.StartExecution", 0) - before

    def until_it_ends(self, buyer: Person, order_id: str, sku: str) -> str:
        """Sweep until the order and its checkout have ended; check the books, return the end."""
        for _ in range(TICKS_MAX):
            self.tick()
            order = items("orders", f"ORDER#{order_id}").get("ORDER", {"unfinished": True})
            checkout = items("carts", f"CHECKOUT#{order_id}")["CHECKOUT"]
            if "unfinished" not in order and "running" not in checkout:
                break
        return agree(self._shop.town, buyer, order_id, sku=sku)


@pytest.fixture
def sweeper(shop: Shop, at: At) -> Sweeper:
    return Sweeper(shop, at)


@pytest.mark.parametrize("fault", [is_lost_before, is_lost_after])
@pytest.mark.parametrize(("kind", "step"), [pair for pair in EVERY_STEP if pair[0] in SWEPT])
def test_an_order_whose_execution_is_lost_at_any_step_comes_to_its_end(
    shop: Shop, faults: Faults, sweeper: Sweeper, kind: str, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)
    guest, order_id, sku = shop.sells(kind)
    lost = guest.get(f"/v1/checkouts/{order_id}").json()["status"]

    ended = sweeper.until_it_ends(guest, order_id, sku)

    closed = step in ("carts-consume_cart", "carts-thaw_cart") and fault is is_lost_after
    assert (lost != "RUNNING") is closed
    assert ended == PATHS[kind][1]


@pytest.mark.parametrize("fault", [is_lost_before, is_lost_after])
@pytest.mark.parametrize("step", ["carts-read_checkout", "orders-place_order", *UNDO[1:]])
def test_a_cancelled_order_whose_execution_is_lost_at_any_step_is_given_back(
    shop: Shop, faults: Faults, sweeper: Sweeper, step: str, fault: Fault
) -> None:
    guest, order_id, sku = shop.sells("approved")
    faults.at_step(step, fault)
    guest.post(f"/v1/orders/{order_id}/cancellation", {})
    shop.town.settles()

    assert sweeper.until_it_ends(guest, order_id, sku) == "CANCELLED"


@pytest.mark.parametrize("name", ["functions_carts_app", "functions_orders_app"])
def test_an_order_whose_start_was_lost_comes_to_its_end(
    shop: Shop, sweeper: Sweeper, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    never_starts = SimpleNamespace(
        start=lambda order_id, correlation_id: None, start_again=lambda order_id, _: None
    )
    with monkeypatch.context() as while_lost:
        while_lost.setattr(sys.modules[name], "runner", lambda: never_starts)
        guest, order_id, sku = shop.sells("approved")
        if name == "functions_orders_app":
            guest.post(f"/v1/orders/{order_id}/cancellation", {})

    ended = sweeper.until_it_ends(guest, order_id, sku)

    assert ended == ("CONFIRMED" if name == "functions_carts_app" else "CANCELLED")


def test_an_order_that_may_still_be_worked_on_is_left_alone(
    shop: Shop, at: At, sweeper: Sweeper
) -> None:
    shop.faults.at_step("inventory-reserve_stock", is_lost_before)
    guest, order_id, sku = shop.sells("approved")

    started = Sweeper(shop, lambda _: at(timedelta(minutes=5))).tick()

    assert started == 0
    assert sweeper.until_it_ends(guest, order_id, sku) == "CONFIRMED"


def test_an_order_that_fails_again_and_again_is_taken_up_every_six_minutes(
    shop: Shop, faults: Faults, sweeper: Sweeper
) -> None:
    faults.at_step("inventory-reserve_stock", is_lost_before, times=ALWAYS)
    guest, order_id, sku = shop.sells("approved")

    started = [sweeper.tick() for _ in range(8)]
    faults.clear()

    # The order's sweep and the checkout's, each once in six minutes.
    assert started == [2, 0, 0, 0, 0, 0, 2, 0]
    assert sum(sweeper.tick() for _ in range(6)) == 2
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_an_order_set_aside_is_not_started_again(
    shop: Shop, faults: Faults, sweeper: Sweeper
) -> None:
    faults.at_step("payments-capture_payment", fails_before, times=ALWAYS)
    guest, order_id, _ = shop.sells("approved")
    faults.clear()

    started = [sweeper.tick() for _ in range(3)]

    assert started == [0, 0, 0]
    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "NEEDS_ATTENTION"
    assert guest.get("/v1/cart").json()["status"] == "OPEN"


def test_an_order_set_aside_whose_cart_stayed_frozen_has_it_opened(
    shop: Shop, faults: Faults, sweeper: Sweeper
) -> None:
    faults.at_step("payments-capture_payment", fails_before, times=ALWAYS)
    faults.at_step("carts-set_checkout_aside", fails_before, times=ALWAYS)
    guest, order_id, _ = shop.sells("approved")
    frozen = guest.get("/v1/cart").json()["status"]
    faults.clear()

    sweeper.tick()

    assert frozen == "FROZEN"
    assert guest.get("/v1/cart").json()["status"] == "OPEN"
    assert guest.get(f"/v1/checkouts/{order_id}").json()["status"] == "UNDER_REVIEW"
