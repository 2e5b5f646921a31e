"""
The kinds of refusal. A context subclasses a kind; an entry point maps the kind.

* DomainError              the business said no: an answer, not a fault
  x InvalidError           the request makes no sense, whatever the present state is
    + IdempotencyMismatchError  its key belongs to another request
  x NotFoundError          no such thing, or not for this caller
  x ConflictError          it exists, but its present state forbids this
    + StaleError           it changed since the caller read it
  x ForbiddenError         the caller is known and may not do this
  x UnauthenticatedError   the caller is not who they need to be
* UnavailableError         a dependency did not answer: the same call may succeed later

`code` is what a program compares, and never changes once published. Public attributes of an
error are the facts a caller is told beside the message: no personal data belongs in them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class DomainError(Exception):
    """The business said no."""

    code: ClassVar[str] = "refused"

    @property
    def facts(self) -> dict[str, Any]:
        """The public attributes: what this refusal was about."""
        return {name: fact for name, fact in vars(self).items() if not name.startswith("_")}


class InvalidError(DomainError):
    """The request makes no sense, whatever the present state is."""

    code = "invalid_request"


class IdempotencyMismatchError(InvalidError):
    """The Idempotency-Key was used before, with another body. Nothing was done."""

    code = "idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key belongs to another request; use a fresh one")


class NotFoundError(DomainError):
    """No such thing, or not for this caller: the caller cannot tell which."""

    code = "not_found"


class ConflictError(DomainError):
    """It exists, but its present state forbids this."""

    code = "conflict"


class StaleError(ConflictError):
    """It changed since the caller read it. Nothing was written; read again and decide anew."""

    code = "stale"


class ForbiddenError(DomainError):
    """The caller is known and may not do this."""

    code = "forbidden"


class UnauthenticatedError(DomainError):
    """The caller is not who they need to be."""

    code = "unauthorized"


class UnavailableError(Exception):
    """A dependency did not answer. The same call may succeed later."""

    code: ClassVar[str] = "unavailable"
