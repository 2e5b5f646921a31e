"""The catalogue over HTTP, and the consumers of its table's stream."""

from __future__ import annotations

import functools
import os
from typing import Any

from chalice import Rate
from chalice.app import CloudWatchEvent, DynamoDBEvent

from catalog.answers import PublicAnswers
from catalog.api import (
    BATCH_BODY_BYTES_MAX,
    PRODUCT_BODY_BYTES_MAX,
    Batch,
    CategoryBody,
    ExportQuery,
    PictureBody,
    ProductBody,
    ProductsQuery,
    Rebuild,
    UploadedBody,
    content_of,
)
from catalog.dynamodb import DynamoDBProducts, read_product
from catalog.dynamodb_categories import DynamoDBCategories
from catalog.model.category import (
    CategoriesChangedError,
    CategoryInUseError,
    CategoryNotFoundError,
    InvalidCategoryError,
    Place,
)
from catalog.model.picture import InvalidPictureError, PictureNotFoundError
from catalog.model.product import (
    Content,
    InvalidProductError,
    ProductNotFoundError,
    SKUTakenError,
    StaleProductError,
    TooManySKUChangesError,
    VersionMismatchError,
)
from catalog.picture_store import S3Pictures
from catalog.search import DynamoDBSearch
from catalog.use_cases import editing, filing, picturing, searching
from catalog.views import (
    BatchView,
    CategoriesView,
    ExportView,
    PlaceView,
    ProductsView,
    ProductView,
    RebuiltView,
    UploadView,
    WrittenProductView,
    batch_view,
    categories_view,
    export_view,
    place_view,
    product_view,
    upload_view,
    written_view,
)
from tradepost.kernel.clock import utc_now
from tradepost.kernel.errors import StaleError
from tradepost.kernel.ids import new_id
from tradepost.platform import aws, outbox
from tradepost.platform.arguments import IfMatch
from tradepost.platform.auth import PUBLIC, Role, Scope
from tradepost.platform.cache import CacheSettings, Policy
from tradepost.platform.cursor import InvalidCursorError, read_cursor, sign_cursor
from tradepost.platform.dynamodb import from_item
from tradepost.platform.service import Reply, Service

_STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/catalog/stream/placeholder"

# What a cursor of these listings is good for.
_EXPORT = "products-export"
_REBUILD = "rebuild-search"

app = Service("catalog")


@functools.cache
def products() -> DynamoDBProducts:
    return DynamoDBProducts(aws.dynamodb(), os.environ["CATALOG_TABLE"])


@functools.cache
def index() -> DynamoDBSearch:
    return DynamoDBSearch(aws.dynamodb(), os.environ["CATALOG_TABLE"])


@functools.cache
def categories() -> DynamoDBCategories:
    return DynamoDBCategories(aws.dynamodb(), os.environ["CATALOG_TABLE"])


@functools.cache
def pictures() -> S3Pictures:
    signer = aws.s3_signing_for(os.environ["PICTURES_ENDPOINT"])
    return S3Pictures(aws.s3(), signer, os.environ["PICTURES_BUCKET"])


@functools.cache
def answers() -> PublicAnswers:
    settings = CacheSettings(
        policy=Policy(os.environ["CATALOG_CACHE_POLICY"]),
        entries_max=int(os.environ["CATALOG_CACHE_ENTRIES"]),
        bytes_max=int(os.environ["CATALOG_CACHE_BYTES"]),
        fresh_seconds=int(os.environ["CATALOG_CACHE_SECONDS"]),
        absent_seconds=int(os.environ["CATALOG_CACHE_ABSENT_SECONDS"]),
    )
    return PublicAnswers(products(), index(), categories(), settings, now=utc_now)


@app.get("/v1/products", roles=PUBLIC, cacheable=True, refusals=(InvalidCursorError,))
def search_products(query: ProductsQuery) -> Reply[ProductsView]:
    """Browse and search the products on sale.

    `q` finds products by the words they begin with, all of them; prices are in minor units. A
    page may hold fewer products than `limit`, even none: `next_cursor` alone tells the end.
    """
    return answers().listing(query)


@app.get("/v1/products/{handle}", roles=PUBLIC, cacheable=True, refusals=(ProductNotFoundError,))
def show_product(handle: str) -> Reply[ProductView]:
    """Show one product on sale with its variants."""
    return answers().product(handle)


