"""What is done with a return: asked for, decided, received, refunded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from shipping.model.returns import (
    ReceivedLine,
    Return,
    ReturnLine,
    ReturnNotFoundError,
    ReturnStatus,
    ReturnTransitionError,
    quantities,
    require_bought,
    require_returnable,
)
from shipping.ports import OrderBook, ReturnRepository, ReturnRunner, ShipmentRepository
from shipping.use_cases.parcels import shipment_of
from tradepost.contracts.event import Event, event_id
from tradepost.contracts.shipping import (
    ReturnApprovedV1,
    ReturnReceivedV1,
    ReturnRefundedV1,
    ReturnRejectedV1,
    ReturnRequestedV1,
)
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import IdempotencyMismatchError, StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

# The saga of a return and the staff may meet at it; more writers at once are a mistake.
_ATTEMPTS_MAX = 4

# Longer than an execution of the return's state machine takes.
OVERDUE = timedelta(minutes=6)
SWEPT_MAX = 50

Decide = Callable[[Return], Return]
Report = Callable[[Return], Event | None]
Stated = TypeVar(
    "Stated",
    ReturnRequestedV1,
    ReturnApprovedV1,
    ReturnRejectedV1,
    ReturnReceivedV1,
    ReturnRefundedV1,
)


def request_return(
    order_id: str,
    lines: Sequence[ReturnLine],
    reason: str,
    *,
    key: str,
    customer_id: str,
    shipments: ShipmentRepository,
    returns: ReturnRepository,
    orders: OrderBook,
    now: Clock,
) -> Return:
    """Ask to send units of a delivered order back, once per `key` of the customer's.

    Raises
    ------
    ReturnNotPossibleError
        It has not arrived, or too long ago.
    ReturnTooLargeError
        With the order's other returns it would be more than was bought.
    IdempotencyMismatchError
        The key belongs to another return.
    ShipmentNotFoundError
        No such parcel, or somebody else's.
    """
    shipment = shipment_of(order_id, customer_id=customer_id, shipments=shipments)
    return_id = derived_id("ret", order_id, customer_id, key)
    stored = returns.get(order_id, return_id)
    if stored is None:
        require_returnable(shipment, now())
        bought = orders.bought(order_id)
        require_bought(quantities(lines), bought)
        asked = Return(
            return_id=return_id,
            order_id=order_id,
            status=ReturnStatus.REQUESTED,
            reason=reason,
            lines=tuple(lines),
            received=(),
            refund=None,
            requested_at=now(),
            updated_at=now(),
            correlation_id=shipment.correlation_id,
            version=1,
        )
        event = _stated(ReturnRequestedV1, asked, line_count=len(lines))
        stored = returns.add(asked, bought, event)
    if (stored.lines, stored.reason) != (tuple(lines), reason):
        raise IdempotencyMismatchError
    return stored


def returns_of(
    order_id: str,
    *,
    customer_id: str | None,
    shipments: ShipmentRepository,
    returns: ReturnRepository,
) -> list[Return]:
    """Read an order's returns for its receiver, or for staff. Raises ShipmentNotFoundError."""
    shipment_of(order_id, customer_id=customer_id, shipments=shipments)
    return returns.of_order(order_id)


def approve_return(
    order_id: str, return_id: str, *, returns: ReturnRepository, now: Clock
) -> Return:
    """Let the customer send it. Safe to repeat.

    Raises
    ------
    ReturnTransitionError, ReturnNotFoundError
    """

    def decide(asked: Return) -> Return:
        if asked.status in _APPROVED_BEFORE:
            return asked
        return asked.moved_to(ReturnStatus.APPROVED, now())

    return _decide(
        order_id, return_id, decide, lambda changed: _stated(ReturnApprovedV1, changed), returns
    )


def reject_return(
    order_id: str, return_id: str, *, returns: ReturnRepository, now: Clock
) -> Return:
    """Close a return of which nothing came; its units may be returned anew. Safe to repeat.

    Raises
    ------
    ReturnTransitionError
        It was received.
    ReturnNotFoundError
    """

    def decide(asked: Return) -> Return:
        if asked.status is ReturnStatus.REJECTED:
            return asked
        return asked.moved_to(ReturnStatus.REJECTED, now())

    return _decide(
        order_id,
        return_id,
        decide,
        lambda changed: _stated(ReturnRejectedV1, changed),
        returns,
        freed=lambda changed: quantities(changed.lines),
    )


