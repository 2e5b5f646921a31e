"""What bodies are made of: requests, answers, and the state a saga step reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from tradepost.kernel.money import AMOUNT_MINOR_MAX, Money

# Tabs and the ends of lines are left: a description has them.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class RequestModel(BaseModel):
    """A body or a query from outside: exact types, and nothing we did not ask for."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    @field_validator("*", mode="after")
    @classmethod
    def _hold_no_control_characters(cls, given: Any) -> Any:
        """Refuse what no keyboard types: it ends up in logs, e-mails, labels and terminals."""
        if any(_CONTROL_CHARACTER.search(text) for text in _texts(given)):
            raise PydanticCustomError("control_character", "Text must hold no control characters")
        return given


# ISO/IEC 7812: a card number has thirteen digits or more, in one piece once its blanks are gone.
_CARD_NUMBER = re.compile(r"\d{13}")


def _without_card_number(token: str) -> str:
    if _CARD_NUMBER.search(token.replace("_", "")):
        raise ValueError("a card number, where the provider's token belongs")
    return token


# A provider's token. A card number is refused before anything reads it, behind pm_ as well.
PaymentMethod = Annotated[
    str, Field(pattern=r"^pm_[A-Za-z0-9_]{1,100}$"), AfterValidator(_without_card_number)
]


def shown_as(**fields: Any) -> ConfigDict:
    """Give the API's page a body to start from: a model's `model_config`."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def _texts(given: Any) -> Iterator[str]:
    """Walk a field's texts; a model within it looks after its own."""
    match given:
        case str():
            yield given
        case list():
            yield from (inner for inner in given if isinstance(inner, str))
        case dict():
            yield from (inner for pair in given.items() for inner in pair if isinstance(inner, str))


class View(BaseModel):
    """An answer's body: closed, so that nothing leaves which its schema does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StepInput(BaseModel):
    """What a saga step reads of the execution's state; each step adds its own fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    order_id: str
    correlation_id: str


class Amount(View):
    """Money in an answer."""

    amount_minor: int
    currency: str  # ISO 4217

    @classmethod
    def of(cls, money: Money) -> Amount:
        return cls(amount_minor=money.amount_minor, currency=money.currency)


class AmountGiven(RequestModel):
    """Money in a request: never a price, which the shop alone decides."""

    amount_minor: int = Field(ge=0, le=AMOUNT_MINOR_MAX)
    currency: str = Field(pattern=r"^[A-Z]{3}$")

    def to_money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class AmountToMove(AmountGiven):
    """Money in a request to move it: there is some."""

    amount_minor: int = Field(ge=1, le=AMOUNT_MINOR_MAX)


_Printable = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Address(RequestModel):
    """Where a parcel goes, of a checkout and of an address book alike."""

    name: _Printable
    line1: _Printable
    line2: _Printable | None = None
    city: _Printable
    region: _Printable | None = None
    postal_code: Annotated[str, Field(min_length=1, max_length=20)]
    country: str = Field(pattern=r"^[A-Z]{2}$")  # ISO 3166-1 alpha-2

    def filled_in(self) -> dict[str, str]:
        """Tell the lines that there are."""
        return {name: text for name, text in self.model_dump().items() if text is not None}
