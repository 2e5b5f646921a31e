"""What everybody wrote down about an order: we, the provider and the carrier, each apart."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.system.shopper import Person, Town
from tradepost.kernel.ids import derived_id
from tradepost.platform import aws
from tradepost.platform.dynamodb import from_item

# How an order may have ended, and the parcel with it.
ENDS = {"CONFIRMED": "LABELLED", "SHIPPED": "DISPATCHED", "CANCELLED": "CANCELLED"}

# Why an order was cancelled that nothing stood in the way of.
CALLED_OFF = {"cancelled_by_customer", "cancelled_by_staff", "carrier_failed"}

# How the provider may have a charge whose payment has ended so in our book. One that was opened
# and never asked for money stays open with the provider, one that its bank declined stays declined:
# there is nothing to free.
ENDS_OF_A_CHARGE = {
    "CAPTURED": {"CAPTURED"},
    "VOIDED": {"VOIDED", "OPENED", "DECLINED"},
    "DECLINED": {"DECLINED", "VOIDED"},
}


def items(context: str, pk: str) -> dict[str, dict[str, Any]]:
    """Read a partition of a context's table, by sort key."""
    answer = aws.dynamodb().query(
        TableName=f"tradepost-local-{context}",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": pk}},
        ConsistentRead=True,
    )
    found = [from_item(item) for item in answer["Items"]]
    return {item["sk"]: item for item in found}


def provider_charge(order_id: str, edit: int = 0) -> dict[str, Any] | None:
    """Read the provider's own book: what it did, whatever we believe."""
    charged = f"{order_id}+{edit}" if edit else order_id
    reference = derived_id("sim", f"open#{charged}#1")
    return items("simulators", f"CHARGE#{reference}").get("CHARGE")


def carrier_booking(order_id: str) -> dict[str, Any] | None:
    number = derived_id("trk", f"book#{order_id}")
    return items("simulators", f"PARCEL#{number}").get("PARCEL")


def agree(
    town: Town,
    buyer: Person,
    order_id: str,
    *,
    sku: str,
    added: str | None = None,
    set_aside: bool = False,
    mails_may_repeat: bool = False,
) -> str:
    """Check that an order has ended and that all books tell the same end; return it.

    The order is of one SKU, and of one more that an edit may have `added`; no other order has
    touched them, and the mails of this order are the only ones the buyer was sent about it.
    `set_aside` says that it needed attention once: then its cart was given back empty.
    `mails_may_repeat` says that somebody died between sending a mail and noting it, which no key
    of SES's makes one.
    """
    order = items("orders", f"ORDER#{order_id}")["ORDER"]
    sold = order["status"] != "CANCELLED"

    assert order["status"] in ENDS, order
    assert "unfinished" not in order, order
    _carts_agree(buyer, order, sold, set_aside)
    for one in (sku, *([added] if added else [])):
        _stock_agrees(order_id, one, sold)
    _money_agrees(order, sold)
    _parcel_agrees(order, sold)
    _all_was_told(town, order, sold, mails_may_repeat)
    return str(order["status"])


def _carts_agree(buyer: Person, order: dict[str, Any], sold: bool, set_aside: bool) -> None:
    order_id = order["order_id"]
    checkout = buyer.get(f"/v1/checkouts/{order_id}").json()
    cart = buyer.get("/v1/cart").json()

    # One that was confirmed first may be cancelled before its checkout is closed, or after.
    if sold or (checkout["status"] == "CONFIRMED" and order["confirmed_at"]):
        assert (checkout["status"], checkout["reason"]) == ("CONFIRMED", None)
    else:
        assert (checkout["status"], checkout["reason"]) == ("FAILED", order["reason"])
    assert "running" not in items("carts", f"CHECKOUT#{order_id}")["CHECKOUT"]
    assert cart["status"] == "OPEN"
    assert bool(cart["lines"]) is (checkout["status"] == "FAILED" and not set_aside)


