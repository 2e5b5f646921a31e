"""What each mail says: plain words, what happens next, and what the customer can do."""

from __future__ import annotations

import re
from collections.abc import Callable

from notifications.letters import Letter, Mail, Row
from notifications.model import Contact, Happening, Ordered, OrderedLine

# A longer order is summed up behind these: mail clients cut long mails off.
LINES_SHOWN_MAX = 40

# A name is chosen by whoever fills in the form, and the address need not be theirs: what a mail
# client would turn into a link is not repeated to a stranger.
_LOOKS_LIKE_A_LINK = re.compile(r"[/@]|\w\.\w{2,}")

# Why an order never came about, as a customer reads it.
_FAILURES = {
    "out_of_stock": "something in it sold out at the last moment",
    "payment_declined": "your bank declined the payment",
    "insufficient_funds": "your card did not have enough funds",
    "payment_expired": "your bank's confirmation of the payment did not come in time",
    "capture_refused": "the payment could not be taken",
    "carrier_refused": "our carrier does not deliver to that address",
}
_FAILURE_OF_OURS = "something went wrong on our side"

# Why an order that somebody wanted no more, or that could not be sent, was called off.
_CANCELLATIONS = {
    "cancelled_by_customer": "As you asked, we have cancelled your order.",
    "cancelled_by_staff": "We had to cancel your order. We are sorry.",
    "carrier_failed": "Our carrier could not take your parcel, so we have cancelled your order. "
    "We are sorry.",
}

_WRITE_TO_US = "Questions? Reply to this mail and name the order"
_BANK_TAKES_TIME = "Your bank may take some days to show it."

_OVER = frozenset({"CANCELLING", "CANCELLED"})
_SENT = frozenset({"SHIPPED", "DELIVERED"})


def written(happening: Happening, contact: Contact, *, shop_url: str = "") -> Mail:
    """Write the mail that a happening asks for.

    `shop_url` is where the shop's pages are: codes are handed to them behind a `#`, which browsers
    send to no server.
    """
    if contact.letter is not None:
        return _PERSONAL[contact.letter](contact, shop_url).mail()
    return _LETTERS[happening.event_type](happening, contact).mail()


def _welcome(contact: Contact, shop_url: str) -> Letter:
    return _personal(
        contact,
        subject="Welcome to Tradepost",
        paragraphs=(
            "Your account is open. You can log in and shop whenever you like.",
            "Please confirm that this address is yours, within a day:",
        ),
        rows=_coded(contact, shop_url, "confirm-email"),
        foot="You did not open this account? Reply to this mail, and we close it.",
    )


def _confirm_email(contact: Contact, shop_url: str) -> Letter:
    return _personal(
        contact,
        subject="Confirm your e-mail address",
        paragraphs=("Please confirm that this address is yours, within a day:",),
        rows=_coded(contact, shop_url, "confirm-email"),
        foot="You have no account with us? Then there is nothing for you to do.",
    )


def _confirm_new_email(contact: Contact, shop_url: str) -> Letter:
    return _personal(
        contact,
        subject="Confirm your new e-mail address",
        paragraphs=(
            "You want to use this address for your account. Please confirm it within a day; until "
            "then nothing changes:",
        ),
        rows=_coded(contact, shop_url, "confirm-email"),
        foot="You have no account with us? Then there is nothing for you to do.",
    )


def _email_change_asked(contact: Contact, _: str) -> Letter:
    return _personal(
        contact,
        subject="Somebody wants to change your e-mail address",
        paragraphs=(
            "Somebody who knows your password asked us to use another address for your account. "
            "Nothing has changed yet: we wait for the new address to be confirmed.",
        ),
        foot="It was not you? Set a new password at once: that calls it off.",
    )


def _email_changed(contact: Contact, _: str) -> Letter:
    return _personal(
        contact,
        subject="Your e-mail address has changed",
        paragraphs=(
            "The new address for your account was confirmed. We write to that one from now on.",
        ),
        foot="It was not you? Reply to this mail at once.",
    )


def _password_changed(contact: Contact, _: str) -> Letter:
    return _personal(
        contact,
        subject="Your password has changed",
        paragraphs=(
            "The password of your account was changed, and every other device was logged out.",
        ),
        foot="It was not you? Set a new password at once, and reply to this mail.",
    )


def _reset_password(contact: Contact, shop_url: str) -> Letter:
    return _personal(
        contact,
        subject="Set a new password",
        paragraphs=(
            "Somebody asked for a new password for your account. You can set one within half an "
            "hour:",
        ),
        rows=_coded(contact, shop_url, "reset-password"),
        foot="It was not you? Then there is nothing for you to do: your password is good.",
    )


