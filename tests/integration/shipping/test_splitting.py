"""Parcels of one order on DynamoDB: whoever races, they carry what was bought and no more."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shipping.dynamodb import DynamoDBShipments
from shipping.model.goods import BackOrdered, Goods, ParcelLine
from shipping.model.shipment import (
    Parcel,
    ParcelNotPaidError,
    Scan,
    ScanEvent,
    Shipment,
    ShipmentStatus,
    SplitTooLargeError,
)
from shipping.ports import ParcelNews
from shipping.use_cases import parcels, splitting
from tests.fakes.shipping import QuietCarrier
from tests.integration.shipping.conftest import NOON, told, types
from tradepost.kernel.errors import ConflictError, StaleError
from tradepost.kernel.money import Money

BOUGHT = {"MUG": 5, "BOWL": 1}
PRICE = Money(1250, "GBP")


def now() -> datetime:
    return NOON + timedelta(days=1)


class Orders:
    """Satisfies `ports.OrderBook`."""

    def bought(self, order_id: str) -> dict[str, int]:
        return BOUGHT

    def total_of(self, order_id: str) -> Money | None:
        return PRICE * 6

    def goods_of(self, order_id: str) -> Goods:
        return Goods("CONFIRMED", BOUGHT)

    def price_of(self, order_id: str, lines: list[ParcelLine], **_: Any) -> Money:
        return PRICE * sum(line.quantity for line in lines)

    def address_of(self, order_id: str) -> dict[str, str]:
        return {}


class Till:
    """Satisfies `ports.Till`."""

    def __init__(self) -> None:
        self.captured: Counter[int] = Counter()
        self.refuses = False

    def capture(self, order_id: str, number: int, amount: Money | None) -> None:
        if self.refuses:
            raise ParcelNotPaidError(order_id, number, "capture_refused")
        self.captured[number] += 1


class Stockroom:
    """Everything is here. Satisfies `ports.Stockroom`."""

    def back_ordered(self, order_id: str) -> list[BackOrdered]:
        return []


class House:
    def __init__(self, shipments: DynamoDBShipments, carrier: QuietCarrier) -> None:
        self.shipments = shipments
        self.carrier = carrier
        self.till = Till()
        self._means: dict[str, Any] = {
            "shipments": shipments,
            "carrier": carrier,
            "orders": Orders(),
        }
        parcels.book_shipment(
            "ord_1",
            Parcel({}, 300, "economy"),
            customer_id="usr_1",
            correlation_id="cor_1",
            is_captured_on_leaving=True,
            shipments=shipments,
            carrier=carrier,
        )

    @property
    def shipment(self) -> Shipment:
        stored = self.shipments.get("ord_1")
        assert stored is not None
        return stored

    def splits(self, key: str, quantity: int = 2) -> Shipment:
        lines = [ParcelLine("MUG", quantity)]
        return splitting.split_off("ord_1", lines, 320, key=key, **self._means)

    def advances(self, number: int, event: ScanEvent = ScanEvent.COLLECTED) -> None:
        splitting.advance_parcel(
            "ord_1",
            event,
            number=number,
            till=self.till,
            stockroom=Stockroom(),
            now=now,
            **self._means,
        )

    def hears(self, number: int, event: ScanEvent) -> None:
        tracking_number = self.shipment.parcel(number).tracking_number
        news = ParcelNews(tracking_number, Scan(event, NOON + timedelta(hours=1)))
        parcels.hear_of_parcel(news, shipments=self.shipments, carrier=self.carrier, now=now)


@pytest.fixture
def house(shipments: DynamoDBShipments, carrier: QuietCarrier) -> House:
    return House(shipments, carrier)


def at_once(*acts: Callable[[], Any]) -> list[str | None]:
    """Do these at the same time, each until it is done or refused for good."""

    def do(act: Callable[[], Any]) -> str | None:
        for _ in range(30):
            try:
                act()
            except StaleError:
                continue
            except ConflictError as refusal:
                return refusal.code
            return None
        raise AssertionError("it kept changing")

    with ThreadPoolExecutor(len(acts)) as crowd:
        return list(crowd.map(do, acts))


def test_a_parcel_that_is_split_off_is_stored_whole_and_found_by_its_number(house: House) -> None:
    parcel = house.splits("key-1")

    assert house.shipment.others == (replace(parcel, version=house.shipment.version),)
    assert house.shipments.parcel_of("quiet-post", parcel.tracking_number) == ("ord_1", 2)

    house.advances(2)
    parcel = house.shipment.parcel(2)
    assert (parcel.status, parcel.handed_over_at) == (ShipmentStatus.DISPATCHED, now())
    assert parcel.label == f"label-book#ord_1#{parcel.parcel_id}"
    assert [scan.event for scan in house.shipments.scans("ord_1", 2)] == [ScanEvent.COLLECTED]
    assert house.shipments.scans("ord_1") == []


def test_splits_at_once_never_carry_more_than_was_bought(house: House) -> None:
    keys = [f"key-{number}" for number in range(4)]

    outcomes = at_once(*(lambda key=key: house.splits(key) for key in keys))  # type: ignore[misc]

    assert sorted(outcomes, key=str) == [None, None, *["split_too_large"] * 2]
    assert [one.lines for one in house.shipment.others] == [(ParcelLine("MUG", 2),)] * 2
    assert [one.number for one in house.shipment.others] == [2, 3]
    # What was booked for a split that came too late does not wait for anybody.
    numbers = {f"book#ord_1#{one.parcel_id}" for one in house.shipment.others}
    assert house.carrier.cancelled.isdisjoint(numbers)


def test_one_key_at_once_is_one_parcel(house: House) -> None:
    outcomes = at_once(*[lambda: house.splits("key-1")] * 4)

    assert outcomes == [None] * 4
    assert len(house.shipment.others) == 1
    assert house.carrier.cancelled == set()


def test_a_refused_split_leaves_the_shipment_as_it_was(house: House) -> None:
    before = house.shipment

    with pytest.raises(SplitTooLargeError):
        house.splits("key-1", quantity=6)

    assert house.shipment == before


def test_a_parcel_dispatched_by_two_at_once_is_told_once(house: House) -> None:
    house.splits("key-1")

    assert at_once(*[lambda: house.advances(2)] * 4) == [None] * 4

    assert house.shipment.parcel(2).status is ShipmentStatus.DISPATCHED
    assert types(told_in(house)) == ["shipment.dispatched.v1"]


def told_in(house: House) -> list[dict[str, Any]]:
    return told(house.shipments._client)


def test_the_last_two_parcels_arriving_at_once_are_told_once(house: House) -> None:
    house.splits("key-1")
    house.advances(2)
    house.advances(1)

    at_once(
        lambda: house.hears(1, ScanEvent.DELIVERED), lambda: house.hears(2, ScanEvent.DELIVERED)
    )

    assert house.shipment.has_arrived
    assert types(told_in(house)).count("shipment.delivered.v1") == 1


def test_a_parcel_split_off_while_its_order_is_called_off_does_not_leave(house: House) -> None:
    def call_off() -> None:
        parcels.cancel_booking(
            "ord_1",
            correlation_id="cor_1",
            shipments=house.shipments,
            carrier=house.carrier,
        )

    outcomes = at_once(call_off, lambda: house.splits("key-1"))

    assert outcomes[0] is None
    assert all(one.status is ShipmentStatus.CANCELLED for one in house.shipment.others)
    assert house.shipment.status is ShipmentStatus.CANCELLED
    with contextlib.suppress(ConflictError):
        house.advances(2 if house.shipment.others else 1)
    assert house.till.captured == {}
    assert told_in(house) == []


def test_a_parcel_that_is_not_paid_says_why_until_it_is(house: House) -> None:
    house.splits("key-1")
    house.till.refuses = True
    with pytest.raises(ParcelNotPaidError):
        house.advances(2)

    assert house.shipment.parcel(2).unpaid_because == "capture_refused"
    assert house.shipment.awaits_money

    house.till.refuses = False
    house.advances(2)
    house.advances(1)
    assert house.shipment.parcel(2).unpaid_because is None
    assert not house.shipment.awaits_money
