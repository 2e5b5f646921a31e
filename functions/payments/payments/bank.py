"""The page of the simulated bank, where the holder of a card that asks for it confirms."""

from __future__ import annotations

import html
from urllib.parse import parse_qs

from payments.ports import Charge, ChargeStatus
from tradepost.kernel.errors import InvalidError
from tradepost.kernel.money import Money

# The page runs nothing, loads nothing and is framed by nobody; its form goes where it came from.
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
}

ANSWER_BYTES_MAX = 1024

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
{content}
</main>
</body>
</html>
"""
_QUESTION = """<p>The shop asks to set aside <strong>{amount}</strong> on your card for order {order}.</p>
<form method="post">
<button name="answer" value="confirm">Confirm the payment</button>
<button name="answer" value="refuse">Refuse it</button>
</form>"""  # noqa: E501 - a line of text for people
_ENDS = {
    ChargeStatus.OPENED: "The shop has not asked for this payment yet.",
    ChargeStatus.AUTHORIZED: "The payment is confirmed. You can go back to the shop.",
    ChargeStatus.CAPTURED: "The payment is confirmed. You can go back to the shop.",
    ChargeStatus.DECLINED: "The payment is refused. You can go back to the shop.",
    ChargeStatus.VOIDED: "The shop has withdrawn this payment: no money was taken.",
}


class BankAnswerError(InvalidError):
    """The form was not one of the page's own."""

    code = "invalid_bank_answer"

    def __init__(self) -> None:
        super().__init__("the answer is confirm or refuse")


def page(charge: Charge, asked: Money) -> str:
    """Show what a charge waits for, or how it ended."""
    ended = _ENDS.get(charge.status)
    if ended is not None:
        return _PAGE.format(title="Your bank (simulated)", content=f"<p>{ended}</p>")
    question = _QUESTION.format(
        amount=html.escape(asked.in_words()), order=html.escape(charge.order_id)
    )
    return _PAGE.format(title="Your bank (simulated)", content=question)


def approves(form: bytes) -> bool:
    """Read which of the two buttons was pressed. Raises BankAnswerError."""
    try:
        answers = parse_qs(form.decode("ascii"), max_num_fields=1).get("answer", [])
    except ValueError as error:
        raise BankAnswerError from error
    match answers:
        case ["confirm"]:
            return True
        case ["refuse"]:
            return False
    raise BankAnswerError
