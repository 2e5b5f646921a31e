"""
The writes of the table that `carts.dynamodb` draws: `CART#`, `CHECKOUT#` with its `LINES#`, and
the records of requests, `IDEMPOTENCY#`.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from carts.dynamodb.items import (
    RUNNING,
    cart_item,
    cart_key,
    checkout_item,
    checkout_key,
    has_ended,
    line_chunks,
    of_nobody,
    reference_item,
    reference_key,
    to_cart,
    to_checkout,
    to_priced,
)
from carts.dynamodb.promotions import give_back, take_use, to_redemption
from carts.model.cart import Cart, CartStatus
from carts.model.checkout import Checkout, CheckoutNotFoundError, CheckoutStatus
from tradepost.kernel.clock import to_text
from tradepost.kernel.errors import StaleError
from tradepost.platform.due import BUCKETS
from tradepost.platform.dynamodb import (
    Item,
    failed_conditions,
    from_item,
    to_item,
)
from tradepost.platform.idempotency import IdempotentRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"
_IS_RUNNING = "#status = :running"
_HAS_NOT_ENDED = "#status = :running OR #status = :under_review"
_HAS_NOT_ENDED_AND_TOOK_NO_USES = f"({_HAS_NOT_ENDED}) AND attribute_not_exists(#redemptions)"
_IS_OVER = "#status = :confirmed OR #status = :failed"
_IS_NOT_FROZEN = "attribute_not_exists(pk) OR #status <> :frozen"
_IS_FROZEN_BY = "#status = :frozen AND #order_id = :order_id"


class DynamoDBCarts:
    """Satisfies `ports.CartRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, cart_id: str) -> Cart:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(cart_key(cart_id)), ConsistentRead=True
        )
        return to_cart(cart_id, from_item(answer["Item"])) if "Item" in answer else Cart(cart_id)

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
        new_items = [
            checkout_item(checkout),
            *line_chunks(checkout),
            reference_item(checkout.customer_id, checkout.order_id),
        ]
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
                return to_checkout(stored, ())
            raise StaleError("the cart or a promotion changed since it was read") from error
        return checkout

    def checkout(self, order_id: str) -> Checkout | None:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(checkout_key(order_id)), ConsistentRead=True
        )
        return to_checkout(from_item(answer["Item"]), ()) if "Item" in answer else None

    def checkout_with_lines(self, order_id: str) -> Checkout | None:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": checkout_key(order_id)["pk"]}),
            ConsistentRead=True,
        )
        items = [from_item(item) for page in pages for item in page["Items"]]
        if not items:
            return None
        head = next(item for item in items if item["sk"] == "CHECKOUT")
        lines = [line for item in items if item is not head for line in item["lines"]]
        return to_checkout(head, tuple(to_priced(line) for line in lines))

    def end_checkout(
        self, order_id: str, customer_id: str, *, status: CheckoutStatus, reason: str | None
    ) -> None:
        ended = self._ended(order_id, status, reason)
        reopened = self._reopen(order_id, customer_id, keep_lines=status is CheckoutStatus.FAILED)
        stored = self._end(ended, reopened, [])
        if stored == {}:
            raise CheckoutNotFoundError(order_id)
        if stored and status is CheckoutStatus.FAILED and not has_ended(stored):
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
            "Key": to_item(checkout_key(order_id)),
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

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :checkout)",
            ExpressionAttributeValues=to_item(
                {":pk": cart_key(customer_id)["pk"], ":checkout": "CHECKOUT#"}
            ),
            ConsistentRead=True,
        )
        references = [from_item(item) for page in pages for item in page["Items"]]
        found = [self.checkout(reference["order_id"]) for reference in references]
        return [checkout for checkout in found if checkout is not None]

    def anonymise_checkout(self, checkout: Checkout) -> None:
        forgotten = {
            "email": "",
            "shipping_address": of_nobody(checkout.shipping_address),
            "payment_method": "",
            "fingerprint": "",
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(checkout_key(checkout.order_id)),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in forgotten),
                ConditionExpression=_IS_OVER,
                ExpressionAttributeNames={
                    **{f"#{name}": name for name in forgotten},
                    "#status": "status",
                },
                ExpressionAttributeValues=to_item(
                    {
                        **{f":{name}": value for name, value in forgotten.items()},
                        ":confirmed": CheckoutStatus.CONFIRMED,
                        ":failed": CheckoutStatus.FAILED,
                    }
                ),
            )
        except ClientError as error:
            failed_conditions(error)
            raise StaleError("the checkout is not over") from error
        # unconditional: what it refers to has been forgotten, however often.
        self._client.delete_item(
            TableName=self._table,
            Key=to_item(reference_key(checkout.customer_id, checkout.order_id)),
        )

    def forget(self, cart_id: str) -> bool:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=to_item(cart_key(cart_id)),
                ConditionExpression=_IS_NOT_FROZEN,
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item({":frozen": CartStatus.FROZEN}),
            )
        except ClientError as error:
            failed_conditions(error)
            return False
        return True

    def due(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        found = RUNNING.read(self._client, self._table, "RUNNING", at, limit // BUCKETS)
        return [(item["order_id"], item["correlation_id"]) for item in found]

    def postpone(self, order_id: str, until: datetime) -> None:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(checkout_key(order_id)),
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
            "Item": to_item(cart_item(cart)),
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
            "Key": to_item(cart_key(customer_id)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_FROZEN_BY,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(
                values if keep_lines else {**values, ":nothing": []}
            ),
        }
