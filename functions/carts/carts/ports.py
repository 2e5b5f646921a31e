"""What the use cases need: the keepers of carts, prices, promotions and taxes, and a runner."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from carts.model.bill import Prices
from carts.model.cart import Cart, Offer, ProductNews
from carts.model.checkout import Checkout, CheckoutStatus
from carts.model.promotion import Promotion
from carts.model.tax import TaxTable


class CartRepository(Protocol):
    def get(self, cart_id: str) -> Cart:
        """Read a cart as it is now; one never written is empty, at version 0."""

    def save(self, cart: Cart) -> None:
        """Store a cart's next version. Raises StaleError if it is not next."""

    def save_once(self, cart: Cart, request: Any) -> bool:
        """Store a cart's next version with the record of its request; False if that is there.

        Raises StaleError; IdempotencyMismatchError if the record is of another body.
        """

    def has_done(self, request: Any) -> bool:
        """Tell whether the request's record is there. Raises IdempotencyMismatchError."""

    def save_both(self, cart: Cart, other: Cart) -> None:
        """Store two carts' next versions, or neither. Raises StaleError."""

    def begin_checkout(self, cart: Cart, checkout: Checkout) -> Checkout:
        """Store the frozen cart with its checkout, once per order id; return what is stored.

        The uses of its promotions are taken with it. Raises StaleError if the cart is not the next
        version, or a promotion is not as it was read or has no use left.
        """

    def checkout(self, order_id: str) -> Checkout | None:
        """Read a checkout without its lines."""

    def checkout_with_lines(self, order_id: str) -> Checkout | None:
        """Read a checkout with its lines."""

    def end_checkout(
        self, order_id: str, customer_id: str, *, status: CheckoutStatus, reason: str | None
    ) -> None:
        """Store how a checkout ended, or that it is under review; open its cart again.

        The cart is as it was if the checkout failed, and its promotions' uses are given back;
        otherwise the cart is empty. One that has ended stays as it ended. Safe to repeat. Raises
        CheckoutNotFoundError.
        """

    def due(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        """Name running checkouts to be taken up by `at`, each with its correlation id."""

    def postpone(self, order_id: str, until: datetime) -> None:
        """Have a checkout that was taken up due again at `until`, if it still runs."""

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        """List a person's checkouts without their lines; those forgotten are left out."""

    def anonymise_checkout(self, checkout: Checkout) -> None:
        """Forget whose checkout it was. Raises StaleError if it is not over."""

    def forget(self, cart_id: str) -> bool:
        """Remove a cart; False if a checkout of it is running."""


class PriceBook(Protocol):
    def prices(
        self,
        skus: Sequence[str],
        *,
        codes: Sequence[str] = (),
        person: str | None = None,
        country: str | None = None,
    ) -> Prices:
        """Read what is on sale of these SKUs, these promotions and one person's uses of them, and
        how a country taxes, together. Promotions are as they are now.
        """

    def put_offer(self, offer: Offer, news: ProductNews) -> None:
        """Store a product's offer unless newer news of that product is known for the SKU."""

    def withdraw_offer(self, sku: str, news: ProductNews) -> None:
        """Take a product's offer off sale unless newer news of that product is known."""


class Erasures(Protocol):
    """The people to be forgotten."""

    def due(self, now: datetime) -> Sequence[Any]:
        """Tell whom to forget now."""

    def postpone(self, user_id: str, now: datetime) -> None:
        """Look again later."""

    def finish(self, user_id: str) -> None:
        """Look no more."""


class PromotionRepository(Protocol):
    def add(self, promotion: Promotion) -> Promotion:
        """Store a promotion, once per code; return what is stored."""

    def get(self, code: str) -> Promotion | None:
        """Read a promotion as it is now."""

    def save_ended(self, promotion: Promotion) -> None:
        """Store that a promotion has ended. Raises StaleError if somebody was faster."""

    def listed(
        self, limit: int, after: dict[str, str] | None
    ) -> tuple[list[Promotion], dict[str, str] | None]:
        """List promotions by code, and the position the next page begins after."""


class TaxRepository(Protocol):
    def get(self, country: str) -> TaxTable | None:
        """Read a country's table as it is now."""

    def save(self, table: TaxTable) -> None:
        """Store a table's next version. Raises StaleError if it is not next."""

    def all(self) -> list[TaxTable]:
        """Read every country's table, by country."""


class CheckoutRunner(Protocol):
    def start(self, order_id: str, correlation_id: str) -> None:
        """Have the checkout run. A repetition meets the execution that runs already."""

    def start_again(self, order_id: str, correlation_id: str) -> None:
        """Have the checkout run on, beside whatever else of it runs."""
