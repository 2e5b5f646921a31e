"""What every payment provider behind the port must do; each is put through the same suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from payments.model import (
    AlreadyCapturedError,
    CaptureRefusedError,
    InsufficientFundsError,
    PaymentDeclinedError,
    RefundRefusedError,
    UnknownChargeError,
)
from payments.ports import Charge, ChargeStatus, PaymentProvider, ProviderKeys
from tests.integration.payments.desks import (
    DESKS,
    NEXT_SECRET,
    SECRET,
    STRANGERS_SECRET,
    Desk,
    an_order,
    gbp,
)
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import UnauthenticatedError
from tradepost.kernel.money import Money
from tradepost.platform.arguments import RawRequest

PRICE = gbp(2500)


@pytest.fixture(params=DESKS, scope="module")
def opened_desk(request: pytest.FixtureRequest) -> Iterator[Desk]:
    with DESKS[request.param]() as opened:
        yield opened


@pytest.fixture
def desk(opened_desk: Desk) -> Desk:
    opened_desk.secrets[:] = [SECRET]
    return opened_desk


@pytest.fixture
def provider(desk: Desk) -> PaymentProvider:
    return desk.provider


@dataclass
class Sale:
    """One order at one provider, by our keys."""

    desk: Desk
    order_id: str = field(default_factory=an_order)
    reference: str = ""
    edit: int = 0

    def __post_init__(self) -> None:
        self.keys = ProviderKeys(self.order_id, edit=self.edit)
        self.provider = self.desk.provider
        self.reference = self.opens()

    def opens(self) -> str:
        return self.provider.open(self.keys.open, order_id=self.order_id, amount=PRICE)

    def authorizes(self, method: str | None = None) -> Charge:
        return self.provider.authorize(
            self.keys.authorize, reference=self.reference, method=method or self.desk.approved
        )

    def captures(self, amount: Money = PRICE) -> None:
        self.provider.capture(self.keys.capture, reference=self.reference, amount=amount)

    def voids(self) -> None:
        self.provider.void(self.keys.void, reference=self.reference)

    def refunds(self, amount_minor: int, refund_id: str) -> None:
        self.provider.refund(
            self.keys.refund(refund_id), reference=self.reference, amount=gbp(amount_minor)
        )

    def charge(self) -> Charge:
        return self.provider.charge(self.reference)

    def moved(self) -> tuple[ChargeStatus, int, int, int]:
        """Tell the status, and what is authorized, captured and refunded."""
        charge = self.charge()
        amounts = (charge.authorized, charge.captured, charge.refunded)
        return charge.status, *(amount.amount_minor for amount in amounts)  # type: ignore[return-value]


@pytest.fixture
def sale(desk: Desk) -> Sale:
    return Sale(desk)


def test_opening_a_charge_moves_no_money(sale: Sale) -> None:
    assert sale.moved() == (ChargeStatus.OPENED, 0, 0, 0)
    assert sale.charge().order_id == sale.order_id


def test_a_charge_opened_twice_under_one_key_is_one(sale: Sale) -> None:
    assert sale.opens() == sale.reference


def test_each_order_has_a_charge_of_its_own(desk: Desk) -> None:
    assert Sale(desk).reference != Sale(desk).reference


def test_another_attempt_is_another_charge(sale: Sale) -> None:
    again = ProviderKeys(sale.order_id, attempt=2)

    reference = sale.provider.open(again.open, order_id=sale.order_id, amount=PRICE)

    assert reference != sale.reference


def test_what_an_edit_adds_is_another_charge_of_the_order_with_its_own_money(
    sale: Sale,
) -> None:
    sale.authorizes()
    sale.captures()
    added = Sale(sale.desk, sale.order_id, edit=1)
    added.authorizes()
    added.captures()

    added.refunds(2000, "r1")

    assert added.charge().order_id == sale.order_id
    assert (sale.moved(), added.moved()) == (
        (ChargeStatus.CAPTURED, 2500, 2500, 0),
        (ChargeStatus.CAPTURED, 2500, 2500, 2000),
    )
    with pytest.raises(RefundRefusedError):
        added.refunds(501, "r2")


def test_a_provider_says_truly_whether_a_means_of_payment_is_charged_again(sale: Sale) -> None:
    named = sale.desk.one_card()
    sale.authorizes(named)
    added = Sale(sale.desk, sale.order_id, edit=1)

    if sale.provider.charges_again:
        assert added.authorizes(named).status is ChargeStatus.AUTHORIZED
    else:
        with pytest.raises(PaymentDeclinedError):
            added.authorizes(named)


def test_an_authorized_charge_has_its_amount_set_aside_and_nothing_taken(sale: Sale) -> None:
    authorized = sale.authorizes()

    assert authorized == sale.charge()
    assert sale.moved() == (ChargeStatus.AUTHORIZED, 2500, 0, 0)
    assert authorized.authorized.currency == "GBP"


def test_an_authorization_repeated_is_the_same(sale: Sale) -> None:
    assert sale.authorizes() == sale.authorizes()

    assert sale.moved() == (ChargeStatus.AUTHORIZED, 2500, 0, 0)


def test_an_authorization_repeated_after_the_capture_tells_of_the_capture(sale: Sale) -> None:
    sale.authorizes()
    sale.captures()

    assert sale.authorizes().status in (ChargeStatus.AUTHORIZED, ChargeStatus.CAPTURED)
    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 2500, 0)


@pytest.mark.parametrize(
    ("card", "refusal"),
    [("declined", PaymentDeclinedError), ("without_funds", InsufficientFundsError)],
)
def test_a_card_that_is_declined_is_declined_each_time_and_sets_nothing_aside(
    sale: Sale, card: str, refusal: type[PaymentDeclinedError]
) -> None:
    for _ in range(2):
        with pytest.raises(refusal) as refused:
            sale.authorizes(getattr(sale.desk, card))
        assert type(refused.value) is refusal

    assert sale.moved() == (ChargeStatus.DECLINED, 0, 0, 0)


def test_what_was_declined_cannot_be_captured(sale: Sale) -> None:
    with pytest.raises(PaymentDeclinedError):
        sale.authorizes(sale.desk.declined)

    with pytest.raises(CaptureRefusedError):
        sale.captures()


def test_a_capture_takes_the_money_once(sale: Sale) -> None:
    sale.authorizes()

    for _ in range(2):
        sale.captures()

    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 2500, 0)


def test_a_part_can_be_captured_and_the_rest_is_left(sale: Sale) -> None:
    sale.authorizes()

    sale.captures(gbp(1000))

    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 1000, 0)


def test_more_than_was_authorized_is_not_captured(sale: Sale) -> None:
    sale.authorizes()

    with pytest.raises(CaptureRefusedError):
        sale.captures(gbp(2501))

    assert sale.moved() == (ChargeStatus.AUTHORIZED, 2500, 0, 0)


def test_what_was_not_authorized_is_not_captured(sale: Sale) -> None:
    with pytest.raises(CaptureRefusedError):
        sale.captures()

    assert sale.moved() == (ChargeStatus.OPENED, 0, 0, 0)


def test_a_void_frees_what_was_set_aside_and_may_be_repeated(sale: Sale) -> None:
    sale.authorizes()

    for _ in range(2):
        sale.voids()

    assert sale.charge().status is ChargeStatus.VOIDED
    assert sale.charge().captured == gbp(0)


def test_a_capture_after_the_void_is_refused(sale: Sale) -> None:
    sale.authorizes()
    sale.voids()

    with pytest.raises(CaptureRefusedError):
        sale.captures()

    assert sale.charge().captured == gbp(0)


def test_a_void_after_the_capture_frees_nothing_and_tells_what_was_taken(sale: Sale) -> None:
    sale.authorizes()
    sale.captures(gbp(1000))

    for _ in range(2):
        with pytest.raises(AlreadyCapturedError) as refused:
            sale.voids()
        assert refused.value.captured_minor == 1000

    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 1000, 0)


def test_a_charge_voided_before_it_was_authorized_is_never_authorized(sale: Sale) -> None:
    sale.voids()

    for _ in range(2):
        with pytest.raises(PaymentDeclinedError):
            sale.authorizes()

    assert sale.moved() == (ChargeStatus.VOIDED, 0, 0, 0)


def test_parts_go_back_until_all_is_back(sale: Sale) -> None:
    sale.authorizes()
    sale.captures()

    for number in range(5):
        sale.refunds(500, f"r{number}")

    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 2500, 2500)


def test_a_refund_repeated_under_its_key_goes_back_once(sale: Sale) -> None:
    sale.authorizes()
    sale.captures()

    for _ in range(3):
        sale.refunds(500, "r1")

    assert sale.charge().refunded == gbp(500)


def test_equal_refunds_under_two_keys_are_two(sale: Sale) -> None:
    sale.authorizes()
    sale.captures()

    sale.refunds(500, "r1")
    sale.refunds(500, "r2")

    assert sale.charge().refunded == gbp(1000)


def test_no_more_goes_back_than_was_captured(sale: Sale) -> None:
    sale.authorizes()
    sale.captures(gbp(1000))
    sale.refunds(600, "r1")

    for _ in range(2):
        with pytest.raises(RefundRefusedError):
            sale.refunds(401, "r2")
    sale.refunds(400, "r3")

    assert sale.charge().refunded == gbp(1000)


def test_what_was_not_captured_does_not_go_back(sale: Sale) -> None:
    sale.authorizes()

    with pytest.raises(RefundRefusedError):
        sale.refunds(100, "r1")

    assert sale.moved() == (ChargeStatus.AUTHORIZED, 2500, 0, 0)


def test_a_charge_nobody_opened_is_told_to_be_unknown(provider: PaymentProvider) -> None:
    unknown = "no_such_charge"

    with pytest.raises(UnknownChargeError):
        provider.charge(unknown)
    with pytest.raises(UnknownChargeError):
        provider.authorize("k1", reference=unknown, method="pm_card_ok")
    with pytest.raises(UnknownChargeError):
        provider.void("k2", reference=unknown)


def test_a_card_that_asks_for_it_waits_for_its_holder(sale: Sale) -> None:
    waiting = sale.authorizes(sale.desk.to_be_confirmed)

    assert waiting.action_url
    assert sale.moved() == (ChargeStatus.REQUIRES_ACTION, 0, 0, 0)
    assert sale.charge().action_url == waiting.action_url
    with pytest.raises(CaptureRefusedError):
        sale.captures()


def test_a_confirmed_payment_is_authorized_and_can_be_captured(sale: Sale) -> None:
    waiting = sale.authorizes(sale.desk.to_be_confirmed)

    sale.desk.confirms(waiting, approves=True)

    assert sale.moved() == (ChargeStatus.AUTHORIZED, 2500, 0, 0)
    assert sale.charge().action_url is None
    sale.captures()
    assert sale.moved() == (ChargeStatus.CAPTURED, 2500, 2500, 0)


def test_an_authorization_repeated_while_it_waits_goes_on_waiting(sale: Sale) -> None:
    waiting = sale.authorizes(sale.desk.to_be_confirmed)

    assert sale.authorizes(sale.desk.to_be_confirmed).status is ChargeStatus.REQUIRES_ACTION
    sale.desk.confirms(waiting, approves=True)
    assert sale.charge().status is ChargeStatus.AUTHORIZED


@pytest.mark.parametrize(
    ("card", "approves"), [("to_be_confirmed", False), ("never_confirmed", True)]
)
def test_a_confirmation_that_the_holder_or_the_bank_refuses_declines_the_payment(
    sale: Sale, card: str, approves: bool
) -> None:
    waiting = sale.authorizes(getattr(sale.desk, card))

    sale.desk.confirms(waiting, approves=approves)

    assert sale.moved() == (ChargeStatus.DECLINED, 0, 0, 0)
    with pytest.raises(PaymentDeclinedError):
        sale.authorizes(getattr(sale.desk, card))


def test_a_payment_that_waits_can_be_voided_and_is_not_confirmed_any_more(sale: Sale) -> None:
    waiting = sale.authorizes(sale.desk.to_be_confirmed)
    sale.voids()

    sale.desk.confirms(waiting, approves=True)

    assert sale.moved() == (ChargeStatus.VOIDED, 0, 0, 0)


def test_the_charges_of_a_span_of_time_are_listed_each_once_and_none_of_others(desk: Desk) -> None:
    start = utc_now() - timedelta(seconds=2)
    sales = [Sale(desk) for _ in range(3)]
    sales[0].authorizes()
    end = utc_now() + timedelta(seconds=2)

    listed: list[Charge] = []
    page, after = desk.provider.charges_between(start, end, None)
    listed += page
    while after is not None:
        page, after = desk.provider.charges_between(start, end, after)
        listed += page
    before, _ = desk.provider.charges_between(start - timedelta(days=2), start, None)

    ours = [charge for charge in listed if charge.order_id in {sale.order_id for sale in sales}]
    assert {charge.reference: charge.status for charge in ours} == {
        sales[0].reference: ChargeStatus.AUTHORIZED,
        sales[1].reference: ChargeStatus.OPENED,
        sales[2].reference: ChargeStatus.OPENED,
    }
    assert len(ours) == 3
    assert not {charge.reference for charge in before} & {sale.reference for sale in sales}


def test_a_signed_webhook_tells_which_charge_to_look_at(sale: Sale) -> None:
    charge = sale.authorizes()

    event = sale.provider.event(sale.desk.webhook(charge, SECRET, utc_now()), now=utc_now())

    assert event is not None
    assert (event.reference, event.order_id) == (sale.reference, sale.order_id)
    assert event.event_id
    assert event.status in (None, ChargeStatus.AUTHORIZED)


def test_two_webhooks_have_two_ids(sale: Sale) -> None:
    charge = sale.authorizes()

    events = [
        sale.provider.event(sale.desk.webhook(charge, SECRET, utc_now()), now=utc_now())
        for _ in range(2)
    ]

    assert len({event.event_id for event in events if event is not None}) == 2


def test_a_webhook_signed_by_a_stranger_is_refused(sale: Sale) -> None:
    forged = sale.desk.webhook(sale.authorizes(), STRANGERS_SECRET, utc_now())

    with pytest.raises(UnauthenticatedError):
        sale.provider.event(forged, now=utc_now())


def test_a_webhook_altered_on_its_way_is_refused(sale: Sale) -> None:
    sent = sale.desk.webhook(sale.authorizes(), SECRET, utc_now())
    altered = RawRequest(sent.body.replace(b"AUTHORIZED", b"CAPTURED") + b" ", sent.headers)

    with pytest.raises(UnauthenticatedError):
        sale.provider.event(altered, now=utc_now())


def test_a_webhook_without_a_signature_is_refused(sale: Sale) -> None:
    sent = sale.desk.webhook(sale.authorizes(), SECRET, utc_now())

    with pytest.raises(UnauthenticatedError):
        sale.provider.event(RawRequest(sent.body, {}), now=utc_now())


@pytest.mark.parametrize("minutes", [-6, 6], ids=["old", "from the future"])
def test_a_webhook_of_another_time_is_refused(sale: Sale, minutes: int) -> None:
    at = utc_now() + timedelta(minutes=minutes)
    sent = sale.desk.webhook(sale.authorizes(), SECRET, at)

    with pytest.raises(UnauthenticatedError):
        sale.provider.event(sent, now=utc_now())


@pytest.mark.parametrize("minutes", [-4, 4])
def test_clocks_may_differ_by_some_minutes(sale: Sale, minutes: int) -> None:
    at = utc_now() + timedelta(minutes=minutes)

    assert sale.provider.event(sale.desk.webhook(sale.authorizes(), SECRET, at), now=utc_now())


def test_while_the_secret_is_rotated_both_are_believed_and_the_old_one_not_for_ever(
    sale: Sale,
) -> None:
    charge = sale.authorizes()

    def is_believed(secret: str) -> bool:
        try:
            event = sale.provider.event(sale.desk.webhook(charge, secret, utc_now()), now=utc_now())
        except UnauthenticatedError:
            return False
        return event is not None

    believed = []
    for secrets in ([SECRET], [NEXT_SECRET, SECRET], [NEXT_SECRET]):
        sale.desk.secrets[:] = secrets
        believed.append((is_believed(SECRET), is_believed(NEXT_SECRET)))

    assert believed == [(True, False), (True, True), (False, True)]
