"""Carts and checkouts as items of the table that `carts.dynamodb` draws."""

from __future__ import annotations

from datetime import UTC, datetime

from carts.dynamodb.promotions import to_redemption
from carts.model.bill import Bill, PricedLine
from carts.model.cart import Cart, CartLine, CartStatus
from carts.model.checkout import LEFT_ALONE_MAX, Checkout, CheckoutStatus
from carts.model.promotion import CartCode, Redemption, Reduces
from carts.model.shipping import Shipping
from carts.model.tax import TaxClass
from tradepost.kernel.clock import epoch_seconds, from_text, to_text
from tradepost.kernel.money import Money
from tradepost.platform.due import DueIndex
from tradepost.platform.dynamodb import Item

LINES_PER_CHUNK = 200

RUNNING = DueIndex("running", bucket="running", moment="due_at")


def cart_key(cart_id: str) -> dict[str, str]:
    return {"pk": f"CART#{cart_id}", "sk": "CART"}


def checkout_key(order_id: str) -> dict[str, str]:
    return {"pk": f"CHECKOUT#{order_id}", "sk": "CHECKOUT"}


def reference_key(customer_id: str, order_id: str) -> dict[str, str]:
    return {"pk": f"CART#{customer_id}", "sk": f"CHECKOUT#{order_id}"}


def reference_item(customer_id: str, order_id: str) -> Item:
    return {**reference_key(customer_id, order_id), "order_id": order_id}


def of_nobody(address: dict[str, str]) -> dict[str, str]:
    """Leave of an address what says nothing of a person: the country, which its tax was due to."""
    return {"country": address["country"]} if "country" in address else {}


def cart_item(cart: Cart) -> Item:
    return {
        **cart_key(cart.cart_id),
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


def to_priced(item: Item) -> PricedLine:
    return PricedLine(_to_line(item), item.get("discount_minor", 0), item.get("tax_minor", 0))


def to_cart(cart_id: str, item: Item) -> Cart:
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


def has_ended(item: Item) -> bool:
    return item["status"] not in {CheckoutStatus.RUNNING, CheckoutStatus.UNDER_REVIEW}


def _redemption_item(taken: Redemption) -> Item:
    return {
        "code": taken.code,
        "version": taken.version,
        "person": taken.person,
        "per_person_max": taken.per_person_max,
    }


def checkout_item(checkout: Checkout) -> Item:
    bill = checkout.bill
    assert bill.shipping is not None
    item: Item = {
        **checkout_key(checkout.order_id),
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
        **RUNNING.keys("RUNNING", checkout.order_id, checkout.placed_at + LEFT_ALONE_MAX),
    }
    if bill.redemptions:
        item["redemptions"] = [_redemption_item(taken) for taken in bill.redemptions]
    return item


def to_checkout(item: Item, lines: tuple[PricedLine, ...]) -> Checkout:
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


def line_chunks(checkout: Checkout) -> list[Item]:
    lines = checkout.bill.lines
    return [
        {
            "pk": checkout_key(checkout.order_id)["pk"],
            "sk": f"LINES#{start // LINES_PER_CHUNK:04d}",
            "lines": [_priced_item(line) for line in lines[start : start + LINES_PER_CHUNK]],
        }
        for start in range(0, len(lines), LINES_PER_CHUNK)
    ]
