"""
What a promotion takes off, whom and when it is for, and how often it may be used.

Two codes may be in a cart: one that takes something off the goods, and one that sends them free.
They never touch the same money, so no order among them has to be chosen.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from tradepost.kernel.errors import ConflictError, NotFoundError

# 10,000 is 100 %.
WHOLE_BASIS_POINTS = 10_000

PROMOTION_SKUS_MAX = 500
CODE_LENGTH_MAX = 32

_CODE = re.compile(rf"[A-Z0-9][A-Z0-9-]{{2,{CODE_LENGTH_MAX - 1}}}")


class PromotionKind(StrEnum):
    PERCENT = "percent"
    AMOUNT = "amount"
    FREE_SHIPPING = "free_shipping"


class Reduces(StrEnum):
    """The money a promotion takes something off. A cart has one code for each."""

    GOODS = "goods"
    SHIPPING = "shipping"


class Inapplicable(StrEnum):
    """Why a code takes nothing off."""

    UNKNOWN = "unknown"
    NOT_STARTED = "not_started"
    EXPIRED = "expired"
    ENDED = "ended"  # by staff, before its time
    USED_UP = "used_up"
    USED_BY_YOU = "used_by_you"
    NOT_FOR_GUESTS = "not_for_guests"
    OTHER_CURRENCY = "other_currency"
    BELOW_MINIMUM = "below_minimum"
    NOTHING_QUALIFIES = "nothing_qualifies"


# The rest may come right with what is put in the cart.
_WHATEVER_IS_IN_THE_CART = frozenset(
    {
        Inapplicable.UNKNOWN,
        Inapplicable.NOT_STARTED,
        Inapplicable.EXPIRED,
        Inapplicable.ENDED,
        Inapplicable.USED_UP,
        Inapplicable.USED_BY_YOU,
        Inapplicable.NOT_FOR_GUESTS,
    }
)


class PromotionNotFoundError(NotFoundError):
    code = "promotion_not_found"

    def __init__(self, code: str) -> None:
        super().__init__(f"there is no promotion {code}")
        self.promotion = code


class PromotionInapplicableError(ConflictError):
    """The code cannot be used, whatever is in the cart. `why` is a reason as in a cart."""

    code = "promotion_inapplicable"

    def __init__(self, code: str, why: Inapplicable) -> None:
        super().__init__(f"{code} cannot be used: {why.replace('_', ' ')}")
        self.promotion = code
        self.why = why


class PromotionExistsError(ConflictError):
    """Another promotion has this code: what was announced to people is not changed."""

    code = "promotion_exists"

    def __init__(self, code: str) -> None:
        super().__init__(f"{code} is another promotion's; end it and choose another code")
        self.promotion = code


@dataclass(frozen=True, slots=True)
class Terms:
    """What was announced of a promotion. Amounts and minimums are minor units by currency."""

    kind: PromotionKind
    starts_at: datetime
    ends_at: datetime | None = None
    basis_points: int = 0
    amounts: Mapping[str, int] = field(default_factory=dict)
    minimums: Mapping[str, int] = field(default_factory=dict)  # of the goods before any discount
    uses_max: int | None = None
    uses_per_person_max: int | None = None
    skus: tuple[str, ...] = ()  # those it is for; none is all
    customers_only: bool = False

    @property
    def reduces(self) -> Reduces:
        is_shipping = self.kind is PromotionKind.FREE_SHIPPING
        return Reduces.SHIPPING if is_shipping else Reduces.GOODS


@dataclass(frozen=True, slots=True)
class Promotion:
    """A promotion and its life. `version` counts what staff did to it, `uses` its redemptions."""

    code: str
    terms: Terms
    created_at: datetime
    ended_at: datetime | None = None
    uses: int = 0
    version: int = 1

    def ended(self, at: datetime) -> Promotion:
        """Return the promotion ended; one that was ended before stays so."""
        return self if self.ended_at else replace(self, ended_at=at, version=self.version + 1)

    def why_not_for(self, buyer: Buyer, at: datetime) -> Inapplicable | None:
        """Tell why this person cannot use it now, whatever is in their cart; None if they can."""
        terms = self.terms
        if self.ended_at is not None:
            return Inapplicable.ENDED
        if at < terms.starts_at:
            return Inapplicable.NOT_STARTED
        if terms.ends_at is not None and at >= terms.ends_at:
            return Inapplicable.EXPIRED
        if terms.customers_only and buyer.is_guest:
            return Inapplicable.NOT_FOR_GUESTS
        if terms.uses_max is not None and self.uses >= terms.uses_max:
            return Inapplicable.USED_UP
        used = buyer.uses.get(self.code, 0)
        if terms.uses_per_person_max is not None and used >= terms.uses_per_person_max:
            return Inapplicable.USED_BY_YOU
        return None

    def why_not_on(self, amounts_minor: Mapping[str, int], currency: str) -> Inapplicable | None:
        """Tell why it takes nothing off goods of these amounts, by SKU; None if it does."""
        terms = self.terms
        if terms.kind is PromotionKind.AMOUNT and currency not in terms.amounts:
            return Inapplicable.OTHER_CURRENCY
        if terms.minimums:
            if currency not in terms.minimums:
                return Inapplicable.OTHER_CURRENCY
            if sum(amounts_minor.values()) < terms.minimums[currency]:
                return Inapplicable.BELOW_MINIMUM
        if terms.skus and not any(sku in terms.skus for sku in amounts_minor):
            return Inapplicable.NOTHING_QUALIFIES
        return None

    def discounts(self, amounts_minor: Mapping[str, int], currency: str) -> dict[str, int]:
        """Allot what is taken off the goods, by SKU: never more than they cost, and exactly it."""
        terms = self.terms
        if terms.kind is PromotionKind.FREE_SHIPPING:
            return {}
        qualifying = {
            sku: amount
            for sku, amount in amounts_minor.items()
            if not terms.skus or sku in terms.skus
        }
        whole = sum(qualifying.values())
        if terms.kind is PromotionKind.PERCENT:
            off = (2 * whole * terms.basis_points + WHOLE_BASIS_POINTS) // (2 * WHOLE_BASIS_POINTS)
        else:
            off = min(terms.amounts.get(currency, 0), whole)
        return allotted(off, qualifying)


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who wants to use promotions: a name for their uses, and how often they have used which.

    An account is known by its id. A guest is known by a digest of the e-mail address they order
    with, and before they give one by nothing.
    """

    person: str | None
    is_guest: bool
    uses: Mapping[str, int] = field(default_factory=dict)  # by code


