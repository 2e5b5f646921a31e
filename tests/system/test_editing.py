"""Units taken out of an order before its parcel is packed: they go back, and so does their price.

Whatever fails, comes twice or meets a cancelling or the parcel on the way, the books agree.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.system.books import agree, items
from tests.system.edits import PRICE, UNCHANGED, Bought
from tests.system.faults import (
    Fault,
    Faults,
    answers_twice,
    dies_after,
    dies_before,
    fails_after,
    fails_before,
    is_lost_after,
    is_lost_before,
    is_throttled,
    loses_its_answer,
    others_have_ended,
    run_whole,
)
from tests.system.kinds import ALWAYS, Shop
from tests.system.shopper import Town

# What an order passes through when it is edited.
EDITING = [
    "carts-read_checkout",
    "orders-place_order",
    "orders-read_edit",
    "shipping-hold_back_parcel",
    "orders-apply_edit",
    "inventory-take_back",
    "payments-refund_edit",
    "shipping-let_parcel_go",
    "orders-close_edit",
    "carts-consume_cart",
]
OWN = EDITING[2:9]

ONE_LESS = (1, PRICE, PRICE)


@pytest.fixture
def bought(shop: Shop) -> Bought:
    return Bought(shop, wants=1)


class TestFewerUnits:
    def test_what_is_taken_out_is_for_sale_again_and_its_price_goes_back(
        self, bought: Bought
    ) -> None:
        answer = bought.edited()

        assert (answer.status_code, answer.json()["status"]) == (202, "EDITING")
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_LESS
        assert bought.town.level(bought.sku) == (9, 0)
        assert bought.order["edit"]["status"] == "DONE"

    def test_a_line_is_taken_out_whole_beside_one_that_stays(self, town: Town) -> None:
        town.sells("EDIT-MUG", on_hand=10)
        town.sells("EDIT-CUP", on_hand=10, amount_minor=900)
        guest = town.guest()
        total = guest.fills_cart(EDIT_MUG=3, EDIT_CUP=2)
        order_id = guest.checks_out(total).json()["order_id"]
        town.settles()

        body = {
            "lines": [{"sku": "EDIT-MUG", "quantity": 1}, {"sku": "EDIT-CUP", "quantity": 0}],
            "expected_total": {"amount_minor": PRICE, "currency": "GBP"},
        }
        guest.post(f"/v1/orders/{order_id}/edits", body, Idempotency_Key="whole")
        town.settles()

        order = guest.get(f"/v1/orders/{order_id}").json()
        assert [(line["sku"], line["quantity"]) for line in order["lines"]] == [("EDIT-MUG", 1)]
        assert (order["status"], order["line_count"]) == ("CONFIRMED", 1)
        assert order["refunded"]["amount_minor"] == total - PRICE
        assert (town.level("EDIT-MUG"), town.level("EDIT-CUP")) == ((9, 0), (10, 0))

    def test_an_order_edited_twice_gives_back_both_differences(self, shop: Shop) -> None:
        town = shop.town
        town.sells("EDIT-THREE", on_hand=10)
        guest = town.guest()
        order_id = guest.checks_out(guest.fills_cart(EDIT_THREE=3)).json()["order_id"]
        town.settles()
        for quantity in (2, 1):
            body = {
                "lines": [{"sku": "EDIT-THREE", "quantity": quantity}],
                "expected_total": {"amount_minor": PRICE * quantity, "currency": "GBP"},
            }
            guest.post(f"/v1/orders/{order_id}/edits", body, Idempotency_Key=f"to-{quantity}")
            town.settles()

        assert agree(town, guest, order_id, sku="EDIT-THREE") == "CONFIRMED"
        order = guest.get(f"/v1/orders/{order_id}").json()
        assert (order["edit"]["number"], order["refunded"]["amount_minor"]) == (2, 2 * PRICE)
        assert len(town.payment(order_id)["refunds"]) == 2

    def test_staff_edit_an_order_as_its_customer_does(self, bought: Bought) -> None:
        bought.edited(by=bought.town.admin)

        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_LESS
        (action,) = bought.town.admin.get(f"/v1/staff/orders/{bought.order_id}").json()["actions"]
        assert (action["what"], action["role"]) == ("edit", "admin")

    def test_an_edit_asked_for_again_by_its_key_is_done_once(self, bought: Bought) -> None:
        first = bought.edited(key="same")
        again = bought.edited(key="same")
        bought.town.settles()
        late = bought.edited(key="same")

        assert [one.status_code for one in (first, again, late)] == [202, 202, 202]
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_LESS
        assert len(bought.town.payment(bought.order_id)["refunds"]) == 1

    def test_of_two_edits_at_once_one_is_done(self, bought: Bought) -> None:
        with ThreadPoolExecutor(2) as pair:
            answers = list(pair.map(lambda _: bought.edited(), range(2)))

        codes = sorted(answer.status_code for answer in answers)
        assert bought.ends() == "CONFIRMED"
        assert codes == [202, 409]
        assert bought.stands == ONE_LESS

    def test_an_edited_order_is_sent(self, bought: Bought) -> None:
        bought.edited()
        bought.town.settles()

        assert bought.dispatched().status_code == 200
        assert bought.ends() == "SHIPPED"
        assert bought.stands == ONE_LESS

    def test_an_edited_order_that_is_cancelled_gives_everything_back(self, bought: Bought) -> None:
        bought.edited()
        bought.town.settles()

        assert bought.cancelled().status_code == 202
        assert bought.ends() == "CANCELLED"
        assert bought.order["refunded"]["amount_minor"] == 2 * PRICE
        assert bought.town.level(bought.sku) == (10, 0)


class TestRefused:
    def refusal(self, answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["code"]

    @pytest.mark.parametrize("quantity", [0, 2])
    def test_an_edit_that_changes_nothing_or_leaves_nothing_is_refused(
        self, bought: Bought, quantity: int
    ) -> None:
        assert self.refusal(bought.edited(quantity)) == (409, "edit_not_possible")
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == UNCHANGED

    def test_what_was_not_bought_cannot_be_taken_out(self, bought: Bought) -> None:
        bought.sku, sku = "MUG-OF-OTHERS", bought.sku
        answer = bought.edited(0)
        bought.sku = sku

        assert self.refusal(answer) == (409, "not_bought")
        assert bought.ends() == "CONFIRMED"

    def test_an_edit_that_comes_to_another_total_is_refused(self, bought: Bought) -> None:
        assert self.refusal(bought.edited(total=PRICE - 1)) == (409, "edit_total")
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == UNCHANGED

    def test_somebody_elses_order_cannot_be_edited(self, bought: Bought) -> None:
        answer = bought.edited(by=bought.town.customer())

        assert self.refusal(answer) == (404, "order_not_found")
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == UNCHANGED

    def test_a_key_used_for_another_edit_is_refused(self, bought: Bought) -> None:
        bought.edited(key="mine")

        assert self.refusal(bought.edited(2, key="mine"))[0] == 422
        assert bought.ends() == "CONFIRMED"
        assert bought.stands == ONE_LESS

    def test_a_cancelled_order_cannot_be_edited(self, bought: Bought) -> None:
        bought.cancelled()
        bought.town.settles()

        assert self.refusal(bought.edited()) == (409, "order_transition")
        assert bought.ends() == "CANCELLED"

    def test_an_order_on_its_way_cannot_be_edited(self, bought: Bought) -> None:
        bought.dispatched()
        bought.town.settles()

        assert self.refusal(bought.edited()) == (409, "order_transition")
        assert bought.ends() == "SHIPPED"
        assert bought.stands == UNCHANGED

    def test_an_order_whose_parcel_is_packed_stays_as_it_was(self, bought: Bought) -> None:
        bought.picked()

        assert bought.edited().status_code == 202
        bought.town.settles()

        assert (bought.order["status"], bought.order["edit"]["status"]) == ("CONFIRMED", "REFUSED")
        assert bought.stands == UNCHANGED
        assert bought.town.level(bought.sku) == (8, 0)
        assert bought.dispatched().status_code == 200
        assert bought.ends() == "SHIPPED"

    def test_an_order_whose_parcel_left_unheard_of_stays_as_it_was(self, bought: Bought) -> None:
        bought.dispatched()

        bought.edited()

        assert bought.ends() == "SHIPPED"
        assert bought.stands == UNCHANGED
        assert bought.order["edit"]["status"] == "REFUSED"


@pytest.mark.parametrize("fault", [fails_before, fails_after, answers_twice])
@pytest.mark.parametrize("step", EDITING)
def test_a_step_that_fails_once_or_answers_twice_edits_once(
    bought: Bought, faults: Faults, step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)

    bought.edited()

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == ONE_LESS
    assert faults.fired == 1


@pytest.mark.parametrize("fault", [dies_before, dies_after, is_throttled, loses_its_answer])
@pytest.mark.parametrize("step", OWN)
def test_a_function_that_fails_at_any_call_of_aws_edits_once(
    shop: Shop, faults: Faults, step: str, fault: Fault
) -> None:
    for number in faults.each_call():
        bought = Bought(shop, wants=1)
        faults.at_call(step, number, fault)

        bought.edited()

        assert bought.ends() == "CONFIRMED", number
        assert bought.stands == ONE_LESS, number


@pytest.mark.parametrize("step", OWN)
def test_an_execution_overtaken_at_any_call_of_aws_edits_once(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in faults.each_call():
        bought = Bought(shop, wants=1)

        def the_other_runs_whole(call: Callable[[], Any]) -> Any:
            run_whole(shop.town, bought.order_id)  # noqa: B023
            return call()

        faults.at_call(step, number, the_other_runs_whole)
        bought.edited()

        assert bought.ends() == "CONFIRMED", number
        assert bought.stands == ONE_LESS, number


@pytest.mark.parametrize("fault", [is_lost_before, is_lost_after])
@pytest.mark.parametrize("step", EDITING[:9])
def test_an_edit_whose_execution_is_lost_at_any_step_is_finished_by_the_sweep(
    bought: Bought, faults: Faults, at: Callable[[timedelta], None], step: str, fault: Fault
) -> None:
    faults.at_step(step, fault)
    bought.edited()
    bought.town.settles()

    at(timedelta(minutes=7))
    bought.town.stack.pump.fire("tradepost-local-orders-sweep_orders")

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == ONE_LESS


@pytest.mark.parametrize(("direction", "end"), [("retry", "CONFIRMED"), ("cancel", "CANCELLED")])
@pytest.mark.parametrize("fault", [fails_before, fails_after])
@pytest.mark.parametrize("step", OWN[:-1])
def test_an_edit_that_cannot_go_on_is_finished_or_all_is_given_back_by_a_person(
    bought: Bought, faults: Faults, step: str, fault: Fault, direction: str, end: str
) -> None:
    faults.at_step(step, fault, times=ALWAYS)
    bought.edited()
    bought.town.settles()
    faults.clear()
    assert bought.order["status"] == "NEEDS_ATTENTION"

    resumed = f"/v1/staff/orders/{bought.order_id}/resume"
    bought.town.admin.post(resumed, {"direction": direction, "note": "it answers"})
    bought.town.settles()

    assert agree(bought.town, bought.buyer, bought.order_id, sku=bought.sku, set_aside=True) == end
    assert end == "CANCELLED" or bought.stands == ONE_LESS


def test_an_edit_whose_end_was_written_and_its_answer_lost_is_over(
    bought: Bought, faults: Faults
) -> None:
    faults.at_step("orders-close_edit", fails_after, times=ALWAYS)

    bought.edited()

    assert bought.ends() == "CONFIRMED"
    assert bought.stands == ONE_LESS


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", EDITING)
def test_an_order_cancelled_at_any_step_of_its_edit_gives_everything_back(
    bought: Bought, faults: Faults, step: str, when: str
) -> None:
    answers: list[int] = []

    def cancel(call: Callable[[], Any]) -> Any:
        answer = call() if when == "after" else None
        answers.append(bought.cancelled().status_code)
        return answer or call()

    faults.at_step(step, cancel)
    bought.edited()

    assert bought.ends() == "CANCELLED"
    assert answers == [202]
    assert bought.order["refunded"]["amount_minor"] == 2 * PRICE


@pytest.mark.parametrize("step", OWN)
def test_an_order_cancelled_at_any_call_of_its_edit_gives_everything_back(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in itertools.count():
        faults.clear()
        bought = Bought(shop, wants=1)

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
        assert bought.order["refunded"]["amount_minor"] == 2 * PRICE, number


@pytest.mark.parametrize("leaves", [False, True], ids=["packed", "handed over"])
@pytest.mark.parametrize("step", ["orders-api_handler", *OWN])
def test_a_parcel_packed_at_any_call_of_the_edit_has_what_its_order_has(
    shop: Shop, faults: Faults, step: str, leaves: bool
) -> None:
    """Packed before it was held back, the order stays as it was; afterwards it is one less."""
    for number in itertools.count():
        faults.clear()
        bought = Bought(shop, wants=1)
        packed: list[tuple[int, int]] = []

        def pack(call: Callable[[], Any]) -> Any:
            answer = bought.dispatched() if leaves else bought.picked()  # noqa: B023
            packed.append((answer.status_code, bought.stands[0]))  # noqa: B023
            return call()

        faults.at_call(step, number, pack)
        asked = bought.edited()
        bought.town.settles()
        if not faults.hit:
            break

        (code, units) = packed[0]
        is_packed = code == 200
        assert is_packed or code == 409, number
        # Whatever was packed is what the order has.
        assert bought.stands == (UNCHANGED if is_packed and units == 2 else ONE_LESS), number
        assert bought.order["status"] == ("SHIPPED" if is_packed and leaves else "CONFIRMED")
        if asked.status_code == 202:
            is_done = bought.stands == ONE_LESS
            assert bought.order["edit"]["status"] == ("DONE" if is_done else "REFUSED"), number
        shipment = items("shipping", f"SHIPMENT#{bought.order_id}")["SHIPMENT"]
        assert shipment["held_back_for"] <= shipment["let_go_after"], number
        if leaves or not is_packed:
            assert bought.ends() in ("CONFIRMED", "SHIPPED"), number
