"""Stripe's own ways, over the wire, where the suite of all providers does not come to them."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import stripe

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    ProviderUnavailableError,
    RefundRefusedError,
)
from payments.ports import ChargeStatus, ProviderEvent
from payments.stripe import StripeProvider, client_of
from payments.stripe_amounts import AmountNotChargeableError
from tests.stripe_emulator import running
from tests.stripe_emulator.running import API_KEY, Emulator
from tradepost.kernel.money import Money
from tradepost.platform.webhooks import WebhookSignatureError

ROOT = Path(__file__).parents[3]
PRICE = Money(2500, "GBP")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
THREE_D_SECURE = "pm_card_threeDSecure2Required"


@pytest.fixture(scope="module")
def started() -> Iterator[Emulator]:
    with running.running() as emulator:
        yield emulator


@pytest.fixture
def emulator(started: Emulator) -> Emulator:
    started.clear()
    return started


@pytest.fixture
def provider(emulator: Emulator) -> StripeProvider:
    return provider_at(emulator.url)


def provider_at(url: str, api_key: str = API_KEY) -> StripeProvider:
    return StripeProvider(
        client_of(api_key, url),
        secrets=lambda: ["whsec_new", "whsec_old"],
        return_url="https://shop.example/paid",
    )


def opened(provider: StripeProvider, amount: Money = PRICE) -> str:
    return provider.open("open#1", order_id="ord_1", amount=amount)


def authorized(provider: StripeProvider, amount: Money = PRICE) -> str:
    reference = opened(provider, amount)
    provider.authorize("authorize#1", reference=reference, method="pm_card_visa")
    return reference


def captured(provider: StripeProvider, amount: Money = PRICE) -> str:
    reference = authorized(provider)
    provider.capture("capture#1", reference=reference, amount=amount)
    return reference


# Three-D Secure


def test_a_customer_is_sent_to_their_bank_and_back_to_the_shop(provider, emulator):
    reference = opened(provider)

    waiting = provider.authorize("authorize#1", reference=reference, method=THREE_D_SECURE)
    back_at = emulator.customer_answers(waiting.action_url, success=True)

    assert waiting.status is ChargeStatus.REQUIRES_ACTION
    assert back_at.startswith(f"https://shop.example/paid?payment_intent={reference}")
    assert provider.charge(reference).status is ChargeStatus.AUTHORIZED


def test_a_repeated_authorization_tells_of_the_confirmation_that_came_meanwhile(provider, emulator):
    reference = opened(provider)
    waiting = provider.authorize("authorize#1", reference=reference, method=THREE_D_SECURE)
    emulator.customer_answers(waiting.action_url, success=True)

    # Stripe repeats its stored answer, which still asks for the customer.
    again = provider.authorize("authorize#1", reference=reference, method=THREE_D_SECURE)

    assert again.status is ChargeStatus.AUTHORIZED


def test_a_customer_who_refuses_at_the_bank_is_declined(provider, emulator):
    reference = opened(provider)
    waiting = provider.authorize("authorize#1", reference=reference, method=THREE_D_SECURE)

    emulator.customer_answers(waiting.action_url, success=False)

    assert provider.charge(reference).status is ChargeStatus.DECLINED
    with pytest.raises(PaymentDeclinedError):
        provider.authorize("authorize#1", reference=reference, method=THREE_D_SECURE)


def test_a_card_may_be_declined_after_its_customer_confirmed(provider, emulator):
    reference = opened(provider)
    method = "pm_card_threeDSecureRequiredChargeDeclined"
    waiting = provider.authorize("authorize#1", reference=reference, method=method)

    emulator.customer_answers(waiting.action_url, success=True)

    assert provider.charge(reference).status is ChargeStatus.DECLINED


# What is unknown, and how it comes to be known


@pytest.mark.parametrize("kind", ["down", "lost", "limited", "in_use", "failed"])
def test_an_opening_that_is_not_answered_is_unknown(provider, emulator, kind):
    emulator.fail_next("/v1/payment_intents", kind)

    with pytest.raises(ProviderUnavailableError):
        opened(provider)


@pytest.mark.parametrize("kind", ["down", "lost", "limited", "in_use"])
@pytest.mark.parametrize(
    ("operation", "path", "status"),
    [
        ("authorize", "/confirm", ChargeStatus.AUTHORIZED),
        ("capture", "/capture", ChargeStatus.CAPTURED),
        ("void", "/cancel", ChargeStatus.VOIDED),
    ],
)
def test_what_is_unknown_is_known_when_it_is_asked_for_again(
    provider, emulator, kind, operation, path, status
):
    reference = opened(provider) if operation == "authorize" else authorized(provider)

    def ask():
        match operation:
            case "authorize":
                provider.authorize("authorize#1", reference=reference, method="pm_card_visa")
            case "capture":
                provider.capture("capture#1", reference=reference, amount=PRICE)
            case "void":
                provider.void("void#1", reference=reference)

    emulator.fail_next(path, kind)
    with pytest.raises(ProviderUnavailableError):
        ask()
    ask()

    assert provider.charge(reference).status is status


def test_a_slow_answer_is_not_waited_for(emulator, monkeypatch):
    monkeypatch.setattr("payments.stripe._READ_SECONDS", 0.2)
    provider = provider_at(emulator.url)
    reference = opened(provider)
    emulator.fail_next("/confirm", "slow")

    with pytest.raises(ProviderUnavailableError):
        provider.authorize("authorize#1", reference=reference, method="pm_card_visa")

    assert provider.charge(reference).status is ChargeStatus.AUTHORIZED


def test_nobody_there_is_unknown():
    provider = provider_at("http://127.0.0.1:9")

    with pytest.raises(ProviderUnavailableError):
        opened(provider)


def test_one_layer_retries_and_it_is_not_the_client(provider, emulator):
    emulator.fail_next("/v1/payment_intents", "failed")

    with pytest.raises(ProviderUnavailableError):
        opened(provider)

    assert emulator.asked() == ["POST /v1/payment_intents"]


def test_stripes_stored_failure_does_not_hide_what_the_intent_has_become(provider, emulator):
    reference = opened(provider)
    emulator.fail_next("/confirm", "failed")
    with pytest.raises(ProviderUnavailableError):
        provider.authorize("authorize#1", reference=reference, method="pm_card_visa")
    # Stripe's failure was only its answer's: the money was set aside.
    provider.authorize("somebody else's key", reference=reference, method="pm_card_visa")

    charge = provider.authorize("authorize#1", reference=reference, method="pm_card_visa")

    assert charge.status is ChargeStatus.AUTHORIZED


@pytest.mark.parametrize("operation", ["/capture", "/cancel"])
def test_a_failure_that_stripe_answers_forever_leaves_the_outcome_unknown(
    provider, emulator, operation
):
    reference = authorized(provider)
    ask = {
        "/capture": lambda: provider.capture("capture#1", reference=reference, amount=PRICE),
        "/cancel": lambda: provider.void("void#1", reference=reference),
    }[operation]
    emulator.fail_next(operation, "failed")

    for _ in range(2):
        with pytest.raises(ProviderUnavailableError):
            ask()

    assert provider.charge(reference).status is ChargeStatus.AUTHORIZED


# A day later, when the keys are forgotten


def test_a_refund_is_sent_once_though_its_key_is_forgotten(provider, emulator):
    reference = captured(provider)
    provider.refund("refund#1", reference=reference, amount=Money(1000, "GBP"))
    emulator.forget_keys()

    provider.refund("refund#1", reference=reference, amount=Money(1000, "GBP"))

    assert provider.charge(reference).refunded == Money(1000, "GBP")


def test_a_refund_whose_answer_was_lost_is_sent_once_though_its_key_is_forgotten(
    provider, emulator
):
    reference = captured(provider)
    emulator.fail_next("POST /v1/refunds", "lost")
    with pytest.raises(ProviderUnavailableError):
        provider.refund("refund#1", reference=reference, amount=Money(1000, "GBP"))
    emulator.forget_keys()

    provider.refund("refund#1", reference=reference, amount=Money(1000, "GBP"))

    assert provider.charge(reference).refunded == Money(1000, "GBP")


def test_authorizing_capturing_and_voiding_are_once_though_their_keys_are_forgotten(
    provider, emulator
):
    reference = authorized(provider)
    emulator.forget_keys()
    again = provider.authorize("authorize#1", reference=reference, method="pm_card_visa")
    provider.capture("capture#1", reference=reference, amount=PRICE)
    emulator.forget_keys()
    provider.capture("capture#1", reference=reference, amount=PRICE)

    assert again.status is ChargeStatus.AUTHORIZED
    assert provider.charge(reference).captured == PRICE
    with pytest.raises(AlreadyCapturedError):
        provider.void("void#1", reference=reference)


# Refusals


@pytest.mark.parametrize(
    ("method", "refusal"),
    [
        ("pm_card_visa_chargeDeclined", PaymentDeclinedError),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", InsufficientFundsError),
        ("pm_of_nobody", PaymentDeclinedError),
    ],
)
def test_a_bank_says_no_in_our_words_and_says_it_again(provider, emulator, method, refusal):
    reference = opened(provider)

    for _ in range(2):
        with pytest.raises(PaymentDeclinedError) as said:
            provider.authorize("authorize#1", reference=reference, method=method)
        assert type(said.value) is refusal


def test_a_means_of_payment_serves_once(provider, emulator):
    card = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}
    made = emulator.http.post("/v1/payment_methods", json={"type": "card", "card": card}).json()
    provider.authorize("authorize#1", reference=opened(provider), method=made["id"])
    another = provider.open("open#2", order_id="ord_2", amount=PRICE)

    with pytest.raises(PaymentDeclinedError):
        provider.authorize("authorize#2", reference=another, method=made["id"])


def test_a_part_that_was_captured_is_all_that_can_be_refunded(provider):
    reference = captured(provider, Money(2000, "GBP"))

    assert provider.charge(reference).refunded == Money(0, "GBP")
    with pytest.raises(RefundRefusedError):
        provider.refund("refund#1", reference=reference, amount=Money(2001, "GBP"))
    provider.refund("refund#2", reference=reference, amount=Money(2000, "GBP"))
    assert provider.charge(reference).refunded == Money(2000, "GBP")


def test_a_capture_of_another_part_under_the_same_key_leaves_the_first(provider):
    reference = captured(provider, Money(2000, "GBP"))

    provider.capture("capture#1", reference=reference, amount=PRICE)

    assert provider.charge(reference).captured == Money(2000, "GBP")


def test_a_voided_authorization_is_not_captured(provider):
    reference = authorized(provider)
    provider.void("void#1", reference=reference)

    with pytest.raises(CaptureRefusedError):
        provider.capture("capture#1", reference=reference, amount=PRICE)

    charge = provider.charge(reference)
    assert (charge.status, charge.authorized, charge.refunded) == (
        ChargeStatus.VOIDED,
        PRICE,
        Money(0, "GBP"),
    )


def test_our_own_mistakes_are_loud(provider, emulator):
    opened(provider)

    with pytest.raises(stripe.IdempotencyError):
        provider.open("open#1", order_id="ord_1", amount=Money(1, "GBP"))
    with pytest.raises(stripe.AuthenticationError):
        provider_at(emulator.url, api_key="not a key").charge("pi_1")


def test_an_authorization_tells_when_it_lapses(provider):
    reference = authorized(provider)

    lapses_at = provider.charge(reference).expires_at

    assert timedelta(days=6) < lapses_at - datetime.now(UTC) <= timedelta(days=7)


# Amounts


@pytest.mark.parametrize(
    "amount", [Money(5, "JPY"), Money(5, "ISK"), Money(5120, "KWD"), Money(501, "HUF")]
)
def test_an_amount_comes_back_as_it_went(provider, amount):
    reference = authorized(provider, amount)
    provider.capture("capture#1", reference=reference, amount=amount)

    charge = provider.charge(reference)

    assert (charge.authorized, charge.captured) == (amount, amount)


def test_stripe_counts_a_krona_in_hundredths(provider, emulator):
    reference = opened(provider, Money(5, "ISK"))

    assert emulator.http.get(f"/v1/payment_intents/{reference}").json()["amount"] == 500


@pytest.mark.parametrize("amount", [Money(5124, "KWD"), Money(100, "MGA"), Money(100, "UGX")])
def test_an_amount_that_stripe_does_not_take_or_counts_otherwise_is_refused(
    provider, emulator, amount
):
    with pytest.raises(AmountNotChargeableError):
        opened(provider, amount)

    assert emulator.asked() == []


# What Stripe is told


def test_an_intent_names_its_order_and_no_card(provider, emulator):
    reference = authorized(provider)

    told = emulator.http.get(f"/v1/payment_intents/{reference}").json()

    assert told["metadata"] == {"order_id": "ord_1"}
    assert told["payment_method"] == "pm_card_visa"
    assert told["payment_method_types"] == ["card"]


# Webhooks


@dataclass
class Sent:
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def sent(
    about: dict[str, object] | None = None, *, secret: str = "whsec_new", at: datetime = NOW
) -> Sent:
    intent = {
        "object": "payment_intent",
        "id": "pi_1",
        "status": "requires_capture",
        "metadata": {"order_id": "ord_1"},
    }
    body = json.dumps({"id": "evt_1", "object": "event", "data": {"object": about or intent}})
    signature = stripe.WebhookSignature.generate_signature_header(
        body, secret, timestamp=int(at.timestamp())
    )
    return Sent(body.encode(), {"stripe-signature": signature})


@pytest.fixture
def listener() -> StripeProvider:
    return provider_at("http://127.0.0.1:9")


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
def test_a_webhook_is_believed_under_the_new_secret_and_the_old(listener, secret):
    event = listener.event(sent(secret=secret), now=NOW)

    assert event == ProviderEvent("evt_1", "pi_1", "ord_1", ChargeStatus.AUTHORIZED)


@pytest.mark.parametrize(
    ("status", "error", "claim"),
    [
        ("requires_payment_method", None, ChargeStatus.OPENED),
        ("requires_payment_method", {"code": "card_declined"}, ChargeStatus.DECLINED),
        ("requires_action", None, ChargeStatus.REQUIRES_ACTION),
        ("processing", None, None),
        ("succeeded", None, ChargeStatus.CAPTURED),
        ("canceled", None, ChargeStatus.VOIDED),
        ("a status of next year", None, None),
    ],
)
def test_a_webhook_claims_what_has_become_of_the_intent(listener, status, error, claim):
    intent = {
        "object": "payment_intent",
        "id": "pi_1",
        "status": status,
        "last_payment_error": error,
        "metadata": {"order_id": "ord_1"},
    }

    assert listener.event(sent(intent), now=NOW).status is claim


def test_a_refund_made_in_the_dashboard_is_heard_of(listener):
    charge = {
        "object": "charge",
        "id": "ch_1",
        "payment_intent": "pi_1",
        "metadata": {"order_id": "ord_1"},
    }

    assert listener.event(sent(charge), now=NOW) == ProviderEvent("evt_1", "pi_1", "ord_1")


@pytest.mark.parametrize(
    "about",
    [
        {"object": "payout", "id": "po_1"},
        {"object": "charge", "id": "ch_1", "payment_intent": None, "metadata": {}},
        {"object": "payment_intent", "id": "pi_9", "status": "succeeded", "metadata": {}},
    ],
)
def test_what_is_not_ours_is_nothing_to_us(listener, about):
    assert listener.event(sent(about), now=NOW) is None


@pytest.mark.parametrize(
    "minutes", [-6, 6, 60 * 24], ids=["old", "from the future", "from tomorrow"]
)
def test_a_webhook_is_believed_only_now(listener, minutes):
    with pytest.raises(WebhookSignatureError):
        listener.event(sent(at=NOW + timedelta(minutes=minutes)), now=NOW)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t=,v1=",
        "v1=0",
        "t=1",
        "t=1,v1=é",
        "t=99999999999999999999,v1=00",
        "t=1,v0=00",
        "\x00",
    ],
)
def test_a_signature_that_is_none_is_refused_and_nothing_breaks(listener, header):
    raw = sent()
    headers = {} if header is None else {"stripe-signature": header}

    with pytest.raises(WebhookSignatureError):
        listener.event(Sent(raw.body, headers), now=NOW)


def test_a_webhook_altered_in_any_byte_is_refused(listener):
    raw = sent()

    for place in range(len(raw.body)):
        altered = bytearray(raw.body)
        altered[place] ^= 1
        with pytest.raises(WebhookSignatureError):
            listener.event(Sent(bytes(altered), raw.headers), now=NOW)
    signature = raw.headers["stripe-signature"]
    for place in re.finditer("[0-9a-f]", signature):
        other = "0" if place[0] != "0" else "1"
        forged = signature[: place.start()] + other + signature[place.end() :]
        with pytest.raises(WebhookSignatureError):
            listener.event(Sent(raw.body, {"stripe-signature": forged}), now=NOW)


def test_bytes_that_are_no_text_are_refused(listener):
    with pytest.raises(WebhookSignatureError):
        listener.event(Sent(b"\xff\xfe", sent().headers), now=NOW)


def test_stripe_is_not_asked_to_capture_part_by_part(provider: StripeProvider) -> None:
    reference = authorized(provider)

    with pytest.raises(CaptureRefusedError):
        provider.capture_part("part#1", reference=reference, amount=PRICE, is_last=True)

    assert provider.charge(reference).status is ChargeStatus.AUTHORIZED


def test_a_shop_with_stripe_is_not_set_up_to_capture_with_each_parcel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PAYMENT_PROVIDER", "stripe")
    monkeypatch.setenv("CAPTURE_AT", "dispatch")
    app = runpy.run_path(str(ROOT / "functions" / "payments" / "app.py"))

    with pytest.raises(ValueError, match="CaptureAt"):
        app["provider"]()
