"""Orders sent in parts: what is captured, told and undone, with either moment of the capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from infra.local.clock import Clock
from infra.local.stack import LocalStack
from tests.system.books import items, provider_charge
from tests.system.conftest import ROOT, opened
from tests.system.parcels import Bought, bought
from tests.system.shopper import Person, Town
from tradepost.platform import aws

MOMENTS = ["checkout", "dispatch"]

captured_on_leaving = pytest.mark.parametrize("stack", ["dispatch"], indirect=True)


@pytest.fixture(scope="module", params=MOMENTS)
def stack(request: pytest.FixtureRequest) -> Iterator[LocalStack]:
    with LocalStack(
        ROOT, clock=Clock(skips_pauses=True), parameters={"CaptureAt": request.param}
    ) as started:
        yield started
    aws.forget_clients()


@pytest.fixture(scope="module")
def street(stack: LocalStack) -> Iterator[Town]:
    with opened(stack) as town:
        yield town


@pytest.fixture
def town(street: Town) -> Town:
    street.sells("MUG", on_hand=20)
    return street


@pytest.fixture
def on_dispatch(stack: LocalStack) -> bool:
    """Tell whether money is captured with each parcel."""
    return stack.outputs["CaptureAt"] == "dispatch"


class Split(Bought):
    """An order of mugs at 12.50."""

    def splits(self, quantity: int = 1, key: str = "key-1", sku: str = "MUG") -> httpx.Response:
        body = {"lines": [{"sku": sku, "quantity": quantity}], "weight_grams": 320}
        answer = self.town.admin.post(
            f"/v1/shipments/{self.order_id}/parcels", body, Idempotency_Key=key
        )
        self.town.settles()
        return answer

    def dispatches(self, number: int = 1) -> httpx.Response:
        if number == 1:
            answer = self.staff("dispatch")
        else:
            answer = self.staff(f"parcels/{number}/progress", {"step": "dispatch"})
        self.town.settles()
        return answer

    def arrives(self, number: int = 1) -> None:
        if number == 1:
            self.staff("delivery")
        else:
            self.staff(f"parcels/{number}/progress", {"step": "delivery"})
        self.town.settles()

    def cancels(self) -> httpx.Response:
        answer = self.buyer.post(f"/v1/orders/{self.order_id}/cancellation", {"reason": "late"})
        self.town.settles()
        return answer

    @property
    def shipment(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.town.admin.get(f"/v1/shipments/{self.order_id}").json()
        return shown

    @property
    def placed_on(self) -> str:
        """Tell the UTC day of the order."""
        return str(items("orders", f"ORDER#{self.order_id}")["ORDER"]["placed_at"])[:10]

    @property
    def statuses(self) -> list[str]:
        shown = self.shipment
        return [shown["status"], *(one["status"] for one in shown["split_off"])]

    @property
    def captured(self) -> tuple[int, int, int]:
        """Tell what the provider, our payment and its ledger have as captured."""
        charge = provider_charge(self.order_id)
        book = items("payments", f"PAYMENT#{self.order_id}")
        entries = [item for key, item in book.items() if key.startswith("ENTRY#CAPTURE")]
        ledger = sum(entry["legs"][0]["amount_minor"] for entry in entries)
        return (
            charge["captured_minor"] if charge else 0,
            book["PAYMENT"]["captured_minor"],
            ledger,
        )

    @property
    def charge(self) -> tuple[str, int, int]:
        charge = provider_charge(self.order_id)
        assert charge is not None
        return charge["status"], charge["captured_minor"], charge["refunded_minor"]

    def findings(self) -> set[str]:
        """Name what a reconciliation tells of the order, a while later."""
        after: str | None = None
        found = []
        while True:
            body: dict[str, Any] = {"day": self.placed_on, "repair": False, "after": after}
            answer = self.town.admin.post("/v1/staff/reconciliations", body)
            assert answer.status_code == 200, answer.text
            comparison = answer.json()
            found += comparison["findings"]
            after = comparison["after"]
            if after is None:
                return {one["kind"] for one in found if one["order_id"] == self.order_id}


def buys(town: Town, quantity: int = 3, **address: str) -> Split:
    return Split(**vars(bought(town, quantity=quantity, **address)))


@pytest.fixture
def later(town: Town, at: Callable[[timedelta], None]) -> Iterator[Callable[[timedelta], None]]:
    """Let time pass, and staff log in again: their tokens have expired."""
    before = town.admin

    def pass_by(shift: timedelta) -> None:
        at(shift)
        who = {"email": "admin@example.com", "password": "a long enough password"}
        token = town.nobody.post("/v1/sessions", who).json()["access_token"]
        town.admin = Person(town.http, token)

    yield pass_by
    town.admin = before


def all_three(amount_minor: int) -> tuple[int, int, int]:
    return amount_minor, amount_minor, amount_minor


def test_two_parcels_are_captured_as_they_leave_and_sum_to_the_total(
    town: Town, on_dispatch: bool
) -> None:
    order = buys(town)
    assert order.order["status"] == "CONFIRMED"
    assert order.captured == all_three(0 if on_dispatch else 3750)

    split = order.splits()

    assert split.status_code == 201, split.text
    assert order.captured == all_three(1250 if on_dispatch else 3750)
    assert order.statuses == ["BOOKED" if on_dispatch else "LABELLED", "LABELLED"]
    assert order.dispatches(1).json()["code"] == "parcel_goes_last"
    assert order.dispatches(2).status_code == 200
    assert order.order["status"] == "SHIPPED"
    order.arrives(2)
    assert order.order["status"] == "SHIPPED"
    assert order.dispatches(1).status_code == 200
    assert order.captured == all_three(3750)
    assert order.charge == ("CAPTURED", 3750, 0)
    order.arrives(1)

    assert order.order["status"] == "DELIVERED"
    assert order.statuses == ["DELIVERED", "DELIVERED"]


@captured_on_leaving
def test_parcels_of_a_discounted_taxed_order_are_captured_as_its_total_to_the_penny(
    town: Town,
) -> None:
    """Three mugs at 12.50 less 2.00, and 8.875 % on top: 38.65, which three do not divide."""
    promotion = {"kind": "amount", "amounts": [{"amount_minor": 200, "currency": "GBP"}]}
    rate = {"tax_class": "standard", "rate_ppm": 88_750, "valid_from": "2020-01-01"}
    since = {"starts_at": "2020-01-01T00:00:00Z"}
    assert town.admin.put("/v1/staff/promotions/TWO-OFF", promotion | since).status_code == 200
    table = {"prices_include_tax": False, "rates": [rate]}
    assert town.admin.put("/v1/staff/taxes/NO", table).status_code == 200
    guest = town.guest()
    guest.fills_cart(MUG=3)
    guest.put("/v1/cart/promotions/TWO-OFF", None)
    order_id = guest.checks_out(3865, country="NO").json()["order_id"]
    town.settles()
    number = guest.get(f"/v1/shipments/{order_id}").json()["tracking_number"]
    order = Split(town, guest, order_id, number)
    captured = []

    for parcel in (2, 3):
        order.splits(key=f"key-{parcel}")
        captured.append(order.captured[0])
    for parcel in (2, 3, 1):
        assert order.dispatches(parcel).status_code == 200

    assert captured == [1289, 1289 + 1288]
    assert order.captured == all_three(3865)
    assert order.charge == ("CAPTURED", 3865, 0)


def test_an_order_that_is_not_split_leaves_in_one_parcel(town: Town, on_dispatch: bool) -> None:
    order = buys(town)

    assert order.dispatches().status_code == 200
    assert order.dispatches().status_code == 200

    assert order.captured == all_three(3750)
    assert order.charge[0] == "CAPTURED"
    order.arrives()
    assert order.order["status"] == "DELIVERED"


def test_a_split_again_or_too_large_changes_nothing(town: Town, on_dispatch: bool) -> None:
    order = buys(town)
    first = order.splits(2)
    assert order.splits(2).json()["split_off"] == first.json()["split_off"]
    captured = order.captured

    assert order.splits(2, key="key-2").json()["code"] == "split_too_large"
    assert order.splits(1, key="key-2").json()["code"] == "split_not_possible"
    assert order.splits(1, key="key-1").status_code == 422

    assert order.captured == captured
    assert len(order.shipment["split_off"]) == 1
    refused = order.buyer.post(
        f"/v1/shipments/{order.order_id}/parcels",
        {"lines": [{"sku": "MUG", "quantity": 1}], "weight_grams": 1},
        Idempotency_Key="key-9",
    )
    assert refused.status_code == 403


def test_the_carriers_webhooks_move_each_parcel(town: Town, on_dispatch: bool) -> None:
    order = buys(town)
    order.splits()
    other = Split(
        town, order.buyer, order.order_id, order.shipment["split_off"][0]["tracking_number"]
    )

    other.befalls("collected", "in_transit")
    assert order.order["status"] == "SHIPPED"
    order.staff("pick")
    order.befalls("collected", "delivered")
    assert order.order["status"] == "SHIPPED"
    other.befalls("delivered")

    assert order.statuses == ["DELIVERED", "DELIVERED"]
    assert order.order["status"] == "DELIVERED"
    assert order.captured == all_three(3750)


def test_an_order_cancelled_before_any_parcel_left_gives_all_back(
    town: Town, on_dispatch: bool
) -> None:
    whole, split = buys(town), buys(town)
    split.splits()

    for order in (whole, split):
        assert order.cancels().status_code == 202
        assert order.order["status"] == "CANCELLED"
        assert set(order.statuses) == {"CANCELLED"}
    if on_dispatch:
        assert whole.charge == ("VOIDED", 0, 0)
        assert split.charge == ("CAPTURED", 1250, 1250)
    assert split.dispatches(2).json()["code"] == "shipment_transition"


def test_an_order_one_of_whose_parcels_left_is_not_cancelled(town: Town, on_dispatch: bool) -> None:
    order = buys(town)
    order.splits()
    order.dispatches(2)

    assert order.cancels().json()["code"] == "order_transition"

    order.dispatches(1)
    assert order.captured == all_three(3750)


@captured_on_leaving
def test_a_refused_capture_stops_the_parcel_and_says_so(town: Town) -> None:
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(MUG=3), method="pm_capture_refused")
    town.settles()
    order_id = accepted.json()["order_id"]
    number = guest.get(f"/v1/shipments/{order_id}").json()["tracking_number"]
    order = Split(town, guest, order_id, number)
    assert order.order["status"] == "CONFIRMED"

    refused = order.splits()

    assert (refused.status_code, refused.json()["code"]) == (409, "parcel_not_paid")
    assert order.dispatches(2).json()["reason"] == "capture_refused"
    assert order.statuses == ["BOOKED", "BOOKED"]
    assert order.shipment["split_off"][0]["unpaid_because"] == "capture_refused"
    assert order.captured == all_three(0)
    assert order.order["status"] == "CONFIRMED"
    assert order.cancels().status_code == 202
    assert order.order["status"] == "CANCELLED"
    assert order.charge == ("VOIDED", 0, 0)


def test_a_parcel_leaves_once_after_a_crash_between_its_capture_and_its_label(
    town: Town, on_dispatch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shipping.simulator import SimulatedCarrier

    order = buys(town)
    with monkeypatch.context() as broken:
        broken.setattr(SimulatedCarrier, "label", lambda *_: 1 / 0)
        assert order.splits().status_code == 500
    captured = order.captured

    assert order.dispatches(2).status_code == 200

    assert order.captured == captured
    assert order.statuses[1] == "DISPATCHED"


@captured_on_leaving
def test_an_authorization_that_lapsed_stops_the_parcel_until_somebody_looks(
    town: Town, later: Callable[[timedelta], None]
) -> None:
    order = buys(town)
    order.splits()
    later(timedelta(days=8))

    assert order.dispatches(1).json()["code"] == "parcel_goes_last"
    order.dispatches(2)
    refused = order.dispatches(1)

    assert refused.json()["code"] == "parcel_not_paid"
    assert order.captured == all_three(1250)
    assert order.shipment["unpaid_because"] == "capture_refused"


@captured_on_leaving
def test_an_authorization_is_made_anew_while_nothing_has_left(
    town: Town, later: Callable[[timedelta], None]
) -> None:
    order = buys(town)
    later(timedelta(days=6))
    town.stack.pump.fire("tradepost-local-payments-watch_authorizations")
    town.settles()
    later(timedelta(days=10))

    assert order.dispatches().status_code == 200

    payment = items("payments", f"PAYMENT#{order.order_id}")["PAYMENT"]
    assert (payment["attempt"], payment["captured_minor"]) == (2, 3750)


def test_the_reconciliation_knows_what_is_set_aside_for_parcels_still_here(
    town: Town, on_dispatch: bool, later: Callable[[timedelta], None]
) -> None:
    whole, split = buys(town), buys(town)
    split.splits()
    split.dispatches(2)
    later(timedelta(minutes=20))
    assert (whole.findings(), split.findings()) == (set(), set())

    for order in (whole, split):
        order.dispatches(1)
    assert (whole.findings(), split.findings()) == (set(), set())


def test_what_came_in_two_parcels_is_claimed_and_returned(town: Town, on_dispatch: bool) -> None:
    order = buys(town)
    order.splits()
    order.dispatches(2)
    order.arrives(2)
    claim = order.customer("claims", {"kind": "damaged", "description": "a crack"})
    assert claim.status_code == 201, claim.text
    accepted = order.staff(
        f"claims/{claim.json()['claim_id']}/acceptance",
        {"amount": {"amount_minor": 500, "currency": "GBP"}},
    )
    assert accepted.status_code == 200
    town.settles()
    asked = {"lines": [{"sku": "MUG", "quantity": 3}], "reason": "too many"}
    early = order.customer("returns", asked, Idempotency_Key="ret-1")
    assert early.json()["code"] == "return_not_possible"

    order.dispatches(1)
    order.arrives(1)

    assert order.customer("returns", asked, Idempotency_Key="ret-1").status_code == 201
    assert order.charge == ("CAPTURED", 3750, 500)
