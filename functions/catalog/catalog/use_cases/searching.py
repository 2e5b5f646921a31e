"""How changed products become findable, and how the index is built anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from catalog.model.product import Product
from catalog.ports import Position, ProductRepository, SearchIndex

# As many as fit well into the ten seconds of a function.
REBUILT_PER_CALL_MAX = 200


def index_products(changed: Sequence[Product], *, index: SearchIndex) -> frozenset[str]:
    """Make changed products findable as they now are, whatever order the changes come in.

    Returns the handles that should come again.
    """
    newest: dict[str, Product] = {}
    for product in changed:
        known = newest.get(product.handle)
        if known is None or known.version < product.version:
            newest[product.handle] = product
    return index.update(list(newest.values()))


def rebuild_search(
    after: Position | None, *, products: ProductRepository, index: SearchIndex
) -> tuple[int, Position | None]:
    """Build the index anew for the next products, as many as one call manages.

    Returns how many those were and where to go on; None when all are done. Searches go on being
    answered meanwhile. Safe to repeat, from anywhere.
    """
    page = products.handles(REBUILT_PER_CALL_MAX, after)
    # As last written: a consumer that told the index of something newer is not to be undone.
    found: Mapping[str, Product] = products.find_many(page.items)
    index.rebuild(list(found.values()))
    if page.after is None:
        index.recount()
    return len(found), page.after
