"""
The `carts` table.

    pk                sk            item       attributes
    CART#<person>     CART          cart       status, version, order_id, lines: [sku, title,
                                               quantity, amount_minor, currency, weight_grams]
    OFFER#<sku>       OFFER         offer      sku, and for each product that ever had it
                                               `by <product_id>`: version, stated_at, on_sale,
                                               title, amount_minor, currency, weight_grams
    CHECKOUT#<order>  CHECKOUT      checkout   order_id, customer_id, email, shipping_address,
                                               payment_method, amount_minor, currency,
                                               shipping_minor, shipping_service, line_count, status,
                                               reason, fingerprint, correlation_id,
                                               placed_at, running, due_at
    CHECKOUT#<order>  LINES#<nnnn>  chunk      lines: as in the cart
    CART#<person>     CHECKOUT#<order>  reference  order_id: a checkout of theirs
    ERASURE#<user>    ERASURE       erasure    see tradepost.platform.erasures
    IDEMPOTENCY#<...> IDEMPOTENCY   record     see tradepost.platform.idempotency

    index      keys              serves
    running    running, due_at   the sweeps: checkouts that are not over, people to be forgotten

A person has one cart, under their own id, so whoever holds the token holds the cart. `running`
names one of a few buckets of the index, and goes with `due_at` when the checkout is over or under
review.

Offers are carts' projection of the catalogue: an offer off sale stays, with its version, so that
older news cannot bring it back. A SKU that one product gave up may be another's, and their
versions say nothing of each other: what each product said last is kept beside the others'.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from carts.model import (
    LEFT_ALONE_MAX,
    Cart,
    CartLine,
    CartStatus,
    Checkout,
    CheckoutNotFoundError,
    CheckoutStatus,
    Offer,
    ProductNews,
    Shipping,
)
from tradepost.kernel.clock import from_text, to_text
from tradepost.kernel.errors import StaleError
from tradepost.kernel.money import Money
from tradepost.platform.due import BUCKETS, DueIndex
from tradepost.platform.dynamodb import (
    Item,
    failed_conditions,
    from_item,
    get_all,
    to_item,
)
from tradepost.platform.idempotency import IdempotentRequest

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LINES_PER_CHUNK = 200

# An offer's attribute of what one product says: `by prd_...`.
_BY = "by "

_IS_NEW = "attribute_not_exists(pk)"
_IS_PREVIOUS_VERSION = "#version = :previous_version"
_IS_NEWER = "attribute_not_exists(#by) OR #by.#version < :version"
_IS_RUNNING = "#status = :running"
_HAS_NOT_ENDED = "#status = :running OR #status = :under_review"
_IS_OVER = "#status = :confirmed OR #status = :failed"
_IS_NOT_FROZEN = "attribute_not_exists(pk) OR #status <> :frozen"
_IS_FROZEN_BY = "#status = :frozen AND #order_id = :order_id"

RUNNING = DueIndex("running", bucket="running", moment="due_at")


class DynamoDBCarts:
    """Carts, offers and checkouts, over one table. Satisfies `ports.CartRepository`."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table

    def get(self, cart_id: str) -> Cart:
        answer = self._client.get_item(
            TableName=self._table, Key=to_item(_cart_key(cart_id)), ConsistentRead=True
        )
        return _to_cart(cart_id, from_item(answer["Item"])) if "Item" in answer else Cart(cart_id)

    def get_with_offers(self, cart_id: str, skus: Sequence[str]) -> tuple[Cart, dict[str, Offer]]:
        return self.get(cart_id), self.offers(skus)

    def offers(self, skus: Sequence[str]) -> dict[str, Offer]:
        items = get_all(self._client, self._table, [_offer_key(sku) for sku in dict.fromkeys(skus)])
        return {item["sku"]: offer for item in items if (offer := _to_offer(item)) is not None}

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
            _checkout_item(checkout),
            *_line_chunks(checkout),
            _reference_item(checkout.customer_id, checkout.order_id),
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
        try:
            self._client.transact_write_items(TransactItems=[*puts, {"Put": self._put_cart(cart)}])
        except ClientError as error:
            stored = failed_conditions(error)[0]
            if stored is not None:
                return _to_checkout(stored, ())
            raise StaleError("the cart changed since it was read") from error
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
        return _to_checkout(head, tuple(_to_line(line) for line in lines))

    def end_checkout(
        self, order_id: str, customer_id: str, *, status: CheckoutStatus, reason: str | None
    ) -> None:
        ended: Any = {
            "TableName": self._table,
            "Key": to_item(_checkout_key(order_id)),
            "UpdateExpression": (
                "SET #status = :status, #reason = :reason REMOVE #running, #due_at"
            ),
            "ConditionExpression": _HAS_NOT_ENDED,
            "ExpressionAttributeNames": {
                "#status": "status",
                "#reason": "reason",
                "#running": "running",
                "#due_at": "due_at",
            },
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
        reopened = self._reopen(order_id, customer_id, keep_lines=status is CheckoutStatus.FAILED)
        try:
            self._client.transact_write_items(
                TransactItems=[{"Update": ended}, {"Update": reopened}]
            )
        except ClientError as error:
            stored, _ = failed_conditions(error)
            if stored is None:
                # The cart went its own way meanwhile; only the checkout is still to be closed.
                self._client.update_item(**ended)
            elif not stored:
                raise CheckoutNotFoundError(order_id) from error

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :checkout)",
            ExpressionAttributeValues=to_item(
                {":pk": _cart_key(customer_id)["pk"], ":checkout": "CHECKOUT#"}
            ),
            ConsistentRead=True,
        )
        references = [from_item(item) for page in pages for item in page["Items"]]
        found = [self.checkout(reference["order_id"]) for reference in references]
        return [checkout for checkout in found if checkout is not None]

    def anonymise_checkout(self, checkout: Checkout) -> None:
        forgotten = {
            "email": "",
            "shipping_address": _of_nobody(checkout.shipping_address),
            "payment_method": "",
            "fingerprint": "",
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_checkout_key(checkout.order_id)),
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
            Key=to_item(_reference_key(checkout.customer_id, checkout.order_id)),
        )

    def forget(self, cart_id: str) -> bool:
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=to_item(_cart_key(cart_id)),
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

    def put_offer(self, offer: Offer, news: ProductNews) -> None:
        self._say_if_newer(
            {
                "on_sale": True,
                "title": offer.title,
                "amount_minor": offer.unit_price.amount_minor,
                "currency": offer.unit_price.currency,
                "weight_grams": offer.weight_grams,
            },
            offer.sku,
            news,
        )

    def withdraw_offer(self, sku: str, news: ProductNews) -> None:
        self._say_if_newer({"on_sale": False}, sku, news)

    def _say_if_newer(self, said: Item, sku: str, news: ProductNews) -> None:
        stated = {**said, "version": news.version, "stated_at": to_text(news.stated_at)}
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item(_offer_key(sku)),
                UpdateExpression="SET #sku = :sku, #by = :stated",
                ConditionExpression=_IS_NEWER,
                ExpressionAttributeNames={
                    "#sku": "sku",
                    "#by": f"{_BY}{news.product_id}",
                    "#version": "version",
                },
                ExpressionAttributeValues=to_item(
                    {":sku": sku, ":stated": stated, ":version": news.version}
                ),
            )
        except ClientError as error:
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
            change += ", #lines = :no_lines"
            names["#lines"] = "lines"
        return {
            "TableName": self._table,
            "Key": to_item(_cart_key(customer_id)),
            "UpdateExpression": change,
            "ConditionExpression": _IS_FROZEN_BY,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": to_item(
                values if keep_lines else {**values, ":no_lines": []}
            ),
        }


