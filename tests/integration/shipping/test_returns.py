"""Returns on DynamoDB: never more than was bought, received once, ended once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from shipping.dynamodb import DynamoDBReturns, DynamoDBShipments
from shipping.model.returns import (
    RETURN_WINDOW,
    Condition,
    ReceiptTooLargeError,
    ReceivedLine,
    Return,
    ReturnLine,
    ReturnNotFoundError,
    ReturnNotPossibleError,
    ReturnStatus,
    ReturnTooLargeError,
    ReturnTransitionError,
)
from shipping.model.shipment import Parcel, ScanEvent, ShipmentNotFoundError
from shipping.use_cases import parcels
from shipping.use_cases import returns as returning
from tests.fakes.shipping import QuietCarrier
from tests.integration.shipping.conftest import NOON, told, types
from tradepost.kernel.errors import IdempotencyMismatchError
from tradepost.kernel.money import Money

RESELLABLE, DAMAGED = Condition.RESELLABLE, Condition.DAMAGED


class MugsBought:
    """An order of three mugs and a lamp. Satisfies `ports.OrderBook`."""

    def bought(self, order_id: str) -> dict[str, int]:
        return {"MUG": 3, "LAMP": 1}

    def total_of(self, order_id: str) -> Money | None:
        return Money(9000, "GBP")


class Runner:
    """Counts what is started. Satisfies `ports.ReturnRunner`."""

    def __init__(self) -> None:
        self.started: list[str] = []

    def start(self, asked: Return) -> None:
        self.started.append(asked.return_id)


class Desk:
    """Where returns are asked for, decided and received."""

    def __init__(self, shipments: DynamoDBShipments, returns: DynamoDBReturns) -> None:
        self.shipments = shipments
        self.returns = returns
        self.runner = Runner()
        self.time = NOON + timedelta(days=2)

    def now(self) -> datetime:
        return self.time

    def asks(
        self, key: str = "key-1", *, who: str = "usr_1", reason: str = "too many", **lines: int
    ) -> Return:
        return returning.request_return(
            "ord_1",
            [ReturnLine(sku, quantity) for sku, quantity in (lines or {"MUG": 2}).items()],
            reason,
            key=key,
            customer_id=who,
            shipments=self.shipments,
            returns=self.returns,
            orders=MugsBought(),
            now=self.now,
        )

    def approves(self, asked: Return) -> Return:
        return returning.approve_return(
            "ord_1", asked.return_id, returns=self.returns, now=self.now
        )

    def rejects(self, asked: Return) -> Return:
        return returning.reject_return("ord_1", asked.return_id, returns=self.returns, now=self.now)

    def receives(self, asked: Return, *lines: ReceivedLine) -> Return:
        return returning.receive_return(
            "ord_1",
            asked.return_id,
            lines,
            returns=self.returns,
            runner=self.runner,
            now=self.now,
        )

    def closes(self, asked: Return) -> Return:
        return returning.close_return(
            "ord_1", asked.return_id, Money(2400, "GBP"), returns=self.returns, now=self.now
        )

    def parks(self, asked: Return) -> Return:
        return returning.park_return("ord_1", asked.return_id, returns=self.returns, now=self.now)

    def resumes(self, asked: Return) -> Return:
        return returning.resume_return(
            "ord_1", asked.return_id, returns=self.returns, runner=self.runner, now=self.now
        )

    def sweeps(self) -> int:
        return returning.sweep_returns(returns=self.returns, runner=self.runner, now=self.now)


@pytest.fixture
def desk(shipments: DynamoDBShipments, returns: DynamoDBReturns, carrier: QuietCarrier) -> Desk:
    """An order's parcel was delivered the day after noon; it is the day after that."""
    parcels.book_shipment(
        "ord_1",
        Parcel({}, 300, "economy"),
        customer_id="usr_1",
        correlation_id="cor_1",
        shipments=shipments,
        carrier=carrier,
    )
    delivered = NOON + timedelta(days=1)
    parcels.label_shipment("ord_1", shipments=shipments, carrier=carrier, now=lambda: NOON)
    parcels.record_progress(
        "ord_1", ScanEvent.DELIVERED, shipments=shipments, now=lambda: delivered
    )
    return Desk(shipments, returns)


