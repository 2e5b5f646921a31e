"""An order in several parcels: within what was bought, the first last, each paid before it goes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from shipping.model.claim import ClaimKind, ClaimNotPossibleError, require_claimable
from shipping.model.goods import BackOrdered, Goods, ParcelLine
from shipping.model.returns import ReturnNotPossibleError, require_returnable
from shipping.model.shipment import (
    PARCELS_MAX,
    CarrierRefusedError,
    Parcel,
    ParcelGoesLastError,
    ParcelIncompleteError,
    ParcelNotPaidError,
    Scan,
    ScanEvent,
    Shipment,
    ShipmentNotFoundError,
    ShipmentStatus,
    ShipmentTransitionError,
    SplitNotPossibleError,
    SplitTooLargeError,
    status_after,
)
from shipping.ports import ParcelNews
from shipping.use_cases import parcels, splitting
from tests.fakes.shipping import InMemoryShipments, QuietCarrier
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ONE_MUG = [ParcelLine("MUG", 1)]
LIFE = [
    Scan(event, NOON + timedelta(hours=hour))
    for hour, event in enumerate(
        [ScanEvent.COLLECTED, ScanEvent.IN_TRANSIT, ScanEvent.DELIVERED], start=1
    )
]
COLLECTED, _, DELIVERED = LIFE


def now() -> datetime:
    return NOON + timedelta(days=1)


class Orders:
    """Three mugs and a bowl, 12.50 and 7.00, sent for 2.95. Satisfies `ports.OrderBook`."""

    def __init__(self) -> None:
        self.status = "CONFIRMED"

    def bought(self, order_id: str) -> dict[str, int]:
        return {"MUG": 3, "BOWL": 1}

    def total_of(self, order_id: str) -> Money | None:
        return Money(4745, "GBP")

    def goods_of(self, order_id: str) -> Goods:
        return Goods(self.status, self.bought(order_id))

    def price_of(
        self,
        order_id: str,
        lines: Sequence[ParcelLine],
        *,
        before: Sequence[ParcelLine],
        with_shipping: bool,
    ) -> Money:
        prices = {"MUG": 1250, "BOWL": 700}
        paid = sum(prices[line.sku] * line.quantity for line in lines)
        return Money(paid + 295 * with_shipping, "GBP")

    def address_of(self, order_id: str) -> dict[str, str]:
        return {"postal_code": "YO21 1AA"}


class Till:
    """Satisfies `ports.Till`."""

    def __init__(self) -> None:
        self.captured: dict[int, Money | None] = {}
        self.refuses: str | None = None

    def capture(self, order_id: str, number: int, amount: Money | None) -> None:
        if self.refuses is not None:
            raise ParcelNotPaidError(order_id, number, self.refuses)
        self.captured.setdefault(number, amount)


class Stockroom:
    """Satisfies `ports.Stockroom`."""

    def __init__(self) -> None:
        self.expected: list[BackOrdered] = []
        self.asked = 0

    def back_ordered(self, order_id: str) -> list[BackOrdered]:
        self.asked += 1
        return self.expected


class House:
    def __init__(self, *, captures: bool) -> None:
        self.shipments = InMemoryShipments()
        self.carrier = QuietCarrier()
        self.orders = Orders()
        self.till = Till()
        self.stockroom = Stockroom()
        parcels.book_shipment(
            "ord_1",
            Parcel({}, 300, "economy"),
            customer_id="usr_1",
            correlation_id="cor_1",
            is_captured_on_leaving=captures,
            shipments=self.shipments,
            carrier=self.carrier,
        )
        parcels.label_shipment("ord_1", shipments=self.shipments, carrier=self.carrier, now=now)

    @property
    def shipment(self) -> Shipment:
        return self.shipments.stored["ord_1"]

    def statuses(self) -> list[ShipmentStatus]:
        return [one.status for one in (self.shipment, *self.shipment.others)]

    def splits(self, lines: Sequence[ParcelLine] = tuple(ONE_MUG), key: str = "key-1") -> Shipment:
        parcel = splitting.split_off(
            "ord_1",
            lines,
            320,
            key=key,
            shipments=self.shipments,
            carrier=self.carrier,
            orders=self.orders,
        )
        self.releases(parcel.number)
        return self.shipment.parcel(parcel.number)

    def releases(self, number: int) -> None:
        splitting.release_parcel(
            "ord_1",
            number,
            shipments=self.shipments,
            carrier=self.carrier,
            orders=self.orders,
            till=self.till,
            now=now,
        )

    def advances(self, number: int, event: ScanEvent = ScanEvent.COLLECTED) -> None:
        splitting.advance_parcel(
            "ord_1",
            event,
            number=number,
            shipments=self.shipments,
            carrier=self.carrier,
            orders=self.orders,
            till=self.till,
            stockroom=self.stockroom,
            now=now,
        )

    def hears(self, number: int, scan: Scan) -> None:
        news = ParcelNews(self.shipment.parcel(number).tracking_number, scan)
        parcels.hear_of_parcel(news, shipments=self.shipments, carrier=self.carrier, now=now)

    def calls_off(self) -> None:
        parcels.cancel_booking(
            "ord_1", correlation_id="cor_1", shipments=self.shipments, carrier=self.carrier
        )

    def told(self) -> list[str]:
        return [event.TYPE for event in self.shipments.events]


@pytest.fixture
def house() -> House:
    """An order whose money was captured at the checkout."""
    return House(captures=False)


@pytest.fixture
def unpaid() -> House:
    """An order whose money is captured with each parcel."""
    return House(captures=True)


def test_a_parcel_that_is_split_off_is_booked_and_labelled_on_its_own(house: House) -> None:
    parcel = house.splits()

    assert (parcel.number, parcel.lines) == (2, tuple(ONE_MUG))
    assert parcel.tracking_number != house.shipment.tracking_number
    assert house.statuses() == [ShipmentStatus.LABELLED, ShipmentStatus.LABELLED]
    assert house.till.captured == {}


def test_the_same_split_again_is_the_same_parcel_and_another_under_its_key_is_refused(
    house: House,
) -> None:
    assert house.splits() == house.splits()
    assert len(house.shipment.others) == 1

    with pytest.raises(IdempotencyMismatchError):
        house.splits([ParcelLine("BOWL", 1)])


@pytest.mark.parametrize(
    ("lines", "left"),
    [([ParcelLine("MUG", 3)], 2), ([*ONE_MUG, ParcelLine("MUG", 2)], 2), ([ParcelLine("X", 1)], 0)],
)
def test_parcels_never_carry_more_than_was_bought(
    house: House, lines: list[ParcelLine], left: int
) -> None:
    house.splits()

    with pytest.raises(SplitTooLargeError) as refusal:
        house.splits(lines, key="key-2")

    assert refusal.value.left == left
    assert len(house.shipment.others) == 1


def test_something_is_left_in_the_first_parcel(house: House) -> None:
    house.splits([ParcelLine("MUG", 3)])

    with pytest.raises(SplitNotPossibleError):
        house.splits([ParcelLine("BOWL", 1)], key="key-2")


def test_an_order_has_a_bounded_number_of_parcels(house: House) -> None:
    first = house.shipment
    one = first.splitting_off("pcl_1", ONE_MUG, {"MUG": 99})
    full = [Shipment(**{**_fields(one), "number": number}) for number in range(2, PARCELS_MAX + 1)]
    house.shipments.stored["ord_1"] = Shipment(**{**_fields(first), "others": tuple(full)})

    with pytest.raises(SplitNotPossibleError):
        house.splits()


def _fields(shipment: Shipment) -> dict[str, object]:
    return {name: getattr(shipment, name) for name in Shipment.__slots__}


@pytest.mark.parametrize("status", ["PENDING", "CAPTURING", "CANCELLING", "CANCELLED"])
def test_an_order_that_is_not_to_be_sent_is_not_split_and_nothing_is_booked(
    house: House, status: str
) -> None:
    house.orders.status = status

    with pytest.raises(SplitNotPossibleError):
        house.splits()

    assert house.shipment.others == ()


def test_what_has_left_or_was_called_off_is_not_split(house: House) -> None:
    house.calls_off()
    with pytest.raises(SplitNotPossibleError):
        house.splits()

    left = House(captures=False)
    left.advances(1)
    with pytest.raises(SplitNotPossibleError):
        left.splits()


def test_the_first_parcel_leaves_when_the_others_have_left(house: House) -> None:
    house.splits()

    with pytest.raises(ParcelGoesLastError):
        house.advances(1)

    house.advances(2)
    house.advances(1)
    assert house.statuses() == [ShipmentStatus.DISPATCHED, ShipmentStatus.DISPATCHED]


def test_a_parcel_that_is_not_there_does_not_leave(house: House) -> None:
    with pytest.raises(ShipmentNotFoundError):
        house.advances(2)


def test_each_parcel_that_leaves_is_told_and_that_the_order_arrived_once(house: House) -> None:
    house.splits()
    house.advances(2)
    house.advances(2)
    assert house.told() == ["shipment.dispatched.v1"]

    house.hears(2, DELIVERED)
    assert house.told() == ["shipment.dispatched.v1"]

    house.advances(1)
    house.hears(1, DELIVERED)
    house.hears(1, DELIVERED)
    assert house.told() == ["shipment.dispatched.v1"] * 2 + ["shipment.delivered.v1"]
    ids = {event.event_id for event in house.shipments.events}
    assert len(ids) == 3


NEWS = [(number, scan) for number in (1, 2) for scan in (COLLECTED, DELIVERED)]


@pytest.mark.parametrize("captures", [False, True])
@pytest.mark.parametrize("order", list(itertools.permutations(NEWS)))
def test_two_parcels_news_lead_to_one_end_in_whatever_order(
    captures: bool, order: Sequence[tuple[int, Scan]]
) -> None:
    house = House(captures=captures)
    house.splits()
    house.hears(2, LIFE[1])  # it left, so the first may be paid for
    house.releases(1)
    for number, scan in order:
        house.hears(number, scan)

    assert house.statuses() == [ShipmentStatus.DELIVERED, ShipmentStatus.DELIVERED]
    assert house.told().count("shipment.delivered.v1") == 1
    assert house.told()[0] == "shipment.dispatched.v1"
    assert house.told()[-1] == "shipment.delivered.v1"


def test_no_parcel_gets_a_label_before_its_money_is_captured(unpaid: House) -> None:
    assert unpaid.statuses() == [ShipmentStatus.BOOKED]
    unpaid.till.refuses = "capture_refused"

    with pytest.raises(ParcelNotPaidError):
        unpaid.advances(1)
    with pytest.raises(ParcelNotPaidError):
        unpaid.splits()

    assert unpaid.statuses() == [ShipmentStatus.BOOKED, ShipmentStatus.BOOKED]
    assert [one.unpaid_because for one in unpaid.shipment.parcels] == ["capture_refused"] * 2
    with pytest.raises(ParcelNotPaidError):
        unpaid.advances(2)

    unpaid.till.refuses = None
    unpaid.advances(2)
    assert unpaid.shipment.parcel(2).status is ShipmentStatus.DISPATCHED
    assert unpaid.shipment.parcel(2).unpaid_because is None


def test_a_carrier_cannot_move_a_parcel_that_is_not_paid(unpaid: House) -> None:
    unpaid.hears(1, COLLECTED)

    assert unpaid.statuses() == [ShipmentStatus.BOOKED]
    assert unpaid.told() == []


def test_a_parcel_costs_its_units_the_second_the_sending_and_the_first_what_is_left(
    unpaid: House,
) -> None:
    unpaid.splits()
    unpaid.splits([ParcelLine("BOWL", 1)], key="key-2")
    for number in (2, 3, 1, 1):
        unpaid.advances(number)

    assert unpaid.till.captured == {2: Money(1545, "GBP"), 3: Money(700, "GBP"), 1: None}


def test_an_order_that_is_not_split_is_captured_whole_when_it_leaves(unpaid: House) -> None:
    unpaid.advances(1, ScanEvent.PICKED)
    unpaid.advances(1)

    assert unpaid.till.captured == {1: None}
    assert unpaid.statuses() == [ShipmentStatus.DISPATCHED]


@pytest.mark.parametrize("status", ["PENDING", "CAPTURING", "CANCELLING", "CANCELLED"])
def test_nothing_is_captured_for_an_order_that_is_not_to_be_sent(
    unpaid: House, status: str
) -> None:
    unpaid.orders.status = status

    with pytest.raises(ShipmentTransitionError):
        unpaid.advances(1)

    assert unpaid.till.captured == {}


def test_a_crash_after_the_capture_is_taken_up_by_whoever_lets_the_parcel_leave(
    unpaid: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(unpaid.carrier, "label", lambda key: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            unpaid.splits()
    assert unpaid.shipment.parcel(2).status is ShipmentStatus.BOOKED

    unpaid.advances(2)

    assert unpaid.till.captured == {2: Money(1545, "GBP")}
    assert unpaid.shipment.parcel(2).status is ShipmentStatus.DISPATCHED


def test_a_split_parcel_that_fails_in_our_house_gives_its_units_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_key: str) -> str:
        raise CarrierRefusedError

    with monkeypatch.context() as broken:
        broken.setattr(house.carrier, "label", refuse)
        house.splits([ParcelLine("MUG", 3)])

    assert house.shipment.parcel(2).status is ShipmentStatus.FAILED
    assert house.told() == []
    assert house.splits([ParcelLine("MUG", 3)], key="key-2").number == 3
    house.advances(3)
    house.advances(1)


def test_calling_off_calls_all_parcels_off(house: House) -> None:
    parcel = house.splits()

    house.calls_off()
    house.calls_off()

    assert house.statuses() == [ShipmentStatus.CANCELLED, ShipmentStatus.CANCELLED]
    assert house.carrier.cancelled == {"book#ord_1", f"book#ord_1#{parcel.parcel_id}"}
    with pytest.raises(ShipmentTransitionError):
        house.advances(2)


def test_an_order_one_of_whose_parcels_has_left_is_not_called_off(house: House) -> None:
    house.splits()
    house.advances(2)

    with pytest.raises(ShipmentTransitionError):
        house.calls_off()

    assert house.carrier.cancelled == set()
    house.advances(1)


def test_a_parcel_that_the_carrier_has_and_we_do_not_know_of_keeps_the_others(
    house: House,
) -> None:
    parcel = house.splits()
    house.carrier.told[parcel.tracking_number] = [COLLECTED]

    with pytest.raises(ShipmentTransitionError):
        house.calls_off()

    assert house.carrier.cancelled == set()
    assert house.statuses() == [ShipmentStatus.LABELLED, ShipmentStatus.LABELLED]


def test_one_parcel_that_arrived_broken_is_claimed_and_only_all_are_returned(
    house: House,
) -> None:
    house.splits()
    house.advances(2)
    with pytest.raises(ClaimNotPossibleError):
        require_claimable(house.shipment, ClaimKind.DAMAGED, now())

    house.advances(2, ScanEvent.DELIVERED)
    require_claimable(house.shipment, ClaimKind.DAMAGED, now())
    with pytest.raises(ReturnNotPossibleError):
        require_returnable(house.shipment, now())

    house.advances(1, ScanEvent.DELIVERED)
    require_returnable(house.shipment, now())


class TestUnitsThatAreStillToComeIn:
    @pytest.fixture
    def house(self) -> House:
        house = House(captures=False)
        house.stockroom.expected = [BackOrdered("MUG", bought=3, waiting=1)]
        return house

    @pytest.mark.parametrize("event", [ScanEvent.PICKED, ScanEvent.COLLECTED, ScanEvent.DELIVERED])
    def test_a_parcel_stays_until_all_of_it_is_here(self, house: House, event: ScanEvent) -> None:
        with pytest.raises(ParcelIncompleteError):
            house.advances(1, event)
        house.stockroom.expected = []

        house.advances(1, event)

        assert house.statuses() == [status_after(event)]

    def test_what_is_here_may_be_split_off_and_leave(self, house: House) -> None:
        for key in ("key-1", "key-2"):
            house.splits(key=key)
        house.advances(2, ScanEvent.COLLECTED)
        house.advances(3, ScanEvent.COLLECTED)

        with pytest.raises(ParcelIncompleteError):
            house.advances(1, ScanEvent.PICKED)

    def test_no_more_is_packed_than_is_here(self, house: House) -> None:
        house.splits([ParcelLine("MUG", 2)])
        house.splits(key="key-2")
        house.advances(2, ScanEvent.PICKED)

        with pytest.raises(ParcelIncompleteError):
            house.advances(3, ScanEvent.PICKED)

    def test_a_parcel_of_other_things_leaves_without_waiting(self, house: House) -> None:
        house.splits([ParcelLine("BOWL", 1)])

        house.advances(2, ScanEvent.COLLECTED)

        assert house.shipment.parcel(2).status is ShipmentStatus.DISPATCHED

    def test_inventory_is_asked_once_per_parcel(self, house: House) -> None:
        house.stockroom.expected = []

        for event in (ScanEvent.PICKED, ScanEvent.COLLECTED, ScanEvent.DELIVERED):
            house.advances(1, event)

        assert house.stockroom.asked == 1