def _cart_key(cart_id: str) -> dict[str, str]:
    return {"pk": f"CART#{cart_id}", "sk": "CART"}


def _reference_key(customer_id: str, order_id: str) -> dict[str, str]:
    return {"pk": f"CART#{customer_id}", "sk": f"CHECKOUT#{order_id}"}


def _reference_item(customer_id: str, order_id: str) -> Item:
    return {**_reference_key(customer_id, order_id), "order_id": order_id}


def _of_nobody(address: dict[str, str]) -> dict[str, str]:
    return {"country": address["country"]} if "country" in address else {}


def _offer_key(sku: str) -> dict[str, str]:
    return {"pk": f"OFFER#{sku}", "sk": "OFFER"}


def _checkout_key(order_id: str) -> dict[str, str]:
    return {"pk": f"CHECKOUT#{order_id}", "sk": "CHECKOUT"}


def _cart_item(cart: Cart) -> Item:
    return {
        **_cart_key(cart.cart_id),
        "status": cart.status,
        "version": cart.version,
        "order_id": cart.order_id,
        "lines": [_line_item(line) for line in cart.lines],
    }


def _line_item(line: CartLine) -> Item:
    return {
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
    )


def _to_cart(cart_id: str, item: Item) -> Cart:
    return Cart(
        cart_id=cart_id,
        status=CartStatus(item["status"]),
        version=item["version"],
        lines=tuple(_to_line(line) for line in item["lines"]),
        order_id=item["order_id"],
    )