def _stock_agrees(order_id: str, sku: str, sold: bool) -> None:
    hold, shelf = items("inventory", f"HOLD#{order_id}"), items("inventory", f"SKU#{sku}")
    level = shelf["STOCK#main"]
    moved: Counter[str] = Counter()
    for item in [*hold.values(), *shelf.values()]:
        for movement in item.get("movements", ()):
            if movement["sku"] == sku:
                moved.update(available=movement["available"], held=movement["held"])
    chunks = {sk: item for sk, item in hold.items() if sk.startswith("CHUNK#")}
    bought = [item["state"] for sk, item in chunks.items() if "EDIT" not in sk]
    added = [item["state"] for sk, item in chunks.items() if "EDIT" in sk]
    kept = [item for item in chunks.values() if item["state"] == "COMMITTED"]
    lines = [line for chunk in kept for line in chunk["lines"] if line["sku"] == sku]
    received = sum(
        movement["available"] + movement["held"]
        for item in shelf.values()
        for movement in item.get("movements", ())
    )
    taken = sum(line["quantity"] for line in lines)
    chunks_of_lines = items("orders", f"ORDER#{order_id}").items()
    ordered = sum(
        line["quantity"]
        for sk, item in chunks_of_lines
        if sk.startswith("LINES#")
        for line in item["lines"]
        if line["sku"] == sku
    )

    assert set(bought) == {"COMMITTED" if sold else "RELEASED"}
    # What an edit held that came to nothing has gone back.
    assert set(added) <= ({"COMMITTED", "RELEASED"} if sold else {"RELEASED"})
    assert taken == (ordered if sold else 0)
    assert (level["available"], level["held"]) == (received - taken, 0)
    assert (level["available"], level["held"]) == (moved["available"], moved["held"])


def _money_agrees(order: dict[str, Any], sold: bool) -> None:
    book = items("payments", f"PAYMENT#{order['order_id']}")
    paid = [item for sk, item in book.items() if sk.startswith("PAYMENT")]
    entries = [item for sk, item in book.items() if sk.startswith("ENTRY#")]
    refunds = [item for sk, item in book.items() if sk.startswith("REFUND#")]
    receivable = sum(
        leg["amount_minor"]
        for entry in entries
        for leg in entry["legs"]
        if leg["account"] == "provider_receivable"
    )
    kept = order["total_minor"] if sold else 0

    assert sum(one["captured_minor"] - one["refunded_minor"] for one in paid) == kept
    assert sum(one["refundable_minor"] for one in paid) == kept
    assert receivable == kept
    assert all(sum(leg["amount_minor"] for leg in entry["legs"]) == 0 for entry in entries)
    assert {refund["status"] for refund in refunds} <= {"SUCCEEDED"}
    for payment in paid:
        charge = provider_charge(order["order_id"], payment["edit"]) or {}
        assert charge.get("captured_minor", 0) == payment["captured_minor"]
        assert charge.get("refunded_minor", 0) == payment["refunded_minor"]
        assert charge.get("status", "VOIDED") in ENDS_OF_A_CHARGE[payment["status"]]


def _parcel_agrees(order: dict[str, Any], sold: bool) -> None:
    shipment = items("shipping", f"SHIPMENT#{order['order_id']}")["SHIPMENT"]
    booking = carrier_booking(order["order_id"])

    assert shipment["status"] == ENDS[order["status"]]
    assert booking is not None
    assert booking["status"] == ("LABELLED" if sold else "CANCELLED")


def _all_was_told(town: Town, order: dict[str, Any], sold: bool, mails_may_repeat: bool) -> None:
    order_id = order["order_id"]
    outboxes = [
        *items("orders", f"ORDER#{order_id}"),
        *items("payments", f"PAYMENT#{order_id}"),
        *items("shipping", f"SHIPMENT#{order_id}"),
    ]
    told = [
        mail["subject"].replace(order_id, "X")
        for mail in town.stack.mailbox.list("grace@example.com")
        if order_id in mail["subject"] and "refund" not in mail["subject"]
    ]
    called_off = order["reason"] in CALLED_OFF
    expected = {
        "We have your order X": True,
        "Your order X is confirmed": order["confirmed_at"] is not None,
        "Your order X is on its way": order["status"] == "SHIPPED",
        "Your order X is cancelled": not sold and called_off,
        "Your order X did not go through": not sold and not called_off,
    }

    if mails_may_repeat:
        told = list(set(told))
    assert [sk for sk in outboxes if sk.startswith("OUTBOX#")] == []
    assert sorted(told) == sorted(subject for subject, sent in expected.items() if sent)
