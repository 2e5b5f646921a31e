"""A parcel's life: what may move it, and that the order of the news does not matter."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from shipping.model.shipment import (
    CarrierRefusedError,
    Parcel,
    ParcelCollectedError,
    Scan,
    ScanEvent,
    ScanSource,
    Shipment,
    ShipmentNotFoundError,
    ShipmentStatus,
    ShipmentTransitionError,
    UnknownParcelError,
)
from shipping.ports import ParcelNews
from shipping.use_cases import parcels
from tests.fakes.shipping import InMemoryShipments, QuietCarrier

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
NUMBER = "number-book#ord_1"
PARCEL = Parcel({"postal_code": "YO21 1AA"}, 300, "economy")

# Each an hour after the one before it, as a carrier's clock has them.
LIFE = [
    Scan(event, NOON + timedelta(hours=hour), reason="lost" if event is ScanEvent.FAILED else "")
    for hour, event in enumerate(
        [
            ScanEvent.LABEL_CREATED,
            ScanEvent.COLLECTED,
            ScanEvent.IN_TRANSIT,
            ScanEvent.FAILED,
            ScanEvent.DELIVERED,
        ]
    )
]
LABEL, COLLECTED, IN_TRANSIT, FAILED, DELIVERED = LIFE


def now() -> datetime:
    return NOON + timedelta(days=1)


class House:
    """One booked parcel, and what is done to it."""

    def __init__(self) -> None:
        self.shipments = InMemoryShipments()
        self.carrier = QuietCarrier()
        parcels.book_shipment(
            "ord_1",
            PARCEL,
            customer_id="usr_1",
            correlation_id="cor_1",
            shipments=self.shipments,
            carrier=self.carrier,
        )

    @property
    def shipment(self) -> Shipment:
        return self.shipments.stored["ord_1"]

    def confirms(self) -> None:
        parcels.label_shipment("ord_1", shipments=self.shipments, carrier=self.carrier, now=now)

    def hears(self, scan: Scan) -> None:
        parcels.hear_of_parcel(
            ParcelNews(NUMBER, scan), shipments=self.shipments, carrier=self.carrier, now=now
        )

    def records(self, event: ScanEvent) -> Shipment:
        return parcels.record_progress("ord_1", event, shipments=self.shipments, now=now)

    def calls_off(self) -> None:
        parcels.cancel_booking(
            "ord_1", correlation_id="cor_1", shipments=self.shipments, carrier=self.carrier
        )

    def told(self) -> list[str]:
        return [event.TYPE for event in self.shipments.events]

    def end(self) -> tuple[object, ...]:
        """Reduce a parcel to what must not depend on the order of the news."""
        shipment = self.shipment
        return (
            shipment.status,
            shipment.handed_over_at,
            shipment.delivered_at,
            shipment.failure,
            frozenset(self.shipments.kept["ord_1"]),
            len(self.shipments.kept["ord_1"]),
            "shipment.delivered.v1" in self.told(),
        )


def ends_of(life: list[Scan], *, times: int) -> set[tuple[object, ...]]:
    """Let a confirmed parcel's news come in every order, each so many times."""
    ends = set()
    for order in set(itertools.permutations(range(len(life) * times))):
        # Equal news are one: orders that differ by nothing else are tried once.
        if any(
            order.index(place) > order.index(place + len(life))
            for place in range(len(life) * (times - 1))
        ):
            continue
        house = House()
        house.confirms()
        for place in order:
            house.hears(life[place % len(life)])
        ends.add(house.end())
    return ends


@pytest.mark.parametrize(
    ("life", "status"),
    [
        ([LABEL, COLLECTED, IN_TRANSIT, DELIVERED], ShipmentStatus.DELIVERED),
        ([LABEL, COLLECTED, IN_TRANSIT, FAILED], ShipmentStatus.FAILED),
        (LIFE, ShipmentStatus.DELIVERED),
        ([LABEL, FAILED], ShipmentStatus.FAILED),
    ],
)
def test_a_parcels_news_in_any_order_lead_to_one_end(
    life: list[Scan], status: ShipmentStatus
) -> None:
    ends = ends_of(life, times=1)

    assert len(ends) == 1
    assert next(iter(ends))[0] is status