def _to_offer(item: Item) -> Offer | None:
    """Read what is on sale; None if no product sells the SKU any more.

    Two products sell it only until the news arrives that the first gave it up.
    """
    stated = [said for name, said in item.items() if name.startswith(_BY) and said["on_sale"]]
    if not stated:
        return None
    latest = max(stated, key=lambda said: str(said["stated_at"]))
    return Offer(
        sku=item["sku"],
        title=latest["title"],
        unit_price=Money(latest["amount_minor"], latest["currency"]),
        weight_grams=latest["weight_grams"],
    )


def _checkout_item(checkout: Checkout) -> Item:
    return {
        **_checkout_key(checkout.order_id),
        "order_id": checkout.order_id,
        "customer_id": checkout.customer_id,
        "email": checkout.email,
        "shipping_address": checkout.shipping_address,
        "payment_method": checkout.payment_method,
        "amount_minor": checkout.total.amount_minor,
        "currency": checkout.total.currency,
        "shipping_minor": checkout.shipping.price.amount_minor,
        "shipping_service": checkout.shipping.service,
        "line_count": checkout.line_count,
        "status": checkout.status,
        "reason": checkout.reason,
        "fingerprint": checkout.fingerprint,
        "correlation_id": checkout.correlation_id,
        "placed_at": to_text(checkout.placed_at),
        **RUNNING.keys("RUNNING", checkout.order_id, checkout.placed_at + LEFT_ALONE_MAX),
    }


def _to_checkout(item: Item, lines: tuple[CartLine, ...]) -> Checkout:
    return Checkout(
        order_id=item["order_id"],
        customer_id=item["customer_id"],
        email=item["email"],
        shipping_address=item["shipping_address"],
        payment_method=item["payment_method"],
        total=Money(item["amount_minor"], item["currency"]),
        shipping=Shipping(
            item["shipping_service"], Money(item["shipping_minor"], item["currency"])
        ),
        lines=lines,
        line_count=item["line_count"],
        status=CheckoutStatus(item["status"]),
        reason=item["reason"],
        fingerprint=item["fingerprint"],
        correlation_id=item["correlation_id"],
        placed_at=from_text(item["placed_at"]),
    )


def _line_chunks(checkout: Checkout) -> list[Item]:
    return [
        {
            "pk": _checkout_key(checkout.order_id)["pk"],
            "sk": f"LINES#{start // LINES_PER_CHUNK:04d}",
            "lines": [_line_item(line) for line in checkout.lines[start : start + LINES_PER_CHUNK]],
        }
        for start in range(0, len(checkout.lines), LINES_PER_CHUNK)
    ]
