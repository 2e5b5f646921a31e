"""Money on the whole stack: banks that ask, webhooks, browsers, cashiers, claims and repairs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from infra.local.stack import LocalStack
from payments.simulator import WebhookBody
from payments.webhooks import BODY_BYTES_MAX, PATH
from tests.system.books import agree, items, provider_charge
from tests.system.shopper import Person, Town
from tests.system.wire import Answer, Wire
from tradepost.kernel.clock import set_clock, utc_now
from tradepost.kernel.ids import derived_id
from tradepost.platform import aws
from tradepost.platform.webhooks import signed_headers

SECRET_ID = "tradepost/local/payment-webhook"
STRANGERS_SECRET = "z" * 64


@dataclass
class Sale:
    """One guest's order of two mugs at 12.50 GBP."""

    town: Town
    guest: Person
    order_id: str

    @property
    def reference(self) -> str:
        return derived_id("sim", f"open#{self.order_id}#1")

    def status(self) -> str:
        status: str = self.guest.get(f"/v1/orders/{self.order_id}").json()["status"]
        return status

    def checkout(self) -> dict[str, Any]:
        checkout: dict[str, Any] = self.guest.get(f"/v1/checkouts/{self.order_id}").json()
        return checkout

    def payment(self) -> dict[str, Any]:
        return self.town.payment(self.order_id)

    def confirmation(self) -> dict[str, Any]:
        told: dict[str, Any] = self.guest.get(f"/v1/payments/{self.order_id}/confirmation").json()
        return told

    def answers_bank(self, answer: str) -> str:
        """Press a button of the bank's page; return the page that follows."""
        page = self.town.http.get(self.confirmation()["action_url"] or self.bank)
        assert 'name="answer"' in page.text
        return self.town.http.post(self.bank, data={"answer": answer}).text

    @property
    def bank(self) -> str:
        return f"/v1/simulator/bank/{self.reference}"

    def ends(self) -> str:
        self.town.settles()
        return agree(self.town, self.guest, self.order_id, sku="MUG")


def sale(town: Town, method: str) -> Sale:
    town.sells("MUG", on_hand=10)
    guest = town.guest()
    accepted = guest.checks_out(guest.fills_cart(MUG=2), method=method)
    town.settles()
    return Sale(town, guest, accepted.json()["order_id"])


@pytest.fixture
def later() -> Iterator[Any]:
    """Let time pass for the functions: the stack's own clock stays as it is."""

    def passes(**time: float) -> None:
        moment = datetime.now(utc_now().tzinfo) + timedelta(**time)
        set_clock(lambda: moment)

    yield passes
    set_clock(None)


def runs(function: str, **event: Any) -> Any:
    """Invoke a function of payments as its operator does; return what it answers."""
    answer = boto3.client("lambda").invoke(
        FunctionName=f"tradepost-local-payments-{function}", Payload=json.dumps(event).encode()
    )
    told = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def scheduled(town: Town, function: str) -> None:
    """Have a scheduled function's time come, and everything that follows from it."""
    town.stack.pump.fire(f"tradepost-local-payments-{function}")
    town.settles()


def test_a_payment_confirmed_at_the_bank_ends_in_a_confirmed_order(town: Town) -> None:
    bought = sale(town, "pm_3ds")
    waiting, confirmation = bought.status(), bought.confirmation()

    page = bought.answers_bank("confirm")

    assert waiting == "AWAITING_PAYMENT"
    assert confirmation["status"] == "REQUIRES_ACTION"
    assert confirmation["confirm_by"]
    assert "confirmed" in page
    assert bought.ends() == "CONFIRMED"
    assert bought.confirmation()["status"] == "CAPTURED"
    assert bought.confirmation()["action_url"] is None


@pytest.mark.parametrize(
    ("method", "answer"), [("pm_3ds", "refuse"), ("pm_3ds_refused", "confirm")]
)
def test_a_payment_refused_at_the_bank_gives_everything_back(
    town: Town, method: str, answer: str
) -> None:
    bought = sale(town, method)

    page = bought.answers_bank(answer)

    assert "refused" in page
    assert bought.ends() == "CANCELLED"
    assert bought.checkout()["reason"] == "payment_declined"
    assert town.level("MUG") == (10, 0)