@pytest.mark.parametrize("last", [DELIVERED, FAILED])
def test_a_parcels_news_told_twice_in_any_order_lead_to_the_same_end(last: Scan) -> None:
    life = [LABEL, COLLECTED, IN_TRANSIT, last]

    assert ends_of(life, times=2) == ends_of(life, times=1)


def test_the_confirmation_may_come_anywhere_among_the_news() -> None:
    ends = set()
    for order in itertools.permutations([*LIFE[:3], DELIVERED, None]):
        house = House()
        for scan in order:
            if scan is None:
                house.confirms()
            else:
                house.hears(scan)
        ends.add(house.end())

    assert len(ends) == 1
    assert next(iter(ends))[0] is ShipmentStatus.DELIVERED


@pytest.mark.parametrize("event", [ScanEvent.PICKED, ScanEvent.COLLECTED, ScanEvent.DELIVERED])
def test_nothing_leaves_the_house_before_its_order_is_confirmed(event: ScanEvent) -> None:
    house = House()

    with pytest.raises(ShipmentTransitionError):
        house.records(event)

    assert house.shipment.status is ShipmentStatus.BOOKED
    assert house.told() == []


def test_what_a_carrier_tells_before_the_confirmation_is_kept_and_moves_nothing() -> None:
    house = House()

    house.hears(COLLECTED)

    assert house.shipment.status is ShipmentStatus.BOOKED
    assert house.shipments.scans("ord_1") == [COLLECTED]
    assert house.told() == []


def test_a_confirmed_parcel_is_picked_dispatched_and_delivered_by_the_staff() -> None:
    house = House()
    house.confirms()

    statuses = [
        house.records(event).status
        for event in (ScanEvent.PICKED, ScanEvent.COLLECTED, ScanEvent.DELIVERED)
    ]

    assert statuses == [
        ShipmentStatus.PICKED,
        ShipmentStatus.DISPATCHED,
        ShipmentStatus.DELIVERED,
    ]
    assert {scan.source for scan in house.shipments.scans("ord_1")} == {ScanSource.STAFF}
    assert house.told() == ["shipment.dispatched.v1", "shipment.delivered.v1"]


def test_the_staffs_word_repeated_or_late_is_no_news() -> None:
    house = House()
    house.confirms()
    house.records(ScanEvent.DELIVERED)
    version = house.shipment.version

    for event in (ScanEvent.DELIVERED, ScanEvent.COLLECTED, ScanEvent.PICKED):
        house.records(event)

    assert house.shipment.version == version
    assert house.told() == ["shipment.delivered.v1"]


def test_a_parcel_that_failed_in_our_house_says_so_and_opens_no_claim() -> None:
    house = House()
    house.confirms()

    house.hears(FAILED)

    (failed,) = house.shipments.events
    assert (failed.TYPE, failed.model_dump()["handed_over"]) == ("shipment.failed.v1", False)
    assert house.shipments.claims == {}


def test_a_parcel_that_failed_on_its_way_is_claimed_by_itself_once() -> None:
    house = House()
    house.confirms()
    house.hears(COLLECTED)

    for _ in range(2):
        house.hears(FAILED)

    assert house.told() == ["shipment.dispatched.v1", "shipment.failed.v1", "claim.opened.v1"]
    assert len(house.shipments.claims) == 1


def test_whether_a_failed_parcel_was_handed_over_the_carrier_is_asked() -> None:
    house = House()
    house.confirms()
    house.carrier.told[NUMBER] = [LABEL, COLLECTED, FAILED]

    house.hears(FAILED)

    assert house.shipment.handed_over
    assert len(house.shipments.claims) == 1