@dataclass(frozen=True, slots=True)
class Redemption:
    """One use of a code, taken with a checkout; `person` where uses are counted per person."""

    code: str
    version: int  # of the promotion that was decided on
    person: str | None
    per_person_max: int | None


@dataclass(frozen=True, slots=True)
class CartCode:
    """A code as a cart keeps it."""

    code: str
    reduces: Reduces


def code_of(text: str) -> str | None:
    """Read a code as people type it; None if it cannot be one."""
    code = text.strip().upper()
    return code if _CODE.fullmatch(code) else None


def guest_person(email: str) -> str:
    """Name a guest's uses without keeping the address beside them once more."""
    return f"email:{hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]}"


def may_come_right(why: Inapplicable) -> bool:
    """Tell whether other things in the cart would make the code count."""
    return why not in _WHATEVER_IS_IN_THE_CART


def with_code(codes: Sequence[CartCode], code: CartCode) -> tuple[CartCode, ...]:
    """Return the codes with one more, which replaces the one that reduces the same money."""
    return (*(one for one in codes if one.reduces is not code.reduces), code)


def allotted(amount: int, weights: Mapping[str, int]) -> dict[str, int]:
    """Divide an amount by weights so that the parts sum to it and none exceeds its weight.

    By largest remainder, of equal ones the first. The amount is at most the weights' sum.
    """
    whole = sum(weights.values())
    if whole == 0:
        return {}
    parts = {name: amount * weight // whole for name, weight in weights.items()}
    left = amount - sum(parts.values())
    by_remainder = sorted(weights, key=lambda name: -(amount * weights[name] % whole))
    for name in by_remainder[:left]:
        parts[name] += 1
    return parts