@pytest.mark.parametrize(
    "sweep", ["payments-watch_authorizations", "orders-sweep_orders"], ids=["watched", "swept"]
)
def test_a_payment_nobody_confirmed_is_told_as_such_and_not_as_the_banks_no(
    town: Town, later: Any, sweep: str
) -> None:
    bought = sale(town, "pm_3ds")

    later(minutes=31)
    town.stack.pump.fire(f"tradepost-local-{sweep}")
    ends = bought.ends()

    told = town.stack.mailbox.list("grace@example.com")
    (words,) = (mail["text"] for mail in told if "did not go through" in mail["subject"])
    assert (ends, bought.checkout()["reason"]) == ("CANCELLED", "payment_expired")
    assert "your bank's confirmation of the payment did not come in time" in words
    assert town.level("MUG") == (10, 0)


def test_a_payment_confirmed_twice_is_authorized_once(town: Town) -> None:
    bought = sale(town, "pm_3ds")
    bought.answers_bank("confirm")
    pages = [town.http.post(bought.bank, data={"answer": "confirm"}) for _ in range(2)]
    town.settles()
    pages.append(town.http.post(bought.bank, data={"answer": "refuse"}))

    assert {page.status_code for page in pages} == {200}
    assert bought.ends() == "CONFIRMED"
    assert len(bought.payment()["ledger"]) == 1


def test_a_payment_never_confirmed_is_given_up_and_its_order_cancelled(
    town: Town, later: Any
) -> None:
    bought = sale(town, "pm_3ds")
    later(minutes=19)
    scheduled(town, "watch_authorizations")
    town.settles()
    still = bought.status()

    later(minutes=21)
    scheduled(town, "watch_authorizations")

    assert still == "AWAITING_PAYMENT"
    assert bought.ends() == "CANCELLED"
    assert town.level("MUG") == (10, 0)


def test_a_payment_confirmed_after_it_was_given_up_takes_no_money(town: Town, later: Any) -> None:
    bought = sale(town, "pm_3ds")
    later(minutes=21)
    scheduled(town, "watch_authorizations")
    town.settles()

    page = town.http.post(bought.bank, data={"answer": "confirm"})

    assert "withdrawn" in page.text
    assert bought.ends() == "CANCELLED"


def test_a_payment_confirmed_late_but_before_it_was_given_up_is_good(
    town: Town, later: Any
) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    later(minutes=21)
    bought.answers_bank("confirm")

    scheduled(town, "watch_authorizations")

    assert bought.ends() == "CONFIRMED"


def test_a_payment_confirmed_after_the_order_was_cancelled_takes_no_money(town: Town) -> None:
    bought = sale(town, "pm_3ds")
    cancelled = bought.guest.post(f"/v1/orders/{bought.order_id}/cancellation", {})
    town.settles()

    page = town.http.post(bought.bank, data={"answer": "confirm"})
    town.settles()

    assert cancelled.status_code == 202
    assert "withdrawn" in page.text
    assert bought.status() == "CANCELLED"
    assert (provider_charge(bought.order_id) or {})["status"] == "VOIDED"
    assert bought.payment()["authorized"]["amount_minor"] == 0
    assert town.level("MUG") == (10, 0)


def test_the_banks_page_is_only_text_and_two_buttons(town: Town) -> None:
    bought = sale(town, "pm_3ds")

    page = town.http.get(bought.bank)

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'; form-action")
    assert re.findall(r"<button[^>]*>([^<]+)<", page.text) == [
        "Confirm the payment",
        "Refuse it",
    ]
    assert '<html lang="en">' in page.text
    assert "25.00 GBP" in page.text
    assert "<script" not in page.text