def test_a_failed_parcel_that_turns_out_to_have_left_is_claimed() -> None:
    house = House()
    house.confirms()
    house.hears(FAILED)

    for _ in range(2):
        house.hears(COLLECTED)

    assert house.shipment.status is ShipmentStatus.FAILED
    assert house.told() == ["shipment.failed.v1", "shipment.dispatched.v1", "claim.opened.v1"]
    with pytest.raises(ShipmentTransitionError):
        house.calls_off()


def test_the_hand_over_of_a_parcel_whose_order_was_undone_is_not_announced() -> None:
    house = House()
    house.confirms()
    house.hears(FAILED)
    house.calls_off()

    house.hears(COLLECTED)

    assert house.shipment.status is ShipmentStatus.CANCELLED
    assert house.told() == ["shipment.failed.v1"]
    assert house.shipments.claims == {}


def test_a_label_that_is_refused_is_a_parcel_that_failed_in_our_house(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()

    def refuse(key: str) -> str:
        raise CarrierRefusedError

    monkeypatch.setattr(house.carrier, "label", refuse)
    for _ in range(2):
        house.confirms()

    assert (house.shipment.status, house.shipment.failure) == (
        ShipmentStatus.FAILED,
        "label_refused",
    )
    assert house.told() == ["shipment.failed.v1"]


@pytest.mark.parametrize(
    "before",
    [
        lambda house: None,
        lambda house: house.confirms(),
        lambda house: (house.confirms(), house.records(ScanEvent.PICKED)),
        lambda house: (house.confirms(), house.hears(FAILED)),
    ],
    ids=["booked", "labelled", "picked", "failed here"],
)
def test_a_parcel_in_our_house_can_be_called_off(before: Callable[[House], object]) -> None:
    house = House()
    before(house)

    for _ in range(2):
        house.calls_off()

    assert house.shipment.status is ShipmentStatus.CANCELLED
    assert house.carrier.cancelled == {"book#ord_1"}


@pytest.mark.parametrize("news", [[COLLECTED], [IN_TRANSIT], [DELIVERED], [COLLECTED, FAILED]])
def test_a_parcel_that_the_carrier_has_cannot_be_called_off(news: list[Scan]) -> None:
    house = House()
    house.confirms()
    for scan in news:
        house.hears(scan)
    status = house.shipment.status

    with pytest.raises(ShipmentTransitionError):
        house.calls_off()

    assert house.shipment.status is status
    assert house.carrier.cancelled == set()


def test_a_parcel_that_only_the_carrier_knows_to_be_collected_cannot_be_called_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House()
    house.confirms()

    def too_late(key: str) -> None:
        raise ParcelCollectedError

    monkeypatch.setattr(house.carrier, "cancel", too_late)
    with pytest.raises(ShipmentTransitionError):
        house.calls_off()

    assert house.shipment.status is ShipmentStatus.LABELLED


def test_no_news_bring_a_cancelled_parcel_back() -> None:
    house = House()
    house.confirms()
    house.calls_off()

    for scan in LIFE:
        house.hears(scan)
    house.confirms()

    assert house.shipment.status is ShipmentStatus.CANCELLED
    assert house.told() == []


def test_news_of_a_parcel_that_is_not_ours_are_refused() -> None:
    house = House()

    with pytest.raises(UnknownParcelError):
        parcels.hear_of_parcel(
            ParcelNews("number-of-another-shop", COLLECTED),
            shipments=house.shipments,
            carrier=house.carrier,
            now=now,
        )


def test_an_order_without_a_parcel_cannot_be_labelled() -> None:
    with pytest.raises(ShipmentNotFoundError):
        parcels.label_shipment(
            "ord_2", shipments=InMemoryShipments(), carrier=QuietCarrier(), now=now
        )