def _placed(happening: Happening, contact: Contact) -> Letter:
    standing = contact.order.status if contact.order else ""
    if standing in _OVER:
        next_step = "It could not go on since then; another mail tells you why."
    elif standing in _SENT or standing == "CONFIRMED":
        next_step = "It is confirmed already; another mail tells you more."
    else:
        next_step = (
            "We make sure that you can have all of it and ask your bank for the payment. Then we "
            "write again. If your bank asks you to confirm the payment, please do; there is "
            "nothing else for you to do."
        )
    return _about_an_order(
        happening,
        contact,
        subject="We have your order {order}",
        heading="We have your order",
        paragraphs=("Thank you for your order. This is what you chose:",),
        rows=_lines(contact.order),
        next_steps=(next_step,),
    )


def _confirmed(happening: Happening, contact: Contact) -> Letter:
    standing = contact.order.status if contact.order else ""
    if standing in _OVER:
        next_step = "Your order has been cancelled since then; another mail tells you more."
    elif standing in _SENT:
        next_step = "Your parcel is on its way already; another mail tells you more."
    else:
        next_step = (
            "We pack your parcel as soon as all of it is here, and write again when it is on its "
            "way. Until then you can still cancel the order."
        )
    return _about_an_order(
        happening,
        contact,
        subject="Your order {order} is confirmed",
        heading="Your order is confirmed",
        paragraphs=("Your bank has approved the payment. You get:",),
        rows=_lines(contact.order),
        next_steps=(next_step,),
    )


def _cancelled(happening: Happening, contact: Contact) -> Letter:
    called_off = _CANCELLATIONS.get(happening.reason or "")
    if called_off is not None:
        return _about_an_order(
            happening,
            contact,
            subject="Your order {order} is cancelled",
            heading="Your order is cancelled",
            paragraphs=(called_off,),
            next_steps=(
                "Nothing was charged, or it goes back to you in full: then we write again with "
                f"the amount. {_BANK_TAKES_TIME}",
            ),
        )
    failure = _FAILURES.get(happening.reason or "", _FAILURE_OF_OURS)
    return _about_an_order(
        happening,
        contact,
        subject="Your order {order} did not go through",
        heading="Your order did not go through",
        paragraphs=(f"Your order could not be completed: {failure}.",),
        next_steps=(
            "Nothing was charged, or it goes back to you. What your bank had set aside for us, "
            "it frees again, which may take some days.",
            "Your cart is as you left it: you can change it and try again.",
        ),
    )


def _dispatched(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="Your order {order} is on its way",
        heading="Your order is on its way",
        paragraphs=("The carrier has your parcel.",),
        rows=_tracking(happening),
        next_steps=(
            "The carrier brings it to the address you gave us, and shows by the tracking number "
            "where it is. We write again when it has arrived.",
        ),
    )


def _delivered(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="Your order {order} was delivered",
        heading="Your order was delivered",
        paragraphs=("Your parcel has been delivered. Enjoy it.",),
        rows=_tracking(happening),
        next_steps=(
            "Is something missing, broken or not what you expected? Ask for a return, or "
            "reply to this mail. You have no parcel? Ask your neighbours, then us.",
        ),
    )


def _refunded(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="A refund for your order {order}",
        heading="Your money is on its way back",
        paragraphs=(f"We have sent {_amount(happening)} back to you, the way you paid.",),
        next_steps=(f"{_BANK_TAKES_TIME} There is nothing for you to do.",),
    )


def _return_received(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="We have received your return for order {order}",
        heading="We have received your return",
        paragraphs=("What you sent back has arrived. Thank you.",),
        next_steps=(
            "We refund it and write again with the amount. There is nothing for you to do.",
        ),
    )


def _return_approved(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="Your return for order {order} is approved",
        heading="You can send it back",
        paragraphs=("We take back what you asked us to.",),
        next_steps=(
            "Pack it well and send it to us; put the number of the order into the parcel. We "
            "write again when it has arrived.",
        ),
    )


def _return_rejected(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="About your return for order {order}",
        heading="We cannot take it back",
        paragraphs=("We have looked at your return and cannot take it back. We are sorry.",),
        next_steps=("Please do not send anything. If you see it differently, reply to this mail.",),
    )


def _claim_accepted(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="We pay for the parcel of your order {order}",
        heading="We pay for your parcel",
        paragraphs=(
            "Something happened to your parcel on its way. We are sorry, and pay you "
            f"{_amount(happening)} back.",
        ),
        next_steps=(f"We write again when the money is on its way. {_BANK_TAKES_TIME}",),
    )


