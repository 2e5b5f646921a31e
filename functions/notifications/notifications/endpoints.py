"""Where the merchant's systems listen for events, and to which."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from tradepost.kernel.errors import ConflictError, InvalidError, NotFoundError

# Every event costs a write and a call per endpoint.
ENDPOINTS_MAX = 20
URL_LENGTH_MAX = 2_048
DESCRIPTION_LENGTH_MAX = 255
EVENT_TYPES_MAX = 50

EVERY_TYPE = "*"

# How long the secret before a rotation still signs beside the new one.
SECRET_OVERLAP = timedelta(hours=24)
# As long as a delivery is tried again: an endpoint that took nothing for so long takes nothing.
DEAD_AFTER = timedelta(days=3)


class EndpointStatus(StrEnum):
    ENABLED = "ENABLED"
    DISABLED = "DISABLED"  # nothing is sent; what happens is kept for it
    DELETED = "DELETED"  # a tombstone: a late repetition of its registration finds it


class DisabledReason(StrEnum):
    BY_HAND = "by_hand"
    GONE = "gone"  # it answered 410
    DEAD = "dead"  # nothing got through for `DEAD_AFTER`


class EndpointNotFoundError(NotFoundError):
    code = "webhook_endpoint_not_found"

    def __init__(self) -> None:
        super().__init__("there is no such webhook endpoint")


class EndpointLimitError(ConflictError):
    code = "webhook_endpoint_limit"

    def __init__(self) -> None:
        super().__init__(f"there are {ENDPOINTS_MAX} webhook endpoints already")


class EndpointAddressError(InvalidError):
    """`rule` says what is wrong: `scheme`, `credentials`, `fragment` or `address`."""

    code = "webhook_address_refused"

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(detail)
        self.rule = rule


class UnknownEventTypeError(InvalidError):
    code = "unknown_event_type"

    def __init__(self, event_types: list[str]) -> None:
        super().__init__("no event is published under this type")
        self.event_types = event_types


class VersionMismatchError(ConflictError):
    code = "version_mismatch"

    def __init__(self, version: int) -> None:
        super().__init__("the endpoint is at another version")
        self.version = version


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a merchant's system. `version` counts what people changed of it."""

    endpoint_id: str
    url: str
    event_types: tuple[str, ...]  # or `EVERY_TYPE` alone
    description: str
    status: EndpointStatus
    disabled_reason: DisabledReason | None
    failing_since: datetime | None  # None while the last attempt got through, or there was none
    generation: int  # of its secret, counting up from 1
    previous_until: datetime | None  # the generation before signs beside it until then
    version: int
    created_at: datetime

    @property
    def is_enabled(self) -> bool:
        return self.status is EndpointStatus.ENABLED

    def wants(self, event_type: str) -> bool:
        return EVERY_TYPE in self.event_types or event_type in self.event_types

    def generations(self, now: datetime) -> tuple[int, ...]:
        """Name the secrets that sign now, the newest first."""
        if self.previous_until is not None and now < self.previous_until:
            return (self.generation, self.generation - 1)
        return (self.generation,)

    def rotated(self, now: datetime) -> Endpoint:
        """Give it the next secret. Rotating twice ends the first secret at once."""
        return replace(
            self,
            generation=self.generation + 1,
            previous_until=now + SECRET_OVERLAP,
            version=self.version + 1,
        )

    def changed(self, change: EndpointChange) -> Endpoint:
        """Apply what somebody asked for. Enabling forgets the failures; so does another address."""
        changed = replace(
            self,
            url=self.url if change.url is None else change.url,
            event_types=self.event_types if change.event_types is None else change.event_types,
            description=self.description if change.description is None else change.description,
            failing_since=self.failing_since if change.url in (None, self.url) else None,
            version=self.version + 1,
        )
        if change.enabled is None or change.enabled == self.is_enabled:
            return changed
        if change.enabled:
            return replace(
                changed, status=EndpointStatus.ENABLED, disabled_reason=None, failing_since=None
            )
        return replace(
            changed, status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.BY_HAND
        )

    def is_dead(self, now: datetime) -> bool:
        return self.failing_since is not None and now - self.failing_since >= DEAD_AFTER


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What somebody wants of an endpoint; None leaves it as it is."""

    url: str | None = None
    event_types: tuple[str, ...] | None = None
    description: str | None = None
    enabled: bool | None = None


def require_address(url: str, *, loopback_allowed: bool) -> None:
    """Refuse what is no address on the internet to send events to.

    A host's name is looked up when an event is sent, not here: it may point elsewhere by then.

    Raises
    ------
    EndpointAddressError
        Not https, or with a user's name, or with a fragment, or at an address of our own network.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    at_home = loopback_allowed and is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and at_home):
        raise EndpointAddressError("scheme", "the address must begin with https://")
    if parts.username is not None or parts.password is not None:
        raise EndpointAddressError("credentials", "the address must hold no user or password")
    if parts.fragment:
        raise EndpointAddressError("fragment", "the address must hold no fragment")
    if not at_home and (is_loopback(host) or _is_private_literal(host)):
        raise EndpointAddressError("address", "the address must be on the public internet")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, by its name or as an IPv4 address."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Tell whether an IPv4 address is one that anybody may reach; nothing else is public here."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        return False
    return found.is_global and not found.is_multicast


def _is_private_literal(host: str) -> bool:
    if ":" in host:
        # IPv6, which has a dozen ways to write an IPv4 address inside it; see 0036.
        return True
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return not is_public(host)
