"""Products and their variants: what a merchant writes, and what becomes of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from catalog.model.texts import wrong_slug, wrong_text
from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError, StaleError
from tradepost.kernel.ids import derived_id
from tradepost.kernel.money import Money

# Shopify's limits, so that whatever fits there fits here:
# help.shopify.com/en/manual/products, "Product limits".
VARIANTS_MAX = 100
OPTIONS_MAX = 3
IMAGES_MAX = 250
TAGS_MAX = 250
TEXT_LENGTH_MAX = 255  # a title, a vendor, a tag, an option's name or value, a handle

SKU_LENGTH_MAX = 100
BARCODE_LENGTH_MAX = 100
URL_LENGTH_MAX = 2_048
DESCRIPTION_LENGTH_MAX = 100_000
ATTRIBUTES_MAX = 50
WEIGHT_GRAMS_MAX = 10_000_000

# Each category of a product is an item of the search index, and all its items change at once.
CATEGORIES_MAX = 6

# A DynamoDB item takes 400 KB; the rest is room for what the item holds besides.
CONTENT_BYTES_MAX = 300_000

_HANDLE = re.compile(r"[^\W_][\w.\-]*")
# A SKU stands in addresses and on labels: printable ASCII without spaces.
_SKU = re.compile(r"[!-~]+")
# A path on our own host, or a web address: nothing a browser would run.
_IMAGE_URL = re.compile(r"(?:https?://|/(?!/))[!-~]+")


class InvalidProductError(InvalidError):
    """The product contradicts itself or goes beyond a limit. `field` is where."""

    code = "invalid_product"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field


class ProductNotFoundError(NotFoundError):
    """No such product, or it is not on sale."""

    code = "product_not_found"

    def __init__(self, handle: str) -> None:
        super().__init__("no such product is on sale")
        self.handle = handle


class SKUTakenError(ConflictError):
    """Another product has this SKU. Nothing was written."""

    code = "sku_taken"

    def __init__(self, sku: str, holder: str) -> None:
        super().__init__(f"{sku} belongs to {holder}")
        self.sku = sku
        self.holder = holder


class TooManySKUChangesError(ConflictError):
    """A product of the largest size lost nearly all its SKUs at once. Remove them in two steps."""

    code = "too_many_sku_changes"

    def __init__(self, handle: str) -> None:
        super().__init__("too many SKUs removed at once: do it in two steps")
        self.handle = handle


class StaleProductError(StaleError):
    """Somebody else wrote the product since it was read."""

    code = "stale_product"

    def __init__(self, handle: str) -> None:
        super().__init__("the product changed meanwhile")
        self.handle = handle


class VersionMismatchError(ConflictError):
    """The product changed since the caller saw the version it names."""

    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__(f"the product is at version {version}")
        self.version = version


class Outcome(StrEnum):
    """What writing a product came to."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class TaxClass(StrEnum):
    """What kind of goods a variant is to a tax office; each country has its rate for each."""

    STANDARD = "standard"
    REDUCED = "reduced"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: a web address or a path on our own host, and what it shows in words."""

    url: str
    alt: str

    def __post_init__(self) -> None:
        if len(self.url) > URL_LENGTH_MAX or not _IMAGE_URL.fullmatch(self.url):
            raise InvalidProductError("images", "an image is an http(s) address or a path")
        _require_text("images", self.alt, TEXT_LENGTH_MAX * 2)


@dataclass(frozen=True, slots=True)
class Variant:
    """What is bought: one SKU at one price. `option_values` follow the product's options."""

    sku: str
    option_values: tuple[str, ...]
    price: Money
    compare_at: Money | None  # what it cost before, or costs elsewhere; for show
    weight_grams: int
    barcode: str | None
    tax_class: TaxClass = TaxClass.STANDARD  # of products kept before there were classes, too

    def __post_init__(self) -> None:
        if len(self.sku) > SKU_LENGTH_MAX or not _SKU.fullmatch(self.sku):
            raise InvalidProductError("variants.sku", "printable ASCII without spaces")
        _require_text("variants.barcode", self.barcode or "", BARCODE_LENGTH_MAX)
        for value in self.option_values:
            _require_text("variants.option_values", value, TEXT_LENGTH_MAX, required=True)
        if not 0 <= self.weight_grams <= WEIGHT_GRAMS_MAX:
            raise InvalidProductError("variants.weight_grams", f"0 to {WEIGHT_GRAMS_MAX}")
        prices = [self.price] if self.compare_at is None else [self.price, self.compare_at]
        if any(price.amount_minor < 0 for price in prices):
            raise InvalidProductError("variants.price", "must not be negative")
        if len({price.currency for price in prices}) > 1:
            raise InvalidProductError("variants.compare_at", "another currency than the price")


