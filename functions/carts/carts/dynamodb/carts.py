"""Carts, checkouts and records (`IDEMPOTENCY#`) in the table that `carts.dynamodb` draws."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from carts.dynamodb.promotions import give_back, take_use, to_redemption
from carts.model.bill import Bill, PricedLine
from carts.model.cart import Cart, CartLine, CartStatus
from carts.model.checkout import (
    LEFT_ALONE_MAX,
    Checkout,
    CheckoutNotFoundError,
    CheckoutStatus,
)
from carts.model.promotion import CartCode, Redemption, Reduces
from carts.model.shipping import Shipping
from carts.model.tax import TaxClass
from tradepost.kernel.clock import epoch_seconds, from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.due import BUCKETS, DueIndex
from tradepost.platform.dynamodb import (
    Item,
    failed_conditions,
    from_item,
    to_item,
)
from tradepost.platform.idempotency import IdempotentRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LINES_PER_CHUNK = 200

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"
_IS_RUNNING = "#status = :running"
_HAS_NOT_ENDED = "#status = :running OR #status = :under_review"
_HAS_NOT_ENDED_AND_TOOK_NO_USES = f"({_HAS_NOT_ENDED}) AND attribute_not_exists(#redemptions)"
_IS_FROZEN_BY = "#status = :frozen AND #order_id = :order_id"

_RUNNING = DueIndex("running", bucket="running", moment="due_at")


class DynamoDBCarts:
    """Satisfies `ports.CartRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, cart_id: str) -> Cart:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_cart_key(cart_id)), ConsistentRead=True
        )
        return _to_cart(cart_id, from_item(answer["Item"])) if "Item" in answer else Cart(cart_id)

    def save(self, cart: Cart) -> None:
        try:
            self._client.put_item(**self._put_cart(cart))
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the cart changed since it was read") from error

    def save_once(self, cart: Cart, request: IdempotentRequest) -> bool:
        writes: list[Any] = [
            request.put(self._table, {"version": cart.version}),
            {"Put": self._put_cart(cart)},
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            record, _ = failed_conditions(error)
            if record is None:
                raise StaleError("the cart changed since it was read") from error
            request.outcome_of(record)
            return False
        return True

    def has_done(self, request: IdempotentRequest) -> bool:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(request.record_key), ConsistentRead=True
        )
        if "Item" not in answer:
            return False
        request.outcome_of(from_item(answer["Item"]))
        return True

    def save_both(self, cart: Cart, other: Cart) -> None:
        try:
            self._client.transact_write_items(
                TransactItems=[{"Put": self._put_cart(cart)}, {"Put": self._put_cart(other)}]
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("a cart changed since it was read") from error

    def begin_checkout(self, cart: Cart, checkout: Checkout) -> Checkout:
        new_items = [_checkout_item(checkout), *_line_chunks(checkout)]
        puts: list[Any] = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": to_item(item),
                    "ConditionExpression": _IS_NEW,
                    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                }
            }
            for item in new_items
        ]
        uses = [
            write
            for redemption in checkout.bill.redemptions
            for write in take_use(self._table, redemption)
        ]
        try:
            self._client.transact_write_items(
                TransactItems=[*puts, {"Put": self._put_cart(cart)}, *uses]
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None:
                return _to_checkout(stored, ())
            raise StaleError("the cart or a promotion changed since it was read") from error
        return checkout

    def checkout(self, order_id: str) -> Checkout | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_checkout_key(order_id)), ConsistentRead=True
        )
        return _to_checkout(from_item(answer["Item"]), ()) if "Item" in answer else None

    def checkout_with_lines(self, order_id: str) -> Checkout | None:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": _checkout_key(order_id)["pk"]}),
            ConsistentRead=True,
        )
        items = [from_item(item) for page in pages for item in page["Items"]]
        if not items:
            return None
        head = next(item for item in items if item["sk"] == "CHECKOUT")
        lines = [line for item in items if item is not head for line in item["lines"]]
        return _to_checkout(head, tuple(_to_priced(line) for line in lines))

    def end_checkout(
        self, order_id: str, customer_id: str, *, status: CheckoutStatus, reason: str | None
    ) -> None:
        ended = self._ended(order_id, status, reason)
        reopened = self._reopen(order_id, customer_id, keep_lines=status is CheckoutStatus.FAILED)
        stored = self._end(ended, reopened, [])
        if stored == {}:
            raise CheckoutNotFoundError(order_id)
        if stored and status is CheckoutStatus.FAILED and not _has_ended(stored):
            # Only its promotions stood in the way: their uses go back in the same write.
            ended = self._ended(order_id, status, reason, with_uses=True)
            redemptions = [to_redemption(item) for item in stored["redemptions"]]
            self._end(
                ended,
                reopened,
                [write for taken in redemptions for write in give_back(self._table, taken)],
            )

    def _end(self, ended: Any, reopened: Any, given_back: list[Any]) -> Item | None:
        """End a checkout and open its cart; return the checkout that is not to be ended so."""
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": ended}, {"Update": reopened}, *given_back]
            )
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None:
                return stored
            # The cart went its own way meanwhile; only the checkout is still to be closed.
            return self._close(ended, given_back)
        return None

    def _close(self, ended: Any, given_back: list[Any]) -> Item | None:
        try:
            self._client.transact_write_items(TransactItems=[{"Update": ended}, *given_back])
        except ClientError as error:
            # Somebody else has closed it.
            return failed_conditions(error)[0]
        return None

    def _ended(
        self,
        order_id: str,
        status: CheckoutStatus,
        reason: str | None,
        *,
        with_uses: bool = False,
    ) -> Any:
        """Build the write that ends a checkout: one that failed, only if it took no uses."""
        names = {
            "#status": "status",
            "#reason": "reason",
            "#running": "running",
            "#due_at": "due_at",
        }
        condition = _HAS_NOT_ENDED
        if status is CheckoutStatus.FAILED and not with_uses:
            condition = _HAS_NOT_ENDED_AND_TOOK_NO_USES
            names["#redemptions"] = "redemptions"
        return {
            "TableName": self._table,
            "Key": to_item(_checkout_key(order_id)),
            "UpdateExpression": (
                "SET #status = :status, #reason = :reason REMOVE #running, #due_at"
            ),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(
                {
                    ":status": status,
                    ":reason": reason,
                    ":running": CheckoutStatus.RUNNING,
                    ":under_review": CheckoutStatus.UNDER_REVIEW,
                }
            ),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }

    def due(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        found = _RUNNING.read(self._client, self._table, "RUNNING", at, limit // BUCKETS)
        return [(item["order_id"], item["correlation_id"]) for item in found]

    def postpone(self, order_id: str, until: datetime) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_checkout_key(order_id)),
                UpdateExpression="SET #due_at = :until",
                ConditionExpression=_IS_RUNNING,
                ExpressionAttributeNames={"#due_at": "due_at", "#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":until": to_text(until), ":running": CheckoutStatus.RUNNING}
                ),
            )
        except ClientError as error:
            # It has ended meanwhile.
            failed_conditions(error)

    def _put_cart(self, cart: Cart) -> Any:
        put: dict[str, Any] = {
            "TableName": self._table,
            "Item": to_item(_cart_item(cart)),
            "ConditionExpression": _IS_NEW,
        }
        if cart.version > 1:
            put["ConditionExpression"] = _IS_PREVIOUS_VERSION
            put["ExpressionAttributeNames"] = {"#version": "version"}
            put["ExpressionAttributeValues"] = to_item({":previous_version": cart.version - 1})
        return put

    def _reopen(self, order_id: str, customer_id: str, *, keep_lines: bool) -> Any:
        change = "SET #status = :open, #version = #version + :one"
        values = {
            ":open": CartStatus.OPEN,
            ":one": 1,
            ":frozen": CartStatus.FROZEN,
            ":order_id": order_id,
        }
        names = {"#status": "status", "#version": "version", "#order_id": "order_id"}
        if not keep_lines:
            change += ", #lines = :nothing, #codes = :nothing"
            names |= {"#lines": "lines", "#codes": "codes"}
        return {
            "TableName": self._table,
            "Key": to_item(_cart_key(customer_id)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_FROZEN_BY,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(
                values if keep_lines else {**values, ":nothing": []}
            ),
        }


def _cart_key(cart_id: str) -> dict[str, str]:
    return {"pk": f"CART#{cart_id}", "sk": "CART"}


def _checkout_key(order_id: str) -> dict[str, str]:
    return {"pk": f"CHECKOUT#{order_id}", "sk": "CHECKOUT"}


def _cart_item(cart: Cart) -> Item:
    return {
        **_cart_key(cart.cart_id),
        "status": cart.status,
        "version": cart.version,
        "order_id": cart.order_id,
        "lines": [_line_item(line) for line in cart.lines],
        "codes": [{"code": one.code, "reduces": one.reduces} for one in cart.codes],
        **({"expires_at": epoch_seconds(cart.expires_at)} if cart.expires_at else {}),
    }


def _line_item(line: CartLine) -> Item:
    return {
        "tax_class": line.tax_class,
        "sku": line.sku,
        "title": line.title,
        "quantity": line.quantity,
        "amount_minor": line.unit_price.amount_minor,
        "currency": line.unit_price.currency,
        "weight_grams": line.weight_grams,
    }


def _to_line(item: Item) -> CartLine:
    return CartLine(
        sku=item["sku"],
        title=item["title"],
        quantity=item["quantity"],
        unit_price=Money(item["amount_minor"], item["currency"]),
        weight_grams=item["weight_grams"],
        tax_class=TaxClass(item.get("tax_class", TaxClass.STANDARD)),
    )


def _priced_item(priced: PricedLine) -> Item:
    return {
        **_line_item(priced.line),
        "discount_minor": priced.discount_minor,
        "tax_minor": priced.tax_minor,
    }


def _to_priced(item: Item) -> PricedLine:
    return PricedLine(_to_line(item), item.get("discount_minor", 0), item.get("tax_minor", 0))


def _to_cart(cart_id: str, item: Item) -> Cart:
    return Cart(
        cart_id=cart_id,
        status=CartStatus(item["status"]),
        version=item["version"],
        lines=tuple(_to_line(line) for line in item["lines"]),
        codes=tuple(
            CartCode(one["code"], Reduces(one["reduces"])) for one in item.get("codes", ())
        ),
        order_id=item["order_id"],
        expires_at=(
            datetime.fromtimestamp(item["expires_at"], UTC) if "expires_at" in item else None
        ),
    )


def _has_ended(item: Item) -> bool:
    return item["status"] not in {CheckoutStatus.RUNNING, CheckoutStatus.UNDER_REVIEW}


def _redemption_item(taken: Redemption) -> Item:
    return {
        "code": taken.code,
        "version": taken.version,
        "person": taken.person,
        "per_person_max": taken.per_person_max,
    }


def _checkout_item(checkout: Checkout) -> Item:
    bill = checkout.bill
    assert bill.shipping is not None
    item: Item = {
        **_checkout_key(checkout.order_id),
        "order_id": checkout.order_id,
        "customer_id": checkout.customer_id,
        "email": checkout.email,
        "shipping_address": checkout.shipping_address,
        "payment_method": checkout.payment_method,
        "amount_minor": checkout.total.amount_minor,
        "discount_minor": checkout.discount.amount_minor,
        "tax_minor": checkout.tax.amount_minor,
        "currency": checkout.total.currency,
        "prices_include_tax": bill.prices_include_tax,
        "shipping_minor": bill.shipping.price.amount_minor,
        "shipping_tax_minor": bill.shipping_tax_minor,
        "shipping_service": bill.shipping.service,
        "promotions": list(bill.promotions),
        "line_count": checkout.line_count,
        "status": checkout.status,
        "reason": checkout.reason,
        "fingerprint": checkout.fingerprint,
        "correlation_id": checkout.correlation_id,
        "placed_at": to_text(checkout.placed_at),
        **_RUNNING.keys("RUNNING", checkout.order_id, checkout.placed_at + LEFT_ALONE_MAX),
    }
    if bill.redemptions:
        item["redemptions"] = [_redemption_item(taken) for taken in bill.redemptions]
    return item


def _to_checkout(item: Item, lines: tuple[PricedLine, ...]) -> Checkout:
    currency = item["currency"]
    bill = Bill(
        currency=currency,
        lines=lines,
        shipping=Shipping(item["shipping_service"], Money(item["shipping_minor"], currency)),
        shipping_tax_minor=item.get("shipping_tax_minor", 0),
        prices_include_tax=item.get("prices_include_tax", True),
        promotions=tuple(item.get("promotions", ())),
        redemptions=tuple(to_redemption(taken) for taken in item.get("redemptions", ())),
    )
    return Checkout(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        email=item["email"],
        shipping_address=item["shipping_address"],
        payment_method=item["payment_method"],
        bill=bill,
        total=Money(item["amount_minor"], currency),
        discount=Money(item.get("discount_minor", 0), currency),
        tax=Money(item.get("tax_minor", 0), currency),
        line_count=item["line_count"],
        status=CheckoutStatus(item["status"]),
        reason=item["reason"],
        fingerprint=item["fingerprint"],
        correlation_id=item["correlation_id"],
        placed_at=from_text(item["placed_at"]),
    )


def _line_chunks(checkout: Checkout) -> list[Item]:
    lines = checkout.bill.lines
    return [
        {
            "pk": _checkout_key(checkout.order_id)["pk"],
            "sk": f"LINES#{start // LINES_PER_CHUNK:04d}",
            "lines": [_priced_item(line) for line in lines[start : start + LINES_PER_CHUNK]],
        }
        for start in range(0, len(lines), LINES_PER_CHUNK)
    ]