def test_a_return_is_asked_for_once_per_key(client: Any, desk: Desk) -> None:
    first = desk.asks()
    again = desk.asks()

    assert first == again
    assert len(desk.returns.of_order("ord_1")) == 1
    assert types(told(client)).count("return.requested.v1") == 1


@pytest.mark.parametrize("changed", [{"MUG": 1}, {"MUG": 2, "LAMP": 1}])
def test_a_key_belongs_to_one_return(desk: Desk, changed: dict[str, int]) -> None:
    desk.asks()

    with pytest.raises(IdempotencyMismatchError):
        desk.asks(**changed)
    with pytest.raises(IdempotencyMismatchError):
        desk.asks(reason="another")


@pytest.mark.parametrize("lines", [{"MUG": 4}, {"VASE": 1}, {"MUG": 1, "LAMP": 2}])
def test_no_more_is_returned_than_was_bought(desk: Desk, lines: dict[str, int]) -> None:
    with pytest.raises(ReturnTooLargeError):
        desk.asks(**lines)

    assert desk.returns.of_order("ord_1") == []


def test_what_is_in_one_return_is_not_in_another(desk: Desk) -> None:
    desk.asks("key-1", MUG=2)

    with pytest.raises(ReturnTooLargeError) as refused:
        desk.asks("key-2", MUG=2)

    assert (refused.value.sku, refused.value.returnable) == ("MUG", 1)
    assert desk.asks("key-3", MUG=1).status is ReturnStatus.REQUESTED


@pytest.mark.usefixtures("often_switching")
def test_returns_asked_for_at_once_never_exceed_what_was_bought(desk: Desk) -> None:
    def asks(number: int) -> int:
        try:
            return sum(line.quantity for line in desk.asks(f"key-{number}", MUG=1).lines)
        except ReturnTooLargeError:
            return 0

    with ThreadPoolExecutor(8) as customers:
        asked = sum(customers.map(asks, range(16)))

    assert asked == 3
    assert len(desk.returns.of_order("ord_1")) == 3


def test_a_rejected_returns_units_may_be_returned_anew(desk: Desk) -> None:
    asked = desk.asks("key-1", MUG=3)

    for _ in range(2):
        desk.rejects(asked)

    assert desk.asks("key-2", MUG=3).status is ReturnStatus.REQUESTED
    with pytest.raises(ReturnTooLargeError):
        desk.asks("key-3", MUG=1)


@pytest.mark.parametrize(("late", "is_taken"), [(0, True), (1, False)])
def test_a_parcel_may_be_returned_within_the_window(desk: Desk, late: int, is_taken: bool) -> None:
    desk.time = NOON + timedelta(days=1, milliseconds=late) + RETURN_WINDOW

    if is_taken:
        assert desk.asks().status is ReturnStatus.REQUESTED
    else:
        with pytest.raises(ReturnNotPossibleError):
            desk.asks()


def test_a_parcel_that_is_still_on_its_way_cannot_be_returned(
    shipments: DynamoDBShipments, returns: DynamoDBReturns, carrier: QuietCarrier
) -> None:
    parcels.book_shipment(
        "ord_1",
        Parcel({}, 300, "economy"),
        customer_id="usr_1",
        correlation_id="cor_1",
        shipments=shipments,
        carrier=carrier,
    )

    with pytest.raises(ReturnNotPossibleError):
        Desk(shipments, returns).asks()


def test_somebody_elses_order_cannot_be_returned(desk: Desk) -> None:
    with pytest.raises(ShipmentNotFoundError):
        desk.asks(who="usr_2")


def test_what_arrives_starts_stock_and_refund(client: Any, desk: Desk) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)

    for _ in range(2):
        desk.receives(asked, ReceivedLine("MUG", 1, RESELLABLE), ReceivedLine("MUG", 1, DAMAGED))

    assert desk.runner.started == [asked.return_id] * 2
    (received,) = (one for one in told(client) if one["type"] == "return.received.v1")
    assert received["units"] == 2


