"""Forgetting a person, and telling them before what there is."""

from __future__ import annotations

from carts.model.cart import Cart
from carts.model.checkout import Checkout
from carts.ports import CartRepository, Erasures
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import StaleError


def held_of(person_id: str, *, carts: CartRepository) -> tuple[Cart, list[Checkout]]:
    """Read what is kept of a person: their cart, and their checkouts without the lines."""
    return carts.get(person_id), carts.checkouts_of(person_id)


def sweep_erasures(*, carts: CartRepository, erasures: Erasures, now: Clock) -> int:
    """Forget whose account is gone, as far as their checkouts are over; tell how many.

    Nobody begins another: their tokens have expired. One that runs is looked at again each hour.
    """
    due = erasures.due(now())
    for erasure in due:
        if _forgotten(erasure.user_id, carts=carts):
            erasures.finish(erasure.user_id)
        else:
            erasures.postpone(erasure.user_id, now())
    return len(due)


def _forgotten(person_id: str, *, carts: CartRepository) -> bool:
    is_done = carts.forget(person_id)
    for checkout in carts.checkouts_of(person_id):
        try:
            carts.anonymise_checkout(checkout)
        except StaleError:
            is_done = False
    return is_done
