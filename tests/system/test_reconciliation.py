"""Books made to contradict each other: the reconciliation finds it, and the owners mend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from infra.local.stack import LocalStack
from ops.dynamodb import DynamoDBTurns
from orders.dynamodb import DynamoDBOrders
from tests.system.books import agree, items, provider_charge
from tests.system.kinds import Shop
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import utc_now
from tradepost.platform import aws
from tradepost.platform.dynamodb import to_item

At = Callable[[timedelta], None]

# Past the quiet time of an order, and past the due of a hold.
LATER = timedelta(minutes=40)


def reconciled(town: Town, *, repair: bool) -> dict[str, str]:
    """Compare today's books; tell what differed and what became of it."""
    return {each["kind"]: each["outcome"] for each in findings_of(town, repair=repair)}


def findings_of(town: Town, *, repair: bool) -> list[dict[str, Any]]:
    """Compare the books of the days on which the tests sell, page after page."""
    # The administrator's token has expired in the time that passed.
    who = {"email": "admin@example.com", "password": "a long enough password"}
    admin = Person(town.http, town.nobody.post("/v1/sessions", who).json()["access_token"])
    findings: list[dict[str, Any]] = []
    # A test that runs before midnight sells yesterday.
    for day in sorted({(utc_now() - LATER).date(), utc_now().date()}):
        asked: dict[str, Any] = {"day": day.isoformat(), "repair": repair}
        while "after" not in asked or asked["after"] is not None:
            answer = admin.post("/v1/staff/reconciliations", asked)
            assert answer.status_code == 200, answer.text
            findings += answer.json()["findings"]
            asked["after"] = answer.json()["after"]
            town.settles()
    return findings


def mended(town: Town) -> dict[str, str]:
    """Find and mend; then find nothing any more."""
    assert set(reconciled(town, repair=False).values()) == {"left"}
    found = reconciled(town, repair=True)
    assert reconciled(town, repair=False) == {}
    return found


def plant(context: str, pk: str, sk: str, **attributes: Any) -> None:
    """Write into a book what nobody did."""
    names = {f"#{name}": name for name in attributes}
    aws.dynamodb().update_item(
        TableName=f"tradepost-local-{context}",
        Key=to_item({"pk": pk, "sk": sk}),
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        ExpressionAttributeNames=names,
        ExpressionAttributeValues=to_item({f":{name}": to for name, to in attributes.items()}),
    )


def erase(context: str, pk: str, sk: str) -> None:
    aws.dynamodb().delete_item(
        TableName=f"tradepost-local-{context}", Key=to_item({"pk": pk, "sk": sk})
    )


@pytest.fixture
def shop(town: Town, faults: Any) -> Shop:
    """A shop that has sold nothing else: what is found is what was planted."""
    return Shop(town, faults)


def waits_for_its_bank(town: Town) -> tuple[Person, str]:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    order_id = guest.checks_out(guest.fills_cart(MUG=2), method="pm_3ds").json()["order_id"]
    town.settles()
    return guest, order_id


@pytest.mark.parametrize("kind", ["approved", "declined", "sold out", "capture refused"])
def test_books_that_nobody_tampered_with_agree(shop: Shop, at: At, kind: str) -> None:
    shop.sells(kind)
    at(LATER)

    assert reconciled(shop.town, repair=False) == {}


def test_the_books_of_an_edited_order_agree(shop: Shop, at: At) -> None:
    guest, order_id, sku = shop.sells("approved")
    one_less = {
        "lines": [{"sku": sku, "quantity": 1}],
        "expected_total": {"amount_minor": 1250, "currency": "GBP"},
    }
    guest.post(f"/v1/orders/{order_id}/edits", one_less, Idempotency_Key="one-less")
    shop.town.settles()
    at(LATER)

    assert reconciled(shop.town, repair=False) == {}


