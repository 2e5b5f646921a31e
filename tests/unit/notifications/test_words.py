"""What customers are told, in which case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from notifications.letters import Mail
from notifications.model import Contact, Happening, Ordered, OrderedLine
from notifications.words import LINES_SHOWN_MAX, TYPES, written
from orders.model import reason as reasons_of_orders
from tradepost.kernel.money import Money
from users.letters import LetterKind


def gbp(amount_minor: int) -> Money:
    return Money(amount_minor, "GBP")


MUGS = OrderedLine("Stoneware mug", 2, gbp(1400))
ORDER = Ordered(
    status="CONFIRMED",
    line_count=1,
    total=gbp(3250),
    shipping=gbp(450),
    discount=gbp(0),
    tax=gbp(0),
    prices_include_tax=True,
    lines=(MUGS,),
)
GRACE = Contact("grace@example.com", "Grace", ORDER)


def a_happening(event_type: str, **facts: Any) -> Happening:
    return Happening(event_type=event_type, event_id="evt_1", subject_id="ord_1", **facts)


def a_letter(kind: str, *, name: str = "Ada", code: str | None = "c0de") -> Mail:
    contact = Contact("ada@example.com", name, letter=kind, code=code)
    happening = a_happening("user.letter_due.v1", letter_id="ltr_1")
    return written(happening, contact, shop_url="https://shop.example/")


def standing(status: str) -> Contact:
    return replace(GRACE, order=replace(ORDER, status=status))


@pytest.mark.parametrize("event_type", ["order.placed.v1", "order.confirmed.v1"])
def test_an_orders_lines_delivery_and_total_are_listed(event_type: str) -> None:
    mail = written(a_happening(event_type), GRACE)

    assert "* Stoneware mug: 2 at 14.00 GBP, 28.00 GBP in all" in mail.text
    assert "* Delivery: 4.50 GBP" in mail.text
    assert "* Total: 32.50 GBP" in mail.text
    assert "Stoneware mug" in mail.html
    assert "32.50 GBP" in mail.html


def test_a_confirmed_order_whose_units_are_still_to_come_in_is_not_said_to_be_here_or_packed() -> (
    None
):
    mail = written(a_happening("order.confirmed.v1"), GRACE)

    for form in (mail.text, mail.html):
        assert "Your bank has approved the payment." in form
        assert "We pack your parcel as soon as all of it is here" in form
        assert "Everything is there" not in form
        assert "have taken" not in form


def test_free_delivery_is_no_row_of_its_own() -> None:
    contact = replace(GRACE, order=replace(ORDER, shipping=gbp(0)))

    assert "Delivery" not in written(a_happening("order.confirmed.v1"), contact).text


@pytest.mark.parametrize(
    ("prices_include_tax", "said"),
    [
        (True, "* Tax: 5.00 GBP, included in the prices"),
        (False, "* Tax: 5.00 GBP, added to the prices"),
    ],
)
def test_discount_and_tax_are_listed(prices_include_tax: bool, said: str) -> None:
    order = replace(ORDER, discount=gbp(250), tax=gbp(500), prices_include_tax=prices_include_tax)

    mail = written(a_happening("order.confirmed.v1"), replace(GRACE, order=order))

    assert "* Discount: -2.50 GBP" in mail.text
    assert said in mail.text


def test_no_discount_and_no_tax_are_no_rows() -> None:
    text = written(a_happening("order.confirmed.v1"), GRACE).text

    assert "Discount" not in text
    assert "Tax" not in text


def test_a_long_order_is_summed_up() -> None:
    order = replace(ORDER, line_count=1500, lines=(MUGS,) * 1500)

    mail = written(a_happening("order.confirmed.v1"), replace(GRACE, order=order))

    assert mail.text.count("Stoneware mug") == LINES_SHOWN_MAX
    assert f"And more: {1500 - LINES_SHOWN_MAX:,} further lines" in mail.text
    assert len(mail.html) < 100_000


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("out_of_stock", "sold out"),
        ("payment_declined", "your bank declined the payment"),
        ("insufficient_funds", "did not have enough funds"),
        ("payment_expired", "did not come in time"),
        ("capture_refused", "the payment could not be taken"),
        ("carrier_refused", "does not deliver to that address"),
        ("checkout_failed", "something went wrong on our side"),
        ("a_reason_of_tomorrow", "something went wrong on our side"),
        (None, "something went wrong on our side"),
    ],
)
def test_an_order_that_never_came_about_did_not_go_through(reason: str | None, words: str) -> None:
    mail = written(a_happening("order.cancelled.v1", reason=reason), GRACE)

    assert mail.subject == "Your order ord_1 did not go through"
    assert words in mail.text
    assert "Nothing was charged, or it goes back to you" in mail.text
    assert "Your cart is as you left it" in mail.text


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("cancelled_by_customer", "As you asked, we have cancelled your order."),
        ("cancelled_by_staff", "We had to cancel your order."),
        ("carrier_failed", "Our carrier could not take your parcel"),
    ],
)
def test_an_order_that_was_called_off_is_cancelled_and_its_money_goes_back(
    reason: str, words: str
) -> None:
    mail = written(a_happening("order.cancelled.v1", reason=reason), GRACE)

    assert mail.subject == "Your order ord_1 is cancelled"
    assert words in mail.text
    assert "Nothing was charged, or it goes back to you in full" in mail.text
    assert "Your cart" not in mail.text


def test_every_reason_that_orders_gives_has_words_of_its_own() -> None:
    reasons = {*reasons_of_orders._REASONS.values(), *reasons_of_orders.Cancelled}
    told = {
        reason: written(a_happening("order.cancelled.v1", reason=reason), GRACE).text
        for reason in reasons
    }

    assert [reason for reason, text in told.items() if "went wrong on our side" in text] == []


@pytest.mark.parametrize("event_type", ["shipment.dispatched.v1", "shipment.delivered.v1"])
def test_a_parcel_is_named_by_carrier_and_tracking_number(event_type: str) -> None:
    mail = written(a_happening(event_type, carrier="Postman", tracking_number="PM123"), GRACE)

    assert "* Carrier: Postman" in mail.text
    assert "* Tracking number: PM123" in mail.text


def test_a_refund_names_its_amount() -> None:
    mail = written(a_happening("payment.refunded.v1", amount=gbp(700)), GRACE)

    assert mail.subject == "A refund for your order ord_1"
    assert "7.00 GBP" in mail.text


def test_a_return_that_arrived_is_acknowledged() -> None:
    mail = written(a_happening("return.received.v1"), GRACE)

    assert mail.subject == "We have received your return for order ord_1"
    assert "has arrived" in mail.text


@pytest.mark.parametrize(
    ("event_type", "status", "words"),
    [
        ("order.placed.v1", "PENDING", "Then we write again"),
        ("order.placed.v1", "CONFIRMED", "It is confirmed already"),
        ("order.placed.v1", "SHIPPED", "It is confirmed already"),
        ("order.placed.v1", "CANCELLED", "another mail tells you why"),
        ("order.confirmed.v1", "CONFIRMED", "write again when it is on its way"),
        ("order.confirmed.v1", "DELIVERED", "on its way already"),
        ("order.confirmed.v1", "CANCELLING", "has been cancelled since then"),
    ],
)
def test_a_mail_that_is_late_promises_nothing_that_is_past(
    event_type: str, status: str, words: str
) -> None:
    assert words in written(a_happening(event_type), standing(status)).text


@pytest.mark.parametrize("event_type", sorted(TYPES - {"user.letter_due.v1"}))
def test_every_mail_names_its_subject_and_says_what_to_do(event_type: str) -> None:
    mail = written(a_happening(event_type), GRACE)

    assert "ord_1" in mail.subject
    assert "eply to this mail" in mail.text
    assert mail.text.startswith("Hello Grace,\n\n")
    assert "None" not in mail.text
    assert "{" not in mail.text + mail.subject


@pytest.mark.parametrize(
    "name", ["", "  ", "Win at evil.example now", "https://evil.example", "me@evil.example"]
)
def test_nobody_is_greeted_by_a_link(name: str) -> None:
    mail = a_letter("welcome", name=name)

    assert mail.text.startswith("Hello,\n\n")
    assert "evil" not in mail.text + mail.html


@pytest.mark.parametrize("name", ["J.R.R. Tolkien", "Dr. Zoë O'Brien-Smith", "李 小龍"])
def test_people_are_greeted_by_the_name_they_gave(name: str) -> None:
    mail = a_letter("welcome", name=name)

    assert mail.text.startswith(f"Hello {name},")


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("welcome", "confirm-email"),
        ("confirm_email", "confirm-email"),
        ("confirm_new_email", "confirm-email"),
        ("reset_password", "reset-password"),
    ],
)
def test_a_letter_with_a_code_leads_to_our_own_page_and_shows_the_code(
    kind: str, page: str
) -> None:
    mail = a_letter(kind)

    assert f"https://shop.example/{page}#c0de\n" in mail.text
    assert "* Or type this code: c0de\n" in mail.text
    assert "c0de" not in mail.subject


@pytest.mark.parametrize("kind", ["email_change_asked", "email_changed", "password_changed"])
def test_a_notice_has_no_code_and_says_what_to_do(kind: str) -> None:
    mail = a_letter(kind, code=None)

    assert "None" not in mail.text
    assert "#" not in mail.text
    assert "It was not you?" in mail.text


def test_there_are_words_for_every_letter_that_users_tells() -> None:
    for kind in LetterKind:
        assert a_letter(kind).subject