def receive_return(
    order_id: str,
    return_id: str,
    received: Sequence[ReceivedLine],
    *,
    returns: ReturnRepository,
    runner: ReturnRunner,
    now: Clock,
) -> Return:
    """Record what arrived and in which condition, and have it restocked and refunded.

    Safe to repeat with the same lines: one that was received and is not refunded runs again.

    Raises
    ------
    ReceiptTooLargeError
        More than was announced.
    ReturnTransitionError
        It is not approved, or other lines were received.
    ReturnNotFoundError
    """

    def decide(asked: Return) -> Return:
        if asked.status in _RECEIVED_BEFORE and asked.received == tuple(received):
            return asked
        return asked.receiving(received, now())

    changed = _decide(
        order_id,
        return_id,
        decide,
        lambda changed: _stated(
            ReturnReceivedV1, changed, units=sum(quantities(changed.received).values())
        ),
        returns,
        freed=lambda changed: changed.not_arrived(),
    )
    if changed.status is ReturnStatus.RECEIVED:
        runner.start(changed)
    return changed


def read_return(order_id: str, return_id: str, *, returns: ReturnRepository) -> Return:
    """Read a return for its state machine. Raises ReturnNotFoundError."""
    return _found(order_id, return_id, returns)


def close_return(
    order_id: str, return_id: str, refund: Money, *, returns: ReturnRepository, now: Clock
) -> Return:
    """Record that stock and money are right again. Safe to repeat.

    Raises
    ------
    ReturnTransitionError, ReturnNotFoundError
    """

    def decide(asked: Return) -> Return:
        if asked.status is ReturnStatus.REFUNDED:
            return asked
        return asked.refunded(refund, now())

    def report(changed: Return) -> Event:
        return _stated(
            ReturnRefundedV1,
            changed,
            amount_minor=refund.amount_minor,
            currency=refund.currency,
        )

    return _decide(order_id, return_id, decide, report, returns)


def park_return(order_id: str, return_id: str, *, returns: ReturnRepository, now: Clock) -> Return:
    """Set a return aside for a person; one that has ended stays as it ended. Safe to repeat."""

    def decide(asked: Return) -> Return:
        if asked.status is not ReturnStatus.RECEIVED:
            return asked
        return asked.moved_to(ReturnStatus.NEEDS_ATTENTION, now())

    return _decide(order_id, return_id, decide, lambda _: None, returns)


def resume_return(
    order_id: str,
    return_id: str,
    *,
    returns: ReturnRepository,
    runner: ReturnRunner,
    now: Clock,
) -> Return:
    """Have a return that was set aside run again. Safe to repeat.

    Raises
    ------
    ReturnTransitionError
        It was never received, or is refunded.
    ReturnNotFoundError
    """

    def decide(asked: Return) -> Return:
        if asked.status is ReturnStatus.RECEIVED:
            return asked
        if asked.status is not ReturnStatus.NEEDS_ATTENTION:
            raise ReturnTransitionError(return_id, asked.status, ReturnStatus.RECEIVED)
        return asked.moved_to(ReturnStatus.RECEIVED, now())

    resumed = _decide(order_id, return_id, decide, lambda _: None, returns)
    runner.start(resumed)
    return resumed


def sweep_returns(*, returns: ReturnRepository, runner: ReturnRunner, now: Clock) -> int:
    """Run again what was received long ago and is not refunded; tell how many."""
    overdue = returns.unfinished(now() - OVERDUE, SWEPT_MAX)
    for asked in overdue:
        runner.start(asked)
    return len(overdue)


_RECEIVED_BEFORE = {ReturnStatus.RECEIVED, ReturnStatus.REFUNDED, ReturnStatus.NEEDS_ATTENTION}
_APPROVED_BEFORE = {ReturnStatus.APPROVED, *_RECEIVED_BEFORE}


def _decide(
    order_id: str,
    return_id: str,
    decide: Decide,
    report: Report,
    returns: ReturnRepository,
    *,
    freed: Callable[[Return], Mapping[str, int]] = lambda _: {},
) -> Return:
    """Load, decide, record; decide anew if somebody else wrote in between."""
    for _ in range(_ATTEMPTS_MAX):
        asked = _found(order_id, return_id, returns)
        decided = decide(asked)
        if decided is asked:
            return asked
        try:
            returns.save(decided, report(decided), freed=freed(decided))
        except StaleError:
            continue
        return decided
    raise StaleError(f"{return_id} kept changing")


def _found(order_id: str, return_id: str, returns: ReturnRepository) -> Return:
    asked = returns.get(order_id, return_id)
    if asked is None:
        raise ReturnNotFoundError(return_id)
    return asked


def _stated(event: type[Stated], asked: Return, **facts: Any) -> Stated:
    return event(
        **facts,
        event_id=event_id(event.TYPE, asked.return_id, asked.version),
        occurred_at=asked.updated_at,
        correlation_id=asked.correlation_id,
        version=asked.version,
        order_id=asked.order_id,
        return_id=asked.return_id,
    )
