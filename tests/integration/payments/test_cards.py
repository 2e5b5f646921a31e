"""Each test card treats its holder as docs/api.md says."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from payments.cards import CARDS
from payments.model import (
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    PaymentStatus,
    ProviderUnavailableError,
    RefundRefusedError,
)
from payments.ports import ChargeStatus
from payments.webhooks import deliver
from tests.integration.payments.till import NOON as NOW
from tests.integration.payments.till import Till
from tradepost.platform.dynamodb import to_item

SECRET = "x" * 64


def fails_first(attempt: Callable[[], object]) -> None:
    """Check that the provider gives no answer the first time, and one the second."""
    with pytest.raises(ProviderUnavailableError):
        attempt()
    attempt()


def is_paid_and_refunded(till: Till, card: str) -> None:
    till.takes_payment(card)
    till.refunds(2_500, "r1")

    assert till.ledger_minor() == 7_500


def is_declined(till: Till, card: str) -> None:
    with pytest.raises(PaymentDeclinedError) as refused:
        till.authorizes(card)

    assert type(refused.value) is PaymentDeclinedError
    assert till.charge().status is ChargeStatus.DECLINED


def has_no_funds(till: Till, card: str) -> None:
    with pytest.raises(InsufficientFundsError):
        till.authorizes(card)


def is_slow(till: Till, card: str) -> None:
    waited: list[float] = []
    till.provider._pause = waited.append

    till.takes_payment(card)

    assert waited == [1.5, 1.5]


def is_rate_limited(till: Till, card: str) -> None:
    fails_first(lambda: till.authorizes(card))
    fails_first(till.captures)

    assert till.ledger_minor() == 10_000


def is_never_answered(till: Till, card: str) -> None:
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            till.authorizes(card)

    assert till.charge().status is ChargeStatus.OPENED


def loses_answers(till: Till, card: str) -> None:
    fails_first(lambda: till.authorizes(card))
    fails_first(till.captures)
    fails_first(lambda: till.refunds(2_500, "r1"))

    assert till.ledger_minor() == 7_500
    assert till.charge().refunded.amount_minor == 2_500


def captures_are_never_answered(till: Till, card: str) -> None:
    till.authorizes(card)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            till.captures()

    assert till.charge().status is ChargeStatus.AUTHORIZED


def captures_are_refused(till: Till, card: str) -> None:
    till.authorizes(card)
    with pytest.raises(CaptureRefusedError):
        till.captures()

    assert till.charge().status is ChargeStatus.AUTHORIZED


def refunds_are_refused(till: Till, card: str) -> None:
    till.takes_payment(card)
    with pytest.raises(RefundRefusedError):
        till.refunds(2_500, "r1")

    assert till.ledger_minor() == 10_000


def is_confirmed(till: Till, card: str) -> None:
    assert till.authorizes(card).status is PaymentStatus.REQUIRES_ACTION
    assert till.customer_confirms().status is ChargeStatus.AUTHORIZED


def is_refused_by_the_bank(till: Till, card: str) -> None:
    assert till.authorizes(card).status is PaymentStatus.REQUIRES_ACTION
    assert till.customer_confirms().status is ChargeStatus.DECLINED


def lapses(till: Till, card: str) -> None:
    till.authorizes(card)
    till.passes(minutes=59)
    assert till.charge().status is ChargeStatus.AUTHORIZED
    till.passes(minutes=1)
    assert till.charge().status is ChargeStatus.VOIDED


def lapses_and_is_declined(till: Till, card: str) -> None:
    lapses(till, card)
    till.watches()

    assert till.payment().status is PaymentStatus.DECLINED


HOLDERS: dict[str, Callable[[Till, str], None]] = {
    "pm_card_ok": is_paid_and_refunded,
    "pm_card_declined": is_declined,
    "pm_card_insufficient_funds": has_no_funds,
    "pm_slow": is_slow,
    "pm_rate_limited": is_rate_limited,
    "pm_timeout_before": is_never_answered,
    "pm_timeout_after": loses_answers,
    "pm_capture_timeout": captures_are_never_answered,
    "pm_capture_refused": captures_are_refused,
    "pm_refund_refused": refunds_are_refused,
    "pm_3ds": is_confirmed,
    "pm_3ds_refused": is_refused_by_the_bank,
    "pm_3ds_webhook_lost": is_confirmed,
    "pm_expires_soon": lapses,
    "pm_expires_soon_then_declined": lapses_and_is_declined,
    "pm_webhook_lost": is_paid_and_refunded,
    "pm_webhook_twice": is_paid_and_refunded,
    "pm_webhook_late": is_paid_and_refunded,
    "pm_nobody_knows": is_declined,
}

# What arrives of a payment's two webhooks, by the card: AUTHORIZED and CAPTURED.
ARRIVALS = {
    "pm_card_ok": ["AUTHORIZED", "CAPTURED"],
    "pm_webhook_twice": ["AUTHORIZED", "AUTHORIZED", "CAPTURED", "CAPTURED"],
    "pm_webhook_lost": [],
    "pm_webhook_late": ["CAPTURED", "AUTHORIZED"],
}


@pytest.mark.parametrize("card", HOLDERS)
def test_a_card_does_to_its_holder_what_it_is_for(till: Till, card: str) -> None:
    HOLDERS[card](till, card)


def test_every_card_is_tried() -> None:
    assert CARDS.keys() == HOLDERS.keys() - {"pm_nobody_knows"}


@pytest.mark.parametrize("card", ARRIVALS)
def test_a_cards_webhooks_arrive_as_the_card_has_it(card: str) -> None:
    images = [charge(card, status, version) for version, status in enumerate(LIFE, start=1)]
    arrived: list[str] = []

    def takes(body: str, headers: object, message_id: str) -> int:
        assert headers
        assert message_id
        arrived.extend(status for status in LIFE if f'"{status}"' in body)
        return 204

    answer = deliver(
        {"Records": [record(*pair) for pair in itertools.pairwise(images)]},
        post=takes,
        secret=lambda: SECRET,
        now=NOW,
    )

    assert arrived == ARRIVALS[card]
    assert answer == {"batchItemFailures": []}


@pytest.mark.parametrize("status", [401, 409, 500, 503])
def test_a_webhook_that_is_not_taken_is_sent_again_from_there(status: int) -> None:
    images = [charge("pm_card_ok", state, version) for version, state in enumerate(LIFE, start=1)]
    answers = iter([204, status])

    answer = deliver(
        {"Records": [record(*pair) for pair in itertools.pairwise(images)]},
        post=lambda *_: next(answers),
        secret=lambda: SECRET,
        now=NOW,
    )

    assert answer == {"batchItemFailures": [{"itemIdentifier": "3"}]}


def test_a_change_that_a_provider_would_not_tell_of_is_not_told() -> None:
    before = charge("pm_card_ok", "AUTHORIZED", 1)

    answer = deliver(
        {"Records": [record(before, {**before, "version": 2})]},
        post=lambda *_: 500,
        secret=lambda: SECRET,
        now=NOW,
    )

    assert answer == {"batchItemFailures": []}


LIFE = ["OPENED", "AUTHORIZED", "CAPTURED"]


def charge(card: str, status: str, version: int) -> dict[str, object]:
    return {
        "pk": "CHARGE#sim_1",
        "order_id": "ord_1",
        "method": card,
        "status": status,
        "refunded_minor": 0,
        "version": version,
    }


def record(before: dict[str, object], after: dict[str, object]) -> dict[str, object]:
    return {
        "dynamodb": {
            "OldImage": to_item(before),
            "NewImage": to_item(after),
            "SequenceNumber": str(after["version"]),
        }
    }
