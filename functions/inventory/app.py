"""Inventory over HTTP, and as steps of the checkout and of the return."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent
from pydantic import TypeAdapter, ValidationError

from inventory import use_cases
from inventory.api import (
    SKU,
    Adjustment,
    Availability,
    Count,
    CountBatch,
    CountResult,
    CountResults,
    Level,
    Receipt,
)
from inventory.dynamodb import DynamoDBStock
from inventory.messages import EditedLines, OrderEdit, OrderLines, ReturnedLines, hold_told
from inventory.model import NegativeStockError, StockLevel
from inventory.order_book import AskedOrders
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import IdempotencyMismatchError, NotFoundError, StaleError
from tradepost.platform import aws
from tradepost.platform.arguments import IdempotencyKey
from tradepost.platform.auth import PUBLIC, STAFF, Caller, Role
from tradepost.platform.bodies import StepInput
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service

app = Service("inventory")

_STOCKKEEPERS = {Role.WAREHOUSE, Role.ADMIN}


@functools.cache
def stock() -> DynamoDBStock:
    return DynamoDBStock(aws.dynamodb(), os.environ["INVENTORY_TABLE"])


@functools.cache
def orders() -> AskedOrders:
    return AskedOrders(Questions(aws.functions(), os.environ["STAGE"]))


@app.get("/v1/stock/{sku}", roles=PUBLIC)
def availability(sku: str) -> Availability:
    """Tell how many units may be sold now."""
    level = stock().levels([sku]).get(sku, StockLevel(sku, 0, 0))
    return Availability(sku=sku, available=level.available)


@app.get("/v1/stock/{sku}/levels", roles=STAFF, refusals=(NotFoundError,))
def stock_level(sku: str) -> Level:
    """Show what is available, held and on hand."""
    level = stock().levels([sku]).get(sku)
    if level is None:
        raise NotFoundError(f"{sku} was never stocked")
    return Level.of(level)


@app.post(
    "/v1/stock/batch",
    roles=_STOCKKEEPERS,
    refusals=(StaleError,),
    repeatable="the same count again changes nothing",
)
def count_many(body: CountBatch) -> CountResults:
    """Set what is on hand for up to a hundred SKUs, as counted."""
    counts = {line.sku: line.on_hand for line in body.lines}
    outcome = use_cases.count_stock(counts, reason=body.reason, stock=stock())
    return CountResults(
        results=[
            CountResult(sku=sku, outcome=done, available=level.available, held=level.held)
            for sku, (done, level) in outcome.items()
        ]
    )


@app.put("/v1/stock/{sku}/count", roles=_STOCKKEEPERS, refusals=(StaleError,))
def count(sku: str, body: Count) -> Level:
    """Set what is on hand, as counted. Held units stay held."""
    outcome = use_cases.count_stock(
        {_checked(sku): body.on_hand}, reason=body.reason, stock=stock()
    )
    return Level.of(outcome[sku][1])


@app.post(
    "/v1/stock/{sku}/receipts",
    roles=_STOCKKEEPERS,
    status=201,
    refusals=(IdempotencyMismatchError,),
)
def receive(sku: str, body: Receipt, caller: Caller, idempotency_key: IdempotencyKey) -> Level:
    """Take delivered units into stock."""
    level = use_cases.adjust_stock(
        _checked(sku),
        body.quantity,
        reason=body.reason,
        reference=f"receipt:{caller.principal_id}:{idempotency_key}",
        stock=stock(),
    )
    return Level.of(level)


@app.post(
    "/v1/stock/{sku}/adjustments",
    roles=_STOCKKEEPERS,
    status=201,
    refusals=(NegativeStockError, IdempotencyMismatchError),
)
def adjust(sku: str, body: Adjustment, caller: Caller, idempotency_key: IdempotencyKey) -> Level:
    """Add found units or write off lost ones."""
    level = use_cases.adjust_stock(
        _checked(sku),
        body.delta,
        reason=body.reason,
        reference=f"adjustment:{caller.principal_id}:{idempotency_key}",
        stock=stock(),
    )
    return Level.of(level)


@app.step
def reserve_stock(order: OrderLines) -> dict[str, Any]:
    """Hold every line of the order, or raise OutOfStockError."""
    use_cases.reserve_stock(order.order_id, order.to_hold(), stock=stock(), now=utc_now)
    return {"held_lines": len(order.lines)}


@app.step
def commit_stock(order: StepInput) -> None:
    """Turn the order's hold into a sale."""
    use_cases.commit_stock(order.order_id, stock=stock())


@app.step
def hold_added(order: EditedLines) -> None:
    """Hold the units that an edit adds to its order, or raise OutOfStockError."""
    use_cases.hold_added(order.order_id, order.number, order.to_hold(), stock=stock(), now=utc_now)


@app.step
def commit_added(order: OrderEdit) -> None:
    """Sell the units that an edit adds."""
    use_cases.commit_added(order.order_id, order.number, stock=stock())


@app.step
def release_added(order: OrderEdit) -> None:
    """Give back the units that an edit holds, and bar it from holding any later."""
    use_cases.release_added(order.order_id, order.number, stock=stock())


@app.step
def take_back(order: EditedLines) -> None:
    """Leave the order the units that its edit leaves it, and sell the rest again."""
    use_cases.take_back(order.order_id, order.number, order.to_hold(), stock=stock())


@app.step
def release_stock(order: StepInput) -> None:
    """Give the order's units back, and bar it from holding any later."""
    use_cases.release_stock(order.order_id, stock=stock())


@app.step
def restock(step: ReturnedLines) -> None:
    """Make the sellable units that came back available, and write off the others."""
    use_cases.restock(
        step.order_id,
        step.return_id,
        resellable=step.those("resellable"),
        damaged=step.those("damaged"),
        stock=stock(),
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="sweep_holds")
def sweep_holds(_event: CloudWatchEvent) -> None:
    """Free what is held for orders that are over."""
    use_cases.sweep_holds(stock=stock(), orders=orders(), now=utc_now)


@app.lambda_function(name="hold_facts")
def hold_facts(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell what an order holds or has bought: asked when the books are compared."""
    return hold_told(event["order_id"], stock().chunks(event["order_id"]))


@app.lambda_function(name="holds_past_due")
def holds_past_due(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell which orders hold units longer than they may, a hundred at most."""
    return {"order_ids": stock().past_due(utc_now(), use_cases.HOLDS_SWEPT_MAX)}


_SKU = TypeAdapter(SKU)


def _checked(sku: str) -> str:
    """Refuse to create stock under a name that no product can have."""
    try:
        return _SKU.validate_python(sku)
    except ValidationError as error:
        raise NotFoundError(f"{sku!r} cannot be a SKU") from error
