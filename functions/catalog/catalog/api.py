"""What the catalogue takes over HTTP, and how it maps to the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, WithJsonSchema

from catalog.model.category import TITLE_LENGTH_MAX
from catalog.model.picture import PICTURE_BYTES_MAX, PictureType
from catalog.model.product import (
    ATTRIBUTES_MAX,
    CATEGORIES_MAX,
    DESCRIPTION_LENGTH_MAX,
    IMAGES_MAX,
    OPTIONS_MAX,
    SKU_LENGTH_MAX,
    TAGS_MAX,
    TEXT_LENGTH_MAX,
    URL_LENGTH_MAX,
    VARIANTS_MAX,
    WEIGHT_GRAMS_MAX,
    Content,
    Image,
    TaxClass,
    Variant,
)
from catalog.ports import ProductQuery, Sort
from tradepost.kernel.errors import InvalidError
from tradepost.kernel.money import AMOUNT_MINOR_MAX, Money
from tradepost.platform.arguments import InvalidBodyError, mistakes
from tradepost.platform.bodies import RequestModel
from tradepost.platform.cursor import CURSOR_LENGTH_MAX, PAGE_SIZE, PAGE_SIZE_MAX

BATCH_MAX = 50
QUERY_LENGTH_MAX = 200

# Lambda answers and takes at most 6 MB; a product has up to 300 KB.
PRODUCT_BODY_BYTES_MAX = 512 * 1024
BATCH_BODY_BYTES_MAX = 4 * 1024 * 1024
EXPORT_BYTES_MAX = 3 * 1024 * 1024

Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=TEXT_LENGTH_MAX)]
Amount = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
Cursor = Annotated[str, Field(max_length=CURSOR_LENGTH_MAX)]


class MoneyBody(RequestModel):
    amount_minor: Amount
    currency: Currency

    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


class ImageBody(RequestModel):
    url: str = Field(max_length=URL_LENGTH_MAX)
    alt: str = ""


class VariantBody(RequestModel):
    sku: str = Field(min_length=1, max_length=SKU_LENGTH_MAX, pattern="^[!-~]+$")
    option_values: list[Text] = Field(default=[], max_length=OPTIONS_MAX)
    price: MoneyBody
    compare_at: MoneyBody | None = None
    weight_grams: int = Field(default=0, ge=0, le=WEIGHT_GRAMS_MAX)
    barcode: str | None = None
    tax_class: TaxClass = TaxClass.STANDARD

    def variant(self) -> Variant:
        return Variant(
            sku=self.sku,
            option_values=tuple(self.option_values),
            price=self.price.money(),
            compare_at=self.compare_at.money() if self.compare_at is not None else None,
            weight_grams=self.weight_grams,
            barcode=self.barcode,
            tax_class=self.tax_class,
        )


class ProductBody(RequestModel):
    """A product as its merchant writes it; its handle is in the path."""

    title: str = Field(min_length=1, max_length=TEXT_LENGTH_MAX)
    description: str = Field(default="", max_length=DESCRIPTION_LENGTH_MAX)
    vendor: Text = ""
    categories: list[Slug] = Field(default=[], max_length=CATEGORIES_MAX)
    tags: list[Text] = Field(default=[], max_length=TAGS_MAX)
    attributes: dict[str, str] = Field(default={}, max_length=ATTRIBUTES_MAX)
    images: list[ImageBody] = Field(default=[], max_length=IMAGES_MAX)
    options: list[Text] = Field(default=[], max_length=OPTIONS_MAX)
    variants: list[VariantBody] = Field(min_length=1, max_length=VARIANTS_MAX)
    published: bool = True

    def content(self, handle: str) -> Content:
        return Content(
            handle=handle,
            title=self.title,
            description=self.description,
            vendor=self.vendor,
            categories=tuple(self.categories),
            tags=tuple(self.tags),
            attributes=self.attributes,
            images=tuple(Image(image.url, image.alt) for image in self.images),
            options=tuple(self.options),
            variants=tuple(variant.variant() for variant in self.variants),
            published=self.published,
        )


class WholeProduct(ProductBody):
    """A product with its handle: what a batch takes, the export answers and a file has a line."""

    handle: str = Field(min_length=1, max_length=TEXT_LENGTH_MAX)


# Each is parsed on its own, so that one that does not fit does not turn back the others.
BatchedProduct = Annotated[
    dict[str, Any], WithJsonSchema({"type": "object", "description": "A WholeProduct."})
]


class Batch(RequestModel):
    products: list[BatchedProduct] = Field(min_length=1, max_length=BATCH_MAX)


class ProductsQuery(RequestModel):
    q: str | None = Field(default=None, max_length=QUERY_LENGTH_MAX)
    category: Slug | None = None
    price_min: Amount | None = None
    price_max: Amount | None = None
    currency: Currency | None = None
    sort: Sort = Sort.RELEVANCE
    limit: int = Field(default=PAGE_SIZE, ge=1, le=PAGE_SIZE_MAX)
    cursor: Cursor | None = None

    def query(self, categories: tuple[str, ...]) -> ProductQuery:
        """Ask for products in one of these, which are `category` and those in it; none for any."""
        return ProductQuery(
            words=self.q or None,
            categories=categories,
            amount_min=self.price_min,
            amount_max=self.price_max,
            currency=self.currency,
            sort=self.sort,
            limit=self.limit,
        )

    @property
    def listing(self) -> str:
        """Name what a cursor of this question is good for: the question without its limit."""
        return "products?" + self.model_dump_json(exclude={"limit", "cursor"})


class PictureBody(RequestModel):
    """A picture that is to be uploaded: its type, and its exact size in bytes."""

    content_type: PictureType
    bytes: int = Field(ge=1, le=PICTURE_BYTES_MAX)


class UploadedBody(RequestModel):
    """What an uploaded picture shows, in words."""

    alt: str = ""


class CategoryBody(RequestModel):
    """A category as its merchant describes it; without a parent it is at the top."""

    title: str = Field(min_length=1, max_length=TITLE_LENGTH_MAX)
    parent: Slug | None = None


class ExportQuery(RequestModel):
    limit: int = Field(default=BATCH_MAX, ge=1, le=PAGE_SIZE_MAX)
    cursor: Cursor | None = None


class Rebuild(RequestModel):
    """Where to go on; nothing to begin."""

    cursor: Cursor | None = None


def content_of(product: Mapping[str, Any]) -> Content | InvalidError:
    """Read one product of a batch, or tell why it is none."""
    try:
        parsed = WholeProduct.model_validate_json(json.dumps(product), strict=True)
        return parsed.content(parsed.handle)
    except ValidationError as error:
        return InvalidBodyError("product", mistakes(error))
    except InvalidError as refusal:
        return refusal