@pytest.mark.parametrize("form", [b"", b"answer=maybe", b"answer=confirm&answer=refuse", b"\xff"])
def test_an_answer_that_is_none_of_the_buttons_decides_nothing(town: Town, form: bytes) -> None:
    bought = sale(town, "pm_3ds")

    answer = town.http.post(
        bought.bank, content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_bank_answer")
    town.settles()
    assert bought.status() == "AWAITING_PAYMENT"


def test_a_browser_and_a_webhook_that_complete_one_checkout_find_one_authorization(
    town: Town, wire: Wire
) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    bought.answers_bank("confirm")
    path = f"/v1/payments/{bought.order_id}/confirmation"

    def completes(number: int) -> int:
        if number % 2:
            return bought.guest.post(path).status_code
        return webhook(wire, bought, status="AUTHORIZED").status

    with ThreadPoolExecutor(8) as writers:
        answers = sorted(writers.map(completes, range(16)))

    assert answers == [200] * 8 + [204] * 8
    authorized = [
        item
        for item in items("payments", f"PAYMENT#{bought.order_id}").values()
        if item.get("type") == "payment.authorized.v1"
    ]
    assert len(authorized) == 1
    assert bought.ends() == "CONFIRMED"
    assert len(bought.payment()["ledger"]) == 1


@pytest.mark.parametrize("method", ["pm_webhook_lost", "pm_webhook_twice", "pm_webhook_late"])
def test_an_order_ends_the_same_however_its_webhooks_arrive(town: Town, method: str) -> None:
    bought = sale(town, method)

    assert bought.ends() == "CONFIRMED"
    assert bought.payment()["captured"]["amount_minor"] == 2500
    assert len(bought.payment()["ledger"]) == 1


def webhook(
    wire: Wire,
    bought: Sale,
    *,
    secret: str | None = None,
    at: datetime | None = None,
    **claimed: Any,
) -> Answer:
    """Send a webhook about an order's charge, as its provider would, or somebody else."""
    body = WebhookBody(
        **{
            "type": "charge.changed",
            "reference": bought.reference,
            "order_id": bought.order_id,
            "status": "CAPTURED",
            "refunded_minor": 0,
            **claimed,
        }
    ).model_dump_json()
    key = secret or aws.secret(SECRET_ID)["current"]
    headers = signed_headers(key, "msg_1", body, at=at or utc_now())
    return wire.send("POST", PATH, body.encode(), headers=headers)


def state() -> list[Any]:
    client = boto3.client("dynamodb")
    return [
        client.scan(TableName=f"tradepost-local-{name}")["Items"]
        for name in ("payments", "simulators", "orders")
    ]


def test_a_webhook_nobody_signed_changes_nothing(town: Town, wire: Wire) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    bought.answers_bank("confirm")
    town.settles()
    before = state()
    now = utc_now()

    answers = [
        webhook(wire, bought, secret=STRANGERS_SECRET, status="AUTHORIZED"),
        webhook(wire, bought, at=now - timedelta(minutes=6), status="AUTHORIZED"),
        webhook(wire, bought, at=now + timedelta(minutes=6), status="AUTHORIZED"),
        wire.send("POST", PATH, b'{"status": "AUTHORIZED"}'),
    ]

    assert {(answer.status, answer.problem()["code"]) for answer in answers} == {
        (401, "invalid_signature")
    }
    assert state() == before


def test_a_webhook_sent_again_within_its_time_changes_nothing_more(town: Town, wire: Wire) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    bought.answers_bank("confirm")
    at = utc_now()

    assert webhook(wire, bought, at=at, status="AUTHORIZED").status == 204
    assert bought.ends() == "CONFIRMED"
    before = state()
    replays = [webhook(wire, bought, at=at, status="AUTHORIZED").status for _ in range(3)]
    town.settles()

    assert replays == [204, 204, 204]
    assert state() == before


def test_a_webhook_that_lies_changes_nothing(town: Town, wire: Wire) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    before = state()

    answers = [
        webhook(wire, bought, status="CAPTURED", refunded_minor=2500),
        webhook(wire, bought, status="CAPTURED", order_id="ord_of_nobody"),
        webhook(wire, bought, status="CAPTURED", reference="sim_of_nobody"),
    ]
    town.settles()

    assert {answer.status for answer in answers} == {204}
    assert state() == before


def test_a_webhook_too_large_is_refused_unread(town: Town, wire: Wire) -> None:
    answer = wire.send("POST", PATH, b" " * (BODY_BYTES_MAX + 1))

    assert (answer.status, answer.problem()["code"]) == (413, "body_too_large")


def test_a_secret_is_rotated_without_a_webhook_lost_and_then_the_old_one_is_worth_nothing(
    town: Town, wire: Wire, later: Any
) -> None:
    bought = sale(town, "pm_card_ok")
    client = boto3.client("secretsmanager")
    old, new = aws.secret(SECRET_ID)["current"], "n" * 64

    def stores(**secrets: str) -> None:
        client.put_secret_value(SecretId=SECRET_ID, SecretString=json.dumps(secrets))

    def believed() -> tuple[int, int]:
        return tuple(webhook(wire, bought, secret=one).status for one in (old, new))  # type: ignore[return-value]

    try:
        before = believed()
        stores(current=new, previous=old)
        later(minutes=6)
        during = believed()
        stores(current=new)
        later(minutes=12)
        after = believed()
    finally:
        stores(current=old)
        aws.forget_clients()

    assert (before, during, after) == ((204, 401), (204, 204), (401, 204))


def test_fifty_partial_refunds_at_once_never_exceed_what_was_captured(town: Town) -> None:
    bought = sale(town, "pm_card_ok")
    path = f"/v1/payments/{bought.order_id}/refunds"
    body = {"amount": {"amount_minor": 170, "currency": "GBP"}, "reason": "at once"}

    def asks(number: int) -> int:
        return town.admin.post(path, body, Idempotency_Key=f"r{number}").status_code

    with ThreadPoolExecutor(25) as cashiers:
        answers = list(cashiers.map(asks, range(50)))
    town.settles()

    charge = provider_charge(bought.order_id) or {}
    payment = bought.payment()
    assert sorted(answers) == [201] * 14 + [409] * 36
    assert payment["refunded"]["amount_minor"] == charge["refunded_minor"] == 14 * 170
    assert payment["promised"]["amount_minor"] == 0
    assert len([entry for entry in payment["ledger"] if entry["kind"] == "REFUND"]) == 14


def test_a_refund_made_by_hand_at_the_provider_comes_into_our_books(town: Town) -> None:
    bought = sale(town, "pm_card_ok")

    by_hand(bought.reference, 500)
    town.settles()

    payment = bought.payment()
    assert payment["refunded"]["amount_minor"] == 500
    assert [refund["reason"] for refund in payment["refunds"]] == ["made at the provider"]


def by_hand(reference: str, amount_minor: int) -> None:
    """Refund in the provider's own book, as its dashboard would."""
    boto3.client("dynamodb").update_item(
        TableName="tradepost-local-simulators",
        Key={"pk": {"S": f"CHARGE#{reference}"}, "sk": {"S": "CHARGE"}},
        UpdateExpression=(
            "SET refunded_minor = refunded_minor + :amount,"
            " refundable_minor = refundable_minor - :amount, version = version + :one"
        ),
        ExpressionAttributeValues={":amount": {"N": str(amount_minor)}, ":one": {"N": "1"}},
    )


def test_a_refund_promised_and_forgotten_is_sent_by_the_schedule(town: Town, later: Any) -> None:
    bought = sale(town, "pm_timeout_after")
    path = f"/v1/payments/{bought.order_id}/refunds"
    body = {"amount": {"amount_minor": 500, "currency": "GBP"}, "reason": "broken"}
    lost = town.admin.post(path, body, Idempotency_Key="r1")
    between = bought.payment()

    later(minutes=2)
    scheduled(town, "settle_refunds")
    later(minutes=3)
    scheduled(town, "settle_refunds")

    payment = bought.payment()
    assert (lost.status_code, lost.json()["code"]) == (503, "provider_unavailable")
    assert between["promised"]["amount_minor"] + between["refunded"]["amount_minor"] == 500
    assert payment["promised"]["amount_minor"] == 0
    assert payment["refunded"]["amount_minor"] == 500
    assert (provider_charge(bought.order_id) or {})["refunded_minor"] == 500


def test_a_dropped_webhook_is_healed(town: Town) -> None:
    bought = sale(town, "pm_3ds_webhook_lost")
    bought.answers_bank("confirm")
    town.settles()
    unheard, facts = bought.status(), runs("payment_facts", order_id=bought.order_id)

    runs("settle", order_id=bought.order_id)

    assert unheard == "AWAITING_PAYMENT"
    assert facts["payment"]["status"] == "REQUIRES_ACTION"
    assert facts["charge"]["status"] == "AUTHORIZED"
    assert bought.ends() == "CONFIRMED"


def test_the_provider_tells_its_charges_of_a_day(town: Town) -> None:
    bought = sale(town, "pm_card_ok")
    day = utc_now().replace(hour=0, minute=0, second=0, microsecond=0)

    told = runs(
        "charges_between",
        start=day.isoformat(),
        end=(day + timedelta(days=1)).isoformat(),
        after=None,
    )

    assert told["after"] is None
    assert [(one["order_id"], one["captured_minor"]) for one in told["charges"]] == [
        (bought.order_id, 2500)
    ]


def test_a_stray_charge_is_freed(town: Town) -> None:
    bought = sale(town, "pm_card_ok")
    boto3.client("dynamodb").delete_item(
        TableName="tradepost-local-payments",
        Key={"pk": {"S": f"PAYMENT#{bought.order_id}"}, "sk": {"S": "PAYMENT"}},
    )

    runs("free_stray_charge", reference=bought.reference)

    charge = provider_charge(bought.order_id) or {}
    assert charge["refunded_minor"] == charge["captured_minor"] == 2500


def accepted(order_id: str, claim_id: str, amount_minor: int) -> str:
    return json.dumps(
        {
            "event_id": f"evt_{claim_id}",
            "occurred_at": "2026-02-03T09:52:05.061Z",
            "correlation_id": "cor_1",
            "version": 3,
            "type": "claim.accepted.v1",
            "order_id": order_id,
            "claim_id": claim_id,
            "amount_minor": amount_minor,
            "currency": "GBP",
        }
    )


def test_an_accepted_claim_is_paid_once_however_often_it_is_told(town: Town) -> None:
    bought = sale(town, "pm_card_ok")
    client = boto3.client("sqs")
    url = client.get_queue_url(QueueName="tradepost-local-payments-facts")["QueueUrl"]
    for claim_id in ("clm_1", "clm_2", "clm_1", "clm_1"):
        client.send_message(QueueUrl=url, MessageBody=accepted(bought.order_id, claim_id, 300))

    town.settles()

    assert bought.payment()["refunded"]["amount_minor"] == 600
    assert {refund["reason"] for refund in bought.payment()["refunds"]} == {"claim accepted"}


def test_the_sample_of_an_accepted_claim_is_read(stack: LocalStack) -> None:
    sample = json.loads((stack.root / "events" / "samples" / "claim.accepted.v1.json").read_text())

    assert json.loads(accepted("o", "c", 1)).keys() == sample.keys()


def test_a_return_is_refunded_once(town: Town) -> None:
    bought = sale(town, "pm_card_ok")
    step = {
        "order_id": bought.order_id,
        "correlation_id": "cor_1",
        "return_id": "ret_1",
        "amount_minor": 1250,
        "currency": "GBP",
    }

    for _ in range(2):
        runs("refund_return", **step)
    runs("refund_return", **{**step, "return_id": "ret_2"})

    assert bought.payment()["refunded"]["amount_minor"] == 2500
    assert bought.payment()["status"] == "REFUNDED"