@app.get("/v1/categories", roles=PUBLIC, cacheable=True)
def list_categories() -> Reply[CategoriesView]:
    """List the categories that lead to products on sale, and how many each has itself.

    A category is browsed with all that are in it.
    """
    return answers().categories()


@app.get("/v1/staff/products/{handle}", roles={Role.ADMIN}, refusals=(ProductNotFoundError,))
def show_product_to_staff(handle: str) -> Reply[ProductView]:
    """Show a product, on sale or not, as the last write left it, with its version as `ETag`."""
    product = editing.show_to_staff(handle, products=products())
    return Reply(product_view(product), headers=_version(product.version))


@app.put(
    "/v1/products/{handle}",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_WRITE,
    refusals=(
        InvalidProductError,
        SKUTakenError,
        VersionMismatchError,
        StaleProductError,
        TooManySKUChangesError,
    ),
    body_bytes_max=PRODUCT_BODY_BYTES_MAX,
)
def put_product(
    handle: str, body: ProductBody, if_match: IfMatch | None, correlation_id: str
) -> Reply[WrittenProductView]:
    """Create a product or replace all of it.

    The same content again changes nothing. An unpublished product is kept, but not shown or sold.
    With `If-Match` only the version that was read is replaced; without it the last writer wins.
    """
    product, outcome = editing.put_product(
        body.content(handle),
        stored=products().find(handle),
        version=if_match,
        correlation_id=correlation_id,
        products=products(),
        now=utc_now,
    )
    answers().forget([handle])
    return Reply(written_view(product, outcome), headers=_version(product.version))


@app.post(
    "/v1/products/batch",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_WRITE,
    repeatable="a product that has this content already is left as it is",
    body_bytes_max=BATCH_BODY_BYTES_MAX,
)
def put_products(body: Batch, correlation_id: str) -> BatchView:
    """Create or replace up to 50 products, each for itself.

    A refused one is told with its problem and does not turn back the others.
    """
    read = [content_of(product) for product in body.products]
    contents = [content for content in read if isinstance(content, Content)]
    written = editing.put_products(
        contents, correlation_id=correlation_id, products=products(), now=utc_now
    )
    answers().forget(content.handle for content in contents)
    return batch_view(body.products, read, written)


@app.delete(
    "/v1/products/{handle}",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_WRITE,
    status=204,
    refusals=(ProductNotFoundError, VersionMismatchError, StaleProductError),
)
def withdraw_product(handle: str, if_match: IfMatch | None, correlation_id: str) -> None:
    """Take a product off sale; it is kept with its SKUs, and a `PUT` brings it back."""
    editing.withdraw_product(
        handle,
        version=if_match,
        correlation_id=correlation_id,
        products=products(),
        now=utc_now,
    )
    answers().forget([handle])


@app.get("/v1/staff/categories", roles={Role.ADMIN})
def list_all_categories() -> Reply[CategoriesView]:
    """List all categories, empty ones too, with the version of their descriptions as `ETag`."""
    found, version = filing.list_all_categories(categories=categories(), index=index())
    return Reply(categories_view(found), headers=_version(version))


@app.put(
    "/v1/categories/{slug}",
    roles={Role.ADMIN},
    refusals=(InvalidCategoryError, CategoriesChangedError, StaleError),
)
def put_category(slug: str, body: CategoryBody, if_match: IfMatch | None) -> Reply[PlaceView]:
    """Describe a category, rename it, or move it with all that is in it.

    Products name the slug, which stays. `If-Match` is the version of all descriptions.
    """
    place = Place(slug, body.title, body.parent)
    tree = filing.put_category(place, version=if_match, categories=categories())
    answers().forget_listings()
    return Reply(place_view(place), headers=_version(tree.version))


@app.delete(
    "/v1/categories/{slug}",
    roles={Role.ADMIN},
    status=204,
    refusals=(CategoryNotFoundError, CategoryInUseError, CategoriesChangedError, StaleError),
)
def delete_category(slug: str, if_match: IfMatch | None) -> None:
    """Forget a category that no product, on sale or not, and no other category is in."""
    filing.delete_category(slug, version=if_match, categories=categories(), index=index())
    answers().forget_listings()


