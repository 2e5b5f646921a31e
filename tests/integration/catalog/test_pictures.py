"""A merchant's own pictures, from the upload to the product that shows them."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest

from catalog.model.picture import PICTURE_BYTES_MAX
from tests.integration.catalog.conftest import BUCKET


def png(colour: bytes = b"\xff\x00\x00") -> bytes:
    """Write a picture of one dot."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sum_ = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sum_

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    dots = zlib.compress(b"\0" + colour)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header) + chunk(b"IDAT", dots) + chunk(b"IEND", b"")
    )  # fmt: skip


SCRIPT = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"\0" * 20
GIF = b"GIF89a" + b"\0" * 20
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 " + b"\0" * 20


def begin(shop: Any, content: bytes, content_type: str = "image/png", **sent: Any) -> Any:
    body = {"content_type": content_type, "bytes": len(content)}
    return shop.call(
        "POST", "/v1/products/{handle}/pictures", path={"handle": "mug"}, body=body, **sent
    )


def upload(shop: Any, content: bytes, content_type: str = "image/png") -> str:
    """Send the bytes where the shop says; tell the picture's id."""
    begun = begin(shop, content, content_type)
    assert begun.status == 201, begun.body
    boto3.client("s3").put_object(Bucket=BUCKET, Key=key_of(begun.body["url"]), Body=content)
    picture_id: str = begun.body["picture_id"]
    return picture_id


def key_of(url: str) -> str:
    return urlsplit(url).path.partition(f"/{BUCKET}/")[2]


def add(shop: Any, picture_id: str, alt: str = "", handle: str = "mug", **sent: Any) -> Any:
    return shop.call(
        "PUT",
        "/v1/products/{handle}/pictures/{picture_id}",
        path={"handle": handle, "picture_id": picture_id},
        body={"alt": alt},
        **sent,
    )


def kept() -> dict[str, Any]:
    """What is shown: the name of each picture, and how it is served."""
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="pictures/").get("Contents", [])
    return {each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"]) for each in listed}


@pytest.fixture
def mug(shop: Any, a_product: Any) -> Any:
    shop.put("mug", a_product(images=[{"url": "https://pictures.example/old.jpg"}]))
    return shop


def test_an_uploaded_picture_stands_behind_the_products_others(mug):
    added = add(mug, upload(mug, png()), "A red mug")

    assert (added.status, added.body["outcome"], added.headers["ETag"]) == (200, "changed", '"2"')
    old, new = mug.show("mug").body["images"]
    assert old["url"] == "https://pictures.example/old.jpg"
    assert new["alt"] == "A red mug"
    assert re.fullmatch(r"/pictures/[0-9a-f]{40}\.png", new["url"])


@pytest.mark.parametrize(
    ("content", "content_type"),
    [(png(), "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")],
)
def test_a_picture_is_served_as_what_it_is_and_for_ever(mug, content, content_type):
    # Whatever it was called when it was uploaded.
    add(mug, upload(mug, content, "image/jpeg"))

    ((_, served),) = kept().items()
    assert served["ContentType"] == content_type
    assert served["CacheControl"] == "public, max-age=31536000, immutable"
    assert served["Body"].read() == content


def test_an_address_takes_so_many_bytes_of_one_type_for_a_quarter_of_an_hour(mug):
    begun = begin(mug, b"x" * 77)

    signed = parse_qs(urlsplit(begun.body["url"]).query)
    assert begun.body["url"].startswith("https://uploads.example/")
    assert begun.body["headers"] == {"Content-Type": "image/png", "Content-Length": "77"}
    assert signed["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert signed["X-Amz-Expires"] == ["900"]


@pytest.mark.parametrize(
    "content",
    [
        SCRIPT,
        b"<html><script>alert(1)</script></html>",
        b"GIF88a",
        b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        b"RIFF\x24\x00\x00\x00WAVEfmt ",
        b"",
        png()[1:],
        b"x" * 2_000,
    ],
)
def test_what_is_no_picture_is_refused_whatever_it_is_called(mug, items, content):
    picture_id = upload(mug, png())
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=_uploads()[0], Body=content, ContentType="image/png"
    )
    before = items()

    refused = add(mug, picture_id)

    assert (refused.status, refused.body["code"]) == (422, "invalid_picture")
    assert kept() == {}
    assert items() == before


def _uploads() -> list[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="uploads/")
    return [each["Key"] for each in listed["Contents"]]


def test_a_picture_larger_than_was_said_and_allowed_is_refused(mug):
    picture_id = upload(mug, png())
    boto3.client("s3").put_object(
        Bucket=BUCKET, Key=_uploads()[0], Body=png() + b"\0" * PICTURE_BYTES_MAX
    )

    refused = add(mug, picture_id)

    assert (refused.status, refused.body["code"]) == (422, "invalid_picture")
    assert kept() == {}


@pytest.mark.parametrize(
    "body",
    [
        {"content_type": "image/svg+xml", "bytes": 10},
        {"content_type": "text/html", "bytes": 10},
        {"content_type": "image/png", "bytes": PICTURE_BYTES_MAX + 1},
        {"content_type": "image/png", "bytes": 0},
        {"content_type": "image/png"},
    ],
)
def test_no_address_is_given_for_what_would_be_refused(mug, body):
    refused = mug.call("POST", "/v1/products/{handle}/pictures", path={"handle": "mug"}, body=body)

    assert (refused.status, refused.body["code"]) == (422, "invalid_request")


def test_a_picture_is_added_once_however_often_it_is_asked_for(mug):
    picture_id = upload(mug, png())

    first, again = add(mug, picture_id, "Red"), add(mug, picture_id, "Red")
    same_bytes = add(mug, upload(mug, png()), "Red")
    other_words = add(mug, picture_id, "Scarlet")

    assert [each.body["outcome"] for each in (first, again, same_bytes, other_words)] == [
        "changed",
        "unchanged",
        "unchanged",
        "changed",
    ]
    assert [each["alt"] for each in mug.show("mug").body["images"]] == ["", "Scarlet"]
    assert len(kept()) == 1


def test_a_picture_of_another_product_or_that_never_came_is_not_there(mug, a_product):
    mug.put("cup", a_product(sku="CUP"))
    picture_id = upload(mug, png())

    answers = [
        add(mug, picture_id, handle="cup"),
        add(mug, "pic_nobody"),
        add(mug, "../../pictures/x"),
        add(mug, picture_id, handle="jug"),
    ]

    assert [(each.status, each.body["code"]) for each in answers] == [
        (404, "picture_not_found"),
        (404, "picture_not_found"),
        (404, "picture_not_found"),
        (404, "product_not_found"),
    ]


def test_a_picture_is_not_added_to_what_somebody_else_changed(mug, a_product):
    picture_id = upload(mug, png())
    mug.put("mug", a_product(title="Another"))

    refused = add(mug, picture_id, headers={"if-match": '"1"'})

    assert (refused.status, refused.body["code"]) == (412, "version_mismatch")
    assert mug.show("mug").body["images"] == []


def test_only_an_administrator_uploads_pictures(mug):
    for role in ("guest", "customer", "support", "warehouse"):
        assert begin(mug, png(), role=role).status == 403
        assert add(mug, "pic_x", role=role).status == 403
