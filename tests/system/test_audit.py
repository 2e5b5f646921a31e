"""The audit: books that nobody tampered with are clean, and whatever was tampered with is named."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import boto3
import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from infra.cli.audit import auditing
from infra.cli.audit.command import Place, run_audit
from infra.cli.deployment import Deployment
from infra.cli.main import app
from infra.cli.shop import Shop as CommandsShop
from infra.cli.shop import session_of
from infra.local.server import LocalSite
from tests.system.books import items, provider_charge
from tests.system.conftest import opened
from tests.system.faults import Faults
from tests.system.kinds import Shop
from tests.system.shopper import Person, Town
from tradepost.kernel.clock import to_text, utc_now
from tradepost.platform import aws
from tradepost.platform.dynamodb import to_item

PRICE = 1250


@dataclass
class Month:
    """A shop in which a bit of everything has happened, some while ago."""

    town: Town
    sold: str  # an order of two units of `sku`, confirmed and paid
    sku: str
    cancelled: str


def edited(buyer: Person, order_id: str, sku: str, quantity: int) -> None:
    body = {
        "lines": [{"sku": sku, "quantity": quantity}],
        "expected_total": {"amount_minor": PRICE * quantity, "currency": "GBP"},
    }
    answer = buyer.post(
        f"/v1/orders/{order_id}/edits", body, Idempotency_Key=f"{order_id}-{quantity}"
    )
    assert answer.status_code == 202, answer.text


@pytest.fixture(scope="module")
def month(stack: Any) -> Iterator[Month]:
    with opened(stack) as town, pytest.MonkeyPatch.context() as patch:
        shop = Shop(town, Faults(stack, patch))
        for kind in ("declined", "sold out", "capture refused"):
            shop.sells(kind)
        _, sold, sku = shop.sells("approved")
        buyer, cancelled, _ = shop.sells("approved")
        buyer.post(f"/v1/orders/{cancelled}/cancellation", {})
        for quantity in (1, 3):
            buyer, order_id, other = shop.sells("approved")
            edited(buyer, order_id, other, quantity)
        _, order_id, _ = shop.sells("approved")
        refund = {"amount": {"amount_minor": 300, "currency": "GBP"}, "reason": "a scratch"}
        answer = town.admin.post(
            f"/v1/payments/{order_id}/refunds", refund, Idempotency_Key="a-scratch"
        )
        assert answer.status_code == 201, answer.text
        _back_ordered(town)
        town.settles()
        town.passes(minutes=40)
        town.settles()
        yield Month(town, sold, sku, cancelled)


def _back_ordered(town: Town) -> None:
    """Sell more of a product than there are, of which some come in, over several shards."""
    town.sells("RARE", on_hand=3)
    keeping = {"shards": 4, "backorders_max": 20, "reason": "everybody wants it"}
    assert town.admin.put("/v1/stock/RARE/keeping", keeping).status_code == 200
    for _ in range(3):
        guest = town.guest()
        assert guest.checks_out(guest.fills_cart(RARE=2)).status_code == 202
        town.settles()
    came = {"quantity": 1, "reason": "delivery 4711"}
    answer = town.admin.post("/v1/stock/RARE/receipts", came, Idempotency_Key="delivery-4711")
    assert answer.is_success, answer.text


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditing, "PAUSE_SECONDS", 0)


def audit(*typed: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["audit", "--stage", "local", "--json", *typed])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout)


def named(report: dict[str, Any], invariant: str) -> list[dict[str, Any]]:
    return [one for one in report["violations"] if one["invariant"] == invariant]


@contextmanager
def changed(context: str, pk: str, sk: str, **attributes: Any) -> Iterator[None]:
    """Write into a book what nobody did; None takes an attribute out. Put it right afterwards."""
    before = items(context, pk).get(sk)
    after = {**(before or {"pk": pk, "sk": sk}), **attributes}
    table = f"tradepost-local-{context}"
    client = aws.dynamodb()
    client.put_item(
        TableName=table,
        Item=to_item({name: to for name, to in after.items() if to is not None}),
    )
    yield
    if before is None:
        client.delete_item(TableName=table, Key=to_item({"pk": pk, "sk": sk}))
    else:
        client.put_item(TableName=table, Item=to_item(before))


Plant = Callable[[Month], Any]


def _entry_of_one_leg(month: Month) -> Any:
    legs = items("payments", f"PAYMENT#{month.sold}")["ENTRY#CAPTURE"]["legs"]
    return changed("payments", f"PAYMENT#{month.sold}", "ENTRY#CAPTURE", legs=legs[:1])


def _second_charge(month: Month) -> Any:
    charge = provider_charge(month.sold)
    assert charge is not None
    rest = {name: to for name, to in charge.items() if name not in ("pk", "sk")}
    return changed("simulators", "CHARGE#sim_twin", "CHARGE", **rest)


def _order(**attributes: Any) -> Plant:
    return lambda month: changed("orders", f"ORDER#{month.sold}", "ORDER", **attributes)


def _cancelled(**attributes: Any) -> Plant:
    return lambda month: changed("orders", f"ORDER#{month.cancelled}", "ORDER", **attributes)


def _payment(**attributes: Any) -> Plant:
    return lambda month: changed("payments", f"PAYMENT#{month.sold}", "PAYMENT", **attributes)


def _level(**attributes: Any) -> Plant:
    return lambda month: changed("inventory", f"SKU#{month.sku}", "STOCK#main", **attributes)


def _hold(order: str, **attributes: Any) -> Plant:
    return lambda month: changed(
        "inventory", f"HOLD#{getattr(month, order)}", "CHUNK#0000", **attributes
    )


def _charge(**attributes: Any) -> Plant:
    def plant(month: Month) -> Any:
        charge = provider_charge(month.sold)
        assert charge is not None
        return changed("simulators", charge["pk"], "CHARGE", **attributes)

    return plant


def _hold_of_nobody(month: Month) -> Any:
    past = to_text(utc_now() - timedelta(minutes=40))
    chunk = {"total": 1, "state": "HELD", "edit": 0, "fills": 0, "held_until": past}
    lines = [{"sku": month.sku, "quantity": 1}]
    return changed("inventory", "HOLD#ord_never", "CHUNK#0000", lines=lines, **chunk)


def _unsent_event(month: Month) -> Any:
    told = {"type": "order.confirmed.v1", "body": "{}", "outbox": "UNSENT#0"}
    past = to_text(utc_now() - timedelta(minutes=10))
    pk = f"ORDER#{month.sold}"
    return changed("orders", pk, "OUTBOX#evt_lost", occurred_at=past, **told)


@contextmanager
def _dead_letter(_: Month) -> Iterator[None]:
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="tradepost-local-orders-facts-dlq")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    yield
    sqs.purge_queue(QueueUrl=url)


LONG_AGO = "2026-01-05T10:00:00.000Z"

# What is planted, the invariant that names it, whose two figures, and what the plan says.
FAULTS: dict[str, tuple[Plant, str, list[Any], str]] = {
    "units that no entry explains": (_level(available=9), "I1", [9, 8], "judge"),
    "units sold twice": (
        _hold("sold", lines=[{"sku": "RARE", "quantity": 2}]), "I1", [8, 10], "judge",
    ),
    "oversold": (_level(available=-1), "I2", [-1, 0], "judge"),
    "held by nobody": (_level(held=2), "I3", [2, 0], "judge"),
    "charged more than it costs": (_order(total_minor=1), "I4", [2 * PRICE, 1], "books-differ"),
    "captured more than was asked": (
        _payment(captured_minor=9000), "I4", [9000, 2 * PRICE], "books-differ",
    ),
    "charged twice": (_second_charge, "I4", [2, 1], "reconcile --repair --day"),
    "refunded more than taken": (
        _payment(refunded_minor=9000), "I5", [9000, 2 * PRICE], "books-differ",
    ),
    "refundable twice": (
        _payment(refundable_minor=9000), "I5", [9000, 2 * PRICE], "books-differ",
    ),
    "an entry of one leg": (_entry_of_one_leg, "I6", [2 * PRICE, 0], "books-differ"),
    "a ledger in another currency": (
        _payment(currency="EUR"), "I6", [0, 2 * PRICE], "books-differ",
    ),
    "an order that lies still": (
        _order(status="CAPTURING", updated_at=LONG_AGO), "Q1", [], "reconcile --repair --day",
    ),
    "an order nobody took up": (
        _order(status="NEEDS_ATTENTION", updated_at=LONG_AGO), "Q1", [], "needs-attention",
    ),
    "sold and not paid": (_order(total_minor=9999), "Q2", [2 * PRICE, 9999], "books-differ"),
    "sold and only held": (_hold("sold", state="HELD"), "Q2", [0, 2], "reconcile --repair --day"),
    "sold and given back": (_hold("sold", state="RELEASED"), "Q2", [0, 2], "books-differ"),
    "confirmed, and all was given back": (
        _cancelled(status="CONFIRMED"), "Q2", [0, 2], "books-differ",
    ),
    "cancelled with its money": (
        _order(status="CANCELLED"), "Q3", [2 * PRICE, 0], "reconcile --repair --day",
    ),
    "cancelled with its units": (
        _hold("cancelled", state="COMMITTED"), "Q3", [2, 0], "reconcile --repair --day",
    ),
    "a dead letter": (_dead_letter, "Q4", [1, 0], "dlq redrive"),
    "an event that was not sent": (_unsent_event, "Q5", [10, 5], "sweep"),
    "held past its time": (_hold_of_nobody, "Q6", [40, 0], "reconcile --repair --day"),
    "money past its time": (
        _payment(due="PAYMENT#0", due_at=LONG_AGO), "Q6", [], "sweep",
    ),
    "a capture the payment does not know": (
        _payment(captured_minor=0, refundable_minor=0), "Q7", [0, 2 * PRICE],
        "reconcile --repair --day",
    ),
    "a refund the payment does not know": (
        _charge(refunded_minor=PRICE), "Q7", [0, PRICE], "reconcile --repair --day",
    ),
    "a charge of nobody": (_second_charge, "Q7", [2 * PRICE, 0], "reconcile --repair --day"),
}  # fmt: skip


def test_a_shop_in_which_everything_happened_is_clean(month: Month) -> None:
    status, report = audit()

    assert report["violations"] == []
    assert (status, report["clean"]) == (0, True)
    assert [one["invariant"] for one in report["invariants"]] == [
        *[f"I{n}" for n in range(1, 7)],
        *[f"Q{n}" for n in range(1, 8)],
    ]
    looked_at = {one["invariant"]: one["checked"] for one in report["invariants"]}
    assert all(looked_at[rule] for rule in looked_at if rule not in ("Q5", "Q6"))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_named_with_its_figures_and_what_to_do(month: Month, fault: str) -> None:
    plant, invariant, figures, plan = FAULTS[fault]

    with plant(month):
        status, report = audit()

    found = named(report, invariant)
    assert status == 1
    assert found, report["violations"]
    told = [[figure["is"] for figure in one["figures"]] for one in found]
    assert not figures or figures in told
    assert any(plan in one["plan"] for one in found), found


def test_what_was_put_right_is_clean_again(month: Month) -> None:
    assert audit()[0] == 0


def run(month: Month, *, repair: bool) -> tuple[int, str, str]:
    """Run the command against the town; return its status and what it printed on both."""
    transport = httpx.WSGITransport(app=LocalSite(month.town.stack, "http://localhost/_aws"))
    shop = CommandsShop("http://localhost", transport=transport)
    place = Place(
        Deployment("local", lambda service: boto3.client(cast(Any, service))),
        utc_now,
        staff=lambda: session_of(shop, "admin@example.com", "a long enough password"),
        # Nothing else goes on meanwhile that could mend it.
        pause=lambda _: None,
    )
    out, err = io.StringIO(), io.StringIO()
    consoles = [Console(file=file, width=120) for file in (out, err)]
    status = run_audit(place, repair=repair, as_json=False, out=consoles[0], err=consoles[1])
    shop.close()
    return status, out.getvalue(), err.getvalue()


def test_what_reconciling_can_mend_is_mended_when_asked_and_only_then(month: Month) -> None:
    pk = f"PAYMENT#{month.sold}"
    book = items("payments", pk)
    with ExitStack() as planted:
        planted.enter_context(
            _payment(status="AUTHORIZED", captured_minor=0, refundable_minor=0)(month)
        )
        aws.dynamodb().delete_item(
            TableName="tradepost-local-payments", Key=to_item({"pk": pk, "sk": "ENTRY#CAPTURE"})
        )
        looked, shown, _ = run(month, repair=False)
        left = items("payments", pk)
        mended, told, _ = run(month, repair=True)
        after = items("payments", pk)
        month.town.settles()
        planted.pop_all()

    assert looked == 1, shown
    assert f"Q7  {month.sold}: captured, by payments 0, captured, by the provider 2500" in shown
    assert "ENTRY#CAPTURE" not in left
    assert (mended, after["PAYMENT"]["captured_minor"]) == (0, 2 * PRICE)
    assert f"repaired mended: payment_behind_provider {month.sold}" in told
    assert "Every invariant holds." in told
    assert after["ENTRY#CAPTURE"]["legs"] == book["ENTRY#CAPTURE"]["legs"]


def test_what_nobody_can_mend_safely_is_left_as_it_is(month: Month) -> None:
    with _level(available=9)(month):
        status, told, _ = run(month, repair=True)
        left = items("inventory", f"SKU#{month.sku}")["STOCK#main"]["available"]

    assert (status, left) == (1, 9)
    assert "a person has to judge: docs/audit.md#stock" in told
    assert "repaired" not in told


def test_tables_that_cannot_be_read_are_told_in_one_line(month: Month) -> None:
    nowhere = CliRunner().invoke(app, ["audit", "--stage", "nowhere"])
    with changed("orders", f"ORDER#{month.sold}", "ORDER", total_minor="a lot"):
        broken = CliRunner().invoke(app, ["audit", "--stage", "local"])

    for done, what in ((nowhere, "tradepost-nowhere-simulators"), (broken, month.sold)):
        assert done.exit_code == 2
        assert len(done.stderr.splitlines()) == 1
        assert what in done.stderr


def test_a_stage_is_not_mended_by_another_shop(month: Month) -> None:
    done = CliRunner().invoke(app, ["audit", "--stage", "local", "--repair"])

    assert (done.exit_code, done.stdout) == (2, "")
    assert "--url" in done.stderr
