"""How a merchant's own pictures get onto a product."""

from __future__ import annotations

from dataclasses import replace

from catalog.model.picture import (
    Picture,
    PictureNotFoundError,
    PictureType,
    Upload,
    require_size,
)
from catalog.model.product import Image, Outcome, Product
from catalog.ports import PictureStore, ProductRepository
from catalog.use_cases import editing
from tradepost.kernel.clock import Clock
from tradepost.kernel.ids import NewId


def begin_upload(
    handle: str,
    type_: PictureType,
    size: int,
    *,
    products: ProductRepository,
    pictures: PictureStore,
    now: Clock,
    new_id: NewId,
) -> Upload:
    """Say where to send a picture of a product. Nothing is written: one never sent is forgotten.

    Raises
    ------
    ProductNotFoundError
        There is no such product.
    InvalidPictureError
        It is too large.
    """
    require_size(size)
    product = editing.show_to_staff(handle, products=products)
    return pictures.upload(product.product_id, new_id("pic"), type_, size, at=now())


def add_picture(
    handle: str,
    picture_id: str,
    alt: str,
    *,
    version: int | None,
    correlation_id: str,
    products: ProductRepository,
    pictures: PictureStore,
    now: Clock,
) -> tuple[Product, Outcome]:
    """Put an uploaded picture behind the product's others, if it is one.

    Safe to repeat: a picture the product has already, with these words, is left where it is.

    Raises
    ------
    ProductNotFoundError
        There is no such product.
    PictureNotFoundError
        Nothing was uploaded under this id for it.
    InvalidPictureError
        It is no picture, or too large.
    VersionMismatchError, StaleProductError, InvalidProductError
        See `editing.put_product`.
    """
    product = editing.show_to_staff(handle, products=products)
    uploaded = pictures.uploaded(product.product_id, picture_id)
    if uploaded is None:
        raise PictureNotFoundError(picture_id)
    require_size(len(uploaded))
    picture = Picture.of(uploaded)
    pictures.keep(picture)
    image = Image(picture.path, alt)
    content = product.content
    if any(each.url == image.url for each in content.images):
        images = tuple(image if each.url == image.url else each for each in content.images)
    else:
        images = (*content.images, image)
    return editing.put_product(
        replace(content, images=images),
        stored=product,
        # What is added to is what was read, and nothing that somebody wrote meanwhile.
        version=product.version if version is None else version,
        correlation_id=correlation_id,
        products=products,
        now=now,
    )
