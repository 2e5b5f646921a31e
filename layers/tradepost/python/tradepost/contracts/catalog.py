"""What catalog publishes. The aggregate is the product."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from tradepost.contracts.event import Event


class OfferedVariant(BaseModel):
    """A variant as others need it to sell it: what it is called, costs and weighs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sku: str
    title: str  # the product's title, with the variant's where there is a choice
    amount_minor: int = Field(ge=0)  # unit price
    currency: str  # ISO 4217
    weight_grams: int = Field(ge=0)


class TaxedVariant(OfferedVariant):
    """A variant with the class its tax is reckoned by, which each country has a rate for."""

    tax_class: Literal["standard", "reduced", "zero"]


class ProductPublishedV1(Event):
    """A product is on sale, for the first time or again. Its variants may be put in carts."""

    TYPE: ClassVar[str] = "product.published.v1"

    type: Literal["product.published.v1"] = "product.published.v1"
    product_id: str
    handle: str
    variants: tuple[OfferedVariant, ...] = Field(min_length=1)


class ProductPublishedV2(Event):
    """A product is on sale, for the first time or again. Its variants may be put in carts."""

    TYPE: ClassVar[str] = "product.published.v2"

    type: Literal["product.published.v2"] = "product.published.v2"
    product_id: str
    handle: str
    variants: tuple[TaxedVariant, ...] = Field(min_length=1)


class ProductChangedV1(Event):
    """A product on sale changed. `variants` is the whole new list; one not in it is gone."""

    TYPE: ClassVar[str] = "product.changed.v1"

    type: Literal["product.changed.v1"] = "product.changed.v1"
    product_id: str
    handle: str
    variants: tuple[OfferedVariant, ...] = Field(min_length=1)
    removed_skus: tuple[str, ...] = ()


class ProductChangedV2(Event):
    """A product on sale changed. `variants` is the whole new list; one not in it is gone."""

    TYPE: ClassVar[str] = "product.changed.v2"

    type: Literal["product.changed.v2"] = "product.changed.v2"
    product_id: str
    handle: str
    variants: tuple[TaxedVariant, ...] = Field(min_length=1)
    removed_skus: tuple[str, ...] = ()


class ProductWithdrawnV1(Event):
    """A product is no longer on sale. Its variants cannot be bought any more."""

    TYPE: ClassVar[str] = "product.withdrawn.v1"

    type: Literal["product.withdrawn.v1"] = "product.withdrawn.v1"
    product_id: str
    handle: str
    skus: tuple[str, ...]
