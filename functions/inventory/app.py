"""Inventory over HTTP, and as steps of the checkout and of the return."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent
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
    Keeping,
    Level,
    PickList,
    Receipt,
    ShelfView,
    WarehouseBody,
    WarehouseCode,
    WarehousesView,
    WarehouseView,
)
from inventory.dynamodb import DynamoDBStock, DynamoDBWarehouses
from inventory.messages import (
    EditedLines,
    OrderEdit,
    OrderLines,
    ReturnedLines,
    hold_told,
    waiting_told,
)
from inventory.model import HoldState, NegativeStockError
from inventory.model.stock import (
    MainWarehouseError,
    TooManyWarehousesError,
    UnknownWarehouseError,
)
from inventory.order_book import AskedOrders
from inventory.use_cases.holds import HOLDS_SWEPT_MAX
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import (
    IdempotencyMismatchError,
    NotFoundError,
    StaleError,
    UnavailableError,
)
from tradepost.platform import aws, outbox
from tradepost.platform.arguments import IdempotencyKey
from tradepost.platform.auth import PUBLIC, STAFF, Caller, Role, Scope
from tradepost.platform.bodies import StepInput
from tradepost.platform.logger import logger
from tradepost.platform.questions import Questions
from tradepost.platform.service import Service

app = Service("inventory")

_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/inventory/stream/placeholder"

_STOCKKEEPERS = {Role.WAREHOUSE, Role.ADMIN}


@functools.cache
def stock() -> DynamoDBStock:
    return DynamoDBStock(aws.dynamodb(), os.environ["INVENTORY_TABLE"])


@functools.cache
def warehouses() -> DynamoDBWarehouses:
    return DynamoDBWarehouses(aws.dynamodb(), os.environ["INVENTORY_TABLE"])


@functools.cache
def orders() -> AskedOrders:
    return AskedOrders(Questions(aws.functions(), os.environ["STAGE"]))


@app.get("/v1/stock/{sku}", roles=PUBLIC)
def availability(sku: str) -> Availability:
    """Tell how many units may be sold now, and how many more may be promised."""
    return Availability.of(use_cases.for_sale(sku, stock=stock(), warehouses=warehouses()))


@app.get("/v1/stock/{sku}/levels", roles=STAFF, scope=Scope.STOCK_READ, refusals=(NotFoundError,))
def stock_level(sku: str) -> ShelfView:
    """Show what is available, held and on hand, in all warehouses and in each."""
    shelf = stock().shelves([sku])[sku]
    if not shelf.is_known:
        raise NotFoundError(f"{sku} was never stocked")
    return ShelfView.showing(shelf)


@app.post(
    "/v1/stock/batch",
    roles=_STOCKKEEPERS,
    scope=Scope.STOCK_WRITE,
    refusals=(StaleError, UnknownWarehouseError),
    repeatable="the same count again changes nothing",
)
def count_many(body: CountBatch) -> CountResults:
    """Set what is on hand in a warehouse for up to a hundred SKUs, as counted."""
    outcome = use_cases.count_stock(
        {line.sku: line.on_hand for line in body.lines},
        reason=body.reason,
        code=body.code,
        warehouse=_there(body.warehouse),
        stock=stock(),
    )
    return CountResults(
        results=[
            CountResult(sku=sku, outcome=done, available=level.available, held=level.held)
            for sku, (done, level) in outcome.items()
        ]
    )


@app.put(
    "/v1/stock/{sku}/count",
    roles=_STOCKKEEPERS,
    scope=Scope.STOCK_WRITE,
    refusals=(StaleError, UnknownWarehouseError),
)
def count(sku: str, body: Count) -> Level:
    """Set what is on hand in a warehouse, as counted. Held units stay held."""
    outcome = use_cases.count_stock(
        {_checked(sku): body.on_hand},
        reason=body.reason,
        code=body.code,
        warehouse=_there(body.warehouse),
        stock=stock(),
    )
    return Level.of(outcome[sku][1])


@app.post(
    "/v1/stock/{sku}/receipts",
    roles=_STOCKKEEPERS,
    scope=Scope.STOCK_WRITE,
    status=201,
    refusals=(IdempotencyMismatchError, UnknownWarehouseError, StaleError),
)
def receive(sku: str, body: Receipt, caller: Caller, idempotency_key: IdempotencyKey) -> Level:
    """Take delivered units into a warehouse."""
    shelf = use_cases.adjust_stock(
        _checked(sku),
        body.quantity,
        reason=body.reason,
        code=body.code,
        warehouse=_there(body.warehouse),
        reference=f"receipt:{caller.principal_id}:{idempotency_key}",
        stock=stock(),
    )
    return Level.of(shelf.level)


@app.post(
    "/v1/stock/{sku}/adjustments",
    roles=_STOCKKEEPERS,
    scope=Scope.STOCK_WRITE,
    status=201,
    refusals=(NegativeStockError, IdempotencyMismatchError, UnknownWarehouseError, StaleError),
)
def adjust(sku: str, body: Adjustment, caller: Caller, idempotency_key: IdempotencyKey) -> Level:
    """Add found units to a warehouse, or write off lost ones."""
    shelf = use_cases.adjust_stock(
        _checked(sku),
        body.delta,
        reason=body.reason,
        code=body.code,
        warehouse=_there(body.warehouse),
        reference=f"adjustment:{caller.principal_id}:{idempotency_key}",
        stock=stock(),
    )
    return Level.of(shelf.level)


@app.put("/v1/stock/{sku}/keeping", roles=_STOCKKEEPERS, refusals=(StaleError,))
def keep(sku: str, body: Keeping) -> ShelfView:
    """Say over how many shards a SKU is spread, when it is low, and how many may be promised."""
    use_cases.keep_shelf(
        _checked(sku),
        shards=body.shards,
        low_at=body.low_at,
        backorders_max=body.backorders_max,
        note=body.reason,
        stock=stock(),
    )
    use_cases.tend_shelf(sku, stock=stock(), warehouses=warehouses())
    return ShelfView.showing(stock().snapshot(sku))


@app.get("/v1/staff/warehouses", roles=STAFF)
def list_warehouses() -> WarehousesView:
    """List where the shop sends from."""
    listed = use_cases.list_warehouses(warehouses=warehouses())
    return WarehousesView(warehouses=[WarehouseView.of(one) for one in listed])


@app.put(
    "/v1/staff/warehouses/{code}",
    roles={Role.ADMIN},
    refusals=(MainWarehouseError, TooManyWarehousesError, UnknownWarehouseError, StaleError),
)
def describe_warehouse(code: str, body: WarehouseBody) -> WarehouseView:
    """Open a warehouse, change what is said of it, or close it: then it sends nothing more."""
    try:
        described = body.described(_WAREHOUSE_CODE.validate_python(code))
    except ValidationError as error:
        raise UnknownWarehouseError(code) from error
    return WarehouseView.of(use_cases.describe_warehouse(described, warehouses=warehouses()))


@app.get("/v1/staff/picks/{order_id}", roles=STAFF, refusals=(NotFoundError,))
def pick_list(order_id: str) -> PickList:
    """Show in which warehouse each unit of an order lies, and what is still to come in."""
    chunks = [one for one in stock().chunks(order_id) if one.state is not HoldState.RELEASED]
    if not chunks:
        raise NotFoundError(f"nothing is held for {order_id}")
    return PickList.of(order_id, chunks)


@app.step
def reserve_stock(order: OrderLines) -> dict[str, Any]:
    """Hold every line of the order, or raise OutOfStockError."""
    waiting = use_cases.reserve_stock(
        order.order_id,
        order.to_hold(),
        stock=stock(),
        warehouses=warehouses(),
        orders=orders(),
        now=utc_now,
    )
    return {"held_lines": len(order.lines), "waiting": waiting}


@app.step
def commit_stock(order: StepInput) -> None:
    """Turn the order's hold into a sale."""
    use_cases.commit_stock(order.order_id, stock=stock())


