"""What a merchant does with products."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from catalog.model.product import (
    Content,
    Outcome,
    Product,
    ProductNotFoundError,
    StaleProductError,
    VersionMismatchError,
    new_product,
)
from catalog.ports import Page, Position, ProductRepository
from tradepost.contracts.catalog import (
    OfferedVariant,
    ProductChangedV1,
    ProductChangedV2,
    ProductPublishedV1,
    ProductPublishedV2,
    ProductWithdrawnV1,
    TaxedVariant,
)
from tradepost.contracts.event import Event, event_id
from tradepost.kernel.clock import Clock
from tradepost.kernel.errors import DomainError

# Merchants writing one product at once; each attempt lets at least one of them through.
_ATTEMPTS_MAX = 5


def show_product(handle: str, *, products: ProductRepository) -> Product:
    """Show a product that is on sale.

    Raises
    ------
    ProductNotFoundError
        Unknown or withdrawn: the public cannot tell which.
    """
    # As the last write left it: what is read here may be kept and shown for a while.
    product = products.find(handle)
    if product is None or not product.is_on_sale:
        raise ProductNotFoundError(handle)
    return product


def show_to_staff(handle: str, *, products: ProductRepository) -> Product:
    """Show a product, on sale or not.

    Raises
    ------
    ProductNotFoundError
        There never was such a product.
    """
    product = products.find(handle)
    if product is None:
        raise ProductNotFoundError(handle)
    return product


def put_product(
    content: Content,
    *,
    stored: Product | None,
    version: int | None = None,
    correlation_id: str,
    products: ProductRepository,
    now: Clock,
) -> tuple[Product, Outcome]:
    """Create the product or replace all of its content; `stored` is what is believed there.

    The events are written with the change. Without a `version` the last writer wins; with one,
    whoever read another does not write. Safe to repeat: the same content again writes nothing,
    whichever version it was based on.

    Raises
    ------
    VersionMismatchError
        It is not at `version`, or there is no such product yet. Nothing was written.
    SKUTakenError
        Another product has one of the SKUs.
    StaleProductError
        Others kept writing it; nothing was written, and the call may be repeated.
    """
    for _ in range(_ATTEMPTS_MAX):
        if stored is not None and stored.content == content:
            return stored, Outcome.UNCHANGED
        _require_version(stored, version)
        moment = now()
        if stored is None:
            product = new_product(content, at=moment)
        else:
            product = stored.revised(content, at=moment)
        try:
            products.save(
                product,
                replacing=stored,
                events=_facts(stored, product, correlation_id=correlation_id, at=moment),
            )
        except StaleProductError:
            stored = products.find(content.handle)
        else:
            return product, Outcome.CREATED if stored is None else Outcome.CHANGED
    raise StaleProductError(content.handle)


def put_products(
    contents: Sequence[Content],
    *,
    correlation_id: str,
    products: ProductRepository,
    now: Clock,
) -> list[Outcome | DomainError]:
    """Create or replace many products, each for itself: a refused one is told and left out."""
    stored = products.find_many(content.handle for content in contents)
    results: list[Outcome | DomainError] = []
    for content in contents:
        try:
            _, outcome = put_product(
                content,
                stored=stored.get(content.handle),
                correlation_id=correlation_id,
                products=products,
                now=now,
            )
        except DomainError as refusal:
            results.append(refusal)
        else:
            results.append(outcome)
    return results


def withdraw_product(
    handle: str,
    *,
    version: int | None = None,
    correlation_id: str,
    products: ProductRepository,
    now: Clock,
) -> None:
    """Take a product off sale. It is kept, and its SKUs stay its own; safe to repeat.

    Raises
    ------
    ProductNotFoundError
        There never was such a product.
    VersionMismatchError
        It is on sale, and not at `version`.
    StaleProductError
        Others kept writing it.
    """
    for _ in range(_ATTEMPTS_MAX):
        stored = products.find(handle)
        if stored is None:
            raise ProductNotFoundError(handle)
        if not stored.is_on_sale:
            return
        _require_version(stored, version)
        moment = now()
        product = stored.withdrawn(at=moment)
        events = _facts(stored, product, correlation_id=correlation_id, at=moment)
        try:
            products.save(product, replacing=stored, events=events)
        except StaleProductError:
            continue
        return
    raise StaleProductError(handle)


def export_products(
    limit: int, after: Position | None, *, products: ProductRepository
) -> Page[Product]:
    """List all products whole, on sale or not, in the order of their handles."""
    page = products.handles(limit, after)
    found = products.find_many(page.items)
    return Page(tuple(found[handle] for handle in page.items if handle in found), page.after)


def _require_version(stored: Product | None, version: int | None) -> None:
    at = stored.version if stored is not None else 0
    if version is not None and version != at:
        raise VersionMismatchError(at)


def _facts(
    before: Product | None, after: Product, *, correlation_id: str, at: datetime
) -> tuple[Event, ...]:
    """State what others have to know of the change; nothing while it is not on sale.

    Whoever still hears of the first version hears of it beside the second.
    """
    was_on_sale = before is not None and before.is_on_sale
    if not was_on_sale and not after.is_on_sale:
        return ()
    kept = after.content.skus
    previous = before.content.skus if before is not None else ()

    def told(event_type: str) -> dict[str, Any]:
        return {
            "event_id": event_id(event_type, after.product_id, after.version),
            "occurred_at": at,
            "correlation_id": correlation_id,
            "version": after.version,
            "product_id": after.product_id,
            "handle": after.handle,
        }

    if not after.is_on_sale:
        gone = tuple(dict.fromkeys((*previous, *kept)))
        return (ProductWithdrawnV1(skus=gone, **told(ProductWithdrawnV1.TYPE)),)
    taxed = _taxed(after.content)
    offered = tuple(OfferedVariant(**each.model_dump(exclude={"tax_class"})) for each in taxed)
    if not was_on_sale:
        return (
            ProductPublishedV2(variants=taxed, **told(ProductPublishedV2.TYPE)),
            ProductPublishedV1(variants=offered, **told(ProductPublishedV1.TYPE)),
        )
    removed = tuple(sku for sku in previous if sku not in kept)
    return (
        ProductChangedV2(variants=taxed, removed_skus=removed, **told(ProductChangedV2.TYPE)),
        ProductChangedV1(variants=offered, removed_skus=removed, **told(ProductChangedV1.TYPE)),
    )


def _taxed(content: Content) -> tuple[TaxedVariant, ...]:
    return tuple(
        TaxedVariant(
            sku=variant.sku,
            title=content.title_of(variant),
            amount_minor=variant.price.amount_minor,
            currency=variant.price.currency,
            weight_grams=variant.weight_grams,
            tax_class=variant.tax_class.value,
        )
        for variant in content.variants
    )
