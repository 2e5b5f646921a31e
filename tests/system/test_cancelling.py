"""Cancelled before, during and after the checkout, and while the parcel leaves: the books agree."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.system.books import agree, items
from tests.system.faults import (
    Faults,
    others_have_ended,
)
from tests.system.kinds import EVERY_CALL, FORWARD, PATHS, UNDO, Shop
from tests.system.shopper import Person, Town

REASON = {"reason": "ordered twice"}

# What an approved order passes through when it is cancelled afterwards.
CANCELLING = ["carts-read_checkout", "orders-place_order", *UNDO[1:]]


class Canceller:
    """Cancels the order at hand, once, from within a call of its checkout."""

    def __init__(self, shop: Shop, faults: Faults, person: Person | None = None) -> None:
        self._shop = shop
        self._faults = faults
        self._person = person
        self.answer: httpx.Response | None = None

    def cancels(self) -> None:
        person = self._person or self._shop.buyer
        self.answer = person.post(f"/v1/orders/{self._faults.order_id}/cancellation", REASON)

    def before(self, call: Callable[[], Any]) -> Any:
        self.cancels()
        return call()

    def after(self, call: Callable[[], Any]) -> Any:
        answer = call()
        self.cancels()
        return answer

    def and_sees_it_done(self, call: Callable[[], Any]) -> Any:
        """Cancel, and have all that follows from it done, before the call goes on."""
        self.cancels()
        others_have_ended()
        return call()

    def expected(self, otherwise: str) -> str:
        """Tell how the order ends: as it would have, if cancelling was refused."""
        assert self.answer is not None
        if self.answer.status_code == 202:
            return "CANCELLED"
        # Nobody can cancel an order that has not been placed yet.
        assert self.answer.json()["code"] == "order_not_found"
        return otherwise


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        (kind, step)
        for kind in ("approved", "declined", "sold out", "capture refused")
        for step in PATHS[kind][0]
    ],
)
def test_an_order_cancelled_at_any_step_ends_with_nothing_taken(
    shop: Shop, faults: Faults, kind: str, step: str, when: str
) -> None:
    canceller = Canceller(shop, faults)
    faults.at_step(step, getattr(canceller, when))

    ended = shop.ends(kind)

    assert ended == canceller.expected(PATHS[kind][1])
    assert faults.fired == 1


@pytest.mark.parametrize("how", ["before", "and_sees_it_done"])
@pytest.mark.parametrize(("kind", "step"), EVERY_CALL)
def test_an_order_cancelled_at_any_call_of_aws_ends_with_nothing_taken(
    shop: Shop, faults: Faults, kind: str, step: str, how: str
) -> None:
    for number in itertools.count():
        faults.clear()
        canceller = Canceller(shop, faults)
        faults.at_call(step, number, getattr(canceller, how))

        ended = shop.ends(kind)

        if not faults.hit:
            break
        assert ended == canceller.expected(PATHS[kind][1]), number


@pytest.mark.parametrize("step", FORWARD[1:])
def test_staff_cancel_at_any_step_as_the_customer_does(
    shop: Shop, faults: Faults, step: str
) -> None:
    canceller = Canceller(shop, faults, shop.town.admin)
    faults.at_step(step, canceller.after)

    guest, order_id, sku = shop.sells("approved")

    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert guest.get(f"/v1/orders/{order_id}").json()["reason"] == "cancelled_by_staff"


@pytest.mark.parametrize("kind", PATHS)
def test_an_order_cancelled_when_its_checkout_is_over_gives_everything_back(
    shop: Shop, kind: str
) -> None:
    guest, order_id, sku = shop.sells(kind)

    answer = guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
    shop.town.settles()

    cancelled = guest.get(f"/v1/orders/{order_id}").json()
    confirmed = PATHS[kind][1] == "CONFIRMED"
    assert answer.status_code == 202
    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert (cancelled["reason"] == "cancelled_by_customer") is confirmed
    assert cancelled["refunded"] == shop.town.payment(order_id)["captured"]


@pytest.mark.parametrize("step", CANCELLING)
def test_an_order_cancelled_again_while_it_is_cancelled_is_cancelled_once(
    shop: Shop, faults: Faults, step: str
) -> None:
    for number in itertools.count():
        faults.clear()
        guest, order_id, sku = shop.sells("approved")
        canceller = Canceller(shop, faults)
        faults.at_call(step, number, canceller.and_sees_it_done)

        guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
        shop.town.settles()

        assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED", number
        if not faults.hit:
            break
        assert canceller.expected("") == "CANCELLED", number


def test_two_who_cancel_at_once_are_both_told_so_and_it_is_done_once(shop: Shop) -> None:
    guest, order_id, sku = shop.sells("approved")
    path = f"/v1/orders/{order_id}/cancellation"

    with ThreadPoolExecutor(2) as pair:
        answers = list(pair.map(lambda who: who.post(path, REASON), (guest, shop.town.admin)))
    shop.town.settles()

    actions = [sk for sk in items("orders", f"ORDER#{order_id}") if sk.startswith("ACTION#")]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"
    assert len(actions) == 1
    assert len(shop.town.payment(order_id)["refunds"]) == 1


def test_what_a_customer_says_about_cancelling_is_kept_for_the_staff(shop: Shop) -> None:
    guest, order_id, _ = shop.sells("approved")

    guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
    shop.town.settles()

    (action,) = shop.town.admin.get(f"/v1/staff/orders/{order_id}").json()["actions"]
    assert (action["what"], action["role"], action["note"]) == ("cancel", "guest", "ordered twice")
    assert "actions" not in guest.get(f"/v1/orders/{order_id}").json()


def test_somebody_elses_order_cannot_be_cancelled(shop: Shop) -> None:
    guest, order_id, sku = shop.sells("approved")

    answer = shop.town.customer().post(f"/v1/orders/{order_id}/cancellation", REASON)
    shop.town.settles()

    assert (answer.status_code, answer.json()["code"]) == (404, "order_not_found")
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


class TestTheParcelLeavesMeanwhile:
    """Never both: a refund, and a parcel on its way."""

    def dispatched(self, town: Town, order_id: str) -> httpx.Response:
        return town.admin.post(f"/v1/shipments/{order_id}/dispatch")

    def test_a_parcel_that_has_left_is_not_cancelled_any_more(self, shop: Shop) -> None:
        guest, order_id, sku = shop.sells("approved")
        self.dispatched(shop.town, order_id)
        shop.town.settles()

        answer = guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
        shop.town.settles()

        assert (answer.status_code, answer.json()["code"]) == (409, "order_transition")
        assert answer.json()["order_status"] == "SHIPPED"
        assert agree(shop.town, guest, order_id, sku=sku) == "SHIPPED"

    def test_a_parcel_that_left_before_orders_heard_of_it_keeps_its_order(self, shop: Shop) -> None:
        guest, order_id, sku = shop.sells("approved")
        self.dispatched(shop.town, order_id)

        answer = guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
        shop.town.settles()

        order = guest.get(f"/v1/orders/{order_id}").json()
        assert (answer.status_code, answer.json()["status"]) == (202, "CANCELLING")
        assert agree(shop.town, guest, order_id, sku=sku) == "SHIPPED"
        assert (order["reason"], order["refunded"]["amount_minor"]) == (None, 0)

    def test_a_parcel_that_is_called_off_does_not_leave(self, shop: Shop) -> None:
        guest, order_id, sku = shop.sells("approved")
        guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
        shop.town.settles()

        answer = self.dispatched(shop.town, order_id)
        shop.town.settles()

        assert (answer.status_code, answer.json()["code"]) == (409, "shipment_transition")
        assert agree(shop.town, guest, order_id, sku=sku) == "CANCELLED"

    @pytest.mark.parametrize("step", ["orders-api_handler", *CANCELLING])
    def test_a_parcel_dispatched_at_any_call_of_the_cancelling_leaves_or_stays(
        self, shop: Shop, faults: Faults, step: str
    ) -> None:
        for number in itertools.count():
            faults.clear()
            guest, order_id, sku = shop.sells("approved")
            answers: list[int] = []

            def dispatch(call: Callable[[], Any]) -> Any:
                answers.append(self.dispatched(shop.town, order_id).status_code)  # noqa: B023
                return call()

            faults.at_call(step, number, dispatch)
            guest.post(f"/v1/orders/{order_id}/cancellation", REASON)
            shop.town.settles()

            ended = agree(shop.town, guest, order_id, sku=sku)
            if not faults.hit:
                break
            assert ended == ("SHIPPED" if answers == [200] else "CANCELLED"), number

    @pytest.mark.parametrize("how", ["before", "and_sees_it_done"])
    def test_an_order_cancelled_at_any_call_of_the_dispatch_is_sent_or_given_back(
        self, shop: Shop, faults: Faults, how: str
    ) -> None:
        for number in itertools.count():
            faults.clear()
            guest, order_id, sku = shop.sells("approved")
            canceller = Canceller(shop, faults)

            def cancel(call: Callable[[], Any]) -> Any:
                canceller.cancels()  # noqa: B023
                if how == "and_sees_it_done":
                    shop.town.settles()
                return call()

            faults.at_call("shipping-api_handler", number, cancel)
            dispatched = self.dispatched(shop.town, order_id)
            shop.town.settles()

            ended = agree(shop.town, guest, order_id, sku=sku)
            if not faults.hit:
                assert number > 0
                break
            assert ended == ("SHIPPED" if dispatched.status_code == 200 else "CANCELLED"), number
