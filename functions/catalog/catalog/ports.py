"""What the use cases need: a place that keeps products, and an index that finds them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from catalog.model.category import CategoryTree
from catalog.model.picture import Picture, PictureType, Upload
from catalog.model.product import Image, Product
from tradepost.contracts.event import Event
from tradepost.kernel.money import Money

T = TypeVar("T")

# Where the next page begins: plain values, which the border signs into a cursor.
Position = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, and the position after the last of them; None where the list ends."""

    items: tuple[T, ...]
    after: Position | None


class Sort(StrEnum):
    """The order of a listing. Without words to be relevant to, relevance is newest."""

    RELEVANCE = "relevance"
    PRICE = "price"
    PRICE_DESCENDING = "-price"
    TITLE = "title"
    NEWEST = "newest"


@dataclass(frozen=True, slots=True)
class ProductQuery:
    """What somebody looks for. Bounds are in minor units, inclusive; a None does not restrict.

    A product's price is its lowest. Without a currency the bounds compare bare numbers. It is in
    one of the categories, if there are any.
    """

    words: str | None
    categories: tuple[str, ...]
    amount_min: int | None
    amount_max: int | None
    currency: str | None
    sort: Sort
    limit: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A product as a listing shows it."""

    product_id: str
    handle: str
    title: str
    vendor: str
    categories: tuple[str, ...]
    image: Image | None
    price_from: Money
    price_to: Money
    variant_count: int


@dataclass(frozen=True, slots=True)
class Category:
    """A category, the one it is in, and how many products on sale are in it itself."""

    slug: str
    title: str
    parent: str | None
    product_count: int


class ProductRepository(Protocol):
    def find(self, handle: str) -> Product | None:
        """Read a product, on sale or not, as the last write left it."""

    def find_many(self, handles: Iterable[str]) -> dict[str, Product]:
        """Read products by handle, as the last writes left them; unknown ones are left out."""

    def handles(self, limit: int, after: Position | None) -> Page[str]:
        """List the handles of all products, on sale or not, in the order of their letters.

        A position is `{"handle": ...}`, the last one listed.
        """

    def save(self, product: Product, *, replacing: Product | None, events: Sequence[Event]) -> None:
        """Write the product, its claims on its SKUs and the events, all or nothing.

        Raises
        ------
        SKUTakenError
            Another product has one of the SKUs.
        StaleProductError
            What is stored is not `replacing`.
        InvalidProductError
            The product is too large to be kept.
        TooManySKUChangesError
            More SKUs are given up than one write can hold.
        """


class CategoryRepository(Protocol):
    def tree(self) -> CategoryTree:
        """Read all categories as the last write left them."""

    def save(self, tree: CategoryTree) -> None:
        """Replace the version before this one. Raises StaleError if it is not there."""


class PictureStore(Protocol):
    def upload(
        self, product_id: str, picture_id: str, type_: PictureType, size: int, *, at: datetime
    ) -> Upload:
        """Sign an address that takes just so many bytes of this type, for a while."""

    def uploaded(self, product_id: str, picture_id: str) -> bytes | None:
        """Read what was uploaded, or the beginning of what is too large; None if nothing was."""

    def keep(self, picture: Picture) -> None:
        """Put it where it is shown; once more changes nothing."""


class SearchIndex(Protocol):
    def update(self, products: Sequence[Product]) -> frozenset[str]:
        """Make the index tell these states of products, one each; older ones change nothing.

        Returns the handles that could not be indexed now and should come again.
        """

    def rebuild(self, products: Sequence[Product]) -> None:
        """Write all that the index holds of these products anew, whatever it said before."""

    def recount(self) -> None:
        """Set the count of each category to what the index holds."""

    def search(self, query: ProductQuery, after: Position | None) -> Page[Summary]:
        """Find products on sale."""

    def counts(self) -> list[tuple[str, int]]:
        """List the categories ever used, by their letters, each with its products on sale."""

    def is_category_used(self, slug: str) -> bool:
        """Tell whether a product, on sale or not, names the category."""