def _claim_rejected(happening: Happening, contact: Contact) -> Letter:
    return _about_an_order(
        happening,
        contact,
        subject="About the parcel of your order {order}",
        heading="About your parcel",
        paragraphs=(
            "We have looked into what happened to your parcel, and cannot pay for it. "
            "We are sorry.",
        ),
        next_steps=("If you see it differently, reply to this mail.",),
    )


_PERSONAL: dict[str, Callable[[Contact, str], Letter]] = {
    "welcome": _welcome,
    "confirm_email": _confirm_email,
    "confirm_new_email": _confirm_new_email,
    "email_change_asked": _email_change_asked,
    "email_changed": _email_changed,
    "password_changed": _password_changed,
    "reset_password": _reset_password,
}

_LETTERS: dict[str, Callable[[Happening, Contact], Letter]] = {
    "order.placed.v1": _placed,
    "order.confirmed.v1": _confirmed,
    "order.cancelled.v1": _cancelled,
    "shipment.dispatched.v1": _dispatched,
    "shipment.delivered.v1": _delivered,
    "payment.refunded.v1": _refunded,
    "return.approved.v1": _return_approved,
    "return.rejected.v1": _return_rejected,
    "return.received.v1": _return_received,
    "claim.accepted.v1": _claim_accepted,
    "claim.rejected.v1": _claim_rejected,
}

# What a letter that users tells says depends on the letter, not on the event.
TYPES = frozenset(_LETTERS) | {"user.letter_due.v1"}

# Their mails list what was ordered, so the lines are asked for, too.
LISTING_TYPES = frozenset({"order.placed.v1", "order.confirmed.v1"})


def _about_an_order(
    happening: Happening,
    contact: Contact,
    *,
    subject: str,
    heading: str,
    paragraphs: tuple[str, ...],
    next_steps: tuple[str, ...],
    rows: tuple[Row, ...] = (),
) -> Letter:
    return Letter(
        subject=subject.format(order=happening.subject_id),
        heading=heading,
        greeting=_greeting(contact),
        paragraphs=paragraphs,
        rows=rows,
        next_steps=next_steps,
        foot=f"{_WRITE_TO_US}: {happening.subject_id}.",
    )


def _personal(
    contact: Contact,
    *,
    subject: str,
    paragraphs: tuple[str, ...],
    foot: str,
    rows: tuple[Row, ...] = (),
) -> Letter:
    return Letter(
        subject=subject,
        heading=subject,
        greeting=_greeting(contact),
        paragraphs=paragraphs,
        rows=rows,
        next_steps=(),
        foot=foot,
    )


def _coded(contact: Contact, shop_url: str, page: str) -> tuple[Row, ...]:
    return (
        Row("Open", f"{shop_url.rstrip('/')}/{page}#{contact.code}"),
        Row("Or type this code", contact.code or ""),
    )


def _greeting(contact: Contact) -> str:
    name = contact.name.strip()
    return "Hello," if not name or _LOOKS_LIKE_A_LINK.search(name) else f"Hello {name},"


def _lines(order: Ordered | None) -> tuple[Row, ...]:
    """List what was ordered, what sending it costs, discount and tax, and the total."""
    if order is None:
        return ()
    rows = [Row(line.title, _price(line)) for line in order.lines[:LINES_SHOWN_MAX]]
    left_out = order.line_count - len(rows)
    if rows and left_out > 0:
        rows.append(Row("And more", f"{left_out:,} further {_plural('line', left_out)}"))
    if order.shipping.amount_minor:
        rows.append(Row("Delivery", order.shipping.in_words()))
    if order.discount.amount_minor:
        rows.append(Row("Discount", f"-{order.discount.in_words()}"))
    if order.tax.amount_minor:
        rows.append(Row("Tax", _tax(order)))
    counted = f", {order.line_count:,} {_plural('line', order.line_count)}" if not rows else ""
    return (*rows, Row("Total", order.total.in_words() + counted))


def _tax(order: Ordered) -> str:
    kind = "included in the prices" if order.prices_include_tax else "added to the prices"
    return f"{order.tax.in_words()}, {kind}"


def _price(line: OrderedLine) -> str:
    each = f"{line.quantity:,} at {line.unit_price.in_words()}"
    return each if line.quantity == 1 else f"{each}, {line.line_total.in_words()} in all"


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _tracking(happening: Happening) -> tuple[Row, ...]:
    told = {"Carrier": happening.carrier, "Tracking number": happening.tracking_number}
    return tuple(Row(name, said) for name, said in told.items() if said)


def _amount(happening: Happening) -> str:
    return happening.amount.in_words() if happening.amount else "the amount"
