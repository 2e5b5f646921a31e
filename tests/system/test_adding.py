"""Units added to an order before its parcel is packed: they are sold, and their price is taken.

Whatever fails, comes twice, is refused or meets a cancelling or the parcel on the way, the books
agree: the order has what was paid for and paid for what it has, or it is as it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.system.books import items
from tests.system.edits import PRICE, UNCHANGED, Bought
from tests.system.faults import (
    Fault,
    Faults,
    answers_twice,
    dies_after,
    fails_after,
    fails_before,
    failure,
    is_lost_after,
    is_lost_before,
    others_have_ended,
    run_whole,
)
from tests.system.kinds import ALWAYS, Shop

# What an order passes through when units are added to it, each step once but for reading the edit.
BEFORE_THE_PIVOT = [
    "orders-read_edit",
    "shipping-hold_back_parcel",
    "inventory-hold_added",
    "payments-authorize_supplement",
    "orders-begin_edit",
]
TAKING = [
    "payments-capture_supplement",
    "inventory-commit_added",
    "orders-apply_edit",
    "inventory-take_back",
    "shipping-let_parcel_go",
    "orders-close_edit",
]
OWN = [*BEFORE_THE_PIVOT, *TAKING]
UNDO = [
    "orders-undo_edit",
    "payments-void_supplement",
    "inventory-release_added",
    "shipping-let_parcel_go",
    "orders-close_edit",
]
# Whose calls of AWS no edit that only takes out makes.
NEW = [OWN[2], OWN[3], OWN[4], OWN[5], OWN[6]]

ONE_MORE = (3, 3 * PRICE, 0)


@pytest.fixture
def bought(shop: Shop) -> Bought:
    return Bought(shop, wants=3)


class TestMoreUnits:
    def test_what_is_added_is_sold_and_the_difference_taken(self, bought: Bought) -> None:
        answer = bought.edited()

        assert (answer.status_code, answer.json()["status"]) == (202, "EDITING")
        assert answer.json()["edit"]["due"]["amount_minor"] == PRICE
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_MORE
        assert bought.edit == ("DONE", None)
        assert bought.town.level(bought.sku) == (7, 0)
        charges = bought.town.payment(bought.order_id)["charges"]
        assert [(one["edit"], one["captured"]["amount_minor"]) for one in charges] == [
            (0, 2 * PRICE),
            (1, PRICE),
        ]

    def test_another_product_is_added_at_the_price_of_today(self, bought: Bought) -> None:
        bought.town.sells("ADD-CUP", on_hand=5, amount_minor=900)

        bought.edited(ADD_CUP=2, total=2 * PRICE + 1800)

        assert bought.ends(added="ADD-CUP") == "CONFIRMED"
        assert bought.stands == (4, 2 * PRICE + 1800, 0)
        assert bought.town.level("ADD-CUP") == (3, 0)

    def test_units_of_a_product_that_became_dearer_cost_what_it_costs_now(
        self, bought: Bought
    ) -> None:
        bought.town.sells(bought.sku, on_hand=8, amount_minor=1500)

        refused = bought.edited()
        bought.edited(total=2 * PRICE + 1500)

        assert (refused.status_code, refused.json()["code"]) == (409, "edit_total")
        assert refused.json()["total_minor"] == 2 * PRICE + 1500
        assert bought.ends() == "CONFIRMED"
        (line,) = bought.order["lines"]
        assert (line["quantity"], line["unit_price"]["amount_minor"]) == (3, 1500)
        assert line["discount"]["amount_minor"] == 2 * (1500 - PRICE)

    @pytest.mark.parametrize(
        ("price", "refunded", "charges"), [(3000, 0, 2), (900, PRICE - 900, 1), (PRICE, 0, 1)]
    )
    def test_what_is_taken_out_pays_for_what_is_added(
        self, bought: Bought, price: int, refunded: int, charges: int
    ) -> None:
        sku = f"ADD-HAT-{price}"
        bought.town.sells(sku, on_hand=5, amount_minor=price)

        bought.edited(
            **{bought.sku.replace("-", "_"): 1, sku.replace("-", "_"): 1}, total=PRICE + price
        )

        assert bought.ends(added=sku) == "CONFIRMED"
        assert bought.stands == (2, PRICE + price, refunded)
        assert (bought.town.level(bought.sku), bought.town.level(sku)) == ((9, 0), (4, 0))
        assert len(bought.town.payment(bought.order_id)["charges"]) == charges

    def test_an_order_added_to_twice_and_made_smaller_has_and_costs_what_it_says(
        self, bought: Bought
    ) -> None:
        for quantity in (3, 5, 1):
            bought.edited(**{bought.sku.replace("-", "_"): quantity}, total=PRICE * quantity)
            bought.town.settles()

        assert bought.ends() == "CONFIRMED"
        assert bought.stands == (1, PRICE, 4 * PRICE)
        assert bought.town.level(bought.sku) == (9, 0)

    def test_an_order_added_to_that_is_cancelled_gives_everything_back(
        self, bought: Bought
    ) -> None:
        bought.edited()
        bought.town.settles()

        assert bought.cancelled().status_code == 202
        assert bought.ends() == "CANCELLED"
        assert bought.order["refunded"]["amount_minor"] == 3 * PRICE
        assert bought.town.level(bought.sku) == (10, 0)

    def test_an_order_added_to_is_sent_and_its_refund_may_be_of_both_charges(
        self, bought: Bought
    ) -> None:
        bought.edited()
        bought.town.settles()
        bought.town.admin.post(f"/v1/shipments/{bought.order_id}/dispatch")
        bought.town.settles()

        refund = {"amount": {"amount_minor": 3 * PRICE, "currency": "GBP"}, "reason": "broken"}
        paid_back = bought.town.admin.post(
            f"/v1/payments/{bought.order_id}/refunds", refund, Idempotency_Key="both"
        )
        bought.town.settles()

        assert (paid_back.status_code, paid_back.json()["status"]) == (201, "SUCCEEDED")
        assert bought.stands == (3, 3 * PRICE, 3 * PRICE)

    def test_an_edit_asked_for_again_by_its_key_is_done_once(self, bought: Bought) -> None:
        answers = [bought.edited(key="same") for _ in range(2)]
        bought.town.settles()
        answers.append(bought.edited(key="same"))

        assert [one.status_code for one in answers] == [202, 202, 202]
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_MORE

    def test_of_two_edits_at_once_one_is_done(self, bought: Bought) -> None:
        with ThreadPoolExecutor(2) as pair:
            answers = list(pair.map(lambda _: bought.edited(), range(2)))

        assert bought.ends() == "CONFIRMED"
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        assert bought.stands == ONE_MORE


class TestRefused:
    """Nothing is added, and the order is as it was: its customer reads why."""

    def stays_as_it_was(self, bought: Bought, reason: str) -> None:
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == UNCHANGED
        assert bought.edit == ("REFUSED", reason)
        assert bought.town.level(bought.sku) == (8, 0)
        # It can be packed, edited again, and sent.
        assert bought.edited().status_code == 202
        bought.town.settles()
        assert bought.stands == ONE_MORE

    @pytest.mark.parametrize(
        ("method", "reason"),
        [
            ("pm_card_declined", "payment_declined"),
            ("pm_card_insufficient_funds", "insufficient_funds"),
            ("pm_3ds", "confirmation_required"),
            ("pm_capture_refused", "capture_refused"),
            ("pm_timeout_before", "edit_failed"),
        ],
    )
    def test_a_difference_that_cannot_be_taken_leaves_the_order_as_it_was(
        self, bought: Bought, method: str, reason: str
    ) -> None:
        assert bought.edited(method=method).status_code == 202

        self.stays_as_it_was(bought, reason)

    def test_more_than_there_is_leaves_the_order_as_it_was(self, bought: Bought) -> None:
        bought.edited(**{bought.sku.replace("-", "_"): 11}, total=11 * PRICE)

        self.stays_as_it_was(bought, "out_of_stock")

    def test_units_lost_after_they_were_held_leave_the_order_as_it_was(
        self, bought: Bought, faults: Faults
    ) -> None:
        faults.at_step("inventory-commit_added", lambda _: failure("HoldLostError"))

        bought.edited()
        bought.town.settles()

        assert bought.edit == ("REFUSED", "edit_failed")
        assert bought.ends() == "CONFIRMED"
        # The difference was taken by then, and went back.
        assert bought.stands == (2, 2 * PRICE, PRICE)

    def test_an_order_whose_parcel_is_packed_stays_as_it_was(self, bought: Bought) -> None:
        bought.picked()

        bought.edited()
        bought.town.settles()

        assert bought.edit == ("REFUSED", "parcel_packed")
        assert bought.stands == UNCHANGED
        assert len(bought.town.payment(bought.order_id)["charges"]) == 1

    def test_what_is_not_on_sale_cannot_be_added(self, bought: Bought) -> None:
        answer = bought.edited(NEVER_SOLD=1)

        assert (answer.status_code, answer.json()["code"]) == (409, "not_on_sale")
        assert answer.json()["sku"] == "NEVER-SOLD"
        assert bought.ends() == "CONFIRMED"

    def test_somebody_elses_order_cannot_be_added_to(self, bought: Bought) -> None:
        answer = bought.edited(by=bought.town.customer())

        assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
        assert bought.stands == UNCHANGED

    def test_a_key_used_with_another_means_of_payment_is_refused(self, bought: Bought) -> None:
        bought.edited(key="mine")

        assert bought.edited(key="mine", method="pm_card_ok").status_code == 422
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_MORE

    def test_the_last_units_are_sold_once_to_edits_and_checkouts_at_once(self, shop: Shop) -> None:
        orders = [Bought(shop, wants=3) for _ in range(4)]
        shop.town.sells("ADD-RARE", on_hand=2, amount_minor=100)

        def wants(order: Bought) -> None:
            order.edited(ADD_RARE=1, total=2 * PRICE + 100)

        with ThreadPoolExecutor(4) as buyers:
            list(buyers.map(wants, orders))
        shop.town.settles()

        ends = sorted(order.edit for order in orders)
        assert ends == [("DONE", None)] * 2 + [("REFUSED", "out_of_stock")] * 2
        assert shop.town.level("ADD-RARE") == (0, 0)


@pytest.mark.parametrize("fault", [fails_after, answers_twice])
@pytest.mark.parametrize("step", OWN)
def test_a_step_that_fails_once_or_answers_twice_adds_once(
    bought: Bought, faults: Faults, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)

    bought.edited()

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == ONE_MORE
    assert faults.fired == 1


@pytest.mark.parametrize("step", NEW)
def test_a_function_that_dies_at_any_call_of_aws_adds_once(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in faults.each_call():
        bought = Bought(shop, wants=3)
        faults.at_call(step, number, dies_after)

        bought.edited()

        assert bought.ends() == "CONFIRMED", number
        assert bought.stands == ONE_MORE, number


@pytest.mark.parametrize("step", NEW)
def test_an_execution_overtaken_at_any_call_of_aws_adds_once(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in faults.each_call():
        bought = Bought(shop, wants=3)

        def the_other_runs_whole(call: Callable[[], Any]) -> Any:
            run_whole(shop.town, bought.order_id)  # noqa: B023
            return call()

        faults.at_call(step, number, the_other_runs_whole)
        bought.edited()

        assert bought.ends() == "CONFIRMED", number
        assert bought.stands == ONE_MORE, number


@pytest.mark.parametrize("step", NEW)
def test_an_order_cancelled_at_any_call_of_its_edit_gives_everything_back(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in itertools.count():
        faults.clear()
        bought = Bought(shop, wants=3)

        def cancel(call: Callable[[], Any]) -> Any:
            bought.cancelled()  # noqa: B023
            others_have_ended()
            return call()

        faults.at_call(step, number, cancel)
        bought.edited()

        ended = bought.ends()
        if not faults.hit:
            break
        assert ended == "CANCELLED", number
        kept = bought.town.payment(bought.order_id)
        assert kept["captured"] == kept["refunded"], number


@pytest.mark.parametrize("step", OWN)
def test_an_edit_whose_execution_is_lost_at_any_step_is_finished_by_the_sweep(
    bought: Bought, faults: Faults, at: Callable[[timedelta], None], step: str
) -> None:
    faults.at_step(step, is_lost_after)
    bought.edited()
    bought.town.settles()

    at(timedelta(minutes=7))
    bought.town.stack.pump.fire("tradepost-local-orders-sweep_orders")

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == ONE_MORE


@pytest.mark.parametrize("fault", [fails_before, fails_after])
@pytest.mark.parametrize("step", BEFORE_THE_PIVOT[2:])
def test_an_edit_that_cannot_get_past_its_pivot_leaves_the_order_as_it_was(
    bought: Bought, faults: Faults, step: str, fault: Fault
) -> None:
    """Or it is past it, and only the answer was lost: then it goes on."""
    faults.at_step(step, fault, times=ALWAYS)

    bought.edited()

    is_past = step == "orders-begin_edit" and fault is fails_after
    assert bought.ends() == "CONFIRMED"
    assert bought.stands == (ONE_MORE if is_past else UNCHANGED)
    assert bought.edit == (("DONE", None) if is_past else ("REFUSED", "edit_failed"))


@pytest.mark.parametrize("fault", [fails_after, answers_twice, is_lost_before])
@pytest.mark.parametrize("step", UNDO)
def test_an_edit_whose_undo_fails_or_is_lost_leaves_the_order_as_it_was(
    bought: Bought, faults: Faults, at: Callable[[timedelta], None], step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)
    bought.edited(method="pm_capture_refused")
    bought.town.settles()

    at(timedelta(minutes=7))
    bought.town.stack.pump.fire("tradepost-local-orders-sweep_orders")

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == UNCHANGED
    assert bought.edit == ("REFUSED", "capture_refused")


@pytest.mark.parametrize("step", UNDO[:3])
def test_a_function_that_dies_at_any_call_of_the_undo_gives_back_once(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in faults.each_call():
        bought = Bought(shop, wants=3)
        faults.at_call(step, number, dies_after)

        bought.edited(method="pm_capture_refused")

        assert bought.ends() == "CONFIRMED", number
        assert bought.stands == UNCHANGED, number


@pytest.mark.parametrize(("direction", "end"), [("retry", "CONFIRMED"), ("cancel", "CANCELLED")])
@pytest.mark.parametrize("step", TAKING[:3])
def test_an_edit_that_cannot_go_on_is_finished_or_all_is_given_back_by_a_person(
    bought: Bought, faults: Faults, step: str, direction: str, end: str
) -> None:
    faults.at_step(step, fails_after, times=ALWAYS)
    bought.edited()
    bought.town.settles()
    faults.clear()
    assert bought.order["status"] == "NEEDS_ATTENTION"

    resumed = f"/v1/staff/orders/{bought.order_id}/resume"
    bought.town.admin.post(resumed, {"direction": direction, "note": "it answers"})

    assert bought.ends(set_aside=True) == end
    assert end == "CANCELLED" or bought.stands == ONE_MORE


@pytest.mark.parametrize("step", ["orders-api_handler", "shipping-hold_back_parcel"])
def test_a_parcel_packed_at_any_call_of_the_edit_has_what_its_order_has(
    shop: Shop, faults: Faults, step: str
) -> None:
    """Packed before it was held back, the order stays as it was; afterwards it is one more."""
    for number in itertools.count():
        faults.clear()
        bought = Bought(shop, wants=3)
        packed: list[tuple[int, int]] = []

        def pack(call: Callable[[], Any]) -> Any:
            packed.append((bought.picked().status_code, bought.stands[0]))  # noqa: B023
            return call()

        faults.at_call(step, number, pack)
        asked = bought.edited()
        bought.town.settles()
        if not faults.hit:
            break

        ((code, units),) = packed
        assert code in (200, 409), number
        is_packed_before = code == 200 and units == 2
        assert bought.stands == (UNCHANGED if is_packed_before else ONE_MORE), number
        if asked.status_code == 202:
            assert bought.edit[0] == ("REFUSED" if is_packed_before else "DONE"), number
        shipment = items("shipping", f"SHIPMENT#{bought.order_id}")["SHIPMENT"]
        assert shipment["held_back_for"] <= shipment["let_go_after"], number
