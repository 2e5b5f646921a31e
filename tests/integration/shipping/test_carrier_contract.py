"""What every carrier must keep: a new one is a new parameter of the fixture `world`.

A world is a carrier with the means to bring about what only the outside can: an address it
refuses, a silence, a scan, a webhook.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shipping.model.shipment import (
    CarrierRefusedError,
    CarrierUnavailableError,
    Parcel,
    ParcelCollectedError,
    Scan,
    ScanEvent,
)
from shipping.ports import Carrier
from shipping.simulator import SimulatedCarrier
from tests.integration.tables import tables
from tradepost.platform.arguments import InvalidBodyError, RawRequest
from tradepost.platform.dynamodb import from_item
from tradepost.platform.webhooks import WebhookSignatureError, signed_headers

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
CURRENT, PREVIOUS, STRANGERS = (letter * 64 for letter in "abc")


@dataclass
class SimulatedWorld:
    """The simulated carrier, which does as the postal code says."""

    carrier: SimulatedCarrier
    client: Any

    def parcel(self, postal_code: str = "YO21 1AA") -> Parcel:
        return Parcel({"postal_code": postal_code, "country": "GB"}, 640, "economy")

    @property
    def refused(self) -> Parcel:
        return self.parcel("CARRIER-REFUSES")

    @property
    def unanswered(self) -> Parcel:
        return self.parcel("CARRIER-SILENT")

    @property
    def answered_too_late(self) -> Parcel:
        return self.parcel("CARRIER-LOSES-ANSWER")

    @property
    def without_a_label(self) -> Parcel:
        return self.parcel("CARRIER-NO-LABEL")

    def befalls(self, number: str, event: ScanEvent, at: datetime) -> RawRequest:
        """Let something befall a parcel; return the webhook it is told by."""
        reason = "lost" if event is ScanEvent.FAILED else ""
        self.carrier.advance(number, event, at=at, reason=reason)
        answer = self.client.query(
            TableName="simulators",
            KeyConditionExpression="pk = :pk AND begins_with(sk, :news)",
            ExpressionAttributeValues={":pk": {"S": f"PARCEL#{number}"}, ":news": {"S": "NEWS#"}},
        )
        items = [from_item(item) for item in answer["Items"]]
        (item,) = (item for item in items if json.loads(item["body"])["event"] == event)
        return self.signed(item["body"])

    def signed(self, body: str, *, secret: str = CURRENT, at: datetime = NOON) -> RawRequest:
        return RawRequest(body.encode(), signed_headers(secret, "msg_1", body, at=at))


World = SimulatedWorld


@pytest.fixture(params=["simulated"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with tables("simulators") as client:
        carrier = SimulatedCarrier(client, "simulators", lambda: [CURRENT, PREVIOUS])
        yield SimulatedWorld(carrier, client)


@pytest.fixture
def carrier(world: World) -> Carrier:
    return world.carrier


def test_a_parcel_is_booked_once_per_key(world: World, carrier: Carrier) -> None:
    first = carrier.book("book#1", world.parcel())
    again = carrier.book("book#1", world.parcel())
    other = carrier.book("book#2", world.parcel())

    assert first == again != other


def test_an_address_that_is_not_served_is_refused_for_good(world: World, carrier: Carrier) -> None:
    for _ in range(2):
        with pytest.raises(CarrierRefusedError):
            carrier.book("book#1", world.refused)


def test_a_silence_says_nothing_about_the_booking(world: World, carrier: Carrier) -> None:
    with pytest.raises(CarrierUnavailableError):
        carrier.book("book#1", world.unanswered)


def test_a_booking_whose_answer_was_lost_is_found_by_its_key(
    world: World, carrier: Carrier
) -> None:
    with pytest.raises(CarrierUnavailableError):
        carrier.book("book#1", world.answered_too_late)

    number = carrier.book("book#1", world.answered_too_late)

    assert carrier.scans(number) == []


def test_a_label_is_bought_once_per_key(world: World, carrier: Carrier) -> None:
    number = carrier.book("book#1", world.parcel())

    first = carrier.label("book#1")
    again = carrier.label("book#1")

    assert first == again
    assert [scan.event for scan in carrier.scans(number)] == [ScanEvent.LABEL_CREATED]


def test_there_is_no_label_without_a_booking(carrier: Carrier) -> None:
    with pytest.raises(CarrierRefusedError):
        carrier.label("book#1")


def test_a_label_may_be_refused_for_good(world: World, carrier: Carrier) -> None:
    carrier.book("book#1", world.without_a_label)

    for _ in range(2):
        with pytest.raises(CarrierRefusedError):
            carrier.label("book#1")


def test_what_was_called_off_gets_no_label(world: World, carrier: Carrier) -> None:
    carrier.book("book#1", world.parcel())

    for _ in range(2):
        carrier.cancel("book#1")

    with pytest.raises(CarrierRefusedError):
        carrier.label("book#1")


def test_a_labelled_parcel_can_be_called_off(world: World, carrier: Carrier) -> None:
    carrier.book("book#1", world.parcel())
    carrier.label("book#1")

    carrier.cancel("book#1")

    with pytest.raises(CarrierRefusedError):
        carrier.label("book#1")


def test_a_cancelling_that_comes_first_bars_the_booking(world: World, carrier: Carrier) -> None:
    carrier.cancel("book#1")

    with pytest.raises(CarrierRefusedError):
        carrier.book("book#1", world.parcel())


def test_a_collected_parcel_cannot_be_called_off(world: World, carrier: Carrier) -> None:
    number = carrier.book("book#1", world.parcel())
    carrier.label("book#1")
    world.befalls(number, ScanEvent.COLLECTED, NOON)

    for _ in range(2):
        with pytest.raises(ParcelCollectedError):
            carrier.cancel("book#1")


def test_calling_off_what_failed_in_our_house_is_no_error(world: World, carrier: Carrier) -> None:
    number = carrier.book("book#1", world.parcel())
    carrier.label("book#1")
    world.befalls(number, ScanEvent.FAILED, NOON)

    carrier.cancel("book#1")

    assert ScanEvent.COLLECTED not in {scan.event for scan in carrier.scans(number)}


def test_all_that_befell_a_parcel_can_be_read_back(world: World, carrier: Carrier) -> None:
    number = carrier.book("book#1", world.parcel())
    carrier.label("book#1")
    for hour, event in enumerate((ScanEvent.COLLECTED, ScanEvent.IN_TRANSIT, ScanEvent.DELIVERED)):
        world.befalls(number, event, NOON + timedelta(hours=hour))

    scans = [scan for scan in carrier.scans(number) if scan.event is not ScanEvent.LABEL_CREATED]

    assert [(scan.event, scan.occurred_at) for scan in scans] == [
        (ScanEvent.COLLECTED, NOON),
        (ScanEvent.IN_TRANSIT, NOON + timedelta(hours=1)),
        (ScanEvent.DELIVERED, NOON + timedelta(hours=2)),
    ]


def test_nothing_befell_a_parcel_that_the_carrier_does_not_know(carrier: Carrier) -> None:
    assert carrier.scans("trk_unknown") == []


@pytest.mark.parametrize("event", [ScanEvent.COLLECTED, ScanEvent.FAILED])
def test_a_webhook_tells_what_can_be_read_back(
    world: World, carrier: Carrier, event: ScanEvent
) -> None:
    number = carrier.book("book#1", world.parcel())
    carrier.label("book#1")

    news = carrier.news(world.befalls(number, event, NOON), now=NOON)

    assert news.tracking_number == number
    assert news.reported in carrier.scans(number)


def a_body() -> str:
    told = {"tracking_number": "trk_1", "event": "collected", "occurred_at": NOON.isoformat()}
    return json.dumps(told)


@pytest.mark.parametrize("secret", [CURRENT, PREVIOUS])
def test_both_secrets_are_believed_while_they_are_changed(
    world: World, carrier: Carrier, secret: str
) -> None:
    news = carrier.news(world.signed(a_body(), secret=secret), now=NOON)

    assert news.reported == Scan(ScanEvent.COLLECTED, NOON)


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_webhook_of_another_time_is_not_believed(
    world: World, carrier: Carrier, minutes: int
) -> None:
    sent = world.signed(a_body(), at=NOON + timedelta(minutes=minutes))

    with pytest.raises(WebhookSignatureError):
        carrier.news(sent, now=NOON)


def test_a_webhook_that_somebody_else_signed_is_not_believed(
    world: World, carrier: Carrier
) -> None:
    with pytest.raises(WebhookSignatureError):
        carrier.news(world.signed(a_body(), secret=STRANGERS), now=NOON)


def test_a_webhook_is_not_believed_with_a_byte_changed(world: World, carrier: Carrier) -> None:
    sent = world.signed(a_body())

    for place in range(len(sent.body)):
        altered = bytearray(sent.body)
        altered[place] ^= 1
        with pytest.raises(WebhookSignatureError):
            carrier.news(RawRequest(bytes(altered), sent.headers), now=NOON)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "[]",
        "{}",
        '{"tracking_number": "trk_1", "event": "vanished", "occurred_at": "2026-01-02T12:00:00Z"}',
        '{"tracking_number": "trk_1", "event": "collected", "occurred_at": "2026-01-02T12:00:00"}',
        '{"tracking_number": "#", "event": "collected", "occurred_at": "2026-01-02T12:00:00Z"}',
    ],
)
def test_a_signed_webhook_that_says_nothing_is_refused(
    world: World, carrier: Carrier, body: str
) -> None:
    with pytest.raises(InvalidBodyError):
        carrier.news(world.signed(body), now=NOON)
