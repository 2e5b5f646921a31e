"""Pictures a merchant uploads: what is taken for one, and where it lies."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tradepost.kernel.errors import InvalidError, NotFoundError

PICTURE_BYTES_MAX = 10 * 1024 * 1024
UPLOAD_LIFETIME = timedelta(minutes=15)


class PictureType(StrEnum):
    """What a browser shows and cannot be made to run: no SVG, which may hold a script."""

    JPEG = "image/jpeg"
    PNG = "image/png"
    GIF = "image/gif"
    WEBP = "image/webp"


_SUFFIXES = {
    PictureType.JPEG: "jpg",
    PictureType.PNG: "png",
    PictureType.GIF: "gif",
    PictureType.WEBP: "webp",
}
assert set(_SUFFIXES) == set(PictureType)


class PictureNotFoundError(NotFoundError):
    """Nothing was uploaded under this id for this product, or it is a day ago."""

    code = "picture_not_found"

    def __init__(self, picture_id: str) -> None:
        super().__init__("nothing was uploaded under this id")
        self.picture_id = picture_id


class InvalidPictureError(InvalidError):
    """What was uploaded is no picture that we take."""

    code = "invalid_picture"

    def __init__(self, problem: str) -> None:
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Upload:
    """Where to send the bytes of a picture, once, and with which headers."""

    picture_id: str
    url: str
    headers: dict[str, str]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is kept. Its name is of its content: the same bytes are one picture."""

    content: bytes
    type: PictureType

    @classmethod
    def of(cls, content: bytes) -> Picture:
        """Take bytes for what they begin as, whatever they were called.

        Raises
        ------
        InvalidPictureError
            They begin as no picture of a type that we take.
        """
        found = _type_of(content)
        if found is None:
            raise InvalidPictureError("no JPEG, PNG, GIF or WebP")
        return cls(content, found)

    @property
    def name(self) -> str:
        return f"{hashlib.sha256(self.content).hexdigest()[:40]}.{_SUFFIXES[self.type]}"

    @property
    def path(self) -> str:
        """Where a browser finds it on the shop's host."""
        return f"/pictures/{self.name}"


def require_size(size: int) -> None:
    """Refuse what is larger than a picture may be. Raises InvalidPictureError."""
    if size > PICTURE_BYTES_MAX:
        raise InvalidPictureError(f"larger than {PICTURE_BYTES_MAX} bytes")


def _type_of(content: bytes) -> PictureType | None:
    # The signatures of mimesniff.spec.whatwg.org, section 6.1, and PNG's first chunk.
    if content.startswith(b"\xff\xd8\xff"):
        return PictureType.JPEG
    if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
        return PictureType.PNG
    if content.startswith((b"GIF87a", b"GIF89a")):
        return PictureType.GIF
    if content.startswith(b"RIFF") and content[8:14] == b"WEBPVP":
        return PictureType.WEBP
    return None