def test_a_confirmation_whose_webhook_was_dropped_is_found_and_the_order_goes_on(
    town: Town, stack: LocalStack, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest, order_id = waits_for_its_bank(town)
    drop(stack, monkeypatch, "payments-deliver_webhooks")
    where = guest.get(f"/v1/payments/{order_id}/confirmation").json()["action_url"]
    town.nobody.http.post(where, data={"answer": "confirm"})
    town.settles()
    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "AWAITING_PAYMENT"
    at(timedelta(minutes=20))

    assert mended(town) == {"payment_behind_provider": "mended"}
    assert agree(town, guest, order_id, sku="MUG") == "CONFIRMED"


def test_money_captured_that_our_payment_does_not_know_of_is_entered(shop: Shop, at: At) -> None:
    guest, order_id, sku = shop.sells("approved")
    pk = f"PAYMENT#{order_id}"
    plant("payments", pk, "PAYMENT", status="AUTHORIZED", captured_minor=0, refundable_minor=0)
    erase("payments", pk, "ENTRY#CAPTURE")
    at(LATER)

    assert mended(shop.town) == {"payment_behind_provider": "mended"}
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_money_still_taken_for_a_cancelled_order_is_given_back(shop: Shop, at: At) -> None:
    guest, order_id, _ = shop.sells("approved")
    plant("orders", f"ORDER#{order_id}", "ORDER", status="CANCELLED", reason="checkout_failed")
    at(LATER)

    found = mended(shop.town)

    charge = provider_charge(order_id)
    assert found == {"money_without_order": "mended", "hold_without_order": "mended"}
    assert charge is not None
    assert charge["refunded_minor"] == charge["captured_minor"] > 0
    assert guest.get(f"/v1/orders/{order_id}").json()["status"] == "CANCELLED"


def test_a_second_charge_that_no_payment_stands_behind_is_freed(shop: Shop, at: At) -> None:
    guest, order_id, sku = shop.sells("approved")
    town = shop.town
    charge = provider_charge(order_id)
    assert charge is not None
    twin = "sim_twin"
    aws.dynamodb().put_item(
        TableName="tradepost-local-simulators",
        Item=to_item({**charge, "pk": f"CHARGE#{twin}"}),
    )
    at(LATER)

    found = mended(town)

    freed = items("simulators", f"CHARGE#{twin}")["CHARGE"]
    assert found == {"stray_charge": "begun"}
    assert freed["refunded_minor"] == freed["captured_minor"]
    assert agree(town, guest, order_id, sku=sku) == "CONFIRMED"


def test_units_held_for_an_order_that_never_was_are_released(town: Town, at: At) -> None:
    town.sells("MUG", on_hand=10)
    hold = {
        "order_id": "ord_never",
        "correlation_id": "planted",
        "lines": [{"sku": "MUG", "quantity": 3}],
    }
    town.stack.functions.run("tradepost-local-inventory-reserve_stock", json.dumps(hold))
    held = town.level("MUG")
    at(LATER)

    found = mended(town)

    assert held == (7, 3)
    assert found == {"hold_without_order": "mended"}
    assert town.level("MUG") == (10, 0)


def test_a_sale_whose_units_are_only_held_is_completed(shop: Shop, at: At) -> None:
    guest, order_id, sku = shop.sells("approved")
    available, held = shop.town.level(sku)
    plant("inventory", f"HOLD#{order_id}", "CHUNK#0000", state="HELD")
    erase("inventory", f"HOLD#{order_id}", "ENTRY#0000#COMMITTED")
    plant("inventory", f"SKU#{sku}", "STOCK#main", held=held + 2)
    at(LATER)

    assert mended(shop.town) == {"stock_not_sold": "mended"}
    assert shop.town.level(sku) == (available, 0)
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_a_confirmation_that_never_reached_the_warehouse_is_stated_again(
    shop: Shop, stack: LocalStack, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        # Published and consumed, as far as anybody can see: the message itself was lost.
        drop(stack, patch, "shipping-on_fact")
        guest, order_id, sku = shop.sells("approved")
    assert items("shipping", f"SHIPMENT#{order_id}")["SHIPMENT"]["status"] == "BOOKED"
    at(LATER)

    assert mended(shop.town) == {"event_lost": "begun"}
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_an_outbox_entry_that_the_relay_lost_is_published_by_the_sweep(
    shop: Shop, stack: LocalStack, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        drop(stack, patch, "orders-relay")
        guest, order_id, sku = shop.sells("approved")
    left = [sk for sk in items("orders", f"ORDER#{order_id}") if sk.startswith("OUTBOX#")]
    at(LATER)

    stack.pump.fire("tradepost-local-orders-relay_overdue")
    shop.town.settles()

    assert len(left) == 2
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


@pytest.mark.parametrize(
    ("book", "key", "attributes", "kind"),
    [
        ("orders", "ORDER", {"total_minor": 1}, "order_without_money"),
        ("payments", "PAYMENT", {"currency": "EUR"}, None),
    ],
)
def test_what_needs_a_judgement_is_told_and_left_as_it_is(
    shop: Shop, at: At, book: str, key: str, attributes: dict[str, Any], kind: str | None
) -> None:
    _, order_id, _ = shop.sells("approved")
    pk = f"{key}#{order_id}"
    plant(book, pk, key, **attributes)
    before = items(book, pk)
    at(LATER)

    found = reconciled(shop.town, repair=True)

    assert set(found.values()) <= {"left"}
    assert kind is None or kind in found
    assert items(book, pk) == before


def test_a_day_of_many_pages_is_compared_whole(
    shop: Shop, at: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = [shop.sells("approved")[1] for _ in range(3)]
    found_by = DynamoDBOrders.found_by
    monkeypatch.setattr(
        DynamoDBOrders,
        "found_by",
        lambda self, search, _limit, after: found_by(self, search, 1, after),
    )
    for order_id in sold:
        plant("orders", f"ORDER#{order_id}", "ORDER", total_minor=1)
    at(LATER)

    findings = findings_of(shop.town, repair=False)

    assert sorted(finding["order_id"] for finding in findings) == sorted(sold)


def test_a_page_of_another_day_or_a_forged_one_is_refused(shop: Shop) -> None:
    first = {"day": "2026-01-05", "repair": False}
    then = shop.town.admin.post("/v1/staff/reconciliations", first).json()["after"]

    for asked in ({**first, "day": "2026-01-06", "after": then}, {**first, "after": then + "x"}):
        answer = shop.town.admin.post("/v1/staff/reconciliations", asked)

        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_an_order_at_work_is_not_compared(shop: Shop) -> None:
    _, order_id, _ = shop.sells("approved")
    plant("orders", f"ORDER#{order_id}", "ORDER", total_minor=1)

    assert reconciled(shop.town, repair=True) == {}


def test_every_hour_the_books_are_compared_and_mended_without_being_asked(
    shop: Shop, stack: LocalStack, at: At
) -> None:
    guest, order_id, sku = shop.sells("approved")
    pk = f"PAYMENT#{order_id}"
    plant("payments", pk, "PAYMENT", status="AUTHORIZED", captured_minor=0, refundable_minor=0)
    erase("payments", pk, "ENTRY#CAPTURE")
    at(LATER)

    stack.pump.fire("tradepost-local-ops-reconcile_lately")
    shop.town.settles()

    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_an_hour_later_only_what_changed_since_is_compared(
    shop: Shop, stack: LocalStack, at: At
) -> None:
    shop.sells("approved")
    shop.sells("approved")
    at(timedelta(minutes=40))
    stack.pump.fire("tradepost-local-ops-reconcile_lately")
    shop.town.settles()
    shop.sells("approved")
    at(timedelta(minutes=100))
    stack.pump.fire("tradepost-local-ops-reconcile_lately")
    shop.town.settles()

    assert [(run["kind"], run["compared"]) for run in runs(shop.town)] == [
        ("changes", 1),
        ("changes", 2),
    ]
    assert all(run["by"] == "clock" and run["ended_at"] for run in runs(shop.town))


def test_at_night_what_contradicts_without_a_change_is_found(
    shop: Shop, stack: LocalStack, at: At
) -> None:
    guest, order_id, sku = shop.sells("approved")
    at(timedelta(hours=1))
    stack.pump.fire("tradepost-local-ops-reconcile_lately")
    shop.town.settles()
    pk = f"PAYMENT#{order_id}"
    plant("payments", pk, "PAYMENT", status="AUTHORIZED", captured_minor=0, refundable_minor=0)
    erase("payments", pk, "ENTRY#CAPTURE")

    at(timedelta(days=1))
    stack.pump.fire("tradepost-local-ops-reconcile_lately")
    shop.town.settles()
    assert [run["mended"] for run in runs(shop.town)] == [0, 0]
    stack.pump.fire("tradepost-local-ops-reconcile_days")
    shop.town.settles()

    by_day = [run["mended"] for run in runs(shop.town) if run["kind"] == "day"]
    assert sorted(by_day) == [0, 1]
    assert agree(shop.town, guest, order_id, sku=sku) == "CONFIRMED"


def test_of_two_who_mend_at_once_the_second_is_told_and_looking_needs_no_turn(
    shop: Shop, at: At
) -> None:
    shop.sells("approved")
    turns = DynamoDBTurns(aws.dynamodb(), "tradepost-local-ops")
    asked = {"day": utc_now().date().isoformat(), "repair": True}

    with turns.taken():
        refused = shop.town.admin.post("/v1/staff/reconciliations", asked)
        looked = shop.town.admin.post("/v1/staff/reconciliations", asked | {"repair": False})
    mended = shop.town.admin.post("/v1/staff/reconciliations", asked)

    assert (refused.status_code, refused.json()["code"]) == (409, "work_in_progress")
    assert (looked.status_code, mended.status_code) == (200, 200)
    (run,) = runs(shop.town)
    assert (run["kind"], run["by"][:4]) == ("day", "usr_")


def test_a_customer_sees_no_reconciliations(shop: Shop) -> None:
    assert shop.town.customer().get("/v1/staff/reconciliations").status_code == 403


def runs(town: Town) -> list[dict[str, Any]]:
    """What was compared and mended, newest first."""
    who = {"email": "admin@example.com", "password": "a long enough password"}
    admin = Person(town.http, town.nobody.post("/v1/sessions", who).json()["access_token"])
    found: list[dict[str, Any]] = admin.get("/v1/staff/reconciliations").json()["runs"]
    return found


def drop(stack: LocalStack, patch: pytest.MonkeyPatch, function: str) -> None:
    """Let whatever is handed to a function be lost, while it seems to have been taken."""
    run = stack.functions.run

    def lossy(name: str, payload: str) -> tuple[str, bool]:
        if name == f"tradepost-local-{function}":
            return "{}", False
        answer: tuple[str, bool] = run(name, payload)
        return answer

    patch.setattr(stack.functions, "run", lossy)
