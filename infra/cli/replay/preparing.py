"""Before anything is bought: the catalogue, the stock and the customers a file implies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from infra.cli.books import StockBook
from infra.cli.buying import money
from infra.cli.progress import Advance
from infra.cli.replay.catalogue import CURRENCY, Product, sku_of
from infra.cli.replay.classifying import MINOR_PER_MAJOR
from infra.cli.replay.identity import account_of
from infra.cli.shop import Json, Session, Shop, ShopRefusedError, session_of

PRODUCTS_PER_REQUEST = 50
COUNTS_PER_REQUEST = 100

_STOCK_REASON = "opening count of an order history"
_CONFLICT = 409
_WEIGHT_GRAMS = 100  # the file has none; shipping needs one

Each = TypeVar("Each")


def batches(things: Sequence[Each], size: int) -> list[Sequence[Each]]:
    return [things[at : at + size] for at in range(0, len(things), size)]


def in_parallel(
    act: Callable[[Each], object], things: Sequence[Each], threads: int, advance: Advance
) -> None:
    """Do one thing to each, several at once; the first failure ends it all."""

    def act_and_advance(thing: Each) -> None:
        act(thing)
        advance()

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(act_and_advance, thing) for thing in things]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def product_body(product: Product) -> Json:
    """Write a product as `PUT /v1/products` takes it: a variant per price, named by its price."""
    has_choice = len(product.prices_minor) > 1
    return {
        "handle": product.handle,
        "title": product.title,
        "options": ["Price"] if has_choice else [],
        "variants": [
            {
                "sku": sku_of(product.code, price),
                "option_values": [_pounds(price)] if has_choice else [],
                "price": money(price, CURRENCY),
                "weight_grams": _WEIGHT_GRAMS,
            }
            for price in product.prices_minor
        ],
        "published": True,
    }


def publish(staff: Session, products: Sequence[Product]) -> None:
    """Put up to fifty products on sale; those that are on sale already stay as they are.

    Raises
    ------
    ShopRefusedError
        The shop refused one of them: its code and why.
    """
    body = {"products": [product_body(product) for product in products]}
    for result in staff.call("POST", "/v1/products/batch", body)["results"]:
        problem = result.get("problem")
        if problem:
            raise ShopRefusedError(
                f"product {result['handle']}",
                int(problem.get("status", 0)),
                str(problem.get("code", "unknown")),
                str(problem.get("detail", "")),
            )


def counts_to_make(needed: Mapping[str, int], standing: Mapping[str, StockBook]) -> dict[str, int]:
    """Tell what has to be counted so that everything still to be sold is there, and no more.

    What is there already counts, so that a replay that goes on, and one that is repeated, adds
    nothing.
    """
    return {
        sku: units
        for sku, units in needed.items()
        if sku not in standing or standing[sku].on_hand < units
    }


def count_stock(staff: Session, counts: Sequence[tuple[str, int]]) -> None:
    """Set what is on hand of up to a hundred SKUs."""
    lines = [{"sku": sku, "on_hand": units} for sku, units in counts]
    staff.call("POST", "/v1/stock/batch", {"lines": lines, "reason": _STOCK_REASON})


def open_account(shop: Shop, customer: str) -> Session:
    """Register a customer, unless an earlier replay did, and log them in."""
    email, password = account_of(customer)
    body = {"email": email, "password": password, "name": "Customer of an order history"}
    try:
        shop.call("POST", "/v1/users", body)
    except ShopRefusedError as refusal:
        if refusal.status != _CONFLICT:
            raise
    session = session_of(shop, email, password)
    session.log_in()
    return session


def _pounds(price_minor: int) -> str:
    return f"{price_minor // MINOR_PER_MAJOR}.{price_minor % MINOR_PER_MAJOR:02d}"
