"""What the use cases need: the carts' keeper, and something that runs checkouts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from carts.model import Cart, Checkout, CheckoutStatus, Offer, ProductNews


class CartRepository(Protocol):
    def get(self, cart_id: str) -> Cart:
        """Read a cart as it is now; one never written is empty, at version 0."""

    def get_with_offers(self, cart_id: str, skus: Sequence[str]) -> tuple[Cart, dict[str, Offer]]:
        """Read a cart as it is now, and what is on sale of these SKUs."""

    def offers(self, skus: Sequence[str]) -> dict[str, Offer]:
        """Read what is on sale of these SKUs; those that are not are left out."""

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

        Raises StaleError if the cart is not the next version.
        """

    def checkout(self, order_id: str) -> Checkout | None:
        """Read a checkout without its lines."""

    def checkout_with_lines(self, order_id: str) -> Checkout | None:
        """Read a checkout with its lines."""

    def end_checkout(
        self, order_id: str, customer_id: str, *, status: CheckoutStatus, reason: str | None
    ) -> None:
        """Store how a checkout ended, or that it is under review; open its cart again.

        The cart is as it was if the checkout failed, otherwise empty. One that has ended stays
        as it ended. Safe to repeat. Raises CheckoutNotFoundError.
        """

    def due(self, at: datetime, limit: int) -> list[tuple[str, str]]:
        """Name running checkouts to be taken up by `at`, each with its correlation id."""

    def postpone(self, order_id: str, until: datetime) -> None:
        """Have a checkout that was taken up due again at `until`, if it still runs."""

    def put_offer(self, offer: Offer, news: ProductNews) -> None:
        """Store a product's offer unless newer news of that product is known for the SKU."""

    def withdraw_offer(self, sku: str, news: ProductNews) -> None:
        """Take a product's offer off sale unless newer news of that product is known."""

    def checkouts_of(self, customer_id: str) -> list[Checkout]:
        """List a person's checkouts without their lines; those forgotten are left out."""

    def anonymise_checkout(self, checkout: Checkout) -> None:
        """Forget whose checkout it was. Raises StaleError if it is not over."""

    def forget(self, cart_id: str) -> bool:
        """Remove a cart; False if a checkout of it is running."""


class Erasures(Protocol):
    """The people to be forgotten."""

    def due(self, now: datetime) -> Sequence[Any]:
        """Tell whom to forget now."""

    def postpone(self, user_id: str, now: datetime) -> None:
        """Look again later."""

    def finish(self, user_id: str) -> None:
        """Look no more."""


class CheckoutRunner(Protocol):
    def start(self, order_id: str, correlation_id: str) -> None:
        """Have the checkout run. A repetition meets the execution that runs already."""

    def start_again(self, order_id: str, correlation_id: str) -> None:
        """Have the checkout run on, beside whatever else of it runs."""
