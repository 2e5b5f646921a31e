"""Parcels on DynamoDB: whoever races, each parcel has one end and tells it once."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from shipping.dynamodb import DynamoDBClaims, DynamoDBShipments
from shipping.model.claim import (
    Claim,
    ClaimCurrencyError,
    ClaimKind,
    ClaimNotFoundError,
    ClaimNotPossibleError,
    ClaimStatus,
    ClaimTooEarlyError,
    ClaimTooLargeError,
    ClaimTransitionError,
)
from shipping.model.shipment import (
    Parcel,
    Scan,
    ScanEvent,
    ShipmentCancelledError,
    ShipmentNotFoundError,
    ShipmentStatus,
    ShipmentTransitionError,
)
from shipping.ports import ParcelNews
from shipping.use_cases import claims as claiming
from shipping.use_cases import parcels
from tests.fakes.shipping import QuietCarrier
from tests.integration.shipping.conftest import NOON, told, types
from tradepost.kernel.money import Money

NUMBER = "number-book#ord_1"
LABEL, COLLECTED, IN_TRANSIT, DELIVERED = (
    Scan(event, NOON + timedelta(hours=hour))
    for hour, event in enumerate(
        (
            ScanEvent.LABEL_CREATED,
            ScanEvent.COLLECTED,
            ScanEvent.IN_TRANSIT,
            ScanEvent.DELIVERED,
        )
    )
)
LOST = Scan(ScanEvent.FAILED, NOON + timedelta(hours=5), reason="lost")
PAID = Money(2500, "GBP")


def now() -> datetime:
    return NOON + timedelta(days=1)


class PaidOrders:
    """Satisfies `ports.OrderBook`."""

    def bought(self, order_id: str) -> dict[str, int]:
        return {"MUG": 2}

    def total_of(self, order_id: str) -> Money | None:
        return PAID


class House:
    def __init__(self, shipments: DynamoDBShipments, carrier: QuietCarrier) -> None:
        self.shipments = shipments
        self.carrier = carrier

    def books(self) -> None:
        parcels.book_shipment(
            "ord_1",
            Parcel({}, 300, "economy"),
            customer_id="usr_1",
            correlation_id="cor_1",
            shipments=self.shipments,
            carrier=self.carrier,
        )

    def confirms(self) -> None:
        parcels.label_shipment("ord_1", shipments=self.shipments, carrier=self.carrier, now=now)

    def hears(self, scan: Scan) -> None:
        parcels.hear_of_parcel(
            ParcelNews(NUMBER, scan), shipments=self.shipments, carrier=self.carrier, now=now
        )

    def calls_off(self) -> None:
        parcels.cancel_booking(
            "ord_1", correlation_id="cor_1", shipments=self.shipments, carrier=self.carrier
        )

    def dispatches(self) -> None:
        parcels.record_progress("ord_1", ScanEvent.COLLECTED, shipments=self.shipments, now=now)

    @property
    def status(self) -> ShipmentStatus:
        shipment = self.shipments.get("ord_1")
        assert shipment is not None
        return shipment.status


@pytest.fixture
def house(shipments: DynamoDBShipments, carrier: QuietCarrier) -> House:
    house = House(shipments, carrier)
    house.books()
    return house


def test_a_parcel_is_stored_once_and_found_by_its_number(house: House) -> None:
    house.books()

    assert house.shipments.parcel_of("quiet-post", NUMBER) == ("ord_1", 1)
    assert house.shipments.parcel_of("another-post", NUMBER) is None


def test_a_booking_overtaken_by_its_cancelling_is_called_off(
    shipments: DynamoDBShipments, carrier: QuietCarrier
) -> None:
    house = House(shipments, carrier)
    house.calls_off()

    with pytest.raises(ShipmentCancelledError):
        house.books()

    assert house.status is ShipmentStatus.CANCELLED
    assert shipments.parcel_of("quiet-post", NUMBER) is None


def test_every_order_of_a_parcels_webhooks_ends_in_the_same_books(
    client: Any, shipments: DynamoDBShipments, carrier: QuietCarrier
) -> None:
    ends = set()
    for order in itertools.permutations([LABEL, COLLECTED, IN_TRANSIT, DELIVERED]):
        client.delete_table(TableName="shipping")
        client.create_table(**table_of(client))
        house = House(shipments, carrier)
        house.books()
        house.confirms()
        for scan in [*order, *reversed(order)]:
            house.hears(scan)
        stored = shipments.get("ord_1")
        assert stored is not None
        kept = tuple(shipments.scans("ord_1"))
        ends.add((stored.status, stored.handed_over_at, stored.delivered_at, kept))

    assert ends == {
        (
            ShipmentStatus.DELIVERED,
            COLLECTED.occurred_at,
            DELIVERED.occurred_at,
            (LABEL, COLLECTED, IN_TRANSIT, DELIVERED),
        )
    }


def table_of(client: Any) -> dict[str, Any]:
    index = [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]
    return {
        "TableName": "shipping",
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": index,
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    }


@pytest.mark.usefixtures("often_switching")
def test_webhooks_that_come_at_once_are_each_kept_once(client: Any, house: House) -> None:
    house.confirms()
    scans = [LABEL, COLLECTED, IN_TRANSIT, DELIVERED] * 2

    with ThreadPoolExecutor(4) as senders:
        list(senders.map(house.hears, scans))

    assert house.status is ShipmentStatus.DELIVERED
    assert house.shipments.scans("ord_1") == [LABEL, COLLECTED, IN_TRANSIT, DELIVERED]
    assert types(told(client)).count("shipment.delivered.v1") == 1


@pytest.mark.usefixtures("often_switching")
def test_a_parcel_is_dispatched_or_called_off_and_never_both(client: Any, house: House) -> None:
    house.confirms()

    with ThreadPoolExecutor(2) as hands:
        off = hands.submit(house.calls_off)
        out = hands.submit(house.dispatches)
        outcomes = []
        for done in (off, out):
            with contextlib.suppress(ShipmentTransitionError):
                done.result()
                outcomes.append(done)

    assert len(outcomes) == 1
    assert house.status is (
        ShipmentStatus.CANCELLED if outcomes == [off] else ShipmentStatus.DISPATCHED
    )
    assert types(told(client)) == ([] if outcomes == [off] else ["shipment.dispatched.v1"])


def test_a_parcel_lost_on_its_way_has_one_claim_however_often_it_is_told(
    client: Any, house: House, claims: DynamoDBClaims
) -> None:
    house.confirms()
    house.hears(COLLECTED)

    for _ in range(2):
        house.hears(LOST)

    (claim,) = claims.of_order("ord_1")
    assert (claim.kind, claim.status) == (ClaimKind.NOT_DELIVERED, ClaimStatus.OPEN)
    assert types(told(client)) == [
        "claim.opened.v1",
        "shipment.dispatched.v1",
        "shipment.failed.v1",
    ]


def opens(
    house: House, claims: DynamoDBClaims, kind: ClaimKind, *, at: datetime, who: str = "usr_1"
) -> Claim:
    return claiming.open_claim(
        "ord_1",
        kind,
        "where is it?",
        customer_id=who,
        shipments=house.shipments,
        claims=claims,
        now=lambda: at,
    )


def test_a_claim_of_the_customers_is_not_opened_again_by_the_carrier(
    client: Any, house: House, claims: DynamoDBClaims
) -> None:
    house.confirms()
    house.hears(COLLECTED)
    claim = opens(house, claims, ClaimKind.NOT_DELIVERED, at=NOON + timedelta(days=30))

    house.hears(LOST)

    assert claims.of_order("ord_1") == [claim]
    assert house.status is ShipmentStatus.FAILED
    assert types(told(client)).count("claim.opened.v1") == 1


def test_a_parcel_that_may_still_arrive_cannot_be_claimed(
    house: House, claims: DynamoDBClaims
) -> None:
    house.confirms()
    house.hears(COLLECTED)

    with pytest.raises(ClaimTooEarlyError) as refused:
        opens(house, claims, ClaimKind.NOT_DELIVERED, at=NOON + timedelta(days=14))

    assert refused.value.possible_from == "2026-01-16T13:00:00.000Z"
    assert claims.of_order("ord_1") == []


@pytest.mark.parametrize(
    ("scans", "kind", "days"),
    [
        ([], ClaimKind.NOT_DELIVERED, 30),
        ([], ClaimKind.DAMAGED, 1),
        ([COLLECTED], ClaimKind.DAMAGED, 1),
        ([COLLECTED, DELIVERED], ClaimKind.NOT_DELIVERED, 30),
        ([COLLECTED, DELIVERED], ClaimKind.DAMAGED, 15),
    ],
)
def test_what_became_of_a_parcel_may_leave_nothing_to_claim(
    house: House, claims: DynamoDBClaims, scans: list[Scan], kind: ClaimKind, days: int
) -> None:
    house.confirms()
    for scan in scans:
        house.hears(scan)

    with pytest.raises(ClaimNotPossibleError):
        opens(house, claims, kind, at=NOON + timedelta(days=days))


def test_somebody_elses_parcel_cannot_be_claimed(house: House, claims: DynamoDBClaims) -> None:
    with pytest.raises(ShipmentNotFoundError):
        opens(house, claims, ClaimKind.DAMAGED, at=NOON, who="usr_2")


@pytest.fixture
def damaged(house: House, claims: DynamoDBClaims) -> Claim:
    house.confirms()
    house.hears(DELIVERED)
    return opens(house, claims, ClaimKind.DAMAGED, at=NOON + timedelta(days=1))


def accepts(claims: DynamoDBClaims, claim: Claim, amount: Money) -> Claim:
    return claiming.accept_claim(
        "ord_1", claim.claim_id, amount, claims=claims, orders=PaidOrders(), now=now
    )


def test_an_accepted_claim_promises_its_amount_once(
    client: Any, claims: DynamoDBClaims, damaged: Claim
) -> None:
    for _ in range(2):
        accepts(claims, damaged, Money(900, "GBP"))

    promised = [event for event in told(client) if event["type"] == "claim.accepted.v1"]
    assert [(event["claim_id"], event["amount_minor"]) for event in promised] == [
        (damaged.claim_id, 900)
    ]
    assert claims.waiting(ClaimStatus.OPEN, 10, None)[0] == []


@pytest.mark.parametrize(
    ("amount", "refusal"),
    [
        (Money(2501, "GBP"), ClaimTooLargeError),
        (Money(900, "EUR"), ClaimCurrencyError),
    ],
)
def test_a_claim_is_worth_no_more_than_the_order_and_in_its_currency(
    claims: DynamoDBClaims, damaged: Claim, amount: Money, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        accepts(claims, damaged, amount)

    assert claims.waiting(ClaimStatus.OPEN, 10, None)[0] == [damaged]


def test_a_claim_is_decided_once(client: Any, claims: DynamoDBClaims, damaged: Claim) -> None:
    for _ in range(2):
        claiming.reject_claim("ord_1", damaged.claim_id, claims=claims, now=now)

    with pytest.raises(ClaimTransitionError):
        accepts(claims, damaged, Money(900, "GBP"))
    assert types(told(client)) == [
        "claim.opened.v1",
        "claim.rejected.v1",
        "shipment.delivered.v1",
    ]


def test_an_accepted_claim_is_not_accepted_with_another_amount(
    claims: DynamoDBClaims, damaged: Claim
) -> None:
    accepts(claims, damaged, Money(900, "GBP"))

    with pytest.raises(ClaimTransitionError):
        accepts(claims, damaged, Money(901, "GBP"))
    with pytest.raises(ClaimTransitionError):
        claiming.reject_claim("ord_1", damaged.claim_id, claims=claims, now=now)


def test_there_is_no_deciding_a_claim_that_is_not_there(claims: DynamoDBClaims) -> None:
    with pytest.raises(ClaimNotFoundError):
        claiming.reject_claim("ord_1", "clm_none", claims=claims, now=now)