@app.post(
    "/v1/products/{handle}/pictures",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_WRITE,
    status=201,
    repeatable="nothing is stored: a repeat makes another address, and one not used is forgotten",
    refusals=(ProductNotFoundError,),
)
def begin_upload(handle: str, body: PictureBody) -> UploadView:
    """Get an address to upload a picture of a product to: JPEG, PNG, GIF or WebP.

    `PUT` the bytes there with the headers told, then add the picture under its id.
    """
    upload = picturing.begin_upload(
        handle,
        body.content_type,
        body.bytes,
        products=products(),
        pictures=pictures(),
        now=utc_now,
        new_id=new_id,
    )
    return upload_view(upload)


@app.put(
    "/v1/products/{handle}/pictures/{picture_id}",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_WRITE,
    refusals=(
        ProductNotFoundError,
        PictureNotFoundError,
        InvalidPictureError,
        InvalidProductError,
        VersionMismatchError,
        StaleProductError,
    ),
)
def add_picture(
    handle: str,
    picture_id: str,
    body: UploadedBody,
    if_match: IfMatch | None,
    correlation_id: str,
) -> Reply[WrittenProductView]:
    """Put an uploaded picture behind the product's others.

    What is no picture, whatever it was called, is refused. `PUT` of the product orders its
    pictures, changes their words and leaves them out.
    """
    product, outcome = picturing.add_picture(
        handle,
        picture_id,
        body.alt,
        version=if_match,
        correlation_id=correlation_id,
        products=products(),
        pictures=pictures(),
        now=utc_now,
    )
    answers().forget([handle])
    return Reply(written_view(product, outcome), headers=_version(product.version))


@app.get(
    "/v1/products-export",
    roles={Role.ADMIN},
    scope=Scope.CATALOG_READ,
    refusals=(InvalidCursorError,),
)
def export_products(query: ExportQuery) -> ExportView:
    """List all products, on sale or not, as `PUT` and the batch take them."""
    after = read_cursor(query.cursor, _EXPORT)
    page = editing.export_products(query.limit, after, products=products())
    return export_view(page, lambda position: sign_cursor(position, _EXPORT))


@app.post(
    "/v1/products/rebuild-search",
    roles={Role.ADMIN},
    repeatable="the index of a product written anew is the same",
    refusals=(InvalidCursorError,),
)
def rebuild_search(body: Rebuild) -> RebuiltView:
    """Build the search index anew, up to 200 products a call.

    Repeat with `next_cursor` until it is null. Searches go on being answered meanwhile.
    """
    after = read_cursor(body.cursor, _REBUILD)
    count, position = searching.rebuild_search(after, products=products(), index=index())
    answers().forget_listings()
    return RebuiltView(products=count, next_cursor=sign_cursor(position, _REBUILD))


@app.on_dynamodb_record(stream_arn=_STREAM, name="index_products", batch_size=100)
def index_products(event: DynamoDBEvent) -> dict[str, Any]:
    """Make changed products findable. The filter lets only product items in."""
    records = [record["dynamodb"] for record in event.to_dict()["Records"]]
    changed = [read_product(from_item(record["NewImage"])) for record in records]
    again = searching.index_products(changed, index=index())
    answers().forget(product.handle for product in changed)
    answers().forget_listings()
    return {
        "batchItemFailures": [
            {"itemIdentifier": record["SequenceNumber"]}
            for record, product in zip(records, changed, strict=True)
            if product.handle in again
        ]
    }


@app.on_dynamodb_record(stream_arn=_STREAM, name="relay", batch_size=100)
def relay(event: DynamoDBEvent) -> dict[str, Any]:
    """Publish the events that the table's stream brings."""
    return outbox.relay(
        event.to_dict(),
        table=os.environ["CATALOG_TABLE"],
        topic_arn=os.environ["EVENTS_TOPIC_ARN"],
    )


@app.schedule(Rate(1, unit=Rate.MINUTES), name="relay_overdue")
def relay_overdue(_event: CloudWatchEvent) -> None:
    """Publish the events that the relay missed."""
    outbox.relay_overdue(
        table=os.environ["CATALOG_TABLE"], topic_arn=os.environ["EVENTS_TOPIC_ARN"]
    )


def _version(version: int) -> dict[str, str]:
    return {"ETag": f'"{version}"'}