@app.step
def hold_added(order: EditedLines) -> None:
    """Hold the units that an edit adds to its order, or raise OutOfStockError."""
    use_cases.hold_added(
        order.order_id,
        order.number,
        order.to_hold(),
        stock=stock(),
        warehouses=warehouses(),
        orders=orders(),
        now=utc_now,
    )


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


@app.on_dynamodb_record(stream_arn=_STREAM, name="tend_shelves", batch_size=100)
def tend_shelves(event: DynamoDBEvent) -> dict[str, Any]:
    """Fill back-orders and tell of what ran low, on shelves that changed and have a card."""
    tended = set()
    for record in event:
        sku = record.new_image["sku"]["S"]
        if sku in tended:
            continue
        try:
            use_cases.tend_shelf(sku, stock=stock(), warehouses=warehouses())
        except (StaleError, UnavailableError):
            logger.warning("shelf not tended", sku=sku)
            return {"batchItemFailures": [{"itemIdentifier": record.sequence_number}]}
        tended.add(sku)
    return {"batchItemFailures": []}


@app.on_dynamodb_record(stream_arn=_STREAM, name="relay", batch_size=100)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish what the outbox holds."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["INVENTORY_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish what the stream's relay missed."""
    outbox.relay_overdue(
        table=os.environ["INVENTORY_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


@app.lambda_function(name="units_waiting")
def units_waiting(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell what is still to come in for an order: asked before its parcel is packed."""
    return waiting_told(event["order_id"], stock().chunks(event["order_id"]))


@app.lambda_function(name="hold_facts")
def hold_facts(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell what an order holds or has bought: asked when the books are compared."""
    return hold_told(event["order_id"], stock().chunks(event["order_id"]))


@app.lambda_function(name="holds_past_due")
def holds_past_due(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Tell which orders hold units longer than they may, a hundred at most."""
    return {"order_ids": stock().past_due(utc_now(), HOLDS_SWEPT_MAX)}


_SKU = TypeAdapter(SKU)
_WAREHOUSE_CODE = TypeAdapter(WarehouseCode)


def _there(warehouse: str) -> str:
    return use_cases.require_warehouse(warehouse, warehouses=warehouses())


def _checked(sku: str) -> str:
    """Refuse to create stock under a name that no product can have."""
    try:
        return _SKU.validate_python(sku)
    except ValidationError as error:
        raise NotFoundError(f"{sku!r} cannot be a SKU") from error
