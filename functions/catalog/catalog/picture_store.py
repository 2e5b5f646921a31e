"""
The bucket of pictures.

    key                                  what
    uploads/<product_id>/<picture_id>    what a merchant sent; gone after a day
    pictures/<digest>.<suffix>           what is shown; never changes

Nobody reads the bucket but the functions and whoever serves `/pictures/`. What was uploaded is
shown to nobody before it was looked at.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from catalog.model.picture import (
    PICTURE_BYTES_MAX,
    UPLOAD_LIFETIME,
    Picture,
    PictureType,
    Upload,
)

# The name is of the content, so it may be kept for ever.
_CACHE_CONTROL = "public, max-age=31536000, immutable"

_NOT_THERE = {"NoSuchKey", "404", "NotFound"}


class S3Pictures:
    """`signer` is a client whose addresses lead to where merchants reach the bucket."""

    def __init__(self, client: Any, signer: Any, bucket: str) -> None:
        self._client = client
        self._signer = signer
        self._bucket = bucket

    def upload(
        self, product_id: str, picture_id: str, type_: PictureType, size: int, *, at: datetime
    ) -> Upload:
        """Sign an address that takes just so many bytes of this type, for a while."""
        url: str = self._signer.generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket,
                "Key": _upload_key(product_id, picture_id),
                "ContentType": type_.value,
                "ContentLength": size,
            },
            ExpiresIn=int(UPLOAD_LIFETIME.total_seconds()),
        )
        headers = {"Content-Type": type_.value, "Content-Length": str(size)}
        return Upload(picture_id, url, headers, at + UPLOAD_LIFETIME)

    def uploaded(self, product_id: str, picture_id: str) -> bytes | None:
        """Read what was uploaded, or the beginning of what is too large; None if nothing was."""
        try:
            answer = self._client.get_object(
                Bucket=self._bucket,
                Key=_upload_key(product_id, picture_id),
                Range=f"bytes=0-{PICTURE_BYTES_MAX}",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _NOT_THERE:
                return None
            # S3 has no byte 0 of nothing.
            if error.response["Error"]["Code"] == "InvalidRange":
                return b""
            raise
        content: bytes = answer["Body"].read()
        return content

    def keep(self, picture: Picture) -> None:
        """Put it where it is shown; once more changes nothing."""
        self._client.put_object(
            Bucket=self._bucket,
            Key=f"pictures/{picture.name}",
            Body=picture.content,
            ContentType=picture.type.value,
            CacheControl=_CACHE_CONTROL,
        )


def _upload_key(product_id: str, picture_id: str) -> str:
    return f"uploads/{product_id}/{picture_id}"