@dataclass(frozen=True, slots=True)
class Content:
    """A product as its merchant writes it: everything that makes two products different.

    `description` is plain text. `categories` are slugs, `options` names such as Colour; a
    product of one variant has none. All prices are in one currency.
    """

    handle: str
    title: str
    description: str
    vendor: str
    categories: tuple[str, ...]
    tags: tuple[str, ...]
    attributes: dict[str, str]
    images: tuple[Image, ...]
    options: tuple[str, ...]
    variants: tuple[Variant, ...]
    published: bool

    def __post_init__(self) -> None:
        require_handle(self.handle)
        _require_text("title", self.title, TEXT_LENGTH_MAX, required=True)
        _require_text("vendor", self.vendor, TEXT_LENGTH_MAX)
        _require_text("description", self.description, DESCRIPTION_LENGTH_MAX, lines=True)
        _require_list("categories", self.categories, CATEGORIES_MAX)
        _require_list("tags", self.tags, TAGS_MAX)
        _require_list("options", self.options, OPTIONS_MAX)
        _require_list("images", [image.url for image in self.images], IMAGES_MAX)
        for problem in map(wrong_slug, self.categories):
            if problem is not None:
                raise InvalidProductError("categories", problem)
        if len(self.attributes) > ATTRIBUTES_MAX:
            raise InvalidProductError("attributes", f"at most {ATTRIBUTES_MAX}")
        for name, value in self.attributes.items():
            _require_text("attributes", name, TEXT_LENGTH_MAX, required=True)
            _require_text("attributes", value, TEXT_LENGTH_MAX * 4)
        self._require_variants()

    def _require_variants(self) -> None:
        if not 1 <= len(self.variants) <= VARIANTS_MAX:
            raise InvalidProductError("variants", f"1 to {VARIANTS_MAX}")
        if len(set(self.skus)) < len(self.variants):
            raise InvalidProductError("variants", "two variants have one SKU")
        if any(len(variant.option_values) != len(self.options) for variant in self.variants):
            raise InvalidProductError("variants", "a value for each option, and no more")
        if len({variant.option_values for variant in self.variants}) < len(self.variants):
            raise InvalidProductError("variants", "two variants have the same option values")
        if len({variant.price.currency for variant in self.variants}) > 1:
            raise InvalidProductError("variants", "all prices are in one currency")

    @property
    def skus(self) -> tuple[str, ...]:
        return tuple(variant.sku for variant in self.variants)

    @property
    def price_from(self) -> Money:
        """The lowest price among the variants: the one a product is found and sorted by."""
        return min(variant.price for variant in self.variants)

    @property
    def price_to(self) -> Money:
        return max(variant.price for variant in self.variants)

    def title_of(self, variant: Variant) -> str:
        """Name a variant on its own: the product's title, with the choice where there is one."""
        return " / ".join((self.title, *variant.option_values))


@dataclass(frozen=True, slots=True)
class Product:
    """A product and its life. `version` counts the writes it has survived."""

    content: Content
    version: int
    on_sale_since: datetime | None  # when it first went on sale; kept when it is withdrawn

    @property
    def handle(self) -> str:
        return self.content.handle

    @property
    def product_id(self) -> str:
        return derived_id("prd", self.handle)

    @property
    def is_on_sale(self) -> bool:
        return self.content.published

    def revised(self, content: Content, *, at: datetime) -> Product:
        """Take on new content; the handle stays."""
        assert content.handle == self.handle
        since = self.on_sale_since or (at if content.published else None)
        return Product(content, version=self.version + 1, on_sale_since=since)

    def withdrawn(self, *, at: datetime) -> Product:
        return self.revised(replace(self.content, published=False), at=at)


def new_product(content: Content, *, at: datetime) -> Product:
    """Begin a product's life."""
    return Product(content, version=1, on_sale_since=at if content.published else None)


def require_handle(handle: str) -> str:
    """Refuse what cannot stand in an address: lower-case letters, digits, hyphens and dots."""
    if len(handle) > TEXT_LENGTH_MAX or not _HANDLE.fullmatch(handle) or handle != handle.lower():
        raise InvalidProductError("handle", "lower-case letters, digits and hyphens, as in red-mug")
    return handle


def _require_text(
    field: str, text: str, length_max: int, *, required: bool = False, lines: bool = False
) -> None:
    problem = wrong_text(text, length_max, required=required, lines=lines)
    if problem is not None:
        raise InvalidProductError(field, problem)


def _require_list(field: str, texts: Iterable[str], count_max: int) -> None:
    listed = list(texts)
    if len(listed) > count_max:
        raise InvalidProductError(field, f"at most {count_max}")
    if len(set(listed)) < len(listed):
        raise InvalidProductError(field, "names one twice")
    for text in listed:
        _require_text(field, text, URL_LENGTH_MAX if field == "images" else TEXT_LENGTH_MAX,
                      required=True)  # fmt: skip
