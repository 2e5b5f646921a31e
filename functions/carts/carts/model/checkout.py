"""What turns a cart into an order, from freezing it to the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from carts.model.bill import Bill
from carts.model.promotion import Inapplicable
from tradepost.kernel.errors import ConflictError, NotFoundError
from tradepost.kernel.money import Money

# An execution ends within five minutes: nobody works on a checkout that was begun longer ago.
LEFT_ALONE_MAX = timedelta(minutes=6)


class CheckoutStatus(StrEnum):
    RUNNING = "RUNNING"
    UNDER_REVIEW = "UNDER_REVIEW"  # the order waits for a person of ours; the cart does not
    CONFIRMED = "CONFIRMED"
    FAILED = "FAILED"


class CartChangedError(ConflictError):
    """Prices, products, promotions or tax changed: the total is not what the customer saw.

    Show it and ask. `promotions_not_counted` says of each code in the cart that takes nothing off
    why not.
    """

    code = "cart_changed"

    def __init__(
        self,
        total: Money,
        changed: list[str],
        not_counted: Mapping[str, Inapplicable] | None = None,
    ) -> None:
        super().__init__("the cart's total is not what was expected")
        self.total = {"amount_minor": total.amount_minor, "currency": total.currency}
        self.changed_skus = changed
        self.promotions_not_counted = {code: str(why) for code, why in (not_counted or {}).items()}


class CheckoutNotFoundError(NotFoundError):
    code = "checkout_not_found"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"there is no checkout {order_id}")
        self.order_id = order_id


@dataclass(frozen=True, slots=True)
class Checkout:
    """A frozen cart's snapshot, and how its checkout ended. Its id is the order's.

    One whose customer was forgotten has no e-mail, and of the address the country.
    """

    order_id: str
    customer_id: str
    email: str
    shipping_address: dict[str, str]
    payment_method: str
    bill: Bill  # without its lines where only the checkout was read
    total: Money
    discount: Money
    tax: Money
    line_count: int
    status: CheckoutStatus
    reason: str | None
    fingerprint: str  # of the request that began it
    correlation_id: str
    placed_at: datetime
