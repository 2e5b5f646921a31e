"""What everybody may read of the catalogue, read through the memory of this process.

How old an answer may be is one number for all who keep it: a browser or a CDN is told only what
is left of it. The event that something changed reaches the process it is delivered to, and the
write reaches the one that wrote; every other waits for that number of seconds to pass.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, cast

from catalog.api import ProductsQuery
from catalog.model.product import ProductNotFoundError
from catalog.ports import CategoryRepository, ProductRepository, SearchIndex
from catalog.use_cases import editing, filing
from catalog.views import (
    CategoriesView,
    ProductsView,
    ProductView,
    categories_view,
    product_view,
    products_view,
)
from tradepost.kernel.clock import Clock
from tradepost.platform.cache import Cache, CacheSettings, Kept
from tradepost.platform.cursor import read_cursor, sign_cursor
from tradepost.platform.service import Reply

_CATEGORIES = "categories"


class PublicAnswers:
    """Products and listings, each kept as the text that is sent, and within limits of its own.

    Crawling through the listings so pushes out no product.
    """

    def __init__(
        self,
        products: ProductRepository,
        index: SearchIndex,
        categories: CategoryRepository,
        settings: CacheSettings,
        *,
        now: Clock,
    ) -> None:
        self._products = products
        self._index = index
        self._categories = categories
        self._shown: Cache[str] = Cache(
            "catalog.products", settings, bytes_of=sys.getsizeof, now=now
        )
        self._listed: Cache[str] = Cache(
            "catalog.listings", settings, bytes_of=sys.getsizeof, now=now
        )

    def product(self, handle: str) -> Reply[ProductView]:
        """Show one product on sale.

        Raises
        ------
        ProductNotFoundError
            Unknown or withdrawn.
        """

        def load() -> str | None:
            try:
                product = editing.show_product(handle, products=self._products)
            except ProductNotFoundError:
                return None
            return product_view(product).model_dump_json()

        kept = self._shown.get(handle, load)
        if kept.value is None:
            raise ProductNotFoundError(handle)
        return cast(Reply[ProductView], _reply(kept))

    def listing(self, query: ProductsQuery) -> Reply[ProductsView]:
        """Show a page of a search or of browsing.

        Raises
        ------
        InvalidCursorError
            See `read_cursor`.
        """

        def load() -> str:
            after = read_cursor(query.cursor, query.listing)
            page = self._index.search(query.query(self._inside(query.category)), after)
            next_cursor = sign_cursor(page.after, query.listing)
            return products_view(page, next_cursor).model_dump_json()

        kept = self._listed.get(query.model_dump_json(), load)
        return cast(Reply[ProductsView], _reply(kept))

    def categories(self) -> Reply[CategoriesView]:
        """Show the categories with their counts."""

        def load() -> str:
            found = filing.list_categories(categories=self._categories, index=self._index)
            return categories_view(found).model_dump_json()

        return cast(Reply[CategoriesView], _reply(self._listed.get(_CATEGORIES, load)))

    def _inside(self, category: str | None) -> tuple[str, ...]:
        if category is None:
            return ()
        return self._categories.tree().with_those_below(category)

    def forget(self, handles: Iterable[str]) -> None:
        """Show these products as they now are, from the next request on."""
        for handle in handles:
            self._shown.forget(handle)

    def forget_listings(self) -> None:
        """List what the index now holds. Which pages a product is on, nobody remembers."""
        self._listed.forget_all()


def _reply(kept: Kept[str]) -> Reply[Any]:
    """Answer the text; what it is a text of, the view's type tells the API's description."""
    return Reply(kept.value, fresh_seconds=kept.fresh_seconds)