def test_less_may_arrive_and_the_rest_be_returned_later(desk: Desk) -> None:
    asked = desk.asks("key-1", MUG=3)
    desk.approves(asked)

    desk.receives(asked, ReceivedLine("MUG", 1, RESELLABLE))

    assert desk.asks("key-2", MUG=2).status is ReturnStatus.REQUESTED
    with pytest.raises(ReturnTooLargeError):
        desk.asks("key-3", MUG=1)


@pytest.mark.parametrize(
    "lines",
    [
        [ReceivedLine("MUG", 3, RESELLABLE)],
        [ReceivedLine("MUG", 2, RESELLABLE), ReceivedLine("MUG", 1, DAMAGED)],
        [ReceivedLine("LAMP", 1, RESELLABLE)],
    ],
)
def test_no_more_arrives_than_was_announced(desk: Desk, lines: list[ReceivedLine]) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)

    with pytest.raises(ReceiptTooLargeError):
        desk.receives(asked, *lines)

    assert desk.runner.started == []


def test_nothing_is_received_that_was_not_approved(desk: Desk) -> None:
    asked = desk.asks(MUG=2)

    with pytest.raises(ReturnTransitionError):
        desk.receives(asked, ReceivedLine("MUG", 2, RESELLABLE))


def test_a_return_is_received_in_one_way(desk: Desk) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)
    desk.receives(asked, ReceivedLine("MUG", 1, RESELLABLE))

    with pytest.raises(ReturnTransitionError):
        desk.receives(asked, ReceivedLine("MUG", 2, RESELLABLE))
    with pytest.raises(ReturnTransitionError):
        desk.rejects(asked)


def test_a_return_is_refunded_once_and_leaves_the_list_of_those_that_wait(
    client: Any, desk: Desk
) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)
    desk.receives(asked, ReceivedLine("MUG", 2, RESELLABLE))

    for _ in range(2):
        desk.closes(asked)
    desk.parks(asked)

    stored = desk.returns.get("ord_1", asked.return_id)
    assert stored is not None
    assert (stored.status, stored.refund) == (ReturnStatus.REFUNDED, Money(2400, "GBP"))
    assert types(told(client)).count("return.refunded.v1") == 1
    assert desk.returns.waiting(ReturnStatus.RECEIVED, 10, None)[0] == []


def test_a_return_that_was_never_received_is_not_refunded(desk: Desk) -> None:
    asked = desk.asks()
    desk.approves(asked)

    with pytest.raises(ReturnTransitionError):
        desk.closes(asked)


def test_a_return_set_aside_is_taken_up_by_a_person(desk: Desk) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)
    desk.receives(asked, ReceivedLine("MUG", 2, RESELLABLE))
    desk.parks(asked)

    (parked,), _ = desk.returns.waiting(ReturnStatus.NEEDS_ATTENTION, 10, None)
    resumed = desk.resumes(asked)

    assert parked.return_id == asked.return_id
    assert resumed.status is ReturnStatus.RECEIVED
    assert desk.runner.started == [asked.return_id] * 2


def test_only_what_was_set_aside_can_be_taken_up(desk: Desk) -> None:
    with pytest.raises(ReturnTransitionError):
        desk.resumes(desk.asks())


def test_a_return_whose_run_broke_off_is_run_again_after_a_while(desk: Desk) -> None:
    asked = desk.asks(MUG=2)
    desk.approves(asked)
    desk.receives(asked, ReceivedLine("MUG", 2, RESELLABLE))

    assert desk.sweeps() == 0
    desk.time += returning.OVERDUE + timedelta(seconds=1)
    assert desk.sweeps() == 1
    desk.closes(asked)
    assert desk.sweeps() == 0


def test_there_is_no_deciding_a_return_that_is_not_there(desk: Desk) -> None:
    with pytest.raises(ReturnNotFoundError):
        returning.approve_return("ord_1", "ret_none", returns=desk.returns, now=desk.now)
