"""Asking the owners of addresses, at the moment of writing: events carry none."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from notifications.model import Contact, Ordered, OrderedLine
from tradepost.kernel.money import Money
from tradepost.platform.questions import Questions


class _Told(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Line(_Told):
    title: str
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0
    tax_minor: int = 0


class _OrderContact(_Told):
    """What orders answers, as far as a mail needs it."""

    email: str
    name: str
    status: str
    total_minor: int
    currency: str
    line_count: int
    shipping_minor: int
    shipping_tax_minor: int
    prices_include_tax: bool
    lines: list[_Line]

    def ordered(self) -> Ordered:
        return Ordered(
            status=self.status,
            line_count=self.line_count,
            total=Money(self.total_minor, self.currency),
            shipping=Money(self.shipping_minor, self.currency),
            discount=Money(sum(line.discount_minor for line in self.lines), self.currency),
            tax=Money(
                sum(line.tax_minor for line in self.lines) + self.shipping_tax_minor,
                self.currency,
            ),
            prices_include_tax=self.prices_include_tax,
            lines=tuple(
                OrderedLine(line.title, line.quantity, Money(line.unit_price_minor, self.currency))
                for line in self.lines
            ),
        )


class AskedContacts:
    """Contacts by invoking the owners' functions. Satisfies `ports.Contacts`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    def of_order(self, order_id: str) -> Contact | None:
        return self._of_order({"order_id": order_id})

    def of_order_with_lines(self, order_id: str) -> Contact | None:
        return self._of_order({"order_id": order_id, "with_lines": True})

    def of_letter(self, user_id: str, letter_id: str) -> Contact | None:
        question = {"user_id": user_id, "letter_id": letter_id}
        answer = self._questions.ask("users-letter", question)
        if answer["email"] is None:
            return None
        return Contact(answer["email"], answer["name"], letter=answer["kind"], code=answer["code"])

    def _of_order(self, question: dict[str, str | bool]) -> Contact | None:
        answer = self._questions.ask("orders-order_contact", question)
        if answer["email"] is None:
            return None
        told = _OrderContact.model_validate(answer)
        return Contact(told.email, told.name, told.ordered())
