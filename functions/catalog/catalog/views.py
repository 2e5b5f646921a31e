"""What the catalogue answers over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Self

from catalog.api import EXPORT_BYTES_MAX, BatchedProduct, WholeProduct
from catalog.model.category import Place
from catalog.model.picture import Upload
from catalog.model.product import (
    TEXT_LENGTH_MAX,
    Content,
    Image,
    Outcome,
    Product,
    TaxClass,
    Variant,
)
from catalog.ports import Category, Page, Position, Summary
from tradepost.kernel.errors import DomainError
from tradepost.kernel.money import Money
from tradepost.platform.bodies import Amount, View


class ImageView(View):
    url: str
    alt: str

    @classmethod
    def of(cls, image: Image) -> Self:
        return cls(url=image.url, alt=image.alt)


class VariantView(View):
    sku: str
    title: str  # the product's title with the choice
    option_values: list[str]
    price: Amount
    compare_at: Amount | None
    weight_grams: int
    barcode: str | None
    tax_class: TaxClass


class ProductView(View):
    product_id: str
    handle: str
    title: str
    description: str
    vendor: str
    categories: list[str]
    tags: list[str]
    attributes: dict[str, str]
    images: list[ImageView]
    options: list[str]
    variants: list[VariantView]
    published: bool
    version: int


class WrittenProductView(ProductView):
    outcome: Outcome


class SummaryView(View):
    product_id: str
    handle: str
    title: str
    vendor: str
    categories: list[str]
    image: ImageView | None
    price_from: Amount
    price_to: Amount
    variant_count: int


class ProductsView(View):
    products: list[SummaryView]
    next_cursor: str | None


class CategoryView(View):
    """`parent` is the slug of the category it is in; `product_count` is of those in it itself."""

    slug: str
    title: str
    parent: str | None
    product_count: int


class CategoriesView(View):
    categories: list[CategoryView]


class UploadView(View):
    """Where to `PUT` the picture's bytes, with these headers, before it expires."""

    picture_id: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


class PlaceView(View):
    """A category as its merchant described it."""

    slug: str
    title: str
    parent: str | None


class BatchResultView(View):
    """`outcome` is created, changed, unchanged, or refused with the problem that says why."""

    handle: str
    outcome: str
    problem: dict[str, Any] | None = None


class BatchView(View):
    results: list[BatchResultView]


class ExportView(View):
    products: list[WholeProduct]
    next_cursor: str | None


class RebuiltView(View):
    """How many products this call indexed anew, and where the next one goes on."""

    products: int
    next_cursor: str | None


def product_view(product: Product) -> ProductView:
    return ProductView.model_validate(_fields(product))


def written_view(product: Product, outcome: Outcome) -> WrittenProductView:
    return WrittenProductView.model_validate({**_fields(product), "outcome": outcome})


def whole_product(content: Content) -> WholeProduct:
    """Write a product as `PUT` takes it."""
    variants = [_variant(variant) for variant in content.variants]
    return WholeProduct.model_validate({**_texts(content), "variants": variants})


def export_view(page: Page[Product], sign: Callable[[Position | None], str | None]) -> ExportView:
    """Write as many products of the page as one answer holds; the cursor goes on after them."""
    told: list[WholeProduct] = []
    size = 0
    for product in page.items:
        whole = whole_product(product.content)
        size += len(whole.model_dump_json().encode())
        if told and size > EXPORT_BYTES_MAX:
            return ExportView(products=told, next_cursor=sign({"handle": told[-1].handle}))
        told.append(whole)
    return ExportView(products=told, next_cursor=sign(page.after))


def batch_view(
    asked: Sequence[BatchedProduct],
    read: Sequence[Content | DomainError],
    written: Iterable[Outcome | DomainError],
) -> BatchView:
    """Tell what became of each product, in the order they came in.

    `written` has a result for each product that could be read.
    """
    results = iter(written)
    return BatchView(
        results=[
            _batch_result(
                _handle_of(product),
                next(results) if isinstance(content, Content) else content,
            )
            for product, content in zip(asked, read, strict=True)
        ]
    )


def _handle_of(product: BatchedProduct) -> str:
    """Name a product that may have been refused for its very handle."""
    handle = product.get("handle")
    return handle[:TEXT_LENGTH_MAX] if isinstance(handle, str) else ""


def _batch_result(handle: str, result: Outcome | DomainError) -> BatchResultView:
    if isinstance(result, Outcome):
        return BatchResultView(handle=handle, outcome=result.value)
    return BatchResultView(handle=handle, outcome="refused", problem=_problem(result))


def products_view(page: Page[Summary], next_cursor: str | None) -> ProductsView:
    return ProductsView(products=[_summary(item) for item in page.items], next_cursor=next_cursor)


def categories_view(categories: list[Category]) -> CategoriesView:
    return CategoriesView(
        categories=[
            CategoryView(
                slug=category.slug,
                title=category.title,
                parent=category.parent,
                product_count=category.product_count,
            )
            for category in categories
        ]
    )


def upload_view(upload: Upload) -> UploadView:
    return UploadView(
        picture_id=upload.picture_id,
        url=upload.url,
        headers=upload.headers,
        expires_at=upload.expires_at,
    )


def place_view(place: Place) -> PlaceView:
    return PlaceView(slug=place.slug, title=place.title, parent=place.parent)


def _problem(refusal: DomainError) -> dict[str, Any]:
    return {**refusal.facts, "code": refusal.code, "detail": str(refusal)}


def _summary(summary: Summary) -> SummaryView:
    return SummaryView(
        product_id=summary.product_id,
        handle=summary.handle,
        title=summary.title,
        vendor=summary.vendor,
        categories=list(summary.categories),
        image=ImageView.of(summary.image) if summary.image is not None else None,
        price_from=Amount.of(summary.price_from),
        price_to=Amount.of(summary.price_to),
        variant_count=summary.variant_count,
    )


def _fields(product: Product) -> dict[str, Any]:
    variants = [
        {**_variant(variant), "title": product.content.title_of(variant)}
        for variant in product.content.variants
    ]
    return {
        **_texts(product.content),
        "variants": variants,
        "product_id": product.product_id,
        "version": product.version,
    }


def _texts(content: Content) -> dict[str, Any]:
    return {
        "handle": content.handle,
        "title": content.title,
        "description": content.description,
        "vendor": content.vendor,
        "categories": list(content.categories),
        "tags": list(content.tags),
        "attributes": content.attributes,
        "images": [{"url": image.url, "alt": image.alt} for image in content.images],
        "options": list(content.options),
        "published": content.published,
    }


def _variant(variant: Variant) -> dict[str, Any]:
    return {
        "sku": variant.sku,
        "option_values": list(variant.option_values),
        "price": _money(variant.price),
        "compare_at": _money(variant.compare_at),
        "weight_grams": variant.weight_grams,
        "barcode": variant.barcode,
        "tax_class": variant.tax_class,
    }


def _money(money: Money | None) -> dict[str, Any] | None:
    if money is None:
        return None
    return {"amount_minor": money.amount_minor, "currency": money.currency}
